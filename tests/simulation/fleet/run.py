"""One seed, from its plan to its verdict."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
import random
import time
import traceback
from unittest import mock

import trio

from preppald.core.deliveries import RETRY_CAP_SECONDS
from preppald.shared import tending
from tests.simulation import determinism
from tests.simulation.application import WELL
from tests.simulation.fleet import acts
from tests.simulation.fleet.acts import ensure_up
from tests.simulation.fleet.application import Bookkeeper
from tests.simulation.fleet.balancer import Balancer
from tests.simulation.fleet.engine import Engine, Way
from tests.simulation.fleet.host import Host
from tests.simulation.fleet.plan import NAMES, Ailment, Plan, plan
from tests.simulation.fleet.scene import Scene
from tests.simulation.fleet.verdict import idle, violations
from tests.simulation.fleet.watch import Watch
from tests.simulation.machine import Outside
from tests.simulation.run import Report
from tests.simulation.tab import Tab

# As in one host's simulation: the last delivery is due by then.
SETTLED_SECONDS = RETRY_CAP_SECONDS + 60.0
STEP_SECONDS = 5.0
TOO_LONG_SECONDS = 3600.0
# Wall clocks of hosts that keep time differ by so much at most.
MOST_OFFSET_MS = 200


def simulate(seed: int, *, bug: Callable[[Engine], AbstractContextManager[None]] | None = None) -> Report:
    """The same report for the same seed, but for the time it took. ``bug``: see bugs.py."""
    began = time.perf_counter()
    try:
        scene = play(plan(seed), bug)
    except (BaseExceptionGroup, trio.TooSlowError) as error:
        words = "".join(traceback.format_exception(error))
        return Report(seed, "", (f"the run itself came to grief:\n{words}",), 0, 0, 0, 0, 0.0, 0.0)
    try:
        found, excused = violations(scene)
    finally:
        for host in scene.hosts:
            host.disk.finish()
    return Report(
        seed=seed,
        digest=scene.outside.digest,
        violations=tuple(found),
        interviews=len(scene.tabs),
        kills=sum(len(host.deaths) for host in scene.hosts),
        posts=scene.outside.application.posts,
        lines=sum(len(tab.shown) for tab in scene.tabs),
        simulated=scene.ended_at,
        wall=time.perf_counter() - began,
        excused=excused,
    )


def play(the: Plan, bug: Callable[[Engine], AbstractContextManager[None]] | None = None) -> Scene:
    """Return everything as it stands after a plan; its disks are to be finished by the caller."""
    return determinism.run(the.seed, partial(_simulate, the, bug))


async def _simulate(the: Plan, bug: Callable[[Engine], AbstractContextManager[None]] | None) -> Scene:
    with trio.fail_after(the.seconds + the.session_limit + TOO_LONG_SECONDS):
        return await _evening(the, bug)


async def _evening(the: Plan, bug: Callable[[Engine], AbstractContextManager[None]] | None) -> Scene:
    settings = {
        "PREPPALD_SESSION_LIMIT": f"{the.session_limit:.0f}s",
        "PREPPALD_RECONNECT_GRACE": f"{the.grace:.0f}s",
        "PREPPALD_MAX_SESSIONS_PER_USER": f"{the.limit}",
        **({"PREPPALD_GEMINI_MODELS": ",".join(the.models)} if the.models else {}),
    }
    async with trio.open_nursery() as world:
        engine = Engine(random.Random(f"engine {the.seed}"), world)
        watch = engine.watcher = Watch(engine, the.limit)
        application = Bookkeeper(random.Random(f"application {the.seed}"), engine)
        outside = Outside(the.seed, application=application)
        outside.gemini.faulty = the.faulty_gemini
        hosts = [
            Host(the.seed, name, settings, world, outside=outside, engine=engine, watch=watch)
            for name in NAMES[: the.hosts]
        ]
        for host in hosts:
            host.others = {it.name: it for it in hosts}
        scene = Scene(the, engine, watch, outside, application, hosts)
        planted = nullcontext() if bug is None else bug(engine)
        with planted, mock.patch.object(tending, "KEEP_SECONDS", the.keep):
            await _play(scene)
        world.cancel_scope.cancel()
    return scene


async def _play(scene: Scene) -> None:
    the = scene.plan
    clocks = random.Random(f"clocks {the.seed}")
    for host in scene.hosts:
        host.network.weather = the.weather
        host.wall_offset_ms = clocks.randint(-MOST_OFFSET_MS, MOST_OFFSET_MS)
        host.boot()
    balancer = Balancer(scene.hosts, random.Random(f"balancer {the.seed}"), checks=the.checks)
    for number, character in enumerate(the.candidates):
        scene.tabs.append(
            Tab(
                f"iv-{number}",
                partial(scene.hosts[0].token, f"iv-{number}", the.users[number]),
                balancer.connect,
                character,
                random.Random(f"tab {the.seed} {number}"),
                partial(scene.outside.note, "info"),
            )
        )
    async with trio.open_nursery() as evening:
        for tab in scene.tabs:
            evening.start_soon(tab.attend)
        async with trio.open_nursery() as faults:
            for event in the.events:
                faults.start_soon(acts.suffer, scene, event)
            for ailment in the.ailments:
                faults.start_soon(_ail, scene, ailment)
            await trio.sleep_until(the.seconds)
            faults.cancel_scope.cancel()
        _heal(scene)
    await _settle(scene)
    scene.ended_at = trio.current_time()


async def _ail(scene: Scene, ailment: Ailment) -> None:
    gemini = scene.outside.gemini
    await trio.sleep_until(ailment.begins)
    gemini.ailing += ailment.faults
    await trio.sleep_until(ailment.ends)
    gemini.ailing = tuple(it for it in gemini.ailing if it not in ailment.faults)


def _heal(scene: Scene) -> None:
    """The faults are over. What is left to happen: takeovers, the interviews' ends, and deliveries."""
    scene.outside.note("info", "fleet.healed", {})
    scene.outside.application.mood = WELL
    scene.outside.gemini.faulty = 0.0
    scene.outside.gemini.ailing = ()
    scene.engine.slowest = 0.0
    scene.engine.set(Way.FREE)
    for host in scene.hosts:
        host.network.calm()
        host.set_line(Way.FREE, Way.FREE)
        host.line.lost_answers = 0
        host.unreachable = host.alone = False
        host.resume()
        ensure_up(host)


async def _settle(scene: Scene) -> None:
    """Until nothing is live and nothing is owed, or it took too long; then the daemons are stopped."""
    limit = scene.plan.session_limit + scene.hosts[0].config.credit_limit
    by = trio.current_time() + limit + SETTLED_SECONDS
    while trio.current_time() < by and not idle(scene):
        for host in scene.hosts:
            ensure_up(host)  # one that was still stopping
        await trio.sleep(STEP_SECONDS)
    for host in scene.hosts:
        if host.process is not None:
            await host.stop(0.0)
    await trio.sleep(STEP_SECONDS)
