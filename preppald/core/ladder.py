"""From losing Gemini to having it back, or giving up: resume twice, then a fresh session, within a budget.

Known traps that shape it: a handle may be poisoned or refused for ever; a resumed session may die again within half a
second of the next utterance, in a loop; quota errors must not be hammered; a setup refused for its content is refused
again. Source: docs/protocol.md, "Long interviews".
"""

from dataclasses import dataclass

from preppald.core.closes import UNASKED, Cause, Remedy

# Seconds without Gemini, all tries of one outage together. A minute of silence is taken for the end of the call.
RESTORE_BUDGET_SECONDS = 30.0
# Nobody has heard a word yet: better a clear failure soon than a long wait.
START_BUDGET_SECONDS = 8.0
RESUMES = 2
# Connections that set up but never answer must not go on for an hour.
TRIES = 8
# The first retry is nearly at once, yet when Gemini drops all of a process's interviews they do not dial as one.
BACKOFF_BASE_SECONDS = 0.25
BACKOFF_CAP_SECONDS = 4.0
# After a quota's pause the interviews that waited for it come back over this long.
WAIT_SPREAD_SECONDS = 5.0
# A connection that held for so long is no part of the outage before it. A handle that it used stays suspect.
SETTLED_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Rung:
    """The next try: after ``delay`` seconds, with the handle or as a fresh session; set up ``by`` then, or given up."""

    delay: float
    resume: bool
    by: float


@dataclass(slots=True)
class Ladder:
    """One outage's tries, from ``down`` on. ``proved`` ends the outage: Gemini answered the candidate again."""

    budget: float = START_BUDGET_SECONDS
    _down_since: float | None = None
    _up_since: float = 0.0
    _down_seconds: float = 0.0
    _tries: int = 0
    _resumes: int = 0
    _resuming: bool = False
    _resumable: bool = True
    _refused: bool = False

    @property
    def gives_up_at(self) -> float:
        """The time at which the budget is used up, if Gemini stays away."""
        assert self._down_since is not None  # noqa: S101 - asked for while Gemini is away
        return self._down_since + self.budget - self._down_seconds

    def down(self, now: float) -> None:
        """Note that Gemini is away from now on: lost, or left on purpose."""
        if self._down_since is not None:
            return
        self._down_since = now
        if now - self._up_since >= SETTLED_SECONDS:
            self._down_seconds = 0.0
            self._tries = 0

    def lost(
        self,
        cause: Cause,
        *,
        now: float,
        has_handle: bool,
        chance: float,
        wait: float = 0.0,
        elsewhere: bool = False,
    ) -> Rung | None:
        """Return the next rung after a loss or a failed try, or None to give up.

        ``chance``: random, in [0, 1). ``wait``: how long a quota still asks everybody to keep away.
        ``elsewhere``: the next try is with another model, to which the cause says nothing.
        """
        self.down(now)
        if cause in UNASKED:
            self._resumes -= self._resuming
        self._resuming = False
        if not elsewhere and (cause.remedy is Remedy.NONE or not self._worth_another(cause)):
            return None
        delay = wait + chance * WAIT_SPREAD_SECONDS if cause.remedy is Remedy.WAIT else self._backoff(chance)
        self._tries += 1
        if self._tries > TRIES or now + delay >= self.gives_up_at:
            return None
        resume = has_handle and self._resumable and self._resumes < RESUMES
        self._resumes += resume
        self._resuming = resume
        return Rung(delay, resume, self.gives_up_at)

    def rotated(self, *, has_handle: bool) -> Rung:
        """Return the first try after a connection was left on purpose: at once."""
        return Rung(0.0, has_handle, self.gives_up_at)

    def connected(self, now: float) -> None:
        """Note that a session is set up again, though it has not answered yet."""
        if self._down_since is not None:
            self._down_seconds += now - self._down_since
        self._down_since = None
        self._up_since = now
        self._resuming = False

    def spoke(self, *, resumed: bool) -> None:
        """Note that Gemini spoke, if only because it was asked to: the next loss has the whole budget.

        A resumed session may still die of the candidate's next word, over and over: its handle stays suspect.
        """
        self.budget = RESTORE_BUDGET_SECONDS
        self._down_seconds = 0.0
        self._tries = 0
        self._resumable = True
        self._refused = False
        if not resumed:
            self._resumes = 0

    def proved(self) -> None:
        """Note that Gemini answered the candidate: the next loss is a new outage."""
        self.spoke(resumed=False)

    def _worth_another(self, cause: Cause) -> bool:
        """Return whether another try is worth it: a session refused for its content gets one fresh try."""
        if cause.remedy is not Remedy.FRESH:
            return True
        self._resumable = False
        before, self._refused = self._refused, True
        return not before

    def _backoff(self, chance: float) -> float:
        """Return the wait with full jitter: 0.25, 0.5, 1, 2, 4 s at most."""
        return chance * min(BACKOFF_CAP_SECONDS, BACKOFF_BASE_SECONDS * (1 << self._tries))
