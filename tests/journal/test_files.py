"""The state directory: who may read it, who holds it, what happens to a damaged file."""

from contextlib import closing
import os
from pathlib import Path
import sqlite3
import stat
import subprocess
import sys

import pytest

from preppald.errors import StartError
from preppald.journal import Given, OnDisk
from preppald.journal.files import generations, instances
from preppald.journal.schema import MIGRATIONS
from tests.durable import Notes, begun, interview, running, said

HOLD = """
import sys, time
from pathlib import Path
from preppald.journal import OnDisk
OnDisk(Path(sys.argv[1])).hold()
print("held", flush=True)
time.sleep(60)
"""


def small(state_dir: Path, instance: str = "preppald") -> OnDisk:
    return OnDisk(state_dir, instance, reserve_bytes=4096)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in folder.iterdir()}


async def test_only_the_owner_reads_anything(autojump_clock: object, tmp_path: Path) -> None:
    """Whatever the umask says."""
    state_dir = tmp_path / "var" / "state"
    before = os.umask(0)
    try:
        async with running(small(state_dir)) as journal:
            journal.begin(interview())
            await journal.flush()
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in state_dir.iterdir()}
    finally:
        os.umask(before)
    assert stat.S_IMODE(state_dir.stat().st_mode) == 0o700
    assert modes == dict.fromkeys(
        (
            "preppald.db",
            "preppald.db-wal",
            "preppald.db-shm",
            "preppald.lock",
            "preppald.reserve",
        ),
        0o600,
    )


def test_two_daemons_never_share_a_database(tmp_path: Path) -> None:
    """The second one is told who the first is; kill -9 of the first gives the place free at once."""
    first = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE)
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == b"held\n"
        with pytest.raises(
            StartError, match=rf"in use by the preppald with pid {first.pid}.*PREPPALD_INSTANCE"
        ):
            small(tmp_path).hold()
        other = small(tmp_path, "second")
        other.hold()
        other.release()
    finally:
        first.kill()
        first.communicate()
    mine = small(tmp_path)
    mine.hold()
    assert (tmp_path / "preppald.lock").read_text() == f"{os.getpid()}\n"
    mine.release()
    mine.release()


async def test_the_second_journal_does_not_start(autojump_clock: object, tmp_path: Path) -> None:
    async with running(small(tmp_path)) as journal:
        journal.begin(interview())
        with pytest.RaisesGroup(StartError):
            async with running(small(tmp_path)):
                pytest.fail("it started")
        await journal.flush()


@pytest.mark.parametrize("damage", ["header", "middle", "not a database"])
async def test_a_corrupt_database_is_moved_aside(autojump_clock: object, tmp_path: Path, damage: str) -> None:
    """Never deleted, told loudly; the daemon starts, with what can be had of it."""
    async with running(small(tmp_path)) as journal:
        journal.begin(interview())
        journal.add_fragments("iv", 1, said(2000))
    database = tmp_path / "preppald.db"
    content = bytearray(database.read_bytes())
    if damage == "header":
        content[:100] = os.urandom(100)
    elif damage == "middle":
        for page in range(2, len(content) // 4096):
            content[page * 4096 : page * 4096 + 16] = b"\xff" * 16
    else:
        content[:] = b"\0" * 10 + b"hello" * 2000
    database.write_bytes(content)
    notes = Notes()
    async with running(small(tmp_path), notes) as journal:
        assert journal.live() == ([interview()] if damage == "header" else [])
        had = await journal.fragments("iv", 1)
        assert had == said(2000 if damage == "header" else len(had))
        journal.begin(interview("new"))
        await journal.flush()
    told = [event for event in notes.events("error") if event != "journal.shortened"]
    assert told[:2] == ["journal.corrupt", "journal.salvaged"]
    moved_to = str(notes.keys("journal.corrupt")["moved_to"])
    assert moved_to.startswith(f"{database}.corrupt-2")
    assert contents(tmp_path)[moved_to] == content
    async with running(small(tmp_path)) as journal:
        assert interview("new") in journal.live()


async def test_its_log_goes_with_a_corrupt_database(autojump_clock: object, tmp_path: Path) -> None:
    """The -wal holds the newest rows: `.recover` finds it beside the file."""
    (tmp_path / "preppald.db").write_bytes(b"x" * 5000)
    (tmp_path / "preppald.db-wal").write_bytes(b"y" * 5000)
    async with running(small(tmp_path)):
        pass
    moved = {name: content for name, content in contents(tmp_path).items() if ".corrupt-" in name}
    assert [content for name, content in moved.items() if name.endswith("Z-wal")] == [b"y" * 5000]


async def test_a_given_database_that_is_corrupt(autojump_clock: object, tmp_path: Path) -> None:
    """The simulation's place has nowhere to move it to: the next connection counts."""
    good = sqlite3.connect(":memory:")
    bad = tmp_path / "bad.db"
    bad.write_bytes(b"x" * 5000)
    connections = [sqlite3.connect(bad), good]
    async with running(Given(lambda: connections.pop(0))) as journal:
        journal.begin(interview())
        await journal.flush()


async def test_a_newer_schema_is_left_alone(autojump_clock: object, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "preppald.db")) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.RaisesGroup(
        pytest.RaisesExc(StartError, match=f"schema 99, this one knows {len(MIGRATIONS)}")
    ):
        async with running(small(tmp_path)):
            pytest.fail("it started")
    # The place was given back.
    small(tmp_path).hold()


