"""Questions to a journal's database: plain functions of a connection, for the daemon and for the commands.

Each takes a ``report``: a row that cannot be read is reported and left out, and the others are answered. Without one
it is raised.
"""
# ruff: noqa: S608 - what is put into the queries' text are lists of columns; values are always bound.

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
import json
import sqlite3

from preppald.core.deliveries import RETRY_CAP_SECONDS, DeliveryKind, DeliveryState, OutboxEntry, Work
from preppald.core.interview import Interview, Phase
from preppald.core.quality import Quality
from preppald.core.turns import Fragment
from preppald.journal import packing, rows
from preppald.journal.rows import (
    INTERVIEW_COLUMNS,
    OWED_COLUMNS,
    PASSAGE_COLUMNS,
    QUALITY_COLUMNS,
    RECENT_COLUMNS,
    Report,
    raised,
)

# A command's list that is longer than this is not read by anybody; --limit raises it.
DEFAULT_LIMIT = 1000

# A candidate, or a page with results, waits for a delivery that was made since: those go before what is old. Longer,
# and an hour's interviews would hold up what the last backlog left.
FRESH_MS = 5 * 60 * 1000


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

    ``due``: deliveries that may be posted now, at most one of an interview. ``next_ms``: when the next one will be due,
    None if nothing waits for a time. ``oldest_ms``: when the oldest pending delivery was made.
    """

    due: Sequence[OutboxEntry] = ()
    next_ms: int | None = None
    pending: int = 0
    dead: int = 0
    oldest_ms: int | None = None


def live(connection: sqlite3.Connection, report: Report = raised) -> list[Interview]:
    """Return all interviews that some process runs, or ran when it died."""
    return interviews_of(connection, "phase = 'live'", report=report)


def interview(connection: sqlite3.Connection, interview_id: str, report: Report = raised) -> Interview | None:
    """Return the interview's row; of a block interview the newest block's."""
    found = interviews_of(connection, "interview_id = ? ORDER BY epoch DESC", interview_id, report=report)
    return next(iter(found), None)


def sessions(connection: sqlite3.Connection, interview_id: str, report: Report = raised) -> list[Interview]:
    """Return every row of the interview: one a block, or the ordinary one."""
    return interviews_of(connection, "interview_id = ?", interview_id, report=report)


def interviews_of(
    connection: sqlite3.Connection, condition: str, *values: str, report: Report = raised
) -> list[Interview]:
    """Return the interviews for which a condition in SQL holds."""
    found = connection.execute(f"SELECT {INTERVIEW_COLUMNS} FROM interview WHERE {condition}", values)
    return list(rows.readable(found, rows.interview, report))


def interviews(connection: sqlite3.Connection, which: Which, report: Report = raised) -> list[Interview]:
    """Return the chosen interviews, the newest first."""
    found = connection.execute(
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
    return list(rows.readable(found, rows.interview, report))


def fragments(
    connection: sqlite3.Connection,
    interview_id: str,
    epoch: int,
    since: int = 0,
    *,
    report: Report = raised,
) -> list[Fragment]:
    """Return the interview's fragments with a ``seq`` above ``since``, in their order.

    Each block of an interview has an epoch of its own.
    """
    # First those that are still to be settled: a row that another process moves meanwhile is seen twice, not never.
    recent = connection.execute(
        f"SELECT {RECENT_COLUMNS} FROM recent WHERE bucket = ?", (packing.bucket(interview_id),)
    ).fetchall()
    passages = connection.execute(
        f"""
        SELECT {PASSAGE_COLUMNS} FROM passage
        WHERE interview_id = ? AND epoch = ? AND last_seq > ?
        """,
        (interview_id, epoch, since),
    ).fetchall()
    # By number: a batch that was written twice, for its first commit seemed to fail, counts once.
    found = {it.seq: it for own in rows.readable(passages, rows.passage, report) for it in own}
    owner = (interview_id, epoch)
    for all_of_them in rows.readable(recent, rows.recent, report):
        for said in all_of_them:
            if (said.interview_id, said.epoch) == owner:
                fragment = packing.unpacked(said)
                found[fragment.seq] = fragment
    return [found[seq] for seq in sorted(found) if seq > since]


def lost_to(connection: sqlite3.Connection, interview_id: str, epoch: int) -> int:
    """Return the highest number of a fragment known to have been in a row that was set aside; 0 without any."""
    (seq,) = connection.execute(
        """
        SELECT max(last_seq) FROM damaged WHERE interview_id = ? AND (epoch = ? OR epoch IS NULL)
        """,
        (interview_id, epoch),
    ).fetchone()
    return seq or 0


def was_posted(connection: sqlite3.Connection, interview_id: str, epoch: int) -> bool:
    """Return whether there is a transcript's delivery, of which the words may be removed by now."""
    found = connection.execute(
        "SELECT 1 FROM outbox WHERE interview_id = ? AND key LIKE ? LIMIT 1",
        (interview_id, f"%:{epoch}:{DeliveryKind.TRANSCRIPT}"),
    )
    return found.fetchone() is not None


