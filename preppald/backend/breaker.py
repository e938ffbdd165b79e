"""Whether deliveries may flow: a circuit breaker, and the pause after a refused secret.

No clock: times are the caller's seconds, on any clock that only goes forward.
"""

from dataclasses import dataclass, field
import enum

# As many at once as a small application server takes from a stranger without noticing.
IN_FLIGHT = 4
# So many different deliveries failed in a row: it is the backend, and not one odd transcript.
FAILURES_THAT_HOLD = 5
# While the backend is down one delivery asks after it this often: hundreds that wait do not hammer it, and
# all flow again within half a minute after it is back.
HELD_SECONDS = 30.0
# A refused secret is repaired by people, and each wrong try may be counted against us.
PAUSED_SECONDS = 60.0


class Flow(enum.StrEnum):
    """How deliveries flow."""

    OPEN = "open"
    HELD = "held"  # the backend fails whatever it is given
    PAUSED = "paused"  # the backend refuses our secret


@dataclass(slots=True)
class Breaker:
    """``probe_at``: when one delivery may be tried although the gate is closed."""

    flow: Flow = Flow.OPEN
    probe_at: float = 0.0
    _failed: set[str] = field(default_factory=set)

    def room(self, now: float, in_flight: int) -> int:
        """How many more deliveries may be begun now."""
        if self.flow is Flow.OPEN:
            return IN_FLIGHT - in_flight
        return 1 if in_flight == 0 and now >= self.probe_at else 0

    def answered(self) -> None:
        """The backend took a delivery, or judged it: it works, and our secret is right."""
        self.flow = Flow.OPEN
        self._failed.clear()

    def failed(self, key: str, now: float) -> None:
        """A delivery failed for reasons that pass."""
        if self.flow is Flow.OPEN:
            self._failed.add(key)
            if len(self._failed) >= FAILURES_THAT_HOLD:
                self.flow = Flow.HELD
        self._wait(now)

    def unauthorized(self, now: float) -> None:
        self.flow = Flow.PAUSED
        self._wait(now)

    def _wait(self, now: float) -> None:
        self.probe_at = now + (PAUSED_SECONDS if self.flow is Flow.PAUSED else HELD_SECONDS)
