"""The command line: which command, and what a failure looks like."""

import argparse
from collections.abc import Sequence
import os
import sys

from preppald import __version__
from preppald.commands import call, check, demo, serve, simulate, token
from preppald.errors import ConfigError, PreppaldError

DESCRIPTION = "The daemon between a candidate's browser and Gemini Live, for spoken interviews."
EPILOG = """\
First steps:
  preppald demo                hold an interview here, without a key or a network
  preppald check               is the configuration right?
  preppald serve               run the daemon
"""


def parser() -> argparse.ArgumentParser:
    whole = argparse.ArgumentParser(
        prog="preppald",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="version", version=f"preppald {__version__}")
    subparsers = whole.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (serve, check, demo, call, simulate, token):
        command.add_to(subparsers)
    return whole


def main(argv: Sequence[str] | None = None) -> int:
    arguments = parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except ConfigError as error:
        print("preppald: the configuration is wrong:", *error.faults, sep="\n  ", file=sys.stderr)
        return error.exit_status
    except PreppaldError as error:
        print(f"preppald: {error}", file=sys.stderr)
        return error.exit_status
    except BrokenPipeError:
        # Whoever read us has left: nothing more to say, and Python must not try at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status
