"""What an interview puts on record: fragments as they come, and all that a restart or the backend needs."""

import trio

from preppald.core import endings
from preppald.core.deliveries import Status, status_delivery
from preppald.core.endings import Ending
from preppald.core.interview import Handle, Interview, Usage
from preppald.core.turns import Fragment, Turn
from preppald.errors import JournalError
from preppald.journal import Journal
from preppald.telemetry.logs import Logger

# How often it is looked whether what was kept is on disk: to wait for each commit costs more than keeping the fragments.
LOOK_SECONDS = 5.0
# How long the ending may wait for the disk; what is not durable by then is kept in memory and posted from there.
FLUSH_SECONDS = 5.0


class Record:
    """One interview's part of the journal. ``run`` is the session's transcript task; all but it returns at once."""

    def __init__(self, journal: Journal, interview: Interview, log: Logger) -> None:
        self._journal = journal
        self._key = (interview.interview_id, interview.epoch)
        self._log = log
        self._unseen = False
        self._changed = trio.lowlevel.ParkingLot()

    def keep(self, fragment: Fragment) -> None:
        """Journals it: on disk it is a commit later."""
        self._journal.add_fragments(*self._key, (fragment,))
        if not self._unseen:
            self._unseen = True
            self._changed.unpark()

    def started(self, now_ms: int) -> None:
        """The backend is owed the news that the interview is in progress."""
        self._journal.add_delivery(status_delivery(*self._key, Status.IN_PROGRESS, now_ms=now_ms))

    def keep_handle(self, handle: Handle | None) -> None:
        self._journal.keep_handle(*self._key, handle)

    def keep_usage(self, usage: Usage) -> None:
        self._journal.keep_usage(*self._key, usage)

    def credit(self, credited_seconds: float, deadline_ms: int) -> None:
        self._journal.credit(*self._key, round(credited_seconds * 1000), deadline_ms)

    async def since(self, seq: int) -> list[Fragment]:
        """The fragments after this one, as far as the journal has them; see ``Seat.release`` for the rest."""
        return await self._journal.fragments(*self._key, since=seq)

    async def run(self) -> None:
        """Sees to it that what is kept gets to disk, and says so where it does not."""
        while True:
            if not self._unseen:
                await self._changed.park()
            self._unseen = False
            kept = self._journal.recorded
            await trio.sleep(LOOK_SECONDS)
            await self._look(kept)

    async def _look(self, kept: int) -> None:
        if self._journal.durable >= kept:
            return
        try:
            await self._journal.flush(hurry=False)
        except JournalError as error:
            # The journal goes on trying by itself, and keeps what it has in memory.
            self._log.error("transcript.not_durable", why=str(error))

    async def finish(self, ending: Ending, cause: str, turns: list[Turn], ended_ms: int) -> None:
        """Records the ending together with what the backend is owed. Call it shielded: it has its own bound."""
        owed = endings.deliveries(ending, *self._key, turns, ended_ms=ended_ms)
        self._journal.end(*self._key, ending=ending.name, cause=cause, ended_ms=ended_ms, deliveries=owed)
        try:
            with trio.fail_after(FLUSH_SECONDS):
                await self._journal.flush()
        except (JournalError, trio.TooSlowError) as error:
            self._log.error("ending.not_durable", why=str(error) or "the disk is too slow")
