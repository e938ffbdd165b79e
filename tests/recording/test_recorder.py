"""What is written, what is bounded, and what a disk may do."""

from collections.abc import Callable
import errno
import os
from pathlib import Path

import pytest
import trio

from preppald.recording import notes, shelf
from preppald.recording.notes import NoteKind
from preppald.recording.recorder import FREE_BYTES, PENDING_BYTES, TOO_SLOW, WRITE_SECONDS, Recorder
from preppald.recording.tape import RunningTape
from tests.durable import EPOCH_MS, Notes, inline, interview
from tests.recording.ears import listen, stretches

SECOND = bytes([1, 8]) * 16_000


class Counted:
    def __init__(self) -> None:
        self.bytes = 0.0

    def inc(self, amount: float = 1) -> None:
        self.bytes += amount


def files(state_dir: Path) -> list[Path]:
    return sorted(state_dir.rglob(f"*{shelf.NOTES}"))


async def started(nursery: trio.Nursery, tmp_path: Path, log: Notes, **options: object) -> Recorder:
    options = {"in_thread": inline, "free_bytes": 0} | options
    recorder = Recorder(tmp_path, log=log, **options)  # type: ignore[arg-type]
    nursery.start_soon(recorder.run)
    return recorder


def tape_of(recorder: Recorder) -> RunningTape:
    return recorder.tape(interview("iv-1"), EPOCH_MS - trio.current_time() * 1000)


async def test_what_was_said_is_on_disk_within_half_a_second(
    nursery: trio.Nursery, autojump_clock: object, tmp_path: Path
) -> None:
    """Readable by its owner only, and while it is being written."""
    tape = tape_of(await started(nursery, tmp_path, Notes()))
    await trio.sleep(1)
    tape.heard(SECOND)
    await trio.sleep(WRITE_SECONDS + 0.01)
    assert stretches(listen(tmp_path).left) == [(pytest.approx(0, abs=0.01), pytest.approx(1, abs=0.01))]
    (file,) = files(tmp_path)
    assert file.stat().st_mode & 0o777 == 0o600
    for directory in (file.parent, file.parent.parent):
        assert directory.stat().st_mode & 0o777 == 0o700


