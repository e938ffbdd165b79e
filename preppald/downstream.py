"""The browser's end of one connection: batched reads, one writer, and a close that both sides see.

Sans-IO: one receive takes all frames there are, one send carries all messages that wait.
"""

from collections import deque
from contextlib import suppress

import trio
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from preppald.core.allowance import Allowance
from preppald.core.endings import Close

# A tick's audio is 700 bytes. After a stall this is twelve times real time, and the smallest frames that fit take
# a few milliseconds, which is all that anybody else has to wait for this browser.
RECEIVE_BYTES = 8 * 1024
# A read of what is thrown away.
DISCARD_BYTES = 64 * 1024
# 87 s of 24 kHz PCM. Gemini speaks at four times real time, so that a slow line may lag by most of a long
# answer; a browser further behind than this is not listening any more.
OUTBOX_BYTES = 4 * 1024 * 1024
# How long the peer may take to answer a close frame.
CLOSE_SECONDS = 2.0
# Why a connection was ended that way: its name in logs and metrics.
TOO_SLOW = "too_slow"
FLOOD = "flood"
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
    ``allowance``: how much it may send; the interview's own, once it has a seat there.
    ``cut``: why we ended the connection, if it was the browser's fault.
    """

    def __init__(self, stream: trio.abc.Stream, protocol: ServerProtocol, *, peer: str = "") -> None:
        self.peer = peer
        self.gone = trio.Event()
        self.sending_since: float | None = None
        self.heard_at = trio.current_time()
        self.cut: str | None = None
        self.allowance = Allowance()
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
            self._cut(TOO_SLOW, "Too slow to receive")
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

        A browser that sends too much is not read for a while, and then cut.

        Raises:
            BrowserGone: the connection ended.
        """
        if self._protocol.eof_sent:
            raise self._goodbye()
        if self.cut == FLOOD:
            return await self._discard()
        now = trio.current_time()
        if self.allowance.throttled(now):
            self.heard_at = now
            self._cut_if_faulty(now)
            return []
        data = await self._read(RECEIVE_BYTES)
        self.heard_at = trio.current_time()
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        messages: list[Message] = []
        frames = self._protocol.events_received()
        empty = 0
        for frame in frames:
            assert isinstance(frame, Frame)  # noqa: S101 - the handshake is over: only frames are left
            empty += self._take(frame, messages)
        self.allowance.spend(self.heard_at, size=len(data), frames=len(frames), empty=empty)
        if empty:
            self._cut_if_faulty(self.heard_at)
        if self._protocol.writes:  # a pong, or the answer to a close
            self._writer.unpark()
        return messages

    async def _read(self, most: int) -> bytes | bytearray:
        try:
            return await self._stream.receive_some(most)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise BrowserGone(ABNORMAL) from None

    async def _discard(self) -> list[Message]:
        """It is told why, and what it sends meanwhile is thrown away: unread, it would keep the close from it."""
        if not await self._read(DISCARD_BYTES):
            self._protocol.receive_eof()
            raise self._goodbye()
        return []

    def _cut_if_faulty(self, now: float) -> None:
        if fault := self.allowance.fault(now):
            self._cut(FLOOD, fault)

    def _cut(self, why: str, words: str) -> None:
        self.cut = why
        self.drop_audio()
        self.close(Close(1008, words))

    def _take(self, frame: Frame, messages: list[Message]) -> bool:
        """Whether the frame is one of those that carry nothing."""
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
                return not frame.fin and not frame.data
            case _:
                return True  # pings, pongs and closes are the protocol's
        return False

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
        """After ``receive`` said that the connection ended: lets the writer finish, then hangs up.

        Where the protocol was broken, the peer may still be sending. Hung up on at once, the kernel would reset the
        connection, and our close with its reason might never be read: so it gets the end of our stream first.
        """
        with trio.move_on_after(CLOSE_SECONDS):
            await self._flushed.wait()
            if self._protocol.close_rcvd is None and isinstance(self._stream, trio.abc.HalfCloseableStream):
                with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                    await self._stream.send_eof()
                    while await self._stream.receive_some(DISCARD_BYTES):
                        pass
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
