"""One instance's place in the state directory: the lock, the files, and what becomes of them.

    <state_dir>/<instance>.db        the database, with SQLite's -wal and -shm beside it
    <state_dir>/<instance>.2.db      its successor, begun when the disk failed under the first
    <state_dir>/<instance>.lock      held by the daemon, with its pid in it; for moments, by one that adopts. Its second
                                     line is what there was at the last commit
    <state_dir>/<instance>.reserve   space to give up when the disk is full
    <state_dir>/<instance>.db.corrupt-<stamp>   moved aside, never deleted; set_aside.py may write one anew

Everything is readable by its owner only: transcripts are personal.

Rule 1: the database itself is locked, too, by a descriptor that is opened before SQLite has the file and closed after
        it: a lock that cannot be removed by its name, and by which a removed or replaced file is known. No other
        descriptor of ours is ever closed while SQLite has the file: that would drop SQLite's own locks.
"""

from collections.abc import Callable
import contextlib
from datetime import UTC, datetime
import fcntl
import os
from pathlib import Path
import re
import sqlite3
import time

from preppald.errors import StartError
from preppald.journal.files import (
    BUSY_SECONDS,
    DIRECTORY_MODE,
    FILE_MODE,
    INSTANCE_NAME,
    Connection,
    generation_file,
    generations,
    instances,
)

DEFAULT_INSTANCE = "preppald"
# A daemon's note in the lock of another that does not run, whose interviews it takes over.
ADOPTING = "adopting"
# Of a lock file: a pid, a word, a name of 64 characters, two sizes.
NOTE_BYTES = 160
# Adoption takes a moment, and two of our own looks may cross: a start waits so long. Less than TimeoutStartSec=.
ADOPTED_SECONDS = 30.0
CROSSED_SECONDS = 0.3
LOOK_SECONDS = 0.02
# Half an hour of transcripts of 500 interviews: time to make room, without losing the journal meanwhile.
RESERVE_BYTES = 64 * 1024 * 1024


