"""``preppald hosts``: lists the hosts that share a journal; drains one of them from any other."""

import argparse
from collections.abc import Sequence
import os
from pathlib import Path
from typing import TYPE_CHECKING

from preppald.commands.listing import as_json, printable, span, table
from preppald.commands.records import shared_url
from preppald.errors import EX_TEMPFAIL, EX_UNAVAILABLE, PreppaldError

if TYPE_CHECKING:
    from preppald.shared.hosts import Host, Hosts

# An instance looks for orders every two seconds; a busy database may take some more.
ANSWER_SECONDS = 15.0

EPILOG = """\
columns of the list:
  STATE   up: its lease is renewed; silent: it is not, and nobody has declared it lost yet;
          lost: it was, and is about to be taken over; taken over: its interviews are others'
  READY   whether a new interview may begin there
  SEEN    since it renewed its lease

NAME is an instance as the list has it (preppald@host), or a host, for all of its instances.
drain and undrain do there what `preppald drain` and `preppald undrain` do here.

examples:
  preppald hosts
  preppald hosts --json | jq '.[] | select(.state != "up")'
  preppald hosts drain db-host-3
  preppald hosts undrain preppald@db-host-3

exit status: 0; 69 there is no such host, or none is up; 74 the shared journal cannot be read;
75 an instance did not answer: the order is taken back; 78 PREPPALD_SHARED_JOURNAL is not set.
"""


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare ``hosts`` among the commands."""
    parser = subparsers.add_parser(
        "hosts",
        help="list the hosts that share a journal, and drain them",
        description="List the hosts that share a journal (PREPPALD_SHARED_JOURNAL), and drain them.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print a JSON array, with one object an instance")
    parser.set_defaults(run=run, word=None)
    words = parser.add_subparsers(dest="word", metavar="ORDER")
    for word, help_ in (
        ("drain", "let no interview begin there, and those that run go on"),
        ("undrain", "let interviews begin there again"),
    ):
        ordered = words.add_parser(word, help=help_)
        ordered.add_argument("name", metavar="NAME", help="an instance, or a host")


def run(arguments: argparse.Namespace, _state_dir: Path) -> int:
    """List them, or pass an order on; returns the exit status."""
    # Memory and a driver that a host alone does without.
    from preppald.shared import hosts_at  # noqa: PLC0415

    hosts = hosts_at(shared_url(os.environ))
    if arguments.word:
        return _say(hosts, arguments.word, arguments.name)
    found = hosts.all()
    if arguments.json:
        print(as_json(found))
    elif found:
        table(
            ("INSTANCE", "STATE", "READY", "LIVE", "SEEN", "VERSION", "ADDRESS"), [_row(it) for it in found]
        )
    else:
        print("no host has written to the shared journal within a day")
    return 0


def _row(it: "Host") -> tuple[str, ...]:
    ready = "-" if it.state != "up" else "yes" if it.ready else "no"
    seen = f"{span(round(it.seen_seconds * 1000))} ago"
    return it.name, it.state, ready, str(it.live), seen, it.version, it.address


def _say(hosts: "Hosts", word: str, name: str) -> int:
    from preppald.shared.hosts import State, Word  # noqa: PLC0415 - as above

    named = [it for it in hosts.all() if name in {it.name, it.name.rpartition("@")[2]}]
    meant = [it for it in named if it.state is State.UP]
    if not meant:
        raise Unfound(_none_of(name, named))
    answers = hosts.say(Word(word), meant, ANSWER_SECONDS)
    for it in meant:
        told = answers.get(
            it.incarnation, f"did not answer for {ANSWER_SECONDS:.0f} s: the order is taken back"
        )
        print(f"{it.name}: {printable(told)}")
    return 0 if len(answers) == len(meant) else EX_TEMPFAIL


class Unfound(PreppaldError):
    """No such host is up."""

    exit_status = EX_UNAVAILABLE


def _none_of(name: str, named: Sequence["Host"]) -> str:
    if not named:
        return f"no host or instance is called {printable(name)!r}: see `preppald hosts`"
    states = ", ".join(f"{it.name} is {it.state}" for it in named)
    return f"nobody would hear it: {states}"
