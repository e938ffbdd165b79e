"""Contains damage: when a database is opened, rows that cannot be read are set aside one by one.

Rule 1: a row that is set aside is kept in the table damaged, as it stood, and everything else goes on.
Rule 2: no speech is guessed. Of an interview's row only the part that decides whether it goes on is restored:
        a live one goes on without its handle, with the time limit from its start.
Rule 3: a delivery that an ended interview owes is made anew from its fragments, under the same key.
"""
# ruff: noqa: S608 - what is put into the statements' text are names of tables and columns; values are bound.

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
import re
import sqlite3
import time
from typing import Any

import msgspec

from preppald.core import endings
from preppald.core.deliveries import OutboxEntry
from preppald.core.interview import Interview, Phase, Usage
from preppald.core.turns import SEQ_LEAP, fold, in_order, with_holes
from preppald.journal import packing, reader, rows, writes
from preppald.journal.rows import Unreadable

# The bound of checking passages when a database is opened, the newest first. The rest is checked when it is read.
PASSAGES_SECONDS = 5.0
# An interview is begun again a few times at most, and a process that runs it dies a few hundred times at most.
PLAUSIBLE_EPOCH = 1000
PLAUSIBLE_SEQ = 1000 * SEQ_LEAP
DAY_MS = 24 * 3600 * 1000
# The wall clock in milliseconds: asked only where there is damage.
Clock = Callable[[], int]
_KEY = re.compile(
    r"(.+?)(?:\.[1-9][0-9]?)?:([1-9][0-9]{0,3}):(status:[A-Z_]+|transcript|feedback|verification)"
)


@dataclass(frozen=True, slots=True)
class Fallback:
    """Values for a damaged row: the time limit in milliseconds, the model ("": the row's own), and the posts of a
    failed interview with a transcript.
    """

    limit_ms: int = 3_600_000
    model: str = ""
    partial: endings.Partial = "completed"


@dataclass(frozen=True, slots=True)
class Finding:
    """A damaged row and its treatment, for the log and for people."""

    table: str
    interview_id: str | None
    key: str | None
    why: str
    done: str


def mend(connection: sqlite3.Connection, *, now_ms: Clock, fallback: Fallback) -> list[Finding]:
    """Set aside every damaged row that would be in the way; return the findings.

    A row of the table quality is in nobody's way: it is reported where it is read.

    Raises:
        sqlite3.Error: the file cannot be read or written.
    """
    return [
        *_interviews(connection, now_ms, fallback),
        *_recent(connection, now_ms),
        *_passages(connection, now_ms),
        *_outbox(connection, now_ms, fallback.partial),
    ]


def take_in(
    connection: sqlite3.Connection, damaged: Collection[Unreadable], now_ms: Clock, fallback: Fallback
) -> Iterator[Finding]:
    """Deal with rows that a salvage found damaged, after it took all others into a new file."""
    for error in damaged:
        if error.table == "interview":
            sound = {it for (it,) in connection.execute("SELECT interview_id FROM interview")}
            restored = _restored(connection, error, sound, now_ms, fallback)
            if restored is not None:
                with writes.transaction(connection):
                    connection.execute(writes.ADD_INTERVIEW, rows.interview_row(restored))
                yield Finding("interview", restored.interview_id, None, error.why, "restored in part")
                continue
        yield set_aside(connection, error, now_ms)
        if error.table == "outbox":
            _made_anew(connection, error, fallback.partial)
    # A delivery's row may be lost without a trace. One too many under the same key is better than none.
    lonely = "phase = 'ended' AND interview_id NOT IN (SELECT interview_id FROM outbox)"
    for interview in reader.interviews_of(connection, lonely, report=lambda _error: None):
        said = reader.fragments(
            connection, interview.interview_id, interview.epoch, report=lambda _error: None
        )
        if said and (made := owe_again(connection, interview, fallback.partial)):
            why = f"{made} deliveries were nowhere in the damaged file"
            yield Finding("outbox", interview.interview_id, None, why, "made anew from what was said")


def set_aside(
    connection: sqlite3.Connection, error: Unreadable, now_ms: Clock, done: str = "set aside"
) -> Finding:
    """Move one row into the table damaged, in its own transaction; a live interview's goes on at the next start."""
    with writes.transaction(connection):
        _keep(connection, error, now_ms)
        _delete(connection, error)
    return Finding(error.table, error.interview_id, error.key, error.why, done)


