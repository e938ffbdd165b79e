"""One connection's bytes, read and written without a turn of Trio's loop wherever the kernel need not be waited for.

A receive or a send through Trio costs a visit to its scheduler even where the kernel would have answered at once:
25 µs on the reference machine, three times the system call. So we call read and write on the socket directly, and
suspend only if the call would block. TLS (``records``) lies between the socket and the caller, who sees no difference.
Any other stream (a test's) is always awaited.
"""

from contextlib import suppress
import os
import socket
import ssl

import trio

from preppald.net.poll import Look
from preppald.net.poller import Poller
from preppald.net.records import Records

# One read of the wire without a size: a flight of the handshake is at most a few packets.
READ_BYTES = 16 * 1024
# Audio flows all the time: a peer that acknowledges nothing, or takes nothing, for this long is gone. TCP's own
# patience is a quarter of an hour.
UNACKNOWLEDGED_MS = 20_000
# A third of a second of the interviewer's voice, which is all that a later message has to wait for in the kernel.
# Left to itself Linux takes megabytes for a slow line, and calls it writable again only after a third of them.
KERNEL_BYTES = 16 * 1024
# One send where the kernel is not asked directly: each that ends is a sign that the peer takes something.
PIECE_BYTES = 16 * 1024
_LOST = (trio.BrokenResourceError, trio.ClosedResourceError)


def give_up_when_unacknowledged(stream: trio.SocketStream) -> None:
    """Have the kernel end a connection whose peer is gone."""
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)


def keep_little_in_the_kernel(stream: trio.SocketStream) -> None:
    """Have the kernel take little more than what is on its way, so that a later message may overtake the rest."""
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, KERNEL_BYTES)


