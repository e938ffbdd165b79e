"""The dialogue as a state machine: every order that Gemini's events can come in, and what the transcript says."""

from hypothesis import given, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
import pytest

from preppald.core.conversation import Conversation
from preppald.core.events import (
    AtWork,
    AudioSpoken,
    DialogueEvent,
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
    UpstreamReady,
    UpstreamResumed,
    UtteranceCompleted,
    WaitingForInput,
)
from preppald.core.floor import TRANSITIONS, State
from preppald.core.frames import OUTPUT_BYTES_PER_SECOND
from preppald.core.turns import CUT_MARK, Fragment, Speaker, fold, in_order

EPOCH_MS = 1_800_000_000_000.0
DIALOGUE: tuple[type[Event], ...] = (
    AudioSpoken,
    TextSpoken,
    TextHeard,
    SpeechBegan,
    SpeechEnded,
    ReplyInterrupted,
    ReplyGenerated,
    UtteranceCompleted,
    TurnCompleted,
    AtWork,
    WaitingForInput,
)
TALKING = [state for state in State if state not in {State.CONNECTING, State.OVER}]


def voice(seconds: float) -> AudioSpoken:
    return AudioSpoken(bytes(2 * round(seconds * OUTPUT_BYTES_PER_SECOND / 2)))


def kept(effects: list[Effect]) -> list[Fragment]:
    return [effect.fragment for effect in effects if isinstance(effect, Keep)]


class Talk:
    """A conversation and all that came out of it."""

    def __init__(self, *, ready: bool = True) -> None:
        self.conversation = Conversation(epoch_ms=EPOCH_MS)
        self.effects: list[Effect] = []
        self.now = 0.0
        if ready:
            self.at(0.0, UpstreamReady())

    def at(self, now: float, *events: Event) -> list[Effect]:
        self.now = now
        new: list[Effect] = []
        for event in events:
            new += self.conversation.receive(event, now)
        self.effects += new
        return new

    def is_in(self, state: State) -> bool:
        return self.conversation.state is state

    @property
    def fragments(self) -> list[Fragment]:
        return kept(self.effects)

    @property
    def lines(self) -> list[tuple[str, str]]:
        return [(turn.speaker.value, turn.spoken) for turn in self.conversation.turns]


# ------------------------------------------------------------------ the table


@pytest.mark.parametrize("state", TALKING)
def test_while_gemini_is_there_every_event_of_it_has_a_row(state: State) -> None:
    """Gemini keeps no order: whatever it says is foreseen in every state, and so are its loss and the end."""
    assert set(TRANSITIONS[state]) == {*DIALOGUE, UpstreamLost, TextAnswered, InterviewOver}


@pytest.mark.parametrize("state", State)
def test_every_state_has_a_row_and_is_reached_by_one(state: State) -> None:
    """A state that cannot be entered would be a state that nobody tests."""
    reached = {to for row in TRANSITIONS.values() for to in row.values()}
    assert state in TRANSITIONS
    assert state in reached


def test_without_gemini_only_the_shell_is_heard() -> None:
    """Nothing of an old connection may move the dialogue."""
    assert set(TRANSITIONS[State.CONNECTING]) == {
        UpstreamReady,
        UpstreamResumed,
        UpstreamLost,
        TextAnswered,
        InterviewOver,
    }
    assert not TRANSITIONS[State.OVER]


@pytest.mark.parametrize("event", [TurnCompleted(), UpstreamReady(), InterviewOver()])
def test_a_hole_in_the_table_is_an_error(event: Event) -> None:
    """Never a guess: what was not foreseen is a bug, and says so."""
    talk = Talk()
    talk.at(1, InterviewOver())
    with pytest.raises(KeyError):
        talk.at(2, event)


# ------------------------------------------------------------------ any order

