"""The daemon's end of a browser's connection, on a real socket whose peer does not read for a while."""

from collections.abc import AsyncIterator
import contextlib
from contextlib import asynccontextmanager
import socket
import tracemalloc

import trio
import trio.testing
from websockets.frames import Close
from websockets.protocol import Protocol, Side, State
from websockets.server import ServerProtocol

from preppald.browser.connection import OUTBOX_BYTES, PIECE_BYTES, PLACE_BYTES, TOO_SLOW, Browser
from preppald.core import frames
from preppald.core.endings import Close as Goodbye
from preppald.core.turns import Fragment, Speaker
from preppald.net.stream import KERNEL_BYTES, keep_little_in_the_kernel
from preppald.net.websocket import WebSocketClosed
from preppald.pb.interview_pb2 import ServerToClientMessage

# 40 ms of the interviewer's voice, as Gemini cuts it; a hundred times as long as the kernels keep.
PART = bytes(1920)
PARTS = 2000
RECEIVE_BYTES = 32 * 1024


class Page:
    """The other end. ``messages``: what it was sent, once it has read to the end."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.protocol = Protocol(Side.CLIENT, state=State.OPEN, max_size=None)
        self.messages: list[ServerToClientMessage] = []

    async def read(self) -> Close | None:
        with contextlib.suppress(trio.BrokenResourceError):
            while data := await self.stream.receive_some(65536):
                self.protocol.receive_data(bytes(data))
                frames_in = [event for event in self.protocol.events_received() if event.data]  # type: ignore[union-attr]
                if self.protocol.close_rcvd is not None:
                    frames_in = frames_in[:-1]
                self.messages += [ServerToClientMessage.FromString(bytes(it.data)) for it in frames_in]  # type: ignore[union-attr]
                await self.stream.send_all(b"".join(self.protocol.data_to_send()))
        return self.protocol.close_rcvd

    def kinds(self) -> list[str | None]:
        return [message.WhichOneof("payload") for message in self.messages]


@asynccontextmanager
async def ends() -> AsyncIterator[tuple[Browser, Page]]:
    """Both ends, of which the daemon's reads and writes."""
    browser, page = _pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(browser.write)
        nursery.start_soon(receive, browser)
        yield browser, page
        nursery.cancel_scope.cancel()
    await browser.hang_up()
    await trio.aclose_forcefully(page.stream)


def _pair() -> tuple[Browser, Page]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        theirs = socket.socket()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        theirs.connect(server.getsockname())
        ours = trio.SocketStream(trio.socket.from_stdlib_socket(server.accept()[0]))
    keep_little_in_the_kernel(ours)
    protocol = ServerProtocol(state=State.OPEN, max_size=65536)
    protocol.subprotocol = "preppal.v1"  # type: ignore[assignment]
    return Browser(ours, protocol), Page(trio.SocketStream(trio.socket.from_stdlib_socket(theirs)))


async def receive(browser: Browser) -> None:
    """As the browser's reader does, until it has left."""
    with contextlib.suppress(WebSocketClosed):
        while True:
            await browser.receive()
    await browser.part()


def speak(browser: Browser) -> None:
    for _ in range(PARTS):
        browser.post(frames.audio(PART), audio=True)


async def test_an_interruption_overtakes_the_sound_that_waits() -> None:
    """All that it waits for is in the kernels, and the one piece that is being sent."""
    async with ends() as (browser, page):
        speak(browser)
        await trio.testing.wait_all_tasks_blocked(0.1)
        browser.drop_audio()
        browser.post(frames.interrupted(None))
        browser.close(Goodbye(1000, "done"))
        with trio.fail_after(30):
            close = await page.read()
    assert close is not None
    assert (close.code, close.reason) == (1000, "done")
    assert page.kinds()[-1] == "interrupted"
    # The kernel takes one write more than its mark, and the peer's counts its own overhead.
    most = 2 * KERNEL_BYTES + PIECE_BYTES + 4 * RECEIVE_BYTES
    assert 0 < sum(message.ByteSize() for message in page.messages) < most < len(PART) * PARTS / 10


async def test_a_line_that_comes_to_life_in_time_reads_why_it_was_given_up() -> None:
    """The code is one after which a page comes back."""
    async with ends() as (browser, page):
        speak(browser)
        await trio.testing.wait_all_tasks_blocked(0.1)
        assert browser.sending_since is not None
        browser.give_up(trio.current_time())
        with trio.fail_after(30):
            close = await page.read()
    assert close is not None
    assert (close.code, close.reason) == (1001, "The line took nothing")
    assert browser.cut == "stuck"


async def test_a_slow_line_is_no_stuck_one() -> None:
    """Each byte that is taken begins the wait anew."""
    async with ends() as (browser, page):
        speak(browser)
        await trio.testing.wait_all_tasks_blocked(0.1)
        first = browser.sending_since
        assert first is not None
        await page.stream.receive_some(4 * RECEIVE_BYTES)
        with trio.fail_after(10):
            while browser.sending_since in {None, first}:  # noqa: ASYNC110 - nothing tells of it
                await trio.sleep(0.01)


async def test_a_flood_of_single_letters_is_bounded_like_sound() -> None:
    """Each message costs its place in the queue: 16 bytes of a transcript took ten times that."""
    async with ends() as (browser, page):
        letter = frames.transcript(Fragment(1, 1, Speaker.AI, "a", 1))
        tracemalloc.start()
        try:
            posted = 0
            while browser.cut is None:
                browser.post(letter)
                posted += 1
                assert posted < OUTBOX_BYTES
            held, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert browser.cut == TOO_SLOW
        assert held <= most < 2 * OUTBOX_BYTES
        assert posted <= OUTBOX_BYTES // PLACE_BYTES + 2 * KERNEL_BYTES
        del page
