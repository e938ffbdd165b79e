"""``preppald audit``: shows who acted on a state directory, when and how."""

import argparse
from pathlib import Path
import pwd
from typing import Any

import msgspec

from preppald.commands.arguments import interview_id
from preppald.commands.listing import age, as_json, moment, now_ms, table
from preppald.core.deliveries import iso
from preppald.daemon.audit import FILE, Audit, Entry
from preppald.errors import EX_IOERR, PreppaldError

EPILOG = """\
The audit names no interview and no user: it has a keyed digest in place of the id, and --interview
or --user finds the actions on an id that you know. It is in audit.jsonl in the state directory, of
which the older half is audit.1.jsonl; actions are only ever added.

columns:
  BY        the user whose process gave the order, by name or uid
  VIA       command: over the daemon's socket; page: the operator's page; files: without a daemon
  SUBJECT   the digest of the interview or user that it was about

examples:
  preppald audit --since 7d
  preppald audit --user u-123              was this user forgotten, when, and by whom?
  preppald audit --json | jq -r '.[] | select(.action == "end")'

exit status: 0; 69 no daemon ever ran here; 74 the audit cannot be read.
"""


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare ``audit`` among the commands."""
    parser = subparsers.add_parser(
        "audit",
        help="show who acted on the daemons here, when and how",
        description="Show who ended, drained, undrained or forgot something here, and when.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument("--interview", metavar="ID", type=interview_id, help="only actions on this interview")
    whose.add_argument("--user", metavar="ID", help="only actions on this user")
    parser.add_argument("--since", metavar="AGE", type=age, help="only those within 90s, 15m, 2h, 7d, …")
    parser.add_argument("--json", action="store_true", help="print a JSON array")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, state_dir: Path) -> int:
    """Show it; returns the exit status."""
    if not state_dir.is_dir():
        raise PreppaldError(
            f"there is no state directory {state_dir}: is PREPPALD_STATE_DIR what the daemon has?"
        )
    try:
        found = _chosen(arguments, Audit(state_dir))
    except OSError as error:
        unreadable = PreppaldError(
            f"the audit of {state_dir} cannot be read: {error.strerror}: try `sudo preppald …`"
        )
        unreadable.exit_status = EX_IOERR
        raise unreadable from error
    if arguments.json:
        print(as_json([_described(it) for it in found]))
    elif found:
        table(("AT", "ACTION", "INSTANCE", "BY", "VIA", "SUBJECT", "COUNTS"), [_row(it) for it in found])
    else:
        print(f"no such action in {state_dir / FILE}")
    return 0


def _chosen(arguments: argparse.Namespace, audit: Audit) -> list[Entry]:
    after_ms = 0 if arguments.since is None else now_ms() - arguments.since
    found = [it for it in audit.entries() if it.at_ms >= after_ms]
    if found and (arguments.interview or arguments.user):
        name = arguments.interview or arguments.user
        told = audit.digest("interview" if arguments.interview else "user", name)
        return [it for it in found if it.subject == told]
    return found


def _row(it: Entry) -> tuple[str, ...]:
    counts = [f"{count} {name}" for name, count in it.counts.items() if count]
    if it.with_reason:
        counts.append("with a reason")
    return (
        moment(it.at_ms),
        it.action,
        it.instance,
        _user(it.uid),
        it.via,
        it.subject or "",
        ", ".join(counts),
    )


def _described(it: Entry) -> dict[str, Any]:
    return {"at": iso(it.at_ms), "by": _user(it.uid), **msgspec.to_builtins(it)}


def _user(uid: int | None) -> str:
    if uid is None:
        return "-"
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