class Stream(trio.abc.HalfCloseableStream):
    """The bytes of one connection. One task receives; any task may ``send``, and awaits ``flush`` if that was not all.

    It is one of Trio's streams as well, for a handshake by a library, and stays the same object after it.
    ``socket``: the socket that is read and written directly; None where every call has to be awaited.
    ``idle``: whether bytes sent now go at once, because the kernel took everything before them.
    ``sending_since``: since when a flush waits without a byte taken, for a watchdog; None where none waits.
    ``received``: how many bytes of the wire the last read brought. ``at_end``: the peer has said that nothing more
    comes; the socket itself may not show it.
    """

    __slots__ = (
        "_broken",
        "_flushing",
        "_plain",
        "_poller",
        "_records",
        "_transport",
        "_unsent",
        "at_end",
        "idle",
        "received",
        "sending_since",
        "socket",
    )

    def __init__(self, transport: trio.abc.Stream, records: Records | None = None) -> None:
        self.sending_since: float | None = None
        self.received = 0
        self.at_end = False
        self.socket = transport.socket if isinstance(transport, trio.SocketStream) else None
        self.idle = self.socket is not None
        self._transport = transport
        self._records = records
        # Plaintext that was read and not asked for yet.
        self._plain = b""
        self._broken = ""
        self._unsent = bytearray()
        # Made by the first flush that has to wait: most connections never need one.
        self._flushing: trio.StrictFIFOLock | None = None
        self._poller: Poller | None = None

    @classmethod
    def over(cls, stream: trio.abc.Stream) -> "Stream":
        """Return the stream itself if it is one of these, else one over it."""
        return stream if isinstance(stream, cls) else cls(stream)

    @property
    def tls_version(self) -> str | None:
        """Return the version of TLS spoken here; None where none is."""
        return None if self._records is None else self._records.version

    @property
    def resumed(self) -> bool:
        """Return whether the TLS handshake took up an earlier session."""
        return self._records is not None and self._records.resumed

    # -------------------------------------------------------------- in

    async def receive(self, most: int) -> bytes | bytearray:
        """Wait for bytes and return at most about ``most``; none at the end of the stream.

        Raises:
            trio.BrokenResourceError, trio.ClosedResourceError: the connection is gone.
        """
        plain: bytes | bytearray | None = self._kept()
        while plain is None:
            if self.at_end:
                return b""
            wire = await self._read(most)
            self.received = len(wire)
            plain = wire if self._records is None else self._decrypted(self._records, wire)
        return plain

    async def _read(self, most: int) -> bytes | bytearray:
        """Wait for bytes of the wire."""
        if self.socket is None:
            return await self._transport.receive_some(most)
        while True:
            if self.socket.fileno() < 0:
                raise trio.ClosedResourceError("the connection was closed here")
            await trio.lowlevel.wait_readable(self.socket)
            try:
                return os.read(self.socket.fileno(), most)
            except BlockingIOError:
                continue
            except OSError as error:
                raise trio.BrokenResourceError(f"receiving failed: {error}") from error

    def receive_now(self, most: int) -> bytes | bytearray | None:
        """Return the bytes that are here already; None where there are none, or where only waiting can show.

        Raises:
            trio.BrokenResourceError: the connection is gone.
        """
        self.received = 0
        if self._plain or self._broken or self.socket is None:
            return self._kept()
        try:
            wire = os.read(self.socket.fileno(), most)
        except BlockingIOError:
            return None
        except OSError as error:
            raise trio.BrokenResourceError(f"receiving failed: {error}") from error
        self.received = len(wire)
        return wire if self._records is None else self._decrypted(self._records, wire)

    def _kept(self) -> bytes | None:
        """Return the plaintext that was not asked for yet, None where there is none; raise for a TLS that failed."""
        if self._plain:
            data, self._plain = self._plain, b""
            return data
        if self._broken:
            raise trio.BrokenResourceError(self._broken)
        return None

    def _decrypted(self, records: Records, wire: bytes | bytearray) -> bytes | None:
        """Return what these bytes of the wire say; nothing at the end of the stream, None where they say nothing yet."""
        try:
            plain = records.take(wire)
            self.at_end = records.ended
        except ssl.SSLError as error:
            self._broken = f"TLS failed: {error.reason}"
            self._put(records.output())
            raise trio.BrokenResourceError(self._broken) from error
        if output := records.output():  # the answer to a key update
            self._put(output)
        return plain if plain or records.ended else None

    async def poll(self, poller: Poller, look: Look) -> None:
        """Have the poller call ``look`` whenever there is something to read, until it returns true or we hang up."""
        if self.socket is not None:
            self._poller = poller
            await poller.until(self.socket, look)

    # -------------------------------------------------------------- out

    @property
    def unsent(self) -> int:
        """Return how many bytes wait for a flush."""
        return len(self._unsent)

    def send(self, data: bytes) -> bool:
        """Take the bytes and send as many as the kernel takes now; return whether that was all.

        Never raises: it is called from synchronous code that could not handle the error; ``flush`` raises it.
        """
        if self._records is not None and data:
            try:
                data = self._records.encrypt(data)
            except ssl.SSLError:  # the connection has ended, which the reader sees as well
                data = b""
        return self._put(data)

    def _put(self, wire: bytes) -> bool:
        if not self.idle or self.socket is None:
            self._unsent += wire
            return not self._unsent
        if not wire:
            return True
        try:
            sent = os.write(self.socket.fileno(), wire)
        except OSError:  # it would block, or the connection is gone
            sent = 0
        if sent < len(wire):
            self._unsent += wire[sent:]
            self.idle = False
            return False
        return True

    async def flush(self) -> None:
        """Send the rest, for as long as that takes. Cancelled, it leaves half a frame behind: hang up then.

        Raises:
            trio.BrokenResourceError, trio.ClosedResourceError: the connection is gone.
        """
        if not self._unsent:
            return
        if self._flushing is None:
            self._flushing = trio.StrictFIFOLock()
        async with self._flushing:
            while self._unsent:
                data, self._unsent = self._unsent, bytearray()
                self.idle = False
                await self._send_all(memoryview(data))
                self.sending_since = None
            self.idle = self.socket is not None and self.sending_since is None

    async def _send_all(self, data: memoryview) -> None:
        """Send, and note each time that the peer takes something: a slow line is not a dead one."""
        while data:
            self.sending_since = trio.current_time()
            data = data[await self._send_some(data) :]

    async def _send_some(self, data: memoryview) -> int:
        """Return how many bytes were taken, once some were."""
        if self.socket is None:
            await self._transport.send_all(data[:PIECE_BYTES])
            return PIECE_BYTES
        while True:
            if self.socket.fileno() < 0:
                raise trio.ClosedResourceError("the connection was closed here")
            await trio.lowlevel.wait_writable(self.socket)
            try:
                return os.write(self.socket.fileno(), data)
            except BlockingIOError:
                continue
            except OSError as error:
                raise trio.BrokenResourceError(f"sending failed: {error}") from error

    # -------------------------------------------------------------- the beginning and the end

    async def handshake(self) -> None:
        """Make the TLS handshake, where there is TLS. Without a bound: that is the caller's.

        Raises:
            ssl.SSLError: the peer speaks no TLS, or none that we accept.
            trio.BrokenResourceError, trio.ClosedResourceError: the connection is gone.
        """
        records = self._records
        if records is None:
            return
        try:
            while not records.handshake():
                self._put(records.output())
                await self.flush()
                wire = await self._read(READ_BYTES)
                if not wire:
                    raise trio.BrokenResourceError("the peer hung up during the TLS handshake")
                records.feed(wire)
            self._put(records.output())
            self._plain = records.decrypt()  # bytes that came right behind the handshake
            self.at_end = records.ended
        except ssl.SSLError as error:
            if error.reason != "HTTP_REQUEST":  # that peer would not understand an alert
                self._put(records.output())
            raise
        await self.flush()

    async def linger(self, most: int) -> None:
        """Send the end of our stream, then read and drop until the peer's: a lingering close.

        Closed while the peer is still sending, the kernel would reset the connection, and the last bytes that we
        sent might never be read.
        """
        with suppress(*_LOST):
            await self.send_eof()
            while await self._transport.receive_some(most):
                pass

    async def hang_up(self) -> None:
        """Drop the connection at once; tasks that read or write here see it end."""
        if self._poller is not None and self.socket is not None:
            self._poller.release(self.socket)
        if self._records is not None and self.idle:
            self._records.close()
            self._put(self._records.output())
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(self._transport)

    # -------------------------------------------------------------- as one of Trio's streams

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Return what ``receive`` does, and never more than ``max_bytes``."""
        data = await self.receive(READ_BYTES if max_bytes is None else max_bytes)
        if max_bytes is not None and len(data) > max_bytes:
            self._plain = bytes(data[max_bytes:])
            return data[:max_bytes]
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send all the bytes, for as long as that takes."""
        if not self.send(bytes(data)):
            await self.flush()
        else:
            await trio.lowlevel.checkpoint()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until what was sent before has gone."""
        await self.flush()
        await self._transport.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """Say that nothing more will be sent; reading goes on."""
        if self._records is not None:
            self._records.close()
            self._put(self._records.output())
        await self.flush()
        if isinstance(self._transport, trio.abc.HalfCloseableStream):
            await self._transport.send_eof()

    async def aclose(self) -> None:
        """Hang up."""
        await self.hang_up()
