"""What every interview shares: the parts of one daemon, handed down instead of looked up."""

from collections.abc import Callable
from dataclasses import dataclass, field

from preppald.backend import Backend, NoBackend
from preppald.core.closes import QUOTA, Cause
from preppald.journal import Journal
from preppald.logs import Logger
from preppald.lookout import Lookout
from preppald.memory import Memory
from preppald.metrics import Metrics
from preppald.metronome import Metronome
from preppald.recording import Recorder
from preppald.settings import Config
from preppald.upstream import Dial

# Long enough that hundreds of interviews do not hammer a quota; short enough that one which is under way can
# try once more within its budget.
QUOTA_PAUSE_SECONDS = 20.0
# After the pause one goes ahead. What a setup takes: then the others know.
PROBE_SECONDS = 2.0


@dataclass(slots=True)
class QuotaBreaker:
    """One for the process: when Gemini's quota is used up, nobody dials for a while, and then one at a time."""

    _open_until: float | None = None

    def note(self, cause: Cause, now: float) -> None:
        """What Gemini closed a connection with."""
        if cause is QUOTA:
            self._open_until = now + QUOTA_PAUSE_SECONDS

    def admit(self, now: float) -> bool:
        """Whether the asker may dial. Once the pause is over that holds for one, until it ``passed``."""
        if self._open_until is None:
            return True
        if now < self._open_until:
            return False
        self._open_until = now + PROBE_SECONDS
        return True

    def passed(self) -> None:
        """Gemini accepted a session: there is quota again."""
        self._open_until = None

    def wait(self, now: float) -> float:
        """Seconds until it is worth asking."""
        return 0.0 if self._open_until is None else max(0.0, self._open_until - now)


@dataclass(slots=True)
class Services:
    """``now_ms``: the wall clock. ``chance``: random numbers in [0, 1). ``dial``: how to reach Gemini.

    Only ``config`` ever changes: at a reload, for what begins after it. Each interview has a copy of its own.
    """

    config: Config
    journal: Journal
    metrics: Metrics
    log: Logger
    metronome: Metronome
    lookout: Lookout
    dial: Dial
    now_ms: Callable[[], int]
    chance: Callable[[], float]
    breaker: QuotaBreaker = field(default_factory=QuotaBreaker)
    memory: Memory = field(default_factory=Memory)
    backend: Backend = field(default_factory=NoBackend)
    recorder: Recorder | None = None
