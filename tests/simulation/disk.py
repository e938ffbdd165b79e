"""A disk with a cache: what a process wrote is not what survives its death.

The database is a real SQLite in memory. What survives is its image as of the last flush that was complete; a kill
between the write and the end of the flush takes the write back. A file has a name as long as nobody takes that away
under the process: what is then flushed into it is lost with the process.

Other instances' databases are real files, in a directory of each process's own; they survive as of the same flushes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
import random
import shutil
import sqlite3
import tempfile
from typing import Any, TypeVar

import trio

from preppald.core.deliveries import DeliveryState
from preppald.journal import OnDisk, files, reader, rows
from tests.durable import failure, full

T = TypeVar("T")

# What a question, a write and a flush cost when nothing is wrong: milliseconds, as measured.
ASK_SECONDS = 0.0002
FLUSH_SECONDS = 0.002
# What was recorded so long before a kill is durable, on a disk that answers: the journal's promise is 0.1 s.
LOSS_SECONDS = 0.15
# Of a database, as a process that was killed leaves it.
SUFFIXES = ("", "-wal")


@dataclass(slots=True, eq=False)
class Inode:
    """A file, with a name or without. ``before``: its state before the last flush, which a lost write brings back.

    ``flushed_bytes``: the size that the process noted at its last commit.
    """

    image: bytes = b""
    before: bytes = b""
    flushed_bytes: int = 0


class Disk:
    """What is durable, over all processes. ``slow_until``: flushes take up to ``slowest`` seconds until then."""

    def __init__(self, chance: random.Random) -> None:
        # Our instance's files that have a name, by generation; and the one that a process has open, or would open.
        self.named: dict[int, Inode] = {1: Inode()}
        self.open = self.named[1]
        # Other instances' files, by instance and suffix.
        self.neighbours: dict[str, dict[str, bytes]] = {}
        self.flushes = 0
        self._folders: list[Path] = []
        self.slow_until = 0.0
        self.slowest = 0.0
        # A flush that began on a slow disk takes its time, and what waited for it comes after it.
        self.behind_until = 0.0
        self.full_until = 0.0
        self._chance = chance
        self._known: tuple[int, sqlite3.Connection] | None = None

    @property
    def image(self) -> bytes:
        return self.open.image

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
            rows.equip(connection)
            self._known = (self.flushes, connection)
        return self._known[1]

    def state_of(self, key: str) -> DeliveryState | None:
        """How a delivery stands durably; None when it is not there."""
        if not self.image:
            return None
        found = reader.owed(self.durable(), of=key)
        return found[0].state if found else None

    def harm(self, harmed: Callable[[bytes, bytes], bytes]) -> None:
        """Change what is held, unseen by those who look on from outside until the next flush."""
        if self.image:
            self.durable()
        self.open.image = harmed(self.image, self.open.before)

    def take_name(self, content: bytes | None) -> None:
        """Give the name of the open file to another one, or to none, under the process that has it open."""
        for number, inode in list(self.named.items()):
            if inode is self.open:
                del self.named[number]
                if content is not None:
                    self.named[number] = Inode(content, flushed_bytes=inode.flushed_bytes)

    def abandon(self) -> None:
        """Note that the process is gone: what has no name is gone with it."""
        newest = self.named[max(self.named)] if self.named else Inode()
        if newest is not self.open:
            self.switch(newest)

    def switch(self, inode: Inode) -> None:
        """Note that a process has another file open now."""
        self.open = inode
        self.flushes += 1

    def folder(self) -> Path:
        """Return a new directory, which lasts as long as the disk."""
        folder = Path(tempfile.mkdtemp(prefix="simulated-"))
        self._folders.append(folder)
        return folder

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
        self._number = max(disk.named, default=1)
        self._inode: Inode | None = None
        self._folder: Path | None = None
        self._places: list[OnDisk] = []

    @property
    def name(self) -> str:
        """Return the path of the present file, which is nowhere."""
        return f"/simulated/{_name(self._number)}"

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

        self._inode = self._disk.named.setdefault(self._number, Inode())
        if self._disk.open is not self._inode:
            self._disk.switch(self._inode)
        connection = sqlite3.connect(":memory:", check_same_thread=False, factory=Noting)
        if self._inode.image:
            connection.deserialize(self._inode.image)
        self._connections.append(connection)
        return connection

    def losses(self) -> list[str]:
        inode = self._disk.named.get(self._number, Inode())
        now, last = len(inode.image), inode.flushed_bytes
        return [f"the database has {now} bytes, and had {last} at the last commit"] if now < last else []

    def trouble(self) -> str | None:
        there = self._disk.named.get(self._number)
        if self._inode is None or there is self._inode:
            return None
        return f"{self.name} was " + ("removed" if there is None else "replaced by another file")

    def succeed(self) -> None:
        self._number = max([self._number, *self._disk.named]) + 1
        self._disk.named[self._number] = Inode()

    def set_aside(self) -> Path:
        """Take the present file's name away; return a copy of the file."""
        inode = self._disk.named.pop(self._number, Inode())
        aside = self._disk.folder() / f"{_name(self._number)}.corrupt"
        aside.write_bytes(inode.image)
        return aside

    def earlier(self) -> list[Path]:
        """Return copies of earlier generations: they are read, and never written."""
        older = sorted(number for number in self._disk.named if number < self._number)
        return [self._own_folder(_name(number), self._disk.named[number].image) for number in older]

    def others(self) -> list[OnDisk]:
        """Return the other instances' places."""
        for name, content in self._disk.neighbours.items():
            if all(place.name != str(self._folder and self._folder / f"{name}.db") for place in self._places):
                for suffix, data in content.items():
                    self._own_folder(f"{name}.db{suffix}", data)
                # It was run.
                self._own_folder(f"{name}.lock", b"1\n")
                self._places.append(OnDisk(self._own_folder(), name, reserve_bytes=0))
        return list(self._places)

    def _own_folder(self, file: str = "", data: bytes = b"") -> Path:
        self._folder = self._folder or self._disk.folder()
        if file:
            (self._folder / file).write_bytes(data)
        return self._folder / file

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
            self._keep_neighbours()
            return result

    def unplug(self) -> None:
        self._unplugged = True
        self._disk.abandon()

    def dispose(self) -> None:
        for connection in self._connections:
            connection.close()
        for place in self._places:
            place.release()
        if not self._unplugged:
            self._disk.abandon()

    def _flush(self) -> None:
        if self._inode is not None:
            self._inode.before = self._inode.image
            self._inode.image = self._connections[-1].serialize()
            self._inode.flushed_bytes = len(self._inode.image)
        self._disk.flushes += 1

    def _keep_neighbours(self) -> None:
        if self._folder is not None and self._places:
            for name in self._disk.neighbours:
                paths = {suffix: self._folder / f"{name}.db{suffix}" for suffix in SUFFIXES}
                self._disk.neighbours[name] = {
                    suffix: path.read_bytes() for suffix, path in paths.items() if path.exists()
                }

    def _check(self) -> None:
        if self._unplugged:
            raise failure("the process is dead", sqlite3.SQLITE_IOERR)


def _name(number: int) -> str:
    return "preppald.db" if number == 1 else f"preppald.{number}.db"
