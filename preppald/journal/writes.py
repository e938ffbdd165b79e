"""Changes to a journal's database: plain functions of a connection, each one transaction."""
# ruff: noqa: S608 - what is put into the statements' text are names of tables and columns; values are bound.

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
import sqlite3

from preppald.journal import packing, reader
from preppald.journal.pending import Batch

PUT_INTERVIEW = f"""
INSERT INTO interview ({reader.INTERVIEW_COLUMNS})
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (interview_id) DO UPDATE SET
  user_id = excluded.user_id, epoch = excluded.epoch, token_digest = excluded.token_digest,
  model = excluded.model, started_ms = excluded.started_ms, deadline_ms = excluded.deadline_ms,
  phase = excluded.phase, handle = excluded.handle, usage = excluded.usage,
  credited_ms = excluded.credited_ms, ended_ms = excluded.ended_ms, ending = excluded.ending,
  cause = excluded.cause
WHERE excluded.epoch >= interview.epoch
"""
# What another instance had: what is known here stays.
ADD_INTERVIEW = f"""
INSERT INTO interview ({reader.INTERVIEW_COLUMNS})
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING
"""
PUT_RECENT = "INSERT INTO recent (bucket, fragments) VALUES (?, ?)"
PUT_PASSAGE = f"INSERT INTO passage ({reader.PASSAGE_COLUMNS}) VALUES (?, ?, ?, ?)"
# A delivery that is made a second time changes nothing, however the first one fared: only a try does. What
# is settled stays settled, whoever settled it; only an acknowledgement outranks an operator's drop.
PUT_OWED = f"""
INSERT INTO outbox ({reader.OWED_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET
  state = excluded.state, attempts = excluded.attempts, next_ms = excluded.next_ms,
  last_status = excluded.last_status, last_error = excluded.last_error, acked_ms = excluded.acked_ms
WHERE excluded.attempts > outbox.attempts
  AND (outbox.state = 'pending' OR excluded.state = 'done' AND outbox.state <> 'done')
  OR excluded.attempts = outbox.attempts AND excluded.state = 'pending' AND outbox.state = 'dead'
"""
PUT_DUE = "INSERT INTO feedback_due (key) VALUES (?) ON CONFLICT DO NOTHING"
DELETE_DUE = "DELETE FROM feedback_due WHERE key = ?"

# Deletes of one sweep: a few milliseconds each, so that no commit waits behind them.
SWEEP_INTERVIEWS = 20
# Rows of the table recent that are settled in one transaction: those of ten seconds.
SETTLE_ROWS = 256


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing. The connection commits by itself otherwise (``isolation_level=None``)."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has rolled back by itself after some errors (disk full); a second time would raise.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def commit(connection: sqlite3.Connection, batch: Batch) -> None:
    """The whole batch in one transaction; durable when this returns."""
    with transaction(connection):
        connection.executemany(PUT_INTERVIEW, map(reader.interview_row, batch.interviews.values()))
        connection.executemany(PUT_RECENT, packing.rows(batch.fragments))
        connection.executemany(PUT_OWED, map(reader.owed_row, batch.owed.values()))
        for key, due in batch.due.items():
            connection.execute(PUT_DUE if due else DELETE_DUE, (key,))


def settle(connection: sqlite3.Connection, bucket: int, limit: int = SETTLE_ROWS) -> bool:
    """Moves fragments from the table recent to where an interview's are together; whether there may be more."""
    query = "SELECT number, fragments FROM recent WHERE bucket = ? ORDER BY number LIMIT ?"
    rows = connection.execute(query, (bucket, limit)).fetchall()
    if rows:
        with transaction(connection):
            connection.executemany(PUT_PASSAGE, packing.passages(fragments for _, fragments in rows))
            last, _ = rows[-1]
            connection.execute("DELETE FROM recent WHERE bucket = ? AND number <= ?", (bucket, last))
    return len(rows) == limit


