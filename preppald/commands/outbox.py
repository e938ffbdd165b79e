"""``preppald outbox``: shows and mends the deliveries that the backend is still owed."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from preppald.commands.listing import age, as_json, finish, now_ms, printable, put, span, table, unknown
from preppald.commands.records import Records, add_fleet, records
from preppald.core.deliveries import DeliveryState, OutboxEntry, iso
from preppald.errors import PreppaldError
from preppald.journal.archive import Archive

# Retries of a backend that is back are done within six minutes: older than this, somebody should look.
DEFAULT_MAX_AGE = "15m"
UNSETTLED = (DeliveryState.PENDING, DeliveryState.DEAD)
DEAD_LETTERS = 1
OVERDUE = 2

EPILOG = """\
ID is a delivery's key as `list` shows it, or an interview, for all of its deliveries.

examples:
  preppald outbox list                         the pending and the dead ones
  preppald outbox list --max-age 10m >/dev/null; echo $?     for a monitor
  preppald outbox show iv-42                   everything about one interview's deliveries
  preppald outbox retry --all-dead             after the backend was repaired
  preppald outbox export iv-42 --output iv-42.json
  preppald outbox drop iv-42:1:transcript --yes
  preppald outbox list --fleet                 of all hosts that share a journal

exit status of list:
  0   nothing is wrong
  1   there are dead letters: deliveries that the backend refused
  2   something is pending for longer than --max-age (dead letters or not)
  74  a database could not be read

