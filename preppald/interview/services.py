"""What every interview shares: the parts of one daemon, handed down instead of looked up."""

from collections.abc import Callable
from dataclasses import dataclass, field

from preppald.backend import Backend, NoBackend
from preppald.config.settings import Config
from preppald.gemini.connection import Dial
from preppald.gemini.quota import Quota
from preppald.journal import Journal
from preppald.net.poller import Poller
from preppald.net.ticker import Ticker
from preppald.recording import Recorder
from preppald.telemetry.logs import Logger
from preppald.telemetry.memory import Memory
from preppald.telemetry.metrics import Metrics


@dataclass(slots=True)
class Services:
    """``now_ms``: the wall clock. ``chance``: random numbers in [0, 1). ``dial``: how to reach Gemini.

    Only ``config`` ever changes: at a reload, for what begins after it. Each interview has a copy of its own.
    """

    config: Config
    journal: Journal
    metrics: Metrics
    log: Logger
    ticker: Ticker
    poller: Poller
    dial: Dial
    now_ms: Callable[[], int]
    chance: Callable[[], float]
    breaker: Quota = field(default_factory=Quota)
    memory: Memory = field(default_factory=Memory)
    backend: Backend = field(default_factory=NoBackend)
    recorder: Recorder | None = None
