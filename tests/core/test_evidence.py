"""Who has the floor: the table is total, each row is needed, and the rules at its top hold in every case."""

from collections.abc import Sequence
from itertools import product

import pytest

from preppald.core.conversation import Conversation
from preppald.core.ear import Ear
from preppald.core.events import (
    AtWork,
    AudioSpoken,
    Event,
    ReplyBegan,
    ReplyGenerated,
    ReplyInterrupted,
    SpeechBegan,
    SpeechEnded,
    TextHeard,
    TurnCompleted,
    UpstreamLost,
    UpstreamReady,
    UpstreamResumed,
    WaitingForInput,
)
from preppald.core.evidence import ROWS, SOUND_SECONDS, TABLE, Evidence, Floor, Sign, Voice
from preppald.core.floor import State
from preppald.core.hold import Hold
from tests.candidates import silence, tone

CASES = set(product(State, Voice, Sign, (True, False)))
SECOND = bytes(48_000)


def test_every_case_is_in_the_table() -> None:
    assert set(TABLE) == CASES


@pytest.mark.parametrize("number", range(len(ROWS)))
def test_every_row_decides_something(number: int) -> None:
    assert number in TABLE.values()


def floor(case: tuple[State, Voice, Sign, bool]) -> Floor:
    return ROWS[TABLE[case]][-1]


def test_who_is_heard_speaking_owes_and_is_owed_nothing() -> None:
    """Rule 1. But for a reply that stalled, or goes on: there the connection is what is at fault."""
    for case in CASES:
        state, voice, _, _ = case
        if voice is Voice.SPEAKING and state not in {State.SPEAKING, State.THINKING}:
            assert floor(case) is not Floor.OWED


def test_under_hold_nothing_is_awaited() -> None:
    """Rule 2."""
    for case in CASES:
        if case[2] is Sign.HOLD:
            assert floor(case) in {Floor.CANDIDATE, Floor.INTERVIEWER, Floor.NOBODY}


def test_before_the_first_word_nothing_is_awaited() -> None:
    """Rule 2: the question was heard out, nobody spoke since, and nobody asked the interviewer for anything."""
    for state, voice, sign in product(State, (Voice.NONE, Voice.BRIEF), (Sign.NOTHING, Sign.WAITS)):
        if state not in {State.SPEAKING, State.THINKING}:
            assert floor((state, voice, sign, True)) in {Floor.CANDIDATE, Floor.NOBODY}


def test_who_is_at_work_owes_nothing_yet() -> None:
    """Rule 3."""
    for case in CASES:
        if case[2] is Sign.AT_WORK:
            assert floor(case) not in {Floor.OWED, Floor.STALLED}


