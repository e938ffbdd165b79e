"""Changes a journal's database: plain functions of a connection, each one transaction."""
# ruff: noqa: S608 - what is put into the statements' text are names of tables and columns; values are bound.

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
import re
import sqlite3

from preppald.core.deliveries import DeliveryState, OutboxEntry, Work
from preppald.core.interview import Phase
from preppald.journal import packing, parcel, reader, rows
from preppald.journal.parcel import Parcel
from preppald.journal.pending import Batch


def _insert(table: str) -> str:
    columns = rows.COLUMNS[table]
    return f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' * len(columns.split(',')))})"


PUT_INTERVIEW = f"""
{_insert("interview")}
ON CONFLICT (interview_id, block) DO UPDATE SET
  user_id = excluded.user_id, epoch = excluded.epoch, token_digest = excluded.token_digest,
  model = excluded.model, started_ms = excluded.started_ms, deadline_ms = excluded.deadline_ms,
  phase = excluded.phase, handle = excluded.handle, usage = excluded.usage,
  credited_ms = excluded.credited_ms, ended_ms = excluded.ended_ms, ending = excluded.ending,
  cause = excluded.cause, context = excluded.context, seq_floor = excluded.seq_floor, checksum = excluded.checksum
WHERE excluded.epoch >= interview.epoch
"""
# For another instance's rows: rows that are known here stay.
ADD_INTERVIEW = f"{_insert('interview')} ON CONFLICT DO NOTHING"
PUT_RECENT = _insert("recent")
PUT_PASSAGE = _insert("passage")
ADD_OWED = f"{_insert('outbox')} ON CONFLICT (key) DO NOTHING"
CHANGE_OWED = """
UPDATE outbox SET
  interview_id = ?, block = ?, kind = ?, payload = ?, created_ms = ?, state = ?, attempts = ?, next_ms = ?,
  last_status = ?, last_error = ?, acked_ms = ?, checksum = ?
WHERE key = ?
"""
DAMAGED_COLUMNS = "origin, interview_id, block, epoch, last_seq, key, why, found_ms, stored"
PUT_DAMAGED = f"INSERT INTO damaged ({DAMAGED_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
PUT_QUALITY = _insert("quality").replace("INSERT", "INSERT OR REPLACE", 1)
PUT_SPANS = f"INSERT INTO trace ({rows.TRACE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"
# Of spool.py.
PUT_PARCEL = "INSERT INTO shared_parcel (number, parcel, checksum) VALUES (?, ?, ?)"
DUE_TABLES = {work: f"{work.value}_due" for work in Work}
PUT_DUE = {
    work: f"INSERT INTO {table} (key) VALUES (?) ON CONFLICT DO NOTHING" for work, table in DUE_TABLES.items()
}
DELETE_DUE = {work: f"DELETE FROM {table} WHERE key = ?" for work, table in DUE_TABLES.items()}

# Rows of the table recent that are settled in one transaction: those of ten seconds.
SETTLE_ROWS = 256


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block as one transaction. The connection commits by itself otherwise (``isolation_level=None``)."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has rolled back by itself after some errors (disk full); a second time would raise.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def commit(connection: sqlite3.Connection, batch: Batch, ready: Parcel | None = None) -> None:
    """Write the whole batch in one transaction; durable when this returns.

    ``ready``: those of its rows that another journal gets, too; they are kept as the parcel that they are.
    """
    it = parcel.parcel(batch) if ready is None else ready
    with transaction(connection):
        connection.executemany(PUT_INTERVIEW, it.interviews)
        connection.executemany(PUT_RECENT, it.recent)
        for row in it.owed:
            put_owed(connection, row)
        connection.executemany(PUT_QUALITY, batch.quality_rows())
        for work in Work:
            for key, due in batch.due_of(work).items():
                connection.execute((PUT_DUE if due else DELETE_DUE)[work], (key,))
        connection.executemany(PUT_SPANS, batch.spans)
        if ready is not None:
            connection.execute(PUT_PARCEL, parcel.row(ready))


def sift(batch: Batch) -> list[str]:
    """Take out of a batch every record that cannot be made a row of; return in words which ones.

    It is a bug that made such a record; it must not keep all others from the disk.
    """
    found: list[str] = []

    def sound(what: str, make: Callable[[], object]) -> bool:
        try:
            make()
        except Exception as error:  # noqa: BLE001 - whatever it is
            found.append(f"{what} ({type(error).__name__})")
            return False
        return True

    batch.interviews = {
        name: it
        for name, it in batch.interviews.items()
        if sound(f"the row of interview {name}", partial(rows.interview_row, it))
    }
    batch.fragments = [
        it
        for it in batch.fragments
        if sound(
            f"a fragment of interview {it[0]}",
            lambda it=it: [rows.sealed(row) for row in packing.rows([it])],  # type: ignore[misc]
        )
    ]
    batch.quality = {
        (name, block): it
        for (name, block), it in batch.quality.items()
        if sound(f"the quality of interview {name}", partial(rows.quality_row, name, block, *it))
    }
    batch.owed = {
        key: it for key, it in batch.owed.items() if sound(f"delivery {key}", partial(rows.owed_row, it))
    }
    return found


