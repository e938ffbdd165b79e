"""The interview's one deadline, and the time that is given back to the candidate."""

from collections.abc import Sequence
from dataclasses import dataclass, field

# A shorter gap is not heard.
AUDIBLE_GAP_SECONDS = 1.0
# While Gemini is away the end moves along: the end is computed again after this, and not at every instant.
GAP_STEP_SECONDS = 0.5


@dataclass(slots=True)
class FairClock:
    """Keeps one deadline. All times monotonic, in seconds. The context may set ``ends_at`` once; then credits move it.

    ``notices``: how long before the end the candidate is warned. ``credit_limit``: the most that is given back.
    """

    ends_at: float
    credit_limit: float
    credited: float = 0.0
    notices: Sequence[float] = ()
    _told: int = field(default=0, init=False)
    _lost_at: float | None = field(default=None, init=False)

    def begin(self, now: float) -> None:
        """Leave out the notices that would come at once."""
        self.notices = sorted((soon for soon in self.notices if soon < self.left(now)), reverse=True)
        self._told = 0

    def shorten(self, ends_at: float, now: float) -> bool:
        """Make the end no later than this; return whether that changed it."""
        if ends_at >= self.ends_at:
            return False
        self.ends_at = ends_at
        self.begin(now)
        return True

    def left(self, now: float) -> float:
        """Return the seconds to the end. They stand still while Gemini is away, up to the credit limit."""
        return self.ends_at + self._owed(now) - now

    def next_moment(self, now: float) -> float:
        """Return the time of the next notice, or of the end."""
        untold = self.notices[self._told :]
        moment = self.ends_at - (untold[0] if untold else 0.0)
        return moment if self._lost_at is None else max(moment, now + GAP_STEP_SECONDS)

    def notice_due(self, now: float) -> bool:
        """Return whether the candidate must be warned now; once for each notice."""
        due = False
        while self._told < len(self.notices) and self.left(now) <= self.notices[self._told]:
            self._told += 1
            due = True
        return due

    def gap(self, now: float) -> float:
        """Return how long Gemini has been away; 0 while it is there."""
        return 0.0 if self._lost_at is None else now - self._lost_at

    def lost(self, now: float) -> None:
        """Note that Gemini is away from now on."""
        if self._lost_at is None:
            self._lost_at = now

    def restored(self, now: float) -> float:
        """Note that Gemini is back; return the seconds given back, 0 for a gap that nobody could hear."""
        given = self._owed(now) if self.gap(now) >= AUDIBLE_GAP_SECONDS else 0.0
        self._lost_at = None
        self.credited += given
        self.ends_at += given
        return given

    def _owed(self, now: float) -> float:
        return max(0.0, min(self.gap(now), self.credit_limit - self.credited))
