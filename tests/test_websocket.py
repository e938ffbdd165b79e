"""A WebSocket after its handshake, against the library's own protocol at the other end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.testing
from websockets.protocol import Protocol, Side, State

from preppald.net.websocket import WebSocket, WebSocketClosed, client_protocol

LIMIT = 1024 * 1024
READ_BYTES = 16 * 1024


class Peer:
    """The other end, by hand."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.protocol = Protocol(Side.SERVER, state=State.OPEN)

    async def send(self) -> None:
        await self.stream.send_all(b"".join(self.protocol.data_to_send()))

    async def receive(self) -> list[bytes]:
        self.protocol.receive_data(await self.stream.receive_some())
        return [bytes(event.data) for event in self.protocol.events_received()]  # type: ignore[union-attr]


@asynccontextmanager
async def connected(early: bytes = b"") -> AsyncIterator[tuple[WebSocket, Peer]]:
    """Over real sockets, where what can be done at once is."""
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    ours = await trio.testing.open_stream_to_socket_listener(listener)
    theirs = await listener.accept()
    async with listener, ours, theirs:
        protocol = client_protocol(max_message_bytes=LIMIT)
        yield WebSocket(ours, protocol, early, read_bytes=READ_BYTES), Peer(theirs)


async def send(websocket: WebSocket, message: str) -> None:
    websocket.post(message)
    await websocket.flush()


async def close(websocket: WebSocket) -> None:
    websocket.close(1000)
    await websocket.flush()
    try:
        while True:
            await websocket.receive()
    except WebSocketClosed:
        return


async def test_one_read_brings_all_messages_there_are() -> None:
    async with connected() as (websocket, peer):
        for word in (b"one", b"two", b"three"):
            peer.protocol.send_text(word)
        await peer.send()
        assert await websocket.receive() == ["one", "two", "three"]


async def test_what_came_behind_the_handshake_comes_first() -> None:
    peer = Peer(trio.testing.memory_stream_pair()[0])
    peer.protocol.send_text(b"early")
    async with connected(b"".join(peer.protocol.data_to_send())) as (websocket, _):
        assert await websocket.receive() == ["early"]


async def test_messages_of_both_ways_of_sending_arrive_in_order() -> None:
    async with connected() as (websocket, peer):
        websocket.post("at once")
        await send(websocket, "by a task")
        websocket.post("again")
        received: list[bytes] = []
        while len(received) < 3:
            received += await peer.receive()
        assert received == [b"at once", b"by a task", b"again"]


async def test_a_line_that_is_full_is_waited_for_by_a_task_only() -> None:
    """Nothing is lost, doubled or torn where the kernel took half a frame."""
    async with connected() as (websocket, peer):
        sent = 0
        while websocket.idle:
            websocket.post(str(sent).zfill(1000) * 60)
            sent += 1
        received: list[bytes] = []

        async def read() -> None:
            while len(received) < sent + 1:
                received.extend(await peer.receive())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send, websocket, "last")
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert websocket.sending_since is not None
            nursery.start_soon(read)
        assert [int(message[:1000]) for message in received[:-1]] == list(range(sent))
        assert received[-1] == b"last"


async def test_a_ping_is_answered_and_any_sign_of_life_answers_ours() -> None:
    async with connected() as (websocket, peer):
        peer.protocol.send_ping(b"are you there")
        peer.protocol.send_text(b"I am")
        await peer.send()
        began = trio.current_time()
        assert websocket.ping()
        assert await websocket.receive() == ["I am"]
        assert websocket.heard_at > began
        heard = await peer.receive()
        while b"are you there" not in heard:
            heard += await peer.receive()


async def test_messages_before_a_close_are_heard_and_then_its_words() -> None:
    async with connected() as (websocket, peer):
        peer.protocol.send_text(b"farewell")
        peer.protocol.send_close(1011, "Internal error occurred.")
        await peer.send()
        assert await websocket.receive() == ["farewell"]
        with pytest.raises(WebSocketClosed) as closed:
            await websocket.receive()
        assert (closed.value.code, closed.value.reason) == (1011, "Internal error occurred.")
        assert not websocket.idle
        assert websocket.post("{}")  # nothing goes after a close, and nothing waits
        await close(websocket)


async def test_an_end_without_a_close_is_told_as_1006() -> None:
    async with connected() as (websocket, peer):
        await trio.aclose_forcefully(peer.stream)
        assert await websocket.receive() == []
        with pytest.raises(WebSocketClosed) as closed:
            await websocket.receive()
        assert closed.value.code == 1006


async def test_closing_waits_for_the_answer() -> None:
    async with connected() as (websocket, peer), trio.open_nursery() as nursery:
        nursery.start_soon(close, websocket)
        while peer.protocol.close_rcvd is None:
            await peer.receive()
        assert peer.protocol.close_rcvd.code == 1000
        await peer.send()
