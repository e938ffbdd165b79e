"""The parts of one daemon that every interview shares, handed down instead of looked up."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from preppald.backend import Backend, NoBackend
from preppald.browser.coders import Coders
from preppald.config.current import Current
from preppald.config.settings import Config
from preppald.gemini.service import GeminiService
from preppald.journal import Journal
from preppald.net.ticker import Ticker
from preppald.recording import Kept, Recorder
from preppald.telemetry.logs import Logger
from preppald.telemetry.memory import Memory
from preppald.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from preppald.shared.ownership import Ownership


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """``current``: the settings, which a reload changes. ``recorder``: None where nothing can be recorded.

    ``kept``: where the candidate's sound is kept for a check alone; None: nowhere.
    ``coders``: None where all sound is PCM. ``ownership``: who has which interview, among hosts that share a journal; None
    for one host alone. ``spending``: held by who adds to the cost of an ended interview.

    ``now_ms``: the wall clock. ``chance``: random numbers in [0, 1).
    """

    current: Current
    journal: Journal
    metrics: Metrics
    log: Logger
    ticker: Ticker
    gemini: GeminiService
    now_ms: Callable[[], int]
    chance: Callable[[], float]
    memory: Memory = field(default_factory=Memory)
    backend: Backend = field(default_factory=NoBackend)
    recorder: Recorder | None = None
    kept: Kept | None = None
    coders: Coders | None = None
    ownership: "Ownership | None" = None
    spending: trio.Lock = field(default_factory=trio.Lock)

    @property
    def config(self) -> Config:
        """The settings of the moment."""
        return self.current.config
