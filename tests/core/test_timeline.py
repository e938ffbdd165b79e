"""Times of turns, and what follows from them: the numbers of a talk, and captions."""

import itertools

import pytest

from preppald.commands.webvtt import CUE_CHARACTERS, webvtt
from preppald.core.quality import quality, word_count
from preppald.core.timeline import Spoken, spoken
from preppald.core.turns import Fragment, Speaker, Turn, fold

STARTED_MS = 1_800_000_000_000
LENGTH_MS = 60_000


def turn(
    number: int,
    speaker: Speaker,
    text: str,
    begin: int,
    end: int | None = None,
    *,
    sound: int | None = None,
    heard: int | None = None,
) -> Turn:
    """Times in milliseconds since the interview began."""
    return Turn(
        number,
        speaker,
        text,
        STARTED_MS + begin,
        complete=True,
        heard=heard,
        begin_ms=STARTED_MS + begin,
        end_ms=None if end is None else STARTED_MS + end,
        sound_ms=None if sound is None else STARTED_MS + sound,
    )


TALK = [
    turn(1, Speaker.AI, "Tell me about a project that you are proud of.", 1_000, 5_000, sound=1_200),
    turn(2, Speaker.USER, "I fixed a race in the scheduler.", 7_000, 11_000),
    turn(3, Speaker.AI, "How did you find it? Take your time.", 11_700, 13_000, sound=12_000, heard=20),
    turn(4, Speaker.USER, "With a trace.", 12_900, 14_000),
    turn(5, Speaker.AI, "Thank you.", 14_500, 16_000, sound=15_100),
]


def times(turns: list[Turn], ended_ms: int | None = STARTED_MS + LENGTH_MS) -> list[tuple[int, int]]:
    return [(it.begin_ms, it.end_ms) for it in spoken(turns, STARTED_MS, ended_ms)]


def test_a_reply_begins_when_it_is_heard() -> None:
    """Its first sound was sent at 11.7 s and heard at 12.0 s, behind the rest of another."""
    assert times(TALK) == [
        (1_200, 5_000),
        (7_000, 11_000),
        (12_000, 13_000),
        (12_900, 14_000),
        (15_100, 16_000),
    ]


def test_both_texts_of_a_cut_reply_are_kept() -> None:
    cut = spoken(TALK, STARTED_MS)[2]
    assert (cut.turn.spoken, cut.unheard) == ("How did you find it? [interrupted]", "Take your time.")
    assert [it.unheard for it in spoken(TALK, STARTED_MS) if it is not cut] == ["", "", cut.unheard, "", ""]


def test_an_end_that_nobody_noted_is_the_next_beginning_at_the_latest() -> None:
    """Old journals have none, nor has a turn that a kill left open."""
    long = turn(1, Speaker.AI, "a" * 150, 0)
    assert times([long, turn(2, Speaker.USER, "b", 4_000, 5_000)])[0] == (0, 4_000)
    assert times([long, turn(2, Speaker.USER, "b", 40_000, 50_000)])[0] == (0, 10_000)
    assert times([long], STARTED_MS + 3_000) == [(0, 3_000)]
    assert times([long], None) == [(0, 10_000)]


def test_no_time_is_outside_the_interview() -> None:
    """Clocks are set back, and a reply that was sent is still playing when all ends."""
    assert times([turn(1, Speaker.AI, "a", -500, 90_000)]) == [(0, LENGTH_MS)]
    assert times([turn(1, Speaker.AI, "a", 5_000, 4_000)]) == [(5_000, 5_000)]


def test_the_numbers_of_a_talk() -> None:
    told = quality(spoken(TALK, STARTED_MS, STARTED_MS + LENGTH_MS), LENGTH_MS)
    assert (told.candidate_turns, told.interviewer_turns, told.interruptions) == (2, 3, 1)
    # 11.0 to 12.0 s, and 14.0 to 15.1 s.
    assert (told.waits, told.wait_p50_ms, told.wait_p99_ms, told.wait_longest_ms) == (2, 1_000, 1_100, 1_100)
    assert (told.candidate_ms, told.interviewer_ms) == (5_100, 5_700)
    assert told.candidate_share == pytest.approx(5_100 / 10_800, abs=0.001)
    assert told.candidate_silence_ms == LENGTH_MS - 14_000
    assert told.interviewer_silence_ms == LENGTH_MS - 16_000
    assert told.words_a_minute == pytest.approx(10 * 60_000 / 5_100, abs=0.1)


