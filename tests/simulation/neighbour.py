"""The database that another instance left: of any schema there ever was, with an ended interview and a live one.

Rows are written as the versions of those days wrote them; the newest has come forward by the migrations.
"""

import sqlite3

import msgspec

from preppald.core.deliveries import Delivery, Status, status_delivery, transcript_delivery
from preppald.core.endings import USER_ENDED
from preppald.core.interview import Usage
from preppald.core.turns import Fragment, Speaker, fold, in_order
from preppald.journal import packing, schema

# The last that these lines know how to write. Later ones come forward from it.
LAST_BY_HAND = 5
PACKED_SINCE = 4
LIMIT_MS = 3_600_000


def names(instance: str) -> tuple[str, str]:
    """Return the interviews that it left: the ended one, the live one."""
    return f"{instance}-ended", f"{instance}-live"


def owed(instance: str, now_ms: int) -> list[Delivery]:
    """Return what it owes: of the ended interview all, of the live one the beginning."""
    ended, live = names(instance)
    turns = in_order(fold(_said(now_ms)).values())
    began_ms = now_ms - 60_000
    return [
        status_delivery(ended, 1, Status.IN_PROGRESS, now_ms=now_ms),
        transcript_delivery(ended, 1, turns, now_ms=now_ms, started_ms=began_ms, ended_ms=now_ms),
        status_delivery(live, 1, Status.IN_PROGRESS, now_ms=now_ms),
    ]


def left(instance: str, version: int, now_ms: int) -> bytes:
    """Return the database's file. ``version``: how many migrations it has seen."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(connection, schema.MIGRATIONS[: min(version, LAST_BY_HAND)])
    for name, ended in zip(names(instance), (True, False), strict=True):
        _interview(connection, name, now_ms, ended=ended)
        _fragments(connection, name, version, now_ms)
    for it in owed(instance, now_ms):
        connection.execute(
            "INSERT INTO outbox (key, interview_id, kind, payload, created_ms, state, attempts, next_ms) "
            "VALUES (?, ?, ?, ?, ?, 'pending', 0, 0)",
            (it.key, it.interview_id, it.kind.value, it.payload, it.created_ms),
        )
    schema.migrate(connection, schema.MIGRATIONS[: max(version, schema.version(connection))])
    image = connection.serialize()
    connection.close()
    return image


def _said(now_ms: int) -> list[Fragment]:
    """Fragments in the words of the simulated Gemini."""
    return [
        Fragment(
            seq=number,
            turn=number,
            speaker=Speaker.AI if number % 2 else Speaker.USER,
            text=f"{'question' if number % 2 else 'answer'}-0-{number} ",
            at_ms=now_ms - 60_000 + 1000 * number,
            turn_complete=True,
        )
        for number in range(1, 9)
    ]


def _interview(connection: sqlite3.Connection, name: str, now_ms: int, *, ended: bool) -> None:
    began_ms = now_ms - 60_000
    connection.execute(
        """
        INSERT INTO interview (interview_id, user_id, epoch, token_digest, model, started_ms, deadline_ms, phase,
          handle, usage, credited_ms, ended_ms, ending, cause) VALUES (?, ?, 1, ?, ?, ?, ?, ?, NULL, ?, 0, ?, ?, NULL)
        """,
        (
            name,
            f"user of {name}",
            "a digest",
            "gemini-3.8-live",
            began_ms,
            began_ms + LIMIT_MS,
            "ended" if ended else "live",
            msgspec.json.encode(Usage()).decode(),
            now_ms if ended else None,
            USER_ENDED.name if ended else None,
        ),
    )


def _fragments(connection: sqlite3.Connection, name: str, version: int, now_ms: int) -> None:
    said = _said(now_ms)
    if version >= PACKED_SINCE:
        half = len(said) // 2
        connection.execute(
            "INSERT INTO passage (interview_id, epoch, last_seq, fragments) VALUES (?, 1, ?, ?)",
            (name, said[half - 1].seq, msgspec.json.encode(said[:half]).decode()),
        )
        recent = packing.rows((name, 1, it) for it in said[half:])
        connection.executemany("INSERT INTO recent (bucket, fragments) VALUES (?, ?)", recent)
        return
    # The second schema has the newest ones in a table of their own.
    for number, it in enumerate(said):
        table = "recent" if version > 1 and number >= len(said) // 2 else "fragment"
        connection.execute(
            f"INSERT INTO {table} (interview_id, epoch, seq, turn, speaker, text, at_ms, turn_complete, heard) "
            "VALUES (?, 1, ?, ?, ?, ?, ?, 1, NULL)",
            (name, it.seq, it.turn, it.speaker.value, it.text, it.at_ms),
        )
