"""One seed, from its plan to its verdict."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
import random
import time
import traceback

import trio

from preppald.core.deliveries import RETRY_CAP_SECONDS
from tests.simulation import determinism, neighbour
from tests.simulation.application import WELL
from tests.simulation.damage import Damage, damaged
from tests.simulation.machine import Machine, Outside
from tests.simulation.plan import Act, Event, Instead, Plan, damaging, plan
from tests.simulation.tab import Tab
from tests.simulation.verdict import violations

# Delivered within six minutes after the backend is back; and the longest grace before that, with a goodbye.
SETTLED_SECONDS = RETRY_CAP_SECONDS + 60.0
STEP_SECONDS = 5.0
# Of the damages, if there is another instance's database.
NEIGHBOURS_SHARE = 0.5
# A run that takes longer than all that could be left to do hangs.
TOO_LONG_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Report:
    """``violations`` is empty when all held. ``simulated`` and ``wall``: seconds. ``excused``: what may be so."""

    seed: int
    digest: str
    violations: tuple[str, ...]
    interviews: int
    kills: int
    posts: int
    lines: int
    simulated: float
    wall: float
    excused: tuple[str, ...] = ()


def simulate(seed: int, *, damage: bool = False) -> Report:
    """The same report for the same seed, but for the time it took. ``damage``: the disk damages what it holds."""
    began = time.perf_counter()
    the = damaging(seed) if damage else plan(seed)
    try:
        machine, tabs, ended_at = determinism.run(seed, partial(_simulate, the))
    except (BaseExceptionGroup, trio.TooSlowError) as error:
        words = "".join(traceback.format_exception(error))
        return Report(seed, "", (f"the run itself came to grief:\n{words}",), 0, 0, 0, 0, 0.0, 0.0)
    try:
        found = tuple(violations(machine, tabs, the))
    finally:
        machine.disk.finish()
    return Report(
        seed=seed,
        digest=machine.outside.digest,
        violations=found,
        interviews=len(tabs),
        kills=len(machine.deaths),
        posts=machine.application.posts,
        lines=sum(len(tab.shown) for tab in tabs),
        simulated=ended_at,
        wall=time.perf_counter() - began,
    )


async def _simulate(the: Plan) -> tuple[Machine, list[Tab], float]:
    with trio.fail_after(the.seconds + the.session_limit + TOO_LONG_SECONDS):
        return await _evening(the)


async def _evening(the: Plan) -> tuple[Machine, list[Tab], float]:
    async with trio.open_nursery() as world:
        settings = {
            "PREPPALD_SESSION_LIMIT": f"{the.session_limit:.0f}s",
            "PREPPALD_RECONNECT_GRACE": f"{the.grace:.0f}s",
        }
        machine = Machine(the.seed, settings, world, Outside(the.seed, the.wire))
        machine.network.weather = the.weather
        machine.gemini.faulty = the.faulty_gemini
        tabs = [
            Tab(
                f"iv-{number}",
                partial(machine.token, f"iv-{number}"),
                machine.connect,
                character,
                random.Random(f"tab {the.seed} {number}"),
                machine.note,
            )
            for number, character in enumerate(the.candidates)
        ]
        world.start_soon(_note_beginnings, machine)
        machine.boot()
        async with trio.open_nursery() as evening:
            for tab in tabs:
                evening.start_soon(tab.attend)
            for event in the.events:
                evening.start_soon(_at, event.at, partial(_act, machine, event))
            await trio.sleep_until(the.seconds)
            _heal(machine)
        await _settle(machine, the)
        ended_at = trio.current_time()
        world.cancel_scope.cancel()
    return machine, tabs, ended_at


async def _at(moment: float, act: Callable[[], Awaitable[None]]) -> None:
    await trio.sleep_until(moment)
    await act()


async def _act(machine: Machine, event: Event) -> None:
    machine.note("machine.suffers", {"act": event.act.name, "amount": round(event.amount, 3)})
    if event.act in {Act.KILL, Act.DAMAGE}:
        await _die(machine, event)
    elif event.act is Act.DRAIN:
        if machine.process is not None:
            await machine.stop(event.amount)
            _ensure_up(machine)
    elif event.act is Act.REPLACE:
        if machine.process is not None:
            machine.disk.take_name(_instead(machine, event))
    else:
        _change(machine, event)


def _change(machine: Machine, event: Event) -> None:
    """Do what takes no time."""
    match event.act:
        case Act.CLOCK:
            machine.wall_offset_ms += round(event.amount * 1000)
        case Act.SLOW_DISK:
            machine.disk.slow_until = trio.current_time() + event.amount
            machine.disk.slowest = min(event.amount, 8.0)
        case Act.FULL_DISK:
            machine.disk.full_until = trio.current_time() + event.amount
        case Act.BACKEND:
            machine.application.mood = event.mood
        case Act.NETWORK:
            machine.network.weather = event.weather
        case Act.NEIGHBOUR:
            machine.leave(event.version)
        case _:
            raise AssertionError(event.act)


def _instead(machine: Machine, event: Event) -> bytes | None:
    match event.instead:
        case Instead.NOTHING:
            return None
        case Instead.EMPTY:
            return b""
        case Instead.GARBAGE:
            return random.Random(f"garbage {event.at}").randbytes(8192)
        case Instead.EARLIER:
            return machine.disk.open.before


async def _die(machine: Machine, event: Event) -> None:
    if machine.process is not None:
        await machine.kill()
    elif event.act is Act.KILL:
        return
    if event.act is Act.DAMAGE:
        chance = random.Random(f"{event.damage} {event.at}")
        if machine.disk.neighbours and chance.random() < NEIGHBOURS_SHARE:
            # That it was removed or cut nobody could know.
            damage = event.damage if event.damage in {Damage.FLIP, Damage.WIPED} else Damage.FLIP
            content = chance.choice([*machine.disk.neighbours.values()])
            content[""] = damaged(content[""], content[""], damage, chance)
        else:
            machine.disk.harm(lambda image, before: damaged(image, before, event.damage, chance))
    await trio.sleep(event.amount)
    _ensure_up(machine)


def _ensure_up(machine: Machine) -> None:
    if machine.process is None:
        machine.boot()


def _heal(machine: Machine) -> None:
    """The faults are over. What is left to happen: the interviews' ends, and deliveries."""
    machine.note("machine.healed", {})
    machine.network.calm()
    machine.application.mood = WELL
    machine.gemini.faulty = 0.0
    machine.disk.full_until = machine.disk.slow_until = 0.0


