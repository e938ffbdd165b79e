"""Removes all that a database holds of some interviews, so that none of it stays in the file. Blocking.

Rule 1: a live interview is never touched, and neither is one that is owed, unless that is asked for by name.
Rule 2: removing is one transaction; then the file is written anew, and its -wal is emptied: a deleted row alone would
        stay in pages that are free.
"""

# ruff: noqa: S608 - what is put into the statements' text are names of tables and columns; values are bound.

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
import json
from pathlib import Path
import re
import sqlite3

import msgspec

from preppald.core.deliveries import DeliveryState
from preppald.core.interview import Phase
from preppald.core.turns import Speaker
from preppald.errors import JournalError, PreppaldError
from preppald.journal import files, mending, reader, rows, schema, spool, writes

# A command that reads holds the file for milliseconds; the -wal is emptied after it. Commits wait meanwhile.
READERS_SECONDS = 5.0
# Texts by which the rest of the state directory is searched: the longest ones.
NEEDLES = 8
NEEDLE_BYTES = 12
# A text's longest part that stands in the file as it was said: JSON has a backslash before these.
_PLAIN = re.compile(r'[^"\\\x00-\x1f]+')


class NotForgotten(PreppaldError):
    """An interview that is live, or still owed."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """The holdings of one database of an interview. ``delivered``: the kinds of delivery that the backend has.

    ``owed``: deliveries that are pending, or were refused. ``due``: feedback on it is still to be written, or the transcript to be checked.
    """

    interview: str
    live: bool
    owed: int
    due: bool
    delivered: list[str]


class Removed(msgspec.Struct, kw_only=True):
    """Rows that were removed. ``nameless``: damaged rows that stayed, for they name no interview.

    ``left``: why removed rows may still be in the file, in words; None where they are not.
    """

    interviews: int = 0
    passages: int = 0
    deliveries: int = 0
    damaged: int = 0
    nameless: int = 0
    left: str | None = None

    def add(self, other: "Removed") -> None:
        """Add another file's."""
        self.interviews += other.interviews
        self.passages += other.passages
        self.deliveries += other.deliveries
        self.damaged += other.damaged
        self.nameless += other.nameless
        self.left = self.left or other.left


def of_user(connection: sqlite3.Connection, user_id: str) -> set[str]:
    """Return the user's interviews."""
    found = connection.execute("SELECT DISTINCT interview_id FROM interview WHERE user_id = ?", (user_id,))
    return {str(name) for (name,) in found}


def ids(connection: sqlite3.Connection) -> set[str]:
    """Return every interview's id, and every user's."""
    query = "SELECT interview_id FROM interview UNION SELECT user_id FROM interview"
    return {str(name) for (name,) in connection.execute(query)}


def standing(connection: sqlite3.Connection, names: Collection[str]) -> Iterator[Standing]:
    """Yield each of these interviews that the database holds anything of."""
    for name in sorted(names):
        owed = reader.owed(connection, of=name, report=_passed_over)
        sessions = reader.sessions(connection, name, _passed_over)
        due = [
            key
            for table in writes.DUE_TABLES.values()
            for key in connection.execute(f"SELECT key FROM {table}").fetchall()
        ]
        if sessions or owed or _passages(connection, name):
            yield Standing(
                interview=name,
                live=any(it.phase is Phase.LIVE for it in sessions),
                owed=sum(it.state in {DeliveryState.PENDING, DeliveryState.DEAD} for it in owed),
                due=any((it.key,) in due for it in owed),
                delivered=sorted({it.delivery.kind.value for it in owed if it.state is DeliveryState.DONE}),
            )


def check(found: Standing, *, also_undelivered: bool) -> None:
    """Raise NotForgotten where the interview must not be forgotten yet."""
    name = found.interview
    if found.live:
        raise NotForgotten(
            f"interview {name!r} is live: end it first (`preppald end {name}`; where its instance does not run, start "
            "that). Nothing was forgotten"
        )
    if (found.owed or found.due) and not also_undelivered:
        what = f"{found.owed} deliveries" if found.owed else "feedback or a check that is still to be written"
        raise NotForgotten(
            f"the backend is still owed {what} of interview {name!r} (`preppald outbox list`): wait for it, or give the "
            "command with --also-undelivered, and the backend never gets it. Nothing was forgotten"
        )


def needles(connection: sqlite3.Connection, names: Collection[str]) -> set[bytes]:
    """Return the candidate's longest texts, as they stand in a file: the interviewer says some to everybody."""
    found: set[str] = set()
    for name in names:
        for interview in reader.sessions(connection, name, _passed_over):
            for it in reader.fragments(connection, name, interview.epoch, report=_passed_over):
                if it.speaker is Speaker.USER:
                    found.update(part.strip() for part in _PLAIN.findall(it.text))
    longest = sorted(found, key=len, reverse=True)[:NEEDLES]
    return {text for it in longest if len(text := it.encode()) >= NEEDLE_BYTES}


