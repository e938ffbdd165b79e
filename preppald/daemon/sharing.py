"""The journal that hosts share, beside this host's own: its shipper, where there is one, its gauges; and the other hosts."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
import socket
from typing import TYPE_CHECKING

import trio

from preppald import __version__
from preppald.backend import HttpBackend
from preppald.backend.outbox import Outbox
from preppald.config.settings import Config
from preppald.core.endings import MOVED
from preppald.daemon.environment import Environment, Listeners, addresses
from preppald.gemini.service import GeminiService
from preppald.interview.registry import Registry
from preppald.interview.services import Services
from preppald.journal import Journal
from preppald.server.connection import Server
from preppald.shared import Alone, Presence
from preppald.telemetry.interfaces import Log
from preppald.telemetry.logs import Logger

if TYPE_CHECKING:
    from preppald.daemon.handing_on import HandingOn
    from preppald.shared.ownership import Ownership
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
    return Shipper(
        environment.shared,
        presence,
        log=log,
        now_ms=now_ms,
        retention_ms=retention_ms,
        in_thread=environment.in_thread_beside,
    )


def address(config: Config, listeners: Listeners) -> str:
    """Return where other hosts reach this instance; empty where none is meant to."""
    if not listeners:
        return ""
    return str(config.peer_address or addresses(listeners)[0])


def ownership(
    shipper: "Shipper | None", journal: Journal, environment: Environment, *, log: Log
) -> "Ownership | None":
    """Return the one that knows who has which interview, among hosts; None for one host alone."""
    if shipper is None:
        return None
    from preppald.shared.ownership import Ownership  # noqa: PLC0415 - as above

    made = Ownership(
        environment.shared, shipper.membership, journal, log=log, in_thread=environment.in_thread_beside
    )
    made.on_claimed = partial(shipper.gate.answered, others=())
    return made


def handing_on(
    shipper: "Shipper | None", ownership: "Ownership | None", journal: Journal, *, log: Log
) -> "HandingOn | None":
    """Return the one that gives interviews up to other hosts; None where there are none: a stop ends them."""
    if shipper is None or ownership is None:
        return None
    from preppald.daemon.handing_on import HandingOn  # noqa: PLC0415 - as above

    return HandingOn(journal, shipper, ownership, log=log)


async def recovered(services: Services, registry: Registry, shipper: "Shipper | None") -> int:
    """Run what the last process left live; return how many. From now on others may have what runs here."""
    if services.ownership is not None and isinstance(services.backend, HttpBackend):
        services.backend.fence = services.ownership.claims
    if shipper is not None:
        shipper.parting.ends = registry.let_go
        shipper.membership.on_fenced = partial(registry.end_all, MOVED, "this host was declared lost")
    return await registry.recover()


async def start(
    journal: Journal,
    shipper: "Shipper | None",
    nursery: trio.Nursery,
    peer_address: str = "",
    gemini: GeminiService | None = None,
) -> None:
    """Start the journal, and the shipper that follows it, where there is one.

    ``peer_address``: where other hosts reach this instance. ``gemini``: the hosts tell each other of its quota and models.

    Raises:
        StartError: the journal cannot be opened, or the shared one is a newer preppald's.
    """
    await nursery.start(journal.run)
    if shipper is not None:
        member = shipper.membership
        member.presence = replace(member.presence, address=peer_address)
        await nursery.start(shipper.run, journal, lambda: len(journal.live()))
        if gemini is not None:
            _tell(shipper, gemini, nursery)


def _tell(shipper: "Shipper", gemini: GeminiService, nursery: trio.Nursery) -> None:
    """Tell the other hosts what this one learns of Gemini, and learn from them."""
    from preppald.gemini.fleet import Fleet  # noqa: PLC0415 - as above

    member = shipper.membership
    fleet = Fleet(shipper.signals, lambda: member.incarnation, gemini.models, gemini.quota)
    nursery.start_soon(fleet.run)


async def meet(
    environment: Environment,
    ownership: "Ownership | None",
    server: Server,
    listeners: Listeners,
    sessions: trio.Nursery,
    *,
    log: Logger,
) -> None:
    """Answer other hosts at the peer port, and carry connections to those that hold the interviews."""
    if ownership is None:
        return
    from preppald.daemon.peering import meet as met  # noqa: PLC0415 - as above

    peers = await met(environment, ownership, server, listeners, sessions, log=log)
    ownership.vouching.vouch = peers.vouch


def gauges(
    shipper: "Shipper | None", ownership: "Ownership | None" = None, outbox: Outbox | None = None
) -> Iterable[tuple[str, str, float]]:
    """Yield the gauges of the shared journal: name, meaning, value; none where there is none."""
    if shipper is None:
        return
    if outbox is not None:
        held = outbox.statistics().held
        yield "shared_held_deliveries", "deliveries that are due and wait for the shared journal", held
    member = shipper.membership
    yield "shared_up", "1 while the shared journal answers", float(member.up)
    yield "shared_behind_seconds", "age of the oldest commit that it has not got yet", shipper.behind_seconds
    yield "shared_behind_bytes", "commits that it has not got yet, about", shipper.behind_bytes
    yield "shared_commit_seconds", "how long it took over the last commit", shipper.commit_seconds
    yield "shared_holds", "1 while the lease in it is renewed", float(member.holds)
    yield "shared_fenced", "times this instance was declared lost since the start", member.fenced
    if ownership is not None:
        yield (
            "shared_taken_over",
            "interviews taken over from other hosts since the start",
            ownership.taken_over,
        )
    yield "shared_moved", "interviews let go of since the start: others had them", shipper.parting.moved
    if member.offset_ms is not None:
        yield "shared_clock_offset_seconds", "its clock less this host's", member.offset_ms / 1000
