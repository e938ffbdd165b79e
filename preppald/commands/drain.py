"""``preppald drain``: lets no interview begin on this host, while those that run go on."""

import argparse
from pathlib import Path
import time

from preppald.commands.daemons import add_choice, chosen
from preppald.commands.listing import age, as_json
from preppald.daemon.orders import Action, Drained, Order, StatusNow
from preppald.errors import EX_TEMPFAIL

LOOK_SECONDS = 1.0

EPILOG = """\
From now on /ready answers 503 "draining" and new interviews are refused, or handed to another
instance on this host that takes them. Interviews that run go on and notice nothing; their
candidates can come back as before. The daemon goes on, too: `systemctl stop` is up to you.

It lasts until `preppald undrain`, or a restart.

examples:
  preppald drain && preppald status --watch
  preppald drain --wait 2h && systemctl stop preppald       nobody is cut off
  preppald drain --instance a

exit status: 0; 69 no daemon runs, or it is not clear which one is meant; 75 interviews still run
after --wait.
"""


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare ``drain`` among the commands."""
    parser = subparsers.add_parser(
        "drain",
        help="let no interview begin, and those that run go on",
        description="Let no interview begin on this host, while those that run go on.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_choice(parser)
    parser.add_argument(
        "--wait",
        metavar="AGE",
        type=age,
        help="return when no interview runs any more, after 90s, 15m, 2h, … at most",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON array, with one object an instance")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, state_dir: Path) -> int:
    """Drain; returns the exit status."""
    daemons = chosen(arguments, state_dir)
    drained = [it.order(Order(action=Action.DRAIN), Drained) for it in daemons]
    show(drained, as_objects=arguments.json)
    if arguments.wait is None:
        return 0
    until = time.monotonic() + arguments.wait / 1000
    left = sum(it.interviews for it in drained)
    while left and time.monotonic() < until:
        time.sleep(LOOK_SECONDS)
        left = sum(len(it.order(Order(action=Action.STATUS), StatusNow).interviews) for it in daemons)
    return EX_TEMPFAIL if left else 0


def show(drained: list[Drained], *, as_objects: bool) -> None:
    """Print each instance's state after the order."""
    if as_objects:
        print(as_json(drained))
        return
    for it in drained:
        still = "still " if it.was == it.draining else ""
        state = f"{still}drains: no interview begins" if it.draining else f"{still}takes new interviews"
        print(f"instance {it.instance} {state}; {it.interviews} run")
