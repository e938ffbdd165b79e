"""Token buckets: how much of something may happen, on average and at once. Time comes in as an argument.

A bucket may go into debt, so that what has already happened is only counted: one subtraction, whatever it was.
"""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Bucket:
    """Holds up to ``burst``, and regains ``rate`` a second."""

    rate: float
    burst: float
    _level: float = field(init=False)
    _at: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self._level = self.burst

    def spend(self, amount: float, now: float) -> None:
        """It happened; the bucket may be in debt now."""
        self._level = self.level(now) - amount
        self._at = now

    @property
    def in_debt(self) -> bool:
        """Whether more was spent than there was, the last time."""
        return self._level < 0

    def level(self, now: float) -> float:
        """What is left; below zero it is a debt. A clock that stands still or goes back regains nothing."""
        return min(self.burst, self._level + max(0.0, now - self._at) * self.rate)

    def seconds_until(self, amount: float, now: float) -> float:
        """How long until so much is there; 0 where it is."""
        return max(0.0, (amount - self.level(now)) / self.rate)
