"""The one deadline, the notices before it, and the time that is given back."""

from hypothesis import given, strategies as st
import pytest

from preppald.core.fair_clock import AUDIBLE_GAP_SECONDS, FairClock

HOUR = 3600.0


def clock(**settings: object) -> FairClock:
    made = FairClock(**{"ends_at": HOUR, "credit_limit": 300.0, "notices": (60.0, 300.0), **settings})  # type: ignore[arg-type]
    made.begin(0.0)
    return made


def gap(of: FairClock, start: float, seconds: float) -> float:
    of.lost(start)
    return of.restored(start + seconds)


def test_an_audible_gap_is_given_back() -> None:
    """Twelve seconds without an interviewer are twelve seconds more at the end."""
    fair = clock()
    assert gap(fair, 100.0, 12.0) == 12.0
    assert fair.ends_at == HOUR + 12.0
    assert fair.credited == 12.0


def test_a_gap_that_nobody_hears_is_not_worth_a_credit() -> None:
    """A rotation takes a third of a second; the deadline stays exact."""
    fair = clock()
    assert gap(fair, 100.0, AUDIBLE_GAP_SECONDS - 0.01) == 0.0
    assert fair.ends_at == HOUR


def test_all_credits_together_stay_within_the_limit() -> None:
    fair = clock(credit_limit=30.0)
    assert [gap(fair, start, 20.0) for start in (100.0, 200.0, 300.0)] == [20.0, 10.0, 0.0]
    assert fair.ends_at == HOUR + 30.0


def test_a_limit_of_zero_gives_nothing_back() -> None:
    fair = clock(credit_limit=0.0)
    assert gap(fair, 100.0, 20.0) == 0.0
    fair.lost(200.0)
    assert fair.left(210.0) == HOUR - 210.0


def test_what_an_earlier_process_gave_back_counts() -> None:
    """A restart must not begin a new allowance."""
    assert gap(clock(credited=290.0), 100.0, 20.0) == 10.0


def test_the_clock_stands_still_while_gemini_is_away() -> None:
    """A deadline that falls into a gap waits for it: that time is the candidate's."""
    fair = clock()
    fair.lost(HOUR - 2.0)
    assert fair.left(HOUR + 20.0) == 2.0
    assert fair.restored(HOUR + 20.0) == 22.0
    assert fair.left(HOUR + 20.0) == 2.0


def test_it_stands_still_only_as_long_as_there_is_something_to_give() -> None:
    fair = clock(credit_limit=5.0)
    fair.lost(HOUR - 2.0)
    assert fair.left(HOUR + 5.0) == 0.0


def test_losing_gemini_twice_is_one_gap_from_the_first() -> None:
    """A failed try is no new loss."""
    fair = clock()
    fair.lost(100.0)
    fair.lost(110.0)
    assert fair.gap(115.0) == 15.0
    assert fair.restored(115.0) == 15.0
    assert fair.gap(116.0) == 0.0


def test_each_notice_comes_once_and_in_time() -> None:
    fair = clock()
    assert fair.next_moment(0.0) == HOUR - 300.0
    assert not fair.notice_due(HOUR - 300.1)
    assert fair.notice_due(HOUR - 300.0)
    assert not fair.notice_due(HOUR - 299.0)
    assert fair.next_moment(HOUR - 299.0) == HOUR - 60.0
    assert fair.notice_due(HOUR - 60.0)
    assert fair.next_moment(HOUR - 59.0) == HOUR


def test_a_credit_moves_the_notices_too() -> None:
    """ "Five minutes left" is said when it is true."""
    fair = clock()
    gap(fair, 100.0, 12.0)
    assert not fair.notice_due(HOUR - 300.0)
    assert fair.notice_due(HOUR - 288.0)


def test_a_short_interview_is_not_told_of_notices_that_came_before_it_began() -> None:
    fair = clock(ends_at=120.0)
    assert not fair.notice_due(0.0)
    assert fair.next_moment(0.0) == 60.0


@given(
    st.lists(st.tuples(st.floats(0, 60), st.floats(0, 40)), max_size=20),
    st.floats(0, 600),
)
def test_the_end_is_the_hour_and_the_credits_and_nothing_else(
    gaps: list[tuple[float, float]], limit: float
) -> None:
    """Whatever happens, what is credited is at most what was lost, and at most the limit."""
    fair = clock(credit_limit=limit)
    now = lost = 0.0
    for talk, away in gaps:
        now += talk
        fair.lost(now)
        now += away
        before = fair.left(now)
        given_back = fair.restored(now)
        assert 0 <= given_back <= away + 1e-9
        assert fair.left(now) <= before + 1e-9
        lost += away
    assert fair.ends_at == pytest.approx(HOUR + fair.credited)
    assert fair.credited <= min(lost, limit) + 1e-6
