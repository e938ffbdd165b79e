"""Files that are removed, replaced or cut, under the daemon and between its runs: noticed, told, and carried over."""

from collections.abc import Callable
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys

import pytest
import trio

from preppald.core.deliveries import DeliveryState, OutboxEntry
from preppald.core.interview import Phase
from preppald.errors import StartError
from preppald.journal import OnDisk, reader
from preppald.journal.writer import LOOK_SECONDS
from tests.durable import EPOCH_MS, Notes, begun, finished, interview, running, said

# The look itself, and the commit into the new file.
NOTICED_SECONDS = LOOK_SECONDS + 0.1


def at(directory: Path, instance: str = "preppald") -> OnDisk:
    return OnDisk(directory, instance, reserve_bytes=0)


def replaced(directory: Path) -> None:
    shutil.copyfile(directory / "preppald.db", directory / "copy")
    (directory / "copy").rename(directory / "preppald.db")


UNDER_US: dict[str, Callable[[Path], None]] = {
    "the database removed": lambda directory: (directory / "preppald.db").unlink(),
    "the database replaced": replaced,
    "the -wal removed": lambda directory: (directory / "preppald.db-wal").unlink(),
    "the -wal cut": lambda directory: os.truncate(directory / "preppald.db-wal", 100),
    "everything removed": shutil.rmtree,
    "the directory moved away": lambda directory: directory.rename(f"{directory}.away").touch(),
}


@pytest.mark.parametrize("what", UNDER_US)
async def test_what_happens_to_the_files_is_noticed_within_a_second(
    autojump_clock: object, tmp_path: Path, what: str
) -> None:
    """D5: nothing is recorded at that moment; live interviews and what is owed are in a new file all the same."""
    state = tmp_path / "state"
    notes = Notes()
    async with running(at(state), notes) as journal:
        journal.keep_owed(OutboxEntry(begun()).acknowledged(EPOCH_MS))
        for name in ("iv", "over"):
            journal.begin(interview(name))
            journal.add_fragments(name, 1, said(10))
        journal.end(
            "over", 1, ending="user_ended", cause=None, ended_ms=EPOCH_MS, deliveries=[finished("over")]
        )
        await journal.flush()
        await trio.sleep(LOOK_SECONDS)
        UNDER_US[what](state)
        await trio.sleep(NOTICED_SECONDS)
        assert journal.fault is None
        assert (state / "preppald.2.db").exists()
        assert "journal.moved_on" in notes.events("error")
        journal.add_fragments("iv", 1, said(5, first=11))
        await journal.flush()
        assert await journal.fragments("iv", 1) == said(15)
        with pytest.raises(StartError, match="in use by the preppald"):
            at(state).hold()
    notes = Notes()
    async with running(at(state), notes) as journal:
        assert journal.live() == [interview("iv")]
        assert await journal.fragments("iv", 1) == said(15)
        # One that the backend has is known as such, or it would be posted again.
        assert {it.key: it.state for it in await journal.ask(reader.owed)} == {
            "iv:1:status:IN_PROGRESS": DeliveryState.DONE,
            "over:1:transcript": DeliveryState.PENDING,
        }
        # One that has ended does not begin again.
        over = await journal.interview("over")
        assert over is not None
        assert over.phase is Phase.ENDED


async def test_a_file_in_place_of_the_directory(autojump_clock: object, tmp_path: Path) -> None:
    """Nothing can be written there: no new interview begins until that is mended, and then nothing is lost."""
    state = tmp_path / "state"
    async with running(at(state)) as journal:
        journal.begin(interview())
        await journal.flush()
        await trio.sleep(LOOK_SECONDS)
        shutil.rmtree(state)
        state.touch()
        await trio.sleep(NOTICED_SECONDS)
        assert journal.fault is not None
        state.unlink()
        await trio.sleep(3 * LOOK_SECONDS)
        assert journal.fault is None
    async with running(at(state)) as journal:
        assert journal.live() == [interview()]


@pytest.mark.parametrize("what", UNDER_US)
async def test_what_happens_to_the_files_just_before_the_end(
    autojump_clock: object, tmp_path: Path, what: str
) -> None:
    """A daemon that is stopped looks once more: closing its file would be the end of what has no name."""
    state = tmp_path / "state"
    async with running(at(state)) as journal:
        journal.begin(interview())
        journal.add_fragments("iv", 1, said(10))
        await journal.flush()
        await trio.sleep(LOOK_SECONDS)
        UNDER_US[what](state)
    async with running(at(state)) as journal:
        assert journal.live() == [interview()]
        assert await journal.fragments("iv", 1) == said(10)


