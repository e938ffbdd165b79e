"""Where a word goes: the table, and every odd order of text, sound and flags that was seen."""

from collections.abc import Sequence

import pytest

from preppald.core.events import (
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
    TextHeard,
    TextSpoken,
    TurnCompleted,
    UpstreamLost,
)
from preppald.core.floor import State
from preppald.core.reply import end_of_word
from preppald.core.turns import CUT_MARK, CutReply, Fragment, Turn, fold, in_order, joined
from preppald.core.words import PLACES, HeardWord, Placement, Situation, SpokenWord
from tests.core.test_conversation import EPOCH_MS, Talk, kept, voice

# ------------------------------------------------------------------ the table

NO_REPLY = {"open": False, "cut": False, "over_for": None, "awaited": False}
NO_ANSWER = {
    "open": False,
    "replied": False,
    "replying": False,
    "tells_activity": False,
    "spoke_since": False,
    "answers_unheard": False,
    "over_for": None,
    "late_for": None,
}
REPLIED = {**NO_ANSWER, "replied": True, "over_for": 0.5}


def spoken(**known: object) -> Situation:
    return SpokenWord(**{**NO_REPLY, **known}).situation  # type: ignore[arg-type]


def heard(**known: object) -> Situation:
    return HeardWord(**{**NO_ANSWER, **known}).situation  # type: ignore[arg-type]


def test_every_situation_has_one_place() -> None:
    assert set(PLACES) == set(Situation)
    assert set(PLACES.values()) == set(Placement)


def test_while_a_reply_is_under_way_its_words_go_on() -> None:
    assert spoken(open=True, cut=True, over_for=9.0, awaited=True) is Situation.REPLY_UNDER_WAY


def test_words_of_a_cut_reply_are_late() -> None:
    assert spoken(cut=True, over_for=9.0, awaited=True) is Situation.REPLY_CUT


def test_words_just_behind_a_reply_are_its_rest() -> None:
    """For two seconds; for one where an answer was given meanwhile, for then a new reply may begin with text."""
    assert spoken(over_for=1.9) is Situation.REPLY_JUST_OVER
    assert spoken(over_for=0.9, awaited=True) is Situation.REPLY_JUST_OVER


def test_other_words_are_ahead_of_a_reply_to_come() -> None:
    assert spoken() is Situation.REPLY_TO_COME
    assert spoken(over_for=2.1) is Situation.REPLY_TO_COME
    assert spoken(over_for=1.1, awaited=True) is Situation.REPLY_TO_COME


def test_while_an_answer_is_under_way_its_words_go_on() -> None:
    assert heard(open=True, replied=True, replying=True, tells_activity=True) is Situation.ANSWER_UNDER_WAY


def test_words_during_a_reply_from_a_candidate_who_was_not_heard_since_are_overtaken() -> None:
    assert heard(replied=True, replying=True) is Situation.ANSWER_OVERTAKEN
    assert heard(replied=True, tells_activity=True) is Situation.ANSWER_OVERTAKEN
    assert heard(replied=True, replying=True, spoke_since=True) is Situation.ANSWER_TO_COME


def test_words_just_behind_a_reply_that_answered_nothing_are_what_it_answered() -> None:
    """And so are the pieces that follow them at once; a second's pause begins another answer."""
    missing = {**REPLIED, "answers_unheard": True}
    assert heard(**missing) is Situation.ANSWER_MISSING
    assert heard(**{**missing, "over_for": 3.1}) is Situation.ANSWER_TO_COME
    assert heard(**{**missing, "late_for": 1.4, "over_for": 4.0}) is Situation.ANSWER_MISSING
    assert heard(**{**missing, "late_for": 1.6}) is Situation.ANSWER_TO_COME


def test_all_other_words_begin_an_answer() -> None:
    assert heard() is Situation.ANSWER_TO_COME
    assert heard(**REPLIED) is Situation.ANSWER_TO_COME


# ------------------------------------------------------------------ what was seen

QUESTION = (voice(1), TextSpoken("Who are you?"), ReplyGenerated(), TurnCompleted())