TEXTS = st.text(alphabet="abc é😀", min_size=1, max_size=8)
EVENTS: st.SearchStrategy[DialogueEvent] = st.one_of(
    st.builds(AudioSpoken, st.binary(min_size=1, max_size=9)),
    st.builds(TextSpoken, TEXTS),
    st.builds(TextHeard, TEXTS),
    *(
        st.just(event)
        for event in (
            SpeechBegan(),
            SpeechEnded(),
            ReplyInterrupted(),
            ReplyGenerated(),
            UtteranceCompleted(),
            TurnCompleted(),
            AtWork(),
            WaitingForInput(),
        )
    ),
)


class AnyOrder(RuleBasedStateMachine):
    """Gemini says anything at all, comes and goes; the promises of the transcript hold all the time."""

    def __init__(self) -> None:
        super().__init__()
        self.talk = Talk(ready=False)
        self.said: list[tuple[Speaker, str]] = []
        self.connected = False

    @precondition(lambda self: not self.connected)
    @rule(ready=st.booleans(), dt=st.floats(0, 2))
    def gemini_comes(self, dt: float, *, ready: bool) -> None:
        self.connected = True
        self.talk.at(self.talk.now + dt, UpstreamReady() if ready else UpstreamResumed())

    @precondition(lambda self: self.connected)
    @rule(dt=st.floats(0, 2))
    def gemini_goes(self, dt: float) -> None:
        self.connected = False
        self.talk.at(self.talk.now + dt, UpstreamLost())

    @precondition(lambda self: self.connected)
    @rule(event=EVENTS, dt=st.sampled_from([0.0, 0.0001, 0.3, 5.0]))
    def gemini_says(self, event: DialogueEvent, dt: float) -> None:
        effects = self.talk.at(self.talk.now + dt, event)
        if isinstance(event, TextSpoken | TextHeard):
            speaker = Speaker.AI if isinstance(event, TextSpoken) else Speaker.USER
            fragments = [fragment for fragment in kept(effects) if fragment.text]
            # Between two utterances of one turn there is a blank, where neither brought one.
            (fragment,) = fragments
            assert fragment.speaker is speaker
            assert fragment.text in {event.text, " " + event.text}
            self.said.append((speaker, fragment.text))
        else:
            assert not any(fragment.text for fragment in kept(effects))
        for effect in effects:
            assert not isinstance(effect, Play) or len(effect.pcm) % 2 == 0

    @invariant()
    def fragments_are_numbered_one_by_one(self) -> None:
        numbers = [fragment.seq for fragment in self.talk.fragments]
        assert numbers == list(range(1, len(numbers) + 1))
        assert self.talk.conversation.last_seq == len(numbers)

    @invariant()
    def the_journal_would_say_the_same(self) -> None:
        assert self.talk.conversation.turns == in_order(fold(self.talk.fragments).values())

    @invariant()
    def no_text_is_lost_and_none_is_changed(self) -> None:
        for speaker in Speaker:
            kept_text = [fragment.text for fragment in self.talk.fragments if fragment.speaker is speaker]
            assert "".join(kept_text) == "".join(text for who, text in self.said if who is speaker)
        for turn in fold(self.talk.fragments).values():
            assert turn.heard is None or 0 <= turn.heard <= len(turn.text)

    def teardown(self) -> None:
        self.talk.at(self.talk.now + 1, InterviewOver())
        self.the_journal_would_say_the_same()
        assert not self.talk.conversation._minutes._open


TestAnyOrder = AnyOrder.TestCase


@given(st.lists(st.binary(max_size=7), max_size=30))
def test_an_odd_byte_waits_for_its_other_half(parts: list[bytes]) -> None:
    """Gemini may cut its audio anywhere; whole samples come out, and not a byte is lost or moved."""
    talk = Talk()
    for part in parts:
        talk.at(1, AudioSpoken(part))
    heard = b"".join(effect.pcm for effect in talk.effects if isinstance(effect, Play))
    sent = b"".join(parts)
    assert heard == sent[: len(sent) & ~1]


