"""A disk that is full, broken, slow or busy: nothing is forgotten, and everybody is told."""

from collections.abc import Callable
import errno
from pathlib import Path
import sqlite3
from typing import TypeVar

import pytest
import trio

from preppald.core.deliveries import Work
from preppald.core.interview import Handle
from preppald.errors import JournalError
from preppald.journal import Given, OnDisk, Which, pending
from preppald.journal.faults import Damage, damage, sentence
from preppald.journal.writer import COMMIT_SECONDS, PATIENCE_SECONDS, RETRY_SECONDS
from tests.durable import (
    DISK_SECONDS,
    EPOCH_MS,
    Notes,
    Rig,
    RiggedDisk,
    begun,
    broken,
    busy,
    failure,
    finished,
    full,
    interview,
    running,
    said,
    wall_ms,
)

T = TypeVar("T")


@pytest.mark.parametrize(
    ("error", "meant"),
    [
        (full(), Damage.FULL),
        (OSError(errno.ENOSPC, "No space left on device"), Damage.FULL),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), Damage.FULL),
        (failure("disk I/O error", sqlite3.SQLITE_IOERR_SHMSIZE), Damage.FULL),
        (broken(), Damage.BROKEN),
        (OSError(errno.EIO, "Input/output error"), Damage.BROKEN),
        (failure("malformed", sqlite3.SQLITE_CORRUPT), Damage.BROKEN),
        (busy(), Damage.PASSING),
        (sqlite3.OperationalError("made up"), Damage.PASSING),
        (OSError(errno.EACCES, "Permission denied"), Damage.PASSING),
    ],
)
def test_what_an_error_means(error: sqlite3.Error | OSError, meant: Damage) -> None:
    assert damage(error) is meant
    assert sentence(error, "x.db")


async def test_a_fault_is_told_and_passes(autojump_clock: object) -> None:
    """While the commit fails new interviews are refused; the batch is tried once a second, and kept."""
    rig, notes = Rig(), Notes()
    async with running(Given(lambda: rig.connection(":memory:"), "x.db"), notes) as journal:
        await trio.sleep(1)
        rig.always = full()
        journal.begin(interview())
        journal.add_fragments("iv", 1, said(3))
        with pytest.raises(JournalError, match=r"the disk of x\.db is full"):
            await journal.flush()
        assert journal.fault is not None
        # Known to be faulty: nobody waits.
        began = trio.current_time()
        journal.add_fragments("iv", 1, said(3, first=4))
        with pytest.raises(JournalError):
            await journal.flush()
        assert trio.current_time() == began
        await trio.sleep(10)
        assert await journal.fragments("iv", 1) == said(6)
        assert await journal.interviews(Which()) == []
        rig.always = None
        await trio.sleep(RETRY_SECONDS + COMMIT_SECONDS + DISK_SECONDS)
        assert journal.fault is None
        assert await journal.interviews(Which()) == [interview()]
        assert await journal.fragments("iv", 1) == said(6)
    # One line when it began, one when it was over.
    assert notes.events() == ["journal.fault", "journal.recovered"]
    assert notes.keys("journal.recovered")["records"] == 7


async def test_the_reserve_is_given_up_for_what_is_said(autojump_clock: object, tmp_path: Path) -> None:
    """A full disk costs new interviews, and no transcript; with room again, the reserve is put back."""
    rig, notes = Rig(), Notes()
    disk = RiggedDisk(tmp_path, rig, reserve_bytes=4096)
    async with running(disk, notes) as journal:
        await trio.sleep(1)
        reserve = tmp_path / "preppald.reserve"
        assert reserve.stat().st_size == 4096
        disk.reserve = lambda: False  # type: ignore[method-assign]
        rig.on_commit = [full()]
        journal.begin(interview())
        await journal.flush()  # durable, thanks to the reserve
        assert not reserve.exists()
        assert journal.fault is not None
        assert "nearly full" in journal.fault
        await trio.sleep(10)
        assert journal.fault is not None
        del disk.reserve
        # Nobody records anything any more: it is found out all the same.
        await trio.sleep(RETRY_SECONDS + DISK_SECONDS)
        assert journal.fault is None
        assert reserve.exists()
    assert notes.events() == ["journal.reserve_used"]


