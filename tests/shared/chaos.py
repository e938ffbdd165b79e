"""Chaos with real processes: three hosts of two instances, a primary and its synchronous standby, HAProxy that sticks to
nothing. In each round talks are held, one thing breaks, and in the end every word is where it belongs.

python -m tests.shared.chaos --rounds 100            as root, with Debian's postgresql and haproxy; a minute a round
"""
# ruff: noqa: T201 - it is a command

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
import enum
import math
from pathlib import Path
import random
import shutil
import signal
import sys
import tempfile
import time

import trio

from tests.shared.chaos_fleet import (
    DATABASES,
    INSTANCES,
    PEER,
    PUBLIC,
    TALK_SECONDS,
    Fleet,
    Instance,
    fleet_of,
)
from tests.shared.chaos_verdict import UNSENT_SECONDS, UNWRITTEN_SECONDS, Evidence, faults
from tests.shared.namespaces import Namespace, in_a_net_of_ones_own
from tests.simulation.tab import Tab

TALKS = 6
FAULT_SECONDS = (8.0, 14.0)
# As long as a lease and half of another one.
STOPPED_SECONDS = 15.0
# A supervisor starts a process again after this.
RESTART_SECONDS = 1.0
ENGINE_SECONDS = 15.0
HELD_SECONDS = 20.0
# From the fault to the seat: the lease, a pulse, a look, a claim; and the balancer's notice and the candidate's pause.
SEATED_SECONDS = 15.0
SLACK_SECONDS = 5.0
SETTLED_SECONDS = 60.0
# A process that waits longer for a core, of its time, keeps no limit in seconds: leases are lost that nobody broke.
STARVED = 0.1
# Closes after which a page dials again at once.
MOVED, CUT_OFF = 1012, 1006
SWITCHING = 101


class Fault(enum.Enum):
    KILL = "kill -9 of an instance"
    KILL_HOST = "kill -9 of a host's instances, and their disk"
    STOP = "SIGSTOP of an instance for one and a half leases"
    FAILOVER = "the primary is killed, and its standby promoted"
    ENGINE = "the database is stopped"
    HELD_ENGINE = "a host's packets to the database are dropped"
    HELD_PEERS = "a host's packets to other hosts are dropped"
    HELD_CANDIDATES = "a host's packets to the balancer are dropped"
    DRAIN = "SIGTERM to a host's instances, one after the other"


# Those that take an interview from its instance.
DEADLY = frozenset({Fault.KILL, Fault.KILL_HOST, Fault.STOP})
# Those that take words with them, and of how many seconds.
UNSAFE = {Fault.KILL: UNWRITTEN_SECONDS, Fault.KILL_HOST: UNSENT_SECONDS}


@dataclass
class Round:
    """What was seen in one.

    ``seated``: seconds until a candidate whose line the fault broke sat again: from the fault where it took the host,
    else from the end of the line. ``waited``: the share of the round that the process that fared worst was ready to run and
    had no core.
    """

    number: int
    fault: Fault
    faults: list[str] = field(default_factory=list)
    seated: list[float] = field(default_factory=list)
    lines: int = 0
    late: int = 0
    lost: int = 0
    waited: float = 0.0

    @property
    def starved(self) -> bool:
        """Whether a process waited so long for a core that limits in seconds say nothing of it."""
        return self.waited >= STARVED


# ------------------------------------------------------------------ a round


