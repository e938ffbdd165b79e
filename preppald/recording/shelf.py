"""The shelf of recordings, <state_dir>/recordings; readable by their owner only.

    <interview>.<epoch>/0001.notes   while it runs, and until it is finished: one file a process
    <interview>.<epoch>.flac         finished; .wav where there was no encoder
    <interview>.<epoch>.<block>...   the same of a block of the interview, which has an epoch of its own

An interview's id is safe in a file's name: see INTERVIEW_ID.
A file of notes is locked by the process that writes it, and a lock dies with its process. An interview may go on in
another process, of whatever instance: so nobody finishes notes that do not end with the interview.

A finished file takes the place of its notes at any moment: first the file is there, then the notes go. So a reader opens
what it found under ``steadily``, which looks again where that has gone.
"""

from collections.abc import Callable, Iterator
import contextlib
from dataclasses import dataclass
import fcntl
import os
from pathlib import Path
import re
import shutil
from typing import TypeVar

from preppald.core.tokens import INTERVIEW_ID
from preppald.errors import EX_IOERR, PreppaldError
from preppald.recording.notes import over

DIRECTORY = "recordings"
FILE_MODE = 0o600
DIRECTORY_MODE = 0o700
NOTES = ".notes"
# The suffix of a file in the making, by a process that may have died.
UNFINISHED = ".unfinished"
FINISHED_FORMATS = ("flac", "wav")
# The longest interview lasts four hours, and a candidate may stay away for a quarter of one.
ABANDONED_SECONDS = 6 * 3600.0
# A look takes milliseconds, and loses only to a recording that is finished or deleted within them.
LOOKS = 8
T = TypeVar("T")
_NAME = re.compile(rf"({INTERVIEW_ID.pattern})\.([1-9][0-9]{{0,8}})(?:\.([1-9][0-9]?))?")


class BeingRecorded(PreppaldError):
    """The interview goes on."""


class AmongRecordings(PreppaldError):
    """Something else would be written among them."""

    exit_status = EX_IOERR


@dataclass(frozen=True, slots=True)
class Recording:
    """One interview's, or one block's. Either ``file`` is its finished file, or ``notes`` are its files of notes, in order.

    ``block``: the block's number; 0 for an ordinary interview.
    """

    interview_id: str
    epoch: int
    file: Path | None = None
    notes: tuple[Path, ...] = ()
    block: int = 0

    @property
    def name(self) -> str:
        return name_of(self.interview_id, self.epoch, self.block)

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(it.stat().st_size for it in self.files)

    @property
    def changed(self) -> float:
        """The time of the last write: seconds of the wall clock."""
        return max(it.stat().st_mtime for it in self.files)

    def over(self, now: float) -> bool:
        """Return whether the interview is over: by its notes, or abandoned. ``now``: the wall clock, seconds."""
        return not self.notes or over(self.notes[-1]) or now - self.changed > ABANDONED_SECONDS

    @property
    def files(self) -> tuple[Path, ...]:
        return self.notes if self.file is None else (self.file,)


def steadily(look: Callable[[], T]) -> T:
    """Return what a look at recordings returns, of another one where a recording went away under it.

    Raises:
        FileNotFoundError: one went away under each of ``LOOKS`` looks.
    """
    for _ in range(LOOKS - 1):
        with contextlib.suppress(FileNotFoundError):
            return look()
    return look()


def name_of(interview_id: str, epoch: int, block: int = 0) -> str:
    return f"{interview_id}.{epoch}.{block}" if block else f"{interview_id}.{epoch}"


class Shelf:
    """The recordings of a state directory. Everything blocks, and raises OSError.

    ``directory``: another one of the state directory, with sound that is kept for a while only.
    """

    def __init__(self, state_dir: Path, directory: str = DIRECTORY) -> None:
        self.directory = state_dir / directory

    def spare(self, output: Path) -> None:
        """Refuse a file of somebody else's that would stand among the recordings, perhaps in the place of one.

        Raises:
            AmongRecordings: it would.
        """
        if Path(os.path.realpath(output)).is_relative_to(os.path.realpath(self.directory)):
            raise AmongRecordings(f"{output} would be among the recordings themselves: name another place")

    def all(self) -> list[Recording]:
        """Return every recording, the one that changed last first; one that is just finished perhaps as notes and file."""

        def look() -> list[Recording]:
            found = [*self.unfinished(), *self._finished()]
            return sorted(found, key=lambda it: it.changed, reverse=True)

        return steadily(look)

    def interviews(self) -> frozenset[str]:
        """Return the interviews that have a recording, finished or not."""
        names = (_NAME.match(it.name) for it in self.directory.glob("*.*"))
        return frozenset(match[1] for match in names if match)

    def of(self, interview_id: str) -> list[Recording]:
        """Return those of one interview: the newest epoch first, a finished file before the notes that it came from."""
        found = [it for it in self.all() if it.interview_id == interview_id]
        return sorted(found, key=lambda it: (it.epoch, it.file is not None), reverse=True)

    def parts(self, interview_id: str) -> list[Recording]:
        """Return the recordings that make up one interview: its newest epoch, or its blocks in order, each one's newest."""
        found = self.of(interview_id)
        if not found or not found[0].block:
            return found[:1]
        newest = {it.block: it for it in reversed(found) if it.block}
        return [newest[block] for block in sorted(newest)]

    def unfinished(self) -> Iterator[Recording]:
        """Return those that are still notes."""
        for directory in sorted(self.directory.glob("*.*/")):
            match = _NAME.fullmatch(directory.name)
            notes = tuple(sorted(directory.glob(f"*{NOTES}")))
            if match and notes:
                yield Recording(match[1], int(match[2]), notes=notes, block=int(match[3] or 0))

    def _finished(self) -> Iterator[Recording]:
        for file in sorted(self.directory.glob("*.*.*")):
            match = _NAME.fullmatch(file.stem)
            if match and file.suffix[1:] in FINISHED_FORMATS:
                yield Recording(match[1], int(match[2]), file=file, block=int(match[3] or 0))

    def delete(self, recording: Recording) -> None:
        """Remove a recording for good.

        Raises:
            BeingRecorded: the interview goes on.
        """
        if recording.file is not None:
            recording.file.unlink(missing_ok=True)
            return
        with locked(recording):
            shutil.rmtree(recording.notes[0].parent)


def new_notes(shelf: Path, name: str) -> tuple[int, Path]:
    """Open a new file of notes, locked by this process; return its descriptor and its path."""
    directory = shelf / name
    for each in (shelf, directory):
        each.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    number = 1 + max((int(it.stem) for it in directory.glob(f"*{NOTES}") if it.stem.isdecimal()), default=0)
    path = directory / f"{number:04}{NOTES}"
    file = os.open(
        path,
        os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC,
        FILE_MODE,
    )
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file, path


@contextlib.contextmanager
def locked(recording: Recording) -> Iterator[None]:
    """Lock the notes, so that nobody else writes or finishes them.

    Raises:
        BeingRecorded: another process has the lock.
    """
    with contextlib.ExitStack() as held:
        for file in recording.notes:
            stream = held.enter_context(file.open("rb"))
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BeingRecorded(
                    f"interview {recording.interview_id} is being recorded: wait until it is over"
                ) from None
        yield


def is_running(recording: Recording) -> bool:
    """Return whether a process writes the recording now. Raises FileNotFoundError: it is no longer there as notes."""
    try:
        with locked(recording):
            return False
    except BeingRecorded:
        return True
