"""Rows as they are stored: their columns, their checksum, and the one error for a row that cannot be read.

Rule 1: a row's checksum is over all its other values as they are stored, so that row and checksum can be copied
        to another database as they are.
Rule 2: a row that does not have its checksum is never taken for true; ``Unreadable`` is the only error of decoding.
Rule 3: a row from before there were checksums is read without: passages only, the other tables were given theirs.
"""

from collections.abc import Callable, Iterable, Iterator
import re
import sqlite3
from typing import Any, TypeVar
import zlib

import msgspec

from preppald.core.deliveries import Delivery, DeliveryKind, DeliveryState, OutboxEntry
from preppald.core.interview import Handle, Interview, Usage
from preppald.core.quality import Quality
from preppald.core.turns import Fragment
from preppald.journal import packing

T = TypeVar("T")
Row = tuple[Any, ...]

# The checksum stands last, where a row that lost its end lacks it.
INTERVIEW_COLUMNS = """interview_id, block, user_id, epoch, token_digest, model, started_ms, deadline_ms,
  phase, handle, usage, credited_ms, ended_ms, ending, cause, context, seq_floor, checksum"""
RECENT_COLUMNS = "bucket, fragments, checksum"
PASSAGE_COLUMNS = "interview_id, block, epoch, last_seq, fragments, checksum"
OWED_COLUMNS = """key, interview_id, block, kind, payload, created_ms, state, attempts, next_ms,
  last_status, last_error, acked_ms, checksum"""
QUALITY_COLUMNS = "interview_id, block, epoch, quality, checksum"
# Of the table of spans, which is no part of a salvage: nobody misses a trace.
TRACE_COLUMNS = "interview_id, block, epoch, created_ms, bytes, spans, checksum"
COLUMNS = {
    "interview": INTERVIEW_COLUMNS,
    "recent": RECENT_COLUMNS,
    "passage": PASSAGE_COLUMNS,
    "outbox": OWED_COLUMNS,
    "quality": QUALITY_COLUMNS,
}
_INTERVIEW_NAMES = re.findall(r"\w+", INTERVIEW_COLUMNS)[:-1]


class Unreadable(sqlite3.DatabaseError):
    """A row that cannot be read.

    ``table``: where it stands. ``row``: its values, the checksum last. ``interview_id`` and ``key``: what they seem
    to be, for people; None where even that cannot be read, or where a row is of many interviews.
    """

    def __init__(self, table: str, row: Row, why: str) -> None:
        values = dict(zip(re.findall(r"\w+", COLUMNS[table]), row, strict=False))
        self.table = table
        self.row = row
        self.why = why.encode("utf-8", "replace").decode()
        self.interview_id = _name(values.get("interview_id"))
        self.key = _name(values.get("key"))
        super().__init__(f"a row of the table {table} cannot be read: {self.why}")


Report = Callable[[Unreadable], None]


def raised(error: Unreadable) -> None:
    """Raises: the report of one without any business with damaged rows."""
    raise error


def readable(rows: Iterable[Row], decode: Callable[[Row], T], report: Report) -> Iterator[T]:
    """Decode those rows that can be read; the others are reported and left out."""
    for row in rows:
        try:
            yield decode(row)
        except Unreadable as error:
            report(error)


def checksum(*values: object) -> int:
    """Return the CRC-32 of a row's values: integers, texts, blobs and nulls.

    Raises:
        UnicodeEncodeError: a text is not UTF-8 in the file.
    """
    return zlib.crc32(msgspec.msgpack.encode(values))


def sealed(values: Row) -> Row:
    """Return the row with its checksum."""
    return (*values, checksum(*values))


def opened(table: str, row: Row, *, old: bool = False) -> Row:
    """Return the row without its checksum. ``old``: it may be from before there were checksums.

    Raises:
        Unreadable: it is not what was written.
    """
    *values, noted = row
    if noted is None and old:
        return tuple(values)
    try:
        if checksum(*values) == noted:
            return tuple(values)
    except UnicodeEncodeError:
        raise Unreadable(table, row, "a text in it is not UTF-8") from None
    except (TypeError, OverflowError):
        raise Unreadable(table, row, "a value in it is of another type") from None
    raise Unreadable(table, row, "it does not have its checksum")


