"""The command line: finds the command, and prints failures for people.

Only the command that was asked for is imported: ``--version``, ``--help`` and shell completion must be quick, and
Trio, httpx and protobuf together take half a second.
"""

import argparse
from collections.abc import Sequence
import importlib
import os
import sys

from preppald import __version__
from preppald.errors import ConfigError, PreppaldError

DESCRIPTION = "The daemon between a candidate's browser and Gemini Live, for spoken interviews."
EPILOG = """\
First steps:
  preppald demo                hold an interview here, without a key or a network
  preppald check               is the configuration right?
  preppald serve               run the daemon
"""
# Each is a module of preppald.commands, which has the same words as its own help.
COMMANDS = {
    "serve": "run the daemon",
    "check": "validate the configuration",
    "demo": "hold an interview here, without a key or a network",
    "call": "be the candidate: speak a WAV file to a daemon, hear its interviewer",
    "simulate": "run a Gemini Live service and a backend to develop against",
    "token": "sign a token for a test",
    "interviews": "list the interviews, live and past",
    "transcript": "print what was said in an interview",
    "recording": "list, fetch and delete what was recorded",
    "outbox": "see and mend what the backend is still owed",
    "journal": "examine, back up, restore and salvage the journal",
}
# These read the state directory, and need no other setting.
READERS = ("interviews", "transcript", "recording", "outbox", "journal")


def parser(chosen: str | None = None) -> argparse.ArgumentParser:
    """Return the whole command line, with the arguments of the ``chosen`` command only."""
    whole = argparse.ArgumentParser(
        prog="preppald",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="version", version=f"preppald {__version__}")
    subparsers = whole.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    for name, words in COMMANDS.items():
        if name == chosen:
            importlib.import_module(f"preppald.commands.{name}").add_to(subparsers)
        else:
            subparsers.add_parser(name, help=words)
    return whole


def main(argv: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else argv
    # No option before the command takes a value, so the first other word is the command.
    chosen = next((word for word in words if not word.startswith("-")), None)
    arguments = parser(chosen).parse_args(words)
    try:
        status: int = _run(arguments)
    except ConfigError as error:
        print("preppald: the configuration is wrong:", *error.faults, sep="\n  ", file=sys.stderr)
        return error.exit_status
    except PreppaldError as error:
        print(f"preppald: {error}", file=sys.stderr)
        return error.exit_status
    except BrokenPipeError:
        # The reader of our output has left, and Python must not flush to it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def _run(arguments: argparse.Namespace) -> int:
    status: int
    if arguments.command in READERS:
        from preppald.config.load import state_dir  # noqa: PLC0415 - see the top

        status = arguments.run(arguments, state_dir(os.environ))
    else:
        status = arguments.run(arguments)
    return status
