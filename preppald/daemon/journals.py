"""Makes this host's journal, and its part in the one that hosts share, where that is set."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from preppald.config.settings import Config
from preppald.daemon import sharing
from preppald.daemon.environment import Environment
from preppald.journal import Fallback, Journal
from preppald.recording.shelf import Shelf
from preppald.telemetry.logs import Logger

if TYPE_CHECKING:
    from preppald.shared.ownership import Ownership
    from preppald.shared.shipper import Shipper


def journals(
    config: Config, environment: Environment, log: Logger, now_ms: Callable[[], int]
) -> "tuple[Journal, Shipper | None, Ownership | None]":
    """Return this host's journal; the one that takes its commits to others', and who owns what, where that is set."""
    keep_ms = _retention_ms(config)
    shipper = sharing.shipper(config, environment, log=log, now_ms=now_ms, retention_ms=keep_ms)
    journal = Journal(
        environment.place,
        log=log,
        now_ms=now_ms,
        in_thread=environment.in_thread,
        retention_ms=keep_ms,
        recorded=Shelf(environment.recordings).interviews if environment.recordings else frozenset,
        follower=shipper,
        fallback=Fallback(round(config.session_limit * 1000), config.gemini_model, config.partial),
    )
    return journal, shipper, sharing.ownership(shipper, journal, environment, log=log)


def _retention_ms(config: Config) -> int | None:
    """Return how long words are kept that the backend has; None: until somebody deletes them."""
    if config.backend == "none" or config.transcript_retention == 0:
        return None  # without a backend nobody else has them
    return 0 if config.transcript_retention == "delivered" else round(config.transcript_retention * 1000)
