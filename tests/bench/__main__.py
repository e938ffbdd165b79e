"""``python -m tests.bench``: how much one core carries, how late it is, and what it costs; beside two other bridges.

The one on Node is that which one would write oneself: ws, Google's SDK and protobufjs, about 80 lines; it needs
``npm ci`` in tests/bench/node. The naive one is trio-websocket on both sides. Gemini is reached by TLS, as it always
is; ``--way ws`` measures without.
Two processes on two cores: the device under test on one, everything around it (browsers and a Gemini) on the other.
What is measured is told as it comes, and as a table of Markdown at the end; figures of different runs, let alone
machines, do not compare, the ratios do. On a busy machine: --nice -15, as root.
"""

import argparse
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
import json
import os
from pathlib import Path
import platform
from statistics import median
import sys

from tests.bench import device, measure, report
from tests.bench.device import NAIVE, NODE, PREPPALD, Bridge
from tests.bench.measure import Setting, Steady
from tests.bench.patterns import PATTERNS, Pattern
from tests.bench.report import Results
from tests.bench.ways import WAYS

# Where the search for a bridge's capacity begins: well below it on any machine of today.
START = {(PREPPALD, "quanta"): 80, (PREPPALD, "20ms"): 120, (PREPPALD, "100ms"): 120}
NODE_START = {"quanta": 80, "20ms": 120, "100ms": 120}
NAIVE_START = {"quanta": 8, "20ms": 30, "100ms": 60}
# The loads at which the promises of latency are made.
LOADS = (20, 100, 200)
FEW, MANY = 20, 150
# What a row of several runs is the medians of.
FIGURES = (
    "sessions",
    "cpu",
    "up_p50_ms",
    "up_p99_ms",
    "down_p50_ms",
    "down_p99_ms",
    "lag_ms",
    "kib_a_session",
)
# What each of two instances may use of the one core that is left for them where there are only two.
SHARE = 0.4


def tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def tell_steady(bridge: Bridge, pattern: Pattern) -> Callable[[Steady], None]:
    return lambda result: tell(f"{bridge.name:9} {pattern.name:7} {report.steady_line(result)}")


def capacity(results: Results, given: argparse.Namespace, setting: Setting) -> None:
    """Each bridge in its turn, ``runs`` times, so that a machine that slows down slows all of them down."""
    for name in given.pattern:
        found: dict[str, list[Steady]] = {}
        for _ in range(given.runs):
            for bridge in given.bridges:
                begin = {PREPPALD.name: START.get((PREPPALD, name)), NODE.name: NODE_START[name]}
                start = begin.get(bridge.name) or NAIVE_START[name]
                result = measure.capacity(
                    bridge,
                    PATTERNS[name],
                    setting,
                    start=round(start * (setting.share or 1.0)),
                    told=tell_steady(bridge, PATTERNS[name]),
                )
                found.setdefault(bridge.name, []).append(result)
        add_medians("capacity", results, name, found, setting)


def latency(results: Results, given: argparse.Namespace, setting: Setting) -> None:
    for name in given.pattern:
        for sessions in LOADS:
            found: dict[str, list[Steady]] = {}
            for _ in range(given.runs):
                for bridge in given.bridges:
                    if bridge is NAIVE and sessions != FEW:
                        continue  # it cannot
                    result = measure.steady(bridge, PATTERNS[name], sessions, setting)
                    tell_steady(bridge, PATTERNS[name])(result)
                    found.setdefault(bridge.name, []).append(result)
            add_medians("latency", results, name, found, setting)


def add_medians(
    what: str, results: Results, pattern: str, found: dict[str, list[Steady]], setting: Setting
) -> None:
    """One row a bridge: the median of each figure, and from where to where the sessions and the CPU went."""
    for bridge, runs in found.items():
        middle = {key: median(getattr(run, key) for run in runs) for key in FIGURES}
        results.add(
            what,
            bridge,
            pattern,
            {
                **asdict(runs[0]),
                **middle,
                "sessions": round(middle["sessions"]),
                "runs": len(runs),
                "all_sessions": [run.sessions for run in runs],
                "all_cpu": [round(run.cpu, 3) for run in runs],
                "faults": [fault for run in runs for fault in run.faults],
                "way": setting.way.name,
            },
        )


def set_up(results: Results, given: argparse.Namespace, setting: Setting) -> None:
    for bridge in given.bridges:
        found = measure.set_up(bridge, PATTERNS["20ms"], FEW, setting)
        tell(f"{bridge.name:9} set-up {found.p50_ms:.1f} ms p50, {found.p99_ms:.1f} ms p99")
        results.add("set-up", bridge.name, "20ms", asdict(found))


def footprint(results: Results, given: argparse.Namespace, setting: Setting) -> None:
    for bridge in given.bridges:
        found = measure.footprint(bridge, PATTERNS["20ms"], setting)
        tell(
            f"{bridge.name:9} ready in {found.ready_seconds:.2f} s, {found.idle_rss_kib / 1024:.0f} MiB resident"
        )
        results.add("footprint", bridge.name, "20ms", asdict(found))


