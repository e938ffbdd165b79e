"""The gate in front of the backend, without a clock."""

from preppald.backend.breaker import (
    FAILURES_THAT_HOLD,
    FIRST_PROBE_SECONDS,
    HELD_SECONDS,
    IN_FLIGHT,
    MOST_IN_FLIGHT,
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


def refusing(*interviews: str, secret: bool = True) -> Breaker:
    gate = Breaker()
    for name in interviews:
        gate.refused(f"{name}:key", name, "401", 10.0, secret=secret)
    return gate


def test_a_secret_refused_for_one_interview_pauses_nothing() -> None:
    """The application forbids that interview, however often."""
    gate = refusing(*["iv"] * 100)
    assert gate.flow is Flow.OPEN
    assert gate.room(10, 0) == IN_FLIGHT


def test_a_secret_refused_for_three_interviews_pauses_all() -> None:
    """A failure of another kind says nothing about the secret: it stays paused."""
    gate = refusing("a", "b", "c")
    assert gate.flow is Flow.PAUSED
    assert gate.room(10 + FIRST_PROBE_SECONDS - 0.1, 0) == 0
    assert gate.room(10 + FIRST_PROBE_SECONDS, 0) == 1
    gate.failed("k", 100)
    assert gate.flow is Flow.PAUSED
    assert gate.room(100 + 2 * FIRST_PROBE_SECONDS, 0) == 1
    gate.answered()
    assert gate.room(100, 0) == IN_FLIGHT


def test_probes_of_refusals_double_to_a_minute() -> None:
    gate = refusing("a", "b", "c", secret=False)
    assert gate.flow is Flow.HELD
    waits = []
    for at in range(1000, 1012):
        gate.refused("d:key", "d", "400", float(at))
        waits.append(gate.probe_at - at)
    assert waits[:3] == [2.0, 4.0, 8.0]
    assert waits[-1] == PAUSED_SECONDS


def test_refusals_in_other_words_are_not_alike() -> None:
    gate = Breaker()
    for number, words in enumerate(["400", "404", "400", "404", "400"]):
        assert not gate.refused(f"k{number}", f"iv{number}", words, 10.0)
    assert gate.flow is Flow.OPEN


def test_an_acceptance_between_refusals_keeps_the_flow_open() -> None:
    gate = Breaker()
    for number in range(10):
        assert not gate.refused(f"k{number}", f"iv{number}", "400", 10.0)
        gate.answered("another")
    assert gate.flow is Flow.OPEN


def test_refused_again_after_a_hold_a_delivery_is_judged_alone() -> None:
    """Three interviews that were deleted must not hold the queue again and again."""
    gate = refusing("a", "b", "c", secret=False)
    gate.answered("d:key")
    for name in ("a", "b", "c"):
        assert not gate.refused(f"{name}:key", name, "400", 20.0)
    assert gate.flow is Flow.OPEN


def test_a_slow_post_does_not_take_a_place_for_long() -> None:
    """Posts that hang leave room for others after a second, up to a bound."""
    gate = Breaker()
    assert gate.room(0, IN_FLIGHT, slow=IN_FLIGHT) == IN_FLIGHT
    assert gate.room(0, MOST_IN_FLIGHT, slow=MOST_IN_FLIGHT) == 0
    assert gate.room(0, MOST_IN_FLIGHT - 1, slow=MOST_IN_FLIGHT - 1) == 1
