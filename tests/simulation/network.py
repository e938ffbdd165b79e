"""The network: links of two directions, each with its own latency, each link with a fate drawn when it is made.

A direction is bounded like a socket's buffers, so that a sender can be held up. Nothing here is a task: bytes
carry the moment from which they can be read.
"""

from collections import deque
import contextlib
from dataclasses import dataclass
import enum
import random

import trio

# Two socket buffers, about.
BUFFER_BYTES = 256 * 1024
# Connections that wait to be accepted.
BACKLOG = 64
# What TCP_USER_TIMEOUT makes of a path that swallows everything: both ends learn of it in the end.
GIVEN_UP_SECONDS = 20.0
# Who only listens learns of it later: from a keepalive, or because a page loses patience.
LEARNT_SECONDS = 120.0
NEVER = 1e9
# The latest of a link's sends at which its fate strikes; the handshakes are the first three.
LATEST_SEND = 120


class Fault(enum.Enum):
    """What can happen to a link."""

    CUT = "both ends see it break"
    STALL = "nothing arrives for a while, then everything does"
    BLACK_HOLE = "everything is swallowed, and nobody is told for a while"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """How links fare. ``fatal``: the share that has a fault in store; ``splits``: of reads that come in pieces."""

    latency: float = 0.02
    jitter: float = 0.0
    splits: float = 0.0
    fatal: float = 0.0
    longest_stall: float = 40.0


CALM = Weather()


