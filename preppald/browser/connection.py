"""The browser's end of one connection: batched reads, prompt sends, and a close that both sides see.

Sans-IO: one receive takes all frames there are, one send carries all messages that wait. What the kernel takes at
once is sent by whoever posts it; the writer's task is for the rest.
"""

from collections import deque
from contextlib import suppress

import trio
from websockets.server import ServerProtocol

from preppald.core.allowance import Allowance
from preppald.core.endings import Close
from preppald.net.framing import Framing, Message
from preppald.net.stream import Stream

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
# Looks in a row that find nothing before one waits: a page that is muted must not cost a look each tick.
IDLE_READS = 10


class BrowserGone(Exception):
    """The connection ended. ``code`` is 1006 where no close frame came."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class Browser:
    """One browser's connection after its handshake.

    One task reads, one task writes; everybody else only posts messages, which never blocks.
    ``gathering``: while it is set, what is posted waits for the next ``flush``, so that one send carries it all.
    ``heard_at``: when the browser last sent anything. ``gone`` is set once nothing more will happen here.
    ``allowance``: how much it may send; the interview's own, once it has a seat there.
    ``cut``: why we ended the connection, if it was the browser's fault.
    """

    def __init__(self, stream: trio.abc.Stream, protocol: ServerProtocol, *, peer: str = "") -> None:
        self.peer = peer
        self.gone = trio.Event()
        self.gathering = False
        self.heard_at = trio.current_time()
        self.cut: str | None = None
        self.allowance = Allowance()
        self._stream = stream
        self._line = Stream(stream)
        self._protocol = protocol
        self._framing = Framing(protocol)
        self._outbox: deque[tuple[bytes, bool]] = deque()
        self._outbox_bytes = 0
        self._closing: Close | None = None
        self._writing = False
        self._idle_reads = 0
        self._writer = trio.lowlevel.ParkingLot()
        self._flushed = trio.Event()

    @property
    def sending_since(self) -> float | None:
        """When a send began that has not ended yet, for whoever watches for stalls."""
        return self._line.sending_since

    # -------------------------------------------------------------- posting

    def post(self, message: bytes, *, audio: bool = False) -> None:
        """Queues or sends a message. When the outbox is full the browser is too slow, and is closed instead."""
        if self._closing is not None:
            return
        if self._outbox_bytes + self._line.unsent + len(message) > OUTBOX_BYTES:
            self._cut(TOO_SLOW, "Too slow to receive")
            return
        self._outbox.append((message, audio))
        self._outbox_bytes += len(message)
        if not self.gathering:
            self.flush()

    def flush(self) -> None:
        """Sends what waits, if that needs no waiting; the writer does it otherwise, and sees to closes."""
        self.gathering = False
        if not self._waiting():
            return
        at_once = self._closing is None and self._line.idle and self._framing.open
        if not (at_once and self._send_now()):
            self._writer.unpark()

    def drop_audio(self) -> None:
        """Forgets audio that is not sent yet: the candidate spoke over it."""
        self._outbox = deque(item for item in self._outbox if not item[1])
        self._outbox_bytes = sum(len(message) for message, _ in self._outbox)

    def ping(self) -> None:
        """Asks for a sign of life, which ``heard_at`` will show."""
        if self._framing.open:
            self._protocol.send_ping(b"")
            self.flush()

    def close(self, close: Close) -> None:
        """Closes after what is queued; the first reason given counts."""
        self._closing = self._closing or close
        self._writer.unpark()

    # -------------------------------------------------------------- the reader

    def receive_now(self) -> list[Message] | None:
        """All messages that are there already; often none. None where only ``receive`` can tell."""
        if self._line.socket is None or self._protocol.eof_sent or self.cut == FLOOD:
            return None
        if self.allowance.strained and self._throttled():
            return []
        try:
            data = self._line.receive_now(RECEIVE_BYTES)
        except trio.BrokenResourceError:
            return None
        if data is None:
            self._idle_reads += 1
            return [] if self._idle_reads < IDLE_READS else None
        return self._messages(data)

    async def receive(self) -> list[Message]:
        """All messages that the next read brings; often none. Text comes as ``str``.

        A browser that sends too much is not read for a while, and then cut.

        Raises:
            BrowserGone: the connection ended.
        """
        if self._protocol.eof_sent:
            raise self._goodbye()
        if self.cut == FLOOD:
            return await self._discard()
        return [] if self._throttled() else self._messages(await self._read(RECEIVE_BYTES))

    def _throttled(self) -> bool:
        now = trio.current_time()
        if not self.allowance.throttled(now):
            return False
        self.heard_at = now
        self._cut_if_faulty(now)
        return True

    def _messages(self, data: bytes | bytearray) -> list[Message]:
        self._idle_reads = 0
        self.heard_at = trio.current_time()
        messages = self._framing.receive(data) if data else self._framing.receive_eof()
        empty = self._framing.empty
        self.allowance.spend(self.heard_at, size=len(data), frames=self._framing.frames, empty=empty)
        if empty:
            self._cut_if_faulty(self.heard_at)
        if self._protocol.writes:  # a pong, or the answer to a close
            self.flush()
        return messages

    async def _read(self, most: int) -> bytes | bytearray:
        try:
            return await self._line.receive(most)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise BrowserGone(ABNORMAL) from None

    async def _discard(self) -> list[Message]:
        """It is told why, and what it sends meanwhile is thrown away: unread, it would keep the close from it."""
        if not await self._read(DISCARD_BYTES):
            self._framing.receive_eof()
            raise self._goodbye()
        return []

    def _cut_if_faulty(self, now: float) -> None:
        if fault := self.allowance.fault(now):
            self._cut(FLOOD, fault)

    def _cut(self, why: str, words: str) -> None:
        self.cut = why
        self.drop_audio()
        self.close(Close(1008, words))

    def _goodbye(self) -> BrowserGone:
        """Why the connection ended: what the peer said, or else what we told it."""
        close = self._protocol.close_rcvd or self._protocol.close_sent
        return BrowserGone(ABNORMAL) if close is None else BrowserGone(close.code, close.reason)

    # -------------------------------------------------------------- the writer

    async def write(self) -> None:
        """Sends what is posted until either side closed; then sees the connection off, within a bound."""
        self._writing = True
        try:
            while not self._protocol.eof_sent and self._framing.open:
                if not self._waiting():
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

    def _waiting(self) -> bool:
        return bool(self._outbox or self._protocol.writes or self._line.unsent or self._closing is not None)

    async def _send_waiting(self) -> None:
        """Whatever the kernel does not take at once is waited for."""
        self._send_now()
        await self._line.flush()

    def _send_now(self) -> bool:
        """One send for all there is; whether the kernel took it."""
        if self._framing.open:
            framed = [self._framing.frame(message) for message, _ in self._outbox]
            if self._closing is not None:
                self._framing.close(self._closing.code, self._closing.reason)
            if self._protocol.writes:
                framed += self._protocol.data_to_send()
        else:
            framed = self._protocol.data_to_send()
        self._outbox.clear()
        self._outbox_bytes = 0
        return self._line.send(b"".join(framed))

    # -------------------------------------------------------------- the end

    async def part(self) -> None:
        """After ``receive`` said that the connection ended: lets the writer finish, then hangs up.

        Where the protocol was broken, the peer may still be sending. Hung up on at once, the kernel would reset the
        connection, and our close with its reason might never be read: so it gets the end of our stream first.
        """
        with trio.move_on_after(CLOSE_SECONDS):
            await self._flushed.wait()
            if self._protocol.close_rcvd is None:
                with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                    if isinstance(self._stream, trio.abc.HalfCloseableStream):  # TLS has no half
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
