"""The cost of Opus: one core's interviews with none of them, one in ten and all in Opus, in turns.

    sudo .venv/bin/python -m tests.bench.opus_cost [--sessions 200] [--runs 3] [--nice -10] [--capacity]

The load is ``tests.bench``'s: 20 ms chunks, the interviewer speaks every other second. Told are the daemon's CPU, its
encoder's thread included, which has no core of its own here; the latency of the sessions in PCM and of those in Opus, from
each byte's going in at one end to its coming out at the other, the coders' own delay included; and memory.
``--capacity``: the most sessions, within five per cent, of which those in PCM have their p99 within 50 ms.
"""

import argparse
from dataclasses import dataclass
from functools import partial
import os
from pathlib import Path
from statistics import median
import sys

from tests.bench import measure
from tests.bench.device import PREPPALD, prioritise
from tests.bench.measure import DRAIN_SECONDS, LAG_MS, LIMIT_MS, Setting, connect, percentile, under
from tests.bench.packed import PackedLoad
from tests.bench.patterns import PATTERNS
from tests.bench.ways import WAYS

SHARES = {"PCM": 0.0, "one in ten": 0.1, "all": 1.0}
# Until pages in Opus have heard a breath, and asked for the next in packets.
WARM_UP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What some sessions took. Latencies in milliseconds, p50 and p99.

    ``granted``: those in Opus; ``given_up``: those of them that got the voice as PCM, for the daemon had too much to do.
    """

    sessions: int
    granted: int
    given_up: int
    cpu: float
    up: tuple[float, float]
    down: tuple[float, float]
    packed_up: tuple[float, float]
    packed_down: tuple[float, float]
    kib_a_session: float
    lag_ms: float
    faults: list[str]

    @property
    def held(self) -> bool:
        """Return whether nothing was lost, and nobody in PCM was late. Opus has a delay of its own: see ``prompt``."""
        return not self.faults and max(self.up[1], self.down[1]) <= LIMIT_MS

    def __str__(self) -> str:
        """Return it in one line."""
        words = f"{self.sessions} sessions, {self.granted} in Opus, {self.given_up} given up: {self.cpu:.1%} of a core"
        if self.granted < self.sessions:
            words += f", PCM up {_ms(self.up)}, down {_ms(self.down)}"
        if self.granted:
            words += f", Opus up {_ms(self.packed_up)}, down {_ms(self.packed_down)}"
        words += f", {self.kib_a_session:.0f} KiB each"
        if self.faults:
            words += f"; FAULTS {self.faults}"
        return words + (f" (the load was {self.lag_ms:.0f} ms late)" if self.lag_ms > LAG_MS else "")


def _ms(figures: tuple[float, float]) -> str:
    return f"{figures[0]:.1f} / {figures[1]:.1f} ms"


def cost(share: float, sessions: int, setting: Setting) -> Cost:
    """Hold a number of sessions for a while. ``share``: of those that ask for Opus."""
    kind = partial(PackedLoad, share=share)
    with under(kind, PREPPALD, PATTERNS["20ms"], setting) as (tested, load):
        before_kib = tested.pss_kib()
        connect(load, sessions)
        load.go(WARM_UP_SECONDS)
        load.samples.clear()
        load.packed.clear()
        cpu = tested.cpu_seconds()
        load.go(setting.seconds)
        cpu = tested.cpu_seconds() - cpu
        kib = tested.pss_kib() - before_kib
        found = [
            sorted(each) for each in (load.samples.up, load.samples.down, load.packed.up, load.packed.down)
        ]
        up, down, packed_up, packed_down = (
            (percentile(each, 0.50), percentile(each, 0.99)) if each else (0.0, 0.0) for each in found
        )
        lag = percentile(sorted(load.samples.lag), 0.99)
        load.drained(DRAIN_SECONDS)
        faults = load.faults()
        if missing := sessions - len(load.set_up_seconds):
            faults.append(f"{missing} sessions were never set up")
        if lost := load.lost_bytes():
            faults.append(f"{lost} bytes lost")
        granted, given_up = len(load.packing), load.given_up
    return Cost(
        sessions,
        granted,
        given_up,
        cpu / setting.seconds,
        up,
        down,
        packed_up,
        packed_down,
        kib / sessions,
        lag,
        faults[:3],
    )


def tried(name: str, sessions: int, setting: Setting) -> Cost:
    """Hold and tell."""
    found = cost(SHARES[name], sessions, setting)
    say(f"{name:10} {found}")
    return found


def main() -> None:
    """Measure in turns, so that a machine that slows down slows all of them down; print the medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, nargs="+", default=[200])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each run (10)")
    parser.add_argument("--way", choices=WAYS, default="ws")
    parser.add_argument("--core", type=int, default=0, help="the daemon's core (0); the load has another")
    parser.add_argument("--nice", type=int, default=0, help="the priority of both; -10, as root")
    parser.add_argument("--share", choices=SHARES, nargs="+", default=[*SHARES])
    parser.add_argument("--capacity", action="store_true")
    given = parser.parse_args()
    others = os.sched_getaffinity(0) - {given.core}
    if not others:
        parser.error("two cores are needed: one for the daemon, one for the load")
    os.sched_setaffinity(0, {min(others)})
    if given.nice:
        prioritise(os.getpid(), given.nice)
    setting = Setting(
        sys.executable,
        Path.cwd(),
        (given.core,),
        given.seconds,
        nice=given.nice,
        way=WAYS[given.way],
    )
    say(f"load {os.getloadavg()[0]:.1f}")
    if given.capacity:
        for name in given.share:
            most = measure.most(partial(tried, name, setting=setting), start=given.sessions[0])
            say(f"{name:10} holds {most.sessions}, {most.granted} of them in Opus")
    else:
        for sessions in given.sessions:
            runs: dict[str, list[Cost]] = {}
            for _ in range(given.runs):
                for name in given.share:
                    runs.setdefault(name, []).append(tried(name, sessions, setting))
            for name, found in runs.items():
                cpu = [one.cpu for one in found]
                say(
                    f"{name:10} median of {len(found)}: {median(cpu):.1%} ({min(cpu):.1%} to {max(cpu):.1%}), "
                    f"{median(one.kib_a_session for one in found):.0f} KiB each"
                )
    say(f"load {os.getloadavg()[0]:.1f}")


def say(line: str) -> None:
    """Print at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
