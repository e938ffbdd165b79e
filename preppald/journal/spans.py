"""Spans that are owed to a collector of traces: a queue of its own, which nothing else waits for."""

from collections.abc import Sequence
from dataclasses import dataclass
import sqlite3

from preppald.journal import rows, writes


@dataclass(frozen=True, slots=True)
class Owed:
    """A row of the queue. ``spans``: ``core.traces.Spans`` as JSON, empty for a damaged row."""

    number: int
    spans: str


def due(connection: sqlite3.Connection, most: int, most_bytes: int) -> list[Owed]:
    """Return the oldest spans of interviews that are over: at most so many rows, and bytes but for the first."""
    found = connection.execute(
        f"""
        SELECT number, {rows.TRACE_COLUMNS} FROM trace
        WHERE interview_id NOT IN (SELECT interview_id FROM interview WHERE phase = 'live')
        ORDER BY number LIMIT ?
        """,  # noqa: S608 - ours
        (most,),
    )
    taken: list[Owed] = []
    total = 0
    for number, *row in found:
        sound = rows.is_sealed(tuple(row))
        text = str(row[-2]) if sound else ""
        total += len(text)
        if taken and total > most_bytes:
            break
        taken.append(Owed(number, text))
    found.close()
    return taken


def forget(connection: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Remove rows that the collector has, or will not have."""
    with writes.transaction(connection):
        connection.executemany("DELETE FROM trace WHERE number = ?", [(it,) for it in numbers])


def trim(connection: sqlite3.Connection, before_ms: int, most_bytes: int) -> int:
    """Remove what is older than that, and the oldest beyond so many bytes; return how many rows."""
    (total,) = connection.execute("SELECT coalesce(sum(bytes), 0) FROM trace").fetchone()
    gone: list[int] = []
    for number, created_ms, size in connection.execute(
        "SELECT number, created_ms, bytes FROM trace ORDER BY number"
    ):
        if created_ms >= before_ms and total <= most_bytes:
            break
        gone.append(number)
        total -= size
    if gone:
        forget(connection, gone)
    return len(gone)


def waiting(connection: sqlite3.Connection) -> int:
    """Return how many rows there are."""
    (count,) = connection.execute("SELECT count(*) FROM trace").fetchone()
    return int(count)
