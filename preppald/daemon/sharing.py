"""The journal that hosts share, beside this host's own: its shipper, where there is one, and its gauges."""

from collections.abc import Callable, Iterable
import socket
from typing import TYPE_CHECKING

import trio

from preppald import __version__
from preppald.config.settings import Config
from preppald.daemon.environment import Environment
from preppald.journal import Journal
from preppald.shared import Alone, Presence
from preppald.telemetry.interfaces import Log

if TYPE_CHECKING:
    from preppald.shared.shipper import Shipper


def shipper(
    config: Config, environment: Environment, *, log: Log, now_ms: Callable[[], int], retention_ms: int | None
) -> "Shipper | None":
    """Return the one that takes each commit to the shared journal; None for one host alone."""
    if isinstance(environment.shared, Alone):
        return None
    # Memory that a host alone does without.
    from preppald.shared.shipper import Shipper  # noqa: PLC0415

    presence = Presence(f"{config.instance}@{socket.gethostname()}", "", __version__)
    return Shipper(environment.shared, presence, log=log, now_ms=now_ms, retention_ms=retention_ms)


async def start(journal: Journal, shipper: "Shipper | None", nursery: trio.Nursery) -> None:
    """Start the journal, and the shipper that follows it, where there is one.

    Raises:
        StartError: the journal cannot be opened, or the shared one is a newer preppald's.
    """
    await nursery.start(journal.run)
    if shipper is not None:
        await nursery.start(shipper.run, journal, lambda: len(journal.live()))


def gauges(shipper: "Shipper | None") -> Iterable[tuple[str, str, float]]:
    """Yield the gauges of the shared journal: name, meaning, value; none where there is none."""
    if shipper is None:
        return
    member = shipper.membership
    yield "shared_up", "1 while the shared journal answers", float(member.up)
    yield "shared_behind_seconds", "age of the oldest commit that it has not got yet", shipper.behind_seconds
    yield "shared_behind_bytes", "commits that it has not got yet, about", shipper.behind_bytes
    yield "shared_commit_seconds", "how long it took over the last commit", shipper.commit_seconds
    yield "shared_holds", "1 while the lease in it is renewed", float(member.holds)
    yield "shared_fenced", "times this instance was declared lost since the start", member.fenced
    if member.offset_ms is not None:
        yield "shared_clock_offset_seconds", "its clock less this host's", member.offset_ms / 1000
