"""Hands on, to other hosts, the interviews that a drain has left: each is given up when nobody speaks, and goes on there.

Without the shared journal an interview stays what a kill would leave: live in the local journal, for the next start or
for the host that takes it over.
"""

from contextlib import suppress
from typing import TYPE_CHECKING

import trio

from preppald.core.endings import MOVED
from preppald.core.interview import Interview
from preppald.errors import JournalError
from preppald.interview.registry import Registry
from preppald.interview.session import Session
from preppald.journal import Journal
from preppald.telemetry.interfaces import Log

if TYPE_CHECKING:
    from preppald.shared.ownership import Ownership
    from preppald.shared.shipper import Shipper

# A sentence is over by then, mostly; the stop waits no longer.
QUIET_SECONDS = 5.0
LOOK_SECONDS = 0.1
# The session has waited for the disk already; a commit is due each 80 ms.
DISK_SECONDS = 1.0


class HandingOn:
    """One daemon's, where it shares a journal."""

    def __init__(self, journal: Journal, shipper: "Shipper", ownership: "Ownership", *, log: Log) -> None:
        self._journal = journal
        self._shipper = shipper
        self._ownership = ownership
        self._log = log

    async def give_up(self, registry: Registry, now: trio.Event) -> None:
        """Give up every interview here: each at a quiet moment, if that comes soon, and before ``now`` is set."""
        async with trio.open_nursery() as each:
            each.start_soon(self._ahead)
            for session in registry.give_up():
                each.start_soon(self._give_up, session, now)

    async def _ahead(self) -> None:
        """Bring the minutes before to the shared journal: then each session waits for its last words only."""
        with suppress(JournalError):  # of each session it is said
            await self._shipper.bring_up(self._journal)

    async def _give_up(self, session: Session, now: trio.Event) -> None:
        with trio.move_on_after(QUIET_SECONDS):
            while not (session.quiet or session.over or now.is_set()):  # noqa: ASYNC110 - it changes with every tick of sound
                await trio.sleep(LOOK_SECONDS)
        session.end(MOVED, "this host stops, and another one goes on")
        await session.done.wait()
        if session.ending is not MOVED:
            return
        it = session.interview
        key = it.interview_id, it.block
        try:
            released = await self._brought(it) and await self._ownership.release([key])
        except JournalError as error:
            self._log.error("interview.not_given_up", interview=it.interview_id, cause=str(error))
            return
        self._log.info("interview.given_up", interview=it.interview_id, block=it.block, released=released)
        if released:
            # Where the disk does not take it the row stays: the next start finds that another host has the interview.
            with suppress(JournalError):
                await self._journal.let_go({key})

    async def _brought(self, it: Interview) -> bool:
        """Return whether the shared journal has the interview whole, with the words that this host's disk does not take."""
        on_disk = False
        with trio.move_on_after(DISK_SECONDS), suppress(JournalError):
            await self._journal.flush(hurry=False)
            on_disk = True
        there = await self._shipper.bring_up(self._journal)
        return there and (on_disk or await self._shipper.bring_words(self._journal, it))
