"""``python -m tests.simulation --seeds 1000``: any number of seeds, with progress and a summary line."""
# ruff: noqa: T201 - it is a command

import argparse
from concurrent.futures import ProcessPoolExecutor
from functools import partial
import multiprocessing
import resource
import sys
import time

from tests.simulation.run import Report
from tests.simulation.watched import simulate_watched

PROGRESS_EVERY = 50


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=50, metavar="N", help="how many (default %(default)s)")
    parser.add_argument(
        "--first", type=int, default=1, metavar="N", help="the first seed (default %(default)s)"
    )
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes (default %(default)s)")
    parser.add_argument("--damage", action="store_true", help="the disk damages what it holds, too")
    parser.add_argument("--fleet", action="store_true", help="several hosts with one shared journal")
    arguments = parser.parse_args()
    if arguments.damage and arguments.fleet:
        parser.error("--damage is of one host")
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    began = time.perf_counter()
    reports: list[Report] = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(arguments.jobs, mp_context=context) as pool:
        one = partial(simulate_watched, damage=arguments.damage, several=arguments.fleet)
        for report in pool.map(one, seeds, chunksize=5):
            reports.append(report)
            for violation in report.violations:
                print(f"seed {report.seed}: {violation}", flush=True)
            for excused in report.excused:
                print(f"seed {report.seed}: excused: {excused}", flush=True)
            if len(reports) % PROGRESS_EVERY == 0:
                print(f"{len(reports)} of {len(seeds)} seeds, {_failed(reports)} failed", flush=True)
    print(summary(reports, time.perf_counter() - began))
    return 1 if _failed(reports) else 0


def summary(reports: list[Report], wall: float) -> str:
    hours = sum(report.simulated for report in reports) / 3600
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return (
        f"{len(reports)} seeds, {sum(report.interviews for report in reports)} interviews, "
        f"{hours:.1f} simulated hours in {wall:.0f} s ({hours / wall:.3f} h a second), "
        f"{sum(report.kills for report in reports)} kills, {sum(report.posts for report in reports)} posts, "
        f"{sum(report.lines for report in reports)} fragments shown, {peak:.0f} MiB at most; "
        f"{sum(len(report.violations) for report in reports)} violations in {_failed(reports)} seeds"
    )


def _failed(reports: list[Report]) -> int:
    return sum(bool(report.violations) for report in reports)


if __name__ == "__main__":
    sys.exit(main())