async def test_a_reserve_that_does_not_help(autojump_clock: object, tmp_path: Path) -> None:
    rig = Rig()
    async with running(RiggedDisk(tmp_path, rig, reserve_bytes=4096)) as journal:
        await trio.sleep(1)
        rig.on_commit = [full(), full()]
        journal.begin(interview())
        with pytest.raises(JournalError, match="is full"):
            await journal.flush()
        await trio.sleep(RETRY_SECONDS * 2)
        await journal.flush()
        assert journal.fault is None


async def test_a_really_full_database(tmp_path: Path) -> None:
    """SQLite itself says SQLITE_FULL; the thread is real; with room again everything is there."""
    connections: list[sqlite3.Connection] = []

    class Small(OnDisk):
        def connect(self) -> sqlite3.Connection:
            connections.append(super().connect())
            return connections[-1]

    disk = Small(tmp_path, reserve_bytes=0)
    async with running(disk, in_thread=None) as journal:
        journal.begin(interview())
        await journal.flush()

        def shrink(connection: sqlite3.Connection) -> None:
            connection.execute("PRAGMA max_page_count = 20")

        await journal.ask(shrink)
        journal.add_fragments("iv", 1, said(1000, text="many words " * 20))
        journal.add_delivery(begun())  # its commit rings the bell
        with pytest.raises(JournalError, match="is full"):
            await journal.flush()
        assert journal.fault is not None
        assert await journal.fragments("iv", 1) == said(1000, text="many words " * 20)
        await journal.ask(lambda connection: connection.execute("PRAGMA max_page_count = 100000").close())
        with trio.fail_after(10):
            while journal.fault:
                await journal.outbox_bell.heard(1)
        await journal.flush()
    async with running(OnDisk(tmp_path, reserve_bytes=0)) as journal:
        assert await journal.fragments("iv", 1) == said(1000, text="many words " * 20)


async def test_a_broken_disk_is_left(autojump_clock: object, tmp_path: Path) -> None:
    """After a failed fsync the file is never written again; all unfinished business is in a new one."""
    rig, notes = Rig(), Notes()
    async with running(RiggedDisk(tmp_path, rig), notes) as journal:
        for name in ("told", "over", "iv"):
            journal.begin(interview(name))
            journal.add_fragments(name, 1, said(5))
            if name != "iv":
                deliveries = [finished(name)]
                journal.end(name, 1, ending="user", cause=None, ended_ms=EPOCH_MS, deliveries=deliveries)
        await journal.flush()
        told = (await journal.queue(4)).due[0]
        journal.keep_owed(told.acknowledged(wall_ms()))
        journal.note_due(Work.FEEDBACK, told.key, due=True)
        await journal.flush()
        commits = rig.commits
        rig.always = broken()
        journal.add_fragments("iv", 1, said(5, first=6))
        journal.keep_handle("iv", 1, Handle("h2", "m", EPOCH_MS))
        await journal.flush()
        assert journal.fault is None
        assert rig.commits == commits
        assert await journal.fragments("iv", 1) == said(10)
        assert [owed.key for owed in (await journal.queue(4)).due] == ["over:1:transcript"]
        assert await journal.due(Work.FEEDBACK, []) == finished("told")
        (owed,) = (await journal.queue(4)).due
        journal.keep_owed(owed.acknowledged(wall_ms()))
        await journal.flush()
    assert "journal.moved_on" in notes.events("error")
    assert (tmp_path / "preppald.2.db").exists()
    # The next start takes the newest file, and what was delivered does not come back from the old one.
    async with running(OnDisk(tmp_path, reserve_bytes=0)) as journal:
        (live,) = journal.live()
        assert live.handle == Handle("h2", "m", EPOCH_MS)
        assert (await journal.queue(4)).pending == 0