def growth(results: Results, given: argparse.Namespace, setting: Setting) -> None:
    found = measure.growth(PREPPALD, PATTERNS["20ms"], setting, sessions=given.short_sessions)
    tell(
        f"preppald  {found.sessions} short sessions: {found.bytes_a_session:.0f} bytes each stay; {found.rss_kib} KiB"
    )
    results.add("growth", "preppald", "20ms", {**asdict(found), "bytes_a_session": found.bytes_a_session})


def overload(results: Results, given: argparse.Namespace, setting: Setting) -> None:
    for name in given.pattern:
        known = results.find("capacity", "preppald", name)
        sessions = given.overload or (known["sessions"] * 3 // 2 if known else MANY * 2)
        found = measure.overload(PREPPALD, PATTERNS[name], sessions, setting)
        tell(
            f"preppald  {name:7} {sessions} sessions: the worst served had {found.least:.0%} of its audio in time, "
            f"the median {found.median:.0%}; {found.lost_bytes} bytes lost"
        )
        results.add("overload", "preppald", name, asdict(found))


def cores(results: Results, given: argparse.Namespace, setting: Setting) -> None:
    """What a second instance on the same port adds. Without a third core, each has a share of the device's."""
    free = sorted(os.sched_getaffinity(os.getppid()) - os.sched_getaffinity(0) - {given.core})
    alone = setting if free else replace(setting, share=setting.share or SHARE)
    both = replace(alone, cores=(given.core, free[0] if free else given.core))
    for name in given.pattern:
        start = round(START[PREPPALD, name] * (alone.share or 1.0))
        for tried in (alone, both):
            found = measure.capacity(
                PREPPALD,
                PATTERNS[name],
                tried,
                start=start * len(tried.cores),
                told=tell_steady(PREPPALD, PATTERNS[name]),
            )
            results.add(
                "cores",
                PREPPALD.name,
                name,
                {**asdict(found), "instances": len(tried.cores), "share": tried.share},
            )


MEASUREMENTS = {
    "capacity": capacity,
    "latency": latency,
    "set-up": set_up,
    "footprint": footprint,
    "growth": growth,
    "overload": overload,
    "cores": cores,
}


# These are measured each way; the others only the first.
WITH_WAYS = {"capacity", "latency"}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "what", nargs="*", default=[*MEASUREMENTS], help=f"any of {', '.join(MEASUREMENTS)}; default: all"
    )
    parser.add_argument("--pattern", nargs="+", choices=PATTERNS, default=["quanta", "20ms"])
    parser.add_argument("--bridge", nargs="+", choices=device.BRIDGES, default=[*device.BRIDGES])
    parser.add_argument("--way", nargs="+", choices=WAYS, default=["wss", "ws"], help="default: wss ws")
    parser.add_argument("--runs", type=int, default=5, help="of capacity and latency; medians are told (5)")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long one measurement takes (5)")
    parser.add_argument("--core", type=int, default=0, help="the device's core (0); the harness has another")
    parser.add_argument(
        "--nice", type=int, default=0, help="the priority of both, as root: -15 on a busy machine"
    )
    parser.add_argument(
        "--share",
        type=float,
        help="how much of its core the device may use, where the load cannot fill it all",
    )
    parser.add_argument("--python", default=sys.executable, help="the device's interpreter")
    parser.add_argument(
        "--tree", type=Path, default=Path.cwd(), help="the device's sources: another checkout"
    )
    parser.add_argument(
        "--short-sessions", type=int, default=2000, help="how many short sessions for growth (2000)"
    )
    parser.add_argument(
        "--overload", type=int, help="sessions for overload; default: 1.5 x the capacity found"
    )
    parser.add_argument("--log", type=Path, help="where the device's log lines go")
    parser.add_argument("--json", type=Path, help="write everything that was measured there")
    given = parser.parse_args()
    if unknown := [what for what in given.what if what not in MEASUREMENTS]:
        parser.error(f"unknown: {', '.join(unknown)}")
    others = os.sched_getaffinity(0) - {given.core}
    if not others:
        parser.error("two cores are needed: one for the device, one for the load")
    os.sched_setaffinity(0, {min(others)})
    if given.nice:
        device.prioritise(os.getpid(), given.nice)
    given.bridges = [device.BRIDGES[name] for name in given.bridge]
    if NODE in given.bridges and not device.node_is_installed():
        parser.error(
            "the Node bridge needs Node and (cd tests/bench/node && npm ci); or --bridge preppald naive"
        )
    setting = Setting(
        given.python,
        given.tree,
        (given.core,),
        given.seconds,
        share=given.share,
        log=given.log,
        nice=given.nice,
    )
    results = Results(
        {
            "date": datetime.now(UTC).date().isoformat(),
            "machine": report.machine(),
            "python": platform.python_version(),
            "load_average_before": os.getloadavg()[0],
            "seconds": given.seconds,
            "nice": given.nice,
            "share": given.share,
        }
    )
    for what in given.what:
        for way in given.way:
            if what in WITH_WAYS or way == given.way[0]:
                tell(f"{what}: {WAYS[way].words}")
                MEASUREMENTS[what](results, given, replace(setting, way=WAYS[way]))
    results.about["load_average_after"] = os.getloadavg()[0]
    if given.json:
        given.json.write_text(json.dumps(results.all(), indent=1) + "\n")
    sys.stdout.write(report.markdown(results) + "\n")


if __name__ == "__main__":
    main()
