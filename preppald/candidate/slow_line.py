"""A line that takes no more than so many bytes a second, to see what a daemon and a page make of it."""

from collections.abc import Awaitable, Callable
from functools import partial
import socket
from urllib.parse import urlsplit

import trio

# How often it takes something: finer than a piece of the interviewer's voice.
STEP_SECONDS = 0.05
# Bytes that the kernel takes on our behalf have left the daemon. With less than this, on one machine, whose segments
# are of 64 KiB, the sender waits for its timer again and again, and the line is slower than it was asked to be.
RECEIVE_BUFFER_BYTES = 32 * 1024


class SlowLine(trio.abc.Stream):
    """A stream whose reading side is slow; its writing side is as fast as the stream below."""

    def __init__(self, stream: trio.abc.Stream, bytes_a_second: float) -> None:
        self._stream = stream
        self._rate = bytes_a_second

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return what has come, at most as much as the line carries in one step."""
        step = max(1, round(self._rate * STEP_SECONDS))
        data = await self._stream.receive_some(step if max_bytes is None else min(step, max_bytes))
        await trio.sleep(len(data) / self._rate)
        return bytes(data)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send at full speed."""
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait as the stream below does."""
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close the stream below."""
        await self._stream.aclose()


def slow_line(url: str, bytes_a_second: float) -> Callable[[], Awaitable[trio.abc.Stream]]:
    """Return how to open such a line to the host of a ws or wss URL."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    return partial(_open, parts.hostname or "", port, bytes_a_second)


async def _open(host: str, port: int, bytes_a_second: float) -> trio.abc.Stream:
    stream = await trio.open_tcp_stream(host, port)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    return SlowLine(stream, bytes_a_second)
