"""The watchdog's rules: once a second they look for troubles that no event reports.

These are silence where the candidate sends nothing, a browser that is gone, an answer that does not come, a reply that
a cough cut, a candidate who has not spoken for minutes, a connection that grows old, and a gap that can be heard.
"""

from dataclasses import dataclass

from preppald.core import interviewer
from preppald.core.effects import Asked, End, Leave, Prompt, PutSilence, Remark, SessionEffect, Tell
from preppald.core.endings import AI_FAILED, AI_UNREACHABLE, CANDIDATE_GONE
from preppald.core.evidence import Floor, Reading, Voice
from preppald.core.fair_clock import AUDIBLE_GAP_SECONDS
from preppald.core.frames import NoticeKind
from preppald.core.patience import Patience
from preppald.core.stage import Stage

# Fine enough for every limit that is kept here, and a fiftieth of a tick's cost.
STEP_SECONDS = 1.0
# A step that took so long was no step: the process did not run (SIGSTOP, a suspended machine, a debugger).
STOPPED_SECONDS = 5.0
# After a false interruption Gemini may go on by itself; a word, or a second of voice, makes it a true one.
TAKE_UP_SECONDS = 4.0
# Where a room keeps interrupting, taking up the same reply again and again is worse than leaving it.
TAKE_UPS_A_MINUTE = 2
MINUTE_SECONDS = 60.0
# Neither spoke for so long: a candidate who thinks has begun before, one who is lost waits for a word.
STILL_THERE_SECONDS = 180.0
STILL_THERE_AGAIN_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One interview at one instant. All times monotonic, in seconds.

    ``connected``: Gemini is there; ``gap``: else, how long it has been away. ``fed_at``: when the candidate's page
    last sent audio. ``left_at``: since when there is no browser, or None. ``floor``: who has it. ``holding``: the
    candidate asked for time to think. ``begun``: the interviewer ever spoke. ``resumed``: this connection was
    resumed, and has not spoken since. ``leave``: why the connection is to be left now, if so. ``opening``: the
    interview's first prompt; ``nudge``: the text that has the interviewer answer. ``interrupted_at``: when a reply was cut, where nothing shows that it was meant;
    ``heard``: what was heard of it.
    """

    connected: bool
    gap: float
    fed_at: float
    left_at: float | None
    floor: Reading
    holding: bool
    begun: bool
    resumed: bool
    leave: str | None
    opening: str
    nudge: str
    interrupted_at: float | None
    heard: str


class Watchdog:
    """One interview's. ``grace``: seconds that a candidate may be away. ``patience``: with the interviewer."""

    def __init__(self, grace: float, patience: Patience) -> None:
        self.reconnecting = False
        self._grace = grace
        self._patience = patience
        self._took_up: tuple[float, ...] = ()
        # When the candidate was asked for a sign of life, until there is one, and when a notice last said so.
        self._asked_at: float | None = None
        self._told_at = 0.0

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

    def expect(self, answer_seconds: float) -> None:
        """Give another model its own time to answer."""
        self._patience.answer_seconds = answer_seconds

    def back(self) -> list[SessionEffect]:
        """Return what the candidate learns now that Gemini is back."""
        told, self.reconnecting = self.reconnecting, False
        return [RECONNECTED] if told else []

    def _silence(self, now: float, seen: Snapshot) -> list[SessionEffect]:
        match seen.floor.floor:
            case Floor.NOBODY:
                return []
            case Floor.INTERVIEWER:
                self._patience.answered()
                return []
            case Floor.CANDIDATE:
                return self._take_up(now, seen) or self._still_there(now, seen)
            case Floor.THINKING | Floor.WORKING | Floor.OWED | Floor.STALLED:
                return self._unanswered(now, seen)

    def _unanswered(self, now: float, seen: Snapshot) -> list[SessionEffect]:
        """Return what to do about an answer that does not come."""
        stage = self._patience.look(
            now,
            since=seen.floor.since,
            floor=seen.floor.floor,
            greeting=not seen.begun,
            resumed=seen.resumed,
            sound=seen.floor.voice is Voice.SPEAKING,
        )
        return [] if stage is None else [Remark(stage), *_remedy(stage, seen)]

    def _take_up(self, now: float, seen: Snapshot) -> list[SessionEffect]:
        """Have a reply that a cough cut taken up where it was cut."""
        at = seen.interrupted_at
        if at is None or now - at < TAKE_UP_SECONDS or seen.holding or seen.floor.voice is Voice.SPEAKING:
            return []
        often = len(self._took_up) == TAKE_UPS_A_MINUTE and now - self._took_up[0] < MINUTE_SECONDS
        if often:
            return []
        self._took_up = (*self._took_up, now)[-TAKE_UPS_A_MINUTE:]
        return [Remark(Stage.TAKE_UP), Prompt(interviewer.take_up(seen.heard)), Asked()]

    def _still_there(self, now: float, seen: Snapshot) -> list[SessionEffect]:
        """Ask a candidate who has not spoken for minutes: on the page once a minute, by voice once."""
        if seen.left_at is not None or seen.holding or not seen.begun or seen.floor.voice is Voice.SPEAKING:
            return []
        if self._asked_at is not None and seen.floor.candidate_at > self._asked_at:
            self._asked_at = None
        if self._asked_at is None:
            if now - seen.floor.since <= STILL_THERE_SECONDS:
                return []
            self._asked_at = self._told_at = now
            return [Remark(Stage.STILL_THERE), STILL_THERE, Prompt(interviewer.STILL_THERE)]
        if now - self._told_at < STILL_THERE_AGAIN_SECONDS:
            return []
        self._told_at = now
        return [STILL_THERE]


RECONNECTING = Tell(NoticeKind.RECONNECTING, "The interviewer is being reconnected.")
RECONNECTED = Tell(NoticeKind.RECONNECTED, "The interviewer is back.")
STILL_THERE = Tell(NoticeKind.STILL_THERE, "Are you still there? The interviewer is waiting for you.")
STARTING = Tell(NoticeKind.SILENT, "The interviewer has not begun to speak yet, and is asked again.")
SILENT = Tell(NoticeKind.SILENT, "The interviewer does not answer, and is being set up anew.")
STILL_SILENT = Tell(
    NoticeKind.SILENT,
    "The interviewer still does not answer. If that stays so the interview ends, and what was said is kept.",
)


def _remedy(stage: Stage, seen: Snapshot) -> list[SessionEffect]:
    match stage:
        case Stage.GREET_AGAIN:
            return [STARTING, Prompt(seen.opening), Asked()]
        case Stage.NUDGE:
            return [Prompt(seen.nudge), Asked()]
        case Stage.ROTATE:
            return [Leave("unanswered")]
        case Stage.FRESH:
            return [SILENT, Leave("unanswered", fresh=True)]
        case Stage.TELL:
            return [STILL_SILENT]
        case Stage.GIVE_UP:
            ending = AI_FAILED if seen.begun else AI_UNREACHABLE
            return [End(ending, "the interviewer does not answer")]
        case Stage.TAKE_UP | Stage.STILL_THERE:
            raise AssertionError(f"{stage} is no answer to an interviewer that is silent")
