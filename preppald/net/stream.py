"""One connection's bytes, read and written without a turn of Trio's loop wherever the kernel need not be waited for.

A receive or a send through Trio costs a visit to its scheduler even where the kernel would have answered at once:
25 µs on the reference machine, three times the system call. So we call read and write on a plain socket directly,
and suspend only if the call would block. Any other stream (a test's) is always awaited; callers see no difference.
"""

import os

import trio

from preppald.net.poll import Look
from preppald.net.poller import Poller

_LOST = (trio.BrokenResourceError, trio.ClosedResourceError)


class Stream:
    """The bytes of one connection. One task receives; any task may ``send``, and awaits ``flush`` if that was not all.

    ``socket``: the plain socket that is read and written directly; None where every call has to be awaited.
    ``idle``: whether bytes sent now go at once, because the kernel took everything before them.
    ``sending_since``: when the flush began that has not ended yet, for a watchdog.
    """

    def __init__(self, transport: trio.abc.Stream) -> None:
        self.sending_since: float | None = None
        self.socket = transport.socket if isinstance(transport, trio.SocketStream) else None
        self.idle = self.socket is not None
        self._transport = transport
        self._unsent = bytearray()
        self._flushing = trio.StrictFIFOLock()
        self._poller: Poller | None = None

    # -------------------------------------------------------------- in

    async def receive(self, most: int) -> bytes | bytearray:
        """Wait for bytes and return at most ``most``; none at the end of the stream.

        Raises:
            trio.BrokenResourceError, trio.ClosedResourceError: the connection is gone.
        """
        if self.socket is None:
            return await self._transport.receive_some(most)
        data = None
        while data is None:
            if self.socket.fileno() < 0:
                raise trio.ClosedResourceError("the connection was closed here")
            await trio.lowlevel.wait_readable(self.socket)
            data = self.receive_now(most)
        return data

    def receive_now(self, most: int) -> bytes | None:
        """Return the bytes that are here already; None where there are none, or where only waiting can show.

        Raises:
            trio.BrokenResourceError: the connection is gone.
        """
        if self.socket is None:
            return None
        try:
            return os.read(self.socket.fileno(), most)
        except BlockingIOError:
            return None
        except OSError as error:
            raise trio.BrokenResourceError(f"receiving failed: {error}") from error

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
        if self.socket is None or not self.idle:
            self._unsent += data
            return not self._unsent
        if not data:
            return True
        try:
            sent = os.write(self.socket.fileno(), data)
        except OSError:  # it would block, or the connection is gone
            sent = 0
        if sent < len(data):
            self._unsent += data[sent:]
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
        async with self._flushing:
            while self._unsent:
                data, self._unsent = self._unsent, bytearray()
                self.sending_since = trio.current_time()
                self.idle = False
                await self._transport.send_all(data)
                self.sending_since = None
            self.idle = self.socket is not None and self.sending_since is None

    # -------------------------------------------------------------- the end

    async def linger(self, most: int) -> None:
        """Send the end of our stream, then read and drop until the peer's: a lingering close.

        Closed while the peer is still sending, the kernel would reset the connection, and the last bytes that we
        sent might never be read.
        """
        try:
            if isinstance(self._transport, trio.abc.HalfCloseableStream):  # TLS has no half
                await self._transport.send_eof()
            while await self._transport.receive_some(most):
                pass
        except _LOST:
            pass

    async def hang_up(self) -> None:
        """Drop the connection at once; tasks that read or write here see it end."""
        if self._poller is not None and self.socket is not None:
            self._poller.release(self.socket)
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(self._transport)