All of it works while the daemon runs, which sees a change within seconds, and while it is down.
"""
LIST_EPILOG = """\
exit status: 0 nothing is wrong; 1 dead letters exist; 2 something is pending for longer than
--max-age; 74 a database could not be read.
"""


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare ``outbox`` among the commands."""
    parser = subparsers.add_parser(
        "outbox",
        help="show and mend the deliveries that the backend is still owed",
        description="Show the deliveries that the backend is still owed, and mend those that it refused.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    listing = actions.add_parser(
        "list",
        help="list deliveries; the exit status is for monitors",
        epilog=LIST_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    listing.add_argument("--all", action="store_true", help="also those that are done or dropped")
    listing.add_argument(
        "--json", action="store_true", help="print a JSON array, with everything but payloads"
    )
    listing.add_argument(
        "--max-age",
        metavar="AGE",
        type=age,
        default=DEFAULT_MAX_AGE,
        help="how long a delivery may be pending (default %(default)s)",
    )
    add_fleet(listing)
    listing.set_defaults(do=_list)

    show = actions.add_parser("show", help="show deliveries with all that is known about them")
    show.add_argument("id", metavar="ID")
    show.add_argument("--payload", action="store_true", help="also what is posted: it holds the transcript")
    add_fleet(show)
    show.set_defaults(do=_show)

    retry = actions.add_parser("retry", help="make dead and waiting deliveries due now")
    which = retry.add_mutually_exclusive_group(required=True)
    which.add_argument("id", metavar="ID", nargs="?")
    which.add_argument("--all-dead", action="store_true", help="every dead letter")
    retry.set_defaults(do=_retry)

    drop = actions.add_parser("drop", help="give deliveries up: the backend will never have them")
    drop.add_argument("id", metavar="ID")
    drop.add_argument("--yes", action="store_true", help="really; without it, only says what would happen")
    drop.set_defaults(do=_drop)

    export = actions.add_parser("export", help="write an interview's deliveries as JSON, payloads included")
    export.add_argument("id", metavar="INTERVIEW")
    export.add_argument("--output", metavar="FILE", type=Path, help="write there, readable by you only")
    add_fleet(export)
    export.set_defaults(do=_export)


def run(arguments: argparse.Namespace, state_dir: Path) -> int:
    """Do it; returns the exit status."""
    reads = hasattr(arguments, "fleet")
    archive = records(arguments, state_dir) if reads else Archive(state_dir)
    status: int = arguments.do(arguments, archive)
    return finish(archive, status)


def _list(arguments: argparse.Namespace, archive: Records) -> int:
    found = archive.owed(tuple(DeliveryState) if arguments.all else UNSETTLED)
    at_ms = now_ms()
    if arguments.json:
        print(as_json([_described(it, before) for it, before in _ordered(found)]))
    elif found:
        table(
            ("ID", "STATE", "TRIES", "AGE", "NEXT TRY", "STATUS", "WAITS FOR"),
            [_row(it, before, at_ms) for it, before in _ordered(found)],
        )
    elif not archive.faults:
        print(f"nothing is owed to the backend by {archive.where}")
    return verdict(found, at_ms, arguments.max_age)


def verdict(owed: Sequence[OutboxEntry], at_ms: int, max_age_ms: int) -> int:
    """Return the exit status for monitors; the graver wins."""
    if any(it.state is DeliveryState.PENDING and at_ms - it.delivery.created_ms > max_age_ms for it in owed):
        return OVERDUE
    return DEAD_LETTERS if any(it.state is DeliveryState.DEAD for it in owed) else 0


def _show(arguments: argparse.Namespace, archive: Records) -> int:
    for it, before in _ordered(_chosen(arguments.id, archive)):
        for name, value in (_described(it, before) | _posted(it, with_content=arguments.payload)).items():
            print(f"{name + ':':<14}{_readable(value)}")
        print()
    return 0


def _retry(arguments: argparse.Namespace, archive: Archive) -> int:
    if arguments.all_dead:
        found = archive.owed([DeliveryState.DEAD])
    else:
        found = [it for it in _chosen(arguments.id, archive) if it.state in UNSETTLED]
    changed = archive.retry([it.key for it in found])
    print(f"{changed} to be tried now; a running daemon begins within seconds")
    if overtaken := len(found) - changed:
        print(
            f"{overtaken} left alone: a later delivery of the same interview is done, and an older status "
            "would set the interview back; drop them"
        )
    return 0


def _drop(arguments: argparse.Namespace, archive: Archive) -> int:
    found = [it for it in _chosen(arguments.id, archive) if it.state in UNSETTLED]
    if not found:
        print("nothing to drop: it is settled already")
        return 0
    if not arguments.yes:
        for it in found:
            print(it.key)
        raise PreppaldError(f"the backend would never have these {len(found)}: add --yes to drop them")
    print(f"{archive.drop([it.key for it in found], now_ms())} dropped")
    return 0


def _export(arguments: argparse.Namespace, archive: Records) -> int:
    deliveries = [
        _described(it, before) | _posted(it, with_content=True)
        for it, before in _ordered(_chosen(arguments.id, archive))
    ]
    put(as_json({"interview": arguments.id, "deliveries": deliveries}) + "\n", arguments.output)
    return 0


def _chosen(name: str, archive: Records) -> Sequence[OutboxEntry]:
    found = archive.owed(of=name)
    if not found:
        unknown(archive, f"no delivery is called {printable(name)!r}, and no interview that had any")
    return found


def _ordered(found: Sequence[OutboxEntry]) -> list[tuple[OutboxEntry, str | None]]:
    """Return each delivery with the pending one of its interview that goes before it, if any."""
    first: dict[str, str] = {}
    ordered: list[tuple[OutboxEntry, str | None]] = []
    for it in found:
        before = first.get(it.delivery.interview_id) if it.state is DeliveryState.PENDING else None
        if it.state is DeliveryState.PENDING:
            first.setdefault(it.delivery.interview_id, it.key)
        ordered.append((it, before))
    return ordered


def _waits_for(it: OutboxEntry, before: str | None) -> str | None:
    """Return in words what has to happen next for this delivery; None where nothing has."""
    match it.state:
        case DeliveryState.PENDING if before is not None:
            return f"{before}, which goes before it"
        case DeliveryState.PENDING if it.attempts:
            return f"the next try: {it.last_error or 'the last one was cut short'}"
        case DeliveryState.PENDING:
            return "its first try, by a daemon that runs"
        case DeliveryState.DEAD:
            return f"you, to retry or drop it: {it.last_error or 'the application refused it'}"
        case _:
            return None


def _row(it: OutboxEntry, before: str | None, at_ms: int) -> tuple[str, ...]:
    waits = it.state is DeliveryState.PENDING
    return (
        it.key,
        it.state.value,
        str(it.attempts),
        span(at_ms - it.delivery.created_ms),
        ("now" if it.due(at_ms) else f"in {span(it.next_ms - at_ms)}") if waits else "-",
        "-" if it.last_status is None else str(it.last_status),
        _waits_for(it, before) or "",
    )


def _described(it: OutboxEntry, before: str | None) -> dict[str, Any]:
    return {
        "id": it.key,
        "interview": it.delivery.interview_id,
        "kind": it.delivery.kind,
        "state": it.state,
        "attempts": it.attempts,
        "created": iso(it.delivery.created_ms),
        "next_try": iso(it.next_ms) if it.state is DeliveryState.PENDING and it.next_ms else None,
        "last_status": it.last_status,
        "last_error": it.last_error,
        "waits_for": _waits_for(it, before),
        "settled": None if it.acked_ms is None else iso(it.acked_ms),
    }


def _posted(it: OutboxEntry, *, with_content: bool) -> dict[str, Any]:
    if not it.delivery.payload:
        return {"payload": "removed after its delivery, by PREPPALD_TRANSCRIPT_RETENTION"}
    if not with_content:
        return {"payload": f"{len(it.delivery.payload)} bytes; --payload prints them"}
    try:
        return {"payload": msgspec.json.decode(it.delivery.payload)}
    except (msgspec.DecodeError, UnicodeDecodeError):
        # The very thing that an operator wants to see.
        return {"payload": it.delivery.payload.decode("utf-8", "replace")}


def _readable(value: object) -> str:
    if isinstance(value, dict):
        return "\n".join(map(printable, as_json(value).split("\n")))
    return "-" if value is None else printable(str(value))
