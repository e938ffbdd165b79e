"""The spool: each commit as a parcel once more, until a journal that several hosts share has it, and some minutes longer.

Its tables are made only where a shared journal is set, and are no part of schema.py: a host alone has none of them, and
they may be lost: everything unfinished is then sent anew.

    shared_parcel  parcels by number, in the transaction of the commit whose rows they hold
    shared_life    what this file is in the shared journal: a name and a number a row
    shared_kin     incarnations of other instances of this state directory, whose interviews came here
    shared_claims  how often a session here changed hands, where it did: each post to the backend says so

Rule 1: numbers grow and are never reused: not after a settle, a kill, or a commit that failed. So each start of a process
        takes a range of its own, in a transaction, before it numbers anything.
Rule 2: as long as ``WHOLE`` is not 1, the shared journal may lack anything that is in the tables.
"""

from collections.abc import Sequence
from dataclasses import dataclass
import sqlite3

import msgspec

from preppald.journal import adoption, packing, parcel, reader, rows, writes
from preppald.journal.parcel import NUMBERS_A_START, Parcel
from preppald.journal.rows import Row

TABLES = """
CREATE TABLE IF NOT EXISTS shared_parcel (
  number INTEGER PRIMARY KEY, parcel BLOB NOT NULL, checksum INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS shared_life (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shared_kin (incarnation INTEGER PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS shared_claims (
  interview_id TEXT, block INTEGER, claims INTEGER NOT NULL, PRIMARY KEY (interview_id, block)) STRICT, WITHOUT ROWID;
"""
# Names in the table shared_life: how often a process has begun here; the id in the shared journal; up to which number the
# shared journal has settled; 1 where it has everything unfinished that is older than the spool; and the last number of
# a spool that was given up.
STARTS, INCARNATION, SETTLED, WHOLE, LAST = "starts", "incarnation", "settled", "whole", "last"
_PUT = "INSERT INTO shared_life (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
# An hour of five hundred talks, a day of twenty: then everything unfinished is sent anew instead.
MAX_BYTES = 1024 * 1024 * 1024
# Of the table recent that hold unsettled fragments of one interview.
_RECENT = f"SELECT {rows.RECENT_COLUMNS} FROM recent WHERE bucket = ? ORDER BY number"  # noqa: S608 - names of columns


@dataclass(frozen=True, slots=True)
class Life:
    """The file's life in the shared journal. ``first``: the first number of this start of the process."""

    first: int
    incarnation: int
    settled: int
    whole: bool
    kin: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Everything of a few interviews, as rows of rows.py's columns; fragments are all in ``passages``."""

    interviews: list[Row]
    passages: list[Row]
    owed: list[Row]
    due: dict[str, bool]


