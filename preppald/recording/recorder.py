"""Writes the tapes' notes to disk twice a second, in a thread. The interviews never wait for it.

Rule 1: memory is bounded. Sound that a slow disk does not take in time is not recorded, and logged once.
Rule 2: the journal has the disk before us: with little space left nothing is recorded, and that is logged once.
Rule 3: a file only grows. After a failed write, and in a new process, another file is begun.
"""

from collections.abc import Sequence
import contextlib
import os
from pathlib import Path
from typing import Protocol

import trio

from preppald.core.interview import Interview
from preppald.net.threads import InThread, own_thread
from preppald.net.wakeup import Wakeup
from preppald.recording import notes, shelf
from preppald.recording.notes import Head
from preppald.recording.tape import CandidatesTape, Entry, RunningTape
from preppald.telemetry.interfaces import Log

# The beat of the disk, and with it the most that a killed process or a loss of power takes from its recordings.
WRITE_SECONDS = 0.5
# Half a second of 500 interviews is 14 MB, when all speak at once and Gemini sends ahead three times that.
PENDING_BYTES = 64 * 1024 * 1024
# Below this nothing is recorded. The journal's own reserve is a sixteenth of it.
FREE_BYTES = 1024 * 1024 * 1024
# For the last interviews' sound at the end of the daemon, if the disk takes it.
LAST_WRITE_SECONDS = 3.0
TOO_SLOW = "the disk is too slow"


class Counter(Protocol):
    """Counts lost bytes."""

    def inc(self, amount: float = 1) -> None: ...


class Uncounted:
    def inc(self, amount: float = 1) -> None:
        pass