def test_typed_words_are_none_of_those_a_minute() -> None:
    """They took none of the time of the voice, alone in their turn or behind spoken ones."""
    at = STARTED_MS + 20_000
    typed = Fragment(1, 9, Speaker.USER, "word " * 100, at, answer=1, begin_ms=at, end_ms=at)
    told = quality(spoken([*TALK, *fold([typed]).values()], STARTED_MS, STARTED_MS + LENGTH_MS), LENGTH_MS)
    assert told.candidate_turns == 3
    assert told.words_a_minute == pytest.approx(10 * 60_000 / 5_100, abs=0.1)
    mixed = fold(
        [
            Fragment(1, 1, Speaker.USER, "ten " * 10, STARTED_MS, begin_ms=STARTED_MS + 1),
            Fragment(2, 1, Speaker.USER, " and typed", STARTED_MS, answer=1),
            Fragment(3, 1, Speaker.USER, " ten" * 10, STARTED_MS, end_ms=STARTED_MS + 10_001),
        ]
    )
    told = quality(spoken(list(mixed.values()), STARTED_MS, STARTED_MS + LENGTH_MS), LENGTH_MS)
    assert told.words_a_minute == pytest.approx(20 * 6)


def test_a_talk_in_which_nothing_was_said() -> None:
    told = quality([], LENGTH_MS)
    assert told.wait_p50_ms is None
    assert told.candidate_share is None
    assert told.words_a_minute is None
    assert told.candidate_silence_ms == told.interviewer_silence_ms == LENGTH_MS


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("I fixed a race.", 4),
        ("well — then", 2),
        ("我修复了它。", 5),
        ("我用 Python 写", 4),
        ("정말 좋아요", 2),
        ("42 %", 1),
    ],
)
def test_words_are_counted_in_any_script(text: str, count: int) -> None:
    assert word_count(text) == count


# ------------------------------------------------------------------ captions


def test_captions() -> None:
    assert webvtt(spoken(TALK[:3], STARTED_MS)) == (
        "WEBVTT\n\n"
        "00:00:01.200 --> 00:00:05.000\n<v Interviewer>Tell me about a project that you are proud of.\n\n"
        "00:00:07.000 --> 00:00:11.000\n<v Candidate>I fixed a race in the scheduler.\n\n"
        "00:00:12.000 --> 00:00:13.000\n<v Interviewer>How did you find it? [interrupted]\n"
    )


def test_captions_of_nothing() -> None:
    assert webvtt([]) == "WEBVTT\n"


def test_what_players_would_obey_is_text() -> None:
    """Angle brackets are tags in a cue, and a blank line or an arrow would begin another one."""
    said = Spoken(turn(1, Speaker.USER, "<b>a & b</b>\n\n00:01 --> 00:02", 0), 0, 1_000)
    body = webvtt([said]).split("\n\n", 1)[1]
    assert (
        body
        == "00:00:00.000 --> 00:00:01.000\n<v Candidate>&lt;b&gt;a &amp; b&lt;/b&gt; 00:01 --&gt; 00:02\n"
    )


@pytest.mark.parametrize("text", ["word " * 400, "字" * 900, "Yes. " * 200, "x" * 1000])
def test_long_turns_are_cut_into_captions_that_fit(text: str) -> None:
    """Nothing is lost, times go on without a gap, and the last ends where the turn ends."""
    cues = webvtt([Spoken(turn(1, Speaker.USER, text, 0), 5_000, 3_725_000)]).strip().split("\n\n")[1:]
    shown = [cue.split("<v Candidate>")[1] for cue in cues]
    assert max(map(len, shown)) <= CUE_CHARACTERS
    assert "".join(shown).replace(" ", "") == text.replace(" ", "")
    bounds = [cue.splitlines()[0].split(" --> ") for cue in cues]
    assert bounds[0][0] == "00:00:05.000"
    assert bounds[-1][1] == "01:02:05.000"
    assert all(before[1] == after[0] for before, after in itertools.pairwise(bounds))
