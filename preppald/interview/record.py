"""Puts an interview on record: fragments as they come, and everything that a restart or the backend needs."""

import trio

from preppald.config.settings import Config
from preppald.core import endings
from preppald.core.deliveries import Status, status_delivery
from preppald.core.endings import Ending
from preppald.core.interview import Handle, Interview, Usage
from preppald.core.quality import Quality
from preppald.core.turns import Fragment, Turn
from preppald.errors import JournalError
from preppald.journal import Journal
from preppald.net.ticker import Errand, Ticker
from preppald.telemetry.logs import Logger

# The interval of checking that kept text is on disk: to wait for each commit costs more than keeping the fragments.
LOOK_SECONDS = 5.0
# The ending's wait for the disk; anything not durable by then is kept in memory and posted from there.
FLUSH_SECONDS = 5.0
# A typed answer's wait for the disk: a commit takes milliseconds, and the candidate waits for a reply.
SETTLE_SECONDS = 2.0


class Record:
    """One interview's part of the journal. ``run`` is the session's transcript task.

    ``keep`` takes finished text and returns at once; the ticker hands it to the journal for the task, all that one
    step brought in one call. A commit later it is on disk.
    """

    def __init__(
        self, journal: Journal, ticker: Ticker, config: Config, interview: Interview, log: Logger
    ) -> None:
        self._journal = journal
        self._config = config
        self._key = (interview.interview_id, interview.epoch)
        self._block = interview.block
        self._started_ms = interview.started_ms
        self._log = log
        self._said: list[Fragment] = []
        self._kept = Errand(ticker)

    def keep(self, fragment: Fragment) -> None:
        """Take a fragment for the journal."""
        if not self._said:
            self._kept.ask()
        self._said.append(fragment)

    def _hand_over(self) -> None:
        """Give the journal the fragments since the last time."""
        said, self._said = self._said, []
        if said:
            self._journal.add_fragments(*self._key, said)

    def started(self, now_ms: int) -> None:
        """Owe the backend the news that the interview is in progress."""
        self._journal.add_delivery(
            status_delivery(*self._key, Status.IN_PROGRESS, now_ms=now_ms, block=self._block)
        )

    def keep_handle(self, handle: Handle | None) -> None:
        self._journal.keep_handle(*self._key, handle)

    def keep_model(self, model: str) -> None:
        self._journal.keep_model(*self._key, model)

    def keep_usage(self, usage: Usage) -> None:
        self._journal.keep_usage(*self._key, usage)

    def credit(self, credited_seconds: float, deadline_ms: int) -> None:
        self._journal.credit(*self._key, round(credited_seconds * 1000), deadline_ms)

    async def since(self, seq: int) -> list[Fragment]:
        """Return the fragments after this one, as far as the journal has them; see ``Seat.release`` for the rest."""
        self._hand_over()
        return await self._journal.fragments(*self._key, since=seq)

    async def missed(self, seq: int) -> list[Fragment]:
        """Return as ``since`` does, for a browser that was away; none, and a line in the log, where the journal fails."""
        try:
            return await self.since(seq)
        except JournalError as error:
            self._log.error("replay.failed", why=str(error))
            return []

    async def settle(self) -> None:
        """Return when all that was kept is on disk, or cannot be brought there now: the journal goes on trying."""
        self._hand_over()
        try:
            with trio.fail_after(SETTLE_SECONDS):
                await self._journal.flush()
        except (JournalError, trio.TooSlowError) as error:
            self._log.error("transcript.not_durable", why=str(error) or "the disk is too slow")

    async def run(self) -> None:
        """Hand finished text to the journal, and report text that does not get to disk."""
        while True:
            await self._kept.until(self._hand_over_first)
            kept = self._journal.recorded
            with trio.move_on_after(LOOK_SECONDS):
                await self._kept.until(self._hand_over_more)
            await self._look(kept)

    def _hand_over_first(self, _now: float) -> bool:
        """Give the journal what was said after a silence; that wakes the task."""
        self._hand_over()
        return True

    def _hand_over_more(self, _now: float) -> bool:
        self._hand_over()
        return False

    async def _look(self, kept: int) -> None:
        if self._journal.durable >= kept:
            return
        try:
            await self._journal.flush(hurry=False)
        except JournalError as error:
            # The journal goes on trying by itself, and keeps what it has in memory.
            self._log.error("transcript.not_durable", why=str(error))

    async def finish(
        self, ending: Ending, cause: str, turns: list[Turn], ended_ms: int, quality: Quality | None
    ) -> None:
        """Record the ending together with the backend's deliveries. Call it shielded: it has its own bound.

        ``quality``: None where nobody can tell.
        """
        self._hand_over()
        owed = endings.deliveries(
            ending,
            *self._key,
            turns,
            started_ms=self._started_ms,
            ended_ms=ended_ms,
            block=self._block,
            partial=self._config.partial,
            feedback=self._config.feedback == "on",
        )
        self._journal.end(
            *self._key, ending=ending.name, cause=cause, ended_ms=ended_ms, deliveries=owed, quality=quality
        )
        try:
            with trio.fail_after(FLUSH_SECONDS):
                await self._journal.flush()
        except (JournalError, trio.TooSlowError) as error:
            self._log.error("ending.not_durable", why=str(error) or "the disk is too slow")
