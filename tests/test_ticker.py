"""The clock of the hot path: what is polled when, what is gathered, and how it stretches under load."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
import itertools
import socket

import pytest
import trio
import trio.testing

from preppald.net.ticker import (
    BUSY,
    CROWDED,
    EASY,
    GATHER_SECONDS,
    LONG_STEP_SECONDS,
    PHASES,
    ROOM,
    SLOWEST_ROUND_SECONDS,
    STEP_SECONDS,
    Errand,
    Ticker,
    round_for,
)
from preppald.net.timer import Timer

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


# ------------------------------------------------------------------ gathering


async def test_looks_at_each_tick_and_wakes_who_must_see_to_it(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    ticker = Ticker()
    nursery.start_soon(ticker.run)
    looks: list[float] = []

    def look(_now: float) -> bool:
        looks.append(trio.current_time())
        return len(looks) == 5

    await ticker.until(ticker.join(), look)
    gaps = [later - before for before, later in itertools.pairwise(looks)]
    assert gaps == pytest.approx([GATHER_SECONDS] * 4, abs=1.1 * STEP_SECONDS)


async def test_a_look_that_fails_ends_its_own_wait_only(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    ticker = Ticker()
    nursery.start_soon(ticker.run)
    phase = ticker.join()
    looks = 0

    def fine(_now: float) -> bool:
        nonlocal looks
        looks += 1
        return False

    def broken(_now: float) -> bool:
        raise ZeroDivisionError

    nursery.start_soon(ticker.until, phase, fine)
    with pytest.raises(ZeroDivisionError):
        await ticker.until(phase, broken)
    before = looks
    await trio.sleep(GATHER_SECONDS * 3)
    assert looks >= before + 2


async def test_who_stops_waiting_is_not_looked_at_any_more(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Also when it is the look itself that ends the wait."""
    ticker = Ticker()
    nursery.start_soon(ticker.run)
    looks = 0
    with trio.CancelScope() as scope:

        def look(_now: float) -> bool:
            nonlocal looks
            looks += 1
            scope.cancel()
            return False

        await ticker.until(ticker.join(), look)
    await trio.sleep(1)
    assert looks == 1


def test_sessions_are_spread_over_the_phases() -> None:
    ticker = Ticker()
    phases = [ticker.join() for _ in range(16)]
    assert sorted(phases) == sorted([*range(PHASES)] * 2)
    ticker.leave(phases[3])
    assert ticker.join() == phases[3]


