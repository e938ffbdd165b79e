"""Files that were set aside because they are damaged: found, looked into, and written anew without some interviews."""

from collections.abc import Collection, Iterator
from contextlib import closing
import os
from pathlib import Path
import re
import sqlite3

from preppald.errors import JournalError
from preppald.journal import files, packing, rows, salvage, schema, writes

# ``OnDisk.set_aside`` gives such a name; SQLite's own files stand beside it.
_NAME = re.compile(r".+\.db\.corrupt-[0-9TZ.]+")
BESIDE = ("-wal", "-shm")
REWRITING = ".rewriting"


def found(state_dir: Path) -> list[Path]:
    """Return every file of the state directory that was set aside."""
    return sorted(it for it in state_dir.iterdir() if _NAME.fullmatch(it.name))


def names_in(file: Path) -> tuple[set[str], dict[str, str]]:
    """Return the interviews that can be read of a file, and the user of each, as far as that is in it."""
    names: set[str] = set()
    users: dict[str, str] = {}
    for it in _rows(file):
        match it.table:
            case "interview":
                users[str(it.row[0])] = str(it.row[2])
                names.add(str(it.row[0]))
            case "recent":
                names |= {said.interview_id for said in _said(it)}
            case _:
                names.add(_owner(it))
    return names, users


def rewrite(file: Path, without: Collection[str]) -> int:
    """Write a file anew with all rows that can be read of it, but those of some interviews; return how many those are.

    Nothing else of the old file stays: in what cannot be read of it anybody's words may be.

    Raises:
        JournalError: it cannot be read, or the new one cannot be written; then the old one is as it was.
    """
    part = file.with_name(f"{file.name}{REWRITING}")
    try:
        part.unlink(missing_ok=True)
        with closing(files.new(part)) as connection:
            schema.migrate(connection)
            with writes.transaction(connection):
                kept = sum(_put(connection, it, without) for it in _rows(file))
        files.give_to_owner(part)
        _sync(part)
        for suffix in BESIDE:
            Path(f"{file}{suffix}").unlink(missing_ok=True)
        part.rename(file)
        _sync(file.parent)
    except (OSError, sqlite3.Error) as error:
        part.unlink(missing_ok=True)
        raise JournalError(
            f"{file} cannot be written anew ({error}): make room, and repeat the command"
        ) from error
    return kept


def _rows(file: Path) -> Iterator[salvage.Found]:
    return salvage.rows_of(file, lambda _error: None)


def _said(it: salvage.Found) -> list[packing.Said]:
    return [said for own in rows.readable([it.row], rows.recent, lambda _error: None) for said in own]


def _put(connection: sqlite3.Connection, it: salvage.Found, without: Collection[str]) -> int:
    if it.table == "recent":
        said = [one for one in _said(it) if one.interview_id not in without]
        made = [rows.sealed(row) for row in packing.passages(said)]
        connection.executemany(writes.PUT_PASSAGE, made)
        return len(made)
    if _owner(it) in without:
        return 0
    return writes.put_salvaged(connection, it.table, it.number, it.row)


def _owner(it: salvage.Found) -> str:
    return str(it.row[re.findall(r"\w+", rows.COLUMNS[it.table]).index("interview_id")])


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
