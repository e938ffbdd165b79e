"""``preppald journal``: examines the journal, copies it, brings a copy back, and looks into damaged files."""

import argparse
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
import sys

from preppald.commands.listing import now_ms, printable
from preppald.errors import EX_DATAERR, JournalError, PreppaldError
from preppald.journal import backup, files, mending, rows, salvage, schema, writes

EPILOG = """\
examples:
  preppald journal check                        every row of every database here
  preppald journal backup /var/backups/preppald while the daemon runs; prints where the copy is
  preppald journal restore /var/backups/preppald/preppald-20261129T101500Z
  preppald journal salvage /var/lib/preppald/preppald.db.corrupt-20261129T101500.000000Z
  preppald journal salvage FILE --adopt         a daemon that runs here takes over what is owed

exit status: 0; 65 when something is damaged; 69 when something is in the way; 74 when a file
cannot be read or written.
"""


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare ``journal`` among the commands."""
    parser = subparsers.add_parser(
        "journal",
        help="examine, back up, restore and salvage the journal",
        description="Look after the databases that hold transcripts and what the backend is owed.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    check = actions.add_parser("check", help="read every row; name those that are damaged")
    check.set_defaults(do=_check)
    copy = actions.add_parser("backup", help="copy the journal, while the daemon runs or is down")
    copy.add_argument(
        "directory", metavar="DIR", type=Path, help="a directory for backups; each has its own in it"
    )
    copy.set_defaults(do=_backup)
    restore = actions.add_parser(
        "restore", help="bring a backup back into a state directory without a journal"
    )
    restore.add_argument("backup", metavar="BACKUP", type=Path, help="what `backup` printed")
    restore.set_defaults(do=_restore)
    rescue = actions.add_parser("salvage", help="look into a damaged database, without SQLite")
    rescue.add_argument(
        "file", metavar="FILE", type=Path, help="a file that was set aside: its name says .corrupt"
    )
    rescue.add_argument(
        "--adopt",
        action="store_true",
        help="make a database of it, which a daemon here adopts within seconds",
    )
    rescue.set_defaults(do=_salvage)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, state_dir: Path) -> int:
    """Do it; return the exit status."""
    status: int = arguments.do(arguments, state_dir)
    return status


def _check(_arguments: argparse.Namespace, state_dir: Path) -> int:
    files.listable(state_dir)
    found = [file for name in files.instances(state_dir) for _, file in files.generations(state_dir, name)]
    if not found:
        raise JournalError(f"there is no journal in {state_dir}: is PREPPALD_STATE_DIR what the daemon has?")
    damaged = False
    for file in found:
        try:
            examined = backup.examine(file)
        except JournalError as error:
            print(f"preppald: {error}", file=sys.stderr)
            damaged = True
            continue
        counts = ", ".join(f"{count} {table}" for table, count in examined.rows.items())
        print(f"{file}: {examined.structure}; rows: {counts or 'none read'}")
        for line in examined.damaged:
            print(f"  damaged: {printable(line)}")
        for line in examined.set_aside:
            print(f"  set aside: {printable(line)}")
        damaged |= examined.structure != "ok" or bool(examined.damaged)
    aside = sorted(state_dir.glob("*.corrupt-*Z"))
    for file in aside:
        print(f"{file}: was set aside; see `preppald journal salvage {file}`")
    return EX_DATAERR if damaged else 0


def _backup(arguments: argparse.Namespace, state_dir: Path) -> int:
    print(backup.back_up(state_dir, arguments.directory, datetime.now(UTC)))
    return 0


def _restore(arguments: argparse.Namespace, state_dir: Path) -> int:
    manifest = backup.restore(arguments.backup, state_dir)
    for copied in manifest.databases:
        print(f"restored {state_dir / copied.name} ({copied.size} bytes)")
    if manifest.recordings:
        print(
            f"{len(manifest.recordings)} files of recordings were there, too: copy them to {state_dir / 'recordings'}"
        )
    print("start the daemon: what was owed is delivered, under the same keys as before")
    return 0


def _salvage(arguments: argparse.Namespace, state_dir: Path) -> int:
    source: Path = arguments.file
    if source.parent.resolve() == state_dir.resolve() and source.suffix == ".db":
        raise PreppaldError(f"{source} may be in use: salvage a copy of it, or a file that was set aside")
    damaged: list[rows.Unreadable] = []
    counts: Counter[str] = Counter()
    names: set[str] = set()
    try:
        found = salvage.rows_of(source, damaged.append)
        if arguments.adopt:
            target = state_dir / f"salvaged-{datetime.now(UTC):%Y%m%dT%H%M%S}.db"
            counts += _adoptable(found, damaged, target)
            print(f"{target}: a daemon of this state directory takes over what is owed in it")
        else:
            for it in found:
                counts[it.table] += 1
                names |= _names(it)
    except OSError as error:
        raise JournalError(f"{source} cannot be read: {error.strerror}") from error
    print(", ".join(f"{count} {table}" for table, count in sorted(counts.items())) or "nothing can be read")
    for name in sorted(names):
        print(f"  interview {printable(name)}")
    for row in damaged:
        print(f"  damaged: {row.table} {printable(row.key or row.interview_id or '?')}: {row.why}")
    return EX_DATAERR if damaged or not counts else 0


def _names(found: salvage.Found) -> set[str]:
    """Return the interview of a row; none for a row of many."""
    match found.table:
        case "interview" | "passage" | "quality":
            return {str(found.row[0])}
        case "outbox":
            return {str(found.row[1])}
        case _:
            return set()


def _adoptable(found: Iterator[salvage.Found], damaged: list[rows.Unreadable], target: Path) -> Counter[str]:
    """Put it all into a database of its own, as an instance that does not run leaves one."""
    counts: Counter[str] = Counter()
    part = target.with_name(f"{target.name}.salvaging")
    with closing(files.new(part)) as connection:
        schema.migrate(connection)
        schema.name(connection, target.name)
        with writes.transaction(connection):
            for it in found:
                counts[it.table] += writes.put_salvaged(connection, it.table, it.number, it.row)
        for _ in mending.take_in(connection, damaged, now_ms, mending.Fallback()):
            pass
    files.give_to_owner(part)
    part.rename(target)
    return counts