def test_the_tail_of_a_reply_that_was_declared_over_joins_it_and_takes_no_floor() -> None:
    """Text fifty milliseconds behind turnComplete made a turn of its own, and switched the watchdog off."""
    talk = Talk()
    talk.at(1, voice(1), TextSpoken("Thank you, Anna. What was your "), ReplyGenerated())
    talk.at(2, TurnCompleted())
    tail = talk.at(2.05, TextSpoken("hardest project?"))
    assert talk.is_in(State.LISTENING)
    assert [fragment.late for fragment in kept(tail)] == [True]
    talk.at(4, TextHeard("The bridge"))
    talk.at(4.4, TextHeard(" in Oslo, in winter."))
    assert talk.is_in(State.AWAITED)
    talk.at(6, voice(1), TextSpoken("How many people worked there?"), ReplyGenerated())
    talk.at(7, TurnCompleted())
    assert talk.lines == [
        ("AI", "Thank you, Anna. What was your hardest project?"),
        ("USER", "The bridge in Oslo, in winter."),
        ("AI", "How many people worked there?"),
    ]
    assert talk.conversation.quiet(9)
    talk.at(9, UpstreamLost())
    assert not talk.conversation.owed


def test_a_tail_behind_the_first_word_of_an_answer_is_still_a_tail() -> None:
    """Older models report words while they are spoken, and no voice activity."""
    talk = Talk()
    talk.at(1, voice(1), TextSpoken("And your hardest "), ReplyGenerated(), TurnCompleted())
    talk.at(1.5, TextHeard("The bridge"))
    talk.at(1.9, TextSpoken("project?"))
    talk.at(2.5, TextHeard(" in Oslo."))
    assert talk.lines == [("AI", "And your hardest project?"), ("USER", "The bridge in Oslo.")]


def test_text_ahead_of_its_sound_is_the_reply_that_begins() -> None:
    """The answer is still awaited until there is something to hear."""
    talk = Talk()
    talk.at(1, *QUESTION)
    talk.at(4, SpeechBegan(), TextHeard("Ada."), SpeechEnded())
    talk.at(5, TextSpoken("How many "))
    assert talk.is_in(State.AWAITED)
    talk.at(7, TextSpoken("people?"))
    assert talk.conversation.since == 7
    effects = talk.at(7.5, voice(1))
    assert ReplyBegan(3.5) in effects
    talk.at(8, ReplyGenerated(), TurnCompleted())
    assert talk.lines == [("AI", "Who are you?"), ("USER", "Ada."), ("AI", "How many people?")]


def test_text_that_nobody_heard_is_nobodys_turn() -> None:
    """A reply without sound leaves the answer awaited, the candidate greeted by nobody, and no line behind."""
    talk = Talk()
    talk.at(1, TextSpoken("Hello there."), ReplyGenerated(), TurnCompleted())
    assert talk.is_in(State.AWAITED)
    assert talk.lines == []
    assert not talk.conversation.begun
    talk.at(9, *QUESTION)
    assert talk.lines == [("AI", "Who are you?")]
    lost = Talk()
    lost.at(1, *QUESTION)
    lost.at(4, SpeechBegan(), TextHeard("Ada."), SpeechEnded(), TextSpoken("How"), UpstreamLost())
    assert lost.conversation.owed
    assert lost.conversation.unfinished == ("Ada.", "")
    assert lost.lines[-1] == ("USER", "Ada.")


def test_late_sound_of_a_cut_reply_is_no_new_reply() -> None:
    """Its words stand with the reply that they are of, not behind the candidate's question."""
    talk = Talk()
    talk.at(10, voice(4), TextSpoken("Let us talk about the bridge"))
    talk.at(11, SpeechBegan(), ReplyInterrupted())
    talk.at(13, TextHeard("Which one?"), SpeechEnded())
    assert talk.is_in(State.AWAITED)
    effects = talk.at(13.1, voice(0.1), TextSpoken(" that you built in winter."))
    assert any(isinstance(effect, Play) for effect in effects)
    assert talk.is_in(State.AWAITED)
    talk.at(13.2, TurnCompleted())
    talk.at(14, voice(1), TextSpoken("The one in Oslo."), ReplyGenerated())
    assert [speaker for speaker, _ in talk.lines] == ["AI", "USER", "AI"]
    assert talk.conversation.turns[0].text == "Let us talk about the bridge that you built in winter."
    assert talk.lines[1:] == [("USER", "Which one?"), ("AI", "The one in Oslo.")]


