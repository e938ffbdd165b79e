"""Pieces of the transcript for pages that ignore an update without text."""

from hypothesis import given, strategies as st

from preppald.core.pieces import BLANK, HOLD_SECONDS, Pieces
from preppald.core.turns import Fragment, Speaker


def piece(
    seq: int, text: str, *, turn: int = 1, end: bool = False, speaker: Speaker = Speaker.AI
) -> Fragment:
    return Fragment(seq, turn, speaker, text, 1000 + seq, end)


def shown(pieces: list[Fragment]) -> list[tuple[str, bool, int]]:
    return [(it.text, it.turn_complete, it.seq) for it in pieces]


def test_an_end_that_comes_alone_travels_with_the_last_words() -> None:
    pieces = Pieces()
    assert pieces.show(piece(1, "Hello "), 0.0) == []
    assert shown(pieces.show(piece(2, "there."), 0.1)) == [("Hello ", False, 1)]
    assert shown(pieces.show(piece(3, "", end=True), 0.2)) == [("there.", True, 3)]
    assert pieces.flush() == []


def test_words_wait_for_a_moment_only_and_then_a_blank_carries_the_end() -> None:
    pieces = Pieces()
    assert pieces.show(piece(1, "Hello."), 0.0) == []
    assert pieces.due(HOLD_SECONDS - 0.01) == []
    assert shown(pieces.due(HOLD_SECONDS)) == [("Hello.", False, 1)]
    assert shown(pieces.show(piece(2, "", end=True), 5.0)) == [(BLANK, True, 2)]


def test_words_that_bring_their_end_go_at_once() -> None:
    assert shown(Pieces().show(piece(1, "Yes.", end=True), 0.0)) == [("Yes.", True, 1)]


def test_another_turns_end_is_not_given_to_these_words() -> None:
    pieces = Pieces()
    pieces.show(piece(1, "I am ", speaker=Speaker.USER, turn=2), 0.0)
    assert shown(pieces.show(piece(2, "", end=True), 0.1)) == [("I am ", False, 1), (BLANK, True, 2)]


@given(
    st.lists(st.tuples(st.sampled_from(["", "a", "b c"]), st.booleans(), st.integers(1, 3), st.floats(0, 1)))
)
def test_no_word_is_lost_or_moved_and_no_update_is_empty(
    said: list[tuple[str, bool, int, float]],
) -> None:
    pieces, now, out = Pieces(), 0.0, []
    for seq, (text, end, turn, wait) in enumerate(said, 1):
        now += wait
        out += pieces.due(now)
        out += pieces.show(piece(seq, text, turn=turn, end=end), now)
    out += pieces.flush()
    assert all(it.text for it in out)
    assert [it.seq for it in out] == sorted(it.seq for it in out)
    for turn in (1, 2, 3):
        words = "".join(it.text for it in out if it.turn == turn and it.text != BLANK)
        assert words == "".join(text for text, _, number, _ in said if number == turn)
        assert sum(it.turn_complete for it in out if it.turn == turn) == sum(
            end for _, end, number, _ in said if number == turn
        )
