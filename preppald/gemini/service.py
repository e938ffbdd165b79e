"""Gemini as one process uses it: the way to it, the key, the quota, and all that its clients share."""

from collections.abc import Callable
from dataclasses import dataclass, field

from preppald.config.addresses import Endpoint
from preppald.gemini.dial import Dial
from preppald.gemini.quota import Quota
from preppald.net.poller import Poller
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
    now_ms: Callable[[], int]
    chance: Callable[[], float]
    quota: Quota = field(default_factory=Quota)
