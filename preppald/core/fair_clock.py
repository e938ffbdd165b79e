"""The interview's one deadline, and the time that is given back to the candidate."""

from collections.abc import Sequence
from dataclasses import dataclass, field

# A shorter gap is not heard.
AUDIBLE_GAP_SECONDS = 1.0


@dataclass(slots=True)
class FairClock:
    """All times monotonic, in seconds. ``ends_at`` is absolute and moves by credits only.

    ``notices``: how long before the end the candidate is told. ``credit_limit``: the most that is given back.
    """

    ends_at: float
    credit_limit: float
    credited: float = 0.0
    notices: Sequence[float] = ()
    _told: int = field(default=0, init=False)

    def begin(self, now: float) -> None:
        """Leaves out the notices that would come at once."""
        self.notices = sorted((soon for soon in self.notices if soon < self.left(now)), reverse=True)

    def left(self, now: float) -> float:
        return self.ends_at - now

    def next_moment(self) -> float:
        """When there is something to tell, or the end."""
        untold = self.notices[self._told :]
        return self.ends_at - (untold[0] if untold else 0.0)

    def notice_due(self, now: float) -> bool:
        """Whether the candidate is to be told how little time is left; each notice once."""
        due = False
        while self._told < len(self.notices) and self.left(now) <= self.notices[self._told]:
            self._told += 1
            due = True
        return due

    def credit(self, gap: float) -> float:
        """Gives back what was lost, up to the limit; how much that is."""
        given = min(gap, self.credit_limit - self.credited)
        if gap < AUDIBLE_GAP_SECONDS or given <= 0:
            return 0.0
        self.credited += given
        self.ends_at += given
        return given