def test_half_a_sample_is_not_played() -> None:
    """An empty AudioResponse would be a message about nothing."""
    talk = Talk()
    assert not any(isinstance(effect, Play) for effect in talk.at(1, AudioSpoken(b"a")))
    assert talk.at(1, AudioSpoken(b"bc"))[-1] == Play(b"ab")


def test_an_odd_byte_does_not_outlive_its_reply() -> None:
    """After a barge-in the next reply begins on a sample's border: else all of it would be noise."""
    talk = Talk()
    talk.at(1, AudioSpoken(b"abc"), ReplyInterrupted(), TurnCompleted())
    assert talk.at(2, AudioSpoken(b"12"))[-1] == Play(b"12")
    talk.at(3, AudioSpoken(b"3"), UpstreamLost(), UpstreamResumed())
    assert talk.at(4, AudioSpoken(b"45"))[-1] == Play(b"45")


def test_an_interview_goes_on_from_what_the_journal_holds() -> None:
    """After a restart numbers go on where they were, and the interviewer does not greet again."""
    talk = Talk()
    talk.at(1, voice(1), TextSpoken("Hello."), ReplyGenerated())
    talk.at(2, TurnCompleted(), SpeechBegan(), SpeechEnded(), TextHeard("Hi."))
    journal = talk.fragments
    again = Conversation(epoch_ms=EPOCH_MS, turns=fold(journal).values(), last_seq=journal[-1].seq)
    assert again.begun
    again.receive(UpstreamResumed(), 100)
    new = kept(again.receive(voice(1), 101) + again.receive(TextSpoken("Go on."), 101))
    assert new[0].seq == journal[-1].seq + 1
    assert again.turns == in_order(fold(journal + new).values())
    assert [turn.text for turn in again.turns] == ["Hello.", "Hi.", "Go on."]


# ------------------------------------------------------------------ a talk as it should be


def test_a_greeting_an_answer_and_a_reply_become_three_turns() -> None:
    """Each with the time at which it began, closed when the other one takes over or the reply is over."""
    talk = Talk()
    assert talk.is_in(State.AWAITED)
    assert not talk.conversation.begun
    assert talk.at(1, voice(2))[0] == ReplyBegan(None)
    talk.at(1.5, TextSpoken("Hello. "), TextSpoken("Who are you?"), ReplyGenerated())
    assert talk.is_in(State.PLAYING)
    talk.at(3, TurnCompleted())
    assert talk.is_in(State.LISTENING)
    talk.at(4, SpeechBegan())
    assert talk.conversation.candidate_speaking
    talk.at(7, TextHeard("I am Ada."), SpeechEnded())
    assert talk.is_in(State.AWAITED)
    assert talk.at(7.5, voice(1))[-2] == ReplyBegan(0.5)
    talk.at(8, TextSpoken("Fine."), ReplyGenerated(), TurnCompleted())
    assert talk.lines == [("AI", "Hello. Who are you?"), ("USER", "I am Ada."), ("AI", "Fine.")]
    turns = talk.conversation.turns
    assert all(turn.complete for turn in turns)
    assert [turn.started_ms - EPOCH_MS for turn in turns] == [1000, 4000, 7500]


def test_an_interviewer_who_says_that_more_is_to_come_keeps_the_floor() -> None:
    """Two utterances are two turns, and between them nobody may take the moment for a quiet one."""
    talk = Talk()
    talk.at(1, voice(1), TextSpoken("Let me think."), ReplyGenerated(), UtteranceCompleted())
    assert talk.is_in(State.THINKING)
    assert not talk.conversation.quiet(20)
    talk.at(20, voice(1), TextSpoken("Who are you?"), ReplyGenerated(), TurnCompleted())
    assert talk.is_in(State.LISTENING)
    assert talk.conversation.quiet(22)
    assert talk.lines == [("AI", "Let me think."), ("AI", "Who are you?")]
    assert all(turn.complete for turn in talk.conversation.turns)


