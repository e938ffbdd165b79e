"""One way of a bad line, as a network's equipment makes it: its rate and queue, delay, jitter, and losses that come in bursts.

Pure: times and chance are arguments. ``tests.bench.forwarder`` has the packets.

Rule 1: packets leave in the order in which they came. Radio and copper lines keep it, and to TCP another order is a loss.
Rule 2: a packet that finds the queue full is dropped there, as a router does; one that is lost on the way took its time
        on the line like any other.
"""

from collections.abc import Callable
from dataclasses import dataclass

# A second of a slow line is what routers and base stations keep for it; of a faster one they keep less.
QUEUE_SECONDS = 1.0
# … but some packets in any case.
LEAST_QUEUE_BYTES = 10 * 1500


@dataclass(frozen=True, slots=True)
class Shape:
    """``bits``: a second, 0 for any number. ``delay``, ``jitter``: seconds, the latter from none to so much more.

    ``loss``: the share of packets. ``burst``: how many are lost in a row, on average, by the model of Gilbert and Elliott:
    in its bad state all are. ``queue``: bytes; 0: QUEUE_SECONDS of the line.
    """

    bits: float = 0.0
    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    burst: float = 1.0
    queue: int = 0

    def __post_init__(self) -> None:
        """Refuse a line that there is not.

        Raises:
            ValueError: the words say what is allowed.
        """
        if min(self.bits, self.delay, self.jitter, self.loss, self.queue) < 0 or self.burst < 1:
            raise ValueError("nothing of a line is below 0, and a burst is one packet at least")
        if self.loss * (self.burst + 1) > self.burst:
            raise ValueError(f"bursts of {self.burst} lose at most {self.burst / (self.burst + 1):.0%}")

    @property
    def queue_bytes(self) -> int:
        """Return the bytes that wait for the line at most."""
        return self.queue or max(LEAST_QUEUE_BYTES, round(self.bits / 8 * QUEUE_SECONDS))

    @property
    def begins(self) -> float:
        """Return the chance that a burst of losses begins with the next packet; netem's p."""
        return self.loss / self.burst / (1 - self.loss)

    @property
    def ends(self) -> float:
        """Return the chance that a burst is over with the next packet; netem's r."""
        return 1 / self.burst


@dataclass(frozen=True, slots=True)
class Counts:
    """One way's packets: those that arrived, were lost, found the queue full.

    ``kbit``: a second, on average from the first packet to the last, with all that was lost on the way.
    """

    carried: int
    lost: int
    full: int
    kbit: float


class Way:
    """One way of a line."""

    def __init__(self, shape: Shape, chance: Callable[[], float]) -> None:
        """Make it idle. ``chance``: random numbers in [0, 1)."""
        self.shape = shape
        self._carried = self._lost = self._full = self._bytes = 0
        self._chance = chance
        self._began_at: float | None = None
        self._ended_at = 0.0
        self._free_at = 0.0
        self._arrived_at = 0.0
        self._losing = False

    def enter(self, size: int, now: float) -> float | None:
        """Take a packet of so many bytes; return when it arrives, None for never."""
        shape = self.shape
        self._began_at = now if self._began_at is None else self._began_at
        self._ended_at = now
        waits = max(0.0, self._free_at - now)
        if shape.bits:
            if waits * shape.bits / 8 + size > shape.queue_bytes:
                self._full += 1
                return None
            self._free_at = now + waits + size * 8 / shape.bits
        self._bytes += size
        if self._loses():
            self._lost += 1
            return None
        self._carried += 1
        at = max(now, self._free_at) + shape.delay + shape.jitter * self._chance()
        self._arrived_at = max(self._arrived_at, at)
        return self._arrived_at

    def counts(self) -> Counts:
        """Return what came of the packets so far."""
        seconds = 0.0 if self._began_at is None else self._ended_at - self._began_at
        kbit = self._bytes * 8 / 1000 / seconds if seconds else 0.0
        return Counts(self._carried, self._lost, self._full, kbit)

    def _loses(self) -> bool:
        if self._losing:
            self._losing = self._chance() >= self.shape.ends
        else:
            self._losing = self._chance() < self.shape.begins
        return self._losing
