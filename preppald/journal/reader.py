"""Questions to a journal's database: plain functions of a connection, for the daemon and for the commands."""
# ruff: noqa: S608 - what is put into the queries' text are lists of columns; values are always bound.

from collections.abc import Collection, Sequence
from dataclasses import dataclass
import json
import re
import sqlite3
from typing import Any

import msgspec

from preppald.core.deliveries import RETRY_CAP_SECONDS, Delivery, Kind, Owed, State
from preppald.core.interview import Handle, Interview, Phase, Usage
from preppald.core.turns import Fragment
from preppald.journal import packing

INTERVIEW_COLUMNS = """interview_id, user_id, epoch, token_digest, model, started_ms, deadline_ms,
  phase, handle, usage, credited_ms, ended_ms, ending, cause"""
PASSAGE_COLUMNS = "interview_id, epoch, last_seq, fragments"
OWED_COLUMNS = """key, interview_id, kind, payload, created_ms, state, attempts, next_ms,
  last_status, last_error, acked_ms"""

# A command's list that is longer than this is not read by anybody; --limit raises it.
DEFAULT_LIMIT = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """A choice of interviews; None means any. ``since_ms``: started then or later."""

    phase: Phase | None = None
    user_id: str | None = None
    ending: str | None = None
    since_ms: int | None = None
    limit: int = DEFAULT_LIMIT


@dataclass(frozen=True, slots=True)
class Queue:
    """The outbox at one moment.

    ``due``: what may be posted now, at most one of an interview. ``next_ms``: when the next one will be due,
    None if nothing waits for a time. ``oldest_ms``: when the oldest pending delivery was made.
    """

    due: Sequence[Owed] = ()
    next_ms: int | None = None
    pending: int = 0
    dead: int = 0
    oldest_ms: int | None = None


def interview_row(it: Interview) -> tuple[Any, ...]:
    """The row of ``INTERVIEW_COLUMNS``."""
    return (
        it.interview_id,
        it.user_id,
        it.epoch,
        it.token_digest,
        it.model,
        it.started_ms,
        it.deadline_ms,
        it.phase.value,
        None if it.handle is None else msgspec.json.encode(it.handle).decode(),
        msgspec.json.encode(it.usage).decode(),
        it.credited_ms,
        it.ended_ms,
        it.ending,
        it.cause,
    )


def owed_row(it: Owed) -> tuple[Any, ...]:
    """The row of ``OWED_COLUMNS``."""
    return (
        it.delivery.key,
        it.delivery.interview_id,
        it.delivery.kind.value,
        it.delivery.payload,
        it.delivery.created_ms,
        it.state.value,
        it.attempts,
        it.next_ms,
        it.last_status,
        it.last_error,
        it.acked_ms,
    )


def _interview(row: tuple[Any, ...]) -> Interview:
    values = dict(zip(re.findall(r"\w+", INTERVIEW_COLUMNS), row, strict=True))
    values["phase"] = Phase(values["phase"])
    values["usage"] = msgspec.json.decode(values["usage"], type=Usage)
    if values["handle"] is not None:
        values["handle"] = msgspec.json.decode(values["handle"], type=Handle)
    return Interview(**values)


def _owed(row: tuple[Any, ...]) -> Owed:
    key, interview_id, kind, payload, created_ms, state, *fared = row
    return Owed(Delivery(key, interview_id, Kind(kind), payload, created_ms), State(state), *fared)


def live(connection: sqlite3.Connection) -> list[Interview]:
    """All interviews that some process runs, or ran when it died."""
    return interviews_of(connection, "phase = 'live'")


def interview(connection: sqlite3.Connection, interview_id: str) -> Interview | None:
    return next(iter(interviews_of(connection, "interview_id = ?", interview_id)), None)


def interviews_of(connection: sqlite3.Connection, condition: str, *values: str) -> list[Interview]:
    """Those for which a condition in SQL holds."""
    rows = connection.execute(f"SELECT {INTERVIEW_COLUMNS} FROM interview WHERE {condition}", values)
    return [_interview(row) for row in rows]


def interviews(connection: sqlite3.Connection, which: Which) -> list[Interview]:
    """The chosen interviews, the newest first."""
    rows = connection.execute(
        f"""
        SELECT {INTERVIEW_COLUMNS} FROM interview
        WHERE (:phase IS NULL OR phase = :phase)
          AND (:user_id IS NULL OR user_id = :user_id)
          AND (:ending IS NULL OR ending = :ending)
          AND (:since_ms IS NULL OR started_ms >= :since_ms)
        ORDER BY started_ms DESC, interview_id LIMIT :limit
        """,
        {
            "phase": which.phase and which.phase.value,
            "user_id": which.user_id,
            "ending": which.ending,
            "since_ms": which.since_ms,
            "limit": which.limit,
        },
    )
    return [_interview(row) for row in rows]