def test_a_thought_that_leads_to_nothing_gives_the_floor_back() -> None:
    talk = Talk()
    talk.at(1, voice(1), TextSpoken("Let me think."), ReplyGenerated(), UtteranceCompleted())
    talk.at(5, TurnCompleted())
    assert talk.is_in(State.LISTENING)
    assert talk.conversation.since == 5


def test_a_candidate_may_speak_into_a_thought() -> None:
    """The answer to that is what is awaited then."""
    talk = Talk()
    talk.at(1, voice(1), TextSpoken("Let me think."), ReplyGenerated(), UtteranceCompleted())
    talk.at(5, SpeechBegan())
    assert talk.is_in(State.LISTENING)
    talk.at(7, TextHeard("Take your time."), SpeechEnded())
    assert talk.is_in(State.AWAITED)
    assert talk.lines == [("AI", "Let me think."), ("USER", "Take your time.")]


def test_a_connection_lost_over_a_thought_leaves_an_answer_owed() -> None:
    talk = Talk()
    talk.at(1, voice(1), TextSpoken("Let me think."), ReplyGenerated(), UtteranceCompleted())
    talk.at(5, UpstreamLost())
    assert talk.conversation.owed


def test_the_delay_is_counted_from_the_words_where_gemini_tells_of_no_activity() -> None:
    """Older models send no voice activity: the transcription is the last sign of speech."""
    talk = Talk()
    talk.at(1, voice(1), TextSpoken("Hello."), ReplyGenerated(), TurnCompleted())
    talk.at(5, TextHeard("Hi."))
    assert talk.is_in(State.AWAITED)
    assert ReplyBegan(0.75) in talk.at(5.75, voice(1))


def test_a_reply_without_content_is_still_awaited() -> None:
    """Gemini sometimes completes a turn that it never gave: the watchdog must go on waiting."""
    talk = Talk()
    talk.at(1, ReplyGenerated(), TurnCompleted())
    assert talk.is_in(State.AWAITED)
    assert talk.conversation.since == 0


def test_a_thought_is_a_sign_of_life() -> None:
    """An interviewer at work is not nudged: the answer is due after the last thought."""
    talk = Talk()
    for second in range(1, 15):
        talk.at(second, AtWork())
    assert talk.is_in(State.AWAITED)
    assert talk.conversation.since == 14


def test_a_model_that_chose_to_wait_owes_nothing() -> None:
    """It heard "let me think about that": the floor is the candidate's."""
    talk = Talk()
    talk.at(1, voice(1), TextSpoken("Hello."), ReplyGenerated(), TurnCompleted())
    talk.at(5, SpeechBegan(), TextHeard("Let me think."), SpeechEnded(), TurnCompleted(), WaitingForInput())
    assert talk.is_in(State.LISTENING)


def test_a_quiet_moment_is_one_in_which_nobody_is_in_the_middle_of_something() -> None:
    """Connections are changed then: not while someone speaks, nor while a reply still plays."""
    talk = Talk()
    assert not talk.conversation.quiet(0)
    talk.at(1, voice(4), TextSpoken("Hello."))
    assert not talk.conversation.quiet(2)
    talk.at(2, ReplyGenerated())
    assert not talk.conversation.quiet(4.9)
    assert talk.conversation.quiet(5.1)
    talk.at(6, TurnCompleted(), SpeechBegan())
    assert not talk.conversation.quiet(7)
    talk.at(7, SpeechEnded())
    assert not talk.conversation.quiet(8)


# ------------------------------------------------------------------ barge-in

GREETING = "Hello there, tell me about a problem."