def unsettled(connection: sqlite3.Connection) -> list[int]:
    """Return the buckets of the table recent that hold anything."""
    return [bucket for (bucket,) in connection.execute("SELECT DISTINCT bucket FROM recent ORDER BY bucket")]


def queue(
    connection: sqlite3.Connection,
    now_ms: int,
    limit: int,
    passing_over: Collection[str],
    report: Report = raised,
) -> Queue:
    """Return the outbox now; ``due`` holds at most ``limit`` rows, none of the interviews ``passing_over``."""
    asked = {
        "now": now_ms,
        # A wait beyond the cap was computed before the clock was set back: it is over.
        "latest": now_ms + int(RETRY_CAP_SECONDS * 1000),
        "limit": limit,
        "fresh": now_ms - FRESH_MS,
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
        ORDER BY created_ms <= :fresh, next_ms, number LIMIT :limit
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
    return Queue(list(rows.readable(due, rows.owed, report)), next_ms, pending, dead, oldest_ms)


def lines(
    connection: sqlite3.Connection,
    interview_ids: Collection[str],
    keys: Collection[str],
    report: Report = raised,
) -> list[OutboxEntry]:
    """Return the rows that are pending for these interviews or have one of these keys, in the order of making."""
    found = connection.execute(
        f"""
        SELECT {OWED_COLUMNS} FROM outbox
        WHERE state = 'pending' AND interview_id IN (SELECT value FROM json_each(:interview_ids))
           OR key IN (SELECT value FROM json_each(:keys))
        ORDER BY number
        """,
        {"interview_ids": json.dumps(sorted(interview_ids)), "keys": json.dumps(sorted(keys))},
    )
    return list(rows.readable(found, rows.owed, report))


def owed(connection: sqlite3.Connection, of: str | None = None, report: Report = raised) -> list[OutboxEntry]:
    """Return deliveries in the order of their making. ``of``: one delivery's key, or an interview for all of its."""
    found = connection.execute(
        f"""
        SELECT {OWED_COLUMNS} FROM outbox
        WHERE :of IS NULL OR key = :of OR interview_id = :of ORDER BY number
        """,
        {"of": of},
    )
    return list(rows.readable(found, rows.owed, report))


def due(
    connection: sqlite3.Connection, work: Work, passing_over: Collection[str], report: Report = raised
) -> OutboxEntry | None:
    """Return the oldest transcript on which this work is due, of those whose key is not to be passed over."""
    found = connection.execute(
        f"""
        SELECT {OWED_COLUMNS} FROM outbox
        WHERE key IN (SELECT key FROM {work.value}_due)
          AND key NOT IN (SELECT value FROM json_each(:passing_over))
        ORDER BY number LIMIT 1
        """,
        {"passing_over": json.dumps(sorted(passing_over))},
    )
    return next(rows.readable(found.fetchall(), rows.owed, report), None)


def is_due(connection: sqlite3.Connection, work: Work, key: str) -> bool:
    """Return whether this work is due on the transcript of this key."""
    return connection.execute(f"SELECT 1 FROM {work.value}_due WHERE key = ?", (key,)).fetchone() is not None


def qualities(
    connection: sqlite3.Connection, interview_id: str | None = None, report: Report = raised
) -> dict[tuple[str, int, int], Quality]:
    """Return how interviews went, all or one, by interview, block and epoch."""
    found = connection.execute(
        f"SELECT {QUALITY_COLUMNS} FROM quality WHERE :of IS NULL OR interview_id = :of", {"of": interview_id}
    )
    return {
        (name, block, epoch): quality
        for name, block, epoch, quality in rows.readable(found, rows.quality, report)
    }


def standing(connection: sqlite3.Connection) -> dict[tuple[str, int], DeliveryState]:
    """Return the worst state among the deliveries of an interview, by interview and block."""
    found = connection.execute("SELECT DISTINCT interview_id, block, state FROM outbox")
    states: dict[tuple[str, int], list[str]] = {}
    for interview_id, block, name in found:
        states.setdefault((interview_id, block), []).append(name)
    standings = ((key, worst(names)) for key, names in states.items())
    return {key: state for key, state in standings if state is not None}


def worst(names: Iterable[str]) -> DeliveryState | None:
    """Return the worst of the states of deliveries, by their names; None without any."""
    # A damaged name is passed over: the row itself is reported where it is read.
    return max((DeliveryState(it) for it in names if it in _STATES), key=_BADNESS.__getitem__, default=None)


_STATES = {state.value for state in DeliveryState}
_BADNESS = {DeliveryState.DONE: 0, DeliveryState.DROPPED: 1, DeliveryState.PENDING: 2, DeliveryState.DEAD: 3}
