"""A client's WebSocket after its handshake: one read brings all messages there are, a send goes out at once.

Beside trio-websocket, measured: it costs a task, a channel and a lock a message, and three times as much a frame.
"""

import trio
from websockets.frames import CloseCode
from websockets.protocol import Protocol, Side, State

from preppald.net.framing import Framing, Message
from preppald.net.poller import Readable
from preppald.net.stream import Stream

# A quarter of a second of speech a read, and Gemini sends at four times real time: the next look takes the rest.
RECEIVE_BYTES = 16 * 1024
_LOST = (trio.BrokenResourceError, trio.ClosedResourceError)


class WebSocketClosed(Exception):
    """The connection ended. ``code`` is 1006 where no close frame came."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class WebSocket:
    """One task receives; anybody may send. ``early``: what came right behind the handshake.

    ``heard_at``: when the peer last sent anything.
    """

    def __init__(self, stream: trio.abc.Stream, early: bytes, *, max_message_bytes: int) -> None:
        self.heard_at = trio.current_time()
        self._early = early
        self._line = Stream(stream)
        self._protocol = Protocol(Side.CLIENT, state=State.OPEN, max_size=max_message_bytes)
        self._framing = Framing(self._protocol)
        self._flushing = trio.StrictFIFOLock()
        # Set while somebody waits for a sign of life.
        self._heard: trio.Event | None = None

    @property
    def sending_since(self) -> float | None:
        """When a send began that has not ended yet, for whoever watches for stalls."""
        return self._line.sending_since

    @property
    def readable(self) -> Readable | None:
        """What tells whether ``receive_now`` would find something; None where only ``receive`` can tell."""
        return self._line.socket

    @property
    def idle(self) -> bool:
        """Whether what is posted goes at once."""
        return self._line.idle and self._framing.open

    def receive_now(self) -> list[Message] | None:
        """The messages that are there already; often none. None where ``receive`` must see to it."""
        if self._early or not self._framing.open:
            return None
        try:
            data = self._line.receive_now(RECEIVE_BYTES)
        except trio.BrokenResourceError:
            return None
        if data is None:
            return []
        messages = self._messages(data)
        if self._protocol.writes:
            self._line.send(b"".join(self._protocol.data_to_send()))
        return messages

    async def receive(self) -> list[Message]:
        """The messages of one read, at least one.

        Raises:
            WebSocketClosed: the connection ended.
        """
        messages: list[Message] = []
        while not messages:
            if not self._framing.open:
                raise self._closed()
            messages = await self._read()
        return messages

    async def _read(self) -> list[Message]:
        try:
            data, self._early = self._early or await self._line.receive(RECEIVE_BYTES), b""
            messages = self._messages(data)
            if self._protocol.writes:  # a pong, or the answer to a close
                await self._push(b"".join(self._protocol.data_to_send()))
        except _LOST:
            raise self._closed() from None
        return messages

    def _messages(self, data: bytes | bytearray) -> list[Message]:
        self.heard_at = trio.current_time()
        if self._heard is not None:
            self._heard.set()
            self._heard = None
        return self._framing.receive(data) if data else self._framing.receive_eof()

    def post(self, message: Message) -> None:
        """Sends the message without waiting. Only while ``idle``.

        What the kernel does not take of it goes before anything else, with the next send.
        """
        self._line.send(self._framing.frame(message))

    async def send(self, message: Message) -> None:
        """Sends one message. Cancelled, it leaves half a frame behind: hang up then.

        Raises:
            WebSocketClosed: the connection ended.
        """
        if not self._framing.open:
            raise self._closed()
        try:
            await self._push(self._framing.frame(message))
        except _LOST:
            raise self._closed() from None

    async def _push(self, data: bytes) -> None:
        if not self._line.send(data):
            async with self._flushing:
                await self._line.flush()

    async def ping(self) -> None:
        """Asks for a sign of life, and returns with the next; any will do.

        Raises:
            WebSocketClosed: the connection ended.
        """
        if not self._framing.open:
            raise self._closed()
        heard = self._heard = trio.Event()
        self._protocol.send_ping(b"")
        try:
            await self._push(b"".join(self._protocol.data_to_send()))
        except _LOST:
            raise self._closed() from None
        await heard.wait()

    async def aclose(self) -> None:
        """Says goodbye, and returns when the peer has answered or is gone. Not while another task receives."""
        if not self._framing.open:
            return
        self._framing.close(CloseCode.NORMAL_CLOSURE)
        try:
            await self._push(b"".join(self._protocol.data_to_send()))
            while self._protocol.close_rcvd is None and self._protocol.parser_exc is None:
                await self._read()
        except (*_LOST, WebSocketClosed):
            pass

    def _closed(self) -> WebSocketClosed:
        """What the peer said; what the library finds wrong with it is a connection that broke."""
        close = self._protocol.close_rcvd
        return (
            WebSocketClosed(CloseCode.ABNORMAL_CLOSURE, "")
            if close is None
            else WebSocketClosed(close.code, close.reason)
        )
