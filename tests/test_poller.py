"""One task that polls many sockets: which looks are made, which tasks are woken, and what becomes of sockets that close."""

from collections.abc import Iterator
from contextlib import ExitStack
import socket

import pytest
import trio

from preppald.net.poller import Poller
from preppald.net.ticker import Ticker

Pair = tuple[socket.socket, socket.socket]
# Far more than a look takes, far less than a test may.
SOON = 0.05
MANY = 128


@pytest.fixture
async def poller(nursery: trio.Nursery) -> Poller:
    ticker = Ticker()
    nursery.start_soon(ticker.run)
    return ticker.poller


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


async def test_looks_when_there_is_something_and_wakes_who_must_see_to_it(poller: Poller, pair: Pair) -> None:
    ours, theirs = pair
    read: list[bytes] = []

    def look(_now: float) -> bool:
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

    def look(_now: float) -> bool:
        read.append(ours.recv(1))
        return len(read) == 3

    with trio.fail_after(5):
        await poller.until(ours, look)
    assert read == [b"a", b"b", b"c"]


async def test_a_peer_that_is_gone_is_looked_at(poller: Poller, pair: Pair) -> None:
    ours, theirs = pair
    theirs.close()
    with trio.fail_after(5):
        await poller.until(ours, lambda _now: ours.recv(1) == b"")


async def test_a_look_that_fails_ends_its_own_wait_only(poller: Poller, pair: Pair) -> None:
    ours, theirs = pair
    looks = 0

    def fine(_now: float) -> bool:
        nonlocal looks
        looks += 1
        theirs.recv(100)
        return False

    def broken(_now: float) -> bool:
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

        def look(_now: float) -> bool:
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
            nursery.start_soon(poller.until, ours, lambda _now: False)
            await trio.sleep(SOON)
            poller.release(ours)
            ours.close()
        # Nor does a closed one hold anybody up.
        await poller.until(ours, lambda _now: False)


async def test_a_number_that_the_kernel_gives_again_is_the_new_sockets(poller: Poller) -> None:
    """Closed without a word, the old one's wait ends, and the new one is looked at."""
    first, second = socket.socketpair()
    with first, second, trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(poller.until, first, lambda _now: pytest.fail("it is closed"))
            await trio.sleep(SOON)
            number = first.fileno()
            first.close()
            third, fourth = socket.socketpair()
            with third, fourth:
                assert third.fileno() == number
                fourth.send(b"news")
                await poller.until(third, lambda _now: third.recv(100) == b"news")


async def test_everybody_has_a_turn(poller: Poller) -> None:
    """Many sockets, all with more to read than one look takes."""
    looks: dict[int, int] = {}
    with ExitStack() as stack, trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            for number in range(MANY):
                ours, theirs = (stack.enter_context(end) for end in socket.socketpair())
                theirs.send(bytes(10))

                def look(_now: float, number: int = number, ours: socket.socket = ours) -> bool:
                    looks[number] = looks.get(number, 0) + 1
                    if max(looks.values()) - min(looks.values()) > 1 + (len(looks) < MANY):
                        raise AssertionError(looks)
                    ours.recv(1)
                    return looks[number] == 10

                nursery.start_soon(poller.until, ours, look)
    assert set(looks.values()) == {10}
