"""Moves unfinished interviews from an instance that stopped to one that runs: whole ones, in short transactions.

Unfinished is an interview that is live, that owes the backend something or a collector its trace, or on which work is
due. With all its rows it moves from the database of the one that stopped (the source) to that of the one that runs
(the target), in three transactions:

1. source: these interviews are leaving, by a name that this transfer has;
2. target: their rows, and that this transfer has arrived;
3. source: their rows are gone.

Rule 1: only the holder of the source's lock moves anything out of it, or ends a transfer that was begun.
Rule 2: an interrupted transfer counts as done if the target recorded its arrival, otherwise as never begun.
"""
# ruff: noqa: S608 - what is put into the statements' text are names of tables and columns; values are bound.

from collections.abc import Callable
import contextlib
import sqlite3

from preppald.core.interview import Interview, Phase
from preppald.journal import reader, rows, writes

# An hour's talk has some thousand fragments: a step takes about 50 ms, and no commit of the target's waits longer.
STEP_INTERVIEWS = 5

UNFINISHED = """
SELECT interview_id FROM interview WHERE phase = 'live'
UNION SELECT interview_id FROM outbox WHERE state IN ('pending', 'dead') OR key IN (SELECT key FROM feedback_due)
  OR key IN (SELECT key FROM verification_due)
UNION SELECT interview_id FROM trace
"""
OF_TRANSFER = "interview_id IN (SELECT interview_id FROM leaving WHERE transfer = ?)"
TABLES = ("passage", "outbox", "damaged", "quality", "trace", "interview")


def owes(source: sqlite3.Connection) -> bool:
    """Return whether anything in this database is unfinished."""
    return source.execute(f"SELECT 1 FROM ({UNFINISHED}) LIMIT 1").fetchone() is not None


def has_arrived(target: sqlite3.Connection, transfer: str) -> bool:
    return target.execute("SELECT 1 FROM arrived WHERE transfer = ?", (transfer,)).fetchone() is not None


def step(
    source: sqlite3.Connection, target: sqlite3.Connection, live: list[Interview], report: rows.Report
) -> int:
    """Move a few interviews; return how many, 0 when nothing is unfinished any more.

    ``live``: those that are live are added to it as soon as they have arrived, whatever fails then.
    """
    # A row of the table recent has fragments of many interviews; a passage has those of one.
    for bucket in reader.unsettled(source):
        while writes.settle(source, bucket, report=report):
            pass
    transfer = _leave(source)
    if transfer is None:
        return 0
    with writes.transaction(source):  # an operator's command waits: its change must not be left behind
        live += _arrive(source, target, transfer, report)
        count = _forget(source, transfer)
    target.execute("DELETE FROM arrived WHERE transfer = ?", (transfer,))
    return count


def mend(source: sqlite3.Connection, arrived: Callable[[str], bool]) -> None:
    """End interrupted transfers. ``arrived``: returns whether any other database recorded the arrival."""
    for (transfer,) in source.execute("SELECT DISTINCT transfer FROM leaving").fetchall():
        with writes.transaction(source):
            if arrived(transfer):
                _forget(source, transfer)
            else:
                source.execute("DELETE FROM leaving WHERE transfer = ?", (transfer,))


def _leave(source: sqlite3.Connection) -> str | None:
    """Mark interviews as leaving; return the transfer's name, None when there are none."""
    with writes.transaction(source):
        (transfer,) = source.execute("SELECT lower(hex(randomblob(16)))").fetchone()
        found = source.execute(f"{UNFINISHED} LIMIT {STEP_INTERVIEWS}").fetchall()
        source.executemany(
            "INSERT INTO leaving (interview_id, transfer) VALUES (?, ?)",
            [(name, transfer) for (name,) in found],
        )
    return transfer if found else None


def _arrive(
    source: sqlite3.Connection, target: sqlite3.Connection, transfer: str, report: rows.Report
) -> list[Interview]:
    """Put the rows into the target, where the newer of two is kept; return the live interviews."""

    def copied(columns: str, origin: str, order: str) -> sqlite3.Cursor:
        return source.execute(
            f"SELECT {columns} FROM {origin} WHERE {OF_TRANSFER} ORDER BY {order}", (transfer,)
        )

    moved = reader.interviews_of(source, OF_TRANSFER, transfer, report=report)
    with writes.transaction(target):
        # The interview began here before, ended without a word, and began again there.
        target.executemany(
            "DELETE FROM interview WHERE interview_id = ? AND block = ? AND epoch < ?",
            [(it.interview_id, it.block, it.epoch) for it in moved],
        )
        target.executemany(writes.ADD_INTERVIEW, map(rows.interview_row, moved))
        # As they are stored, with their checksums: what is damaged is found by the one that reads it.
        target.executemany(writes.PUT_PASSAGE, copied(rows.PASSAGE_COLUMNS, "passage", "number"))
        target.executemany(writes.PUT_DAMAGED, copied(writes.DAMAGED_COLUMNS, "damaged", "number"))
        for row in copied(rows.OWED_COLUMNS, "outbox", "number"):
            with contextlib.suppress(rows.Unreadable):
                writes.put_owed(target, row)
        target.executemany(writes.PUT_QUALITY, copied(rows.QUALITY_COLUMNS, "quality", "number"))
        owned = f"SELECT key FROM outbox WHERE {OF_TRANSFER}"
        for work, table in writes.DUE_TABLES.items():
            due = source.execute(f"SELECT key FROM {table} WHERE key IN ({owned})", (transfer,))
            target.executemany(writes.PUT_DUE[work], due)
        target.executemany(writes.PUT_SPANS, copied(rows.TRACE_COLUMNS, "trace", "number"))
        target.execute("INSERT INTO arrived (transfer) VALUES (?)", (transfer,))
    return [
        it
        for it in moved
        if it.phase is Phase.LIVE and reader.interview(target, it.interview_id, report) == it
    ]


def _forget(source: sqlite3.Connection, transfer: str) -> int:
    owned = f"SELECT key FROM outbox WHERE {OF_TRANSFER}"
    for table in writes.DUE_TABLES.values():
        source.execute(f"DELETE FROM {table} WHERE key IN ({owned})", (transfer,))
    for table in TABLES:
        source.execute(f"DELETE FROM {table} WHERE {OF_TRANSFER}", (transfer,))
    return source.execute("DELETE FROM leaving WHERE transfer = ?", (transfer,)).rowcount
