"""Does to hosts, to the database and to the backend what a plan wants."""

import trio

from preppald.shared.tables import Tables
from tests.simulation.fleet.engine import Way
from tests.simulation.fleet.host import Host
from tests.simulation.fleet.plan import Act, Event
from tests.simulation.fleet.scene import Scene

OF_THE_ENGINE = frozenset({Act.ENGINE_AWAY, Act.FAILOVER, Act.SLOW_ENGINE})


async def suffer(scene: Scene, event: Event) -> None:
    """Wait for an event's time, and do it."""
    await trio.sleep_until(event.at)
    scene.hosts[event.host].note("host.suffers", {"act": event.act.name, "seconds": round(event.seconds, 3)})
    if event.act in OF_THE_ENGINE:
        await _engine_suffers(scene, event)
    elif event.act is Act.ROLLING:
        for host in scene.hosts:
            await _restarted(host, event.seconds)
            if host.process is not None:
                await host.process.serves.wait()
    elif event.act is Act.BACKEND:
        scene.outside.application.mood = event.mood
    else:
        await _host_suffers(scene.hosts[event.host], event)


async def _host_suffers(host: Host, event: Event) -> None:
    match event.act:
        case Act.KILL | Act.LOSE:
            await _die(host, event)
        case Act.PAUSE:
            await host.pause(event.seconds)
        case Act.ENGINE_LINK:
            host.set_line(event.there, event.back)
            await trio.sleep(event.seconds)
            host.set_line(Way.FREE, Way.FREE)
        case Act.CANDIDATE_LINK:
            host.cut_candidates(event.fault)
            await trio.sleep(event.seconds)
            host.unreachable = False
        case Act.PEER_LINK:
            host.cut_off(event.fault)
            await trio.sleep(event.seconds)
            host.alone = False
        case Act.LOST_ANSWERS:
            host.line.lost_answers += event.count
        case Act.DRAIN:
            await _restarted(host, event.seconds)
        case _:
            raise AssertionError(event.act)


async def _engine_suffers(scene: Scene, event: Event) -> None:
    engine = scene.engine
    match event.act:
        case Act.ENGINE_AWAY:
            engine.set(event.there)
            await trio.sleep(event.seconds)
            engine.set(Way.FREE)
        case Act.FAILOVER:
            copy: Tables | None = engine.copy() if event.lacks is not None else None
            await trio.sleep(event.lacks or 0.0)
            engine.set(Way.REFUSED)
            await trio.sleep(event.seconds)
            engine.promote(copy, event.clock)
        case Act.SLOW_ENGINE:
            engine.slowest = float(event.count)
            await trio.sleep(event.seconds)
            engine.slowest = 0.0
        case _:
            raise AssertionError(event.act)


async def _die(host: Host, event: Event) -> None:
    if event.act is Act.LOSE:
        await host.lose()
    elif host.process is not None:
        await host.kill()
    await trio.sleep(event.seconds)
    ensure_up(host)


async def _restarted(host: Host, patience: float) -> None:
    if host.process is not None and not host.frozen:
        await host.stop(patience)
    ensure_up(host)


def ensure_up(host: Host) -> None:
    """Start its daemon where none runs."""
    if host.process is None:
        host.boot()
