"""Finds the holder of the floor by all evidence: one table, total over every combination.

Gemini's flags alone do not tell: it may have heard nothing of an answer, may have chosen to wait, may be at work, or
may be stuck. So there is also the candidate's voice as we hear it ourselves, what was played, and what was asked for.

Rule 1: a candidate who is heard speaking is never told to have finished.
Rule 2: a candidate who thinks is left to think: before the first word of an answer, after Gemini chose to wait, in a
        pause that was asked for, and in a pause of an answer that Gemini has not taken for its end.
Rule 3: an interviewer that is at work is left to work.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
import enum
from itertools import product
from typing import Any, ClassVar

from preppald.core.conversation import Conversation
from preppald.core.ear import VOICE_SECONDS, Ear
from preppald.core.events import (
    AtWork,
    ReplyInterrupted,
    SpeechBegan,
    SpeechEnded,
    TextAnswered,
    TextHeard,
    ToolCalled,
    UpstreamReady,
    UpstreamResumed,
    UtteranceCompleted,
    WaitingForInput,
)
from preppald.core.floor import State
from preppald.core.hold import Hold

# How long sound holds a prompt back without one new word: a radio, or people in the room, go on for ever.
SOUND_SECONDS = 60.0

# The candidate's page plays later than we count, and a loudspeaker is heard in the microphone until then.
ECHO_SECONDS = 0.5


class Voice(enum.Enum):
    """The candidate's voice since the interviewer was heard out."""

    NONE = "nothing"
    BRIEF = "less than an answer, and no word: a cough, a door"
    SPEAKING = "is heard now"
    SPOKE = "words, or a second of voice, that ended"


class Sign(enum.Enum):
    """The other evidence, the strongest of it."""

    NOTHING = "nothing"
    ASKED = "the interviewer was asked by us to speak"
    AT_WORK = "Gemini thinks, or called a function"
    WAITS = "Gemini chose to hear more"
    HOLD = "the candidate asked for time to think"


class Floor(enum.Enum):
    """The holders of the turn."""

    NOBODY = "Gemini is away, or the interview is over"
    CANDIDATE = "the candidate's: speaks, or thinks"
    INTERVIEWER = "the interviewer's, who is being heard"
    THINKING = "the interviewer's, who has said something and goes on without being spoken to"
    WORKING = "the interviewer's, who shows signs of work"
    OWED = "the interviewer's, who owes an answer"
    STALLED = "the interviewer's, whose reply began and does not go on"


_ANY_STATE = frozenset(State)
_ANY_VOICE = frozenset(Voice)
_ANY_SIGN = frozenset(Sign)
_ANY = frozenset({True, False})


def _states(*states: State) -> frozenset[State]:
    return frozenset(states) or _ANY_STATE


def _voices(*voices: Voice) -> frozenset[Voice]:
    return frozenset(voices) or _ANY_VOICE


def _signs(*signs: Sign) -> frozenset[Sign]:
    return frozenset(signs) or _ANY_SIGN


# The first row that fits counts. Columns: the conversation's state, the voice, the sign, whether all that was sent
# of the interviewer's voice was heard out.
ROWS: tuple[tuple[frozenset[State], frozenset[Voice], frozenset[Sign], frozenset[bool], Floor], ...] = (
    (_states(State.OVER, State.CONNECTING), _voices(), _signs(), _ANY, Floor.NOBODY),
    (_states(), _voices(), _signs(), frozenset({False}), Floor.INTERVIEWER),
    (_states(), _voices(), _signs(Sign.HOLD), _ANY, Floor.CANDIDATE),
    (_states(State.THINKING, State.SPEAKING), _voices(), _signs(Sign.WAITS), _ANY, Floor.CANDIDATE),
    (_states(State.THINKING), _voices(), _signs(), _ANY, Floor.THINKING),
    (_states(State.SPEAKING), _voices(), _signs(Sign.AT_WORK), _ANY, Floor.WORKING),
    (_states(State.SPEAKING), _voices(), _signs(), _ANY, Floor.STALLED),
    (_states(), _voices(Voice.SPEAKING), _signs(), _ANY, Floor.CANDIDATE),
    (_states(), _voices(Voice.SPOKE), _signs(Sign.AT_WORK), _ANY, Floor.WORKING),
    (_states(), _voices(Voice.SPOKE), _signs(), _ANY, Floor.OWED),
    (_states(State.AWAITED), _voices(), _signs(Sign.AT_WORK), _ANY, Floor.WORKING),
    (_states(), _voices(), _signs(Sign.ASKED), _ANY, Floor.OWED),
    # Nobody asked for anything: before the first word of an answer, or after a cough.
    (_states(), _voices(), _signs(), _ANY, Floor.CANDIDATE),
)


