"""From notes to a file: formats, retention, and the command."""

from collections.abc import Iterable, Iterator
import errno
import os
from pathlib import Path
import shutil
import stat
import subprocess
import sys
import time
import tracemalloc
import wave

import msgspec
import pytest
import trio

from preppald import cli
from preppald.recording import files, keeper, shelf
from preppald.recording.finish import finish
from preppald.recording.keeper import Keeper, in_a_process
from preppald.recording.notes import Head, NoteKind, head, record
from preppald.recording.recorder import Recorder
from preppald.recording.render import Notes as Rendered
from preppald.recording.shelf import ABANDONED_SECONDS, BeingRecorded, Recording, Shelf
from preppald.telemetry.memory import Memory
from tests.candidates import tone
from tests.durable import DAEMONS, EPOCH_MS, Notes, as_root, inline
from tests.recording.ears import split, stretches
from tests.world import SETTINGS

DAY_SECONDS = 86_400.0
SPOKEN = (3.0, 4.0)
PLAYED = (5.0, 7.0)


def noted(
    state_dir: Path,
    interview_id: str = "iv-1",
    *,
    epoch: int = 1,
    block: int = 0,
    records: Iterable[bytes] | None = None,
    over: bool = True,
) -> None:
    """What a process leaves of an interview: a tone at second 3, four seconds of an answer at 5, cut at 7."""
    file, _ = shelf.new_notes(state_dir / shelf.DIRECTORY, shelf.name_of(interview_id, epoch, block))
    with os.fdopen(file, "wb") as stream:
        stream.write(head(Head(interview_id, epoch, EPOCH_MS, block)))
        if records is None:
            answer = b"".join(bytes([0, 16]) * 24_000 for _ in range(4))
            records = [
                record(NoteKind.CANDIDATE, 4_000_000, tone(1.0)),
                record(NoteKind.INTERVIEWER, 5_000_000, answer),
                record(NoteKind.SILENCED, 7_000_000, b""),
                record(NoteKind.SILENCED, 8_000_000, b""),
            ]
            if over:
                records.append(record(NoteKind.OVER, 9_000_000, b""))
        for each in records:
            stream.write(each)


def the_one(state_dir: Path) -> Recording:
    (recording,) = Shelf(state_dir).all()
    return recording


@pytest.fixture
def no_encoder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing here"))


# Of the system's own programs, as tests that put another one before them need it.
SYSTEMS_PATH = os.environ["PATH"]


def contents(directory: Path) -> dict[str, bytes]:
    return {str(it): it.read_bytes() for it in directory.rglob("*") if it.is_file()}


def program(directory: Path, name: str, script: str) -> None:
    """Something on PATH with this name."""
    directory.mkdir(exist_ok=True)
    file = directory / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def assert_aligned(file: Path) -> None:
    """What ``noted`` noted, where it noted it."""
    with wave.open(str(file)) as sound:
        assert (sound.getnchannels(), sound.getframerate(), sound.getsampwidth()) == (2, 16_000, 2)
        assert sound.getnframes() == 8 * 16_000
        heard = split(sound.readframes(sound.getnframes()))
    near = [pytest.approx(at, abs=0.002) for at in (*SPOKEN, *PLAYED)]
    assert stretches(heard.left) == [(near[0], near[1])]
    assert stretches(heard.right) == [(near[2], near[3])]