def prepare(connection: sqlite3.Connection, *, first: int = 0) -> int:
    """Make the tables; return the first number of this start, which no parcel ever had.

    ``first``: of a start that goes on in this file, for the one before it failed.
    """
    connection.executescript(TABLES)
    with writes.transaction(connection):
        starts = max(_value(connection, STARTS) + 1, first // NUMBERS_A_START)
        connection.execute(_PUT, (STARTS, starts))
    return starts * NUMBERS_A_START


def life(connection: sqlite3.Connection) -> Life:
    """Return what the file knows. One without the tables has had none."""
    if not is_prepared(connection):
        return Life(0, 0, 0, whole=False, kin=())
    kin = connection.execute("SELECT incarnation FROM shared_kin ORDER BY incarnation").fetchall()
    return Life(
        _value(connection, STARTS) * NUMBERS_A_START,
        _value(connection, INCARNATION),
        _value(connection, SETTLED),
        _value(connection, WHOLE) == 1,
        tuple(it for (it,) in kin),
    )


def joined(connection: sqlite3.Connection, incarnation: int) -> None:
    """Note that the file has this incarnation from now on, of which the shared journal has nothing yet.

    The parcels of before go: everything unfinished is sent as it stands in the tables.
    """
    with writes.transaction(connection):
        empty(connection)
        connection.executemany(_PUT, [(INCARNATION, incarnation), (SETTLED, 0), (WHOLE, 0)])


def note_whole(connection: sqlite3.Connection, *, whole: bool) -> None:
    """Note that the shared journal has everything unfinished but what is in the spool; or that it may not."""
    connection.execute(_PUT, (WHOLE, int(whole)))


def add_kin(connection: sqlite3.Connection, of: sqlite3.Connection) -> None:
    """Note that interviews of another file came here: its incarnation, and those that it had taken over itself."""
    its = life(of)
    found = [(it,) for it in (its.incarnation, *its.kin) if it]
    connection.executemany("INSERT INTO shared_kin (incarnation) VALUES (?) ON CONFLICT DO NOTHING", found)
    if is_prepared(of):
        for (name, block), count in claims(of).items():
            note_claims(connection, (name, block), count)


def claims(connection: sqlite3.Connection) -> dict[tuple[str, int], int]:
    """Return how often sessions changed hands; those that never did are not there."""
    found = connection.execute("SELECT interview_id, block, claims FROM shared_claims").fetchall()
    return {(name, block): count for name, block, count in found}


def note_claims(connection: sqlite3.Connection, session: tuple[str, int], count: int) -> None:
    """Note how often a session changed hands."""
    connection.execute("INSERT OR REPLACE INTO shared_claims VALUES (?, ?, ?)", (*session, count))


def forget_claims(connection: sqlite3.Connection, session: tuple[str, int]) -> None:
    """Forget how often a session changed hands."""
    connection.execute("DELETE FROM shared_claims WHERE interview_id = ? AND block = ?", session)


def after(connection: sqlite3.Connection, number: int, before: int, limit: int) -> list[Parcel]:
    """Return parcels with a number above ``number`` and below ``before``, at most ``limit``, in their order.

    A damaged one is left out, and the shared journal noted as not whole.
    """
    found = connection.execute(
        "SELECT number, parcel, checksum FROM shared_parcel WHERE number > ? AND number < ? ORDER BY number LIMIT ?",
        (number, before, limit),
    ).fetchall()
    parcels = []
    for its_number, data, noted in found:
        try:
            if rows.checksum(its_number, data) != noted:
                raise msgspec.DecodeError
            parcels.append(parcel.decoded(data))
        except (msgspec.MsgspecError, TypeError, UnicodeError):
            note_whole(connection, whole=False)
            # It keeps its place: without it the reader would take its turn for the end.
            parcels.append(Parcel(number=its_number))
    return parcels


def last(connection: sqlite3.Connection) -> int:
    """Return the number of the last commit, 0 where there was none: all rows up to it are in the tables."""
    (number,) = connection.execute("SELECT coalesce(max(number), 0) FROM shared_parcel").fetchone()
    return max(int(number), _value(connection, LAST), _value(connection, SETTLED))


def weight(connection: sqlite3.Connection, number: int) -> int:
    """Return the bytes of the parcels above a number."""
    (size,) = connection.execute(
        "SELECT coalesce(sum(length(parcel)), 0) FROM shared_parcel WHERE number > ?", (number,)
    ).fetchone()
    return int(size)


def forget(connection: sqlite3.Connection, upto: int) -> None:
    """Forget parcels up to a number, which the shared journal has settled."""
    with writes.transaction(connection):
        connection.execute("DELETE FROM shared_parcel WHERE number <= ?", (upto,))
        connection.execute(_PUT, (SETTLED, upto))


def clear(connection: sqlite3.Connection) -> None:
    """Give the spool up: it has become too large. Everything unfinished is sent anew."""
    with writes.transaction(connection):
        empty(connection)


def empty(connection: sqlite3.Connection) -> None:
    """Give the spool up within a transaction; nothing happens where there is none."""
    if is_prepared(connection):
        connection.executemany(_PUT, [(LAST, last(connection)), (WHOLE, 0)])
        connection.execute("DELETE FROM shared_parcel")


def unfinished(connection: sqlite3.Connection) -> list[str]:
    """Return the interviews that are live or owe anything."""
    return [name for (name,) in connection.execute(adoption.UNFINISHED).fetchall()]


def whole(connection: sqlite3.Connection, names: Sequence[str]) -> Unfinished:
    """Return everything of these interviews. Rows that cannot be read are left out: they are reported elsewhere."""
    found = Unfinished([], [], [], {})
    for name in names:
        sessions = reader.sessions(connection, name, _passed_over)
        found.interviews.extend(rows.interview_row(it) for it in sessions)
        query = f"SELECT {rows.PASSAGE_COLUMNS} FROM passage WHERE interview_id = ? ORDER BY number"  # noqa: S608
        found.passages.extend(rows.readable(connection.execute(query, (name,)), _resealed, _passed_over))
        recent = connection.execute(_RECENT, (packing.bucket(name),)).fetchall()
        said = [it for own in rows.readable(recent, rows.recent, _passed_over) for it in own]
        mine = packing.passages(it for it in said if it.interview_id == name)
        found.passages.extend(map(rows.sealed, mine))
        owed = reader.owed(connection, name, _passed_over)
        found.owed.extend(rows.owed_row(it) for it in owed)
        due = connection.execute(
            "SELECT key FROM feedback_due WHERE key IN (SELECT key FROM outbox WHERE interview_id = ?)",
            (name,),
        )
        found.due.update((key, True) for (key,) in due)
    return found


def _resealed(row: Row) -> Row:
    """Return a passage's row with its checksum: those from before there were checksums have none."""
    return rows.sealed(rows.opened("passage", row, old=True))


def _passed_over(_error: rows.Unreadable) -> None:
    pass


def is_prepared(connection: sqlite3.Connection) -> bool:
    """Return whether the tables are there."""
    return connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'shared_life'").fetchone() is not None


def _value(connection: sqlite3.Connection, name: str) -> int:
    found = connection.execute("SELECT value FROM shared_life WHERE name = ?", (name,)).fetchone()
    return 0 if found is None else int(found[0])
