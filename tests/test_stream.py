"""One connection's bytes, over a socket that is asked directly and over a stream that must be waited for."""

from collections.abc import AsyncIterator
import socket

import pytest
import trio
import trio.testing

from preppald.net.stream import Stream

# More than a pair of sockets holds.
MUCH = 4 * 1024 * 1024
Pair = tuple[trio.abc.Stream, trio.abc.Stream]


@pytest.fixture(params=["socket", "stream"])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
    ends: Pair
    if request.param == "socket":
        ours, theirs = (trio.socket.from_stdlib_socket(end) for end in _tcp_pair())
        ends = trio.SocketStream(ours), trio.SocketStream(theirs)
    else:
        ends = trio.testing.memory_stream_pair()
    yield ends
    for end in ends:
        await trio.aclose_forcefully(end)


def _tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        return ours, server.accept()[0]


async def test_all_arrives_in_order_whoever_sends_it(pair: Pair) -> None:
    """Partly at once, partly by a flush, with more sent while the flush waits."""
    ours, theirs = pair
    line = Stream(ours)
    pieces = [bytes((number,)) * (MUCH // 8) for number in range(8)]
    received = bytearray()

    async def read() -> None:
        while len(received) < MUCH:
            received.extend(await theirs.receive_some())

    async with trio.open_nursery() as nursery:
        for piece in pieces[:6]:
            line.send(piece)
        assert line.unsent
        nursery.start_soon(line.flush)
        await trio.testing.wait_all_tasks_blocked(0.01)
        for piece in pieces[6:]:
            line.send(piece)
        if line.sending_since is None:
            nursery.start_soon(line.flush)
        nursery.start_soon(read)
    assert received == b"".join(pieces)
    assert line.unsent == 0
    assert line.sending_since is None


async def test_what_is_there_is_received_and_then_the_end(pair: Pair) -> None:
    ours, theirs = pair
    line = Stream(ours)
    assert line.receive_now(10) is None
    await theirs.send_all(b"abc")
    assert await line.receive(2) == b"ab"
    assert await line.receive(2) == b"c"
    await trio.aclose_forcefully(theirs)
    assert await line.receive(2) == b""


async def test_a_socket_is_asked_at_once() -> None:
    ours, theirs = (trio.SocketStream(trio.socket.from_stdlib_socket(end)) for end in _tcp_pair())
    async with ours, theirs:
        line = Stream(ours)
        assert line.send(b"at once")
        assert Stream(theirs).receive_now(100) == b"at once"


async def test_a_connection_that_is_gone_says_so_to_who_waits(pair: Pair) -> None:
    """A send never fails: it is told from the loop's every corner, and only tasks can take an error."""
    ours, _theirs = pair
    line = Stream(ours)
    await trio.aclose_forcefully(ours)
    assert not line.send(b"into the void")
    with pytest.raises((trio.ClosedResourceError, trio.BrokenResourceError)):
        await line.flush()
    with pytest.raises((trio.ClosedResourceError, trio.BrokenResourceError)):
        await line.receive(1)


async def test_a_reader_learns_that_the_line_is_closed_here(pair: Pair) -> None:
    ours, _theirs = pair
    line = Stream(ours)

    async def read() -> None:
        with pytest.raises((trio.ClosedResourceError, trio.BrokenResourceError)):
            await line.receive(1)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        await trio.aclose_forcefully(ours)