def carry_over(source: sqlite3.Connection, file: str, target: sqlite3.Connection) -> int:
    """Takes what is unfinished in an earlier file into the present one; how many rows came.

    Unfinished: live interviews with their fragments, deliveries that are pending or dead, and transcripts on which
    feedback is due. What the present file already knows is newer and stays. That ``file`` was carried over is in the
    same transaction: a row that is delivered and swept later can never come back from the earlier file.
    """
    known = target.execute("SELECT 1 FROM carried WHERE file = ?", (file,)).fetchone()
    if known is not None:
        return 0
    before = target.total_changes
    with transaction(target):
        of_live_ones = "interview_id IN (SELECT interview_id FROM interview WHERE phase = 'live')"
        for columns, table, unfinished in (
            (reader.INTERVIEW_COLUMNS, "interview", "phase = 'live'"),
            (reader.PASSAGE_COLUMNS, "passage", of_live_ones),
            ("key", "feedback_due", "true"),
            (
                reader.OWED_COLUMNS,
                "outbox",
                "state IN ('pending', 'dead') OR key IN (SELECT key FROM feedback_due)",
            ),
        ):
            marks = ", ".join("?" * len(columns.split(",")))
            target.executemany(
                f"INSERT INTO {table} ({columns}) VALUES ({marks}) ON CONFLICT DO NOTHING",
                source.execute(f"SELECT {columns} FROM {table} WHERE {unfinished}"),
            )
        live = {
            interview_id
            for (interview_id,) in source.execute("SELECT interview_id FROM interview WHERE phase = 'live'")
        }
        recent = source.execute("SELECT fragments FROM recent ORDER BY number")
        unsettled = packing.passages(fragments for (fragments,) in recent)
        target.executemany(PUT_PASSAGE, (row for row in unsettled if row[0] in live))
        carried = target.total_changes - before
        target.execute("INSERT INTO carried (file) VALUES (?)", (file,))
    return carried


def sweep(connection: sqlite3.Connection, before_ms: int, limit: int = SWEEP_INTERVIEWS) -> int:
    """Forgets ended interviews whose last delivery was settled before ``before_ms``; how many.

    An interview that owes anything, or whose delivery is dead, is never touched. One that never had a
    delivery goes by its end.
    """
    with transaction(connection):
        rows = connection.execute(
            """
            SELECT interview_id FROM interview
            WHERE phase = 'ended' AND ended_ms < :before
              AND NOT EXISTS (
                SELECT 1 FROM outbox
                WHERE outbox.interview_id = interview.interview_id
                  AND (state IN ('pending', 'dead') OR acked_ms >= :before))
            ORDER BY ended_ms LIMIT :limit
            """,
            {"before": before_ms, "limit": limit},
        ).fetchall()
        for table in ("passage", "outbox", "interview"):
            connection.executemany(f"DELETE FROM {table} WHERE interview_id = ?", rows)
        connection.execute("DELETE FROM feedback_due WHERE key NOT IN (SELECT key FROM outbox)")
    return len(rows)


def retry(connection: sqlite3.Connection, keys: Iterable[str]) -> int:
    """Makes dead and waiting deliveries due now; how many there were.

    Not a status that was overtaken: it would set the interview back, from completed to in progress.
    """
    with transaction(connection):
        changed = connection.executemany(
            """
            UPDATE outbox SET state = 'pending', next_ms = 0
            WHERE key = ? AND state IN ('dead', 'pending')
              AND NOT (kind = 'status' AND EXISTS (
                SELECT 1 FROM outbox AS later
                WHERE later.interview_id = outbox.interview_id
                  AND later.number > outbox.number AND later.state = 'done'))
            """,
            [(key,) for key in keys],
        )
    return changed.rowcount


def drop(connection: sqlite3.Connection, keys: Iterable[str], now_ms: int) -> int:
    """Gives up deliveries that are pending or dead; how many there were."""
    with transaction(connection):
        changed = connection.executemany(
            "UPDATE outbox SET state = 'dropped', acked_ms = ? WHERE key = ? AND state IN ('dead', 'pending')",
            [(now_ms, key) for key in keys],
        )
    return changed.rowcount
