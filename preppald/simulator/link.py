"""The server's end of one WebSocket, over any Trio stream.

Rule 1: one task calls `receive`, one task calls `send`; either may be cancelled and the stream stays whole, because
bytes once taken from the protocol are written under a shield with a clock on it.
Rule 2: no keepalive, no extensions: the simulator answers pings and says nothing of its own.
"""

from collections import deque
import http
import socket
import struct
from typing import Final

import trio
from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

from preppald.simulator.clock import Clock
from preppald.simulator.endings import PeerLeft, Reset, cut

# A peer that takes nothing for this long is gone (Trio's seconds); the daemon's own bound is the same.
SEND_SECONDS: Final = 10.0
# A client that connects and sends nothing holds a socket no longer than this.
REQUEST_SECONDS: Final = 10.0
# The close handshake: a peer that does not answer is dropped.
CLOSE_SECONDS: Final = 2.0
RECEIVE_BYTES: Final = 65_536
# The history of a long interview, sent as one clientContent, stays far below this.
MAX_MESSAGE_BYTES: Final = 8 * 2**20
# Pongs waiting for their time; a client that pings more often than this has lost patience anyway.
MAX_LATE_PONGS: Final = 16


class _Protocol(ServerProtocol):
    """A ServerProtocol whose pongs may come late."""

    late_pongs: deque[bytes] | None = None

    def recv_frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.PING and self.late_pongs is not None:
            self.late_pongs.append(bytes(frame.data))
            self.events.append(frame)
        else:
            super().recv_frame(frame)