def fragments(
    connection: sqlite3.Connection, interview_id: str, epoch: int, since: int = 0
) -> list[Fragment]:
    """The interview's fragments with a ``seq`` above ``since``, in their order."""
    # First those that are still to be settled: what another process moves meanwhile is seen twice, and not never.
    recent = connection.execute(
        "SELECT fragments FROM recent WHERE bucket = ?", (packing.bucket(interview_id),)
    ).fetchall()
    passages = connection.execute(
        "SELECT fragments FROM passage WHERE interview_id = ? AND epoch = ? AND last_seq > ?",
        (interview_id, epoch, since),
    ).fetchall()
    # By number: a batch that was written twice, for its first commit seemed to fail, counts once.
    found = {fragment.seq: fragment for (row,) in passages for fragment in packing.in_passage(row)}
    for (row,) in recent:
        found |= {fragment.seq: fragment for fragment in packing.in_recent(row, interview_id, epoch)}
    return [found[seq] for seq in sorted(found) if seq > since]


def unsettled(connection: sqlite3.Connection) -> list[int]:
    """The buckets of the table recent that hold anything."""
    return [bucket for (bucket,) in connection.execute("SELECT DISTINCT bucket FROM recent ORDER BY bucket")]


def queue(connection: sqlite3.Connection, now_ms: int, limit: int, passing_over: Collection[str]) -> Queue:
    """The outbox now; ``due`` holds at most ``limit`` rows, none of the interviews ``passing_over``."""
    asked = {
        "now": now_ms,
        # A wait beyond the cap was computed before the clock was set back: it is over.
        "latest": now_ms + int(RETRY_CAP_SECONDS * 1000),
        "limit": limit,
        "passing_over": json.dumps(sorted(passing_over)),
    }
    # Only the first pending row of an interview may be tried; a dead one does not hold up those after it.
    heads = """
        FROM outbox AS head
        WHERE state = 'pending'
          AND interview_id NOT IN (SELECT value FROM json_each(:passing_over))
          AND NOT EXISTS (
            SELECT 1 FROM outbox AS earlier
            WHERE earlier.state = 'pending'
              AND earlier.interview_id = head.interview_id AND earlier.number < head.number)
        """
    due = connection.execute(
        f"""
        SELECT {OWED_COLUMNS} {heads} AND NOT (next_ms > :now AND next_ms <= :latest)
        ORDER BY next_ms, number LIMIT :limit
        """,
        asked,
    ).fetchall()
    (next_ms,) = connection.execute(
        f"SELECT min(next_ms) {heads} AND next_ms > :now AND next_ms <= :latest", asked
    ).fetchone()
    pending, oldest_ms = connection.execute(
        "SELECT count(*), min(created_ms) FROM outbox WHERE state = 'pending'"
    ).fetchone()
    (dead,) = connection.execute("SELECT count(*) FROM outbox WHERE state = 'dead'").fetchone()
    return Queue([_owed(row) for row in due], next_ms, pending, dead, oldest_ms)


def lines(
    connection: sqlite3.Connection, interview_ids: Collection[str], keys: Collection[str]
) -> list[Owed]:
    """The rows that are pending for these interviews or have one of these keys, in the order of their making."""
    rows = connection.execute(
        f"""
        SELECT {OWED_COLUMNS} FROM outbox
        WHERE state = 'pending' AND interview_id IN (SELECT value FROM json_each(:interview_ids))
           OR key IN (SELECT value FROM json_each(:keys))
        ORDER BY number
        """,
        {"interview_ids": json.dumps(sorted(interview_ids)), "keys": json.dumps(sorted(keys))},
    )
    return [_owed(row) for row in rows]


def owed(connection: sqlite3.Connection, of: str | None = None) -> list[Owed]:
    """Deliveries in the order of their making. ``of``: one delivery's key, or an interview for all of its."""
    rows = connection.execute(
        f"""
        SELECT {OWED_COLUMNS} FROM outbox
        WHERE :of IS NULL OR key = :of OR interview_id = :of ORDER BY number
        """,
        {"of": of},
    )
    return [_owed(row) for row in rows]


def feedback_due(connection: sqlite3.Connection, passing_over: Collection[str]) -> Owed | None:
    """The oldest transcript on which feedback is due, of those whose key is not to be passed over."""
    row = connection.execute(
        f"""
        SELECT {OWED_COLUMNS} FROM outbox
        WHERE key IN (SELECT key FROM feedback_due)
          AND key NOT IN (SELECT value FROM json_each(:passing_over))
        ORDER BY number LIMIT 1
        """,
        {"passing_over": json.dumps(sorted(passing_over))},
    ).fetchone()
    return None if row is None else _owed(row)


def standing(connection: sqlite3.Connection) -> dict[str, State]:
    """The worst state that any delivery of an interview is in, by interview."""
    rows = connection.execute("SELECT DISTINCT interview_id, state FROM outbox")
    worst: dict[str, State] = {}
    for interview_id, name in rows:
        state = State(name)
        if _BADNESS[state] >= _BADNESS[worst.get(interview_id, State.DONE)]:
            worst[interview_id] = state
    return worst


_BADNESS = {State.DONE: 0, State.DROPPED: 1, State.PENDING: 2, State.DEAD: 3}
