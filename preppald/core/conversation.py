"""The dialogue between candidate and interviewer, as a state machine.

Rule 1: every change of state is a row of floor.TRANSITIONS; a hole in it is an error, never a guess.
Rule 2: nothing here knows about sockets, tasks or the time of day: the time comes in with each event.
Rule 3: audio is never held back or dropped here; only what the candidate spoke over is called stale.
Rule 4: a word's turn is decided by core.words and its flags by core.floor: text moves nobody's floor but the
        candidate's, for a text without sound is heard by nobody.
"""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from preppald.core.answering import Answering
from preppald.core.ear import Ear
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
    TextAnswered,
    TextHeard,
    TextSpoken,
    TurnCompleted,
    UpstreamLost,
    UtteranceCompleted,
)
from preppald.core.floor import TRANSITIONS, State
from preppald.core.frames import OUTPUT_BYTES_PER_SECOND
from preppald.core.minutes import Minutes
from preppald.core.playback import Playback, Samples
from preppald.core.reply import OVERDUE_SECONDS, STALE_SECONDS, Reply, Stale
from preppald.core.turns import CutReply, Speaker, Turn
from preppald.core.words import PLACES, Placement, spoken_word

# Sound that comes at the pace of speech comes in pieces of up to 250 ms.
STORELESS_SECONDS = 0.25