def test_a_reply_whose_predecessor_was_never_closed_is_heard_from_its_first_half_second_on() -> None:
    talk = Talk()
    talk.at(10, voice(4), TextSpoken("Let us talk"))
    talk.at(11, SpeechBegan(), ReplyInterrupted())
    talk.at(13, TextHeard("Which one?"), SpeechEnded())
    began = [talk.at(14 + piece / 100, voice(0.04)) for piece in range(20)]
    assert [any(isinstance(it, ReplyBegan) for it in effects) for effects in began].index(True) == 12
    talk.at(14.3, TextSpoken("The one in Oslo."), ReplyGenerated(), TurnCompleted())
    assert talk.lines[-1] == ("AI", "The one in Oslo.")


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        ("I worked at Acme for three years.", "Then I moved to Oslo.", None),
        ("I worked at Acme for three years. ", "Then I moved to Oslo.", ""),
        ("I worked at Acme", " for three years.", ""),
        ("Ich war bei Acme.", "Dann ging ich nach Oslo.", None),
        ("私は三年間アクメで働きました。", "それからオスロに移りました。", ""),
        ("我在Acme工作了三年。", "然后我搬到了奥斯陆。", ""),
        ("나는 삼 년 동안 일했습니다.", "그리고 오슬로로 갔습니다.", None),
        ("ฉันทำงานที่แอคมีสามปี", "แล้วย้ายไปออสโล", None),
        ("Yes", ", of course.", ""),
        ("I like it 😀", "Very much.", None),
    ],
)
def test_utterances_are_joined_as_the_language_joins_sentences(
    first: str, second: str, text: str | None
) -> None:
    """A blank, none where the script has none or one is there; ``text``: what stands between them."""
    between = " " if text is None else text
    talk = Talk()
    talk.at(1, *QUESTION)
    talk.at(4, SpeechBegan(), TextHeard(first), SpeechEnded())
    talk.at(7, SpeechBegan(), TextHeard(second), SpeechEnded())
    assert talk.lines[-1] == ("USER", first + between + second)
    assert joined(first, second) == between + second


def test_pieces_that_bring_their_blanks_stay_as_they_are() -> None:
    """Without voice activity nothing says that an utterance ended, except a sentence that did."""
    talk = Talk()
    talk.at(1, *QUESTION)
    for piece in ("I fix", "ed it with 3.", "5 tools.", "Then I slept", "."):
        talk.at(5, TextHeard(piece))
    assert talk.lines[-1] == ("USER", "I fixed it with 3.5 tools. Then I slept.")


def test_answers_whose_words_come_behind_the_reply_stay_two_answers() -> None:
    """Without voice activity: the words follow the turnComplete of the reply that answered them."""
    talk = Talk()
    talk.at(1, *QUESTION)
    talk.at(6, voice(1), TextSpoken("What do you build?"), ReplyGenerated())
    talk.at(7, TurnCompleted())
    talk.at(7.1, TextHeard("I am Anna,"))
    talk.at(7.2, TextHeard(" a welder."))
    talk.at(10, TextHeard("Bridges."))
    talk.at(12, voice(1), TextSpoken("Where?"), ReplyGenerated(), TurnCompleted())
    assert talk.lines == [
        ("AI", "Who are you?"),
        ("USER", "I am Anna, a welder."),
        ("AI", "What do you build?"),
        ("USER", "Bridges."),
        ("AI", "Where?"),
    ]


@pytest.mark.parametrize("activity", [False, True])
def test_words_after_a_reply_that_was_heard_out_are_an_answer_though_its_turn_never_ended(
    *, activity: bool
) -> None:
    """GenerationComplete without turnComplete: the reply is over two seconds after it was heard out."""
    talk = Talk()
    talk.at(1, voice(2), TextSpoken("Who are you?"), ReplyGenerated())
    if activity:
        talk.at(8, SpeechBegan())
        talk.at(9, TextHeard("I am Ada."), SpeechEnded())
    else:
        talk.at(8, TextHeard("I am"), TextHeard(" Ada."))
    assert talk.is_in(State.AWAITED)
    assert any(isinstance(it, ReplyBegan) for it in talk.at(10, voice(2), TextSpoken("What next?")))
    assert talk.lines == [("AI", "Who are you?"), ("USER", "I am Ada."), ("AI", "What next?")]
    assert talk.conversation.turns[0].complete