async def play(fleet: Fleet, number: int, seed: int, fault: Fault, keep: Path | None) -> Round:
    """Hold talks, break one thing, and judge."""
    chance = random.Random(f"chaos {seed} {number}")
    this = Round(number, fault)
    names = [f"r{seed}-{number}-{it}" for it in range(TALKS)]
    tabs = [fleet.tab(name, it, random.Random(f"{seed} {name}")) for it, name in enumerate(names)]
    fleet.notes.clear()
    began, waited = trio.current_time(), fleet.waited()
    async with trio.open_nursery() as evening:
        for tab in tabs:
            evening.start_soon(tab.attend)
        await trio.sleep(chance.uniform(*FAULT_SECONDS))
        owners = await trio.to_thread.run_sync(fleet.owners)
        struck = trio.current_time()
        hit = await _strike(fleet, fault, chance)
        evening.cancel_scope.deadline = struck + TALK_SECONDS + 2 * SETTLED_SECONDS
    for tab in tabs:
        this.seated += _seats(
            fleet, tab, struck, died=fault in DEADLY and owners.get(tab.interview_id) in hit
        )
        if not tab.finished:
            this.faults.append(f"{tab.interview_id}: the candidate never came to the end")
    if any(it > SEATED_SECONDS + SLACK_SECONDS for it in this.seated):
        this.faults.append(f"a candidate was seated after {max(this.seated):.1f} s")
    waits = [seconds - waited.get(pid, 0.0) for pid, seconds in fleet.waited().items()]
    this.waited = max(waits) / (trio.current_time() - began)
    with trio.move_on_after(SETTLED_SECONDS):
        while not all(_told(fleet, name) for name in names):  # noqa: ASYNC110 - other processes do it
            await trio.sleep(0.5)
    judged: list[Evidence] = []
    for tab in tabs:
        this.faults += tab.faults
        judged.append(await trio.to_thread.run_sync(fleet.evidence, tab, struck, UNSAFE.get(fault, 0.0)))
    for it in judged:
        this.faults += faults(it)
        this.lines += len(it.lines_shown())
        this.late += len(it.lines_late())
        this.lost += len(it.lines_lost())
    if keep is not None and (this.faults or this.late or this.lost):
        where = keep / f"{seed}-{number}-{fault.name.lower()}"
        await trio.to_thread.run_sync(fleet.keep, where, judged, time.time_ns() / 1e9 - trio.current_time())
    return this


def _seats(fleet: Fleet, tab: Tab, struck: float, *, died: bool) -> list[float]:
    """Return how long a candidate waited for its seat: each time that a line broke after the fault, and a seat followed.

    ``died``: its instance did, so it waits from the fault on; its line may break only when the balancer has noticed.
    """
    own = [
        (at, event, keys)
        for at, event, keys in fleet.notes
        if keys.get("interview") == tab.interview_id and at > struck
    ]
    seats = [at for at, event, keys in own if event == "tab.answered" and keys["status"] == SWITCHING]
    broken = [at for at, event, keys in own if event == "tab.closed" and keys["code"] in {MOVED, CUT_OFF}]
    if died:
        return [min(seats, default=float("inf")) - struck]
    # A line that broke after the end, or whose candidate found that it had come, is followed by none.
    return [min(it for it in seats if it > at) - at for at in broken if any(it > at for it in seats)]


def _told(fleet: Fleet, name: str) -> bool:
    found = fleet.backend.interviews.get(name)
    return found is not None and found.status != "PENDING" and bool(found.transcript)


# ------------------------------------------------------------------ faults


async def _strike(fleet: Fleet, fault: Fault, chance: random.Random) -> set[str]:
    """Break something, wait, and mend it; return the peer addresses of the instances that it hit."""
    one = chance.choice(fleet.instances)
    host = fleet.of_host(one.host)
    if fault in {Fault.KILL, Fault.KILL_HOST, Fault.DRAIN, Fault.STOP}:
        return await _strike_processes(fleet, fault, one)
    match fault:
        case Fault.FAILOVER:
            await trio.to_thread.run_sync(fleet.databases.fail_over)
            await trio.to_thread.run_sync(fleet.databases.make_standby)
        case Fault.ENGINE:
            fleet.databases.primary.signal(signal.SIGSTOP)
            await trio.sleep(ENGINE_SECONDS)
            fleet.databases.primary.signal(signal.SIGCONT)
        case Fault.HELD_ENGINE:
            await _held(one.place, DATABASES)
        case Fault.HELD_PEERS:
            await _held(one.place, [PEER + offset for offset in range(len(INSTANCES))])
        case _:
            await _held(one.place, [PUBLIC + offset for offset in range(len(INSTANCES))])
    return {it.peer_address for it in host}


