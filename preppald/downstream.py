"""The browser's end of one connection: batched reads, one writer, and a close that both sides see.

Sans-IO: one receive takes all frames there are, one send carries all messages that wait.
"""

from collections import deque

import trio
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from preppald.core.endings import Close

# A client sends 12 KiB in the longest tick that is normal; more only after a stall.
RECEIVE_BYTES = 64 * 1024
# 87 s of 24 kHz PCM. Gemini speaks at four times real time, so that a slow line may lag by most of a long
# answer; a browser further behind than this is not listening any more.
OUTBOX_BYTES = 4 * 1024 * 1024
# How long the peer may take to answer a close frame.
CLOSE_SECONDS = 2.0
# RFC 6455 §7.1.5: what a connection is said to have closed with when no close frame came.
ABNORMAL = 1006

Message = bytes | str


class BrowserGone(Exception):
    """The connection ended. ``code`` is 1006 where no close frame came."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class Browser:
    """One browser's connection after its handshake.

    One task reads, one task writes; everybody else only posts messages, which never blocks.
    ``sending_since``: when a send began that has not ended yet, for whoever watches for stalls.
    ``heard_at``: when the browser last sent anything. ``gone`` is set once nothing more will happen here.
    """

    def __init__(self, stream: trio.abc.Stream, protocol: ServerProtocol, *, peer: str = "") -> None:
        self.peer = peer
        self.gone = trio.Event()
        self.sending_since: float | None = None
        self.heard_at = trio.current_time()
        self.overflowed = False
        self._stream = stream
        self._protocol = protocol
        self._outbox: deque[tuple[bytes, bool]] = deque()
        self._outbox_bytes = 0
        self._closing: Close | None = None
        self._writing = False
        self._fragments: list[bytes] = []
        self._writer = trio.lowlevel.ParkingLot()
        self._flushed = trio.Event()

    # -------------------------------------------------------------- posting

    def post(self, message: bytes, *, audio: bool = False) -> None:
        """Queues a message. When the outbox is full the browser is too slow, and is closed instead."""
        if self._closing is not None:
            return
        if self._outbox_bytes + len(message) > OUTBOX_BYTES:
            self.overflowed = True
            self.drop_audio()
            self.close(Close(1008, "Too slow to receive"))
            return
        self._outbox.append((message, audio))
        self._outbox_bytes += len(message)
        self._writer.unpark()

    def drop_audio(self) -> None:
        """Forgets audio that is not sent yet: the candidate spoke over it."""
        self._outbox = deque(item for item in self._outbox if not item[1])
        self._outbox_bytes = sum(len(message) for message, _ in self._outbox)

    def ping(self) -> None:
        """Asks for a sign of life, which ``heard_at`` will show."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_ping(b"")
            self._writer.unpark()

    def close(self, close: Close) -> None:
        """Closes after what is queued; the first reason given counts."""
        self._closing = self._closing or close
        self._writer.unpark()

    # -------------------------------------------------------------- the reader

    async def receive(self) -> list[Message]:
        """All messages that one read brings; often none. Text comes as ``str``.

        Raises:
            BrowserGone: the connection ended.
        """
        if self._protocol.eof_sent:
            raise self._goodbye()
        try:
            data = await self._stream.receive_some(RECEIVE_BYTES)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise BrowserGone(ABNORMAL) from None
        self.heard_at = trio.current_time()
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        messages: list[Message] = []
        for frame in self._protocol.events_received():
            assert isinstance(frame, Frame)  # noqa: S101 - the handshake is over: only frames are left
            self._take(frame, messages)
        if self._protocol.writes:  # a pong, or the answer to a close
            self._writer.unpark()
        return messages

    def _take(self, frame: Frame, messages: list[Message]) -> None:
        match frame.opcode:
            case Opcode.BINARY if frame.fin:
                messages.append(bytes(frame.data))
            case Opcode.TEXT if frame.fin:
                messages.append(bytes(frame.data).decode("utf-8", "replace"))
            case Opcode.BINARY | Opcode.TEXT | Opcode.CONT:
                # Bounded by the protocol's max_size. A fragmented text message ends as bytes that do not
                # decode, which is what it is to us.
                self._fragments.append(bytes(frame.data))
                if frame.fin:
                    messages.append(b"".join(self._fragments))
                    self._fragments.clear()
            case _:
                pass  # pings, pongs and closes are the protocol's

    def _goodbye(self) -> BrowserGone:
        """Why the connection ended: what the peer said, or else what we told it."""
        close = self._protocol.close_rcvd or self._protocol.close_sent
        return BrowserGone(ABNORMAL) if close is None else BrowserGone(close.code, close.reason)

    # -------------------------------------------------------------- the writer

    async def write(self) -> None:
        """Sends what is posted until either side closed; then sees the connection off, within a bound."""
        self._writing = True
        try:
            while not self._protocol.eof_sent and self._protocol.state is State.OPEN:
                if not self._outbox and not self._protocol.writes and self._closing is None:
                    await self._writer.park()
                await self._send_waiting()
            await self._send_waiting()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            self._writing = False
        self._flushed.set()
        with trio.move_on_after(CLOSE_SECONDS):
            await self.gone.wait()
        await self.hang_up()

    async def _send_waiting(self) -> None:
        """One send for all there is."""
        if self._protocol.state is State.OPEN:
            for message, _ in self._outbox:
                self._protocol.send_binary(message)
            if self._closing is not None:
                self._protocol.send_close(self._closing.code, self._closing.reason)
        self._outbox.clear()
        self._outbox_bytes = 0
        data = b"".join(self._protocol.data_to_send())
        if data:
            self.sending_since = trio.current_time()
            await self._stream.send_all(data)
            self.sending_since = None

    # -------------------------------------------------------------- the end

    async def part(self) -> None:
        """After ``receive`` said that the connection ended: lets the writer finish, then hangs up."""
        with trio.move_on_after(CLOSE_SECONDS):
            await self._flushed.wait()
        await self.hang_up()

    async def see_off(self) -> None:
        """After ``close``: returns when the connection is gone. Writes itself where the writer's task has ended."""
        if not self._writing and self.sending_since is None:
            await self.write()
        await self.gone.wait()

    async def hang_up(self) -> None:
        """Drops the connection; whoever reads or writes here sees it end."""
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(self._stream)
        self.gone.set()
