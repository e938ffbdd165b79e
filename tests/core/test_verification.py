"""The judge of two texts: its rules one by one. tests/verification holds it to 8000 turns."""

import pytest

from preppald.core.verification import MOST_WORDS, Flag, judge, words
from preppald.core.writing import guessed, may_be

SAID = (
    "well I joined the team in spring and we found that two threads could take the same job because the lock "
    "was released too early so I wrote a test"
)
GERMAN = "Ich bin im Frühjahr in das Team gekommen und wir haben gemerkt, dass zwei Fäden dasselbe tun"


def flag(live: str, second: str, seconds: float = 12.0) -> Flag:
    return judge(live, second, seconds).flag


def test_the_same_words_are_the_same_in_any_dress() -> None:
    """Case, marks, width and blanks are no words."""
    found = judge("\uff37ell, I joined — the TEAM!", "well i joined the team", 3.0)
    assert (found.flag, found.confidence, found.second_is_better) == (Flag.OK, 1.0, False)


@pytest.mark.parametrize(
    ("live", "expected"),
    [
        (SAID.split(" ", 6)[6], Flag.START_MISSING),
        (" ".join(SAID.split()[:-6]), Flag.END_MISSING),
        (SAID.replace("two threads could take the same job ", ""), Flag.WORDS_MISSING),
        (SAID.replace("spring", "spring after I had seen the world and learned a trade"), Flag.INVENTED),
        (GERMAN, Flag.OTHER_LANGUAGE),
        ("我在春天加入了团队", Flag.OTHER_LANGUAGE),
        ("thank you for watching and do not forget to like my channel and to be with us", Flag.INVENTED),
        ("", Flag.UNHEARD),
        (SAID.replace("spring", "string").replace("job", "shop").replace("wrote", "wrote down"), Flag.OK),
    ],
)
def test_each_kind(live: str, expected: Flag) -> None:
    found = judge(live, SAID, 12.0)
    assert found.flag is expected
    assert found.second_is_better is (expected is not Flag.OK)
    assert 0.0 <= found.confidence <= 1.0


def test_a_word_or_two_are_no_defect() -> None:
    """In a turn of three words nothing can be told but that all of it is wrong."""
    assert flag("yes I did", "yes I did it") is Flag.OK
    assert flag("I did", "yes well I did") is Flag.OK
    assert flag("", "hm", seconds=0.4) is Flag.OK
    assert flag("", "", seconds=4.0) is Flag.OK


def test_words_that_the_better_ear_heard_nothing_of_are_invented() -> None:
    assert judge("thank you for watching", "", 0.3).flag is Flag.INVENTED
    assert judge("you", "", 0.3).flag is Flag.OK, "one word is no more than the difference of two ears"


@pytest.mark.parametrize(
    ("live", "second", "expected"),
    [
        ("early so", "because the lock was released too early so", Flag.START_MISSING),
        ("because the", "because the lock was released too early", Flag.END_MISSING),
        ("yes I have seen the world and learned a trade", "yes", Flag.INVENTED),
        ("bitte nicht", "of course", Flag.OTHER_LANGUAGE),
        ("当然", "of course I would", Flag.OTHER_LANGUAGE),
        ("yes", "yeah", Flag.OK),
        ("是", "对", Flag.OK),
        ("是", "yes and that it was for you", Flag.OTHER_LANGUAGE),
    ],
)
def test_short_turns(live: str, second: str, expected: Flag) -> None:
    """Most of one may be missing, and one word may be another."""
    assert flag(live, second, seconds=1.5) is expected


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Hello, world", ["hello", "world"]),
        ("我用Python写3个", ["我", "用", "python", "写", "3", "个"]),
        ("정말 좋아요.", ["정말", "좋아요"]),
        ("it's", ["its"]),
        ("क्या हुआ", ["क्या", "हुआ"]),
        ("— … !", []),
    ],
)
def test_words(text: str, found: list[str]) -> None:
    assert words(text) == found


def test_a_turn_without_end_is_judged_in_bounded_time() -> None:
    """All of it the same word is the worst for an alignment."""
    assert flag("a " * MOST_WORDS * 3, "b " * MOST_WORDS * 3) is Flag.OTHER_LANGUAGE


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (SAID, "en"),
        (GERMAN, "de"),
        ("我在春天加入了团队", "zh"),
        ("春にチームに入りました", "ja"),
        ("저는 봄에 팀에 들어갔습니다", "ko"),
        ("я пришёл в команду весной", "ru"),
        ("hm", None),
        ("", None),
        ("team 我在 ok 加入", None),
    ],
)
def test_languages_are_guessed(text: str, language: str | None) -> None:
    assert guessed(text) == language


def test_a_language_that_cannot_be_told_may_be_the_expected_one() -> None:
    assert may_be(GERMAN, ("de-DE", "en-US"))
    assert not may_be(GERMAN, ("en-US",))
    assert not may_be("我在春天加入了团队", ("en-US",))
    assert may_be("我在春天加入了团队", ("ja-JP",))
    assert may_be("hm", ("zh-CN",))
    assert may_be(GERMAN, ())
    # Afrikaans is in no table here, and looks like Dutch or German.
    assert may_be(GERMAN, ("af-ZA",))