async def _strike_processes(fleet: Fleet, fault: Fault, one: Instance) -> set[str]:
    host = fleet.of_host(one.host)
    match fault:
        case Fault.KILL:
            await one.end(signal.SIGKILL)
            await trio.sleep(RESTART_SECONDS)
            await one.start()
            hit = {one.peer_address}
        case Fault.KILL_HOST:
            for it in host:
                await it.end(signal.SIGKILL)
            await trio.to_thread.run_sync(shutil.rmtree, one.directory / "state")
            await trio.sleep(HELD_SECONDS)
            for it in host:
                await it.start()
            hit = {it.peer_address for it in host}
        case Fault.STOP:
            assert one.process is not None
            one.process.send_signal(signal.SIGSTOP)
            await trio.sleep(STOPPED_SECONDS)
            one.process.send_signal(signal.SIGCONT)
            hit = {one.peer_address}
        case _:
            for it in host:
                await it.end(signal.SIGTERM)
                await it.start()
                await it.ready()
            hit = {it.peer_address for it in host}
    for it in host:
        await it.ready()
    return hit


async def _held(place: Namespace, ports: Sequence[int]) -> None:
    await trio.to_thread.run_sync(place.hold, ports)
    await trio.sleep(HELD_SECONDS)
    await trio.to_thread.run_sync(place.release)


# ------------------------------------------------------------------ the whole


async def rounds(
    count: int, seed: int, chosen: Sequence[Fault], keep: Path | None, report: Callable[[Round], None]
) -> None:
    """Play so many rounds, one after the other, on the same fleet."""
    with tempfile.TemporaryDirectory(prefix="preppald-chaos-") as name:
        async with fleet_of(Path(name), seed) as fleet:
            for number in range(1, count + 1):
                report(await play(fleet, number, seed, chosen[(number - 1) % len(chosen)], keep))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.shared.chaos", description=__doc__)
    parser.add_argument("--rounds", type=int, metavar="N", help="how many (default: one a fault)")
    parser.add_argument(
        "--seed", type=int, default=1, metavar="N", help="of the talks and the faults (default %(default)s)"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=[it.name.lower() for it in Fault],
        help="these faults alone, in this order",
    )
    parser.add_argument(
        "--keep",
        type=Path,
        metavar="DIR",
        help="logs and the shared journal of rounds that had a fault, or a late line",
    )
    arguments = parser.parse_args()
    in_a_net_of_ones_own()
    played: list[Round] = []

    def report(it: Round) -> None:
        played.append(it)
        seats = " ".join(f"{seconds:.1f}" for seconds in it.seated)
        print(
            f"round {it.number} {it.fault.name}: {it.lines} lines, {it.late} late, {it.lost} lost; "
            f"seated after [{seats}] s; {it.waited:.0%} without a core",
            flush=True,
        )
        kind = "STARVED" if it.starved else "FAULT"
        for words in it.faults:
            print(f"round {it.number} {it.fault.name}: {kind}: {words}", flush=True)

    chosen = [Fault[it.upper()] for it in arguments.only] if arguments.only else list(Fault)
    trio.run(rounds, arguments.rounds or len(chosen), arguments.seed, chosen, arguments.keep, report)
    for fault in chosen:
        own = [it for it in played if it.fault is fault]
        _print_seats(fault.name, own)
        _print_seats(f"{fault.name}, of rounds that had the cores", [it for it in own if not it.starved])
    bad = sum(bool(it.faults) for it in played)
    starved = sum(it.starved for it in played)
    print(
        f"{len(played)} rounds, {sum(it.lines for it in played)} lines, {sum(it.late for it in played)} late, "
        f"{sum(it.lost for it in played)} lost, {bad} rounds with faults; "
        f"{starved} rounds had not the cores, {sum(it.starved and bool(it.faults) for it in played)} of those with faults"
    )
    return 1 if bad else 0


def _print_seats(of: str, played: Sequence[Round]) -> None:
    seated = sorted(seconds for it in played for seconds in it.seated)
    if seated:
        print(
            f"{of}: seated after p50 {_share(seated, 0.5):.1f}, p99 {_share(seated, 0.99):.1f}, "
            f"most {seated[-1]:.1f} s, of {len(seated)}"
        )


def _share(ordered: Sequence[float], share: float) -> float:
    """Return the value below which that share of them is."""
    return ordered[math.ceil(share * len(ordered)) - 1]


if __name__ == "__main__":
    sys.exit(main())