def cut_at(now: float, *, audio: float = 4.0, text: str = GREETING) -> Talk:
    """A greeting whose audio of so many seconds came at 10 s, spoken over at ``now``."""
    talk = Talk()
    talk.at(10, voice(audio), TextSpoken(text))
    talk.at(now, ReplyInterrupted())
    return talk


def test_a_reply_that_was_spoken_over_stops_at_once() -> None:
    """The shell is told to stop before anything is written down."""
    talk = Talk()
    talk.at(10, voice(4), TextSpoken(GREETING))
    effects = talk.at(11, ReplyInterrupted())
    assert effects[0] == StopPlaying()
    assert talk.is_in(State.CUT)


@pytest.mark.parametrize(
    ("now", "spoken"),
    [
        (10.3, "Hello" + CUT_MARK),
        (12.0, "Hello there, tell me" + CUT_MARK),
        (13.9, GREETING + CUT_MARK),
    ],
)
def test_a_cut_turn_ends_where_its_playback_was(now: float, spoken: str) -> None:
    """Text runs ahead of sound; the transcript keeps it all, and shows what was heard to the end of its word."""
    talk = cut_at(now)
    (turn,) = talk.conversation.turns
    assert turn.text == GREETING
    assert turn.cut
    assert turn.complete
    assert turn.spoken == spoken


def test_a_turn_of_which_nothing_was_heard_is_not_in_the_transcript() -> None:
    """Its text is kept all the same, in the fragments."""
    talk = cut_at(10)
    assert talk.conversation.turns == []
    assert "".join(fragment.text for fragment in talk.fragments) == GREETING


def test_a_turn_that_was_heard_out_is_not_cut() -> None:
    """An interruption may come after the last sample was played."""
    talk = cut_at(14.5)
    assert talk.lines == [("AI", GREETING)]


def test_the_rest_of_a_cut_turns_text_belongs_to_it() -> None:
    """Text runs behind audio, too: what comes after the interruption was not heard."""
    talk = cut_at(12, text="Hello there")
    talk.at(12.1, TextSpoken(", tell me."), TurnCompleted())
    assert talk.is_in(State.LISTENING)
    assert talk.lines == [("AI", "Hello there" + CUT_MARK)]
    assert talk.conversation.turns[0].text == "Hello there, tell me."


def test_text_that_comes_only_after_the_cut_is_a_cut_turn() -> None:
    """Audio came, was spoken over, and only then its text: nothing says how much of it was heard."""
    talk = Talk()
    talk.at(10, voice(4))
    talk.at(12, ReplyInterrupted())
    talk.at(12.1, TextSpoken("Hello there, tell me."), TurnCompleted())
    (turn,) = talk.conversation.turns
    assert turn.cut
    assert turn.complete
    assert turn.spoken == "Hello there, tell me." + CUT_MARK


def test_words_that_cut_a_reply_stand_after_it_whatever_came_first() -> None:
    """The reply's text may come after the candidate was noticed; its voice was heard before."""
    talk = Talk()
    talk.at(10, voice(4))
    talk.at(12, SpeechBegan())
    talk.at(12.1, TextSpoken("Hello there, tell me."), ReplyInterrupted(), TurnCompleted())
    talk.at(14, TextHeard("One moment."), SpeechEnded())
    assert [speaker for speaker, _ in talk.lines] == ["AI", "USER"]
    other = Talk()
    other.at(10, voice(4))
    other.at(12, SpeechBegan(), ReplyInterrupted())
    other.at(12.1, TextSpoken("Hello there, tell me."), TurnCompleted())
    other.at(14, TextHeard("One moment."), SpeechEnded())
    assert [speaker for speaker, _ in other.lines] == ["AI", "USER"]


def test_the_next_reply_is_heard_even_when_the_turn_was_never_completed() -> None:
    """A lost turnComplete must not silence the interviewer."""
    talk = cut_at(12)
    effects = talk.at(15, voice(1), TextSpoken("Sorry, go on."))
    assert ReplyBegan(None) in effects
    assert any(isinstance(effect, Play) for effect in effects)
    assert talk.lines[-1] == ("AI", "Sorry, go on.")


