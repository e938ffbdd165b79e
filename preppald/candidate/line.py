"""A line like a bad one, both ways: so many bits a second, so much delay, so many packets lost on the way.

A packet that is lost comes once more, as TCP has it, and all that follows waits for it. So nothing is lost to those who
talk, and nothing gets through faster than the line is.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
import re
import socket
from urllib.parse import urlsplit

import trio

# The bytes that one packet of the Internet carries.
PACKET_BYTES = 1448
# TCP's shortest wait before it sends a packet again, on Linux; longer lines wait for a round trip.
AGAIN_SECONDS = 0.2
# As a home router keeps them for a line that is full, and the kernel for a program that does not look.
QUEUE_PACKETS = 32
KERNEL_BYTES = 16 * 1024
_PART = re.compile(r"(\d{1,7}(?:\.\d{1,3})?)(kbit|mbit|ms|%)")


@dataclass(frozen=True, slots=True)
class Line:
    """``bits``: a second, each way; 0: any number. ``delay``: seconds, each way. ``loss``: the share of packets."""

    bits: float = 0.0
    delay: float = 0.0
    loss: float = 0.0


def line(text: str) -> Line:
    """Return the line that is meant by ``96kbit,200ms,3%``; each part may be left out.

    Raises:
        ValueError: the text is none; the words say what is allowed.
    """
    found: dict[str, float] = {}
    for part in text.lower().replace(" ", "").split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"{part!r} is none of 96kbit, 1mbit, 200ms, 3%")
        number, unit = float(match[1]), match[2]
        what = {"kbit": "bits", "mbit": "bits", "ms": "delay", "%": "loss"}[unit]
        if what in found:
            raise ValueError(f"{text!r} says twice what its {what} is")
        found[what] = number * {"kbit": 1e3, "mbit": 1e6, "ms": 1e-3, "%": 1e-2}[unit]
    shape = Line(**found)
    if "bits" in found and shape.bits < 1000:
        raise ValueError("a line has 1kbit at least")
    if shape.delay > 10 or shape.loss > 0.5:
        raise ValueError("a line has at most 10000ms of delay, and loses at most 50% of its packets")
    return shape


@asynccontextmanager
async def along(
    url: str, shape: Line, chance: Callable[[], float]
) -> AsyncIterator[Callable[[], Awaitable[trio.abc.Stream]]]:
    """Yield how to open a connection to the host of a ws or wss URL over such a line.

    ``chance``: random numbers in [0, 1). The connections end with the context.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "wss" else 80)
    async with trio.open_nursery() as lines:

        async def opened() -> trio.abc.Stream:
            far = await trio.open_tcp_stream(host, port)
            ours, theirs = _pair()
            lines.start_soon(_carry_both, theirs, far, shape, chance)
            return ours

        yield opened
        lines.cancel_scope.cancel()


def _pair() -> tuple[trio.SocketStream, trio.SocketStream]:
    sockets = socket.socketpair()
    for one in sockets:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)
    ours, theirs = (trio.SocketStream(trio.socket.from_stdlib_socket(one)) for one in sockets)
    return ours, theirs


async def _carry_both(
    near: trio.SocketStream, far: trio.SocketStream, shape: Line, chance: Callable[[], float]
) -> None:
    """Carry both ways until either end is gone; then both are."""
    async with near, far, trio.open_nursery() as ways:
        end = ways.cancel_scope.cancel
        ways.start_soon(carry, near, far, shape, chance, end)
        ways.start_soon(carry, far, near, shape, chance, end)


async def carry(
    source: trio.abc.ReceiveStream,
    sink: trio.abc.SendStream,
    shape: Line,
    chance: Callable[[], float],
    ended: Callable[[], None],
) -> None:
    """Carry one way over such a line; call ``ended`` when either end is gone."""
    entry, exit_ = trio.open_memory_channel[tuple[float, bytes]](QUEUE_PACKETS)
    try:
        async with trio.open_nursery() as way:
            way.start_soon(_deliver, exit_, sink)
            await _enter(source, entry, shape, chance)
    except* (trio.BrokenResourceError, trio.ClosedResourceError):
        pass
    ended()


async def _enter(
    source: trio.abc.ReceiveStream,
    entry: trio.MemorySendChannel[tuple[float, bytes]],
    shape: Line,
    chance: Callable[[], float],
) -> None:
    """Give each packet the time of its arrival. The line takes no more than its queue holds."""
    free_at = trio.current_time()
    again = max(AGAIN_SECONDS, 2 * shape.delay)
    async with entry:
        while data := await source.receive_some(PACKET_BYTES):
            free_at = max(free_at, trio.current_time())
            if shape.bits:
                free_at += len(data) * 8 / shape.bits
            while chance() < shape.loss:
                free_at += again
            await entry.send((free_at + shape.delay, bytes(data)))


async def _deliver(exit_: trio.MemoryReceiveChannel[tuple[float, bytes]], sink: trio.abc.SendStream) -> None:
    async with exit_:
        async for due, data in exit_:
            await trio.sleep_until(due)
            await sink.send_all(data)
