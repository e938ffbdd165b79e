"""Posts traces until the collector has all of them. Nothing waits for it, and it waits for nothing.

Rule 1: spans come out of the journal, oldest first, of interviews that are over; they leave it when the collector has
        them, or never will.
Rule 2: what is older than a week, or beyond 64 MiB, goes: the oldest first, counted.
Rule 3: no answer of the collector's, and no silence, is anybody else's concern: its queue is a table of its own.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial

import msgspec
import trio

from preppald.core import traces
from preppald.core.deliveries import OutboxEntry, retry_delay
from preppald.errors import JournalError
from preppald.journal import Journal, spans
from preppald.telemetry.interfaces import Log
from preppald.telemetry.metrics import Metrics
from preppald.traces import otlp
from preppald.traces.collector import Collector, Later, Refused, Sent

MOST_AGE_MS = 7 * 24 * 3600 * 1000
MOST_BYTES = 64 * 1024 * 1024
# Of one post: collectors take 4 MiB unless they are told otherwise.
POST_ROWS, POST_BYTES = 100, 1024 * 1024
# How often the journal is looked at: an interview's trace is there some seconds after its end.
LOOK_SECONDS = 5.0
TRIM_SECONDS = 600.0
# Nobody waits for a trace: what the collector does not take by then is posted after the next start.
DRAIN_SECONDS = 2.0


class NoExporter:
    """No collector: what an earlier run owed to one goes."""

    def __init__(self, journal: Journal, log: Log) -> None:
        self._journal = journal
        self._log = log

    def settled(self, owed: OutboxEntry) -> None:
        pass

    def gauges(self) -> Iterable[tuple[str, str, float]]:
        return ()

    def renew(self, headers: Mapping[str, str]) -> None:
        pass

    async def run(self) -> None:
        with suppress(JournalError):
            gone = await self._journal.ask(partial(spans.trim, before_ms=0, most_bytes=0))
            if gone:
                self._log.info("traces.dropped", why="off", count=gone)

    async def drain(self) -> None:
        await trio.lowlevel.checkpoint()


class Exporter:
    """``run`` is the task. ``chance`` gives random numbers in [0, 1), ``now_ms`` the wall clock in milliseconds."""

    def __init__(
        self,
        journal: Journal,
        collector: Collector,
        resource: Mapping[str, str],
        *,
        metrics: Metrics,
        log: Log,
        now_ms: Callable[[], int],
        chance: Callable[[], float],
    ) -> None:
        self._journal = journal
        self._collector = collector
        self._resource = resource
        self._metrics = metrics
        self._log = log
        self._now_ms = now_ms
        self._chance = chance
        # Rows that wait, as of the last look.
        self.owed = 0
        self._turn = trio.Lock()
        self._tries = 0
        self._trim_at = 0.0

    def gauges(self) -> Iterable[tuple[str, str, float]]:
        """Return the metrics of the moment."""
        yield "traces_owed", "parts of traces that wait for the collector", self.owed

    def renew(self, headers: Mapping[str, str]) -> None:
        """Take rotated headers."""
        self._collector.renew(headers)

    def settled(self, owed: OutboxEntry) -> None:
        """Note a delivery that the backend acknowledged or refused, or that was given up."""
        made = traces.delivery(owed, self._now_ms())
        of = owed.delivery
        # The epoch is for the eyes alone: the spans know their trace.
        self._journal.add_spans(of.interview_id, of.block, 0, msgspec.json.encode(made).decode())

    async def run(self) -> None:
        """Post until cancelled; what is cut short stays owed."""
        async with self._collector:
            while True:
                wait = LOOK_SECONDS
                try:
                    wait = await self._round()
                except JournalError:
                    pass  # the journal itself says what is wrong
                except Exception as error:  # noqa: BLE001 - a bug here must not end interviews
                    self._log.error("traces.bug", exc_info=error)
                await trio.sleep(wait)

    async def drain(self) -> None:
        """Post what there is, as far as that goes without a failure; ``run`` goes on meanwhile."""
        with trio.move_on_after(DRAIN_SECONDS), suppress(JournalError):
            while self._tries == 0 and await self._round() == 0.0:
                pass

    async def _round(self) -> float:
        """Post once, if there is anything; return the seconds to wait before the next round."""
        async with self._turn:
            return await self._post()

    async def _post(self) -> float:
        if trio.current_time() >= self._trim_at:
            self._trim_at = trio.current_time() + TRIM_SECONDS
            await self._trim()
        due = await self._journal.ask(partial(spans.due, most=POST_ROWS, most_bytes=POST_BYTES))
        self.owed = await self._journal.ask(spans.waiting)
        if not due:
            return LOOK_SECONDS
        body, unreadable = otlp.encode((it.spans for it in due), self._resource)
        answer = await self._collector.post(body)
        if isinstance(answer, Later):
            return self._wait(answer)
        self._tries = 0
        self._count(answer, len(due), unreadable)
        numbers = [it.number for it in due]
        await self._journal.ask(partial(spans.forget, numbers=numbers))
        return 0.0

    def _wait(self, failed: Later) -> float:
        wait = max(1.0, retry_delay(self._tries, self._chance(), failed.retry_after))
        if self._tries == 0:
            self._log.warning("traces.waiting", cause=failed.cause, todo="see OTEL_EXPORTER_OTLP_ENDPOINT")
        self._tries += 1
        return wait

    def _count(self, answer: Sent | Refused, rows: int, unreadable: int) -> None:
        if unreadable:
            self._dropped("unreadable", unreadable)
        match answer:
            case Sent(rejected):
                self._metrics.traces_sent.inc(rows - unreadable)
                if rejected:
                    self._dropped("rejected", rejected)
            case Refused(cause):
                self._dropped("refused", rows - unreadable, cause)

    def _dropped(self, why: str, count: int, cause: str | None = None) -> None:
        self._metrics.traces_dropped.labels(why).inc(count)
        self._log.warning("traces.dropped", why=why, count=count, cause=cause)

    async def _trim(self) -> None:
        before_ms = self._now_ms() - MOST_AGE_MS
        gone = await self._journal.ask(partial(spans.trim, before_ms=before_ms, most_bytes=MOST_BYTES))
        if gone:
            self._dropped("old", gone)