class Talk:
    """A conversation with its evidence, at a time that the test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.conversation = Conversation(epoch_ms=0)
        ear = Ear()
        self.hold = Hold(ear)
        self.evidence = Evidence(ear, self.hold, self.conversation, silence=1.2)
        self.happen(UpstreamReady())

    def happen(self, *events: Event) -> None:
        for event in events:
            if isinstance(event, UpstreamLost):
                self.evidence.lose(self.now)
            effects = self.conversation.receive(event, self.now)
            if any(isinstance(effect, ReplyBegan) for effect in effects):
                self.evidence.replied()
            self.evidence.note(event, self.now)

    def hear(self, pcm: bytes) -> None:
        for at in range(0, len(pcm), 640):
            self.now += 0.02
            self.evidence.hear(pcm[at : at + 640], self.now)

    def greet(self) -> None:
        self.hear(silence(2))
        self.happen(AudioSpoken(SECOND), ReplyGenerated())
        self.hear(silence(1.1))
        self.happen(TurnCompleted())

    def floor(self) -> Floor:
        return self.evidence.read(self.now).floor


@pytest.fixture
def talk() -> Talk:
    found = Talk()
    found.greet()
    return found


def test_a_greeting_is_owed_from_the_setup_on() -> None:
    assert Talk().floor() is Floor.OWED


def test_while_sound_is_heard_nothing_is_owed() -> None:
    talk = Talk()
    talk.happen(AudioSpoken(SECOND))
    assert talk.floor() is Floor.INTERVIEWER
    talk.now += 1.0
    assert talk.floor() is Floor.STALLED
    assert talk.evidence.read(talk.now).since == 1.0


def test_after_a_question_the_candidate_thinks(talk: Talk) -> None:
    talk.hear(silence(100))
    assert talk.floor() is Floor.CANDIDATE


def test_an_answer_that_we_alone_heard_is_owed_a_reply_from_its_end_on(talk: Talk) -> None:
    """No voice activity, no word."""
    talk.hear(tone(3))
    ended = talk.now
    assert talk.floor() is Floor.CANDIDATE
    talk.hear(silence(2))
    reading = talk.evidence.read(talk.now)
    assert reading.floor is Floor.OWED
    assert reading.since == pytest.approx(ended, abs=0.15)


@pytest.mark.parametrize(
    "noticed", [(), (SpeechBegan(), SpeechEnded())], ids=["unnoticed", "noticed by Gemini"]
)
def test_a_cough_is_owed_nothing(talk: Talk, noticed: Sequence[Event]) -> None:
    talk.hear(tone(0.3))
    talk.happen(*noticed)
    talk.hear(silence(60))
    assert talk.floor() is Floor.CANDIDATE


def test_one_word_is_an_answer(talk: Talk) -> None:
    talk.hear(silence(1))
    talk.hear(tone(0.3))
    talk.happen(TextHeard("Yes."))
    talk.hear(silence(2))
    assert talk.floor() is Floor.OWED


def test_words_that_come_late_are_no_new_answer(talk: Talk) -> None:
    """Of the answer that this question followed: nobody has spoken since."""
    talk.hear(tone(2))
    talk.happen(TextHeard("I am"))
    talk.greet()
    talk.happen(TextHeard(" a welder."))
    talk.hear(silence(2))
    assert talk.floor() is Floor.CANDIDATE


def test_a_model_that_chose_to_wait_is_owed_nothing_and_owes_nothing(talk: Talk) -> None:
    talk.hear(tone(2))
    talk.happen(TextHeard("Let me think."), TurnCompleted(), WaitingForInput())
    talk.hear(silence(60))
    assert talk.floor() is Floor.CANDIDATE
    talk.hear(tone(2))
    talk.hear(silence(2))
    assert talk.floor() is Floor.OWED, "what was said after that is an answer"


def test_a_thought_is_a_sign_of_work(talk: Talk) -> None:
    talk.hear(tone(2))
    talk.happen(TextHeard("I fixed it."))
    talk.hear(silence(3))
    talk.happen(AtWork())
    assert talk.floor() is Floor.WORKING
    assert talk.evidence.read(talk.now).since == talk.now


def test_sound_without_a_new_word_holds_back_for_a_minute_only(talk: Talk) -> None:
    """A radio in the room. Its loudness varies as speech does."""
    talk.hear(tone(1.5))
    talk.happen(TextHeard("I fixed it."))
    word_at = talk.now
    while talk.now < word_at + SOUND_SECONDS - 3:
        talk.hear(tone(1.0) + silence(0.5))
        assert talk.floor() is Floor.CANDIDATE
    talk.hear((tone(1.0) + silence(0.5)) * 4)
    reading = talk.evidence.read(talk.now)
    assert (reading.floor, reading.since) == (Floor.OWED, word_at)


def test_after_a_change_in_the_middle_of_an_answer_no_prompt_is_due(talk: Talk) -> None:
    talk.hear(tone(2))
    talk.happen(TextHeard("I fixed"))
    talk.hear(tone(2))
    talk.happen(UpstreamLost())
    assert not talk.evidence.prompt_due(talk.now)
    talk.hear(silence(5))
    assert not talk.evidence.prompt_due(talk.now), "what was said is on its way, and is answered without"


def test_after_a_change_while_an_answer_was_owed_the_prompt_is_due(talk: Talk) -> None:
    talk.hear(tone(2))
    talk.happen(TextHeard("I fixed it."))
    talk.hear(silence(3))
    talk.happen(UpstreamLost())
    talk.now += 1.0
    assert talk.evidence.prompt_due(talk.now)


def test_after_a_cough_and_a_change_no_prompt_is_due(talk: Talk) -> None:
    talk.hear(tone(0.3))
    talk.happen(SpeechBegan(), SpeechEnded())
    talk.hear(silence(3))
    talk.happen(UpstreamLost())
    assert not talk.evidence.prompt_due(talk.now)


def test_an_activity_that_nobody_ends_holds_nothing_back_after_a_change(talk: Talk) -> None:
    talk.happen(AudioSpoken(SECOND))
    talk.happen(SpeechBegan(), UpstreamLost())
    talk.now += 2.0
    assert talk.evidence.prompt_due(talk.now)
    talk.happen(UpstreamResumed())
    assert talk.floor() is Floor.CANDIDATE


def test_an_interruption_is_in_doubt_until_a_word_comes(talk: Talk) -> None:
    talk.happen(AudioSpoken(SECOND * 5))
    talk.hear(tone(0.3))
    talk.happen(SpeechBegan(), ReplyInterrupted(), TurnCompleted(), SpeechEnded())
    assert talk.evidence.interrupted_at == talk.now
    talk.happen(TextHeard("Wait."))
    assert talk.evidence.interrupted_at is None