async def _settle(machine: Machine, the: Plan) -> None:
    """Until nothing is live and nothing is owed, or it took too long; then the daemon is stopped."""
    _ensure_up(machine)
    by = trio.current_time() + the.session_limit + machine.config.credit_limit + SETTLED_SECONDS
    while trio.current_time() < by and not _idle(machine):  # noqa: ASYNC110 - the daemon is not to know
        await trio.sleep(STEP_SECONDS)
    await machine.stop(0.0)
    # Connections that nobody uses any more have the time to end.
    await trio.sleep(STEP_SECONDS)


def _idle(machine: Machine) -> bool:
    if not machine.disk.image:
        return False
    (live,) = machine.disk.durable().execute("SELECT count(*) FROM interview WHERE phase = 'live'").fetchone()
    (owed,) = machine.disk.durable().execute("SELECT count(*) FROM outbox WHERE state = 'pending'").fetchone()
    if live or owed:
        return False
    there = {it for (it,) in machine.disk.durable().execute("SELECT interview_id FROM interview")}
    return all(set(neighbour.names(name)) <= there for name in machine.left)


async def _note_beginnings(machine: Machine) -> None:
    """When each interview was first seen on disk: from outside of what is tested, and never to be set back."""
    seen: set[tuple[str, int]] = set()
    while True:
        if machine.disk.image:
            for found in (
                machine.disk.durable().execute("SELECT interview_id, epoch FROM interview").fetchall()
            ):
                if found not in seen:
                    seen.add(found)
                    machine.note("interview.seen", {"interview": found[0], "epoch": found[1]})
        await trio.sleep(1.0)
