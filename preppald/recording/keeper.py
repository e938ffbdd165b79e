"""Looks after recordings whose interviews are over: finishes them one at a time, and removes old ones.

Mixing and compressing an hour takes 13 s of a core: a process of its own does it, of the lowest priority where that is
allowed, so that no conversation waits. The process runs ``preppald recording ID --finish``, which an operator can run,
too.
"""

from collections.abc import Awaitable, Callable
import contextlib
from functools import partial
import os
from pathlib import Path
import subprocess
import sys
import time

import trio

from preppald.recording.recorder import Recorder
from preppald.recording.shelf import BeingRecorded, Recording, Shelf, is_running
from preppald.telemetry.interfaces import Log
from preppald.telemetry.memory import Memory

# The interval of removing old recordings, and of trying again to finish others.
LOOK_SECONDS = 3600.0
# An interview lasts four hours at most. On a busy machine of the slowest kind that is a quarter of an hour's work.
FINISH_SECONDS = 3600.0

# The most that an hour's finishing takes (measured: 70 MiB), and some.
FINISHER_BYTES = 96 * 2**20
# How often room for it is looked for.
ROOM_SECONDS = 30.0
# How often other instances' recordings are looked for: one that drained ends before its last are finished.
OTHERS_SECONDS = 10.0

# Finishes one recording; returns the error, or None.
Finish = Callable[[Recording], Awaitable[str | None]]


def in_a_process(state_dir: Path) -> Finish:
    """Run the command in a process that ends with us."""
    where = str(state_dir.absolute())
    frozen = getattr(sys, "frozen", False)
    program = [sys.executable] if frozen else [sys.executable, "-m", "preppald"]

    async def finish(recording: Recording) -> str | None:
        # Our own environment, passed on: the encoder is found on its PATH. The one-file binary's other process
        # unpacks itself anew: ours may have been replaced by an upgrade.
        env = {
            **os.environ,
            "PREPPALD_STATE_DIR": where,
            "PYINSTALLER_RESET_ENVIRONMENT": "1",
        }
        # An interview's id may begin like an option.
        which = ["--epoch", str(recording.epoch), "--", recording.interview_id]
        command = [*program, "recording", "--finish", *which]
        with trio.move_on_after(FINISH_SECONDS):
            run = partial(trio.run_process, command, env=env, check=False, capture_stdout=True)
            try:
                done = await run(capture_stderr=True, stdin=subprocess.DEVNULL)
            except OSError as error:
                return f"{program[0]} cannot be run: {error.strerror}"
            words = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
            return None if done.returncode == 0 else words or f"status {done.returncode}"
        return f"it takes longer than {FINISH_SECONDS:.0f} s"

    return finish


class Keeper:
    """``run`` is its task. ``retention``: how long a finished recording is kept, in seconds; 0: for ever."""

    def __init__(
        self,
        state_dir: Path,
        recorder: Recorder,
        *,
        log: Log,
        retention: Callable[[], float],
        finish: Finish | None = None,
        memory: Memory | None = None,
    ) -> None:
        self._shelf = Shelf(state_dir)
        self._recorder = recorder
        self._log = log
        self._retention = retention
        self._finish = finish or in_a_process(state_dir)
        self._memory = memory or Memory(allowed=lambda: None)

    async def run(self) -> None:
        """Finish each recording when its interview is over, and those that another process left."""
        next_sweep = trio.current_time()
        failed: set[str] = set()
        while True:
            if trio.current_time() >= next_sweep:
                next_sweep = trio.current_time() + LOOK_SECONDS
                failed = set()
                await self._sweep()
            wait = await self._finish_all(failed)
            await self._recorder.over.heard(min(wait, next_sweep - trio.current_time()))

    async def _finish_all(self, failed: set[str]) -> float:
        """Finish all that are due; return the seconds after which to look again.

        ``failed``: the names of those that are not tried again before the next sweep.
        """
        try:
            left = await trio.to_thread.run_sync(self._due)
        except OSError as error:
            self._unreadable(error)
            return LOOK_SECONDS
        for recording in left:
            if not self._memory.room(FINISHER_BYTES):
                # The interviews that run go first: the kernel would end all of them.
                self._log.warning("recording.waits", why="no memory is free for finishing it", left=len(left))
                return ROOM_SECONDS
            if recording.name not in failed and not await self._finished(recording):
                failed.add(recording.name)
        return OTHERS_SECONDS

    def _due(self) -> list[Recording]:
        """Return the recordings that are over and in no process's hands: another instance may have been quicker."""
        now = time.time()  # noqa: TID251 - files have the wall clock's times
        due = []
        for it in self._shelf.unfinished():
            with contextlib.suppress(FileNotFoundError):  # another process has finished or deleted it
                if it.over(now) and not is_running(it):
                    due.append(it)
        return due

    async def _finished(self, recording: Recording) -> bool:
        began = trio.current_time()
        try:
            why = await self._finish(recording)
        except Exception as error:  # noqa: BLE001 - one recording's trouble ends no other
            why = f"a bug ({type(error).__name__})"
        if why is None:
            self._log.info(
                "recording.finished",
                interview=recording.interview_id,
                epoch=recording.epoch,
                seconds=round(trio.current_time() - began, 1),
            )
            return True
        self._log.error(
            "recording.unfinished",
            interview=recording.interview_id,
            epoch=recording.epoch,
            why=why,
            todo="its notes stay, and can be listened to; it is tried again within the hour",
        )
        return False

    async def _sweep(self) -> None:
        retention = self._retention()
        if not retention:
            return
        then = time.time() - retention  # noqa: TID251 - files have the wall clock's times
        try:
            removed = await trio.to_thread.run_sync(self._remove_older, then)
        except OSError as error:
            self._unreadable(error)
            return
        if removed:
            self._log.info("recording.removed", recordings=removed, older_than_seconds=round(retention))

    def _unreadable(self, error: OSError) -> None:
        """Log an error of the disk, or of an operator's deletion at that moment: the next look is within the hour."""
        self._log.error("recording.unreadable", why=error.strerror, file=str(error.filename))

    def _remove_older(self, moment: float) -> int:
        """Remove the recordings that nobody wrote to since; return how many."""
        removed = 0
        for recording in self._shelf.all():
            try:
                if recording.changed < moment:
                    self._shelf.delete(recording)
                    removed += 1
            except (BeingRecorded, FileNotFoundError):
                pass
            except OSError as error:
                self._log.error("recording.not_removed", interview=recording.interview_id, why=error.strerror)
        return removed
