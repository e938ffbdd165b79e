"""The dialogue between candidate and interviewer, as a state machine.

Rule 1: every change of state is a row of floor.TRANSITIONS; a hole in it is an error, never a guess.
Rule 2: nothing here knows about sockets, tasks or the time of day: the time comes in with each event.
Rule 3: audio is never held back or dropped here; only what the candidate spoke over is called stale.
"""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from preppald.core.events import (
    AtWork,
    AudioSpoken,
    Effect,
    Event,
    InterviewOver,
    Keep,
    Play,
    ReplyBegan,
    ReplyGenerated,
    ReplyInterrupted,
    SpeechBegan,
    SpeechEnded,
    StopPlaying,
    TextHeard,
    TextSpoken,
    TurnCompleted,
    UpstreamLost,
    UtteranceCompleted,
)
from preppald.core.floor import TRANSITIONS, State
from preppald.core.frames import BYTES_PER_SAMPLE, OUTPUT_BYTES_PER_SECOND
from preppald.core.minutes import Minutes
from preppald.core.playback import Playback
from preppald.core.turns import Speaker, Turn


class Conversation:
    """One interview's dialogue, over all of its connections.

    ``epoch_ms``: the wall clock in milliseconds at the monotonic time 0 that ``receive`` is told, so that
    a wall clock which jumps moves no turn. ``turns`` and ``last_seq``: what a journal already holds.
    """

    def __init__(self, *, epoch_ms: float, turns: Iterable[Turn] = (), last_seq: int = 0) -> None:
        self.state = State.CONNECTING
        self._ways = TRANSITIONS[self.state]
        self.since = 0.0
        self.candidate_speaking = False
        self._epoch_ms = epoch_ms
        self._minutes = Minutes(turns, last_seq)
        # The state before this one. Where a journal begins the dialogue, it knows whose turn was broken off.
        last = next(reversed(self.turns), None)
        owed = last is not None and (last.speaker is Speaker.USER or not last.complete)
        self._left = State.AWAITED if owed else State.CONNECTING
        # The interviewer's turn that was broken off: its rest never came.
        self._broken_off = last.number if owed and last is not None and last.speaker is Speaker.AI else None
        # True once this Gemini reported voice activity, and once it did since the interviewer last began.
        self._tells_activity = False
        self._spoke_since_reply = False
        self._speech_began_at: float | None = None
        self._speech_ended_at: float | None = None
        # In seconds.
        self._playback = Playback()
        # The reply under way: a byte of half a sample, and the audio so far.
        self._odd_byte = b""
        self._reply_began_at = 0.0
        self._reply_bytes = 0
        self._generated = False
        # True where the candidate spoke over the last reply before it was heard out.
        self._cut_short = False

    @property
    def turns(self) -> list[Turn]:
        """The transcript so far: the turns with text, in their order."""
        return self._minutes.turns

    @property
    def last_seq(self) -> int:
        return self._minutes.last_seq

    @property
    def begun(self) -> bool:
        """True once the interviewer spoke: an interviewer must not greet twice."""
        return len(self._minutes) > 0 or self._minutes.last(Speaker.AI) > 0

    @property
    def owed(self) -> bool:
        """True while CONNECTING, where the interviewer was to speak, or spoke, when Gemini was lost."""
        return self._left in {State.AWAITED, State.SPEAKING, State.THINKING}

    @property
    def unfinished(self) -> tuple[str, str]:
        """Where the interviewer is owed: the answer it was to reply to, and what was heard of that reply; "" for none.

        A session that is resumed knows neither: its handle is from before them.
        """
        turns = self.turns
        said = turns.pop().text if turns and turns[-1].number == self._broken_off else ""
        answered = turns and turns[-1].speaker is Speaker.USER
        return (turns[-1].text if answered else "", said)

    @property
    def heard_out_at(self) -> float:
        """When all that was sent of the interviewer's voice has been heard."""
        return self._playback.until

    @property
    def cut_short(self) -> bool:
        """True where the candidate spoke over the last reply before it was heard out."""
        return self._cut_short

    @property
    def last_heard(self) -> str:
        """The part of the interviewer's last turn that was heard."""
        spoken = (turn.spoken for turn in reversed(self.turns) if turn.speaker is Speaker.AI)
        return next(spoken, "")

    def quiet(self, now: float) -> bool:
        """True while neither side is in mid-speech: a good moment to change the connection."""
        calm = self.state in {State.LISTENING, State.PLAYING}
        return calm and not self.candidate_speaking and now >= self._playback.until

    def receive(self, event: Event, now: float) -> list[Effect]:
        """Take one event at the monotonic time ``now`` (seconds); return the effects for the shell, in order."""
        before = self.state
        self.state = self._ways[type(event)]
        if self.state is not before:
            self._ways = TRANSITIONS[self.state]
            self.since = now
            self._left = before
        handle = self._HANDLERS.get(type(event))
        return [] if handle is None else handle(self, event, now)

    # -------------------------------------------------------------- the interviewer

    def _audio_spoken(self, event: AudioSpoken, now: float) -> list[Effect]:
        effects = self._reply_begins(now)
        pcm = event.pcm
        if self._odd_byte:
            pcm = self._odd_byte + pcm
            self._odd_byte = b""
        if len(pcm) % BYTES_PER_SAMPLE:
            self._odd_byte, pcm = pcm[-1:], pcm[:-1]
        self._reply_bytes += len(pcm)
        self._playback.queue(len(pcm) / OUTPUT_BYTES_PER_SECOND, now)
        if pcm:
            effects.append(Play(pcm))
        return effects

    def _text_spoken(self, event: TextSpoken, now: float) -> list[Effect]:
        if self.state is State.CUT:
            return [self._rest_of_cut_turn(event.text, now)]
        effects = self._reply_begins(now)
        # Text may come after the candidate spoke over the voice: the turn began when the voice did.
        began = self._reply_began_at if self._minutes.open_turn(Speaker.AI) is None else now
        return [*effects, self._add(Speaker.AI, event.text, began)]

    def _rest_of_cut_turn(self, text: str, now: float) -> Effect:
        """Take a cut turn's late text: text runs behind audio. Where all of it does, the first piece counts as heard."""
        number = self._minutes.last(Speaker.AI)
        first = number not in self._minutes
        at_ms = self._wall_ms(self._reply_began_at if first else now)
        heard = len(text) if first and self._cut_short else None
        return Keep(self._minutes.write(number, Speaker.AI, text, at_ms, turn_complete=first, heard=heard))

    def _reply_begins(self, now: float) -> list[Effect]:
        """Begin a reply at its first sign: the candidate's turn is over, and a new clock runs."""
        if self._minutes.is_open(Speaker.AI):
            return []
        self._minutes.begin(Speaker.AI)
        self._broken_off = None
        self._spoke_since_reply = self.candidate_speaking = False
        self._reply_began_at = now
        self._reply_bytes = 0
        self._generated = False
        self._speech_began_at = None
        ended_at, self._speech_ended_at = self._speech_ended_at, None
        began = ReplyBegan(None if ended_at is None else now - ended_at)
        return [*self._close(Speaker.USER, now), began]

    def _interrupted(self, _event: ReplyInterrupted, now: float) -> list[Effect]:
        return [StopPlaying(), *self._cut(now)]

    def _reply_generated(self, _event: ReplyGenerated, _now: float) -> list[Effect]:
        self._generated = True
        return []

    def _turn_completed(self, _event: TurnCompleted | UtteranceCompleted, now: float) -> list[Effect]:
        return self._close(Speaker.AI, now)

    def _at_work(self, _event: AtWork, now: float) -> list[Effect]:
        if self.state in {State.AWAITED, State.THINKING}:
            # An answer that is being thought out is due after the last thought.
            self.since = now
        return []

    def _cut(self, now: float) -> list[Effect]:
        """Stop the reply at its playback; its turn keeps the whole text and says how much was heard."""
        unheard = self._playback.stop(now)
        self._odd_byte = b""
        turn = self._minutes.open_turn(Speaker.AI)
        sent = self._reply_bytes / OUTPUT_BYTES_PER_SECOND
        self._cut_short = bool(sent) and unheard > 0
        if turn is None or not self._cut_short:
            return self._close(Speaker.AI, now)
        played = max(0.0, sent - unheard)
        heard = _end_of_word(turn.text, round(len(turn.text) * played / sent))
        return self._close(Speaker.AI, now, heard=heard)

    def _lost(self, _event: UpstreamLost, now: float) -> list[Effect]:
        """Break the reply off: the audio sent will still be heard, but nothing more of it comes."""
        self.candidate_speaking = False
        self._odd_byte = b""
        turn = None if self._generated else self._minutes.open_turn(Speaker.AI)
        if turn is None:
            return self._close(Speaker.AI, now)
        self._broken_off = turn.number
        return self._close(Speaker.AI, now, heard=len(turn.text))

    def _over(self, _event: InterviewOver, now: float) -> list[Effect]:
        return [*self._cut(now), *self._close(Speaker.USER, now)]

    # -------------------------------------------------------------- the candidate

    def _speech_began(self, _event: SpeechBegan, now: float) -> list[Effect]:
        self._tells_activity = self._spoke_since_reply = self.candidate_speaking = True
        if not self._minutes.is_open(Speaker.USER):
            self._speech_began_at = now
        return []

    def _speech_ended(self, _event: SpeechEnded, now: float) -> list[Effect]:
        self.candidate_speaking = False
        self._speech_ended_at = now
        return []

    def _text_heard(self, event: TextHeard, now: float) -> list[Effect]:
        if not self._tells_activity:
            self._speech_ended_at = now
        if self.state is State.AWAITED:
            # Where text comes word by word, the answer is due after the last one.
            self.since = now
        if not self._minutes.is_open(Speaker.USER):
            replying = self._minutes.is_open(Speaker.AI)
            late = not self._spoke_since_reply and (replying or self._tells_activity)
            if late and self._minutes.last(Speaker.AI):
                return [self._heard_before_reply(event.text)]
            self._minutes.begin(Speaker.USER)
            # The text of a whole utterance comes at its end; the turn began when the voice did.
            now, self._speech_began_at = self._speech_began_at or now, None
        return [self._add(Speaker.USER, event.text, now)]

    def _heard_before_reply(self, text: str) -> Effect:
        """Place text that came late: it belongs before the reply that answered it, which may have no text yet."""
        before_ms = self._wall_ms(self._reply_began_at) - 1
        number = self._minutes.last(Speaker.USER)
        # The turn that the reply ended, or the one that an earlier piece of this text began.
        if number not in self._minutes or number < self._minutes.last(Speaker.AI) - 1:
            number = self._minutes.new_number(Speaker.USER)
        return Keep(self._minutes.write(number, Speaker.USER, text, before_ms, turn_complete=True))

    # -------------------------------------------------------------- turns

    def _add(self, speaker: Speaker, text: str, now: float) -> Effect:
        return Keep(self._minutes.add(speaker, text, self._wall_ms(now)))

    def _close(self, speaker: Speaker, now: float, heard: int | None = None) -> list[Effect]:
        closing = self._minutes.close(speaker, self._wall_ms(now), heard)
        return [] if closing is None else [Keep(closing)]

    def _wall_ms(self, now: float) -> int:
        return round(self._epoch_ms + now * 1000)

    # Looked up by type: an event of the hot path costs one dictionary access.
    _HANDLERS: ClassVar[dict[type[Event], Callable[[Any, Any, float], list[Effect]]]] = {
        AudioSpoken: _audio_spoken,
        TextSpoken: _text_spoken,
        ReplyInterrupted: _interrupted,
        ReplyGenerated: _reply_generated,
        UtteranceCompleted: _turn_completed,
        TurnCompleted: _turn_completed,
        AtWork: _at_work,
        SpeechBegan: _speech_began,
        SpeechEnded: _speech_ended,
        TextHeard: _text_heard,
        UpstreamLost: _lost,
        InterviewOver: _over,
    }


def _end_of_word(text: str, at: int) -> int:
    """Return the end of the word at this place: a word that was begun counts as heard."""
    if at <= 0:
        return 0
    space = text.find(" ", at)
    return len(text) if space < 0 else space
