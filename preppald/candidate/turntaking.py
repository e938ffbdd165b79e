"""Decides when the candidate listens, speaks and leaves.

Rule 1: nothing here does input or output, or knows the time: every call is told ``now``, in seconds of the
        candidate's clock.
Rule 2: the interviewer is done when the turn is marked complete and its audio was heard to the end; or, since
        that mark may come late or never, or before the audio, when nothing was heard for a moment after some
        audio or text.
Rule 3: every stage ends. Patience bounds the silence of an interviewer, ``MAX_HEARING_SECONDS`` the speech.
"""

from dataclasses import dataclass
import enum

# The longest listening to one greeting or reply.
MAX_HEARING_SECONDS = 300.0
# Seconds of the greeting that a candidate hears before speaking over it.
BARGE_IN_SECONDS = 1.0


class CallStage(enum.Enum):
    """The candidate's stages; the values are for people."""

    WAITING = "waiting for the interviewer"
    GREETING = "hearing the greeting"
    THINKING = "thinking"
    ANSWERING = "speaking"
    LISTENING = "hearing the reply"
    HOLDING = "staying silent"
    LEAVING = "leaving"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """The manners of this candidate. All times are seconds of the candidate's clock.

    ``start``: how long the interview may take to start. ``patience``: how long an interviewer may be silent
    before the candidate goes on. ``settle``: how long it must be silent to count as done without a mark.
    ``hold``: how long to stay, silent, after the last reply. ``think``: how long to pause, at the candidate's own
    request, before each answer. ``answers``: how often to speak.
    """

    start: float
    patience: float
    settle: float
    hold: float = 0.0
    think: float = 0.0
    answers: int = 1
    barge_in: bool = False


class TurnTaking:
    """One candidate's stages.

    ``latencies``: from the end of each answer to its reply's first audio, seconds; None for an answer that got
    no reply. ``started``: True once the interview started.
    """

    def __init__(self, manners: Manners, *, now: float) -> None:
        self._manners = manners
        self._answers_left = manners.answers
        self.latencies: list[float | None] = []
        self.started = False
        self.stage = CallStage.WAITING
        self._stage_at = now  # when the stage was entered
        self._voiced_at = now  # when the candidate last said something
        self._audible_at = now  # when the interviewer last was heard, or could first have been
        self._heard_at: float | None = None  # when the reply's first audio came
        self._begun = False  # True once any of the reply came
        self._complete = False  # True once the reply was marked complete

    def start(self, now: float) -> None:
        """Note that the interview started, or went on after a lost connection."""
        self.started = True
        if self.stage is CallStage.WAITING:
            self._enter(CallStage.GREETING, now)
        self._audible_at = now

    def hear(self, now: float) -> None:
        """Note that some of the interviewer's audio arrived."""
        self.read(now)
        if self._heard_at is None:
            self._heard_at = now

    def read(self, now: float) -> None:
        """Note that some of the interviewer's speech arrived, audio or text."""
        if self.stage is CallStage.WAITING:
            self.start(now)  # a daemon that does not announce the start
        self._begun = True
        self._audible_at = now

    def read_end_of_turn(self) -> None:
        """Note that the interviewer's turn was marked complete."""
        # The end of an interrupted turn can come late; it does not end a reply that has not begun to come.
        self._complete = self._begun

    def voice(self, now: float) -> None:
        """Note that the candidate speaks: audio from before is no reply to these words."""
        self._voiced_at = now
        self._forget_reply(now)

    def interrupt(self, now: float) -> None:
        """Note that the daemon noticed a barge-in."""
        self._forget_reply(now)

    def finish_answer(self, now: float) -> None:
        """Note that the file was spoken to its end. A reply may have begun during the silence at its end."""
        if self.stage is CallStage.ANSWERING:
            self._answers_left -= 1
            self.stage = CallStage.LISTENING
            self._stage_at = self._audible_at = now

    def leave(self, now: float) -> None:
        """End the interview now."""
        if self.stage is CallStage.LISTENING:
            self._note_latency()
        if self.stage is not CallStage.LEAVING:
            self._enter(CallStage.LEAVING, now)

    def tick(self, now: float, *, playing: bool) -> CallStage:
        """Return the stage at ``now``. ``playing``: the interviewer can be heard at this moment."""
        if playing:
            self._audible_at = now
        following = self._following(now, playing=playing)
        if following is not self.stage:
            if self.stage is CallStage.LISTENING:
                self._note_latency()
            self._enter(following, now)
        return self.stage

    def _following(self, now: float, *, playing: bool) -> CallStage:
        match self.stage:
            case CallStage.WAITING if now - self._stage_at >= self._manners.start:
                return CallStage.LEAVING
            case CallStage.GREETING if self._may_barge_in(now):
                return CallStage.ANSWERING
            case CallStage.GREETING if self._done(now, playing=playing):
                return self._to_answer
            case CallStage.THINKING if now - self._stage_at >= self._manners.think:
                return CallStage.ANSWERING
            case CallStage.LISTENING if self._done(now, playing=playing):
                if self._answers_left:
                    return self._to_answer
                return CallStage.HOLDING if self._manners.hold else CallStage.LEAVING
            case CallStage.HOLDING if now - self._stage_at >= self._manners.hold:
                return CallStage.LEAVING
            case stage:
                return stage

    @property
    def _to_answer(self) -> CallStage:
        """The stage that leads to the next answer."""
        return CallStage.THINKING if self._manners.think else CallStage.ANSWERING

    def _done(self, now: float, *, playing: bool) -> bool:
        """Return whether the interviewer has finished, or will not say more."""
        silent = now - self._audible_at
        if now - self._stage_at >= MAX_HEARING_SECONDS or silent >= self._manners.patience:
            return True
        if playing or not self._begun:
            return False
        return (self._complete and self._heard_at is not None) or silent >= self._manners.settle

    def _may_barge_in(self, now: float) -> bool:
        return (
            self._manners.barge_in and self._heard_at is not None and now - self._heard_at >= BARGE_IN_SECONDS
        )

    def _note_latency(self) -> None:
        self.latencies.append(None if self._heard_at is None else round(self._heard_at - self._voiced_at, 3))

    def _enter(self, stage: CallStage, now: float) -> None:
        self.stage = stage
        self._stage_at = self._voiced_at = now
        self._forget_reply(now)

    def _forget_reply(self, now: float) -> None:
        self._audible_at = now
        self._heard_at = None
        self._begun = self._complete = False