async def test_a_broken_disk_that_cannot_be_read(autojump_clock: object, tmp_path: Path) -> None:
    """What memory has goes on; the old file is tried again at the next start, and then its rows come."""
    rig, notes = Rig(), Notes()
    async with running(RiggedDisk(tmp_path, rig), notes) as journal:
        journal.begin(interview())
        journal.add_fragments("iv", 1, said(5))
        journal.add_delivery(begun())
        await journal.flush()
        rig.always = broken()
        rig.on_read = [broken()] * 9
        journal.add_fragments("iv", 1, said(5, first=6))
        await journal.flush()
        assert journal.live() == [interview()]
        assert await journal.fragments("iv", 1) == said(5, first=6)
    assert "journal.not_carried_over" in notes.events("error")
    notes = Notes()
    async with running(OnDisk(tmp_path, reserve_bytes=0), notes) as journal:
        assert journal.live() == [interview()]
        assert await journal.fragments("iv", 1) == said(10)
        assert (await journal.queue(4)).pending == 1
    assert notes.events() == ["journal.carried_over"]
    notes = Notes()
    async with running(OnDisk(tmp_path, reserve_bytes=0), notes) as journal:
        assert (await journal.queue(4)).pending == 1
    assert notes.events() == []


async def test_no_other_file_can_be_made(autojump_clock: object, tmp_path: Path) -> None:
    """The whole disk is gone: memory holds, once a second another file is tried, and then it goes on."""
    rig, notes = Rig(), Notes()
    disk = RiggedDisk(tmp_path, rig)
    async with running(disk, notes) as journal:
        await trio.sleep(1)
        disk.no_successor = True
        rig.always = broken()
        journal.begin(interview())
        journal.add_fragments("iv", 1, said(5))
        with pytest.raises(JournalError, match="Read-only file system"):
            await journal.flush()
        await trio.sleep(5)
        assert not (tmp_path / "preppald.2.db").exists()
        disk.no_successor = False
        await trio.sleep(RETRY_SECONDS * 2)
        assert journal.fault is None
        assert await journal.fragments("iv", 1) == said(5)
    assert not (tmp_path / "preppald.3.db").exists()


async def test_the_successor_is_full(autojump_clock: object, tmp_path: Path) -> None:
    """A new file was made, and cannot be filled yet: the old one is not written for that."""
    rig, notes = Rig(), Notes()
    disk = RiggedDisk(tmp_path, rig)
    async with running(disk, notes) as journal:
        journal.begin(interview("first"))
        journal.add_delivery(begun("first"))
        await journal.flush()
        commits = rig.commits
        connect, disk.connect = disk.connect, lambda: (_ for _ in ()).throw(full())  # type: ignore[method-assign]
        rig.on_commit = [broken()]  # only once: a disk that lies afterwards
        journal.begin(interview("second"))
        with pytest.raises(JournalError, match="is full"):
            await journal.flush()
        await trio.sleep(5)
        assert journal.fault is not None
        assert [owed.key for owed in (await journal.queue(4)).due] == []
        disk.connect = connect  # type: ignore[method-assign]
        await trio.sleep(RETRY_SECONDS * 2)
        assert journal.fault is None
        assert rig.commits == commits
        assert {it.interview_id for it in await journal.interviews(Which())} == {"first", "second"}
        assert (await journal.queue(4)).pending == 1
    assert not (tmp_path / "preppald.3.db").exists()


async def test_the_daemon_stops_while_the_disk_is_broken(autojump_clock: object, tmp_path: Path) -> None:
    """What never reached a disk is lost with the process, but the place is given back."""
    rig = Rig()
    disk = RiggedDisk(tmp_path, rig)
    async with running(disk) as journal:
        disk.no_successor = True
        rig.always = broken()
        journal.begin(interview())
        await trio.sleep(1)
    OnDisk(tmp_path).hold()


