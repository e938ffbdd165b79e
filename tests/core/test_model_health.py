"""The health of models: when one is sick, where interviews go then, and what makes it well again."""

from random import Random

import pytest

from preppald.core.model_health import (
    LEAST_FAILURES,
    MOST_PROOFS,
    PROBE_EVERY_SECONDS,
    RELAPSE_SECONDS,
    UNTRIED_SECONDS,
    WINDOW_SECONDS,
    Change,
    Choice,
    Counts,
    ModelHealth,
)

A, B, C = "model-a", "model-b", "model-c"
TWO = (A, B)


def failing(
    health: ModelHealth,
    model: str = A,
    *,
    failures: int = 5,
    attempts: int = 5,
    interviews: int = 5,
    at: float = 100.0,
) -> None:
    for number in range(attempts):
        health.attempted(model, at)
        if number < failures:
            health.failed(model, f"iv-{number % interviews}", at)


def sick() -> ModelHealth:
    """One whose first model fell sick at 100 s."""
    health = ModelHealth()
    failing(health)
    assert health.judge(TWO, 100.0) == [Change(A, sick=True, counts=Counts(5, 5, 5))]
    return health


@pytest.mark.parametrize(
    ("failures", "attempts", "interviews", "bad"),
    [
        (5, 5, 3, True),
        (4, 4, 4, False),  # too few
        (5, 5, 2, False),  # of two interviews
        (5, 16, 5, True),  # 31 in a hundred
        (5, 17, 5, False),  # 29
        (30, 100, 3, True),
        (29, 100, 29, False),
        (5, 2, 3, True),  # of connections that began before
    ],
)
def test_a_model_is_sick_by_number_share_and_interviews(
    failures: int, attempts: int, interviews: int, *, bad: bool
) -> None:
    assert Counts(attempts, failures, interviews).bad is bad


def test_a_minute_later_a_failure_counts_no_more() -> None:
    health = ModelHealth()
    failing(health, failures=LEAST_FAILURES - 1, attempts=4, at=100.0)
    health.failed(A, "iv-9", 100.0 + WINDOW_SECONDS)
    assert health.counts(A, 100.0 + WINDOW_SECONDS) == Counts(0, 1, 1)
    assert health.judge(TWO, 100.0 + WINDOW_SECONDS) == []
    assert health.counts("never seen", 0.0) == Counts()


def test_new_interviews_begin_with_the_next_model_and_those_that_run_leave_the_sick_one() -> None:
    health = sick()
    assert health.best(TWO) == B
    assert health.choose(TWO, 101.0) == Choice(B)
    assert health.better(A, TWO) == B
    assert health.better(B, TWO) is None
    assert health.judge(TWO, 101.0) == [], "it is told once"


def test_the_last_model_that_is_well_is_never_left() -> None:
    health = ModelHealth()
    failing(health)
    assert health.judge((A,), 100.0) == []
    assert health.better(A, (A,)) is None
    health = sick()
    failing(health, B)
    assert health.judge(TWO, 100.0) == []
    assert health.choose(TWO, 101.0) == Choice(B)
    assert health.better(B, TWO) is None


def test_of_two_that_fail_at_once_one_goes_on() -> None:
    health = ModelHealth()
    failing(health, A)
    failing(health, B)
    assert [it.model for it in health.judge(TWO, 100.0)] == [A]


def test_where_a_reload_leaves_only_sick_models_the_first_is_taken() -> None:
    health = sick()
    assert health.best((A,)) == A
    assert health.choose((A,), 101.0) == Choice(A)


def test_one_new_interview_a_minute_tries_the_sick_model() -> None:
    health = sick()
    due = 100.0 + PROBE_EVERY_SECONDS
    assert health.choose(TWO, due - 0.1) == Choice(B)
    assert health.choose(TWO, due) == Choice(A, probe=True)
    assert health.choose(TWO, due) == Choice(B)
    assert health.choose(TWO, due + PROBE_EVERY_SECONDS - 0.1) == Choice(B)
    assert health.choose(TWO, due + PROBE_EVERY_SECONDS) == Choice(A, probe=True)


