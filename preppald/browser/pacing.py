"""How far the interviewer's voice runs ahead of its playback where it goes as packets: over a line that is slow.

Gemini speaks four times as fast as it is heard. All that is sent and not heard yet lies in the network when the candidate
speaks over it, and Interrupted waits behind it. So the page gets enough to play on while a lost packet is sent again; the
rest stays here, where an interruption drops it.

Pure: time is an argument, in seconds.
"""

from collections import deque
from collections.abc import Iterable

# A packet that is lost comes again within a second where there and back take 0.4 s, and may be lost a second time.
LEAD_SECONDS = 2.0
# As much as a page keeps; some 0.9 MB. More is sent on at once, and is the outbox's, which has a bound of its own.
MOST_SECONDS = 300.0


class Pace:
    """One connection's packets, each with its length, that wait for their time."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[bytes, float]] = deque()
        self._waiting_seconds = 0.0
        # When all that was sent will have been heard, by a page that plays it at once.
        self._heard_at = 0.0

    @property
    def waiting(self) -> bool:
        return bool(self._waiting)

    def put(self, packets: Iterable[tuple[bytes, float]]) -> None:
        """Add packets, each with its seconds of sound."""
        for packet, seconds in packets:
            self._waiting.append((packet, seconds))
            self._waiting_seconds += seconds

    def take(self, now: float) -> list[bytes]:
        """Return the packets that are to be sent now."""
        taken = []
        while self._waiting and (self._heard_at - now < LEAD_SECONDS or self._waiting_seconds > MOST_SECONDS):
            packet, seconds = self._waiting.popleft()
            self._waiting_seconds -= seconds
            self._heard_at = max(self._heard_at, now) + seconds
            taken.append(packet)
        return taken

    def take_all(self) -> list[bytes]:
        """Return all packets, for sound of another kind follows them."""
        taken = [packet for packet, _ in self._waiting]
        self._clear()
        return taken

    def drop(self) -> None:
        """Forget what waits; the page forgets what it has."""
        self._clear()
        self._heard_at = 0.0

    def _clear(self) -> None:
        self._waiting.clear()
        self._waiting_seconds = 0.0