async def test_memory_is_bounded(autojump_clock: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past the bound fragments are refused and counted; endings and their deliveries are always taken."""
    monkeypatch.setattr(pending, "MAX_PENDING_BYTES", 10_000)
    rig, notes = Rig(), Notes()
    async with running(Given(lambda: rig.connection(":memory:")), notes) as journal:
        await trio.sleep(1)
        rig.always = busy()
        journal.begin(interview())
        for seq in range(1, 101):
            journal.add_fragments("iv", 1, said(1, first=seq))
        assert journal.fault is not None
        assert "memory" in journal.fault
        assert journal.pending_bytes < 10_000 + 400
        journal.end("iv", 1, ending="user", cause=None, ended_ms=EPOCH_MS, deliveries=[finished()])
        await trio.sleep(2)
        assert [owed.key for owed in (await journal.queue(4)).due] == ["iv:1:transcript"]
        rig.always = None
        await trio.sleep(2)
        kept = len(await journal.fragments("iv", 1))
        assert journal.fault is None
    assert notes.keys("journal.dropped") == {"fragments": 100 - kept}
    assert 20 < kept < 40


async def test_a_disk_that_hangs(autojump_clock: object) -> None:
    """A commit without an end holds up nobody: flush gives up, the fault is told, endings are in reach."""
    rig, notes = Rig(), Notes()
    limiter = trio.CapacityLimiter(1)
    hang = 0.0

    async def one_at_a_time(function: Callable[[], T], /) -> T:
        async with limiter:
            with trio.CancelScope(shield=True):
                await trio.sleep(DISK_SECONDS + hang)
            return function()

    place = Given(lambda: rig.connection(":memory:"), "x.db")
    async with running(place, notes, in_thread=one_at_a_time) as journal:
        journal.begin(interview())
        await journal.flush()
        hang = 60.0
        began = trio.current_time()
        journal.end("iv", 1, ending="user", cause=None, ended_ms=EPOCH_MS, deliveries=[finished()])
        with pytest.raises(JournalError, match="has not answered for 10 seconds"):
            await journal.flush()
        assert trio.current_time() == pytest.approx(began + PATIENCE_SECONDS)
        await trio.sleep(0.1)
        assert journal.fault == "the disk of x.db has not answered for 10 seconds"
        assert [owed.key for owed in (await journal.queue(4)).due] == ["iv:1:transcript"]
        with pytest.raises(JournalError, match="has not answered"):
            await journal.interviews(Which())
        hang = 0.0
        await trio.sleep(60)
        assert journal.fault is None
        await journal.flush()
    assert "outbox.from_memory" in notes.events("error")


async def test_the_outbox_while_the_disk_fails(autojump_clock: object) -> None:
    """Order is kept over what is on disk and what is only in memory; what was acknowledged is not offered."""
    rig, notes = Rig(), Notes()
    async with running(Given(lambda: rig.connection(":memory:")), notes) as journal:
        journal.add_delivery(begun("a"))
        journal.add_delivery(begun("b"))
        await journal.flush()
        rig.always = full()
        journal.add_delivery(finished("a"))
        journal.add_delivery(finished("c"))
        # Without a known fault, what is not durable is not offered, nor anything of its interview.
        assert [owed.key for owed in (await journal.queue(9)).due] == ["b:1:status:IN_PROGRESS"]
        await trio.sleep(1)
        due = (await journal.queue(9)).due
        assert sorted(owed.key for owed in due) == [
            "a:1:status:IN_PROGRESS",
            "b:1:status:IN_PROGRESS",
            "c:1:transcript",
        ]
        a = next(owed for owed in due if owed.key.startswith("a"))
        c = next(owed for owed in due if owed.key.startswith("c"))
        journal.keep_owed(a.acknowledged(wall_ms()))
        journal.keep_owed(c.postponed(wall_ms() + 60_000, 500, "later"))
        queue = await journal.queue(9, ["b"])
        assert [owed.key for owed in queue.due] == ["a:1:transcript"]
        assert queue.next_ms is not None
        # Made again, while memory is all there is: still done.
        journal.add_delivery(begun("a"))
        assert [owed.key for owed in (await journal.queue(9, ["b"])).due] == ["a:1:transcript"]
        # The disk cannot even be read: memory is enough.
        rig.on_read = [broken()]
        assert [owed.key for owed in (await journal.queue(9)).due] == ["a:1:transcript"]
        rig.always = None
        await trio.sleep(3)
        assert [owed.key for owed in (await journal.queue(9)).due] == [
            "b:1:status:IN_PROGRESS",
            "a:1:transcript",
        ]
    assert notes.events("error").count("outbox.from_memory") >= 1