async def test_an_idle_daemon_sleeps(
    nursery: trio.Nursery, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after something happened: not one step in a day."""
    ticker = Ticker()
    nursery.start_soon(ticker.run)
    until = trio.current_time() + 1
    await ticker.until(ticker.join(), lambda _now: trio.current_time() >= until)
    await trio.sleep(GATHER_SECONDS)
    monkeypatch.setattr(Ticker, "_step", lambda *_: pytest.fail("a step"))
    await trio.sleep(86_400)


# ------------------------------------------------------------------ polling


async def test_what_comes_alone_goes_on_at_once(
    nursery: trio.Nursery, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sleeping task is woken by the socket; no clock has to go on for it."""
    ours, theirs = pair
    ticker = Ticker()

    async def never(_timer: Timer, _due: float) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr(Timer, "until", never)
    nursery.start_soon(ticker.run)
    with trio.fail_after(5):
        async with trio.open_nursery() as waits:
            waits.start_soon(ticker.poller.until, ours, lambda _now: ours.recv(100) == b"alone")
            await trio.testing.wait_all_tasks_blocked()
            theirs.send(b"alone")


@pytest.mark.parametrize(
    ("round_seconds", "gap", "at_once"),
    [
        (STEP_SECONDS, STEP_SECONDS, 16),
        (LONG_STEP_SECONDS, LONG_STEP_SECONDS, 16),
        (0.008, 0.008, 4),
        (SLOWEST_ROUND_SECONDS, SLOWEST_ROUND_SECONDS, 2),
    ],
)
async def test_each_socket_is_polled_once_a_round(
    round_seconds: float,
    gap: float,
    at_once: int,
    autojump_clock: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All of them in one step where the round is one; else a sector at each step."""
    monkeypatch.setattr(Ticker, "_judge", lambda *_: None)
    ticker = Ticker(round_seconds=round_seconds)
    looks: list[list[float]] = [[] for _ in range(16)]
    with ExitStack() as stack:
        async with trio.open_nursery() as nursery:
            for times in looks:
                ours, theirs = (stack.enter_context(end) for end in socket.socketpair())
                theirs.send(bytes(100))

                def look(_now: float, times: list[float] = times, ours: socket.socket = ours) -> bool:
                    times.append(round(trio.current_time(), 6))
                    ours.recv(1)
                    return False

                nursery.start_soon(ticker.poller.until, ours, look)
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(ticker.run)
            await trio.sleep(round_seconds * 5)
            nursery.cancel_scope.cancel()
    gaps = [later - before for times in looks for before, later in itertools.pairwise(times)]
    assert gaps == pytest.approx([gap] * len(gaps), abs=1e-5)
    assert min(len(times) for times in looks) >= 3
    assert set(Counter(itertools.chain(*looks)).values()) == {at_once}


# ------------------------------------------------------------------ errands


async def test_an_errand_is_done_soon_once_for_all_that_asked_and_wakes_nobody(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    ticker = Ticker()
    nursery.start_soon(ticker.run)
    errand = Errand(ticker)
    done: list[float] = []

    def look(now: float) -> bool:
        done.append(now)
        return len(done) == 3

    with trio.fail_after(1):
        async with trio.open_nursery() as waits:
            waits.start_soon(errand.until, look)
            await trio.testing.wait_all_tasks_blocked()
            for _ in range(2):
                errand.ask()
                errand.ask()
                await trio.sleep(0.1)
            assert done == [trio.current_time() - 0.2, trio.current_time() - 0.1]
            errand.ask()


async def test_an_errand_stays_due_while_nobody_waits_and_its_error_is_the_waiters(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    ticker = Ticker()
    nursery.start_soon(ticker.run)
    errand = Errand(ticker)
    errand.ask()
    await trio.sleep(0.1)

    def broken(_now: float) -> bool:
        raise ZeroDivisionError

    with trio.fail_after(1), pytest.raises(ZeroDivisionError):
        await errand.until(broken)


async def test_an_errand_is_done_at_its_time_by_an_idle_ticker_and_by_a_busy_one(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    ticker = Ticker()
    nursery.start_soon(ticker.run)
    early, late = Errand(ticker), Errand(ticker)
    done: list[tuple[str, float]] = []

    async def wait(errand: Errand, name: str) -> None:
        def look(now: float) -> bool:
            done.append((name, now - began))
            return len(done) == 4

        await errand.until(look)

    began = trio.current_time()
    with trio.fail_after(10):
        async with trio.open_nursery() as waits:
            waits.start_soon(wait, early, "early")
            waits.start_soon(wait, late, "late")
            late.ask_at(began + 2)
            await trio.testing.wait_all_tasks_blocked()
            early.ask_at(began + 1)  # asked later, and due sooner
            await trio.sleep(2.5)
            waits.start_soon(ticker.until, ticker.join(), lambda _now: False)
            early.ask_at(began + 3)
            await trio.sleep(1)
            waits.cancel_scope.cancel()
    assert [name for name, _ in done] == ["early", "late", "early"]
    assert [at for _, at in done] == pytest.approx([1, 2, 3], abs=LONG_STEP_SECONDS)


# ------------------------------------------------------------------ the timer


async def test_a_timer_sleeps_as_long_as_it_should() -> None:
    """By the real clock, where it is the kernel's: never shorter, and for the next time as well."""
    timer = Timer()
    try:
        for seconds in (0.02, 0.0, -1.0, 0.05):
            due = trio.current_time() + seconds
            with trio.fail_after(5):
                await timer.until(due)
            assert trio.current_time() >= due
        with trio.move_on_after(0.02) as scope:
            await timer.until(trio.current_time() + 60)
        assert scope.cancelled_caught
    finally:
        timer.close()


async def test_a_timer_follows_a_virtual_clock(autojump_clock: object) -> None:
    timer = Timer()
    due = trio.current_time() + 3600
    await timer.until(due)
    assert trio.current_time() == due
    timer.close()


# ------------------------------------------------------------------ load


def test_the_round_grows_smoothly_with_the_load_between_two_bounds() -> None:
    loads = [number / 100 for number in range(101)]
    rounds = [round_for(load) for load in loads]
    assert rounds == sorted(rounds)
    assert {round_for(load) for load in loads if load <= EASY} == {STEP_SECONDS}
    assert {round_for(load) for load in loads if BUSY <= load <= ROOM} == {LONG_STEP_SECONDS}
    assert [round_for(load) for load in loads if load >= CROWDED] == pytest.approx(
        [SLOWEST_ROUND_SECONDS] * sum(load >= CROWDED for load in loads)
    )
    assert max(later / before for before, later in itertools.pairwise(rounds)) < 1.15


async def test_looks_that_take_time_stretch_the_round_and_it_recovers(
    nursery: trio.Nursery, mock_clock: trio.testing.MockClock, pair: Pair
) -> None:
    """Each look takes ten milliseconds of the clock, so that a loop that makes one a step is never idle."""
    ours, theirs = pair
    ticker = Ticker()
    slow = True

    def look(_now: float) -> bool:
        if slow:
            mock_clock.jump(0.010)
        return False

    theirs.send(b"never read")
    nursery.start_soon(ticker.run)
    nursery.start_soon(ticker.poller.until, ours, look)
    mock_clock.autojump_threshold = 0
    await trio.sleep(3)
    stretched = ticker.round_seconds
    slow = False
    await trio.sleep(3)
    # Stretched, it looks so seldom that the load is gone: the round settles where both agree.
    assert 2 * STEP_SECONDS < stretched <= SLOWEST_ROUND_SECONDS
    assert ticker.round_seconds == STEP_SECONDS
    nursery.cancel_scope.cancel()
