"""When a connection is to be left at a quiet moment, and when at any."""

from hypothesis import given, strategies as st

from preppald.core.lifespan import DEFAULT_SECONDS, MARGIN_SECONDS, WINDOW_SECONDS, Lifespan

HOUR = 3600.0


def test_a_connection_grows_old_without_a_word_from_gemini() -> None:
    """Some live 58 minutes and die without a warning."""
    life = Lifespan(100.0, rotate_after=3000.0)
    assert not life.ripe(3099.9)
    assert life.ripe(3100.0)
    assert not life.overdue(HOUR * 3)


def test_a_warning_makes_the_next_quiet_moment_the_one_and_sets_a_last_one() -> None:
    """Fifty seconds is what Gemini was seen to give."""
    life = Lifespan(0.0, HOUR)
    life.going_away(550.0, 50.0)
    assert life.ripe(550.0)
    assert not life.overdue(550.0 + 50.0 - MARGIN_SECONDS - 0.1)
    assert life.overdue(550.0 + 50.0 - MARGIN_SECONDS)


def test_a_warning_long_before_is_no_reason_to_hurry() -> None:
    """Seen: goAway with five minutes left, a second after connecting. Who leaves at once gets the next one."""
    life = Lifespan(0.0, HOUR)
    life.going_away(1.0, 300.0)
    assert not life.ripe(1.0 + 300.0 - WINDOW_SECONDS - 0.1)
    assert life.ripe(1.0 + 300.0 - WINDOW_SECONDS)


def test_a_warning_without_a_time_means_soon() -> None:
    life = Lifespan(0.0, HOUR)
    life.going_away(100.0, None)
    assert life.ripe(100.0)
    assert life.overdue(100.0 + DEFAULT_SECONDS - MARGIN_SECONDS)


@given(st.lists(st.tuples(st.floats(0, 100), st.none() | st.floats(0, 600)), min_size=1))
def test_of_several_warnings_the_one_that_leaves_the_least_time_counts(
    warnings: list[tuple[float, float | None]],
) -> None:
    """A duplicate does not move the last moment away."""
    life = Lifespan(0.0, HOUR)
    last_moments = []
    for now, left in warnings:
        life.going_away(now, left)
        last_moments.append(now + max(0.0, (DEFAULT_SECONDS if left is None else left) - MARGIN_SECONDS))
    assert life.overdue(min(last_moments))
    assert not life.overdue(min(last_moments) - 0.01)
