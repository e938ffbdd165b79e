"""``preppald undrain``: lets interviews begin again after ``preppald drain``."""

import argparse
from pathlib import Path

from preppald.commands.daemons import add_choice, chosen
from preppald.commands.drain import show
from preppald.daemon.orders import Action, Drained, Order

EPILOG = """\
examples:
  preppald undrain
  preppald undrain --all

exit status: 0; 69 no daemon runs, or it is stopping, which cannot be undone.
"""


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare ``undrain`` among the commands."""
    parser = subparsers.add_parser(
        "undrain",
        help="let interviews begin again",
        description="Let interviews begin again after `preppald drain`.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_choice(parser)
    parser.add_argument("--json", action="store_true", help="print a JSON array, with one object an instance")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, state_dir: Path) -> int:
    """Undrain; returns the exit status."""
    show(
        [it.order(Order(action=Action.UNDRAIN), Drained) for it in chosen(arguments, state_dir)],
        as_objects=arguments.json,
    )
    return 0
