"""From losing Gemini to having it back, or giving up: resume twice, then a fresh session, within a budget.

Known traps that shape it (reference §13): a handle may be poisoned or refused for ever; a resumed session may
die again within half a second of the next utterance, in a loop; quota errors must not be hammered.
"""

from dataclasses import dataclass

from preppald.core.closes import Cause, Remedy

# Seconds without Gemini, all tries of one outage together.
RESTORE_BUDGET_SECONDS = 30.0
# Nobody has heard a word yet: better a clear failure soon than a long wait.
START_BUDGET_SECONDS = 8.0
RESUMES = 2
# Connections that set up but never answer must not go on for an hour.
TRIES = 8
BACKOFF_BASE_SECONDS = 0.5
BACKOFF_CAP_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Rung:
    """The next try: after ``delay`` seconds, with the handle or as a fresh session."""

    delay: float
    resume: bool


@dataclass(slots=True)
class Ladder:
    """One outage's tries. ``proved`` ends the outage: Gemini answered again."""

    budget: float = START_BUDGET_SECONDS
    _down_since: float | None = None
    _down_seconds: float = 0.0
    _tries: int = 0
    _resumes: int = 0
    _resumable: bool = True

    def lost(self, cause: Cause, *, now: float, has_handle: bool, chance: float) -> Rung | None:
        """The next rung after a loss or a failed try, or None to give up. ``chance``: random, in [0, 1)."""
        if self._down_since is None:
            self._down_since = now
        if cause.remedy in {Remedy.NONE, Remedy.WAIT}:
            return None
        if cause.remedy is Remedy.FRESH:
            self._resumable = False
        delay = self._delay(chance)
        self._tries += 1
        down = self._down_seconds + now - self._down_since + delay
        if self._tries > TRIES or down > self.budget:
            return None
        resume = has_handle and self._resumable and self._resumes < RESUMES
        self._resumes += resume
        return Rung(delay, resume)

    def forsake_handle(self) -> None:
        """The handle failed: the rest of this outage goes without."""
        self._resumable = False

    def connected(self, now: float) -> None:
        """Set up again; whether it also answers is still to be seen."""
        if self._down_since is not None:
            self._down_seconds += now - self._down_since
        self._down_since = None

    def proved(self) -> None:
        """Gemini spoke: the next loss is a new outage, with the whole budget."""
        if self._tries or self.budget != RESTORE_BUDGET_SECONDS:
            self.budget = RESTORE_BUDGET_SECONDS
            self._down_seconds = 0.0
            self._tries = self._resumes = 0
            self._resumable = True

    def _delay(self, chance: float) -> float:
        """None before the first try, then full jitter."""
        if not self._tries:
            return 0.0
        return chance * min(BACKOFF_CAP_SECONDS, BACKOFF_BASE_SECONDS * (1 << (self._tries - 1)))