class Conversation:
    """One interview's dialogue, over all of its connections.

    ``epoch_ms``: the wall clock in milliseconds at the monotonic time 0 that ``receive`` is told, so that
    a wall clock which jumps moves no turn. ``ear``: hears the candidate for us; without it Gemini's notices say when a
    voice began and ended. ``silence``: PREPPALD_VAD_SILENCE, in seconds. ``turns`` and ``last_seq``: what a journal
    already holds.
    """

    def __init__(
        self,
        *,
        epoch_ms: float,
        ear: Ear | None = None,
        silence: float = 0.0,
        turns: Iterable[Turn] = (),
        last_seq: int = 0,
    ) -> None:
        self.state = State.CONNECTING
        self._ways = TRANSITIONS[self.state]
        self.since = 0.0
        self._epoch_ms = epoch_ms
        self._minutes = Minutes(turns, last_seq)
        # The state before this one. Where a journal begins the dialogue, it knows whose turn was broken off.
        last = next(reversed(self.turns), None)
        owed = last is not None and (last.speaker is Speaker.USER or not last.complete)
        self._left = State.AWAITED if owed else State.CONNECTING
        # The interviewer's turn that was broken off: its rest never came.
        self._broken_off = last.number if owed and last is not None and last.speaker is Speaker.AI else None
        self._answering = Answering(self._minutes, epoch_ms, ear, silence)
        # True where the page plays every reply to its end: nothing counts as unheard then.
        self.plays_all = False
        # In seconds.
        self._playback = Playback()
        # The last reply of this process: under way, or over. Half a sample waits for its other half.
        self._reply: Reply | None = None
        self._samples = Samples()
        self._stale = Stale()
        # Characters a second of the interviewer's replies, as the last one that was heard out had them.
        self._rate: float | None = None
        # True once the interviewer was heard, or the candidate understood.
        self._begun = bool(self.turns)

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
        return self._begun

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
        return self._reply is not None and self._reply.cut

    @property
    def cut_reply(self) -> CutReply | None:
        """How much of the last reply was heard, where the candidate spoke over it; None where it was heard out."""
        return None if self._reply is None else self._reply.cut_reply

    @property
    def last_heard(self) -> str:
        """The part of the interviewer's last turn that was heard."""
        spoken = (turn.spoken for turn in reversed(self.turns) if turn.speaker is Speaker.AI)
        return next(spoken, "")

    @property
    def candidate_speaking(self) -> bool:
        """True between Gemini's reports that the candidate began and stopped speaking."""
        return self._answering.speaking

    def quiet(self, now: float) -> bool:
        """True while neither side is in mid-speech: a good moment to change the connection."""
        calm = self.state in {State.LISTENING, State.PLAYING}
        return calm and not self._answering.speaking and now >= self._playback.until

    def receive(self, event: Event, now: float) -> list[Effect]:
        """Take one event at the monotonic time ``now`` (seconds); return the effects for the shell, in order."""
        if now < self._stale.until and type(event) is AudioSpoken and self._stale.takes(event):
            return self._stale_audio(event, now)
        if self.state is State.PLAYING and self._overdue(now):
            return [*self._take(TurnCompleted(), self._playback.until), *self._take(event, now)]
        return self._take(event, now)

    def _overdue(self, now: float) -> bool:
        """Return whether a reply that was generated has been heard out for so long that its turnComplete is lost."""
        return now - self._playback.until > OVERDUE_SECONDS

    def _take(self, event: Event, now: float) -> list[Effect]:
        before = self.state
        self.state = self._ways[type(event)]
        if self.state is not before:
            self._ways = TRANSITIONS[self.state]
            self.since = now
            self._left = before
        handle = self._HANDLERS.get(type(event))
        return [] if handle is None else handle(self, event, now)

    # -------------------------------------------------------------- the interviewer's sound

    def _audio_spoken(self, event: AudioSpoken, now: float) -> list[Effect]:
        effects = self._reply_sounds(now)
        pcm = self._samples.whole(event.pcm)
        seconds = len(pcm) / OUTPUT_BYTES_PER_SECOND
        reply = self._reply
        assert reply is not None  # noqa: S101 - it sounds
        first = not reply.sounding
        reply.add_sound(seconds)
        begins = self._playback.queue(seconds, now)
        if first:
            self._minutes.times(reply.number, begin_ms=self._wall_ms(now), sound_ms=self._wall_ms(begins))
        if pcm:
            effects.append(Play(pcm))
        return effects

    def _stale_audio(self, event: AudioSpoken, now: float) -> list[Effect]:
        """Play what is probably the rest of a cut reply: it moves nothing, and begins no turn."""
        if self._stale.muted:
            return []
        pcm = self._samples.whole(event.pcm)
        self._playback.queue(len(pcm) / OUTPUT_BYTES_PER_SECOND, now)
        return [Play(pcm)] if pcm else []

    def _reply_sounds(self, now: float) -> list[Effect]:
        """Begin playback at a reply's first sound: the candidate's turn is over, and a new clock runs."""
        reply = self._reply
        if reply is not None and reply.over_at is None:
            if reply.sounding:
                return []
        else:
            reply = self._open_reply(now)
        # Somebody was heard, or else the last reply answered words that are still to come.
        between = self._minutes.open_number(Speaker.USER) or self._minutes.last(Speaker.USER)
        reply.answers_unheard = self._begun and between < self._minutes.last_before(Speaker.AI, reply.number)
        self._begun = True
        self._broken_off = None
        self._stale = Stale()
        ended_at = self._answering.ended_at
        closing = self._answering.reply_began(now)
        return [*map(Keep, closing), ReplyBegan(None if ended_at is None else now - ended_at)]

    def _open_reply(self, now: float) -> Reply:
        self._reply = Reply(self._minutes.begin(Speaker.AI), now, rate=self._rate)
        return self._reply

    # -------------------------------------------------------------- the interviewer's words

    def _text_spoken(self, event: TextSpoken, now: float) -> list[Effect]:
        if self.state in {State.AWAITED, State.THINKING}:
            # The answer is being written: its sound is due from here on.
            self.since = now
        reply = self._reply
        cut = self._stale.until > now or self.state is State.CUT
        found = spoken_word(reply, now, cut=cut, awaited=self.state is State.AWAITED)
        place = PLACES[found.situation]
        if reply is None or place is Placement.NEW:
            reply = self._open_reply(now)
        return [
            self._late_tail(reply, event.text, now)
            if place is Placement.LATE
            else self._spoken(reply, event.text, now)
        ]

    def _spoken(self, reply: Reply, text: str, now: float) -> Effect:
        # Text may come after the candidate spoke over the voice: the turn began when the voice did.
        first = reply.number not in self._minutes
        reply.add_text(text)
        return Keep(self._minutes.add(Speaker.AI, text, self._wall_ms(reply.began_at if first else now)))

    def _late_tail(self, reply: Reply, text: str, now: float) -> Effect:
        """Add text to a reply that is over: the flag came before it, as flags may."""
        first = reply.number not in self._minutes
        reply.add_text(text)
        if not reply.cut:
            reply.over_at = now
        at_ms = self._wall_ms(reply.began_at if first else now)
        heard = reply.heard_chars() if reply.cut else None
        return Keep(
            self._minutes.write(reply.number, Speaker.AI, text, at_ms, turn_complete=first, heard=heard)
        )

    # -------------------------------------------------------------- how a reply ends

    def _interrupted(self, _event: ReplyInterrupted, now: float) -> list[Effect]:
        reply = self._reply
        typed_over = self._stale.muted
        if typed_over or (reply is not None and reply.over_at is None):
            self._stale = Stale(until=now + STALE_SECONDS)
        # Where the candidate typed, the page was told then.
        return [] if typed_over else [StopPlaying(), *self._cut(now)]

    def _reply_generated(self, _event: ReplyGenerated, _now: float) -> list[Effect]:
        if self._reply is not None and self._reply.over_at is None:
            self._reply.generated = True
        return []

    def _turn_completed(self, _event: TurnCompleted | UtteranceCompleted, now: float) -> list[Effect]:
        self._stale = Stale()
        reply = self._reply
        if reply is not None and reply.over_at is None:
            self._rate = reply.typical_rate() or self._rate
        return self._close_reply(now)

    def _at_work(self, _event: AtWork, now: float) -> list[Effect]:
        if self.state in {State.AWAITED, State.THINKING}:
            # An answer that is being thought out is due after the last thought.
            self.since = now
        return []

    def _cut(self, now: float) -> list[Effect]:
        """Stop the reply at its playback; its turn keeps the whole text and says how much was heard."""
        if self.plays_all:
            return self._close_reply(now)
        reply = self._reply
        ended_for = now - self._playback.until
        unheard = self._playback.stop(now)
        self._samples = Samples()
        if reply is None or reply.over_at is not None or not reply.sounding:
            return self._close_reply(now)
        # One that comes no faster than it plays has nothing in store, and is cut all the same.
        if unheard > 0 or (not reply.generated and ended_for <= STORELESS_SECONDS):
            reply.cut_off(max(0.0, reply.seconds - unheard))
            return self._close_reply(now, heard=reply.heard_chars())
        return self._close_reply(now)

    def _lost(self, _event: UpstreamLost, now: float) -> list[Effect]:
        """Break the reply off: the audio sent will still be heard, but nothing more of it comes."""
        self._answering.lost()
        self._samples = Samples()
        self._stale = Stale()
        reply = self._reply
        turn = self._minutes.open_turn(Speaker.AI)
        if reply is None or turn is None or reply.generated or not reply.sounding:
            return self._close_reply(now)
        self._broken_off = turn.number
        return self._close_reply(now, heard=len(turn.text))

    def _over(self, _event: InterviewOver, now: float) -> list[Effect]:
        return [*self._cut(now), *map(Keep, self._answering.close(now))]

    def _close_reply(self, now: float, heard: int | None = None) -> list[Effect]:
        reply = self._reply
        if reply is None or reply.over_at is not None:
            return []
        reply.over_at = now
        if reply.sounding:
            # Gemini's notice comes a little behind the last sound.
            self._minutes.times(reply.number, end_ms=self._wall_ms(self._playback.until))
        else:
            heard = 0  # text without sound is nobody's turn
        closing = self._minutes.close(Speaker.AI, self._wall_ms(now), heard)
        return [] if closing is None else [Keep(closing)]

    # -------------------------------------------------------------- the candidate

    def _speech_began(self, event: SpeechBegan, now: float) -> list[Effect]:
        self._answering.speech_began(now, event.behind)
        return []

    def _speech_ended(self, event: SpeechEnded, now: float) -> list[Effect]:
        self._answering.speech_ended(now, event.behind)
        return []

    def _text_heard(self, event: TextHeard, now: float) -> list[Effect]:
        if self.state is State.AWAITED:
            # Where text comes word by word, the answer is due after the last one.
            self.since = now
        self._begun = True
        return [Keep(self._answering.hear(event.text, self._reply, now))]

    def _text_answered(self, event: TextAnswered, now: float) -> list[Effect]:
        """Take an answer that was typed: it ends a reply that is still heard, and a spoken answer goes on with it."""
        if self.state is State.CONNECTING:
            self._left = State.AWAITED
            self._broken_off = None
        cutting: list[Effect] = []
        reply = self._reply
        under_way = reply is not None and reply.over_at is None
        if under_way or now < self._playback.until:
            if reply is not None and under_way and not reply.generated:
                self._stale = Stale(until=now + STALE_SECONDS, muted=True)
            cutting = [StopPlaying(), *self._cut(now)]
        self._begun = True
        return [*cutting, Keep(self._answering.take_typed(event, now))]

    # -------------------------------------------------------------- turns

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
        TextAnswered: _text_answered,
        UpstreamLost: _lost,
        InterviewOver: _over,
    }
