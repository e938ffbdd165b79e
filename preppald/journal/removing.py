"""Removes what was delivered, by its age: first the words, later the rows.

Rule 1: an interview that owes anything is never touched, and neither is one with a delivery that the backend refused.
Rule 2: the row of an ended interview stays a week, without a word in it: a token that is still good must not begin the
        interview again, and an operator sees what it cost. It stays for as long as there is a recording, too, for only
        the row knows whose that is.
"""

from collections.abc import Collection
from dataclasses import replace
import json
import sqlite3

from preppald.core.deliveries import DeliveryKind
from preppald.journal import reader, rows, writes

ROWS_MS = 7 * 24 * 3600 * 1000
# Of one transaction: a few milliseconds, so that no commit waits behind it.
SWEEP_INTERVIEWS = 20
# The deliveries whose payload holds words.
WORDS = frozenset({DeliveryKind.TRANSCRIPT, DeliveryKind.FEEDBACK, DeliveryKind.VERIFICATION})

# Ended interviews whose last delivery was settled before ``:before``. One that never had a delivery goes by its end.
_SETTLED = """
  interview.phase = 'ended' AND interview.ended_ms < :before
  AND NOT EXISTS (
    SELECT 1 FROM interview AS block
    WHERE block.interview_id = interview.interview_id
      AND (block.phase = 'live' OR block.ended_ms >= :before))
  AND NOT EXISTS (
    SELECT 1 FROM outbox
    WHERE outbox.interview_id = interview.interview_id
      AND (state IN ('pending', 'dead') OR acked_ms >= :before))
"""
# Models still need the words; after a week nobody waits for what they write any more.
_AWAITED = " UNION ALL ".join(
    f"SELECT 1 FROM outbox JOIN {table} USING (key) WHERE outbox.interview_id = interview.interview_id"  # noqa: S608 - ours
    for table in writes.DUE_TABLES.values()
)
_WITH_WORDS = f"""
SELECT DISTINCT interview_id FROM interview
WHERE EXISTS (SELECT 1 FROM passage WHERE passage.interview_id = interview.interview_id)
  AND {_SETTLED} AND NOT EXISTS ({_AWAITED}) LIMIT :limit
"""  # noqa: S608 - ours


def strip(connection: sqlite3.Connection, before_ms: int, limit: int = SWEEP_INTERVIEWS) -> int:
    """Remove the words of interviews that were settled before ``before_ms``; return of how many."""
    ask = {"before": before_ms, "limit": limit}
    if connection.execute(_WITH_WORDS, ask).fetchone() is None:
        return 0  # nearly always: no transaction, then
    with writes.transaction(connection):
        found = connection.execute(_WITH_WORDS, ask).fetchall()
        for (name,) in found:
            _strip(connection, name)
    return len(found)


def _strip(connection: sqlite3.Connection, interview_id: str) -> None:
    for table in ("passage", "damaged"):
        connection.execute(f"DELETE FROM {table} WHERE interview_id = ?", (interview_id,))  # noqa: S608 - ours
    for owed in reader.owed(connection, of=interview_id, report=_passed_over):
        if owed.delivery.kind in WORDS:
            writes.change_owed(connection, replace(owed, delivery=replace(owed.delivery, payload=b"")))
    for known in reader.sessions(connection, interview_id, _passed_over):
        if known.context is not None:
            row = rows.interview_row(replace(known, context=None))
            connection.execute(writes.PUT_INTERVIEW, row)


def sweep(
    connection: sqlite3.Connection,
    before_ms: int,
    keep: Collection[str] = (),
    limit: int = SWEEP_INTERVIEWS,
) -> int:
    """Forget interviews that were settled before ``before_ms``, but those to ``keep``; return how many."""
    with writes.transaction(connection):
        found = connection.execute(
            f"""
            SELECT interview_id FROM interview
            WHERE {_SETTLED} AND interview_id NOT IN (SELECT value FROM json_each(:keep))
            ORDER BY ended_ms LIMIT :limit
            """,  # noqa: S608 - ours
            {"before": before_ms, "keep": json.dumps(sorted(keep)), "limit": limit},
        ).fetchall()
        for table in ("passage", "outbox", "damaged", "quality", "trace", "interview"):
            connection.executemany(f"DELETE FROM {table} WHERE interview_id = ?", found)  # noqa: S608 - ours
        for table in writes.DUE_TABLES.values():
            connection.execute(f"DELETE FROM {table} WHERE key NOT IN (SELECT key FROM outbox)")  # noqa: S608 - ours
    return len(found)


def _passed_over(_error: rows.Unreadable) -> None:
    """Pass over a damaged row: it is set aside where it is read, and goes with its interview's row."""
