"""What every interview shares: the parts of one daemon, handed down instead of looked up."""

from collections.abc import Callable
from dataclasses import dataclass, field

from preppald.config import Config
from preppald.core.closes import QUOTA, Cause
from preppald.journal import Journal
from preppald.logs import Logger
from preppald.metrics import Metrics
from preppald.metronome import Metronome
from preppald.upstream import Dial

# Long enough that hundreds of interviews do not hammer a quota, short enough for a per-minute one to refill.
QUOTA_PAUSE_SECONDS = 30.0


@dataclass(slots=True)
class QuotaBreaker:
    """One for the process: when Gemini's quota is used up, nobody dials for a while."""

    _open_until: float = 0.0

    def note(self, cause: Cause, now: float) -> None:
        if cause is QUOTA:
            self._open_until = now + QUOTA_PAUSE_SECONDS

    def open(self, now: float) -> bool:
        return now < self._open_until


@dataclass(frozen=True, slots=True)
class Services:
    """``now_ms``: the wall clock. ``chance``: random numbers in [0, 1). ``dial``: how to reach Gemini."""

    config: Config
    journal: Journal
    metrics: Metrics
    log: Logger
    metronome: Metronome
    dial: Dial
    now_ms: Callable[[], int]
    chance: Callable[[], float]
    breaker: QuotaBreaker = field(default_factory=QuotaBreaker)
