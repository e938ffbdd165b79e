"""Logs and counts refused connections, so that a flood of them cannot fill the log.

Rule 1: each refusal is counted in the metrics by its reason.
Rule 2: one line a second for each address, and ``LINES_PER_SECOND`` over all of them; the next line says how many
        were left out (``unlogged``).
"""

import trio

from preppald.core.bucket import Bucket
from preppald.errors import Refusal
from preppald.server.limits import Buckets, Visit
from preppald.telemetry.logs import Logger
from preppald.telemetry.metrics import Metrics

# journald takes 10 000 lines in 30 s from a service by default, and then drops everybody's.
LINES_PER_SECOND = 10
BURST_LINES = 100


class Refusals:
    """Every refusal of one process."""

    def __init__(self, metrics: Metrics, log: Logger) -> None:
        self._metrics = metrics
        self._log = log
        self._lines = Bucket(LINES_PER_SECOND, BURST_LINES)
        self._by_address = Buckets()
        self._unlogged = 0

    def note(self, refusal: Refusal, visit: Visit) -> None:
        """Count a refusal, and log it with what is known: the cause, the address, the interview and its user."""
        self._metrics.connections_refused.labels(refusal.why).inc()
        now = trio.current_time()
        if self._lines.level(now) < 1 or self._by_address.wait(visit.address):
            self._unlogged += 1
            return
        self._lines.spend(1, now)
        if visit.address:
            self._by_address.spend(visit.address, rate=1, burst=1)
        unlogged, self._unlogged = self._unlogged, 0
        known = {
            "interview": visit.interview_id,
            "user": visit.user_id,
            "detail": refusal.detail,
            "unlogged": unlogged,
        }
        self._log.info(
            "connection.refused",
            why=refusal.why,
            status=int(refusal.status),
            address=visit.address,
            **{name: value for name, value in known.items() if value},
        )
