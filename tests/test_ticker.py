"""The tick that all sessions share: who is looked at when, who is woken, and when it slows down."""

import itertools

import pytest
import trio
import trio.testing

from preppald.net.ticker import FEW_LATE, SLOWEST_TICK_SECONDS, STEPS_A_VERDICT, TICK_SECONDS, Ticker


async def test_looks_at_each_tick_and_wakes_who_must_see_to_it(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    ticker = Ticker()
    nursery.start_soon(ticker.run)
    looks: list[float] = []

    def look() -> bool:
        looks.append(trio.current_time())
        return len(looks) == 5

    await ticker.until(ticker.join(), look)
    assert [round(later - before, 6) for before, later in itertools.pairwise(looks)] == [TICK_SECONDS] * 4


async def test_a_look_that_fails_ends_its_own_wait_only(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    ticker = Ticker()
    nursery.start_soon(ticker.run)
    phase = ticker.join()
    looks = 0

    def fine() -> bool:
        nonlocal looks
        looks += 1
        return False

    def broken() -> bool:
        raise ZeroDivisionError

    nursery.start_soon(ticker.until, phase, fine)
    with pytest.raises(ZeroDivisionError):
        await ticker.until(phase, broken)
    before = looks
    await trio.sleep(TICK_SECONDS * 3)
    assert looks >= before + 2


async def test_who_stops_waiting_is_not_looked_at_any_more(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Also when it is the look itself that ends the wait."""
    ticker = Ticker()
    nursery.start_soon(ticker.run)
    looks = 0
    with trio.CancelScope() as scope:

        def look() -> bool:
            nonlocal looks
            looks += 1
            scope.cancel()
            return False

        await ticker.until(ticker.join(), look)
    await trio.sleep(1)
    assert looks == 1


async def test_an_idle_daemon_sleeps(nursery: trio.Nursery, autojump_clock: object) -> None:
    """A clock that jumps shows it: nothing is due for a day."""
    nursery.start_soon(Ticker().run)
    with trio.testing.assert_checkpoints():
        await trio.sleep(86_400)


def test_sessions_are_spread_over_the_phases() -> None:
    ticker = Ticker()
    phases = [ticker.join() for _ in range(16)]
    assert sorted(phases) == sorted([*range(8)] * 2)
    ticker.leave(phases[3])
    assert ticker.join() == phases[3]


def test_a_loop_that_lags_ticks_slower_within_a_bound_and_recovers() -> None:
    ticker = Ticker()
    for _ in range(20 * STEPS_A_VERDICT):
        ticker._judge(late=True)
    assert ticker.tick_seconds == SLOWEST_TICK_SECONDS
    assert ticker.behind
    for step in range(20 * STEPS_A_VERDICT):
        ticker._judge(late=step % round(1 / FEW_LATE + 5) == 0)
    assert ticker.tick_seconds == TICK_SECONDS
    assert not ticker.behind


async def test_what_is_done_beside_is_done_at_each_step(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    steps: list[int] = []
    ticker = Ticker(beside=steps.append)
    nursery.start_soon(ticker.run)
    with trio.move_on_after(TICK_SECONDS * 2):
        await ticker.until(ticker.join(), lambda: False)
    assert len(steps) == pytest.approx(2 * ticker.phases, abs=1)
    assert set(steps) == set(range(ticker.phases))


async def test_says_when_it_stands_still(nursery: trio.Nursery, autojump_clock: object) -> None:
    ticker = Ticker()
    nursery.start_soon(ticker.run)
    with trio.fail_after(1):
        await ticker.standstill()
    until = trio.current_time() + 1
    nursery.start_soon(ticker.until, ticker.join(), lambda: trio.current_time() >= until)
    await trio.sleep(TICK_SECONDS)
    await ticker.standstill()
    assert trio.current_time() == pytest.approx(until, abs=TICK_SECONDS * 2)
