"""What goes wrong around a check costs that check or its tidying up, and never the daemon."""

import os
from pathlib import Path
from typing import Any

import pytest
import trio

from preppald.core.checks import Checked, Job
from preppald.errors import JournalError
from preppald.interview import verification
from preppald.recording import kept, shelf
from preppald.recording.notes import Head, head
from preppald.recording.recorder import Uncounted
from preppald.recording.shelf import BeingRecorded, Recording
from tests.durable import EPOCH_MS, Notes
from tests.verification.rig import Rig, noted, rigged, turn

LONG_AGO_SECONDS = shelf.ABANDONED_SECONDS + 3600


async def quick(_job: Job) -> Checked:
    await trio.lowlevel.checkpoint()
    return Checked()


async def told(rig: Rig, event: str) -> None:
    """Returns when the log has a line of this name."""
    with trio.fail_after(20):
        while not rig.events(event):  # noqa: ASYNC110 - a log rings no bell
            await trio.sleep(0.01)


def left_locked(directory: Path, name: str) -> int:
    """Notes of long ago that a process still has; returns their descriptor."""
    file, path = shelf.new_notes(directory, name)
    os.write(file, head(Head(name.partition(".")[0], 1, EPOCH_MS)))
    long_ago = path.stat().st_mtime - LONG_AGO_SECONDS
    os.utime(path, (long_ago, long_ago))
    return file


@pytest.mark.parametrize(
    ("where", "error", "event"),
    [
        ("the journal", JournalError("the disk does not answer"), "verification.not_removed"),
        ("the sound", PermissionError(1, "not permitted"), "verification.not_removed"),
        ("the sound", BeingRecorded("an operator plays it"), "verification.not_removed"),
        ("the sound", KeyError("a bug"), "verification.bug"),
    ],
)
async def test_what_fails_behind_a_check_leaves_the_sound_and_the_next_is_checked(
    where: str, error: Exception, event: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        noted(tmp_path, (5.0,), name)
    failures = [error]
    async with rigged(tmp_path, check=quick) as rig:
        remove, flush = kept.remove, rig.journal.flush
        value = rig.metrics.registry.get_sample_value

        def removed(*arguments: Any) -> None:
            if failures:
                raise failures.pop()
            remove(*arguments)

        async def flushed(*, hurry: bool = True) -> None:
            if value("preppald_verification_total", {"outcome": "checked"}) and failures:
                raise failures.pop()
            await flush(hurry=hurry)

        if where == "the journal":
            monkeypatch.setattr(rig.journal, "flush", flushed)
        else:
            monkeypatch.setattr(kept, "remove", removed)
        rig.end([turn(1, "hello", 5.0)], "one")
        await told(rig, event)
        rig.end([turn(1, "hello", 5.0)], "two")
        await rig.counted("checked", 2)


async def test_old_sound_that_somebody_still_has_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock was set forward while the interview runs: its sound goes when nobody has it any more."""
    monkeypatch.setattr(verification, "LOOK_SECONDS", 0.05)
    async with rigged(tmp_path) as rig:
        assert rig.services.kept is not None
        file = left_locked(tmp_path / rig.services.kept.directory, "iv.1")
        await trio.sleep(0.3)
        assert not rig.events("verification.sound_removed")
        os.close(file)
        await told(rig, "verification.sound_removed")


async def test_a_bug_in_tidying_up_is_told_and_the_next_look_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "LOOK_SECONDS", 0.05)
    remove, bugs = kept.remove_findings, [KeyError("a bug")]

    def removed(state_dir: Path, now: float) -> None:
        if bugs:
            raise bugs.pop()
        remove(state_dir, now)

    monkeypatch.setattr(kept, "remove_findings", removed)
    async with rigged(tmp_path) as rig:
        assert rig.services.kept is not None
        os.close(left_locked(tmp_path / rig.services.kept.directory, "iv.1"))
        await told(rig, "verification.sound_removed")
        await told(rig, "verification.bug")


def test_sound_that_cannot_be_removed_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what is locked, nor what the disk does not let go, of which its caller is told; and room is looked for."""
    own = kept.Kept(tmp_path, log=Notes(), dropped=Uncounted())
    held = left_locked(own.shelf.directory, "a.1")
    os.close(left_locked(own.shelf.directory, "b.1"))
    os.close(left_locked(own.shelf.directory, "c.1"))
    delete = shelf.Shelf.delete

    def failing(it: shelf.Shelf, recording: Recording) -> None:
        if recording.interview_id == "b":
            raise PermissionError(1, "not permitted")
        delete(it, recording)

    monkeypatch.setattr(shelf.Shelf, "delete", failing)
    monkeypatch.setattr(kept, "MOST_BYTES", 1)
    now = max(it.changed for it in own.shelf.unfinished()) + LONG_AGO_SECONDS
    with pytest.raises(PermissionError):
        own.remove_older(now)
    assert [it.interview_id for it in own.shelf.unfinished()] == ["a", "b"]
    assert own.full
    os.close(held)
