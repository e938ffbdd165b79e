"""The lifespan of one connection to Gemini: when to leave at the next quiet moment, and when at once.

Gemini ends connections after ten minutes, or after 58, with a warning or without: so nothing here is a constant of
Gemini's. After goAway we count down ourselves: Gemini may close without another word.
Source: docs/protocol.md, "Long interviews".
"""

from dataclasses import dataclass

# Kept from a goAway's time: closing, dialling and setting up must fit.
MARGIN_SECONDS = 5.0
# A goAway without a time is taken for this.
DEFAULT_SECONDS = 10.0
# A goAway may come a second after connecting, with five minutes left. A client that leaves at once gets the next.
WINDOW_SECONDS = 60.0


@dataclass(slots=True)
class Lifespan:
    """One connection's. All times monotonic, in seconds; ``rotate_after`` is the age at which it is old."""

    began: float
    rotate_after: float
    _leave_from: float | None = None
    _leave_by: float | None = None

    def going_away(self, now: float, seconds_left: float | None) -> None:
        """Note a goAway. The one that leaves the least time counts."""
        left = DEFAULT_SECONDS if seconds_left is None else seconds_left
        leave_by = now + max(0.0, left - MARGIN_SECONDS)
        if self._leave_by is None or leave_by < self._leave_by:
            self._leave_by = leave_by
            self._leave_from = now + max(0.0, left - WINDOW_SECONDS)

    def ripe(self, now: float) -> bool:
        """Return whether to leave at the next quiet moment."""
        warned = self._leave_from is not None and now >= self._leave_from
        return warned or now - self.began >= self.rotate_after

    def overdue(self, now: float) -> bool:
        """Return whether to leave now, quiet or not."""
        return self._leave_by is not None and now >= self._leave_by
