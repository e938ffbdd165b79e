"""Where sound stands in a recording."""

from itertools import pairwise

from hypothesis import given, strategies as st
import pytest

from preppald.recording.timeline import LOOKAHEAD_US, MICROSECONDS, TOLERANCE_SECONDS, Heard, Span, spoken

RATE = 16_000
CHUNK = RATE // 50  # 20 ms
TOLERANCE = round(TOLERANCE_SECONDS * RATE)


def chunks(arrivals: list[float]) -> list[Span]:
    """Pieces of 20 ms that came at these seconds."""
    return list(spoken([round(at * MICROSECONDS) for at in arrivals], [CHUNK] * len(arrivals), RATE))


def evenly(first: float, seconds: float) -> list[float]:
    """Arrivals of a stretch of sound that begins at ``first``."""
    return [first + 0.02 * number for number in range(1, round(seconds / 0.02) + 1)]


def test_sound_stands_where_it_was_said() -> None:
    """A piece that is there at a time was said just before."""
    spans = chunks(evenly(3.0, 1.0))
    assert spans[0].start == 3 * RATE
    assert spans[-1].start + spans[-1].length == 4 * RATE


def test_jitter_makes_no_gaps() -> None:
    """What came within a tick or two late is one stretch of sound."""
    late = [at + (0.03 if number % 3 else 0) for number, at in enumerate(evenly(1.0, 2.0))]
    spans = chunks(late)
    assert all(one.start + one.length == two.start for one, two in pairwise(spans))


def test_what_a_network_held_back_was_said_evenly() -> None:
    """Two seconds of nothing, then all of them at once: no gap, and what follows is in its place."""
    arrivals = [*evenly(1.0, 2.0), *[5.0] * 100, *evenly(5.0, 1.0)]
    spans = chunks(arrivals)
    assert spans[0].start == RATE
    assert all(one.start + one.length == two.start for one, two in pairwise(spans))
    assert spans[-1].start + spans[-1].length == 6 * RATE


def test_a_microphone_that_was_off_leaves_a_gap() -> None:
    """Nothing makes up for the time."""
    spans = chunks([*evenly(1.0, 1.0), *evenly(7.0, 1.0)])
    assert spans[50].start == 7 * RATE


def test_what_comes_faster_than_anybody_speaks_is_cut() -> None:
    """Ten seconds of sound within two are no voice; the place stays right."""
    spans = chunks([number * 0.02 / 5 for number in range(1, 501)])
    assert spans[-1].start + spans[-1].length <= 2 * RATE + TOLERANCE


@given(
    st.lists(st.tuples(st.integers(0, 2 * LOOKAHEAD_US), st.integers(0, RATE)), max_size=60).map(
        lambda pieces: list(
            zip(sorted(at for at, _ in pieces), (length for _, length in pieces), strict=True)
        )
    )
)
def test_nothing_stands_over_something_else(pieces: list[tuple[int, int]]) -> None:
    """Whatever comes whenever: pieces stay in order, within what came, and end about when they came."""
    came, lengths = [at for at, _ in pieces], [length for _, length in pieces]
    end = 0
    for span in spoken(came, lengths, RATE):
        assert span.start >= end
        end = span.start + span.length
        assert span.skip + span.length == lengths[span.number]
        assert end <= came[span.number] * RATE // MICROSECONDS + TOLERANCE + max(lengths)


def test_an_answer_plays_in_sequence_from_when_it_was_sent() -> None:
    """Sent faster than it plays; a pause in sending is a pause only once all has been played."""
    heard = Heard(1000)
    for number in range(3):
        heard.sent(number, 1000, number * 100_000)
    heard.sent(3, 500, 5 * MICROSECONDS)
    assert [(span.start, span.length) for span in heard.spans] == [
        (0, 1000),
        (1000, 1000),
        (2000, 1000),
        (5000, 500),
    ]


@pytest.mark.parametrize(("at", "left"), [(2.5, [1000, 1000, 500]), (2.0, [1000, 1000]), (4.0, [1000] * 3)])
def test_what_is_cut_off_is_not_heard(at: float, left: list[int]) -> None:
    """At the moment of the barge-in; what is sent after it plays at once."""
    heard = Heard(1000)
    for number in range(3):
        heard.sent(number, 1000, 0)
    heard.cut(round(at * MICROSECONDS))
    assert [span.length for span in heard.spans] == left
    heard.sent(3, 10, round(at * MICROSECONDS))
    assert heard.spans[-1].start == round(at * 1000)
