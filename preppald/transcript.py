"""Keeps an interview's fragments as they come, and hands over what its ending owes."""

import trio

from preppald.core import endings
from preppald.core.endings import Ending
from preppald.core.interview import Interview
from preppald.core.turns import Fragment, Turn
from preppald.errors import JournalError
from preppald.journal import Journal
from preppald.logs import Logger

# How long the ending may wait for the disk; what is not durable by then is kept in memory and posted from there.
FLUSH_SECONDS = 5.0


class TranscriptKeeper:
    """``keep`` never waits; ``run`` is the session's transcript task: one batch a commit of the journal."""

    def __init__(self, journal: Journal, interview: Interview, log: Logger) -> None:
        self._journal = journal
        self._interview = interview
        self._log = log
        self._waiting: list[Fragment] = []
        self._changed = trio.lowlevel.ParkingLot()

    def keep(self, fragment: Fragment) -> None:
        self._waiting.append(fragment)
        self._changed.unpark()

    async def run(self) -> None:
        """Journals what waits, then waits for the disk, so that a slow disk means larger batches."""
        while True:
            if not self._waiting:
                await self._changed.park()
            self._hand_over()
            try:
                await self._journal.flush()
            except JournalError as error:
                # The journal goes on trying by itself, and keeps what it has in memory.
                self._log.error("transcript.not_durable", why=str(error))
                await trio.sleep(FLUSH_SECONDS)

    async def finish(self, ending: Ending, cause: str, turns: list[Turn], ended_ms: int) -> None:
        """Records the ending together with what the backend is owed. Call it shielded: it has its own bound."""
        self._hand_over()
        interview = self._interview
        owed = endings.deliveries(ending, interview.interview_id, interview.epoch, turns, ended_ms=ended_ms)
        self._journal.end(
            interview.interview_id,
            interview.epoch,
            ending=ending.name,
            cause=cause,
            ended_ms=ended_ms,
            deliveries=owed,
        )
        try:
            with trio.fail_after(FLUSH_SECONDS):
                await self._journal.flush()
        except (JournalError, trio.TooSlowError) as error:
            self._log.error("ending.not_durable", why=str(error) or "the disk is too slow")

    def _hand_over(self) -> None:
        fragments, self._waiting = self._waiting, []
        if fragments:
            self._journal.add_fragments(self._interview.interview_id, self._interview.epoch, fragments)