class Recorder:
    """``run`` is its task. ``over`` is rung when a recording is all written.

    ``dropped``: counts the bytes that were not recorded. ``free_bytes``: below this much space nothing is.
    ``directory``: of the state directory; another one than that of recordings has the candidate's sound alone.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        log: Log,
        dropped: Counter | None = None,
        in_thread: InThread | None = None,
        free_bytes: int = FREE_BYTES,
        directory: str = shelf.DIRECTORY,
    ) -> None:
        self.pending_bytes = 0
        self.over = Wakeup()
        self._directory = state_dir / directory
        self._tape = RunningTape if directory == shelf.DIRECTORY else CandidatesTape
        self._log = log
        self._dropped = dropped or Uncounted()
        self._in_thread = in_thread or own_thread()
        self._free_bytes = free_bytes
        self._tapes: list[RunningTape] = []
        self._files: dict[RunningTape, int] = {}
        # The reason of a loss since the last write, and the reason that was logged.
        self._fault: str | None = None
        self._told: str | None = None

    def tape(self, interview: Interview, epoch_ms: float) -> RunningTape:
        """Return a tape for an interview that begins or goes on. ``epoch_ms``: the wall clock at Trio's time 0."""
        head = Head(interview.interview_id, interview.epoch, interview.started_ms, interview.block)
        tape = self._tape(head, (interview.started_ms - epoch_ms) / 1000, self._room)
        self._tapes.append(tape)
        return tape

    def _room(self, size: int) -> bool:
        if self.pending_bytes + size > PENDING_BYTES:
            self._lose(size, TOO_SLOW)
            return False
        self.pending_bytes += size
        return True

    async def run(self) -> None:
        """Write until cancelled; notes taken by then are still written."""
        try:
            while True:
                await trio.sleep(WRITE_SECONDS)
                await self._write()
        finally:
            with trio.move_on_after(LAST_WRITE_SECONDS, shield=True):
                await self._write()
            for file in self._files.values():
                os.close(file)

    async def _write(self) -> None:
        over = [tape for tape in self._tapes if tape.closed]
        batch = [(tape, entries) for tape in self._tapes if (entries := tape.taken())]
        self._tapes = [tape for tape in self._tapes if not tape.closed]
        if not batch and not over:
            return
        self._fault = None
        losses: list[tuple[int, str]] = []
        await self._in_thread(lambda: self._to_disk(batch, over, losses))
        self.pending_bytes -= sum(_size(entries) for _, entries in batch)
        for size, why in losses:
            self._lose(size, why)
        if self._fault is None and self._told is not None:
            self._told = None
            self._log.info("recording.goes_on")
        if over:
            self.over.ring()

    # -------------------------------------------------------------- in the thread

    def _to_disk(
        self,
        batch: Sequence[tuple[RunningTape, list[Entry]]],
        over: Sequence[RunningTape],
        losses: list[tuple[int, str]],
    ) -> None:
        short = self._short() if batch else None
        for tape, entries in batch:
            try:
                why = short or self._append(tape, entries)
            except Exception as error:  # noqa: BLE001 - one recording's trouble ends no other
                why = f"a bug ({type(error).__name__})"
            if why is not None:
                losses.append((_size(entries), why))
                self._leave(tape)
        # After all writes: the first wait brings most of the others' bytes to the disk with its own.
        for tape, _ in batch:
            if (why := self._sync(tape)) is not None:
                losses.append((0, why))
                self._leave(tape)
        for tape in over:
            self._leave(tape)

    def _short(self) -> str | None:
        """Return a sentence if there is too little space."""
        try:
            self._directory.mkdir(mode=shelf.DIRECTORY_MODE, parents=True, exist_ok=True)
            disk = os.statvfs(self._directory)
        except OSError as error:
            return error.strerror or str(error)
        free = disk.f_bavail * disk.f_frsize
        return None if free >= self._free_bytes else f"less than {self._free_bytes >> 20} MiB are free"

    def _append(self, tape: RunningTape, entries: Sequence[Entry]) -> str | None:
        """Append to the file; return the reason of a failure, if any."""
        try:
            file = self._files.get(tape)
            if file is None:
                self._begin(tape, entries)
            else:
                _write_all(file, _records(tape, entries))
        except OSError as error:
            return error.strerror or str(error)
        return None

    def _sync(self, tape: RunningTape) -> str | None:
        """Wait until the file's bytes outlive a loss of power; return the reason of a failure, if any."""
        file = self._files.get(tape)
        if file is None:
            return None
        try:
            os.fdatasync(file)
        except OSError as error:
            return error.strerror or str(error)
        return None

    def _begin(self, tape: RunningTape, entries: Sequence[Entry]) -> None:
        """Begin a file, and remove one that could not be begun: each try would leave another."""
        file, path = shelf.new_notes(self._directory, _name(tape))
        self._files[tape] = file
        try:
            _write_all(file, notes.head(tape.head) + _records(tape, entries))
        except OSError:
            path.unlink()
            raise

    def _leave(self, tape: RunningTape) -> None:
        """End the tape's file, which may end with half a record."""
        file = self._files.pop(tape, None)
        if file is not None:
            with contextlib.suppress(OSError):  # the written part is there, or the disk is broken
                os.close(file)

    # -------------------------------------------------------------- loudly, once

    def _lose(self, size: int, why: str) -> None:
        self._dropped.inc(size)
        self._fault = why
        if self._told is None:
            self._told = why
            self._log.error(
                "recording.interrupted",
                why=why,
                directory=str(self._directory),
                todo="interviews go on, unrecorded: make room there, or set PREPPALD_RECORD=off",
            )


def _records(tape: RunningTape, entries: Sequence[Entry]) -> bytes:
    return b"".join(notes.record(kind, round((at - tape.zero) * 1_000_000), pcm) for kind, at, pcm in entries)


def _write_all(file: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]


def _name(tape: RunningTape) -> str:
    return shelf.name_of(tape.head.interview_id, tape.head.epoch, tape.head.block)


def _size(entries: Sequence[Entry]) -> int:
    return sum(len(pcm) for _, _, pcm in entries)
