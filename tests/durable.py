"""What the tests of journal, outbox and commands share: makers of records, a log that remembers, a thread
that is none, and databases that fail when told to."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
import errno
import os
from pathlib import Path
import sqlite3
from typing import Any, TypeVar

import pytest
import trio

from preppald.core.deliveries import Delivery, Status, status_delivery, transcript_delivery
from preppald.core.interview import Interview
from preppald.core.turns import Fragment, Speaker, fold, in_order
from preppald.journal import Journal, OnDisk
from preppald.journal.place import Place

T = TypeVar("T")

EPOCH_MS = 1_795_000_000_000
DAY_MS = 24 * 3600 * 1000
# What a grouped commit costs, about.
DISK_SECONDS = 0.002


# A user of the daemon's, who is nobody on this machine.
DAEMONS = (64_321, 64_322)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be several users")


@contextmanager
def as_user(uid: int) -> Iterator[None]:
    """Be this user for a while, as root."""
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


def wall_ms() -> int:
    """A wall clock that goes with Trio's, so that it jumps as that one does."""
    return EPOCH_MS + int(trio.current_time() * 1000)


async def inline(function: Callable[[], T], /) -> T:
    """A thread that is none: exact with the autojump clock."""
    await trio.sleep(DISK_SECONDS)
    return function()


def interview(interview_id: str = "iv", *, epoch: int = 1, **changes: Any) -> Interview:
    return Interview(
        interview_id=interview_id,
        user_id=changes.pop("user_id", f"user of {interview_id}"),
        epoch=epoch,
        token_digest="d1",
        model="gemini-3.8-live",
        started_ms=changes.pop("started_ms", EPOCH_MS),
        deadline_ms=EPOCH_MS + 3_600_000,
        **changes,
    )


def said(count: int, *, first: int = 1, text: str = "a word ") -> list[Fragment]:
    """Fragments of a talk in which the speakers take turns of five fragments."""
    return [
        Fragment(
            seq=seq,
            turn=seq // 5 + 1,
            speaker=Speaker.AI if seq // 5 % 2 == 0 else Speaker.USER,
            text=f"{text}{seq} ",
            at_ms=EPOCH_MS + seq * 200,
            turn_complete=seq % 5 == 4,
            heard=3 if seq % 20 == 4 else None,
        )
        for seq in range(first, first + count)
    ]


def begun(interview_id: str = "iv") -> Delivery:
    return status_delivery(interview_id, 1, Status.IN_PROGRESS, now_ms=EPOCH_MS)


def finished(interview_id: str = "iv", fragments: int = 10) -> Delivery:
    turns = in_order(fold(said(fragments)).values())
    return transcript_delivery(
        interview_id, 1, turns, now_ms=EPOCH_MS, started_ms=EPOCH_MS, ended_ms=EPOCH_MS
    )


@dataclass
class Notes:
    """A log that remembers."""

    lines: list[tuple[str, str, dict[str, object]]] = field(default_factory=list)

    def info(self, event: str, **keys: object) -> None:
        self.lines.append(("info", event, keys))

    def warning(self, event: str, **keys: object) -> None:
        self.lines.append(("warning", event, keys))

    def error(self, event: str, **keys: object) -> None:
        self.lines.append(("error", event, keys))

    def events(self, level: str | None = None) -> list[str]:
        return [event for at, event, _ in self.lines if level in {None, at}]

    def keys(self, event: str) -> dict[str, object]:
        """Of the last line with this event."""
        return next(keys for _, noted, keys in reversed(self.lines) if noted == event)


def failure(message: str, code: int) -> sqlite3.OperationalError:
    """As SQLite raises it."""
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode = code
    return error


def broken() -> Exception:
    return failure("disk I/O error", sqlite3.SQLITE_IOERR_FSYNC)


def full() -> Exception:
    return failure("database or disk is full", sqlite3.SQLITE_FULL)


def busy() -> Exception:
    return failure("database is locked", sqlite3.SQLITE_BUSY)


@dataclass
class Rig:
    """What the next statements of a kind do instead of working; ``commits`` counts those that worked."""

    on_commit: list[Exception | None] = field(default_factory=list)
    on_read: list[Exception | None] = field(default_factory=list)
    always: Exception | None = None
    commits: int = 0

    def connection(self, path: Path | str) -> sqlite3.Connection:
        rig = self

        class Rigged(sqlite3.Connection):
            def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
                if sql == "COMMIT":
                    fault = rig.always or (rig.on_commit.pop(0) if rig.on_commit else None)
                    if fault is not None:
                        super().execute("ROLLBACK")
                        raise fault
                    rig.commits += 1
                elif sql.lstrip().startswith("SELECT") and rig.on_read:
                    fault = rig.on_read.pop(0)
                    if fault is not None:
                        raise fault
                return super().execute(sql, *parameters)

        return sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=Rigged)


class RiggedDisk(OnDisk):
    """A state directory on a disk that fails when told to; ``rig`` is of the first file only."""

    def __init__(self, state_dir: Path, rig: Rig, *, reserve_bytes: int = 0) -> None:
        super().__init__(state_dir, reserve_bytes=reserve_bytes)
        self.rig = rig
        self.successors = 0
        self.no_successor = False

    def connect(self) -> sqlite3.Connection:
        super().connect().close()
        return self.rig.connection(self.name) if not self.successors else super().connect()

    def succeed(self) -> None:
        if self.no_successor:
            raise OSError(errno.EROFS, "Read-only file system")
        super().succeed()
        self.successors += 1


_OPEN: list[sqlite3.Connection] = []


def database(path: Path | str = ":memory:") -> sqlite3.Connection:
    """A bare database, open until ``close_databases``."""
    _OPEN.append(sqlite3.connect(path, isolation_level=None, check_same_thread=False))
    return _OPEN[-1]


def close_databases() -> None:
    """Close what a test left open: from 3.13 on Python warns of a connection that nobody closes."""
    while _OPEN:
        _OPEN.pop().close()


@asynccontextmanager
async def running(place: Place, notes: Notes | None = None, **options: Any) -> AsyncIterator[Journal]:
    """A journal at work in this place."""
    options = {"in_thread": inline, "now_ms": wall_ms} | options
    journal = Journal(place, log=notes or Notes(), **options)
    async with trio.open_nursery() as nursery:
        await nursery.start(journal.run)
        yield journal
        nursery.cancel_scope.cancel()
