"""Two connections as one: every byte passes, in order, both ways; the ends are passed on; and nothing piles up."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
import socket

import pytest
import trio
import trio.testing

from preppald.net import splice as module, tls
from preppald.net.records import Records
from preppald.net.splice import READ_BYTES, splice
from preppald.net.stream import Stream
from preppald.net.ticker import Ticker
from tests.certificates import Certificates

# More than all buffers on the way hold.
MUCH = 8 * 1024 * 1024
PIECE = bytes(range(256)) * 3
PATIENCE_SECONDS = 20.0


def sockets() -> tuple[trio.SocketStream, trio.SocketStream]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        pair = ours, server.accept()[0]
    one, other = (trio.SocketStream(trio.socket.from_stdlib_socket(end)) for end in pair)
    return one, other


@dataclass
class Spliced:
    """``browser`` and ``owner``: the outer ends. ``over``: set when the splice has returned."""

    browser: trio.abc.HalfCloseableStream
    owner: trio.abc.HalfCloseableStream
    near: Stream
    far: Stream
    over: trio.Event


@asynccontextmanager
async def spliced(
    browser: trio.abc.HalfCloseableStream,
    near: trio.abc.Stream,
    far: trio.abc.Stream,
    owner: trio.abc.HalfCloseableStream,
) -> AsyncIterator[Spliced]:
    ticker = Ticker()
    it = Spliced(browser, owner, Stream.over(near), Stream.over(far), trio.Event())

    async def pass_on() -> None:
        await splice(it.near, it.far, ticker.poller)
        await it.near.aclose()
        await it.far.aclose()
        it.over.set()

    in_time = False
    async with trio.open_nursery() as nursery:
        nursery.cancel_scope.deadline = trio.current_time() + PATIENCE_SECONDS
        nursery.start_soon(ticker.run)
        nursery.start_soon(pass_on)
        yield it
        in_time = True
        nursery.cancel_scope.cancel()
    assert in_time
    for end in (browser, near, far, owner):
        await trio.aclose_forcefully(end)


@pytest.fixture(params=["sockets", "streams"])
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[Spliced]:
    make = sockets if request.param == "sockets" else trio.testing.memory_stream_pair
    (browser, near), (far, owner) = make(), make()
    async with spliced(browser, near, far, owner) as it:
        yield it


async def received(stream: trio.abc.ReceiveStream, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        some = await stream.receive_some(65536)
        assert some, f"it ended after {len(data)} bytes"
        data += some
    return bytes(data)


async def test_bytes_pass_both_ways(pair: Spliced) -> None:
    await pair.browser.send_all(b"question")
    assert await received(pair.owner, 8) == b"question"
    await pair.owner.send_all(b"answer")
    assert await received(pair.browser, 6) == b"answer"


async def test_much_passes_in_order_both_ways_at_once(pair: Spliced) -> None:
    count = MUCH // len(PIECE)

    async def send(stream: trio.abc.SendStream) -> None:
        for _ in range(count):
            await stream.send_all(PIECE)

    async def check(stream: trio.abc.ReceiveStream) -> None:
        assert await received(stream, len(PIECE) * count) == PIECE * count

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send, pair.browser)
        nursery.start_soon(send, pair.owner)
        nursery.start_soon(check, pair.browser)
        nursery.start_soon(check, pair.owner)


async def test_the_owners_end_is_the_end(pair: Spliced) -> None:
    await pair.owner.send_all(b"goodbye")
    await pair.owner.aclose()
    assert await received(pair.browser, 7) == b"goodbye"
    assert await pair.browser.receive_some() == b""
    await pair.over.wait()


async def test_the_browsers_end_is_no_more_than_that(pair: Spliced) -> None:
    """The owner sees it, and may still answer."""
    await pair.browser.send_all(b"last words")
    await pair.browser.send_eof()
    assert await received(pair.owner, 10) == b"last words"
    assert await pair.owner.receive_some() == b""
    assert not pair.over.is_set()
    await pair.owner.send_all(b"goodbye")
    assert await received(pair.browser, 7) == b"goodbye"
    await pair.owner.aclose()
    await pair.over.wait()


async def test_bytes_that_waited_before_go_first() -> None:
    (browser, near), (far, owner) = sockets(), sockets()
    link = Stream(far)
    link.send(b"early ")
    async with spliced(browser, near, link, owner) as it:
        await it.browser.send_all(b"words")
        assert await received(it.owner, 11) == b"early words"


async def test_who_vanishes_is_passed_on_as_an_end() -> None:
    """A browser's connection that breaks, rather than ends."""
    (browser, near), (far, owner) = sockets(), sockets()
    async with spliced(browser, near, far, owner) as it:
        browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await browser.aclose()
        assert await it.owner.receive_some() == b""


async def test_an_owner_that_vanishes_ends_it() -> None:
    (browser, near), (far, owner) = sockets(), sockets()
    async with spliced(browser, near, far, owner) as it:
        owner.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await owner.aclose()
        await it.over.wait()


@pytest.mark.parametrize("way", ["up", "down"])
async def test_a_side_is_not_read_while_the_other_takes_nothing(way: str) -> None:
    """At most one read waits here: the rest stays with who sent it."""
    (browser, near), (far, owner) = sockets(), sockets()
    async with spliced(browser, near, far, owner) as it:
        source, sink = (browser, it.far) if way == "up" else (owner, it.near)
        sent = 0
        with trio.move_on_after(1.0):
            while True:
                await source.send_all(bytes(READ_BYTES))
                sent += READ_BYTES
        assert sent > READ_BYTES
        assert sink.unsent <= READ_BYTES
        assert sink.sending_since is not None
        await received(owner if way == "up" else browser, sent)


async def test_a_side_that_takes_nothing_for_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STUCK_SECONDS", 0.2)
    monkeypatch.setattr(module, "WATCH_SECONDS", 0.05)
    (browser, near), (far, owner) = sockets(), sockets()
    async with spliced(browser, near, far, owner) as it:
        with suppress(trio.BrokenResourceError):
            while not it.over.is_set():
                await owner.send_all(bytes(READ_BYTES))
        await it.over.wait()


async def test_what_tls_has_read_already_is_passed_on(tmp_path: Path) -> None:
    """Plaintext that came with the handshake's last flight shows on no socket."""
    certificates = Certificates(tmp_path)
    (outer, near), (far, owner) = sockets(), sockets()
    identity = tls.identity(certificates.cert, certificates.key)
    assert identity is not None
    theirs = Stream(near, Records(identity.context))
    async with trio.open_nursery() as shaking:
        client = Stream(outer, Records(certificates.trust, server_hostname="localhost"))

        async def speak_at_once() -> None:
            await client.handshake()
            await client.send_all(b"at once")

        shaking.start_soon(speak_at_once)
        await theirs.handshake()
    # Read together with more, and handed back.
    assert await theirs.receive_some(3) == b"at "
    async with spliced(client, theirs, far, owner) as it:
        assert await received(it.owner, 4) == b"once"
        await owner.send_all(b"heard")
        assert await received(client, 5) == b"heard"
        await client.send_eof()
        assert await it.owner.receive_some() == b""
