"""The watchdog's rules: once a second they look for troubles that no event reports.

These are silence where the candidate sends nothing, a browser that is gone, an answer that does not come, a connection
that grows old, and a gap that can be heard.
"""

from dataclasses import dataclass

from preppald.core import interviewer
from preppald.core.effects import End, Leave, Prompt, PutSilence, Remark, SessionEffect, Tell
from preppald.core.endings import AI_FAILED, AI_UNREACHABLE, CANDIDATE_GONE
from preppald.core.fair_clock import AUDIBLE_GAP_SECONDS
from preppald.core.floor import State
from preppald.core.frames import NoticeKind
from preppald.core.patience import Patience, Stage

# Fine enough for every limit that is kept here, and a fiftieth of a tick's cost.
STEP_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One interview at one instant. All times monotonic, in seconds.

    ``connected``: Gemini is there; ``gap``: else, how long it has been away. ``fed_at``: when the candidate's page
    last sent audio. ``left_at``: since when there is no browser, or None. ``state``, ``since`` and ``begun`` are the
    conversation's. ``resumed``: this connection was resumed, and has not spoken since. ``leave``: why the connection
    is to be left now, if so.
    """

    connected: bool
    gap: float
    fed_at: float
    left_at: float | None
    state: State
    since: float
    begun: bool
    resumed: bool
    leave: str | None


class Watchdog:
    """One interview's. ``grace``: seconds that a candidate may be away."""

    def __init__(self, grace: float) -> None:
        self.reconnecting = False
        self._grace = grace
        self._patience = Patience()

    def look(self, now: float, seen: Snapshot) -> list[SessionEffect]:
        """Return what is to be done at this instant, in order."""
        effects: list[SessionEffect] = []
        # Not while Gemini is away: the silence would be kept in place of the candidate's words.
        if seen.connected and now - seen.fed_at >= STEP_SECONDS:
            effects.append(PutSilence(STEP_SECONDS))
        if seen.left_at is not None and now - seen.left_at >= self._grace:
            effects.append(End(CANDIDATE_GONE, "the candidate did not come back"))
        if seen.leave is not None:
            effects.append(Leave(seen.leave))
        else:
            effects += self._silence(now, seen)
        if seen.gap > AUDIBLE_GAP_SECONDS and not self.reconnecting:
            self.reconnecting = True
            effects.append(RECONNECTING)
        return effects

    def answered(self) -> None:
        """Note that the interviewer spoke."""
        self._patience.answered()

    def back(self) -> list[SessionEffect]:
        """Return what the candidate learns now that Gemini is back."""
        told, self.reconnecting = self.reconnecting, False
        return [RECONNECTED] if told else []

    def _silence(self, now: float, seen: Snapshot) -> list[SessionEffect]:
        """Return what to do about an answer that does not come."""
        if seen.state not in {State.AWAITED, State.THINKING}:
            return []
        stage = self._patience.look(
            now,
            awaited_since=seen.since,
            greeting=not seen.begun,
            resumed=seen.resumed,
            thinking=seen.state is State.THINKING,
        )
        return [] if stage is None else [Remark(stage), _remedy(stage, begun=seen.begun)]


RECONNECTING = Tell(NoticeKind.RECONNECTING, "The interviewer is being reconnected.")
RECONNECTED = Tell(NoticeKind.RECONNECTED, "The interviewer is back.")


def _remedy(stage: Stage, *, begun: bool) -> SessionEffect:
    match stage:
        case Stage.GREET_AGAIN:
            return Prompt(interviewer.GREETING)
        case Stage.NUDGE:
            return Prompt(interviewer.NUDGE)
        case Stage.ROTATE:
            return Leave("unanswered")
        case Stage.FRESH:
            return Leave("unanswered", fresh=True)
        case Stage.GIVE_UP:
            return End(AI_FAILED if begun else AI_UNREACHABLE, "the interviewer does not answer")
