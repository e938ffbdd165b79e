"""``preppald serve``: the daemon."""

import argparse
import os
import time

import trio

from preppald import logs
from preppald.config import Config, load
from preppald.daemon import StopSwitch, run_daemon, stop_on_signals
from preppald.errors import PreppaldError, leaf
from preppald.logs import Logger

EPILOG = """\
The configuration comes from the environment; `preppald check` validates it and prints it.

SIGTERM drains: no new interviews, those that run may finish (PREPPALD_DRAIN). A second SIGTERM ends them now,
with what was said so far delivered as a partial transcript.
"""


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "serve",
        help="run the daemon",
        description="Run the daemon in the foreground, with log lines on stderr.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)


def wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


def run(_arguments: argparse.Namespace) -> int:
    config = load(os.environ)
    log, close_log = logs.configure(config.log_format, config.log_level)
    try:
        trio.run(_serve, config, log)
    except* PreppaldError as group:
        raise leaf(group) from group
    finally:
        close_log()
    return 0


async def _serve(config: Config, log: Logger) -> None:
    switch = StopSwitch()
    async with trio.open_nursery() as nursery:
        await nursery.start(stop_on_signals, switch)
        await run_daemon(config, log=log, now_ms=wall_clock_ms, switch=switch)
        nursery.cancel_scope.cancel()