def test_an_interruption_with_nothing_to_interrupt_stops_what_still_plays() -> None:
    """Gemini interrupts replies of which nothing was sent yet; the browser may still play the one before."""
    talk = Talk()
    assert talk.at(1, ReplyInterrupted()) == [StopPlaying()]
    assert talk.is_in(State.LISTENING)


def test_the_end_of_the_interview_cuts_what_plays_and_closes_what_is_open() -> None:
    """A candidate who presses end in the middle of a reply heard half of it."""
    talk = Talk()
    talk.at(10, voice(4), TextSpoken(GREETING))
    talk.at(12, InterviewOver())
    assert talk.lines == [("AI", "Hello there, tell me" + CUT_MARK)]
    other = Talk()
    other.at(1, voice(1), TextSpoken("Hello."), TurnCompleted())
    other.at(5, SpeechBegan(), TextHeard("I am"))
    other.at(6, InterviewOver())
    assert [turn.complete for turn in other.conversation.turns] == [True, True]


# ------------------------------------------------------------------ losing Gemini


def test_a_reply_that_breaks_off_says_so() -> None:
    """What was sent is still heard; the rest never came."""
    talk = Talk()
    talk.at(10, voice(4), TextSpoken("Hello there"))
    talk.at(10.5, UpstreamLost())
    assert talk.is_in(State.CONNECTING)
    assert talk.conversation.owed
    assert talk.lines == [("AI", "Hello there" + CUT_MARK)]


def test_what_a_resumed_session_must_be_told_is_the_answer_and_what_was_heard_of_the_reply() -> None:
    talk = Talk()
    talk.at(1, voice(1), TextSpoken("Hello."), ReplyGenerated(), TurnCompleted())
    talk.at(5, SpeechBegan(), TextHeard("I fixed a race."), SpeechEnded())
    talk.at(6, UpstreamLost())
    assert talk.conversation.unfinished == ("I fixed a race.", "")
    talk.at(7, UpstreamReady(), voice(4), TextSpoken("How did you"))
    talk.at(8, UpstreamLost())
    assert talk.conversation.unfinished == ("I fixed a race.", "How did you")
    again = Conversation(
        epoch_ms=EPOCH_MS, turns=talk.conversation.turns, last_seq=talk.conversation.last_seq
    )
    assert again.unfinished == ("", ""), "a turn that was closed is not the one that a restart broke off"
    talk.at(9, UpstreamReady(), voice(1), TextSpoken(" find it?"), ReplyGenerated(), TurnCompleted())
    assert talk.conversation.unfinished == ("", "")


def test_a_reply_that_a_restart_broke_off_is_unfinished() -> None:
    talk = Talk()
    talk.at(1, voice(1), TextSpoken("Hello. Who"))
    again = Conversation(
        epoch_ms=EPOCH_MS, turns=talk.conversation.turns, last_seq=talk.conversation.last_seq
    )
    assert again.owed
    assert again.unfinished == ("", "Hello. Who")


def test_a_reply_that_the_candidate_cut_is_not_unfinished() -> None:
    """They did not want to hear the rest."""
    talk = cut_at(12)
    talk.at(13, TurnCompleted(), SpeechBegan(), SpeechEnded(), UpstreamLost())
    assert talk.conversation.owed
    assert talk.conversation.unfinished == ("", "")


def test_a_reply_that_was_complete_is_not_marked() -> None:
    """Losing Gemini while the last words play loses nothing."""
    talk = Talk()
    talk.at(10, voice(4), TextSpoken("Hello there."), ReplyGenerated())
    talk.at(10.5, UpstreamLost())
    assert not talk.conversation.owed
    assert talk.lines == [("AI", "Hello there.")]


