"""Backup, restore and salvage: by the commands, as an operator calls them."""

import os
from pathlib import Path
import shutil
import tempfile

import pytest
import trio

from preppald.cli import main
from preppald.core.deliveries import DeliveryState
from preppald.errors import EX_DATAERR, EX_IOERR
from preppald.journal import OnDisk, reader
from tests.durable import (
    DAEMONS,
    EPOCH_MS,
    Notes,
    as_root,
    as_user,
    begun,
    finished,
    interview,
    running,
    said,
)


def at(directory: Path, instance: str = "preppald") -> OnDisk:
    return OnDisk(directory, instance, reserve_bytes=0)


def owners(directory: Path) -> set[tuple[int, int]]:
    return {(it.stat().st_uid, it.stat().st_gid) for it in directory.iterdir()}


def call(monkeypatch: pytest.MonkeyPatch, state_dir: Path, *words: str | Path) -> int:
    monkeypatch.setenv("PREPPALD_STATE_DIR", str(state_dir))
    return main(["journal", *map(str, words)])


async def test_a_backup_of_a_journal_that_runs_is_restored_on_an_empty_host(
    autojump_clock: object,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """200 interviews are being written to: each is there, whole up to a fragment, and what is owed is owed once."""
    state, host = tmp_path / "state", tmp_path / "host"
    names = [f"iv-{number}" for number in range(200)]
    async with running(at(state)) as journal:
        for name in names:
            journal.begin(interview(name))
            journal.add_fragments(name, 1, said(10))
        for name in names[:50]:
            owed = [begun(name), finished(name)]
            journal.end(name, 1, ending="user_ended", cause=None, ended_ms=EPOCH_MS, deliveries=owed)
        await journal.flush()

        async def speak() -> None:
            for seq in range(11, 60):
                for name in names[50:]:
                    journal.add_fragments(name, 1, said(1, first=seq))
                await trio.sleep(0.02)

        async with trio.open_nursery() as talks:
            talks.start_soon(speak)
            await trio.sleep(0.3)
            assert call(monkeypatch, state, "backup", tmp_path / "backups") == 0
        backup = capsys.readouterr().out.strip()
    assert call(monkeypatch, host, "restore", backup) == 0
    assert call(monkeypatch, host, "check") == 0
    async with running(at(host)) as journal:
        live = journal.live()
        assert {it.interview_id for it in live} == set(names[50:])
        for it in live:
            history = await journal.history(it.interview_id, 1)
            assert len(history) >= 10
            assert history == said(len(history))
        owed_now = await journal.ask(reader.owed)
        assert [it.key for it in owed_now] == [
            it.key for name in names[:50] for it in (begun(name), finished(name))
        ]
        assert {it.state for it in owed_now} == {DeliveryState.PENDING}


async def test_nothing_is_overwritten(
    autojump_clock: object,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    state = tmp_path / "state"
    async with running(at(state)) as journal:
        journal.begin(interview())
        await journal.flush()
        assert call(monkeypatch, state, "backup", tmp_path / "backups") == 0
        backup = capsys.readouterr().out.strip()
        assert call(monkeypatch, state, "restore", backup) == EX_IOERR
        assert "is in the way" in capsys.readouterr().err
    assert call(monkeypatch, tmp_path / "new", "restore", tmp_path) == EX_IOERR
    assert "is no backup" in capsys.readouterr().err
    assert call(monkeypatch, tmp_path / "nowhere", "backup", tmp_path / "b") == EX_IOERR
    assert call(monkeypatch, tmp_path / "nowhere", "check") == EX_IOERR


@as_root
async def test_what_root_restores_or_salvages_is_the_daemons(
    autojump_clock: object,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    host = tmp_path / "host"
    host.mkdir()
    os.chown(host, *DAEMONS)
    async with running(at(tmp_path / "state")) as journal:
        journal.begin(interview())
        await journal.flush()
        assert call(monkeypatch, tmp_path / "state", "backup", tmp_path / "backups") == 0
    backup = capsys.readouterr().out.strip()
    assert call(monkeypatch, host, "restore", backup) == 0
    assert owners(host) == {DAEMONS}
    assert call(monkeypatch, host, "salvage", f"{backup}/preppald.db", "--adopt") == 0
    assert len(list(host.glob("*.db"))) == 2
    assert owners(host) == {DAEMONS}


@as_root
async def test_a_database_that_the_daemon_may_not_open_is_told(autojump_clock: object) -> None:
    """Seen before: what root had salvaged lay beside the daemon, which passed it over in silence."""
    notes = Notes()
    # pytest's own directory is root's alone.
    with tempfile.TemporaryDirectory() as directory:
        state = Path(directory)
        async with running(at(state, "a")) as journal:
            journal.begin(interview())
        os.chown(state, *DAEMONS)
        with as_user(DAEMONS[0]):
            async with running(at(state, "b"), notes) as journal:
                for _ in range(3):
                    assert await journal.owing() == []
    assert notes.events("error") == ["journal.not_adopted"]
    told = notes.keys("journal.not_adopted")
    assert told["database"] == str(state / "a.db")
    assert "may not be opened" in str(told["cause"])


async def test_a_copy_in_the_state_directory_is_nobody(
    autojump_clock: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D9: neither one made by `backup` nor one made by hand is adopted from; an instance that stopped is."""
    async with running(at(tmp_path, "a")) as journal:
        journal.begin(interview())
        await journal.flush()
        assert call(monkeypatch, tmp_path, "backup", tmp_path) == 0
    shutil.copyfile(tmp_path / "a.db", tmp_path / "a-of-yesterday.db")
    notes = Notes()
    async with running(at(tmp_path, "b"), notes) as journal:
        for _ in range(3):
            assert [it.name for it in await journal.owing()] == [str(tmp_path / "a.db")]
        await journal.adopt(await journal.owing())
        assert journal.live() == [interview()]
        assert await journal.owing() == []
    assert notes.events("warning") == ["journal.foreign_file", "journal.adopted"]


async def test_an_older_schema_and_earlier_files_are_adopted(autojump_clock: object, tmp_path: Path) -> None:
    """D6 and D7: whatever a stopped neighbour left, in whichever of its files."""
    import sqlite3  # noqa: PLC0415

    from preppald.journal import schema  # noqa: PLC0415 - beside its use

    old = sqlite3.connect(tmp_path / "old.db", isolation_level=None)
    schema.migrate(old, schema.MIGRATIONS[:5])
    old.execute(
        "INSERT INTO interview VALUES ('old', 'u', 1, 'd', 'm', 1, 2, 'live', NULL, '{}', 0, NULL, NULL, NULL)"
    )
    old.close()
    (tmp_path / "old.lock").touch()
    async with running(at(tmp_path, "a")) as journal:
        journal.begin(interview("earlier"))
    async with running(at(tmp_path, "fresh")):
        pass
    (tmp_path / "fresh.db").rename(tmp_path / "a.2.db")
    with sqlite3.connect(tmp_path / "a.2.db", isolation_level=None) as connection:
        schema.name(connection, "a.2.db")
    connection.close()
    async with running(at(tmp_path, "b")) as journal:
        await journal.adopt(await journal.owing())
        assert {it.interview_id for it in journal.live()} == {"old", "earlier"}
        assert await journal.owing() == []


async def test_what_was_set_aside_is_salvaged_and_adopted(
    autojump_clock: object,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A file without its first page, and with a flipped bit in a transcript: all but that is had."""
    state = tmp_path / "state"
    async with running(at(tmp_path / "first")) as journal:
        for name in ("iv-1", "iv-2"):
            journal.begin(interview(name))
            journal.add_fragments(name, 1, said(20))
        journal.end(
            "iv-2", 1, ending="user_ended", cause=None, ended_ms=EPOCH_MS, deliveries=[finished("iv-2")]
        )
    content = bytearray((tmp_path / "first" / "preppald.db").read_bytes())
    content[:4096] = bytes(4096)
    place = content.index(b"a word 7")
    content[place] ^= 4
    aside = tmp_path / "x.corrupt"
    aside.write_bytes(content)
    assert call(monkeypatch, state, "salvage", aside) == EX_DATAERR
    shown = capsys.readouterr().out
    assert "2 interview" in shown
    assert "damaged: " in shown
    async with running(at(state)) as journal:
        assert call(monkeypatch, state, "salvage", aside, "--adopt") == EX_DATAERR
        await journal.adopt(await journal.owing())
        assert journal.live() == [interview("iv-1")]
        owed = {it.key: it.delivery for it in await journal.ask(reader.owed)}
        assert owed.keys() == {"iv-2:1:transcript"}
    assert call(monkeypatch, state, "salvage", tmp_path / "nowhere") == EX_IOERR