class Flow:
    """One direction."""

    def __init__(self, link: "Link", chance: random.Random) -> None:
        self._link = link
        self._chance = chance
        self._chunks: deque[tuple[float, bytes]] = deque()
        self._bytes = 0
        self._last = 0.0
        self._ended = False
        self._changed = trio.lowlevel.ParkingLot()

    def wake(self) -> None:
        self._changed.unpark_all()

    def end(self) -> None:
        """The sender says nothing more."""
        self._ended = True
        self.wake()

    async def send(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self._link.note_send()
        while self._bytes >= BUFFER_BYTES and not self._link.broken:
            await self._changed.park()
        if self._link.broken or self._ended:
            raise trio.BrokenResourceError("the link is down")
        if self._link.swallows:
            self._bytes += len(data)  # never acknowledged
            return
        weather = self._link.weather
        self._last = max(
            self._last, trio.current_time() + weather.latency + self._chance.random() * weather.jitter
        )
        self._chunks.append((self._last, bytes(data)))
        self._bytes += len(data)
        self.wake()

    async def receive(self, most: int) -> bytes:
        await trio.lowlevel.checkpoint()
        while True:
            if self._link.broken:
                raise trio.BrokenResourceError("the link is down")
            ready = self._ready_at()
            if ready is not None and ready <= trio.current_time():
                return self._take(most) if self._chunks else b""
            with trio.move_on_at(self._link.learnt_at if ready is None else ready):
                await self._changed.park()
            if trio.current_time() >= self._link.learnt_at:
                self._link.cut()

    def _ready_at(self) -> float | None:
        """From when on there is something to read, or the end; None while nothing is under way."""
        if self._link.swallows:
            return None
        if self._chunks:
            return max(self._chunks[0][0], self._link.stalled_until)
        return self._link.stalled_until if self._ended else None

    def _take(self, most: int) -> bytes:
        at, data = self._chunks.popleft()
        size = min(most, len(data))
        if size > 1 and self._chance.random() < self._link.weather.splits:
            size = self._chance.randrange(1, size)
        if size < len(data):
            self._chunks.appendleft((at, data[size:]))
        self._bytes -= size
        self.wake()
        return data[:size]


class Link:
    """A connection. ``fault`` strikes at its ``strikes_at``-th send, or never."""

    def __init__(self, weather: Weather, chance: random.Random) -> None:
        self.weather = weather
        self.broken = False
        self.swallows = False
        self.stalled_until = 0.0
        self._chance = chance
        self._sends = 0
        self._swallowed_at = NEVER
        self.strikes_at: int | None = None
        self._fault = chance.choice(list(Fault))
        if chance.random() < weather.fatal:
            # As many strike in a handshake as in all the talk after it.
            self.strikes_at = (
                chance.randint(1, 4) if chance.random() < 0.3 else chance.randint(1, LATEST_SEND)
            )
        there, back = Flow(self, chance), Flow(self, chance)
        self._flows = (there, back)
        self.ends = End(self, back, there), End(self, there, back)

    @property
    def learnt_at(self) -> float:
        """When those who only listen notice that nothing comes any more."""
        return self._swallowed_at + LEARNT_SECONDS

    @property
    def open(self) -> bool:
        return not self.broken and not all(end.closed for end in self.ends)

    def note_send(self) -> None:
        self._sends += 1
        if self._sends == self.strikes_at:
            self.strike(self._fault)
        if self.swallows and trio.current_time() > self._swallowed_at + GIVEN_UP_SECONDS:
            self.cut()

    def strike(self, fault: Fault) -> None:
        match fault:
            case Fault.CUT:
                self.cut()
            case Fault.STALL:
                self.stalled_until = trio.current_time() + self._chance.uniform(
                    0.5, self.weather.longest_stall
                )
            case Fault.BLACK_HOLE:
                self.swallows = True
                self._swallowed_at = trio.current_time()

    def cut(self) -> None:
        self.broken = True
        for flow in self._flows:
            flow.wake()


class End(trio.abc.HalfCloseableStream):
    """One end of a link."""

    def __init__(self, link: Link, incoming: Flow, outgoing: Flow) -> None:
        self.link = link
        self.closed = False
        self._incoming = incoming
        self._outgoing = outgoing

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self._check()
        await self._outgoing.send(bytes(data))

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def send_eof(self) -> None:
        self._check()
        self._outgoing.end()
        await trio.lowlevel.checkpoint()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        self._check()
        data = await self._incoming.receive(max_bytes or BUFFER_BYTES)
        self._check()
        return data

    async def aclose(self) -> None:
        if not self.closed:
            self.closed = True
            self._outgoing.end()
            self._incoming.wake()  # whoever reads here learns that it was closed
        await trio.lowlevel.checkpoint()

    def _check(self) -> None:
        if self.closed:
            raise trio.ClosedResourceError("this end was closed")


class Listener(trio.abc.Listener[trio.abc.Stream]):
    """A port of the simulated host."""

    def __init__(self) -> None:
        self._arrived, self._arrivals = trio.open_memory_channel[End](BACKLOG)

    def arrive(self, stream: End) -> bool:
        """Whether somebody listens, or will."""
        try:
            self._arrived.send_nowait(stream)
        except (trio.ClosedResourceError, trio.BrokenResourceError, trio.WouldBlock):
            return False
        return True

    def turn_away(self) -> None:
        """Nobody will accept any more: those who wait see their connections reset, as the kernel does it."""
        self._arrived.close()
        with contextlib.suppress(trio.EndOfChannel, trio.ClosedResourceError):
            while True:
                self._arrivals.receive_nowait().link.cut()

    async def accept(self) -> trio.abc.Stream:
        try:
            return await self._arrivals.receive()
        except trio.EndOfChannel:
            raise trio.ClosedResourceError from None

    async def aclose(self) -> None:
        self._arrived.close()
        self._arrivals.close()
        await trio.lowlevel.checkpoint()


class Network:
    """All links of a run. ``weather`` is that of links made from now on."""

    def __init__(self, chance: random.Random) -> None:
        self.weather = CALM
        self.links: list[Link] = []
        self._chance = chance

    def link(self) -> Link:
        link = Link(self.weather, random.Random(self._chance.random()))
        self.links = [known for known in self.links if known.open]
        self.links.append(link)
        return link

    def calm(self) -> None:
        """The faults are over: what swallows is noticed, what comes from now on is well."""
        self.weather = CALM
        for link in self.links:
            link.strikes_at = None
            link.stalled_until = 0.0
            if link.swallows:
                link.cut()

    @property
    def open(self) -> int:
        return sum(link.open for link in self.links)
