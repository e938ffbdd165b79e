"""How long one connection to Gemini may live: when it is to be left at a quiet moment, and when at any.

Gemini ends connections after ten minutes, or after 58, with a warning or without: so nothing here is a constant of
Gemini's. After goAway we count down ourselves: Gemini may close without another word.
Source: docs/protocol.md, "Long interviews".
"""

from dataclasses import dataclass

# Kept from a goAway's time: closing, dialling and setting up must fit.
MARGIN_SECONDS = 5.0
# What a goAway without a time is taken to say.
DEFAULT_SECONDS = 10.0
# A goAway may come a second after connecting, with five minutes left. Who leaves at once gets the next one.
WINDOW_SECONDS = 60.0


@dataclass(slots=True)
class Lifespan:
    """One connection's. All times monotonic, in seconds; ``rotate_after`` is the age at which it is old."""

    began: float
    rotate_after: float
    _leave_from: float | None = None
    _leave_by: float | None = None

    def going_away(self, now: float, seconds_left: float | None) -> None:
        """Gemini said goAway. Of several the one that leaves the least time counts."""
        left = DEFAULT_SECONDS if seconds_left is None else seconds_left
        leave_by = now + max(0.0, left - MARGIN_SECONDS)
        if self._leave_by is None or leave_by < self._leave_by:
            self._leave_by = leave_by
            self._leave_from = now + max(0.0, left - WINDOW_SECONDS)

    def ripe(self, now: float) -> bool:
        """Whether the next quiet moment is one to leave."""
        warned = self._leave_from is not None and now >= self._leave_from
        return warned or now - self.began >= self.rotate_after

    def overdue(self, now: float) -> bool:
        """Whether it must be left, quiet or not."""
        return self._leave_by is not None and now >= self._leave_by
