"""The outbox's gate: lets deliveries through to the backend, where more than this host's own journal has to have them.

One host alone has none. Where hosts share a journal the gate is ``shared.gate``'s.
"""

from collections.abc import Collection, Sequence
from typing import Protocol

import trio

from preppald.backend.breaker import IN_FLIGHT
from preppald.core.deliveries import OutboxEntry
from preppald.telemetry.interfaces import Log

# Deliveries that are held back for longer than a commit and a failover take are worth a line in the log.
HELD_SECONDS = 10.0
ON_THEIR_WAY = "the shared journal does not have these yet"


class Gate(Protocol):
    """Decides if a delivery may be posted now. It rings the journal's ``outbox_bell`` when one may that could not."""

    @property
    def why(self) -> str | None:
        """Return why nothing at all is posted, if so."""

    def posts(self, key: str, /) -> bool:
        """Return whether the delivery of this key may be posted now."""

    def of_others(self, key: str, /) -> bool:
        """Return whether another host posts the delivery of this key, and this one never."""


class Gatekeeper:
    """``held``: deliveries that were due at the last look and may be posted later."""

    def __init__(self, gate: Gate, log: Log) -> None:
        self.held = 0
        self._gate = gate
        self._log = log
        self._since: float | None = None
        self._told = False

    def let_through(self, due: Sequence[OutboxEntry]) -> list[OutboxEntry]:
        """Return those of a look at the outbox that may be posted now."""
        through = [owed for owed in due if self._gate.posts(owed.key)]
        self.held = sum(not self._gate.of_others(owed.key) for owed in due) - len(through)
        self._tell(trio.current_time())
        return through

    def in_the_way(self, due: Sequence[OutboxEntry]) -> Collection[str]:
        """Return the interviews that a full look has to pass over to see the next ones: another host posts for them."""
        if len(due) < IN_FLIGHT:
            return ()
        return {owed.delivery.interview_id for owed in due if self._gate.of_others(owed.key)}

    def _tell(self, now: float) -> None:
        """Say once that deliveries wait, and once that they do not any more."""
        if not self.held:
            if self._told:
                self._log.info("outbox.let_through")
            self._since, self._told = None, False
            return
        self._since = now if self._since is None else self._since
        if not self._told and now - self._since >= HELD_SECONDS:
            self._told = True
            self._log.warning("outbox.held_back", deliveries=self.held, cause=self._gate.why or ON_THEIR_WAY)
