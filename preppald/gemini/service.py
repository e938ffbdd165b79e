"""Gemini as one process uses it: dialling, the key, the quota, and everything that its clients share."""

from collections.abc import Callable
from dataclasses import dataclass, field

from preppald.config.addresses import Endpoint
from preppald.core.closes import CREDIT, KEY_TROUBLES, Cause
from preppald.gemini.dial import Dial
from preppald.gemini.hints import Hints
from preppald.gemini.models import Models
from preppald.gemini.quota import Quota
from preppald.net.poller import Poller
from preppald.telemetry.health import Health, Trouble
from preppald.telemetry.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class GeminiService:
    """One for the process; every interview's ``Client`` has it.

    ``dial`` opens a stream to ``url``. ``key`` returns the API key that counts now: a reload reaches the next
    connection of every interview that runs. ``now_ms``: the wall clock. ``chance``: random numbers in [0, 1).
    """

    dial: Dial
    url: Endpoint
    key: Callable[[], str] = field(repr=False)
    poller: Poller
    metrics: Metrics
    health: Health
    models: Models
    now_ms: Callable[[], int]
    chance: Callable[[], float]
    quota: Quota = field(default_factory=Quota)
    hints: Hints = field(default_factory=Hints)

    def accepted(self) -> None:
        """Note that Gemini accepted a session: there is quota, and the key is good."""
        self.metrics.upstream_last_connected.set(self.now_ms() / 1000)
        self.quota.passed()
        self.health.end(Trouble.GEMINI_KEY)
        self.health.end(Trouble.GEMINI_MONEY)

    def failed(self, cause: Cause, now: float) -> None:
        """Note why Gemini closed or refused a connection. ``now``: Trio's clock."""
        self.quota.note(cause, now)
        if cause in KEY_TROUBLES:
            self.health.begin(Trouble.GEMINI_KEY, cause.words)
        elif cause is CREDIT:
            self.health.begin(Trouble.GEMINI_MONEY, cause.words)