def _keep(connection: sqlite3.Connection, error: Unreadable, now_ms: Clock) -> None:
    """Keep the row as it stood; a row of fragments once for each interview that they seem to belong to."""
    stored = rows.image(error.row)
    owners: list[tuple[str | None, int | None, int | None]] = [(error.interview_id, None, None)]
    if error.table == "passage":
        _, _, epoch, last_seq, text, _ = error.row
        guess = packing.last_seq(text) if isinstance(text, str) else 0
        seqs = [it for it in (last_seq, guess) if isinstance(it, int) and 0 < it < PLAUSIBLE_SEQ]
        # Of two numbers of which one may be damaged the smaller one: that something is missing is known by either.
        owners = [
            (_known(connection, error.interview_id), _int(epoch, PLAUSIBLE_EPOCH), min(seqs, default=None))
        ]
    elif error.table == "recent" and isinstance(error.row[1], str):
        guessed = packing.guessed(error.row[1])
        owners = [
            (_known(connection, _text(name)), epoch, seq) for (name, epoch), seq in guessed.items()
        ] or owners
    for interview_id, its_epoch, seq in owners:
        connection.execute(
            writes.PUT_DAMAGED,
            (error.table, interview_id, 0, its_epoch, seq, error.key, error.why, now_ms(), stored),
        )


def _delete(connection: sqlite3.Connection, error: Unreadable) -> None:
    columns = re.findall(r"\w+", rows.COLUMNS[error.table])
    # By all of its values: any of them may be damaged, and the keys, too.
    condition = " AND ".join(
        f"{name} IS {_mark(value)}" for name, value in zip(columns, error.row, strict=True)
    )
    values = [it.encode("utf-8", "surrogateescape") if isinstance(it, str) else it for it in error.row]
    connection.execute(f"DELETE FROM {error.table} WHERE {condition}", values)


def _mark(value: object) -> str:
    # A text that is not UTF-8 can only be bound as a blob.
    return "CAST(? AS TEXT)" if isinstance(value, str) else "?"


# -------------------------------------------------------------- interviews


def _interviews(connection: sqlite3.Connection, now_ms: Clock, fallback: Fallback) -> Iterator[Finding]:
    damaged: list[Unreadable] = []
    # All of them: a damaged phase is in no index of the live ones.
    everything = connection.execute(f"SELECT {rows.INTERVIEW_COLUMNS} FROM interview")
    sound = list(rows.readable(everything, rows.interview, damaged.append))
    for error in damaged:
        restored = _restored(connection, error, {it.interview_id for it in sound}, now_ms, fallback)
        if restored is None:
            yield set_aside(connection, error, now_ms)
            continue
        with writes.transaction(connection):
            _keep(connection, error, now_ms)
            _delete(connection, error)
            connection.execute(writes.ADD_INTERVIEW, rows.interview_row(restored))
        done = "goes on without its handle" if restored.phase is Phase.LIVE else "restored as ended"
        yield Finding("interview", restored.interview_id, None, error.why, done)


def _restored(
    connection: sqlite3.Connection,
    error: Unreadable,
    sound: Collection[str],
    now_ms: Clock,
    fallback: Fallback,
) -> Interview | None:
    """Return the interview as far as its rows tell; None when not even its name is known."""
    names = re.findall(r"\w+", rows.INTERVIEW_COLUMNS)
    values: dict[str, Any] = dict(zip(names, error.row, strict=True))
    interview_id = _own_name(connection, _text(values["interview_id"]), sound)
    if not interview_id or interview_id in sound:
        return None
    present_ms = now_ms()
    started_ms = _int(values["started_ms"], present_ms + DAY_MS, present_ms - 30 * DAY_MS) or present_ms
    credited_ms = _int(values["credited_ms"], fallback.limit_ms) or 0
    ended = values["phase"] == "ended" or (values["phase"] != "live" and values["ended_ms"] is not None)
    ending = _text(values["ending"])
    return Interview(
        interview_id=interview_id,
        user_id=_text(values["user_id"]),
        epoch=_epoch(connection, interview_id, _int(values["epoch"], PLAUSIBLE_EPOCH, 1)),
        token_digest=_text(values["token_digest"]),
        model=fallback.model or _text(values["model"]),
        started_ms=started_ms,
        deadline_ms=started_ms + fallback.limit_ms + credited_ms,
        phase=Phase.ENDED if ended else Phase.LIVE,
        usage=_usage(values["usage"]),
        credited_ms=credited_ms,
        ended_ms=(_int(values["ended_ms"], present_ms + DAY_MS, started_ms) or present_ms) if ended else None,
        ending=(ending if ending in _ENDINGS else endings.DAEMON_STOPPED.name) if ended else None,
        cause=(_text(values["cause"]) or None) if ended else None,
        block=_int(values["block"], 99) or 0,
        # Above all that its processes can have used, by whole leaps.
        seq_floor=(_int(values["seq_floor"], PLAUSIBLE_SEQ) or 0) + 10 * SEQ_LEAP,
    )


_ENDINGS = {it.name: it for it in endings.PRECEDENCE}


def _own_name(connection: sqlite3.Connection, name: str, sound: Collection[str]) -> str:
    """Return the interview's name: where other rows have a name that differs in one character, the other rows' name."""
    others = {
        it
        for (it,) in connection.execute(
            "SELECT DISTINCT interview_id FROM passage UNION SELECT interview_id FROM outbox"
        )
        if _text(it) == it
    }
    if name in others:
        return name
    return _nearest(name, others.difference(sound)) or name