def test_late_words_while_a_reply_without_its_end_is_heard_are_late_as_ever() -> None:
    """Its turnComplete may still come."""
    talk = Talk()
    talk.at(0.5, TextHeard("I am Ada,"))
    talk.at(1, voice(2), TextSpoken("And?"), ReplyGenerated())
    talk.at(4, TextHeard(" a welder."))
    assert talk.lines == [("USER", "I am Ada, a welder."), ("AI", "And?")]


def test_an_answer_that_came_in_time_is_followed_by_a_new_one() -> None:
    """However soon it comes: nothing is missing."""
    talk = Talk()
    talk.at(1, *QUESTION)
    talk.at(4, TextHeard("I am Anna."))
    talk.at(6, voice(1), TextSpoken("What do you build?"), ReplyGenerated())
    talk.at(7, TurnCompleted())
    talk.at(7.3, TextHeard("Bridges."))
    assert talk.lines[-1] == ("USER", "Bridges.")


# ------------------------------------------------------------------ how much was heard

SENTENCE = (
    "Thank you, Anna. That was a very good answer indeed, and I would like to hear a little more about the bridge "
    "that you built in Oslo in the middle of winter, with only nine people and one crane."
)
RATE = 15.0


def cut_reply(*, lead: float, pace: float, after: float, words: Sequence[str]) -> Talk:
    """A reply whose words come ``lead`` seconds of sound early, at ``pace`` times real time; cut ``after`` seconds."""
    talk = Talk()
    whole = sum(map(len, words)) / RATE
    piece = 0.04
    pieces = range(round(whole / piece))
    events: list[tuple[float, Event]] = [(10 + number * piece / pace, voice(piece)) for number in pieces]
    said = 0
    for word in words:
        events.append(
            (10 + max(0.0, said / RATE - lead) / pace - (0.001 if lead > 0 else 0), TextSpoken(word))
        )
        said += len(word)
    events.sort(key=lambda event: event[0])
    cut = False
    for at, event in events:
        if at >= 10 + after and not cut:
            cut = True
            talk.at(10 + after, ReplyInterrupted())
        if not cut or (isinstance(event, TextSpoken) and at < 10 + after + 2.5):
            talk.at(at, event)
    assert cut or talk.at(10 + after, ReplyInterrupted())
    talk.at(10 + after + 3, TurnCompleted())
    return talk