async def test_a_cut_database_is_left(autojump_clock: object, tmp_path: Path) -> None:
    """What SQLite had of it is gone with it; what is live goes on, and the log says what was lost."""
    notes = Notes()
    async with running(at(tmp_path), notes) as journal:
        journal.begin(interview())
        journal.add_fragments("iv", 1, said(10))
        await journal.flush()
        await journal.ask(lambda connection: connection.execute("PRAGMA wal_checkpoint").fetchall())
        await trio.sleep(LOOK_SECONDS)
        os.truncate(tmp_path / "preppald.db", 4096)
        await trio.sleep(NOTICED_SECONDS)
        assert journal.fault is None
        journal.add_fragments("iv", 1, said(5, first=11))
        await journal.flush()
        assert journal.live() == [interview()]
    assert any("was cut from" in str(keys.get("cause")) for _, _, keys in notes.lines)


async def test_new_interviews_are_refused_while_no_file_can_be_made(
    autojump_clock: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "state"
    place = at(state)
    async with running(place) as journal:
        journal.begin(interview())
        await journal.flush()

        def refuse() -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(place, "succeed", refuse)
        shutil.rmtree(state)
        await trio.sleep(NOTICED_SECONDS)
        assert journal.fault is not None
        monkeypatch.undo()
        await trio.sleep(NOTICED_SECONDS * 2)
        assert journal.fault is None


async def test_the_lock_cannot_be_removed_by_its_name(autojump_clock: object, tmp_path: Path) -> None:
    """D10: a second daemon of the same name does not start, and neither is its database adopted."""
    async with running(at(tmp_path)) as journal:
        journal.begin(interview())
        await journal.flush()
        (tmp_path / "preppald.lock").unlink()
        with pytest.RaisesGroup(pytest.RaisesExc(StartError, match="in use by another preppald")):
            async with running(at(tmp_path)):
                pytest.fail("it started")
        (tmp_path / "preppald.lock").unlink()
        notes = Notes()
        async with running(at(tmp_path, "b"), notes) as other:
            await other.adopt(await other.owing())
            assert other.live() == []
        assert notes.events() == ["journal.not_adopted"]
        journal.add_delivery(begun())
        await journal.flush()


CRASH = """
import os, sys, trio
from pathlib import Path
from preppald.journal import Journal, OnDisk
from tests.durable import EPOCH_MS, Notes, interview, said

async def main(state_dir):
    journal = Journal(OnDisk(state_dir, reserve_bytes=0), log=Notes(), now_ms=lambda: EPOCH_MS)
    async with trio.open_nursery() as nursery:
        await nursery.start(journal.run)
        journal.begin(interview())
        journal.add_fragments("iv", 1, said(500))
        await journal.flush()
        os.kill(os.getpid(), 9)

trio.run(main, Path(sys.argv[1]))
"""

BETWEEN_RUNS: dict[str, tuple[Callable[[Path], None], str]] = {
    "the -wal removed": (lambda directory: (directory / "preppald.db-wal").unlink(), "-wal has 0 bytes"),
    "the -wal cut": (
        lambda directory: os.truncate(directory / "preppald.db-wal", 5000),
        "-wal has 5000 bytes",
    ),
    "the database cut": (
        lambda directory: os.truncate(directory / "preppald.db", 0),
        "preppald.db has 0 bytes",
    ),
}


@pytest.mark.parametrize("what", BETWEEN_RUNS)
async def test_what_is_missing_between_runs_is_said(
    autojump_clock: object, tmp_path: Path, what: str
) -> None:
    """D4: loudly; and where the -wal has it all, nothing is lost."""
    killed = subprocess.run(  # noqa: ASYNC221 - the clock waits with it
        [sys.executable, "-c", CRASH, tmp_path], cwd=Path(__file__).parents[2], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    damage, words = BETWEEN_RUNS[what]
    damage(tmp_path)
    notes = Notes()
    async with running(at(tmp_path), notes) as journal:
        assert words in str(notes.keys("journal.shortened")["what"])
        if what == "the database cut":
            assert await journal.fragments("iv", 1) == said(500)
    notes = Notes()
    async with running(at(tmp_path), notes):
        pass
    assert "journal.shortened" not in notes.events()
