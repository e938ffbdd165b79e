"""Carries packets between two TUN devices over a bad line: the process behind ``tests.bench.tunnel``.

    python -m tests.bench.forwarder DEVICE DEVICE SEED

The devices are inherited descriptors. A line of JSON on standard input is the line's shape from then on, both ways. When
standard input ends, which it does at the latest with the process that has its other end, this one prints its counts.
"""

from collections import deque
from dataclasses import asdict
import json
import os
import random
import select
import sys
import time

from tests.bench.shaping import Shape, Way

# More than any packet that the devices carry.
PACKET_BYTES = 65_536
# Taken from a device at a time, so that the other's turn comes.
AT_ONCE = 64
STANDARD_INPUT = 0


class Direction:
    """What enters at one device, and is on its way to the other."""

    def __init__(self, source: int, sink: int, way: Way) -> None:
        self.source = source
        self.way = way
        self._sink = sink
        self._under_way: deque[tuple[float, bytes]] = deque()

    def take(self, now: float) -> None:
        """Take all that the kernel has sent."""
        for _ in range(AT_ONCE):
            try:
                packet = os.read(self.source, PACKET_BYTES)
            except BlockingIOError:
                return
            if (at := self.way.enter(len(packet), now)) is not None:
                self._under_way.append((at, packet))

    def deliver(self, now: float) -> float | None:
        """Hand over all that has arrived; return when the next does, None where nothing is under way."""
        while self._under_way and self._under_way[0][0] <= now:
            _, packet = self._under_way.popleft()
            os.write(self._sink, packet)
        return self._under_way[0][0] if self._under_way else None


def forward(devices: tuple[int, int], seed: int) -> tuple[Way, Way]:
    """Carry packets until standard input ends; return both ways as they were: from the first device, and from the second."""
    chance = random.Random(seed).random
    first, second = devices
    directions = [
        Direction(first, second, Way(Shape(), chance)),
        Direction(second, first, Way(Shape(), chance)),
    ]
    by_source = {one.source: one for one in directions}
    waiting = select.epoll()
    for source in (*by_source, STANDARD_INPUT):
        waiting.register(source, select.EPOLLIN)
    orders = b""
    while True:
        now = time.monotonic()
        due = [at for one in directions if (at := one.deliver(now)) is not None]
        ready = [source for source, _ in waiting.poll(max(0.0, min(due) - now) if due else None)]
        now = time.monotonic()
        for source in ready:
            if source != STANDARD_INPUT:
                by_source[source].take(now)
                continue
            order = os.read(STANDARD_INPUT, PACKET_BYTES)
            if not order:
                return directions[0].way, directions[1].way
            *lines, orders = (orders + order).split(b"\n")
            for line in lines:
                for one in directions:
                    one.way.shape = Shape(**json.loads(line))


def order(shape: Shape) -> bytes:
    """Return the line for standard input that makes the line like this."""
    return json.dumps(asdict(shape)).encode() + b"\n"


def main() -> None:
    """Forward, and print the counts."""
    first, second, seed = map(int, sys.argv[1:])
    counts = [asdict(way.counts()) for way in forward((first, second), seed)]
    sys.stdout.write(json.dumps(counts) + "\n")


if __name__ == "__main__":
    main()