def put_owed(connection: sqlite3.Connection, row: rows.Row) -> None:
    """Adds a delivery's row, or takes into the known row how the delivery fared since. Raises Unreadable."""
    if connection.execute(ADD_OWED, row).rowcount:
        return
    new = rows.owed(row)
    known = connection.execute(f"SELECT {rows.OWED_COLUMNS} FROM outbox WHERE key = ?", (new.key,)).fetchone()
    try:
        old = rows.owed(known)
    except rows.Unreadable:
        change_owed(connection, new)  # here is all of it
    else:
        if outranks(new, old):
            # A delivery is the one that was made first: it may have been posted.
            change_owed(connection, replace(new, delivery=old.delivery))


def change_owed(connection: sqlite3.Connection, owed: OutboxEntry) -> int:
    """Write a delivery over its row; return how many rows that were."""
    key, *values = rows.owed_row(owed)
    return connection.execute(CHANGE_OWED, (*values, key)).rowcount


def outranks(new: OutboxEntry, old: OutboxEntry) -> bool:
    """Return whether ``new`` takes the place of ``old``, which is on disk.

    A delivery that is made a second time changes nothing, however the first one fared: only a try does. A settled
    delivery stays settled; only an acknowledgement outranks an operator's drop. A dead letter may be owed again without
    a try.
    """
    if new.attempts > old.attempts:
        done = new.state is DeliveryState.DONE and old.state is not DeliveryState.DONE
        return done or old.state is DeliveryState.PENDING
    return (
        new.attempts == old.attempts
        and new.state is DeliveryState.PENDING
        and old.state is DeliveryState.DEAD
    )


def settle(
    connection: sqlite3.Connection,
    bucket: int,
    limit: int = SETTLE_ROWS,
    *,
    report: rows.Report = rows.raised,
) -> bool:
    """Move fragments from the table recent into passages; return whether there may be more."""
    query = f"SELECT number, {rows.RECENT_COLUMNS} FROM recent WHERE bucket = ? ORDER BY number LIMIT ?"
    found = connection.execute(query, (bucket, limit)).fetchall()
    if found:
        unreadable: list[rows.Unreadable] = []
        said = [
            it
            for own in rows.readable((row[1:] for row in found), rows.recent, unreadable.append)
            for it in own
        ]
        for error in unreadable:
            report(error)
        with transaction(connection):
            connection.executemany(PUT_PASSAGE, map(rows.sealed, packing.passages(said)))
            last = found[-1][0]
            connection.execute("DELETE FROM recent WHERE bucket = ? AND number <= ?", (bucket, last))
    return len(found) == limit


def carry_over(
    source: sqlite3.Connection, file: str, target: sqlite3.Connection, report: rows.Report = rows.raised
) -> int:
    """Take the unfinished rows of an earlier file into the present one; return how many.

    Unfinished: live interviews with their fragments and all their deliveries, deliveries that are pending or dead, and
    transcripts on which work is due. Of ended interviews only the row comes along, so that none begins again. Rows that
    the present file already knows are newer and stay. That ``file`` was carried over is in the same transaction: a row
    that is delivered and swept later can never come back from the earlier file.
    """
    if was_carried(target, file):
        return 0
    before = target.total_changes
    with transaction(target):
        known = reader.interviews_of(source, "TRUE", report=report)
        names = {it.interview_id for it in known if it.phase is Phase.LIVE}
        target.executemany(ADD_INTERVIEW, map(rows.interview_row, known))
        for columns, table, put in (
            (rows.PASSAGE_COLUMNS, "passage", PUT_PASSAGE),
            (DAMAGED_COLUMNS, "damaged", PUT_DAMAGED),
        ):
            query = f"SELECT {columns} FROM {table} WHERE interview_id = ? ORDER BY number"
            for name in names:
                target.executemany(put, source.execute(query, (name,)).fetchall())
        recent = source.execute(f"SELECT {rows.RECENT_COLUMNS} FROM recent ORDER BY number").fetchall()
        said = [it for own in rows.readable(recent, rows.recent, report) for it in own]
        unsettled = packing.passages(it for it in said if it.interview_id in names)
        target.executemany(PUT_PASSAGE, map(rows.sealed, unsettled))
        owed = source.execute(
            f"""
            SELECT {rows.OWED_COLUMNS} FROM outbox
            WHERE state IN ('pending', 'dead') OR key IN (SELECT key FROM feedback_due)
              OR key IN (SELECT key FROM verification_due)
              OR interview_id IN (SELECT interview_id FROM interview WHERE phase = 'live') ORDER BY number
            """
        ).fetchall()
        sound = [row for row in owed if _is_sound(row, report)]
        target.executemany(ADD_OWED, sound)
        for work, table in DUE_TABLES.items():
            target.executemany(PUT_DUE[work], source.execute(f"SELECT key FROM {table}").fetchall())
        target.executemany(
            PUT_SPANS, source.execute(f"SELECT {rows.TRACE_COLUMNS} FROM trace ORDER BY number")
        )
        carried = target.total_changes - before
        target.execute("INSERT INTO carried (file) VALUES (?)", (file,))
    return carried


