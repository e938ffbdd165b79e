"""The gate in front of the backend, without a clock."""

from preppald.backend.breaker import (
    FAILURES_THAT_HOLD,
    HELD_SECONDS,
    IN_FLIGHT,
    PAUSED_SECONDS,
    Breaker,
    Flow,
)


def failing(*keys: str) -> Breaker:
    gate = Breaker()
    for key in keys:
        gate.failed(key, 100.0)
    return gate


MANY = [f"k{number}" for number in range(FAILURES_THAT_HOLD)]


def test_open_lets_four_through() -> None:
    gate = Breaker()
    assert gate.room(0, 0) == IN_FLIGHT
    assert gate.room(0, IN_FLIGHT) == 0


def test_one_odd_delivery_closes_nothing() -> None:
    """However often it fails: the others must not wait for it."""
    assert failing(*["k"] * 100).flow is Flow.OPEN


def test_many_failures_hold() -> None:
    """Then one at a time asks after the backend, every half minute."""
    gate = failing(*MANY)
    assert gate.flow is Flow.HELD
    assert gate.room(100 + HELD_SECONDS - 0.1, 0) == 0
    assert gate.room(100 + HELD_SECONDS, 0) == 1
    assert gate.room(100 + HELD_SECONDS, 1) == 0
    gate.failed("another", 150)
    assert gate.room(150 + HELD_SECONDS - 0.1, 0) == 0
    assert gate.flow is Flow.HELD


def test_an_answer_opens_and_forgets() -> None:
    gate = failing(*MANY)
    gate.answered()
    assert gate.room(100, 0) == IN_FLIGHT
    gate.failed("k", 101)
    assert gate.flow is Flow.OPEN


def test_success_in_between_counts_anew() -> None:
    gate = failing(*MANY[:-1])
    gate.answered()
    gate.failed(MANY[-1], 100)
    assert gate.flow is Flow.OPEN


def test_a_refused_secret_pauses_at_once() -> None:
    """A failure of another kind says nothing about the secret: it stays paused."""
    gate = Breaker()
    gate.unauthorized(10)
    assert gate.flow is Flow.PAUSED
    assert gate.room(10 + PAUSED_SECONDS - 0.1, 0) == 0
    assert gate.room(10 + PAUSED_SECONDS, 0) == 1
    gate.failed("k", 100)
    assert gate.flow is Flow.PAUSED
    assert gate.room(100 + PAUSED_SECONDS, 0) == 1
    gate.answered()
    assert gate.room(100, 0) == IN_FLIGHT
