"""Compares the CPU time of two trees under one load, pair by pair: is the one slower than the other?

    nice -n -10 python -m tests.bench.pairs --tree . --against ../before [--way ws] [--sessions 200] [--pairs 10]

Each pair is one run of either tree, one right after the other, in turns first; what the machine's other guests do
lasts longer than a pair, so the differences within pairs tell more than the means. What counts is user and system time
of the daemon by /proc/PID/stat, not the clock on the wall. Prints each pair, then the median of the differences in per
cent of ``--against``, and their spread: the range that holds the middle half. Exit status 1 where the median is above
``--allow``, 2 %, and the middle half does not hold 0. A load that is late itself makes a pair doubtful, and is told.

A tree that cannot keep up puts several chunks into one message, and has less to do for it. So a pair counts only where
both sent Gemini as many messages, within 2 %; others are told, and tried again, as many times as there are to be pairs.
Exit status 2 where there were too few that count.
"""

import argparse
from dataclasses import replace
import os
from pathlib import Path
from statistics import median, quantiles
import sys

from tests.bench.device import PREPPALD, prioritise
from tests.bench.measure import Setting, Steady, steady
from tests.bench.patterns import PATTERNS
from tests.bench.ways import WAYS

SESSIONS = 200
PAIRS = 10
SECONDS = 20.0
# A tree may be slower by so much before it counts as slower at all.
ALLOWED = 0.02
# A share of the messages, by which the work of two runs may differ and be the same work.
SAME_WORK = 0.02
SECONDS_A_MINUTE = 60


def told(name: str, run: Steady) -> str:
    """Return one run in words: CPU milliseconds a session and minute, and how late sound was."""
    each = run.cpu * SECONDS_A_MINUTE * 1000 / run.sessions
    words = f"{name} {run.cpu:6.1%} {each:5.1f} ms, up {run.up_p50_ms:4.1f} / {run.up_p99_ms:5.1f} ms"
    words += f", {run.messages_a_second:.0f} a second"
    if run.lost_bytes or run.faults:
        words += f" LOST {run.lost_bytes} {run.faults}"
    return words + (" (the load was late)" if run.doubtful else "")


def same_work(one: Steady, other: Steady) -> bool:
    """Return whether both runs sent Gemini as many messages."""
    most = max(one.messages_a_second, other.messages_a_second)
    return abs(one.messages_a_second - other.messages_a_second) <= SAME_WORK * most


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.pairs",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--tree", type=Path, default=Path.cwd(), help="the sources in question (these)")
    parser.add_argument("--against", type=Path, required=True, help="the sources to compare with")
    parser.add_argument("--python", default=sys.executable, help="the interpreter of --tree")
    parser.add_argument("--against-python", help="the interpreter of --against, if that is another")
    parser.add_argument("--way", choices=WAYS, default="ws")
    parser.add_argument("--pattern", choices=PATTERNS, default="20ms")
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    parser.add_argument("--pairs", type=int, default=PAIRS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each run (20)")
    parser.add_argument("--allow", type=float, default=ALLOWED, help="how much slower counts as equal (0.02)")
    parser.add_argument("--core", type=int, default=0, help="the daemon's core (0); the load has another")
    parser.add_argument(
        "--nice", type=int, default=0, help="the priority of both; -10, as root, on a busy machine"
    )
    given = parser.parse_args()
    others = os.sched_getaffinity(0) - {given.core}
    if not others:
        parser.error("two cores are needed: one for the daemon, one for the load")
    os.sched_setaffinity(0, {min(others)})
    if given.nice:
        prioritise(os.getpid(), given.nice)
    ours = Setting(
        given.python,
        given.tree.resolve(),
        (given.core,),
        given.seconds,
        nice=given.nice,
        way=WAYS[given.way],
    )
    theirs = replace(ours, tree=given.against.resolve(), python=given.against_python or given.python)
    return compare(given, ours, theirs)


def compare(given: argparse.Namespace, ours: Setting, theirs: Setting) -> int:
    """Run the pairs and print what they show; return the exit status."""
    pattern = PATTERNS[given.pattern]
    say(f"{given.sessions} sessions, {pattern.words}, {ours.way.words}: {ours.tree} against {theirs.tree}")
    differences: list[float] = []
    means = [0.0, 0.0]
    for number in range(2 * given.pairs):
        if len(differences) == given.pairs:
            break
        runs: dict[bool, Steady] = {}
        for one in (number % 2 == 0, number % 2 == 1):
            runs[one] = steady(PREPPALD, pattern, given.sessions, ours if one else theirs)
        difference = runs[True].cpu / runs[False].cpu - 1
        equal = same_work(runs[True], runs[False])
        if equal:
            differences.append(difference)
            means[0] += runs[True].cpu / given.pairs
            means[1] += runs[False].cpu / given.pairs
        say(
            f"{number + 1:2} {told('tree', runs[True])}; {told('against', runs[False])}; {difference:+.1%}"
            f"{'' if equal else ' (not the same work)'}"
        )
    if len(differences) < given.pairs:
        say(
            f"{len(differences)} of {given.pairs} pairs did the same work: take fewer sessions, or a quieter machine"
        )
        return 2
    middle = median(differences)
    low, _, high = quantiles(differences, n=4, method="inclusive") if len(differences) > 1 else [middle] * 3
    say(
        f"median {middle:+.1%}, the middle half {low:+.1%} to {high:+.1%}, all {min(differences):+.1%} to "
        f"{max(differences):+.1%}; means {means[0]:.1%} and {means[1]:.1%} of a core"
    )
    return 1 if middle > given.allow and low > 0 else 0


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
