"""Looks after instances of the state directory that do not run, for the one that does: see adoption.py."""

from collections.abc import Callable, Sequence
from functools import partial
import sqlite3

import trio

from preppald.core.interview import Interview
from preppald.errors import PreppaldError
from preppald.journal.mending import Fallback
from preppald.journal.place import Place
from preppald.journal.store import Store
from preppald.journal.writer import CLOSING_SECONDS
from preppald.net.threads import InThread
from preppald.telemetry.interfaces import Log

# The longest hold of one place: its own daemon may be waiting to start, for on_disk.ADOPTED_SECONDS.
HELD_SECONDS = 15.0


class Adopter:
    """``store``: this instance's own. ``came``: how many interviews were taken over since the start."""

    def __init__(
        self,
        store: Store,
        *,
        log: Log,
        in_thread: InThread,
        now_ms: Callable[[], int],
        fallback: Fallback,
    ) -> None:
        self._store = store
        self._log = log
        self._in_thread = in_thread
        self._now_ms = now_ms
        self._fallback = fallback
        # The instances that could not be adopted, with the reason: reported once.
        self._told: dict[str, str] = {}
        self.came = 0

    async def owing(self) -> list[Place]:
        """Return the other instances that have unfinished business, running or not."""
        return await self._in_thread(self._store.neighbours.owing)

    async def adopt(self, places: Sequence[Place]) -> list[Interview]:
        """Take over the leavings of those that do not run; return the live interviews among them.

        Everything that cannot be taken now stays as it was, for the next call.
        """
        live: list[Interview] = []
        for place in places:
            source = Store(place, self._log, now_ms=self._now_ms, fallback=self._fallback)
            try:
                await self._adopt(source, live)
            except (sqlite3.Error, OSError, PreppaldError) as error:
                if self._told.get(source.name) != str(error):
                    self._told[source.name] = str(error)
                    self._log.error("journal.not_adopted", database=source.name, cause=str(error))
        return live

    async def _adopt(self, source: Store, live: list[Interview]) -> None:
        if not await self._in_thread(source.enter):
            return  # that instance runs
        before, moved = len(live), 0
        until = trio.current_time() + HELD_SECONDS
        try:
            while trio.current_time() < until:
                step = await self._in_thread(partial(self._store.take_over, source, live))
                moved += step
                self.came += step
                if not step:
                    break
        finally:
            with trio.move_on_after(CLOSING_SECONDS, shield=True):
                await self._in_thread(source.close)
            if moved:
                self._log.warning(
                    "journal.adopted", database=source.name, interviews=moved, live=len(live) - before
                )