def was_carried(target: sqlite3.Connection, file: str) -> bool:
    """Return whether an earlier file was carried over into this one."""
    return target.execute("SELECT 1 FROM carried WHERE file = ?", (file,)).fetchone() is not None


def put_salvaged(connection: sqlite3.Connection, table: str, number: int | None, row: rows.Row) -> int:
    """Add a row that was found in a damaged file, under its old number; return how many rows that were.

    Known rows stay, but for an interview's newer row and for a delivery that fared better.
    """
    if table == "interview":
        new = rows.interview(row)
        known = reader.sessions(connection, new.interview_id, lambda _error: None)
        old = next((it for it in known if it.block == new.block), None)
        if old is not None and (old.epoch, old.phase is Phase.ENDED) > (new.epoch, new.phase is Phase.ENDED):
            return 0
        return connection.execute(PUT_INTERVIEW, row).rowcount
    columns = rows.COLUMNS[table]
    same = " AND ".join(f"{name} IS ?" for name in re.findall(r"\w+", columns))
    if (
        table != "outbox"
        and connection.execute(
            f"SELECT 1 FROM {table} WHERE number = ? AND {same}", (number, *row)
        ).fetchone()
    ):
        return 0
    free = (
        number is not None
        and not connection.execute(f"SELECT 1 FROM {table} WHERE number = ?", (number,)).fetchone()
    )
    if table == "quality":
        return connection.execute(f"{_insert('quality')} ON CONFLICT DO NOTHING", row).rowcount
    if table == "outbox":
        known = connection.execute("SELECT 1 FROM outbox WHERE key = ?", (row[0],)).fetchone()
        if known or not free:
            put_owed(connection, row)
            return int(not known)
    marks = ", ".join("?" * (1 + len(row)))
    connection.execute(
        f"INSERT INTO {table} (number, {columns}) VALUES ({marks})", (number if free else None, *row)
    )
    return 1


def _is_sound(row: rows.Row, report: rows.Report) -> bool:
    return any(rows.readable([row], rows.owed, report))


def retry(connection: sqlite3.Connection, keys: Iterable[str]) -> int:
    """Make dead and waiting deliveries due now; return how many.

    Not a status that was overtaken: it would set the interview back, from completed to in progress.
    """
    chosen = f"""
        SELECT {rows.OWED_COLUMNS} FROM outbox
        WHERE key = ? AND state IN ('dead', 'pending')
          AND NOT (kind = 'status' AND EXISTS (
            SELECT 1 FROM outbox AS later
            WHERE later.interview_id = outbox.interview_id
              AND later.number > outbox.number AND later.state = 'done'))
        """
    return _changed(
        connection, chosen, keys, lambda owed: replace(owed, state=DeliveryState.PENDING, next_ms=0)
    )


def drop(connection: sqlite3.Connection, keys: Iterable[str], now_ms: int) -> int:
    """Give up deliveries that are pending or dead; return how many."""
    chosen = f"SELECT {rows.OWED_COLUMNS} FROM outbox WHERE key = ? AND state IN ('dead', 'pending')"
    return _changed(
        connection, chosen, keys, lambda owed: replace(owed, state=DeliveryState.DROPPED, acked_ms=now_ms)
    )


# A status that says less than another delivery of its interview, which the backend has or will have first: it would
# set the interview back. Such a row comes from a file that could not be read for a while.
OVERTAKEN = f"""
SELECT {rows.OWED_COLUMNS} FROM outbox
WHERE state = 'pending' AND kind = 'status' AND key LIKE '%:status:IN_PROGRESS' AND EXISTS (
  SELECT 1 FROM outbox AS later
  WHERE later.interview_id = outbox.interview_id AND later.block = outbox.block AND later.key <> outbox.key
    AND substr(later.key, 1, length(outbox.key) - length('status:IN_PROGRESS'))
      = substr(outbox.key, 1, length(outbox.key) - length('status:IN_PROGRESS'))
    AND (later.state = 'done' OR later.number < outbox.number))
"""


def drop_overtaken(connection: sqlite3.Connection, now_ms: Callable[[], int]) -> list[str]:
    """Gives up statuses that another delivery has overtaken; the keys of those."""
    found = list(rows.readable(connection.execute(OVERTAKEN).fetchall(), rows.owed, lambda _error: None))
    if found:
        why = "a later delivery of this interview came first"
        with transaction(connection):
            for owed in found:
                dropped = replace(owed, state=DeliveryState.DROPPED, acked_ms=now_ms(), last_error=why)
                change_owed(connection, dropped)
    return [owed.key for owed in found]


def _changed(
    connection: sqlite3.Connection,
    chosen: str,
    keys: Iterable[str],
    change: Callable[[OutboxEntry], OutboxEntry],
) -> int:
    changed = 0
    with transaction(connection):
        for key in keys:
            for row in connection.execute(chosen, (key,)).fetchall():
                changed += change_owed(connection, change(rows.owed(row)))
    return changed