@pytest.mark.usefixtures("no_encoder")
def test_without_an_encoder_it_becomes_a_wav(tmp_path: Path) -> None:
    """Right from its header to its last sample, for its owner only; the notes are gone."""
    noted(tmp_path)
    before = the_one(tmp_path).changed
    file = finish(Shelf(tmp_path), the_one(tmp_path))
    assert file == tmp_path / "recordings" / "iv-1.1.wav"
    assert_aligned(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.stat().st_mtime == pytest.approx(before, abs=0.001)
    assert the_one(tmp_path) == Recording("iv-1", 1, file=file)
    assert files.length(file) == 8 * 16_000


@as_root
@pytest.mark.usefixtures("no_encoder")
def test_what_root_finishes_is_the_daemons(tmp_path: Path) -> None:
    noted(tmp_path)
    for notes in the_one(tmp_path).notes:
        os.chown(notes, *DAEMONS)
    finished = finish(Shelf(tmp_path), the_one(tmp_path)).stat()
    assert (finished.st_uid, finished.st_gid) == DAEMONS


def test_an_encoder_that_fails_leaves_the_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing that looks like a recording."""
    program(tmp_path / "bin", "flac", "cat >/dev/null; echo 'no space' >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    noted(tmp_path)
    with pytest.raises(files.FileError, match=r"flac failed with .*iv-1\.1\.flac.* \(status 1\): no space"):
        finish(Shelf(tmp_path), the_one(tmp_path))
    assert the_one(tmp_path).notes
    assert [file.name for file in (tmp_path / "recordings").iterdir()] == ["iv-1.1"]


def test_an_encoder_gets_the_sound_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its samples through a pipe, and the file's name: this one keeps the samples."""
    program(tmp_path / "bin", "ffmpeg", f'for file; do :; done; {shutil.which("cat")} >"$file"')
    # Nothing else: a real encoder of this machine's would be taken first.
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    noted(tmp_path)
    rendered = Rendered(the_one(tmp_path).notes)
    sound = b"".join(rendered.blocks())
    rendered.close()
    kept = finish(Shelf(tmp_path), the_one(tmp_path)).read_bytes()
    # Not compared by pytest, which would take minutes to show where half a megabyte differs.
    assert len(kept) == len(sound)
    assert kept.startswith(sound)


@pytest.mark.usefixtures("no_encoder")
def test_one_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    """Neither finished nor deleted: its process has it locked, until it dies."""
    noted(tmp_path)
    writing, _ = shelf.new_notes(tmp_path / shelf.DIRECTORY, "iv-1.1")
    for attempt in (finish, Shelf.delete):
        with pytest.raises(BeingRecorded, match="interview iv-1 is being recorded"):
            attempt(Shelf(tmp_path), the_one(tmp_path))
    os.close(writing)
    assert_aligned(finish(Shelf(tmp_path), the_one(tmp_path)))


def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    """Six minutes are 11 MB of notes, and 23 of WAV: less than two are in memory at any time."""
    chunk, answer = tone(0.2), bytes([0, 16]) * 24_000
    records = (
        record(NoteKind.INTERVIEWER, at * 200_000, answer)
        if at % 600 == 0
        else record(NoteKind.CANDIDATE, at * 200_000, chunk)
        for at in range(6 * 60 * 5)
    )
    noted(tmp_path, records=records)
    tracemalloc.start()
    try:
        rendered = Rendered(the_one(tmp_path).notes)
        for block in rendered.blocks():
            assert len(block) <= 64_000
        rendered.close()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000


# ------------------------------------------------------------------ the keeper


async def kept(
    nursery: trio.Nursery,
    state_dir: Path,
    log: Notes,
    retention: float = 0.0,
    memory: Memory | None = None,
) -> None:
    recorder = Recorder(state_dir, log=log, in_thread=inline)
    kept_by = Keeper(state_dir, recorder, log=log, retention=lambda: retention, memory=memory)
    nursery.start_soon(kept_by.run)


async def until(condition: object, seconds: float = 60) -> None:
    with trio.fail_after(seconds):
        while not condition():  # type: ignore[operator]  # noqa: ASYNC110 - another process does it
            await trio.sleep(0.05)


async def test_what_a_crash_left_is_finished_at_the_next_start(nursery: trio.Nursery, tmp_path: Path) -> None:
    """By a process of its own; but not what another process may still go on with."""
    noted(tmp_path, "--over")
    noted(tmp_path, "live", over=False)
    noted(tmp_path, "abandoned", over=False)
    (left,) = Shelf(tmp_path).of("abandoned")
    then = left.changed - ABANDONED_SECONDS - 1
    os.utime(left.notes[0], (then, then))
    log = Notes()
    await kept(nursery, tmp_path, log)
    await until(lambda: len(log.events()) == 2)
    assert log.events() == ["recording.finished"] * 2
    states = {it.interview_id: it.file is not None for it in Shelf(tmp_path).all()}
    assert states == {"--over": True, "abandoned": True, "live": False}


async def test_what_another_instance_leaves_is_finished_while_nobody_talks(
    nursery: trio.Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that drains ends with its last interview, before that one's recording is finished."""
    monkeypatch.setattr(keeper, "OTHERS_SECONDS", 0.1)
    log = Notes()
    await kept(nursery, tmp_path, log)
    await trio.sleep(0.5)
    noted(tmp_path, "left-by-another")
    await until(log.events)
    assert log.events() == ["recording.finished"]


async def test_a_recording_waits_where_finishing_it_would_end_interviews(
    nursery: trio.Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The finisher's memory counts against the daemon's limit, at which the kernel ends both."""
    monkeypatch.setattr(keeper, "ROOM_SECONDS", 0.1)
    used = 100 * 2**20
    noted(tmp_path)
    log = Notes()
    memory = Memory(allowed=lambda: 150 * 2**20, used=lambda: used)
    await kept(nursery, tmp_path, log, memory=memory)
    await until(lambda: log.events()[:2] == ["recording.waits"] * 2)
    used = 20 * 2**20
    await until(lambda: log.events()[-1] == "recording.finished")
    assert set(log.events()) == {"recording.waits", "recording.finished"}


async def test_a_failure_is_told_with_its_reason(nursery: trio.Nursery, tmp_path: Path) -> None:
    """The child's own sentence."""
    noted(tmp_path)
    file = the_one(tmp_path).notes[0]
    file.write_bytes(b"something else, and longer than a head" + record(NoteKind.OVER, 0, b""))
    why = await in_a_process(tmp_path)(the_one(tmp_path))
    assert why is not None
    assert why.startswith("preppald: ")
    assert why.endswith("0001.notes is not the notes of a recording, or is a newer preppald's")
    log = Notes()
    await kept(nursery, tmp_path, log)
    await until(log.events)
    assert log.events() == ["recording.unfinished"]
    assert log.keys("recording.unfinished")["why"] == why


@pytest.mark.usefixtures("no_encoder")
async def test_no_fault_of_the_disk_ends_the_daemon(
    nursery: trio.Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is gone when it is looked at, a program that cannot be run: said, and that is all."""

    def gone(_shelf: Shelf) -> list[Recording]:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "0001.notes")

    noted(tmp_path)
    monkeypatch.setattr(Shelf, "all", gone)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "replaced"))
    log = Notes()
    await kept(nursery, tmp_path, log, 30 * DAY_SECONDS)
    await until(lambda: len(log.events()) == 2)
    assert log.events() == ["recording.unreadable", "recording.unfinished"]
    why = log.keys("recording.unfinished")["why"]
    assert why == f"{tmp_path / 'replaced'} cannot be run: No such file or directory"


async def test_what_is_old_is_removed(nursery: trio.Nursery, tmp_path: Path) -> None:
    """Finished or not; what is younger stays."""
    for name, age in (("old", 31), ("young", 29)):
        noted(tmp_path, name)
        file = finish(Shelf(tmp_path), the_one(tmp_path) if name == "old" else Shelf(tmp_path).of(name)[0])
        then = time.time() - age * DAY_SECONDS  # noqa: TID251 - files have the wall clock's times
        os.utime(file, (then, then))
    noted(tmp_path, "given-up")
    (left,) = Shelf(tmp_path).of("given-up")
    os.utime(left.notes[0], (0, 0))
    log = Notes()
    await kept(nursery, tmp_path, log, 30 * DAY_SECONDS)
    await until(log.events)
    assert log.keys("recording.removed")["recordings"] == 2
    assert [it.interview_id for it in Shelf(tmp_path).all()] == ["young"]


# ------------------------------------------------------------------ the command


def preppald(state_dir: Path, *arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run the command in this process, whose other tests keep their priority."""
    monkeypatch.setenv("PREPPALD_STATE_DIR", str(state_dir))
    monkeypatch.setattr("preppald.commands.recording.os.nice", lambda _by: 0)
    return cli.main(["recording", *arguments])


@pytest.mark.usefixtures("no_encoder")
def test_the_list_says_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Live, noted and finished ones, for people and for machines."""
    assert preppald(tmp_path, monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out == "there are no recordings\n"
    noted(tmp_path, "iv-1")
    finish(Shelf(tmp_path), the_one(tmp_path))
    noted(tmp_path, "iv-2")
    writing, _ = shelf.new_notes(tmp_path / shelf.DIRECTORY, "iv-3.2")
    os.write(writing, head(Head("iv-3", 2, EPOCH_MS)) + record(NoteKind.CANDIDATE, 1_000_000, tone(1)))
    assert preppald(tmp_path, monkeypatch=monkeypatch) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert sorted((line[0], line[1], line[-4], line[-1]) for line in lines) == [
        ("iv-1", "1", "0:08", "wav"),
        ("iv-2", "1", "0:08", "notes"),
        ("iv-3", "2", "0:01", "live"),
    ]
    assert preppald(tmp_path, "iv-1", "--json", monkeypatch=monkeypatch) == 0
    (row,) = msgspec.json.decode(capsys.readouterr().out)
    assert (row["state"], row["seconds"], row["bytes"]) == ("wav", 8.0, 44 + 8 * 64_000)
    os.close(writing)


@pytest.mark.usefixtures("no_encoder")
def test_a_recording_is_fetched_while_it_is_made_and_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same sound either way; for its owner only."""
    noted(tmp_path)
    before, after = tmp_path / "before.wav", tmp_path / "after.wav"
    assert preppald(tmp_path, "iv-1", "--output", str(before), monkeypatch=monkeypatch) == 0
    finish(Shelf(tmp_path), the_one(tmp_path))
    assert preppald(tmp_path, "iv-1", "--output", str(after), monkeypatch=monkeypatch) == 0
    assert_aligned(before)
    assert before.read_bytes() == after.read_bytes()
    assert stat.S_IMODE(after.stat().st_mode) == 0o600


@pytest.mark.usefixtures("no_encoder")
def test_the_blocks_of_an_interview_are_joined_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Finished or not, each block's newest try; one that is missing is left out, and one alone may be asked for."""

    def of(seconds: float) -> list[bytes]:
        return [
            record(NoteKind.CANDIDATE, round(seconds * 1_000_000), tone(seconds)),
            record(NoteKind.OVER, round(seconds * 1_000_000), b""),
        ]

    # A block that was given up at first was begun again behind the third one.
    for epoch, block, seconds in ((1, 1, 1.0), (2, 3, 3.0), (3, 1, 2.0)):
        noted(tmp_path, epoch=epoch, block=block, records=of(seconds))
    finish(Shelf(tmp_path), next(it for it in Shelf(tmp_path).all() if it.block == 3))
    assert sorted(file.name for file in (tmp_path / "recordings").iterdir()) == [
        "iv-1.1.1",
        "iv-1.2.3.wav",
        "iv-1.3.1",
    ]

    def frames(*arguments: str) -> int:
        output = tmp_path / "fetched.wav"
        assert preppald(tmp_path, "iv-1", "--output", str(output), *arguments, monkeypatch=monkeypatch) == 0
        with wave.open(str(output)) as sound:
            assert len(sound.readframes(sound.getnframes())) == 4 * sound.getnframes()
            return int(sound.getnframes())

    assert frames() == (2 + 3) * 16_000
    assert frames("--block", "1") == 2 * 16_000
    assert frames("--block", "3") == 3 * 16_000
    assert frames("--epoch", "1") == 1 * 16_000
    assert preppald(tmp_path, "iv-1", "--block", "2", "--output", "none.wav", monkeypatch=monkeypatch) == 69
    assert "there is no recording of that try or block of interview 'iv-1'" in capsys.readouterr().err
    assert preppald(tmp_path, "iv-1", "--json", monkeypatch=monkeypatch) == 0
    rows = msgspec.json.decode(capsys.readouterr().out)
    assert [(row["epoch"], row["block"]) for row in rows] == [(3, 1), (2, 3), (1, 1)]


def test_it_prints_into_a_pipe(tmp_path: Path) -> None:
    """The whole file, from a process of its own."""
    noted(tmp_path)
    command = [sys.executable, "-m", "preppald", "recording", "iv-1", "--format", "wav"]
    env = {"PREPPALD_STATE_DIR": str(tmp_path)}
    printed = subprocess.run(command, env=env, stdout=subprocess.PIPE, check=True).stdout
    (tmp_path / "printed.wav").write_bytes(printed)
    assert_aligned(tmp_path / "printed.wav")


@pytest.mark.usefixtures("no_encoder")
def test_a_format_without_its_program_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what to install; and no file is left."""
    noted(tmp_path)
    output = tmp_path / "iv-1.opus"
    assert preppald(tmp_path, "iv-1", "--output", str(output), monkeypatch=monkeypatch) == 69
    assert "install opusenc or ffmpeg, or take wav" in capsys.readouterr().err
    assert not output.exists()


@pytest.mark.usefixtures("no_encoder")
@pytest.mark.parametrize("name", ["iv-1.1.wav", "iv-2.1.wav", "iv-1.1.flac"])
@pytest.mark.parametrize("linked", [False, True])
def test_no_recording_is_fetched_onto_one(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    linked: bool,  # noqa: FBT001
) -> None:
    """Seen before: a recording that was exported onto itself was empty afterwards, and the status was 0."""
    for each in ("iv-1", "iv-2"):
        noted(tmp_path, each)
        finish(Shelf(tmp_path), next(it for it in Shelf(tmp_path).all() if it.interview_id == each))
    before = contents(tmp_path / "recordings")
    output = tmp_path / "recordings" / name
    if linked:
        (tmp_path / "link.wav").symlink_to(output)
        output = tmp_path / "link.wav"
    assert (
        preppald(tmp_path, "iv-1", "--output", str(output), "--format", "wav", monkeypatch=monkeypatch) == 74
    )
    assert "among the recordings themselves" in capsys.readouterr().err
    assert contents(tmp_path / "recordings") == before


@pytest.mark.usefixtures("no_encoder")
def test_what_was_there_stays_until_the_fetched_one_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where a program is missing, and where it fails; behind a link, too."""
    noted(tmp_path)
    kept, link = tmp_path / "kept.opus", tmp_path / "link.opus"
    kept.write_bytes(b"older")
    link.symlink_to(kept)
    assert preppald(tmp_path, "iv-1", "--output", str(link), monkeypatch=monkeypatch) == 69
    bin_dir = tmp_path / "bin"
    monkeypatch.setenv("PATH", f"{bin_dir}:{SYSTEMS_PATH}")
    program(bin_dir, "opusenc", "cat >/dev/null; echo 'no space' >&2; exit 1")
    assert preppald(tmp_path, "iv-1", "--output", str(link), monkeypatch=monkeypatch) == 74
    assert "no space" in capsys.readouterr().err
    assert (kept.read_bytes(), link.is_symlink()) == (b"older", True)
    program(bin_dir, "opusenc", 'cat >/dev/null; for last; do :; done; echo sound >"$last"')
    assert preppald(tmp_path, "iv-1", "--output", str(link), monkeypatch=monkeypatch) == 0
    assert (kept.read_bytes(), link.is_symlink()) == (b"sound\n", True)
    assert sorted(it.name for it in tmp_path.iterdir()) == ["bin", "kept.opus", "link.opus", "recordings"]


def test_it_is_written_into_a_pipe_and_a_device_stays_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen before: root's own export could have removed /dev/null."""
    noted(tmp_path)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    program(tmp_path / "bin", "opusenc", 'cat >/dev/null; for last; do :; done; echo sound >"$last"')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{SYSTEMS_PATH}")
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        assert (
            preppald(tmp_path, "iv-1", "--output", str(pipe), "--format", "opus", monkeypatch=monkeypatch)
            == 0
        )
        assert reader.communicate()[0] == b"sound\n"
    assert pipe.is_fifo()


@pytest.mark.usefixtures("no_encoder")
def test_deleting_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All tries of the interview, finished or not; nobody else's."""
    noted(tmp_path)
    finish(Shelf(tmp_path), the_one(tmp_path))
    noted(tmp_path, epoch=2)
    noted(tmp_path, "iv-2")
    assert preppald(tmp_path, "iv-1", "--delete", monkeypatch=monkeypatch) == 0
    assert capsys.readouterr().out.count("removed ") == 2
    assert the_one(tmp_path).interview_id == "iv-2"
    assert not [file for file in (tmp_path / "recordings").rglob("*") if "iv-1" in file.name]
    assert preppald(tmp_path, "iv-1", "--delete", monkeypatch=monkeypatch) == 69
    assert "there is no recording of interview 'iv-1'" in capsys.readouterr().err


def test_a_list_is_not_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An id that was forgotten must not mean all."""
    noted(tmp_path)
    assert preppald(tmp_path, "--delete", monkeypatch=monkeypatch) == 69
    assert "which interview?" in capsys.readouterr().err
    assert the_one(tmp_path).notes


@pytest.mark.usefixtures("no_encoder")
def test_an_interview_that_may_go_on_is_not_finished_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Between two processes nobody has its notes locked; but they do not say that it is over."""
    noted(tmp_path, over=False)
    assert preppald(tmp_path, "iv-1", "--finish", monkeypatch=monkeypatch) == 69
    assert "interview iv-1 is not over" in capsys.readouterr().err
    assert the_one(tmp_path).notes


def test_check_says_what_recordings_will_lack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No encoder, and a directory that is not ours to write: no fault, for interviews go on."""
    settings = {**SETTINGS, "PREPPALD_RECORD": "on", "PREPPALD_STATE_DIR": str(tmp_path / "state")}
    # Ports that nobody has: check says where one is taken, and another daemon may run here.
    settings |= {"PREPPALD_LISTEN": "127.0.0.1:0", "PREPPALD_ADMIN_LISTEN": "127.0.0.1:0"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    program(tmp_path / "bin", "flac", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert cli.main(["check", "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    (tmp_path / "bin" / "flac").unlink()
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    assert cli.main(["check", "--quiet"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        f"warning: recordings cannot be written: this user may not write to {tmp_path}",
        "warning: neither flac nor ffmpeg is on PATH: recordings are kept as WAV, 230 MB an hour",
    ]


# ------------------------------------------------------------------ finished while somebody looks


class Swapped(Shelf):
    """A shelf whose recordings are finished, all of them, at a chosen moment of the first look."""

    at = ""
    done: list[str]

    def unfinished(self) -> Iterator[Recording]:
        found = list(super().unfinished())
        self._swap("between the listing of notes and of files", found)
        yield from found

    def _finished(self) -> Iterator[Recording]:
        found = list(super()._finished())
        self._swap("between the listing and the look at the times", list(super().unfinished()))
        yield from found

    def all(self) -> list[Recording]:
        found = super().all()
        self._swap("between the look and the opening", found)
        return found

    def _swap(self, moment: str, found: list[Recording]) -> None:
        if moment == self.at and not self.done:
            self.done.append(moment)
            for it in found:
                finish(Shelf(self.directory.parent), it)


@pytest.mark.usefixtures("no_encoder")
@pytest.mark.parametrize(
    "moment",
    [
        "between the listing of notes and of files",
        "between the listing and the look at the times",
        "between the look and the opening",
    ],
)
@pytest.mark.parametrize(
    "arguments", [("iv-1", "--output", "fetched.wav"), (), ("iv-1", "--finish"), ("iv-1", "--delete")]
)
def test_a_recording_that_is_finished_meanwhile_is_found_all_the_same(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    moment: str,
    arguments: tuple[str, ...],
) -> None:
    """Its notes are swapped for its file under whoever fetches, lists, finishes or deletes it."""
    noted(tmp_path)
    done: list[str] = []
    monkeypatch.setattr(Swapped, "at", moment)
    monkeypatch.setattr(Swapped, "done", done, raising=False)
    monkeypatch.setattr("preppald.commands.recording.Shelf", Swapped)
    monkeypatch.chdir(tmp_path)
    assert preppald(tmp_path, *arguments, monkeypatch=monkeypatch) == 0
    assert done == [moment]
    printed = capsys.readouterr()
    assert not printed.err
    match arguments:
        case ():
            (row,) = [line.split() for line in printed.out.splitlines()[1:]]
            assert (row[0], row[-1]) == ("iv-1", "wav")
        case (_, "--delete"):
            assert not Shelf(tmp_path).all()
        case (_, "--finish"):
            assert printed.out == "it is finished already\n"
        case _:
            assert_aligned(tmp_path / "fetched.wav")


@pytest.mark.usefixtures("no_encoder")
def test_one_that_is_both_notes_and_file_is_read_from_the_file(tmp_path: Path) -> None:
    """The file is there before the notes go, one after the other: what is left of them is no recording."""
    noted(tmp_path)
    notes = the_one(tmp_path)
    file = finish(Shelf(tmp_path), notes)
    noted(tmp_path, records=())
    then = file.stat().st_mtime
    os.utime(notes.notes[0], (then, then))
    assert [it.file for it in Shelf(tmp_path).of("iv-1")] == [file, None]
    assert [it.file for it in Shelf(tmp_path).parts("iv-1")] == [file]


@pytest.mark.usefixtures("no_encoder")
async def test_the_keeper_goes_on_where_another_instance_finished_one_under_it(
    nursery: trio.Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And finishes the next one at once, not within the hour."""
    noted(tmp_path, "iv-1")
    noted(tmp_path, "iv-2")
    before = Shelf.unfinished
    done: list[Path] = []

    def unfinished(self: Shelf) -> Iterator[Recording]:
        for it in list(before(self)):
            if it.interview_id == "iv-1" and not done:
                done.append(finish(self, it))
            yield it

    monkeypatch.setattr(Shelf, "unfinished", unfinished)
    log = Notes()
    await kept(nursery, tmp_path, log)
    await until(log.events)
    assert log.events() == ["recording.finished"]
    assert log.keys("recording.finished")["interview"] == "iv-2"
