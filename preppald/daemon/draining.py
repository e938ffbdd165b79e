"""The end of a daemon's interviews: they finish within a bound; the rest goes on at other hosts, or is ended."""

from typing import TYPE_CHECKING

import trio

from preppald.interview.goodbye import GOODBYE_SECONDS
from preppald.interview.registry import Registry
from preppald.interview.services import Services
from preppald.server.connection import Server

if TYPE_CHECKING:
    from preppald.daemon.handing_on import HandingOn


async def drained(
    registry: Registry,
    server: Server,
    now: trio.Event,
    services: Services,
    others: "HandingOn | None",
) -> None:
    """Lets the interviews finish, within the bound and until a second signal; then hands the rest on, or ends it.

    ``now``: set by the second signal, which ends the wait for a quiet moment, too. ``others``: to which it is handed on;
    None: there are none. Waits also for interviews of other instances whose connections are carried here; they would
    survive, but with a gap.
    """
    log, seconds = services.log, services.config.drain_seconds
    log.info("daemon.draining", interviews=len(registry), seconds=seconds)
    registry.prepare_stop()
    with trio.move_on_after(seconds) as patience:
        async with trio.open_nursery() as waiting:
            waiting.start_soon(_cancel_when, now, waiting.cancel_scope)
            await registry.empty()
            await server.relays.none()
            waiting.cancel_scope.cancel()
    if len(registry):
        why = "the drain's time is up" if patience.cancelled_caught else "a second signal came"
        log.warning(
            "daemon.ending_interviews", interviews=len(registry), why=why, handed_on=others is not None
        )
        if others is not None:
            await others.give_up(registry, now)
        registry.end_all()


async def said_goodbye(registry: Registry, scope: trio.CancelScope) -> None:
    """Let the interviews say goodbye, within that bound; then cancel what else is there."""
    scope.deadline = trio.current_time() + GOODBYE_SECONDS
    await registry.empty()
    scope.cancel()


async def _cancel_when(event: trio.Event, scope: trio.CancelScope) -> None:
    await event.wait()
    scope.cancel()