async def test_a_directory_that_is_none(autojump_clock: object, tmp_path: Path) -> None:
    """Root may write anywhere, but not into a file."""
    (tmp_path / "file").touch()
    with pytest.RaisesGroup(pytest.RaisesExc(StartError, match="cannot be used .*PREPPALD_STATE_DIR")):
        async with running(small(tmp_path / "file" / "state")):
            pytest.fail("it started")


async def test_a_database_that_cannot_be_opened(autojump_clock: object, tmp_path: Path) -> None:
    (tmp_path / "preppald.db").mkdir()
    with pytest.RaisesGroup(pytest.RaisesExc(StartError, match="cannot be opened .*owner")):
        async with running(small(tmp_path)):
            pytest.fail("it started")


def test_instances_and_their_files(tmp_path: Path) -> None:
    for name in ("a.db", "a.2.db", "a.10.db", "b-2.db", "a.db-wal", "a.lock", "a.db.corrupt-2026Z", "a.x.db"):
        (tmp_path / name).touch()
    assert instances(tmp_path) == ["a", "b-2"]
    assert [(number, file.name) for number, file in generations(tmp_path, "a")] == [
        (1, "a.db"),
        (2, "a.2.db"),
        (10, "a.10.db"),
    ]
    assert generations(tmp_path, "b") == []
    assert generations(tmp_path / "nowhere", "a") == []
    with pytest.raises(StartError, match=r"instance name 'a\.b'"):
        OnDisk(tmp_path, "a.b")


def test_the_reserve(tmp_path: Path) -> None:
    """It is real space, and half of one is none."""
    disk = OnDisk(tmp_path, reserve_bytes=1 << 20)
    assert disk.reserve()
    assert (tmp_path / "preppald.reserve").stat().st_blocks * 512 >= 1 << 20
    assert disk.reserve()
    assert disk.free_reserve()
    assert not disk.free_reserve()
    # More than there is on any disk.
    assert not OnDisk(tmp_path, reserve_bytes=1 << 60).reserve()
    assert not (tmp_path / "preppald.reserve").exists()
    none = OnDisk(tmp_path, reserve_bytes=0)
    assert none.reserve()
    assert not none.free_reserve()


async def test_an_earlier_file_that_is_damaged(autojump_clock: object, tmp_path: Path) -> None:
    """It does not keep the daemon from starting with the newest one."""
    (tmp_path / "preppald.db").write_bytes(b"x" * 5000)
    notes = Notes()
    disk = small(tmp_path)
    disk.succeed()
    async with running(disk, notes) as journal:
        journal.add_delivery(begun())
        await journal.flush()
        assert (await journal.queue(4)).pending == 1
    assert notes.events() == ["journal.not_carried_over"]