def forget(
    connection: sqlite3.Connection,
    names: Collection[str],
    *,
    also_undelivered: bool,
    now_ms: Callable[[], int],
    earlier: Sequence[Path] = (),
) -> Removed:
    """Remove every row of these interviews, and every trace of those in the file; in ``earlier`` files, too.

    Raises:
        NotForgotten: one of them is live or owed; then nothing was removed.
    """
    removed = _delete(connection, names, also_undelivered=also_undelivered, now_ms=now_ms)
    removed.left = _scrub(connection)
    for file in earlier:
        removed.add(forget_in(file, names, also_undelivered=also_undelivered, now_ms=now_ms))
    return removed


def _delete(
    connection: sqlite3.Connection,
    names: Collection[str],
    *,
    also_undelivered: bool,
    now_ms: Callable[[], int],
) -> Removed:
    _settle(connection, now_ms)
    removed, chosen = Removed(), (_json(names),)
    ours = "interview_id IN (SELECT value FROM json_each(?))"
    with writes.transaction(connection):
        for found in standing(connection, names):
            check(found, also_undelivered=also_undelivered)
        for table in writes.DUE_TABLES.values():
            connection.execute(
                f"DELETE FROM {table} WHERE key IN (SELECT key FROM outbox WHERE {ours})", chosen
            )
        counts = {
            table: connection.execute(f"DELETE FROM {table} WHERE {ours}", chosen).rowcount
            for table in _tables(connection)
        }
        # A parcel is of many interviews; those that go on are sent anew.
        spool.empty(connection)
        removed.passages, removed.deliveries = counts["passage"], counts["outbox"]
        removed.interviews = counts["interview"]
        removed.damaged = counts["damaged"] + _empty_shared(connection, names)
        (removed.nameless,) = connection.execute(
            "SELECT count(*) FROM damaged WHERE interview_id IS NULL AND length(stored) > 0"
        ).fetchone()
    return removed


def _tables(connection: sqlite3.Connection) -> list[str]:
    """Return every table with rows of interviews, of whatever version it came."""
    found = connection.execute(
        """
        SELECT name FROM sqlite_master WHERE type = 'table'
          AND EXISTS (SELECT 1 FROM pragma_table_info(sqlite_master.name) WHERE name = 'interview_id')
        """
    )
    return [table for (table,) in found]


def _settle(connection: sqlite3.Connection, now_ms: Callable[[], int]) -> None:
    """Give each interview passages of its own: a row of the table recent is of several."""
    damaged: list[rows.Unreadable] = []
    for bucket in reader.unsettled(connection):
        while writes.settle(connection, bucket, report=damaged.append):
            pass
    for error in damaged:
        mending.set_aside(connection, error, now_ms)


def _empty_shared(connection: sqlite3.Connection, names: Collection[str]) -> int:
    """Empty damaged rows that name one of these and stand for another interview, which still has a hole there."""
    emptied = 0
    for name in names:
        emptied += connection.execute(
            "UPDATE damaged SET stored = x'' WHERE instr(stored, ?) > 0", (name.encode(),)
        ).rowcount
    return emptied


def _scrub(connection: sqlite3.Connection) -> str | None:
    """Write the file anew, without what was deleted, and empty its -wal; return in words why that failed."""
    try:
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("VACUUM")
        connection.execute(f"PRAGMA busy_timeout = {round(READERS_SECONDS * 1000)}")
        (busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        connection.execute(f"PRAGMA busy_timeout = {round(files.BUSY_SECONDS * 1000)}")
        if not busy:
            return None
    except sqlite3.Error as error:
        return f"the rows are removed, but the file could not be written anew ({error}): make room, and repeat the command"
    return (
        "the rows are removed, but another program reads the file, which could not be cut: repeat the command"
    )


def forget_in(
    file: Path, names: Collection[str], *, also_undelivered: bool, now_ms: Callable[[], int]
) -> Removed:
    """Remove every row of these interviews from a database that no daemon has.

    Raises:
        NotForgotten: one of them is live or owed.
        JournalError: the file cannot be read or written.
    """
    try:
        with closing(files.writable(file)) as connection:
            if schema.version(connection) == 0:
                return Removed()
            schema.migrate(connection)
            return forget(connection, names, also_undelivered=also_undelivered, now_ms=now_ms)
    except sqlite3.Error as error:
        raise JournalError(
            f"{file} cannot be written ({error}): start its daemon once, which mends it, and repeat the command"
        ) from error


def _passages(connection: sqlite3.Connection, name: str) -> bool:
    for table in ("passage", "damaged"):
        if connection.execute(f"SELECT 1 FROM {table} WHERE interview_id = ? LIMIT 1", (name,)).fetchone():
            return True
    return False


def _json(names: Collection[str]) -> str:
    return json.dumps(sorted(names))


def _passed_over(_error: rows.Unreadable) -> None:
    """Pass over a damaged row: it is removed by the interview that it names."""
