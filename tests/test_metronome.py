"""The tick that all sessions share: who is looked at when, who is woken, and when it slows down."""

import itertools

import pytest
import trio
import trio.testing

from preppald.metronome import (
    FEW_LATE,
    SLOWEST_TICK_SECONDS,
    STEPS_A_VERDICT,
    TICK_SECONDS,
    Metronome,
)


async def test_looks_at_each_tick_and_wakes_who_must_see_to_it(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    metronome = Metronome()
    nursery.start_soon(metronome.run)
    looks: list[float] = []

    def look() -> bool:
        looks.append(trio.current_time())
        return len(looks) == 5

    await metronome.until(metronome.join(), look)
    assert [round(later - before, 6) for before, later in itertools.pairwise(looks)] == [TICK_SECONDS] * 4


async def test_a_look_that_fails_ends_its_own_wait_only(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    metronome = Metronome()
    nursery.start_soon(metronome.run)
    phase = metronome.join()
    looks = 0

    def fine() -> bool:
        nonlocal looks
        looks += 1
        return False

    def broken() -> bool:
        raise ZeroDivisionError

    nursery.start_soon(metronome.until, phase, fine)
    with pytest.raises(ZeroDivisionError):
        await metronome.until(phase, broken)
    before = looks
    await trio.sleep(TICK_SECONDS * 3)
    assert looks >= before + 2


async def test_who_stops_waiting_is_not_looked_at_any_more(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Also when it is the look itself that ends the wait."""
    metronome = Metronome()
    nursery.start_soon(metronome.run)
    looks = 0
    with trio.CancelScope() as scope:

        def look() -> bool:
            nonlocal looks
            looks += 1
            scope.cancel()
            return False

        await metronome.until(metronome.join(), look)
    await trio.sleep(1)
    assert looks == 1


async def test_an_idle_daemon_sleeps(nursery: trio.Nursery, autojump_clock: object) -> None:
    """A clock that jumps shows it: nothing is due for a day."""
    nursery.start_soon(Metronome().run)
    with trio.testing.assert_checkpoints():
        await trio.sleep(86_400)


def test_sessions_are_spread_over_the_phases() -> None:
    metronome = Metronome()
    phases = [metronome.join() for _ in range(16)]
    assert sorted(phases) == sorted([*range(8)] * 2)
    metronome.leave(phases[3])
    assert metronome.join() == phases[3]


def test_a_loop_that_lags_ticks_slower_within_a_bound_and_recovers() -> None:
    metronome = Metronome()
    for _ in range(20 * STEPS_A_VERDICT):
        metronome._judge(late=True)
    assert metronome.tick_seconds == SLOWEST_TICK_SECONDS
    assert metronome.behind
    for step in range(20 * STEPS_A_VERDICT):
        metronome._judge(late=step % round(1 / FEW_LATE + 5) == 0)
    assert metronome.tick_seconds == TICK_SECONDS
    assert not metronome.behind


async def test_what_is_done_beside_is_done_at_each_step(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    steps: list[int] = []
    metronome = Metronome(beside=steps.append)
    nursery.start_soon(metronome.run)
    with trio.move_on_after(TICK_SECONDS * 2):
        await metronome.until(metronome.join(), lambda: False)
    assert len(steps) == pytest.approx(2 * metronome.phases, abs=1)
    assert set(steps) == set(range(metronome.phases))


async def test_says_when_it_stands_still(nursery: trio.Nursery, autojump_clock: object) -> None:
    metronome = Metronome()
    nursery.start_soon(metronome.run)
    with trio.fail_after(1):
        await metronome.standstill()
    until = trio.current_time() + 1
    nursery.start_soon(metronome.until, metronome.join(), lambda: trio.current_time() >= until)
    await trio.sleep(TICK_SECONDS)
    await metronome.standstill()
    assert trio.current_time() == pytest.approx(until, abs=TICK_SECONDS * 2)