def _nearest(name: str, others: Collection[str]) -> str | None:
    """Return the only one of the others that differs in one character, if there is such a one."""
    found = [
        it
        for it in others
        if len(it) == len(name) and sum(a != b for a, b in zip(it, name, strict=True)) == 1
    ]
    return found[0] if len(found) == 1 else None


def _known(connection: sqlite3.Connection, name: str | None) -> str | None:
    """Return the name, or that of the interview from which it differs in one character."""
    if (
        name is None
        or connection.execute("SELECT 1 FROM interview WHERE interview_id = ?", (name,)).fetchone()
    ):
        return name
    all_names = {
        it for (it,) in connection.execute("SELECT interview_id FROM interview WHERE phase = 'live'")
    }
    return _nearest(name, all_names) or name


def _epoch(connection: sqlite3.Connection, interview_id: str, noted: int | None) -> int:
    """Return the noted epoch, if there are fragments of it or none at all; else the latest that has any."""
    query = "SELECT DISTINCT epoch FROM passage WHERE interview_id = ?"
    known = {epoch for (epoch,) in connection.execute(query, (interview_id,))}
    recent = connection.execute(
        "SELECT fragments FROM recent WHERE bucket = ?", (packing.bucket(interview_id),)
    )
    for (row,) in recent:
        if isinstance(row, str):
            known |= {epoch for name, epoch in packing.guessed(row) if name == interview_id}
    if noted is not None and (noted in known or not known):
        return noted
    return max((it for it in known if isinstance(it, int) and 0 < it <= PLAUSIBLE_EPOCH), default=1)


# -------------------------------------------------------------- fragments


def _recent(connection: sqlite3.Connection, now_ms: Clock) -> Iterator[Finding]:
    damaged: list[Unreadable] = []
    found = connection.execute(f"SELECT {rows.RECENT_COLUMNS} FROM recent")
    for _ in rows.readable(found, rows.recent, damaged.append):
        pass
    for error in damaged:
        yield set_aside(connection, error, now_ms)


def _passages(connection: sqlite3.Connection, now_ms: Clock) -> Iterator[Finding]:
    damaged: list[Unreadable] = []
    until = time.monotonic() + PASSAGES_SECONDS
    found = connection.execute(f"SELECT {rows.PASSAGE_COLUMNS} FROM passage ORDER BY number DESC")
    for _ in rows.readable(found, rows.passage, damaged.append):
        if time.monotonic() > until:
            break
    found.close()
    for error in damaged:
        yield set_aside(connection, error, now_ms)


# -------------------------------------------------------------- deliveries


def _outbox(connection: sqlite3.Connection, now_ms: Clock, partial: endings.Partial) -> Iterator[Finding]:
    damaged: list[Unreadable] = []
    # Not by the states that count: a damaged state is in no index.
    found = connection.execute(
        f"SELECT {rows.OWED_COLUMNS} FROM outbox WHERE state NOT IN ('done', 'dropped') ORDER BY number"
    )
    for _ in rows.readable(found, rows.owed, damaged.append):
        pass
    for error in damaged:
        finding = set_aside(connection, error, now_ms)
        anew = _made_anew(connection, error, partial)
        yield (
            finding
            if not anew
            else Finding(
                finding.table, finding.interview_id, finding.key, finding.why, "made anew from what was said"
            )
        )


def _made_anew(connection: sqlite3.Connection, error: Unreadable, partial: endings.Partial) -> int:
    """Owe again the deliveries that can be made from other rows; return how many."""
    if error.row[-2] is not None:  # acked_ms: it was settled
        return 0
    match = _KEY.fullmatch(error.key or "")
    names = {name for name in (error.interview_id, match and match[1]) if name}
    made = 0
    for name in sorted(names):
        interview = reader.interview(connection, name, lambda _error: None)
        if interview is not None and interview.phase is Phase.ENDED:
            made += owe_again(connection, interview, partial)
    return made


def owe_again(connection: sqlite3.Connection, interview: Interview, partial: endings.Partial) -> int:
    """Make the deliveries of an ended interview that are in no row of the outbox; return how many."""
    ending = _ENDINGS.get(interview.ending or "")
    if ending is None:
        return 0
    name, epoch = interview.interview_id, interview.epoch
    said = reader.fragments(connection, name, epoch, report=lambda _error: None)
    lost_to = reader.lost_to(connection, name, epoch)
    turns = in_order(fold(with_holes(said, lost_to)).values())
    made = 0
    with writes.transaction(connection):
        for delivery in endings.deliveries(
            ending,
            name,
            epoch,
            turns,
            started_ms=interview.started_ms,
            ended_ms=interview.ended_ms or 0,
            block=interview.block,
            partial=partial,
        ):
            row = rows.owed_row(OutboxEntry(delivery))
            made += connection.execute(writes.ADD_OWED, row).rowcount
    return made


# -------------------------------------------------------------- values


def _int(value: object, most: int, least: int = 0) -> int | None:
    return value if isinstance(value, int) and least <= value <= most else None


def _text(value: object) -> str:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _usage(value: object) -> Usage:
    try:
        return msgspec.json.decode(_text(value), type=Usage)
    except msgspec.MsgspecError:
        return Usage()
