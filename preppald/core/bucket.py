"""Token buckets: bound the rate of something, on average and at once. Time comes in as an argument.

A bucket may go into debt, so that an event of the past can be counted in one subtraction.
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
        """Count something that happened; the bucket may be in debt afterwards."""
        self._level = self.level(now) - amount
        self._at = now

    @property
    def in_debt(self) -> bool:
        """True where the last ``spend`` took more than there was."""
        return self._level < 0

    def level(self, now: float) -> float:
        """Return the rest, a debt below zero. A clock that stands still or goes back regains nothing."""
        return min(self.burst, self._level + max(0.0, now - self._at) * self.rate)

    def seconds_until(self, amount: float, now: float) -> float:
        """Return the seconds until so much is there; 0 where there is enough."""
        return max(0.0, (amount - self.level(now)) / self.rate)
