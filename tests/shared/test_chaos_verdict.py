"""A chaos round is judged by what its candidates saw, what the shared journal has, and what was posted."""

from typing import Any

from preppald.core.turns import Fragment, Speaker
from tests.shared.chaos_verdict import Evidence, faults

HELD = (
    Fragment(1, 1, Speaker.AI, "question-1-", 1_000),
    Fragment(2, 1, Speaker.AI, "0 is what", 1_100, turn_complete=True),
    Fragment(3, 2, Speaker.USER, "answer-1-0 is said", 2_000, turn_complete=True),
)
SHOWN = {it.seq: f"{it.speaker.value}:{it.text}" for it in HELD}
POSTED = ["question-1-0 is what", "answer-1-0 is said"]


def evidence(**changed: Any) -> Evidence:
    known: dict[str, Any] = {
        "interview_id": "it",
        "shown": SHOWN,
        "held": HELD,
        "late": (),
        "posted": POSTED,
        "transcripts": 1,
        "status": "COMPLETED",
    }
    return Evidence(**{**known, **changed})


def found(**changed: Any) -> str:
    return " / ".join(faults(evidence(**changed)))


def test_an_interview_whose_words_are_where_they_belong_has_no_fault() -> None:
    assert found() == ""
    assert evidence().lines_shown() == ["question-1-0", "answer-1-0"]
    assert evidence().lines_late() == evidence().lines_lost() == []


def test_an_interview_without_a_transcript_and_one_with_two_are_told() -> None:
    assert found(posted=None) == "it: the backend has no transcript"
    assert found(transcripts=2) == "it: 2 transcripts, COMPLETED"
    assert found(status="ERROR") == "it: 1 transcripts, ERROR"


def test_a_candidate_who_saw_nothing_is_told_and_an_interview_that_proves_nothing() -> None:
    assert found(shown={}) == "it: the candidate saw no word"
    assert found(shown={}, held=(), posted=None, transcripts=0) == "it: nobody said a word"


def test_a_fragment_that_was_shown_and_is_nowhere_is_told_unless_it_was_shown_just_before_the_fault() -> None:
    without = {"held": HELD[:2], "posted": POSTED[:1], "struck": {1: 9.0, 2: 8.0, 3: 0.4}}
    told = "it: 1 fragments were shown and are nowhere, from number 3, 0.40 s before the fault"
    assert found(**without) == told
    assert evidence(**without).lines_lost() == ["answer-1-0"]
    assert found(**without, unsafe=0.5) == ""
    assert found(**without, unsafe=0.3) == told


def test_words_that_came_too_late_are_counted_and_no_fault() -> None:
    late = evidence(held=HELD[:2], late=HELD[2:], posted=POSTED[:1])
    assert list(faults(late)) == []
    assert (late.lines_late(), late.lines_lost()) == (["answer-1-0"], [])


def test_a_fragment_with_other_words_than_were_shown_is_told() -> None:
    assert found(shown={**SHOWN, 3: "USER:other"}).startswith(
        "it: 1 fragments were shown with other words than the database has"
    )


def test_a_turn_of_the_journal_that_was_not_posted_is_told_and_one_that_only_the_backend_has() -> None:
    assert found(posted=POSTED[:1]) == "it: of 2 turns in the database 1 were not posted, and 0 others were"
    assert (
        found(posted=[*POSTED, "more"])
        == "it: of 2 turns in the database 0 were not posted, and 1 others were"
    )
    assert "a line stands twice" in found(posted=[*POSTED, POSTED[1]])


def test_only_the_unheard_rest_of_an_interrupted_reply_is_excused() -> None:
    cut = (HELD[0], Fragment(2, 1, Speaker.AI, "0 is what", 1_100, turn_complete=True, heard=12), HELD[2])
    assert found(held=cut, posted=["question-1-0 [interrupted]", POSTED[1]]) == ""
    assert "1 were not posted" in found(held=cut, posted=["question-1-0 [interrupted]"])


def test_a_few_last_lines_may_be_posted_that_nobody_saw() -> None:
    more = tuple(
        Fragment(number, number, Speaker.USER, f"answer-1-{number}", 1_000 * number, turn_complete=True)
        for number in range(4, 7)
    )
    posted = [*POSTED, *(it.text for it in more)]
    assert found(held=HELD + more[:2], posted=posted[:4]) == ""
    assert found(held=HELD + more, posted=posted) == "it: 3 lines were posted that the candidate did not see"