async def test_a_loss_of_power_takes_half_a_second_too(
    nursery: trio.Nursery, autojump_clock: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each beat ends with a wait for the disk, for every recording that grew: then the whole file is there."""
    durable: dict[Path, int] = {}
    sync = os.fdatasync

    def noting(file: int) -> None:
        sync(file)
        path = Path(f"/proc/self/fd/{file}").readlink()
        durable[path] = path.stat().st_size

    monkeypatch.setattr(os, "fdatasync", noting)
    recorder = await started(nursery, tmp_path, Notes())
    tapes = [recorder.tape(interview(name), EPOCH_MS) for name in ("iv-1", "iv-2")]
    for _ in range(3):
        for tape in tapes:
            tape.heard(SECOND)
        await trio.sleep(WRITE_SECONDS + 0.01)
        assert durable == {file: file.stat().st_size for file in files(tmp_path)}
    assert len(durable) == 2


async def test_a_recording_that_cannot_be_made_durable_goes_on_in_another_file(
    nursery: trio.Nursery, autojump_clock: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failed wait the kernel may have dropped the bytes and forgotten the error: the file is left."""
    log = Notes()
    tape = tape_of(await started(nursery, tmp_path, log))
    tape.heard(SECOND)
    await trio.sleep(WRITE_SECONDS + 0.01)
    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", fails)
        tape.heard(SECOND)
        await trio.sleep(WRITE_SECONDS)
    tape.heard(SECOND)
    await trio.sleep(WRITE_SECONDS)
    assert len(files(tmp_path)) == 2
    assert log.keys("recording.interrupted")["why"] == os.strerror(errno.EIO)
    assert "recording.goes_on" in log.events("info")


def fails(_file: int) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


async def test_half_a_sample_waits_for_its_other_half(
    nursery: trio.Nursery, autojump_clock: object, tmp_path: Path
) -> None:
    """A browser may cut its audio anywhere."""
    tape = tape_of(await started(nursery, tmp_path, Notes()))
    await trio.sleep(1)
    for at in range(0, len(SECOND), 641):
        tape.heard(SECOND[at : at + 641])
    await trio.sleep(WRITE_SECONDS + 0.01)
    assert set(listen(tmp_path).left) == {0x0801}


@pytest.mark.parametrize("lost", [1, 5, notes.RECORD.size + 3, len(SECOND)])
async def test_half_a_record_at_the_end_is_no_harm(
    nursery: trio.Nursery, autojump_clock: object, tmp_path: Path, lost: int
) -> None:
    """A process that is killed while it writes loses what it was writing."""
    tape = tape_of(await started(nursery, tmp_path, Notes()))
    for _ in range(3):
        await trio.sleep(1)
        tape.heard(SECOND)
    await trio.sleep(WRITE_SECONDS + 0.01)
    (file,) = files(tmp_path)
    os.truncate(file, file.stat().st_size - lost)
    assert listen(tmp_path).seconds == pytest.approx(2, abs=0.01)


async def test_another_process_goes_on_with_the_recording(
    nursery: trio.Nursery, autojump_clock: object, tmp_path: Path
) -> None:
    """In a file of its own; what was sent and not yet heard when the first one died is not heard."""
    zero_ms = EPOCH_MS - trio.current_time() * 1000
    async with trio.open_nursery() as first:
        tape = tape_of(await started(first, tmp_path, Notes()))
        await trio.sleep(1)
        tape.played(bytes([0, 16]) * 24_000 * 10)
        await trio.sleep(2)
        tape.heard(SECOND)
        await trio.sleep(0.5)
        first.cancel_scope.cancel()
    await trio.sleep(6.5)
    recorder = await started(nursery, tmp_path, Notes())
    tape = recorder.tape(interview("iv-1"), zero_ms)
    tape.heard(SECOND)
    await trio.sleep(WRITE_SECONDS + 0.01)
    heard = listen(tmp_path)
    near = [pytest.approx(at, abs=0.01) for at in (1, 3, 2, 3, 9, 10)]
    assert stretches(heard.right) == [(near[0], near[1])]
    assert stretches(heard.left) == [(near[2], near[3]), (near[4], near[5])]
    assert [file.name for file in files(tmp_path)] == ["0001.notes", "0002.notes"]


async def test_a_disk_that_takes_nothing_is_not_filled_with_files(
    nursery: trio.Nursery, autojump_clock: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quota, a broken disk: each try begins a file, and leaves none."""

    def full(_file: int, _data: memoryview) -> int:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(os, "write", full)
    log = Notes()
    tape = tape_of(await started(nursery, tmp_path, log))
    for _ in range(10):
        tape.heard(SECOND)
        await trio.sleep(1)
    assert files(tmp_path) == []
    assert log.events() == ["recording.interrupted"]


async def test_a_clock_that_was_set_back_puts_nothing_over_anything(
    nursery: trio.Nursery, autojump_clock: object, tmp_path: Path
) -> None:
    """The second process believes that it is a minute earlier: its sound follows the first one's."""
    for moved_ms in (0, -60_000):
        async with trio.open_nursery() as process:
            recorder = await started(process, tmp_path, Notes())
            tape = recorder.tape(interview("iv-1"), EPOCH_MS - trio.current_time() * 1000 + moved_ms)
            tape.silenced()
            await trio.sleep(2)
            tape.heard(SECOND)
            await trio.sleep(1)
            process.cancel_scope.cancel()
    near = [pytest.approx(at, abs=0.01) for at in (1, 2, 3, 4)]
    assert stretches(listen(tmp_path).left) == [(near[0], near[1]), (near[2], near[3])]


async def test_memory_is_bounded_where_the_disk_is_stuck(
    nursery: trio.Nursery, autojump_clock: object, tmp_path: Path
) -> None:
    """An hour comes while nothing is written: 64 MiB are kept, the rest is counted, and said at once, once."""
    stuck, log, counted = trio.Event(), Notes(), Counted()

    async def in_thread(function: Callable[[], None]) -> None:
        await stuck.wait()
        function()

    recorder = await started(nursery, tmp_path, log, in_thread=in_thread, dropped=counted)
    tape = tape_of(recorder)
    for _ in range(3600):
        tape.heard(SECOND)
        await trio.sleep(1)
    assert recorder.pending_bytes <= PENDING_BYTES
    assert counted.bytes + recorder.pending_bytes == 3600 * len(SECOND)
    assert log.events("error") == ["recording.interrupted"]
    assert log.keys("recording.interrupted")["why"] == TOO_SLOW
    stuck.set()
    await trio.sleep(3 * WRITE_SECONDS)
    assert recorder.pending_bytes == 0
    assert log.events() == ["recording.interrupted", "recording.goes_on"]


async def test_with_little_space_nothing_is_recorded(
    nursery: trio.Nursery, autojump_clock: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal has the disk first. Once there is space, it goes on in its place."""
    log, counted = Notes(), Counted()
    recorder = await started(nursery, tmp_path, log, free_bytes=FREE_BYTES, dropped=counted)
    tape = tape_of(recorder)
    disk = os.statvfs(tmp_path)
    free = FREE_BYTES - disk.f_frsize

    def statvfs(_path: object) -> os.statvfs_result:
        return os.statvfs_result((*disk[:4], free // disk.f_frsize, *disk[5:]))

    monkeypatch.setattr(os, "statvfs", statvfs)
    for _ in range(5):
        await trio.sleep(1)
        tape.heard(SECOND)
    await trio.sleep(1)
    assert files(tmp_path) == []
    assert counted.bytes == 5 * len(SECOND)
    assert log.events() == ["recording.interrupted"]
    assert log.keys("recording.interrupted")["why"] == "less than 1024 MiB are free"
    free = FREE_BYTES
    await trio.sleep(1)
    tape.heard(SECOND)
    await trio.sleep(1)
    assert log.events() == ["recording.interrupted", "recording.goes_on"]
    assert stretches(listen(tmp_path).left) == [(pytest.approx(6, abs=0.01), pytest.approx(7, abs=0.01))]


async def test_after_a_failed_write_another_file_is_begun(
    nursery: trio.Nursery, autojump_clock: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a record stays at the end of the first; all that is whole is there."""
    log = Notes()
    tape = tape_of(await started(nursery, tmp_path, log))
    await trio.sleep(1)
    tape.heard(SECOND)
    await trio.sleep(1)
    real_write = os.write

    def full(file: int, data: memoryview) -> int:
        if len(data) < 1000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real_write(file, data[: len(data) - 500])

    monkeypatch.setattr(os, "write", full)
    tape.heard(SECOND)
    await trio.sleep(1)
    monkeypatch.setattr(os, "write", real_write)
    assert log.keys("recording.interrupted")["why"] == "No space left on device"
    await trio.sleep(1)
    tape.heard(SECOND)
    await trio.sleep(1)
    assert log.events() == ["recording.interrupted", "recording.goes_on"]
    near = [pytest.approx(at, abs=0.01) for at in (0, 1, 3, 4)]
    assert stretches(listen(tmp_path).left) == [(near[0], near[1]), (near[2], near[3])]
    assert len(files(tmp_path)) == 2


def test_other_files_are_refused(tmp_path: Path) -> None:
    """With their name and what is wrong."""
    file = tmp_path / "0001.notes"
    file.write_bytes(b"RIFF" * 20)
    with pytest.raises(notes.NotesError, match=r"0001\.notes is not the notes of a recording"):
        notes.index(file)
    file.write_bytes(notes.MAGIC + b"{}\n" * 20)
    with pytest.raises(notes.NotesError, match="has a damaged beginning"):
        notes.index(file)
    (tmp_path / "0002.notes").mkdir()
    with pytest.raises(notes.NotesError, match=r"0002\.notes cannot be read: Is a directory"):
        notes.index(tmp_path / "0002.notes")
    with pytest.raises(FileNotFoundError):  # finished, or deleted: it is looked for again
        notes.index(tmp_path / "0003.notes")


def test_a_damaged_record_ends_what_is_read(tmp_path: Path) -> None:
    """What is before it is whole."""
    head = notes.head(notes.Head("iv-1", 1, EPOCH_MS))
    good = notes.record(NoteKind.CANDIDATE, 1_000_000, SECOND)
    file = tmp_path / "0001.notes"
    file.write_bytes(head + good + b"\xff" * 40 + good)
    assert len(notes.index(file)) == 1
