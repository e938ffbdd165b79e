"""A WebSocket after its handshake, the same for both ends: one read brings all messages there are, one write sends all.

trio-websocket costs a task, a channel and a lock a message, and three times as much a frame (measured); so it only
shakes hands. ``post`` never waits; where it returns false the kernel is full, and a task awaits ``flush``.
"""

from collections.abc import Awaitable

import trio
from websockets.frames import Close, CloseCode
from websockets.protocol import Protocol, Side, State

from preppald.net.framing import Framing, Message
from preppald.net.poll import Look
from preppald.net.poller import Poller
from preppald.net.stream import Stream

NORMAL_CLOSE = 1000
# One read of bytes that are dropped.
DISCARD_BYTES = 64 * 1024
__all__ = ["NORMAL_CLOSE", "Protocol", "WebSocket", "WebSocketClosed", "client_protocol"]
_LOST = (trio.BrokenResourceError, trio.ClosedResourceError)


class WebSocketClosed(Exception):
    """The connection ended. ``code`` and ``reason``: the close frame's; 1006 where none came (RFC 6455 §7.1.5)."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


def client_protocol(*, max_message_bytes: int) -> Protocol:
    """Return the library's protocol for a client whose handshake is over."""
    return Protocol(Side.CLIENT, state=State.OPEN, max_size=max_message_bytes)


class WebSocket:
    """One connection. One task receives; any task may post.

    ``protocol``: in state OPEN, with a ``max_size``. ``early``: bytes that came right behind the handshake.
    ``heard_at``: when the peer last sent anything. ``received``, ``frames``, ``empty``: how many bytes of the wire the
    last read brought, how many frames in them, and how many of those carried nothing. ``ended``: the peer sends no
    messages any more; ``receive`` raises, and no socket need show it.
    """

    __slots__ = (
        "_early",
        "_framing",
        "_protocol",
        "_read_bytes",
        "_stream",
        "empty",
        "ended",
        "frames",
        "heard_at",
        "received",
    )

    def __init__(
        self, stream: trio.abc.Stream, protocol: Protocol, early: bytes = b"", *, read_bytes: int
    ) -> None:
        self.heard_at = trio.current_time()
        self.received = self.frames = self.empty = 0
        self.ended = False
        self._early = early
        self._read_bytes = read_bytes
        self._stream = Stream.over(stream)
        self._protocol = protocol
        self._framing = Framing(protocol)

    @property
    def open(self) -> bool:
        """Return whether messages go both ways: neither side has closed."""
        return self._framing.open

    @property
    def idle(self) -> bool:
        """Return whether a message posted now goes at once."""
        return self._stream.idle and self._framing.open

    @property
    def sending_since(self) -> float | None:
        """Return when the send began that has not ended yet, for a watchdog."""
        return self._stream.sending_since

    @property
    def unsent(self) -> int:
        """Return how many bytes wait for a flush."""
        return self._stream.unsent

    # -------------------------------------------------------------- in

    def receive_now(self, now: float) -> list[Message] | None:
        """Return the messages that are here already, often none; None where only ``receive`` can tell.

        ``now``: Trio's time, as the poller's step found it.
        """
        stream = self._stream
        if stream.socket is None or self.ended or self._early:
            return None
        try:
            data = stream.receive_now(self._read_bytes)
        except trio.BrokenResourceError:
            return None
        self.received = stream.received
        if data is None:
            self.frames = self.empty = 0
            return []
        return self._messages(data, now)

    async def receive(self) -> list[Message]:
        """Return the messages of one read, often none. Text comes as ``str``.

        Raises:
            WebSocketClosed: the connection ended.
        """
        if self.ended:
            raise self.closed()
        try:
            data, self._early = self._early or await self._stream.receive(self._read_bytes), b""
        except _LOST:
            raise self._lost() from None
        self.received = self._stream.received
        return self._messages(data, trio.current_time())

    def _messages(self, data: bytes | bytearray, now: float) -> list[Message]:
        framing = self._framing
        self.heard_at = now
        messages = framing.receive(data) if data else framing.receive_eof()
        self.frames, self.empty = framing.frames, framing.empty
        if self._protocol.writes:  # a pong, or the answer to a close
            self.post()
        if not framing.open or self._stream.at_end:
            self._note_end(data)
        return messages

    def _note_end(self, data: bytes | bytearray) -> None:
        protocol = self._protocol
        faulty = protocol.parser_exc is not None
        at_end = not data or self._stream.at_end
        self.ended = at_end or faulty or protocol.eof_sent or protocol.close_rcvd is not None

    async def discard(self) -> None:
        """Read and drop: unread, the rest of a peer that was closed for a fault would keep the close from it.

        Raises:
            WebSocketClosed: the connection ended.
        """
        try:
            data = await self._stream.receive(DISCARD_BYTES)
        except _LOST:
            raise self._lost() from None
        if not data:
            self._framing.receive_eof()
            raise self.closed()

    def poll(self, poller: Poller, look: Look) -> Awaitable[None]:
        """Have the poller call ``look`` whenever there is something to read, until it returns true.

        Returns at once where there is nothing that could be polled.
        """
        return self._stream.poll(poller, look)

    # -------------------------------------------------------------- out

    def post(self, *messages: Message) -> bool:
        """Send the messages and all that the protocol owes in one write; return whether the kernel took everything.

        After a close no message goes any more. The rest, which the kernel did not take, is for ``flush``.
        """
        framing = self._framing
        data = b""
        if framing.open:
            frame = framing.frame
            data = frame(messages[0]) if len(messages) == 1 else b"".join([frame(each) for each in messages])
        if self._protocol.writes:
            data = b"".join((data, *self._protocol.data_to_send()))
        return self._stream.send(data)

    def post_now(self, text: bytes) -> bool:
        """Send a text message (UTF-8) if it goes at once; return whether it was sent."""
        if not self._stream.idle or not self._framing.open:
            return False
        self._stream.send(self._framing.frame(text, text=True))
        return True

    async def flush(self) -> None:
        """Wait until all that was posted has gone. Cancelled, it leaves half a frame behind: hang up then.

        Raises:
            WebSocketClosed: the connection ended.
        """
        try:
            await self._stream.flush()
        except _LOST:
            raise self._lost() from None

    def ping(self) -> bool:
        """Ask for a sign of life, which ``heard_at`` will show; return as ``post`` does."""
        if self._framing.open:
            self._protocol.send_ping(b"")
        return self.post()

    # -------------------------------------------------------------- the end

    def close(self, code: int, reason: str = "") -> bool:
        """Say goodbye behind all that was posted; return as ``post`` does. A second close does nothing."""
        if self._framing.open:
            self._framing.close(code, reason)
        return self.post()

    def closed(self) -> WebSocketClosed:
        """Return the peer's close as an exception; where it sent none, a browser's is listed under the code we sent."""
        close = self._protocol.close_rcvd
        if close is None and self._protocol.side is Side.SERVER:
            close = self._protocol.close_sent
        return _closed(close)

    def _lost(self) -> WebSocketClosed:
        return _closed(self._protocol.close_rcvd)

    async def linger(self) -> None:
        """See to it that the peer reads our close, where it sent none of its own and may still be sending."""
        if self._protocol.close_rcvd is None:
            await self._stream.linger(DISCARD_BYTES)

    async def hang_up(self) -> None:
        """Drop the connection at once; tasks that read or write here see it end."""
        await self._stream.hang_up()


def _closed(close: Close | None) -> WebSocketClosed:
    if close is None:
        return WebSocketClosed(CloseCode.ABNORMAL_CLOSURE)
    return WebSocketClosed(close.code, close.reason)
