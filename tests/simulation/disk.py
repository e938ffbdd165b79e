"""A disk with a cache: what a process wrote is not what survives its death.

The database is a real SQLite in memory. What survives is its image as of the last flush that was complete; a kill
between the write and the end of the flush takes the write back.
"""

from collections.abc import Callable
from pathlib import Path
import random
import shutil
import sqlite3
from typing import Any, TypeVar

import trio

from preppald.core.deliveries import DeliveryState
from preppald.journal import files, reader
from tests.durable import failure, full

T = TypeVar("T")

# What a question, a write and a flush cost when nothing is wrong: milliseconds, as measured.
ASK_SECONDS = 0.0002
FLUSH_SECONDS = 0.002
# What was recorded so long before a kill is durable, on a disk that answers: the journal's promise is 0.1 s.
LOSS_SECONDS = 0.15


class Disk:
    """What is durable, over all processes. ``slow_until``: flushes take up to ``slowest`` seconds until then."""

    def __init__(self, chance: random.Random) -> None:
        self.image = b""
        self.flushes = 0
        # The state before the last flush, which a lost write brings back; and the size that was last written.
        self.before = b""
        self.flushed_bytes = 0
        self._folders: list[Path] = []
        self.slow_until = 0.0
        self.slowest = 0.0
        # A flush that began on a slow disk takes its time, and what waited for it comes after it.
        self.behind_until = 0.0
        self.full_until = 0.0
        self._chance = chance
        self._known: tuple[int, sqlite3.Connection] | None = None

    def flush_seconds(self) -> float:
        if trio.current_time() < self.slow_until:
            seconds = self._chance.uniform(FLUSH_SECONDS, self.slowest)
            self.behind_until = trio.current_time() + seconds + LOSS_SECONDS
            return seconds
        return FLUSH_SECONDS * self._chance.uniform(0.5, 3)

    def durable(self) -> sqlite3.Connection:
        """A look at what would survive now. Do not close it, nor write."""
        if self._known is None or self._known[0] != self.flushes:
            if self._known is not None:
                self._known[1].close()
            connection = sqlite3.connect(":memory:")
            if self.image:
                connection.deserialize(self.image)
            self._known = (self.flushes, connection)
        return self._known[1]

    def state_of(self, key: str) -> DeliveryState | None:
        """How a delivery stands durably; None when it is not there."""
        if not self.image:
            return None
        rows = reader.owed(self.durable(), of=key)
        return rows[0].state if rows else None

    def harm(self, harmed: Callable[[bytes, bytes], bytes]) -> None:
        """Change what is held, unseen by those who look on from outside until the next flush."""
        if self.image:
            self.durable()
        self.image = harmed(self.image, self.before)

    def set_aside(self, folder: Path) -> None:
        """Forget the present file, of which a copy lies in ``folder``."""
        self.image = b""
        self.flushed_bytes = 0
        self._folders.append(folder)

    def finish(self) -> None:
        for folder in self._folders:
            shutil.rmtree(folder)
        if self._known is not None:
            self._known[1].close()
            self._known = None


class Mount:
    """One process's use of the disk, until ``unplug``: then nothing that it does has any effect."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._unplugged = False
        self._written = False
        self._turn = trio.StrictFIFOLock()
        self._connections: list[sqlite3.Connection] = []

    def connect(self) -> sqlite3.Connection:
        """For a journal's Place."""
        mount = self

        class Noting(files.Connection):
            def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
                if sql == "COMMIT":
                    mount.note_write()
                return super().execute(sql, *parameters)

            def executescript(self, script: str, /) -> sqlite3.Cursor:
                mount.note_write()
                return super().executescript(script)

        connection = sqlite3.connect(":memory:", check_same_thread=False, factory=Noting)
        if self._disk.image:
            connection.deserialize(self._disk.image)
        self._connections.append(connection)
        return connection

    def note_write(self) -> None:
        if trio.current_time() < self._disk.full_until:
            raise full()
        self._written = True

    async def in_thread(self, function: Callable[[], T], /) -> T:
        """For a journal: one call at a time, and a flush after each that wrote."""
        async with self._turn:
            await trio.sleep(ASK_SECONDS)
            self._check()
            result = function()
            if self._written:
                self._written = False
                await trio.sleep(self._disk.flush_seconds())
                self._check()
                if self._connections:
                    self._flush()
                await trio.sleep(ASK_SECONDS)
            return result

    def unplug(self) -> None:
        self._unplugged = True

    def dispose(self) -> None:
        for connection in self._connections:
            connection.close()

    def _flush(self) -> None:
        self._disk.before = self._disk.image
        self._disk.image = self._connections[-1].serialize()
        self._disk.flushed_bytes = len(self._disk.image)
        self._disk.flushes += 1

    def _check(self) -> None:
        if self._unplugged:
            raise failure("the process is dead", sqlite3.SQLITE_IOERR)
