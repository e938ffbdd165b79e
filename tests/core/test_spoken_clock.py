"""When sound was spoken that a line brought late, all at once, or not at all."""

import pytest

from preppald.core.spoken_clock import FALL_SECONDS, GRAIN_SECONDS, LOOKAHEAD_SECONDS, MOST_MARKS, SpokenClock

STEP = 0.1
# When the microphone was switched on.
BEGAN = 1000.0


def evenly(clock: SpokenClock, first: float, last: float, *, delay: float = 0.0) -> None:
    """Sound up to each tenth of a second, as it is spoken, so much later."""
    for number in range(round(first / STEP) + 1, round(last / STEP) + 1):
        clock.came(number * STEP, BEGAN + number * STEP + delay)


def spoken(clock: SpokenClock, place: float) -> float:
    return clock.at(place) - BEGAN


def near(seconds: float) -> object:
    return pytest.approx(seconds, abs=2 * GRAIN_SECONDS)


def test_sound_that_comes_evenly_was_spoken_when_it_came() -> None:
    clock = SpokenClock()
    evenly(clock, 0, 60)
    assert spoken(clock, 59.95) == near(59.95)
    assert spoken(clock, 10.0) == near(10.0)


def test_a_stall_moves_nothing() -> None:
    """Two seconds came at once: each part of them was spoken when it was."""
    clock = SpokenClock()
    evenly(clock, 0, 5)
    for number in range(51, 71):
        clock.came(number * STEP, BEGAN + 7.0)
    assert [spoken(clock, place) for place in (4.0, 5.5, 6.5, 7.0)] == [
        near(at) for at in (4.0, 5.5, 6.5, 7.0)
    ]


def test_within_a_burst_the_rest_is_waited_for() -> None:
    """The first tenth of a second of a burst looks as if it was spoken just now; what comes next puts that right."""
    clock = SpokenClock()
    evenly(clock, 0, 5)
    clock.came(5.1, BEGAN + 7.0)
    assert spoken(clock, 5.1) == near(7.0)
    evenly(clock, 6.9, 7.0)
    assert spoken(clock, 5.1) == near(5.1)


@pytest.mark.parametrize("kept_seconds", [5.0, 0.4])
def test_sound_that_was_kept_and_comes_first_was_spoken_before(kept_seconds: float) -> None:
    """A page comes back to a process that has just taken the interview over, with all that it kept, and goes on."""
    clock = SpokenClock(BEGAN - 600)
    for number in range(1, round(kept_seconds / STEP) + 1):
        clock.came(number * STEP, BEGAN + kept_seconds + number * 0.002)
    evenly(clock, kept_seconds, kept_seconds + 5)
    assert spoken(clock, STEP) == near(STEP)
    assert spoken(clock, kept_seconds) == near(kept_seconds)
    assert spoken(clock, kept_seconds + 4) == near(kept_seconds + 4)


def test_nothing_was_spoken_before_the_interview_began() -> None:
    """A minute of sound within a tenth of a second cannot have been, two seconds behind the begin."""
    clock = SpokenClock(BEGAN)
    for number in range(1, 601):
        clock.came(number * STEP, BEGAN + 2.0 + number * STEP / 600)
    assert all(spoken(clock, number * STEP) >= 0 for number in range(1, 600))
    assert spoken(clock, 60.0) == near(2.1)


def test_lost_sound_leaves_a_gap() -> None:
    """A line was away for three seconds, and nothing was kept: what comes then was spoken then."""
    clock = SpokenClock()
    evenly(clock, 0, 5)
    evenly(clock, 5, 10, delay=3.0)
    assert spoken(clock, 4.9) == near(4.9)
    assert spoken(clock, 5.2) == near(8.2)


def test_delays_come_and_go() -> None:
    """A line that trembles by 30 ms tells the least of it."""
    clock = SpokenClock()
    for number in range(1, 600):
        clock.came(number * STEP, BEGAN + number * STEP + (number * 7 % 4) / 100)
    assert spoken(clock, 40.0) == near(40.0)


def test_a_clock_that_is_off_is_followed() -> None:
    """A microphone that is one in ten thousand too slow is 0.36 s late after an hour, and so it is told."""
    clock = SpokenClock()
    for number in range(1, 36_000):
        clock.came(number * STEP, BEGAN + number * STEP * 1.0001)
    assert spoken(clock, 3599.0) == pytest.approx(3599.0 * 1.0001, abs=0.005)


@pytest.mark.parametrize("speed", [1.5, 3.0, 20.0])
def test_what_comes_faster_than_it_can_be_spoken_was_spoken_when_it_came(speed: float) -> None:
    """Nothing was said before the interview began; and a stall is still one."""
    clock = SpokenClock()
    came = {number: BEGAN + number * STEP / speed for number in range(1, 1200)}
    for number in range(1, 1200):
        clock.came(number * STEP, came[number])
    for number in range(900, 1200, 50):
        assert came[number] - FALL_SECONDS - STEP <= clock.at(number * STEP) <= came[number] + GRAIN_SECONDS


def test_a_flood_is_not_remembered_for_ever() -> None:
    clock = SpokenClock()
    for number in range(1, 20_000):
        clock.came(number * STEP, BEGAN)
    assert len(clock) <= MOST_MARKS


def test_a_way_that_is_shorter_from_now_on_is_followed() -> None:
    clock = SpokenClock()
    evenly(clock, 0, 5, delay=FALL_SECONDS - STEP / 2)
    evenly(clock, 5, 10)
    assert spoken(clock, 4.0) == near(4.0)
    assert spoken(clock, 9.0) == near(9.0)


def test_no_more_is_kept_than_is_looked_ahead() -> None:
    clock = SpokenClock()
    for number in range(1, 6000):
        clock.came(number * STEP, BEGAN + number * (STEP + 2 * GRAIN_SECONDS))
    assert len(clock) <= LOOKAHEAD_SECONDS / STEP + 1