@pytest.mark.parametrize("pace", [1.0, 4.0])
@pytest.mark.parametrize("lead", [-2.0, -1.0, 0.0, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("after", [1.0, 2.5, 4.0, 7.0])
def test_the_heard_share_is_right_to_a_word_however_text_and_sound_are_apart(
    pace: float, lead: float, after: float
) -> None:
    """Text was seen three seconds ahead of its sound and two behind: four and nine words too many counted as heard."""
    words = [word + " " for word in SENTENCE.split()]
    talk = cut_reply(lead=lead, pace=pace, after=after, words=words)
    (turn,) = talk.conversation.turns
    ends = [sum(map(len, words[: number + 1])) / RATE for number in range(len(words))]
    truth = next(number for number, end in enumerate(ends, 1) if end >= after)
    count = len(turn.spoken.removesuffix(CUT_MARK).split())
    assert abs(count - truth) <= 1


def test_a_voice_that_is_known_says_how_much_of_a_text_that_came_at_once_was_heard() -> None:
    """All text with the first sound, and the cut before the rest: earlier replies tell how fast it is spoken."""
    talk = Talk()
    talk.at(1, voice(len(SENTENCE) / 10), TextSpoken(SENTENCE), ReplyGenerated())
    talk.at(30, TurnCompleted(), SpeechBegan(), TextHeard("Yes."), SpeechEnded())
    talk.at(40, voice(0.04), TextSpoken(SENTENCE), voice(5))
    talk.at(43, ReplyInterrupted())
    assert talk.conversation.turns[-1].heard == end_of_word(SENTENCE, 30)


def test_an_interruption_says_how_much_was_heard_of_which_turn() -> None:
    """Where nothing played any more there is nothing to say."""
    talk = Talk()
    talk.at(10, voice(4), TextSpoken("Hello there, tell me about a problem."))
    talk.at(12, ReplyInterrupted())
    assert talk.conversation.cut_reply == CutReply(1, 2000, len("Hello there, tell me"))
    other = Talk()
    other.at(10, voice(1), TextSpoken("Hello."), ReplyGenerated(), TurnCompleted())
    other.at(14, ReplyInterrupted())
    assert other.conversation.cut_reply is None


@pytest.mark.parametrize(
    ("text", "at", "heard"),
    [
        ("Hello there", 0, ""),
        ("Hello there", 1, "Hello"),
        ("Hello\nthere", 1, "Hello"),
        ("Hello\u3000there", 3, "Hello"),
        ("Hello there", 8, "Hello there"),
        ("我们来谈谈你的项目。然后呢?", 4, "我们来谈"),
        ("それでは始めましょう。", 5, "それでは始"),
        ("그럼 시작하겠습니다.", 4, "그럼 시작하겠습니다."),
        ("เรามาพูดคุยกันเกี่ยวกับโครงการของคุณกันเถอะ", 8, "เรามาพูดค"[:8]),
        ("ที่นี่ที่นี่ที่นี่ที่นี่ที่นี่", 1, "ที่"),
        ("x" * 40, 10, "x" * 10),
        ("Take your time 👩\u200d💻 please", 15, "Take your time 👩\u200d💻"),
        ("🎤🎤🎤 ready?", 1, "🎤🎤🎤"),
        ("𠮷野家で働きました", 1, "𠮷"),
    ],
)
def test_a_word_that_was_begun_was_heard(text: str, at: int, heard: str) -> None:
    """Any white space ends a word; where a script sets none, the cut stands where the sound was, on a whole letter."""
    end = end_of_word(text, at)
    assert text[:end].startswith(heard)
    assert len(text[:end]) - len(heard) <= 2


def test_a_reply_in_a_script_without_blanks_is_cut_where_it_was() -> None:
    text = "我们来谈谈你最难的项目。你在那里做了什么?为什么?"
    talk = Talk()
    talk.at(10, voice(5), TextSpoken(text), ReplyGenerated())
    talk.at(12, ReplyInterrupted())
    (turn,) = talk.conversation.turns
    assert turn.heard == round(len(text) * 2 / 5)


# ------------------------------------------------------------------ when it was


def test_every_turn_says_when_it_began_ended_and_was_first_heard() -> None:
    """Begin and end are the voice's; a reply is heard where the one before has played out."""
    talk = Talk()
    talk.at(1, voice(2), TextSpoken("Hello."), ReplyGenerated())
    talk.at(3, TurnCompleted())
    talk.at(4, SpeechBegan())
    talk.at(6, TextHeard("Ada."), SpeechEnded())
    talk.at(7, voice(4))
    talk.at(7.5, TextSpoken("I see."))
    talk.at(9, SpeechBegan(), ReplyInterrupted(), TurnCompleted())
    talk.at(10, TextHeard("Wait."), SpeechEnded())
    talk.at(12, InterviewOver())
    times = [
        [None if ms is None else ms - EPOCH_MS for ms in (turn.begin_ms, turn.end_ms, turn.sound_ms)]
        for turn in talk.conversation.turns
    ]
    assert times == [[1000, 3000, 1000], [4000, 6000, None], [7000, 9000, 7000], [9000, 10000, None]]


def test_a_fragment_of_an_older_version_is_read() -> None:
    """Its row has seven values; a newer one's more."""
    import msgspec  # noqa: PLC0415

    old = msgspec.json.decode(b'[1,1,"AI","Hello.",5,true,null]', type=Fragment)
    assert old == Fragment(1, 1, "AI", "Hello.", 5, turn_complete=True)  # type: ignore[arg-type]
    (turn,) = in_order(fold([old]).values())
    assert turn == Turn(1, "AI", "Hello.", 5, complete=True)  # type: ignore[arg-type]
    new = msgspec.json.decode(b'[1,1,"AI","Hello.",5,true,null,false,1,2,3,4]', type=Fragment)
    assert new.sound_ms == 3


def test_nothing_is_said_by_an_empty_reply() -> None:
    effects: list[Effect] = Talk().at(1, AudioSpoken(b""), TurnCompleted())
    assert not any(isinstance(effect, Keep | Play) for effect in effects)