class OnDisk:
    """The files of one instance in a state directory."""

    def __init__(
        self,
        state_dir: Path,
        instance: str = DEFAULT_INSTANCE,
        *,
        reserve_bytes: int = RESERVE_BYTES,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if not INSTANCE_NAME.fullmatch(instance):
            raise StartError(f"the instance name {instance!r} must be 1 to 64 of A-Z a-z 0-9 _ -")
        self._state_dir = state_dir
        self._instance = instance
        self._reserve_bytes = reserve_bytes
        self._now = now
        self._generation = 1
        self._lock: int | None = None
        self._note_of_holder = ""
        # Descriptors of databases, by path: see rule 1. Those of files that were left are closed with the rest.
        self._held: dict[Path, int] = {}
        self._left: list[int] = []
        # Of the present file and of its -wal, as last seen: inode and size.
        self._seen: dict[Path, tuple[int, int]] = {}
        # The last process's note: the file, its size and that of its -wal; an empty name for nothing.
        self._noted = ("", 0, 0)

    @property
    def name(self) -> str:
        return str(self._file)

    @property
    def _file(self) -> Path:
        return generation_file(self._state_dir, self._instance, self._generation)

    @property
    def _reserve(self) -> Path:
        return self._state_dir / f"{self._instance}.reserve"

    @property
    def _lock_file(self) -> Path:
        return self._state_dir / f"{self._instance}.lock"

    @property
    def _generations(self) -> list[tuple[int, Path]]:
        return generations(self._state_dir, self._instance)

    def hold(self) -> None:
        began = time.monotonic()
        while not self._take(f"{os.getpid()}"):
            holder, _, adopting = self._holder().partition(" ")
            if time.monotonic() > began + (ADOPTED_SECONDS if adopting else CROSSED_SECONDS):
                raise StartError(
                    f"the database {self.name} is in use by the preppald with pid {holder or 'unknown'}: stop it, "
                    "or give this one a name of its own with PREPPALD_INSTANCE"
                )
            time.sleep(LOOK_SECONDS)

    def take(self) -> bool:
        return self._take(f"{os.getpid()} {ADOPTING}")

    def _take(self, note: str) -> bool:
        """Try to lock, with the note in the file; return whether the lock is this process's now."""
        try:
            self._state_dir.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
            lock = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise StartError(
                f"the state directory {self._state_dir} cannot be used ({error.strerror}): "
                "make it writable for this user, or set PREPPALD_STATE_DIR"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._noted = _noted(os.pread(lock, NOTE_BYTES, 0))
        self._note_of_holder = note
        self._lock = lock
        self._generation = max((number for number, _ in self._generations), default=1)
        self._write_note(*self._noted)
        return True

    def _write_note(self, name: str, size: int, wal_size: int) -> None:
        if self._lock is not None:
            text = f"{self._note_of_holder}\n" + (f"{name} {size} {wal_size}\n" if name else "")
            os.pwrite(self._lock, text.encode(), 0)
            os.ftruncate(self._lock, len(text))

    def _holder(self) -> str:
        return self._lock_file.read_text("ascii", "replace").partition("\n")[0].strip()

    def release(self) -> None:
        # The file stays: unlinking it would let a third process lock another one of the same name.
        if self._lock is not None:
            with contextlib.suppress(OSError):
                self.written()
            os.close(self._lock)
            self._lock = None
        for held in (*self._held.values(), *self._left):
            os.close(held)
        self._held, self._left, self._seen = {}, [], {}

    def connect(self) -> sqlite3.Connection:
        self._hold_file()
        return sqlite3.connect(
            self._file,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            factory=Connection,
        )

    def _hold_file(self) -> None:
        """Lock the present file itself, and make it if there is none."""
        known = self._held.get(self._file)
        if known is not None:
            if _same(self._file, known):
                return
            self._left.append(self._held.pop(self._file))
        # SQLite gives -wal and -shm the mode that the database has.
        held = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(held)  # SQLite has not got it here: another process has
            raise StartError(
                f"the database {self.name} is in use by another preppald, whose lock file was removed: stop that one, "
                "or give this one a name of its own with PREPPALD_INSTANCE"
            ) from None
        self._held[self._file] = held
        self._seen = {}

    def losses(self) -> list[str]:
        name, size, wal_size = self._noted
        if name != self._file.name:
            if name and not (self._state_dir / name).exists():
                return [f"{name} is gone: it had {size} bytes at the last commit"]
            return []
        now, wal_now = _size(self._file), _size(_wal(self._file))
        found = []
        if now < size:
            found.append(f"{name} has {now} bytes, and had {size} at the last commit")
        if wal_now < wal_size:
            found.append(
                f"{name}-wal has {wal_now} bytes, and had {wal_size} at the last commit: the newest commits are gone"
            )
        return found

    @property
    def watched(self) -> bool:
        return True

    def trouble(self) -> str | None:
        held = self._held.get(self._file)
        if held is None:
            return None
        for path in (self._file, _wal(self._file)):
            try:
                there = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                if path in self._seen or path == self._file:
                    return f"{path} was removed"
                continue  # no -wal yet
            except OSError as error:
                return f"{path} cannot be looked at ({error.strerror})"
            inode, size = self._seen.get(path, (there.st_ino, 0))
            if there.st_ino != inode or (path == self._file and not _same(path, held)):
                return f"{path} was replaced by another file"
            if there.st_size < size:
                return f"{path} was cut from {size} to {there.st_size} bytes"
            self._seen[path] = (there.st_ino, there.st_size)
        return None

    def written(self) -> None:
        self._write_note(self._file.name, _size(self._file), _size(_wal(self._file)))

    def shrunk(self) -> None:
        self._seen = {}
        self.written()

    def set_aside(self) -> str:
        stamp = self._now().strftime("%Y%m%dT%H%M%S.%fZ")
        aside = self._file.with_name(f"{self._file.name}.corrupt-{stamp}")
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{self._file}{suffix}").rename(f"{aside}{suffix}")
        return str(aside)

    def succeed(self) -> None:
        # The directory itself may be gone, and another one with files of ours may be in its place.
        self._state_dir.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        self._lock_again()
        highest = max((number for number, _ in self._generations), default=0)
        number = max(self._generation, highest) + 1
        successor = generation_file(self._state_dir, self._instance, number)
        os.close(os.open(successor, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
        self._generation = number

    def _lock_again(self) -> None:
        """Take the lock by its name once more, if that is another file's now, or nobody's."""
        if self._lock is None or _same(self._lock_file, self._lock):
            return
        lock = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise
        os.close(self._lock)
        self._lock = lock

    def earlier(self) -> list[Path]:
        return [file for number, file in self._generations if number < self._generation]

    def others(self) -> "list[OnDisk]":
        names = (name for name in instances(self._state_dir) if INSTANCE_NAME.fullmatch(name))
        return [OnDisk(self._state_dir, name, reserve_bytes=0) for name in names if name != self._instance]

    def was_run(self) -> bool:
        return self._lock_file.exists()

    def databases(self) -> list[Path]:
        return [file for _, file in self._generations]

    def reserve(self) -> bool:
        if self._reserve_bytes == 0 or self._reserve.exists():
            return True
        try:
            reserve = os.open(self._reserve, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
            try:
                os.posix_fallocate(reserve, 0, self._reserve_bytes)
            finally:
                os.close(reserve)
        except OSError:
            # Half a reserve would take the very space that is short.
            self._reserve.unlink(missing_ok=True)
            return False
        return True

    def free_reserve(self) -> bool:
        try:
            self._reserve.unlink()
        except OSError:
            return False
        return True


def _wal(file: Path) -> Path:
    return Path(f"{file}-wal")


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _same(path: Path, descriptor: int) -> bool:
    """Return whether this descriptor is of the file that has the name now."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False


def _noted(content: bytes) -> tuple[str, int, int]:
    """Return the note of ``written`` in a lock file: the database's name, its size, its -wal's size."""
    match = _NOTE.fullmatch(content.decode("ascii", "replace").rstrip())
    return ("", 0, 0) if match is None else (match[1], int(match[2]), int(match[3]))


_NOTE = re.compile(r"[^\n]*\n([A-Za-z0-9_.-]+) ([0-9]{1,15}) ([0-9]{1,15})")