def test_an_answer_that_was_being_given_goes_on_in_its_turn() -> None:
    """The candidate does not notice a change of connections; the transcript does not either."""
    talk = Talk()
    talk.at(1, voice(1), TextSpoken("Hello."), TurnCompleted())
    talk.at(5, SpeechBegan(), TextHeard("I fixed "))
    talk.at(6, UpstreamLost(), UpstreamResumed())
    assert not talk.conversation.candidate_speaking
    talk.at(7, SpeechBegan(), TextHeard("a race."), SpeechEnded())
    assert talk.lines[-1] == ("USER", "I fixed a race.")


# ------------------------------------------------------------------ words that come late


def test_the_candidates_words_may_come_after_the_reply_began() -> None:
    """They are the answer to the question before, and stand before the reply."""
    talk = Talk()
    talk.at(1, voice(1), TextSpoken("Hello. "), TurnCompleted())
    talk.at(5, SpeechBegan(), SpeechEnded())
    talk.at(6, voice(1), TextSpoken("I see."))
    talk.at(6.5, TextHeard("I fixed a race."))
    assert [speaker for speaker, _ in talk.lines] == ["AI", "USER", "AI"]
    assert talk.is_in(State.SPEAKING)


def test_the_candidates_words_may_come_after_the_reply_was_over() -> None:
    """Even after its turnComplete, as long as nothing new was said."""
    talk = Talk()
    talk.at(1, voice(1), TextSpoken("Hello. "), TurnCompleted())
    talk.at(5, SpeechBegan(), SpeechEnded())
    talk.at(6, voice(1), TextSpoken("I see."), ReplyGenerated(), TurnCompleted())
    talk.at(7.5, TextHeard("I fixed a race."))
    assert talk.lines == [("AI", "Hello. "), ("USER", "I fixed a race."), ("AI", "I see.")]


def test_late_words_come_before_a_reply_whose_text_is_not_there_yet() -> None:
    """Sound comes first, then what was heard, then what is said: still question, answer, reply."""
    talk = Talk()
    talk.at(1, voice(1), TextSpoken("Hello. "), TurnCompleted())
    talk.at(5, SpeechBegan(), SpeechEnded())
    talk.at(6, voice(1))
    talk.at(6.5, TextHeard("I fixed a race."))
    talk.at(6.5, TextSpoken("I see."))
    assert talk.lines == [("AI", "Hello. "), ("USER", "I fixed a race."), ("AI", "I see.")]


def test_late_words_in_pieces_are_one_turn() -> None:
    """Older models send what they heard word by word."""
    talk = Talk()
    talk.at(1, voice(1), TextSpoken("Hello. "), TurnCompleted())
    talk.at(6, voice(1), TextSpoken("I see."))
    for word in ("I ", "fixed ", "a race."):
        talk.at(6.5, TextHeard(word))
    assert talk.lines == [("AI", "Hello. "), ("USER", "I fixed a race."), ("AI", "I see.")]


def test_late_words_join_what_had_come_in_time() -> None:
    """The turn before the reply is theirs, though it was closed."""
    talk = Talk()
    talk.at(1, voice(1), TextSpoken("Hello. "), TurnCompleted())
    talk.at(5, TextHeard("I fixed "))
    talk.at(6, voice(1), TextSpoken("I see."))
    talk.at(6.5, TextHeard("a race."))
    assert talk.lines == [("AI", "Hello. "), ("USER", "I fixed a race."), ("AI", "I see.")]


def test_words_spoken_over_a_reply_are_a_turn_of_their_own() -> None:
    """With voice activity it is known that they are new."""
    talk = Talk()
    talk.at(1, voice(4), TextSpoken("Hello. "))
    talk.at(2, SpeechBegan(), ReplyInterrupted(), TurnCompleted())
    talk.at(3, TextHeard("One moment."), SpeechEnded())
    assert [speaker for speaker, _ in talk.lines] == ["AI", "USER"]