def _first(state: State, voice: Voice, sign: Sign, heard_out: bool) -> int:  # noqa: FBT001 - a column
    fits: Iterator[int] = (
        number
        for number, row in enumerate(ROWS)
        if state in row[0] and voice in row[1] and sign in row[2] and heard_out in row[3]
    )
    return next(fits)


# Every combination with the number of its row.
TABLE = {case: _first(*case) for case in product(State, Voice, Sign, (True, False))}


# After a change of connection it is the interviewer's turn where an answer was owed, or a reply broken off.
_OWING = frozenset({Floor.THINKING, Floor.WORKING, Floor.OWED, Floor.STALLED})
_UNDER_WAY = frozenset({State.AWAITED, State.SPEAKING, State.THINKING})


@dataclass(frozen=True, slots=True)
class Reading:
    """The holder of the floor, and ``since`` when: the instant from which a wait for them counts. Monotonic seconds.

    ``candidate_at``: when the candidate was last heard, by us or by Gemini; 0 for never.
    """

    floor: Floor
    since: float
    voice: Voice
    candidate_at: float


class Evidence:
    """Collects what one interview's evidence is; ``note`` comes after the conversation has received the event.

    ``silence``: PREPPALD_VAD_SILENCE, in seconds. ``interrupted_at``: when the candidate last spoke over a reply, until that is known to be meant, or answered.
    """

    def __init__(self, ear: Ear, hold: Hold, conversation: Conversation, *, silence: float) -> None:
        self.interrupted_at: float | None = None
        self._ear = ear
        self._hold = hold
        self._conversation = conversation
        self._silence = silence
        # Since the interviewer last began to speak, or chose to wait:
        self._words_at: float | None = None
        self._activity_at: float | None = None
        self._activity_ended_at: float | None = None
        self._activity_spoke = False
        self._worked_at: float | None = None
        self._asked_at: float | None = None
        self._waits = False
        # Whenever it was:
        self._last_word_at = 0.0
        # When Gemini was last back: an interview that another process began has no earlier time on this clock.
        self._back_at: float | None = None
        self._lost_at: float | None = None
        self._was_owed = conversation.owed

    # -------------------------------------------------------------- what comes in

    def hear(self, pcm: bytes, now: float) -> None:
        """Take the candidate's audio: s16le mono 16 kHz, of any length, that ended now."""
        if self._ear.take(pcm):
            self.close_block(now)

    def close_block(self, now: float) -> None:
        """Note that the ear has taken a block of the candidate's audio, which ended now."""
        self._ear.close_block(now, counts=now >= self._conversation.heard_out_at + ECHO_SECONDS)

    def note(self, event: object, now: float) -> None:
        """Take an event of the conversation or of its connection; most kinds say nothing here."""
        noting = self._NOTING.get(type(event))
        if noting is not None:
            noting(self, now)

    def replied(self) -> None:
        """Note that the interviewer began to speak: what was before is answered."""
        self._begin_anew()
        self.interrupted_at = None
        self._waits = False

    def asked(self, now: float) -> None:
        """Note that we asked the interviewer to speak, and now wait for it."""
        self._asked_at = now
        self._waits = False
        self.interrupted_at = None

    def lose(self, now: float) -> None:
        """Note that Gemini is lost; call it before the conversation knows, for who had the floor counts later."""
        floor, state = self.read(now).floor, self._conversation.state
        if floor is not Floor.NOBODY:
            broken_off = floor is Floor.INTERVIEWER and state in _UNDER_WAY
            self._was_owed = broken_off or floor in _OWING
        self._lost_at = now
        self._worked_at = None
        self.interrupted_at = None
        if self._in_activity:  # nobody will say when it ended
            self._activity_ended_at = now

    def _begin_anew(self) -> None:
        self._ear.reset()
        self._words_at = self._activity_at = self._activity_ended_at = None
        self._worked_at = self._asked_at = None
        self._activity_spoke = False

    def _text_heard(self, now: float) -> None:
        self._last_word_at = now
        # Text comes late, too: of an answer that the interviewer has replied to. An ear that heard this candidate
        # before, and has heard nothing since, knows that it is.
        if self._activity_at is not None or self._ear.stirred or not self._ear.ever:
            self._words_at = now
            self.interrupted_at = None

    def _text_answered(self, now: float) -> None:
        self._last_word_at = now
        self.asked(now)

    def _speech_began(self, now: float) -> None:
        self._activity_at = now
        self._activity_ended_at = None

    def _speech_ended(self, now: float) -> None:
        self._activity_ended_at = now
        # Where we heard something ourselves that counts; Gemini's notice comes after its silence.
        if self._activity_at is not None and not self._ear.any_voice:
            self._activity_spoke |= now - self._activity_at - self._silence >= VOICE_SECONDS

    def _back(self, now: float) -> None:
        self._back_at = now

    def _worked(self, now: float) -> None:
        self._worked_at = now

    def _chose_to_wait(self, _now: float) -> None:
        self._begin_anew()
        self._waits = True

    def _interrupted(self, now: float) -> None:
        if self._conversation.cut_short:
            self._ear.reset()
            self._words_at = None
            self.interrupted_at = now

    _NOTING: ClassVar[dict[type, Callable[[Any, float], None]]] = {
        TextHeard: _text_heard,
        TextAnswered: _text_answered,
        SpeechBegan: _speech_began,
        SpeechEnded: _speech_ended,
        AtWork: _worked,
        ToolCalled: _worked,
        UtteranceCompleted: _worked,
        WaitingForInput: _chose_to_wait,
        ReplyInterrupted: _interrupted,
        UpstreamReady: asked,
        UpstreamResumed: _back,
    }

    # -------------------------------------------------------------- what it says

    @property
    def voice_ended_at(self) -> float | None:
        """When the answer's voice was last heard, as we hear it; None where the interviewer was not answered aloud."""
        return self._ear.counted_at if self._ear.any_voice else None

    def read(self, now: float) -> Reading:
        """Return who has the floor at this instant."""
        conversation = self._conversation
        heard_out_at = conversation.heard_out_at
        if self._asked_at is not None and heard_out_at > self._asked_at:
            # A reply that had stalled goes on, and is no new one.
            self.replied()
        voice = self._voice(now)
        case = (conversation.state, voice, self._sign(), now >= heard_out_at)
        floor = ROWS[TABLE[case]][-1]
        since = _latest(heard_out_at, self._back_at)
        candidate_at = _latest(self._last_word_at, self._ear.counted_at)
        if floor is Floor.OWED:
            counted = None if self._sounds(now) else self._ear.counted_at
            # Gemini notices the end of a voice after its silence; where we heard it ourselves we know better.
            ended_at = self._activity_ended_at
            noticed = None if ended_at is None or self._ear.any_voice else ended_at - self._silence
            since = _latest(since, counted, self._words_at, noticed, self._asked_at)
        elif floor in {Floor.THINKING, Floor.WORKING}:
            since = _latest(since, conversation.since, self._worked_at)
        elif floor is Floor.STALLED:
            since = _latest(since, conversation.since)
        elif floor is Floor.CANDIDATE:
            since = _latest(since, candidate_at, self._hold.ended_at)
        return Reading(floor, since, voice, candidate_at)

    def speaking(self, now: float) -> bool:
        """Return whether the candidate is heard speaking."""
        return self._voice(now) is Voice.SPEAKING

    def prompt_due(self, now: float) -> bool:
        """Return whether the interviewer, which is back, has to be asked to go on: it was its turn, and still is.

        Where the candidate has spoken meanwhile, that is on its way to Gemini, which answers it by itself.
        """
        heard_at, lost_at = self._ear.heard_at, self._lost_at
        spoke_since = heard_at is not None and lost_at is not None and heard_at >= lost_at
        return self._was_owed and not spoke_since and not self.speaking(now)

    def _voice(self, now: float) -> Voice:
        if self._sounds(now):
            activity = self._activity_at if self._in_activity else None
            sound = self._ear.began_at if self._ear.speaking(now) else None
            began = min(at for at in (activity, sound) if at is not None)
            if now - max(began, self._last_word_at) < SOUND_SECONDS:
                return Voice.SPEAKING
        if self._words_at is not None or self._ear.spoke or self._activity_spoke:
            return Voice.SPOKE
        return Voice.BRIEF if self._ear.any_voice or self._activity_at is not None else Voice.NONE

    @property
    def _in_activity(self) -> bool:
        return self._activity_at is not None and self._activity_ended_at is None

    def _sounds(self, now: float) -> bool:
        return self._in_activity or self._ear.speaking(now)

    def _sign(self) -> Sign:
        if self._hold.on:
            return Sign.HOLD
        if self._waits:
            return Sign.WAITS
        if self._worked_at is not None:
            return Sign.AT_WORK
        return Sign.NOTHING if self._asked_at is None else Sign.ASKED


def _latest(first: float, *others: float | None) -> float:
    return max([first, *(at for at in others if at is not None)])
