"""Brings in sessions that another host had, and lets go of those that another one has: each in one transaction.

A session is an interview, or one block of it. The rows come from the journal that hosts share, as they are stored.

Rule 1: a session is here whole or not at all: what was there of it before is gone.
Rule 2: what is let go of leaves no row behind: a start of the process would run it again, and the outbox post for it.
"""
# ruff: noqa: S608 - what is put into the statements' text are names of tables and columns; values are bound.

from collections.abc import Collection, Sequence
import contextlib
from dataclasses import dataclass
import sqlite3

from preppald.core.deliveries import Work
from preppald.core.interview import Interview, Phase
from preppald.journal import reader, rows, spool, writes
from preppald.journal.rows import Row

# As in adoption: the interview's own row last.
TABLES = ("passage", "outbox", "damaged", "quality", "trace", "interview")
_MINE = "interview_id = ? AND block = ?"


@dataclass(frozen=True, slots=True)
class Brought:
    """All of a session: rows of rows.py's columns. ``claims``: how often it changed hands.

    ``due``: keys of the deliveries on which feedback is due.
    """

    interview: Row
    passages: Sequence[Row]
    owed: Sequence[Row]
    due: Collection[str]
    claims: int

    @property
    def session(self) -> tuple[str, int]:
        return self.interview[0], self.interview[1]


def bring(
    connection: sqlite3.Connection, found: Sequence[Brought], report: rows.Report = rows.raised
) -> list[Interview]:
    """Take sessions in, in the place of whatever was here of them; return the live interviews."""
    _settle(connection, report)
    with writes.transaction(connection):
        for it in found:
            _forget(connection, it.session)
            connection.execute(writes.ADD_INTERVIEW, it.interview)
            connection.executemany(writes.PUT_PASSAGE, it.passages)
            for row in it.owed:
                with contextlib.suppress(rows.Unreadable):
                    writes.put_owed(connection, row)
            connection.executemany(writes.PUT_DUE[Work.FEEDBACK], [(key,) for key in it.due])
            spool.note_claims(connection, it.session, it.claims)
    live = rows.readable((it.interview for it in found), rows.interview, report)
    return [it for it in live if it.phase is Phase.LIVE]


def let_go(
    connection: sqlite3.Connection,
    sessions: Collection[tuple[str, int]],
    report: rows.Report = rows.raised,
) -> None:
    """Remove every row of these sessions."""
    _settle(connection, report)
    with writes.transaction(connection):
        for session in sessions:
            _forget(connection, session)


def left_whole(connection: sqlite3.Connection, sessions: Collection[tuple[str, int]]) -> set[str]:
    """Return the interviews of which nothing will be here without these sessions."""
    names = {name for name, _ in sessions}
    return {
        name
        for name in names
        if all((name, block) in sessions for (block,) in _blocks(connection, name).fetchall())
    }


def _blocks(connection: sqlite3.Connection, name: str) -> sqlite3.Cursor:
    return connection.execute("SELECT block FROM interview WHERE interview_id = ?", (name,))


def _settle(connection: sqlite3.Connection, report: rows.Report) -> None:
    """Move everything out of the table recent, of which a row has fragments of many interviews."""
    for bucket in reader.unsettled(connection):
        while writes.settle(connection, bucket, report=report):
            pass


def _forget(connection: sqlite3.Connection, session: tuple[str, int]) -> None:
    for table in writes.DUE_TABLES.values():
        connection.execute(
            f"DELETE FROM {table} WHERE key IN (SELECT key FROM outbox WHERE {_MINE})", session
        )
    for table in TABLES:
        connection.execute(f"DELETE FROM {table} WHERE {_MINE}", session)
    spool.forget_claims(connection, session)
