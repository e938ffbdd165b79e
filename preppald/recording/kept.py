"""The candidate's sound that is kept only until the transcript was checked, where interviews are not recorded.

    <state_dir>/checking/<process>/lock               held while that process lives
    <state_dir>/checking/<process>/<interview>.<epoch>/0001.notes
    <state_dir>/checking/<interview>.<epoch>.jsonl    what was found out so far: see interview/checking.py

Rule 1: a process removes the sound that another one left as soon as that is dead: a kill costs the check.
Rule 2: nothing of it is older than an hour after its interview.
"""

from collections.abc import Iterator
import contextlib
import fcntl
import os
from pathlib import Path
import shutil

import trio

from preppald.recording.recorder import Counter, Recorder
from preppald.recording.shelf import (
    DIRECTORY,
    DIRECTORY_MODE,
    FILE_MODE,
    BeingRecorded,
    Recording,
    Shelf,
    name_of,
    steadily,
)
from preppald.telemetry.interfaces import Log

CHECKING = "checking"
PROGRESS = ".jsonl"
KEPT_SECONDS = 3600.0
# The bound of all interviews of a process. Twenty hours of voice; past that new interviews are not checked.
MOST_BYTES = 2 * 1024**3


class Kept:
    """Holds a process's sound. ``run`` is its task, ``recorder`` writes the sound; the rest blocks, and raises OSError."""

    def __init__(self, state_dir: Path, *, log: Log, dropped: Counter) -> None:
        self.directory = f"{CHECKING}/{os.getpid()}"
        self.recorder = Recorder(state_dir, log=log, dropped=dropped, directory=self.directory)
        self._log = log
        self._state_dir = state_dir
        self._lock: int | None = None
        # True where there is no room for another interview, as of the last look.
        self.full = False

    async def run(self) -> None:
        """Keep sound until cancelled; at the end all of it goes."""
        try:
            await trio.to_thread.run_sync(self.open)
        except OSError as error:
            self._log.error("verification.not_ready", why=error.strerror, file=str(error.filename))
            self.full = True
            return
        try:
            await self.recorder.run()
        finally:
            self.close()

    def open(self) -> None:
        """Remove what dead processes left, and begin a directory of our own."""
        for directory in processes(self._state_dir):
            if _is_dead(directory):
                shutil.rmtree(directory)
        own = self._state_dir / self.directory
        for each in (own.parent, own):
            each.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        self._lock = os.open(own / "lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def close(self) -> None:
        """Remove our directory: nobody checks it after us."""
        if self._lock is not None:
            shutil.rmtree(self._state_dir / self.directory, ignore_errors=True)
            os.close(self._lock)
            self._lock = None

    @property
    def shelf(self) -> Shelf:
        return Shelf(self._state_dir, self.directory)

    def remove_older(self, now: float) -> int:
        """Remove the sound of interviews that ended an hour ago, and see if there is room; return how many they were.

        ``now``: the wall clock, seconds. One that cannot be removed stops no other: its error is raised at the end.
        """
        removed = 0
        failure: OSError | None = None
        for it in self.shelf.unfinished():
            try:
                if it.over(now) and now - it.changed > KEPT_SECONDS:
                    self.shelf.delete(it)
                    removed += 1
            except (FileNotFoundError, BeingRecorded):
                continue  # gone at this moment; or somebody has it, though it looks old: a clock was set
            except OSError as error:
                failure = error
        self.full = steadily(lambda: sum(it.size for it in self.shelf.unfinished())) > MOST_BYTES
        if failure is not None:
            raise failure
        return removed


def remove(state_dir: Path, own: Kept | None, interview_id: str, epoch: int, block: int) -> None:
    """Remove what was found out about an interview, and its sound where that was kept for this alone."""
    progress(state_dir, interview_id, epoch, block).unlink(missing_ok=True)
    for found in [] if own is None else own.shelf.of(interview_id):
        if own is not None and (found.epoch, found.block) == (epoch, block):
            own.shelf.delete(found)


def remove_findings(state_dir: Path, now: float) -> None:
    """Remove files of findings that nobody wrote to for an hour. ``now``: the wall clock, seconds."""
    for file in (state_dir / CHECKING).glob(f"*{PROGRESS}"):
        with contextlib.suppress(FileNotFoundError):
            if now - file.stat().st_mtime > KEPT_SECONDS:
                file.unlink()


def forget(state_dir: Path, interview_id: str) -> int:
    """Remove all that any process keeps of an interview for its check; return how many files that were."""
    removed = 0
    for directory in processes(state_dir):
        shelf = Shelf(state_dir, f"{CHECKING}/{directory.name}")
        for found in shelf.of(interview_id):
            removed += len(found.files)
            shutil.rmtree(found.notes[0].parent, ignore_errors=True)
    for file in (state_dir / CHECKING).glob(f"*{PROGRESS}"):
        if file.name.split(".")[0] == interview_id:
            file.unlink(missing_ok=True)
            removed += 1
    return removed


def progress(state_dir: Path, interview_id: str, epoch: int, block: int) -> Path:
    """Return the file of what was found out so far."""
    return state_dir / CHECKING / f"{name_of(interview_id, epoch, block)}{PROGRESS}"


def find(
    state_dir: Path, shelves: tuple[str, ...], interview_id: str, epoch: int, block: int
) -> Recording | None:
    """Return the sound of an interview, wherever there is any."""
    for directory in shelves:
        for found in Shelf(state_dir, directory).of(interview_id):
            if (found.epoch, found.block) == (epoch, block):
                return found
    return None


def shelves(state_dir: Path) -> tuple[str, ...]:
    """Return the directories of the state directory that may hold sound."""
    return (DIRECTORY, *(f"{CHECKING}/{it.name}" for it in processes(state_dir)))


def processes(state_dir: Path) -> Iterator[Path]:
    """Yield the directories of processes, living or dead."""
    yield from sorted(it for it in (state_dir / CHECKING).glob("*/") if it.is_dir())


def _is_dead(directory: Path) -> bool:
    try:
        lock = os.open(directory / "lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    except FileNotFoundError:
        return False  # removed at this moment
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True