def test_a_candidate_who_is_answered_there_makes_it_well_and_old_failures_count_no_more() -> None:
    health = sick()
    change = health.proved(A, 110.0)
    assert change == Change(A, sick=False, counts=Counts(5, 5, 5))
    assert health.best(TWO) == A
    assert health.judge(TWO, 110.0) == []
    assert health.proved(A, 111.0) is None, "it is well"


def test_a_relapse_asks_for_twice_as_many_answers_one_after_the_other() -> None:
    health, now = sick(), 100.0
    for needed in (1, 2, 4, 8, 8):
        for _ in range(needed - 1):
            assert health.proved(A, now) is None
        # A failure in between, and it begins anew.
        health.failed(A, "iv-1", now)
        for _ in range(needed - 1):
            assert health.proved(A, now) is None
        assert health.proved(A, now) is not None
        now += WINDOW_SECONDS
        failing(health, at=now)
        assert [it.sick for it in health.judge(TWO, now)] == [True]
    assert needed == MOST_PROOFS


def test_a_model_that_was_well_for_ten_minutes_is_trusted_as_before() -> None:
    health = sick()
    health.proved(A, 101.0)
    failing(health, at=102.0)
    health.judge(TWO, 102.0)
    health.heal(A, 103.0)
    later = 103.0 + RELAPSE_SECONDS
    failing(health, at=later)
    assert [it.sick for it in health.judge(TWO, later)] == [True]
    assert health.proved(A, later) is not None


def test_one_that_nobody_tries_is_taken_for_well_after_ten_minutes() -> None:
    """The fallback of a model that is well is asked by nobody."""
    health = ModelHealth()
    failing(health, B)
    assert [it.model for it in health.judge(TWO, 100.0)] == [B]
    assert health.choose(TWO, 200.0) == Choice(A)
    assert health.judge(TWO, 100.0 + UNTRIED_SECONDS - 1) == []
    assert health.judge(TWO, 100.0 + UNTRIED_SECONDS) == [Change(B, sick=False, counts=Counts())]


def test_the_counts_of_other_hosts_are_added() -> None:
    """Two failures here are an accident, and five on three hosts are not."""
    health = ModelHealth()
    failing(health, failures=2, attempts=2, interviews=2)
    assert health.judge(TWO, 100.0) == []
    health.heard_of_others({A: Counts(4, 3, 2)})
    assert health.judge(TWO, 100.0) == [Change(A, sick=True, counts=Counts(6, 5, 4))]


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.5, 0.9, 1.0])
def test_ten_minutes_of_interviews_do_not_flap(rate: float) -> None:
    """Forty interviews a minute, of whose connections so many in a hundred fail while the model is what it is.

    A model that is well, or loses five in a hundred, is never left. One that is sick is left within the first minute;
    one that fails every other time comes back and goes again a few times, ever more seldom, and not each minute.
    """
    for seed in range(20):
        chance = Random(seed)
        health, changes, with_it, late = ModelHealth(), 0, 0, 0
        for step in range(400):
            now = step * 1.5
            choice = health.choose(TWO, now)
            if choice.model != A:
                continue
            with_it += 1
            late += now >= 300.0
            health.attempted(A, now)
            if chance.random() < rate:
                health.failed(A, f"iv-{step}", now)
                changes += len(health.judge(TWO, now))
            elif choice.probe:
                changes += health.proved(A, now) is not None
        if rate <= 0.05:
            assert changes == 0
            assert with_it == 400
        elif rate == 1.0:
            assert changes == 1
            # Five that showed it, and a probe a minute.
            assert with_it <= LEAST_FAILURES + 10
        else:
            assert changes <= 7
            assert late <= 5 + 3 * 10
