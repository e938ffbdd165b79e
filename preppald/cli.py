"""The command line: finds the command, and prints failures for people.

Only the command that was asked for is imported: ``--version``, ``--help`` and shell completion must be quick, and
Trio, httpx and protobuf together take half a second.
"""

import argparse
from collections.abc import Sequence
import contextlib
import errno
import importlib
import io
import os
import sys

from preppald import __version__
from preppald.errors import EX_IOERR, ConfigError, PreppaldError

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
    "status": "show what runs: interviews, debts, troubles",
    "end": "end a live interview",
    "drain": "let no interview begin, and those that run go on",
    "undrain": "let interviews begin again",
    "forget": "remove all that this host has of an interview, or of a user",
    "audit": "show who acted on the daemons here, when and how",
    "hosts": "list the hosts that share a journal, and drain them",
    "interviews": "list the interviews, live and past",
    "transcript": "print the transcript of an interview",
    "report": "write the page of an interview: picture, numbers, transcript, sound",
    "recording": "list, fetch and delete recordings",
    "outbox": "show and mend the deliveries that the backend is still owed",
    "journal": "examine, back up, restore and salvage the journal",
}
# These need the state directory, and no other setting.
READERS = (
    "status",
    "end",
    "drain",
    "undrain",
    "forget",
    "audit",
    "hosts",
    "interviews",
    "transcript",
    "report",
    "recording",
    "outbox",
    "journal",
)

# Full or broken: said of an output, which has no name. Every other OSError is a bug of ours.
UNWRITABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF})
# As shells report a program that Ctrl-C ended: 128 and the signal's number.
INTERRUPTED = 130


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
    """Run the command in ``argv`` and return its exit status. A failure for people is a sentence on stderr."""
    _open_standard_streams()
    try:
        try:
            return _run(sys.argv[1:] if argv is None else argv)
        finally:
            sys.stdout.flush()
    except ConfigError as error:
        _complain("the configuration is wrong:", *error.faults)
        return error.exit_status
    except PreppaldError as error:
        _complain(str(error))
        return error.exit_status
    except BrokenPipeError:
        # The reader of our output has left: that is its own business, and said by nobody.
        _drop_output()
        return 1
    except OSError as error:
        if error.errno not in UNWRITABLE or error.filename is not None:
            raise
        _drop_output()
        _complain(f"the output cannot be written ({error.strerror}): make room, or send it elsewhere")
        return EX_IOERR
    except KeyboardInterrupt:
        return INTERRUPTED


def _run(words: Sequence[str]) -> int:
    # No option before the command takes a value, so the first other word is the command.
    chosen = next((word for word in words if not word.startswith("-")), None)
    whole = parser(chosen)
    arguments = whole.parse_args(words)
    if fault := _not_text(arguments):
        whole.error(fault)
    status: int
    if arguments.command in READERS:
        from preppald.config.load import state_dir  # noqa: PLC0415 - see the top

        status = arguments.run(arguments, state_dir(os.environ))
    else:
        status = arguments.run(arguments)
    return status


def _not_text(arguments: argparse.Namespace) -> str:
    """Return what is wrong with an argument that is no UTF-8, and no file's name; empty where all are well.

    Python keeps such bytes as half characters, which no database, and no other program, takes.
    """
    for value in vars(arguments).values():
        for it in value if isinstance(value, list) else [value]:
            if isinstance(it, str) and not it.isascii():
                try:
                    it.encode()
                except UnicodeEncodeError:
                    return f"the argument {it!r} holds bytes that are no UTF-8"
    return ""


def _open_standard_streams() -> None:
    """Put /dev/null where a standard stream is closed, and ``?`` for what the locale cannot write.

    The next file that is opened would otherwise get the closed stream's number: a database as standard output.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115 - open for good
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _complain(*lines: str) -> None:
    # A stderr that cannot be written leaves the exit status to speak.
    with contextlib.suppress(OSError):
        print("preppald: " + "\n  ".join(lines), file=sys.stderr, flush=True)


def _drop_output() -> None:
    """Keep Python from writing at exit what could not be written now."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