class Link:
    def __init__(self, stream: trio.abc.Stream, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self._protocol = _Protocol(max_size=MAX_MESSAGE_BYTES)
        self._writing = trio.Lock()
        self._messages: deque[bytes] = deque()
        self._fragments: list[bytes] = []
        self._pinged = trio.Event()
        self._muted = False
        self._ahead = b""
        self.read_delay = 0.0
        """Simulated seconds to wait before each read."""

    # The handshake.

    async def peek(self) -> bytes:
        """Return the first bytes of the connection, which are read again later; empty where none come in time."""
        with trio.move_on_after(REQUEST_SECONDS):
            self._ahead = await _received(self._stream)
        return self._ahead

    def replayed(self) -> trio.abc.Stream:
        """Return the stream as before `peek`, for another protocol than WebSocket."""
        return trio.StapledStream(self._stream, _Replayed(self._ahead, self._stream))

    async def read_request(self) -> Request | None:
        """Return the HTTP request, or None for anything else, which has been answered."""
        with trio.move_on_after(REQUEST_SECONDS):
            while True:
                await self._read()
                for event in self._protocol.events_received():
                    if isinstance(event, Request):
                        return event
                if self._protocol.eof_sent:  # websockets gives up in silence on anything but HTTP
                    await self._write(
                        self._protocol.reject(http.HTTPStatus.BAD_REQUEST, "not HTTP\n").serialize()
                    )
                    return None
        return None

    async def accept(self, request: Request) -> int:
        """Answer 101, or the handshake's fault; return the status."""
        response = self._protocol.accept(request)
        self._protocol.send_response(response)
        await self._flush()
        return response.status_code

    async def refuse(self, status: int, body: str = "", *, retry_after: int | None = None) -> None:
        response = self._protocol.reject(
            http.HTTPStatus(status), body or http.HTTPStatus(status).phrase + "\n"
        )
        if retry_after is not None:
            response.headers["Retry-After"] = str(retry_after)
        self._protocol.send_response(response)
        await self._flush()

    # Messages.

    async def receive(self) -> bytes:
        """Return the next message, text or binary alike. Raise PeerLeft."""
        await trio.lowlevel.checkpoint()  # a peer that floods must not starve the others
        while not self._messages:
            if self._protocol.state is not State.OPEN:
                raise self._farewell()
            if self.read_delay:
                await self._clock.sleep(self.read_delay)
            await self._read()
            self._take_frames()
        return self._messages.popleft()

    async def send(self, message: bytes, *, text: bool) -> None:
        """Send a whole message. Raises PeerLeft or Reset."""
        try:
            if text:
                self._protocol.send_text(message)
            else:
                self._protocol.send_binary(message)
        except InvalidState:
            raise self._farewell() from None
        await self._flush()

    async def pong_late(self, delay: float) -> None:
        """Answer each ping `delay` simulated seconds after it came. Runs until cancelled."""
        self._protocol.late_pongs = pongs = deque[bytes](maxlen=MAX_LATE_PONGS)
        while True:
            await self._pinged.wait()
            self._pinged = trio.Event()
            while pongs:
                await self._clock.sleep(delay)
                if self._protocol.state is State.OPEN:
                    self._protocol.send_pong(pongs.popleft())
                    await self._flush()
                else:
                    pongs.clear()

    # The end.

    async def close(self, code: int, reason: str) -> None:
        """Send a close frame and wait, but not long, for the answer."""
        if self._protocol.state is not State.OPEN:
            return
        with trio.move_on_after(CLOSE_SECONDS):
            self._protocol.send_close(code, cut(reason))
            await self._flush()
            # Read and drop everything that the peer still sends: unread bytes would turn our FIN into a reset.
            while not self._protocol.eof_sent:
                await self._read()
                self._protocol.events_received()

    def mute(self) -> None:
        """Send nothing from now on, and throw away everything received."""
        self._muted = True

    async def hold_silent(self, seconds: float) -> None:
        """Be a half-open connection until the peer hangs up, for at most `seconds` (Trio's)."""
        self.mute()
        with trio.move_on_after(seconds):
            await self._swallow()

    async def _swallow(self) -> None:
        try:
            while await self._stream.receive_some(RECEIVE_BYTES):
                pass
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    async def reset(self) -> None:
        """Drop the connection so that the peer's kernel sees RST, where there is a kernel between us."""
        transport = self._stream
        while isinstance(transport, trio.SSLStream):
            transport = transport.transport_stream
        if isinstance(transport, trio.SocketStream):
            # SO_LINGER with zero seconds: close() throws away the queue and sends RST.
            transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await trio.aclose_forcefully(transport)

    # The pump.

    async def _read(self) -> None:
        data, self._ahead = self._ahead, b""
        if not data:
            data = await _received(self._stream)
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        await self._flush()

    def _take_frames(self) -> None:
        for event in self._protocol.events_received():
            if not isinstance(event, Frame):
                continue
            if event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self._fragments.append(bytes(event.data))
                if event.fin:
                    self._messages.append(b"".join(self._fragments))
                    self._fragments.clear()
            elif event.opcode is Opcode.PING:
                self._pinged.set()

    async def _flush(self) -> None:
        async with self._writing:
            data = b"".join(self._protocol.data_to_send())
            if data and not self._muted:
                await self._write(data)

    async def _write(self, data: bytes) -> None:
        # Half a frame would spoil every frame after it: a started write is finished, or the link is lost.
        with trio.move_on_after(SEND_SECONDS, shield=True) as bound:
            try:
                await self._stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self._muted = True
        if bound.cancelled_caught:
            self._muted = True
            raise Reset

    def _farewell(self) -> PeerLeft:
        close = self._protocol.close_rcvd
        return PeerLeft(close.code, close.reason) if close is not None else PeerLeft(None)


async def _received(stream: trio.abc.ReceiveStream) -> bytes:
    """Return the next bytes; empty at the end, however it came."""
    try:
        return bytes(await stream.receive_some(RECEIVE_BYTES))
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return b""


class _Replayed(trio.abc.ReceiveStream):
    """A stream whose first bytes were already read."""

    def __init__(self, ahead: bytes, stream: trio.abc.ReceiveStream) -> None:
        self._ahead = ahead
        self._stream = stream

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self._ahead:
            await trio.lowlevel.checkpoint()
            ahead, self._ahead = self._ahead, b""
            return ahead
        return bytes(await self._stream.receive_some(max_bytes))

    async def aclose(self) -> None:
        await self._stream.aclose()
