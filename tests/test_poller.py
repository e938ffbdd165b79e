"""One task that looks at many sockets: who is looked at when, who is woken, and what becomes of sockets that close."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
import itertools
import socket

import pytest
import trio

from preppald.net.poller import Poller
from preppald.net.ticker import PHASES, SLOWEST_TICK_SECONDS, TICK_SECONDS, Ticker

Pair = tuple[socket.socket, socket.socket]
# Far more than a look takes, far less than a test may.
SOON = 0.05
MANY = 128


@pytest.fixture
async def poller(nursery: trio.Nursery) -> Poller:
    poller = Poller(Ticker())
    nursery.start_soon(poller.run)
    return poller


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


async def test_looks_when_there_is_something_and_wakes_who_must_see_to_it(poller: Poller, pair: Pair) -> None:
    ours, theirs = pair
    read: list[bytes] = []

    def look() -> bool:
        read.append(ours.recv(100))
        return read[-1] == b"last"

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(poller.until, ours, look)
            for word in (b"one", b"two", b"last"):
                await trio.sleep(SOON)
                theirs.send(word)
    assert read == [b"one", b"two", b"last"]


async def test_what_is_left_unread_is_looked_at_again(poller: Poller, pair: Pair) -> None:
    ours, theirs = pair
    theirs.send(b"abc")
    read: list[bytes] = []

    def look() -> bool:
        read.append(ours.recv(1))
        return len(read) == 3

    with trio.fail_after(5):
        await poller.until(ours, look)
    assert read == [b"a", b"b", b"c"]


async def test_a_peer_that_is_gone_is_looked_at(poller: Poller, pair: Pair) -> None:
    ours, theirs = pair
    theirs.close()
    with trio.fail_after(5):
        await poller.until(ours, lambda: ours.recv(1) == b"")


async def test_a_look_that_fails_ends_its_own_wait_only(poller: Poller, pair: Pair) -> None:
    ours, theirs = pair
    looks = 0

    def fine() -> bool:
        nonlocal looks
        looks += 1
        theirs.recv(100)
        return False

    def broken() -> bool:
        raise ZeroDivisionError

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(poller.until, theirs, fine)
            theirs.send(b"to ours")
            with pytest.raises(ZeroDivisionError):
                await poller.until(ours, broken)
            ours.send(b"to theirs")
            await trio.sleep(SOON)
            nursery.cancel_scope.cancel()
    assert looks == 1


async def test_who_stops_waiting_is_not_looked_at_any_more(poller: Poller, pair: Pair) -> None:
    """Also when it is the look itself that ends the wait; a turn that has begun by then may still look."""
    ours, theirs = pair
    looks = 0
    theirs.send(b"never read")
    with trio.CancelScope() as scope:

        def look() -> bool:
            nonlocal looks
            looks += 1
            scope.cancel()
            return False

        await poller.until(ours, look)
    assert scope.cancelled_caught
    before = looks
    assert before <= 2
    await trio.sleep(SOON)
    assert looks == before


async def test_a_socket_that_will_be_closed_is_released(poller: Poller, pair: Pair) -> None:
    ours, _ = pair
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(poller.until, ours, lambda: False)
            await trio.sleep(SOON)
            poller.release(ours)
            ours.close()
        # Nor does a closed one hold anybody up.
        await poller.until(ours, lambda: False)


async def test_a_number_that_the_kernel_gives_again_is_the_new_sockets(poller: Poller) -> None:
    """Closed without a word, the old one's wait ends, and the new one is looked at."""
    first, second = socket.socketpair()
    with first, second, trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(poller.until, first, lambda: pytest.fail("it is closed"))
            await trio.sleep(SOON)
            number = first.fileno()
            first.close()
            third, fourth = socket.socketpair()
            with third, fourth:
                assert third.fileno() == number
                fourth.send(b"news")
                await poller.until(third, lambda: third.recv(100) == b"news")


async def test_everybody_has_a_turn(poller: Poller) -> None:
    """Many sockets, all with more to read than one look takes."""
    looks: dict[int, int] = {}
    with ExitStack() as stack, trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            for number in range(MANY):
                ours, theirs = (stack.enter_context(end) for end in socket.socketpair())
                theirs.send(bytes(10))

                def look(number: int = number, ours: socket.socket = ours) -> bool:
                    looks[number] = looks.get(number, 0) + 1
                    if max(looks.values()) - min(looks.values()) > 1 + (len(looks) < MANY):
                        raise AssertionError(looks)
                    ours.recv(1)
                    return looks[number] == 10

                nursery.start_soon(poller.until, ours, look)
    assert set(looks.values()) == {10}


async def test_while_the_metronome_ticks_the_sockets_are_looked_at_with_it(
    nursery: trio.Nursery, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is woken for a socket; and once there is no tick any more, somebody is again."""
    woken = 0
    wait_readable = trio.lowlevel.wait_readable

    async def counted(what: int | socket.socket) -> None:
        nonlocal woken
        await wait_readable(what)
        woken += 1

    monkeypatch.setattr(trio.lowlevel, "wait_readable", counted)
    ours, theirs = pair
    ticker = Ticker()
    poller = Poller(ticker)
    read: list[bytes] = []

    def look() -> bool:
        read.append(ours.recv(100))
        return read[-1] == b"last"

    with trio.fail_after(5):
        nursery.start_soon(ticker.run)
        nursery.start_soon(poller.run)
        async with trio.open_nursery() as waits:
            waits.start_soon(poller.until, ours, look)
            async with trio.open_nursery() as ticks:
                ticks.start_soon(ticker.until, ticker.join(), lambda: False)
                for word in (b"one", b"two", b"three"):
                    await trio.sleep(SOON)
                    theirs.send(word)
                await trio.sleep(SOON)
                assert read == [b"one", b"two", b"three"]
                assert woken <= 1  # it was waiting by itself when the ticks began
                ticks.cancel_scope.cancel()
            await trio.sleep(SOON)
            before = woken
            theirs.send(b"last")
    assert woken == before + 1


@pytest.mark.parametrize(
    ("tick", "gap", "at_once"),
    [(TICK_SECONDS, TICK_SECONDS / PHASES, 2 * PHASES), (SLOWEST_TICK_SECONDS, SLOWEST_TICK_SECONDS, 2)],
)
async def test_while_the_loop_is_behind_each_socket_is_looked_at_once_a_tick(
    tick: float, gap: float, at_once: int, autojump_clock: object
) -> None:
    """In a phase of its own; otherwise all of them at each step."""
    ticker = Ticker(tick)
    poller = Poller(ticker)
    looks: list[list[float]] = [[] for _ in range(2 * PHASES)]
    with ExitStack() as stack:
        async with trio.open_nursery() as nursery:
            for times in looks:
                ours, theirs = (stack.enter_context(end) for end in socket.socketpair())
                theirs.send(bytes(100))

                def look(times: list[float] = times, ours: socket.socket = ours) -> bool:
                    times.append(round(trio.current_time(), 6))
                    ours.recv(1)
                    return False

                nursery.start_soon(poller.until, ours, look)
            nursery.start_soon(ticker.run)
            nursery.start_soon(ticker.until, ticker.join(), lambda: False)
            await trio.sleep(tick * 4)
            nursery.cancel_scope.cancel()
    gaps = [later - before for times in looks for before, later in itertools.pairwise(times)]
    assert gaps == pytest.approx([gap] * len(gaps), abs=1e-5)
    assert min(len(times) for times in looks) >= 3
    assert set(Counter(itertools.chain(*looks)).values()) == {at_once}
