"""One connection's bytes: what can be done at once is done at once, without a turn of Trio's loop.

A receive or a send through Trio costs a visit to its scheduler even where the kernel would have answered right
away: 25 µs on the reference machine, thrice the system call. So a plain socket is asked directly, and only when it
must be waited for is it waited for. Any other stream (TLS, tests) is always waited for; nobody else notices.
"""

import os

import trio


class Stream:
    """One task reads. Anybody may ``send``; who is told that it did not all go sees to ``flush``, one at a time.

    ``socket``: what is asked at once, where there is one.
    ``idle``: whether what is sent now may go at once, for the kernel took all that came before.
    ``sending_since``: when a flush began that has not ended yet, for whoever watches for stalls.
    """

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.sending_since: float | None = None
        self.socket = stream.socket if isinstance(stream, trio.SocketStream) else None
        self.idle = self.socket is not None
        self._unsent = bytearray()

    # -------------------------------------------------------------- in

    async def receive(self, most: int) -> bytes | bytearray:
        """Waits for bytes; none of them at the end of the stream.

        Raises:
            trio.BrokenResourceError, trio.ClosedResourceError: the connection is gone.
        """
        if self.socket is None:
            return await self.stream.receive_some(most)
        data = None
        while data is None:
            if self.socket.fileno() < 0:
                raise trio.ClosedResourceError("the connection was closed here")
            await trio.lowlevel.wait_readable(self.socket)
            data = self.receive_now(most)
        return data

    def receive_now(self, most: int) -> bytes | None:
        """What is there already; None where nothing is, or where only waiting can tell.

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

    # -------------------------------------------------------------- out

    @property
    def unsent(self) -> int:
        """Bytes that wait for a flush."""
        return len(self._unsent)

    def send(self, data: bytes) -> bool:
        """Takes the bytes, and sends what the kernel takes now; whether that was all. Never fails: a flush does."""
        if self.socket is None or not self.idle:
            self._unsent += data
            return not self._unsent
        if not data:
            return True
        try:
            sent = os.write(self.socket.fileno(), data)
        except OSError:  # it would have to wait, or the connection is gone
            sent = 0
        if sent < len(data):
            self._unsent += data[sent:]
            self.idle = False
            return False
        return True

    async def flush(self) -> None:
        """Sends what is left, for as long as that takes. Cancelled, it leaves half a frame behind: hang up then.

        Raises:
            trio.BrokenResourceError, trio.ClosedResourceError: the connection is gone.
        """
        while self._unsent:
            data, self._unsent = self._unsent, bytearray()
            self.sending_since = trio.current_time()
            self.idle = False
            await self.stream.send_all(data)
            self.sending_since = None
        self.idle = self.socket is not None and self.sending_since is None
