"""Decides how deliveries flow to the backend: freely, or one probe at a time. No clock, no I/O.

Rule 1: failures of one delivery, and refusals of one interview, never hold the others.
Rule 2: only an accepted delivery ends a hold that refusals began.

Times are the caller's seconds, on any clock that only goes forward.
"""

from dataclasses import dataclass, field
import enum

# Posts at once: a small application server takes these from a stranger without noticing.
IN_FLIGHT = 4
# A post that has waited this long for its answer no longer counts against IN_FLIGHT: the trouble of a few interviews
# delays the others by a second at most.
SLOW_SECONDS = 1.0
# Slow posts and others together. Each costs a connection and about 100 KiB; a backend that hangs is held by then.
MOST_IN_FLIGHT = 16
# Different deliveries that failed in a row: the backend is in trouble, and not one odd transcript.
FAILURES_THAT_HOLD = 5
# Different interviews that were refused alike, with none accepted between: the refusal is not about them.
REFUSALS_THAT_HOLD = 3
# While the backend is down one delivery probes it this often: hundreds that wait do not hammer it, and
# all flow again within half a minute after it is back.
HELD_SECONDS = 30.0
# A hold for refusals is probed sooner at first, because a deploy is over in seconds, then less and less often:
# a wrong secret is mended by people, and each wrong try may be counted against us.
FIRST_PROBE_SECONDS = 1.0
PAUSED_SECONDS = 60.0


class Flow(enum.StrEnum):
    """The three ways in which deliveries flow."""

    OPEN = "open"
    HELD = "held"  # the backend fails, or refuses, every delivery
    PAUSED = "paused"  # the backend refuses our secret


@dataclass(slots=True)
class Breaker:
    """``probe_at``: when one delivery may be tried although the flow is not open."""

    flow: Flow = Flow.OPEN
    probe_at: float = 0.0
    _failed: set[str] = field(default_factory=set)
    # Interviews refused alike, by the words of the refusal.
    _alike: str = ""
    _refused: set[str] = field(default_factory=set)
    # Deliveries that were refused in a hold which an acceptance ended. Refused again, they are judged alone.
    _judged: set[str] = field(default_factory=set)
    _suspects: set[str] = field(default_factory=set)
    # The wait before the next probe of a hold for refusals; None in a hold for failures.
    _probe_seconds: float | None = None

    def room(self, now: float, in_flight: int, slow: int = 0) -> int:
        """Return how many more deliveries may be begun. ``slow``: those in flight for ``SLOW_SECONDS`` and more."""
        if self.flow is Flow.OPEN:
            return max(0, min(IN_FLIGHT - (in_flight - slow), MOST_IN_FLIGHT - in_flight))
        return 1 if in_flight == 0 and now >= self.probe_at else 0

    def answered(self, key: str = "") -> None:
        """Note that the backend accepted the delivery ``key``: it works, and our secret is right."""
        if self._probe_seconds is not None:
            self._judged |= self._suspects
        self._open()
        self._refused.clear()
        self._suspects.clear()
        self._judged.discard(key)

    def failed(self, key: str, now: float) -> None:
        """Note that a delivery failed for reasons that pass."""
        if self.flow is Flow.OPEN:
            self._failed.add(key)
            if len(self._failed) >= FAILURES_THAT_HOLD:
                self.flow = Flow.HELD
        self._wait(now)

    def refused(self, key: str, interview_id: str, alike: str, now: float, *, secret: bool = False) -> bool:
        """Note a refusal by the application. Return True when it is about all deliveries, not this one.

        ``alike``: the refusal in words that are equal for equal refusals. ``secret``: it was our authority.
        """
        if self._probe_seconds is None:
            self._open()  # the backend answers: a hold for failures is over
        if key in self._judged:
            self._judged.discard(key)
            return False
        if alike != self._alike:
            self._alike = alike
            self._refused.clear()
            if self.flow is Flow.OPEN:
                self._suspects.clear()
        self._refused.add(interview_id)
        self._suspects.add(key)
        if self.flow is Flow.OPEN and len(self._refused) >= REFUSALS_THAT_HOLD:
            self.hold(now, secret=secret)
        elif self.flow is not Flow.OPEN:
            self._wait(now)
        return self.flow is not Flow.OPEN

    @property
    def all_refused(self) -> bool:
        """True where so many interviews were refused alike that the refusal is not about them."""
        return len(self._refused) >= REFUSALS_THAT_HOLD

    def hold(self, now: float, *, secret: bool = False) -> None:
        """Hold the flow at once: the backend said that it cannot take this kind of delivery now."""
        if self._probe_seconds is None:
            self.flow = Flow.PAUSED if secret else Flow.HELD
            self._probe_seconds = FIRST_PROBE_SECONDS
            self.probe_at = now + self._probe_seconds
        else:
            self._wait(now)

    def _open(self) -> None:
        self.flow = Flow.OPEN
        self._probe_seconds = None
        self._failed.clear()

    def _wait(self, now: float) -> None:
        if self._probe_seconds is None:
            self.probe_at = now + HELD_SECONDS
        else:
            self._probe_seconds = min(2 * self._probe_seconds, PAUSED_SECONDS)
            self.probe_at = now + self._probe_seconds