def interview_row(it: Interview) -> Row:
    """Return the row of ``INTERVIEW_COLUMNS``."""
    return sealed(
        (
            it.interview_id,
            it.block,
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
            it.context,
            it.seq_floor,
        )
    )


def interview(row: Row) -> Interview:
    """Return what ``interview_row`` made a row of. Raises Unreadable."""
    values = dict(zip(_INTERVIEW_NAMES, opened("interview", row), strict=True))
    try:
        values["usage"] = msgspec.json.decode(values["usage"], type=Usage)
        if values["handle"] is not None:
            values["handle"] = msgspec.json.decode(values["handle"], type=Handle)
        return msgspec.convert(values, Interview)
    except (msgspec.MsgspecError, UnicodeError, TypeError) as error:
        # Written so: by a hand, or before there were checksums.
        raise Unreadable("interview", row, f"it holds what no interview does ({error})") from error


def owed_row(it: OutboxEntry) -> Row:
    """Return the row of ``OWED_COLUMNS``."""
    return sealed(
        (
            it.delivery.key,
            it.delivery.interview_id,
            it.delivery.block,
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
    )


def owed(row: Row) -> OutboxEntry:
    """Return what ``owed_row`` made a row of. Raises Unreadable."""
    key, interview_id, block, kind, payload, created_ms, state, *fared = opened("outbox", row)
    try:
        return OutboxEntry(
            Delivery(key, interview_id, DeliveryKind(kind), payload, created_ms, block),
            DeliveryState(state),
            *fared,
        )
    except ValueError as error:
        raise Unreadable("outbox", row, f"it holds what no delivery does ({error})") from error


def recent(row: Row) -> list[packing.Said]:
    """Return the fragments of a row of ``RECENT_COLUMNS``, with whose they are. Raises Unreadable."""
    try:
        return packing.in_recent(opened("recent", row)[1])
    except packing.Malformed as error:
        raise Unreadable("recent", row, str(error)) from error


def passage(row: Row) -> list[Fragment]:
    """Return the fragments of a row of ``PASSAGE_COLUMNS``. Raises Unreadable."""
    try:
        return packing.in_passage(opened("passage", row, old=True)[-1])
    except packing.Malformed as error:
        raise Unreadable("passage", row, str(error)) from error


def quality_row(interview_id: str, block: int, epoch: int, quality: Quality) -> Row:
    """Return the row of ``QUALITY_COLUMNS``."""
    return sealed((interview_id, block, epoch, msgspec.json.encode(quality).decode()))


def quality(row: Row) -> tuple[str, int, int, Quality]:
    """Return what ``quality_row`` made a row of. Raises Unreadable."""
    interview_id, block, epoch, text = opened("quality", row)
    try:
        return interview_id, block, epoch, msgspec.json.decode(text, type=Quality)
    except (msgspec.MsgspecError, UnicodeError, TypeError) as error:
        raise Unreadable("quality", row, f"it holds what no quality does ({type(error).__name__})") from error


def trace_row(interview_id: str, block: int, epoch: int, created_ms: int, spans: str) -> Row:
    """Return the row of ``TRACE_COLUMNS``."""
    return sealed((interview_id, block, epoch, created_ms, len(spans), spans))


def is_sealed(row: Row) -> bool:
    """Return whether the row has its checksum."""
    *values, noted = row
    try:
        return bool(checksum(*values) == noted)
    except (UnicodeEncodeError, TypeError, OverflowError):
        return False


DECODERS: dict[str, Callable[[Row], object]] = {
    "interview": interview,
    "recent": recent,
    "passage": passage,
    "outbox": owed,
    "quality": quality,
}


def image(row: Row) -> bytes:
    """Return a row as it is kept when it is set aside: MessagePack of its values, texts that are not UTF-8 as blobs."""
    return msgspec.msgpack.encode([_bytes(it) if isinstance(it, str) and not _utf8(it) else it for it in row])


def equip(connection: sqlite3.Connection) -> None:
    """Prepares a connection: a text that is not UTF-8 does not end a query, and fits no checksum."""
    connection.text_factory = _text


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _name(value: object) -> str | None:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None
