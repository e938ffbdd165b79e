"""Damage is contained in what is damaged: table by table, value by value."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
import random
import re
import sqlite3

import pytest

from preppald.core.deliveries import DeliveryState, OutboxEntry
from preppald.core.interview import Handle, Usage
from preppald.core.turns import SEQ_LEAP, UNREADABLE, fold, with_holes
from preppald.journal import OnDisk, Which, files, reader, rows, salvage, schema, writes
from preppald.journal.archive import Archive
from preppald.journal.pending import Batch
from tests.durable import EPOCH_MS, Notes, begun, finished, interview, running, said


def at(directory: Path, instance: str = "preppald") -> OnDisk:
    return OnDisk(directory, instance, reserve_bytes=0)


async def fill(directory: Path, instance: str = "preppald") -> None:
    """Two live interviews and two that owe their transcript; of each kind one is damaged afterwards."""
    async with running(at(directory, instance)) as journal:
        for name in ("live", "live-too", "over", "over-too"):
            journal.begin(interview(name, handle=Handle("h", "m", EPOCH_MS), usage=Usage(thoughts=3)))
            for first in range(1, 31, 10):
                journal.add_fragments(name, 1, said(10, first=first))
                await journal.flush()
            if name.startswith("over"):
                owed = [begun(name), finished(name, 30)]
                journal.end(name, 1, ending="user_ended", cause=None, ended_ms=EPOCH_MS, deliveries=owed)
        await journal.flush()


Damage = Callable[[sqlite3.Connection], None]


def change(statement: str) -> Damage:
    def damage(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        assert connection.execute(statement).rowcount == 1

    return damage


ONE_VALUE = {
    "usage": change("UPDATE interview SET usage = '{\"thoughts\":' WHERE interview_id = 'live'"),
    "handle": change("UPDATE interview SET handle = 'x' || substr(handle, 2) WHERE interview_id = 'live'"),
    "deadline": change("UPDATE interview SET deadline_ms = 7 WHERE interview_id = 'live'"),
    "phase": change("UPDATE interview SET phase = 'lire' WHERE interview_id = 'live'"),
    "not UTF-8": change("UPDATE interview SET user_id = CAST(X'75FF' AS TEXT) WHERE interview_id = 'live'"),
    "kind": change("UPDATE outbox SET kind = 'tranrcript' WHERE key = 'over:1:transcript'"),
    "state": change("UPDATE outbox SET state = 'pendinf' WHERE key = 'over:1:transcript'"),
    "payload": change("UPDATE outbox SET payload = X'7B22' WHERE key = 'over:1:transcript'"),
}


def damage(directory: Path, how: Damage, instance: str = "preppald") -> None:
    with closing(files.writable(directory / f"{instance}.db")) as connection:
        how(connection)


@pytest.mark.parametrize("what", ONE_VALUE)
async def test_one_damaged_value_costs_one_row_at_most(
    autojump_clock: object, tmp_path: Path, what: str
) -> None:
    """D1: the daemon starts; a live interview goes on, a transcript is made anew; all others are as they were."""
    await fill(tmp_path)
    damage(tmp_path, ONE_VALUE[what])
    notes = Notes()
    async with running(at(tmp_path), notes) as journal:
        live = {it.interview_id: it for it in journal.live()}
        assert live.keys() == {"live", "live-too"}
        assert live["live-too"].handle == Handle("h", "m", EPOCH_MS)
        assert live["live"].deadline_ms == interview().deadline_ms
        for name in ("live", "live-too"):
            assert await journal.history(name, 1) == said(30)
        owed = {it.key: it for it in await journal.ask(reader.owed)}
        assert owed["over:1:transcript"].delivery.payload == finished("over", 30).payload
        assert owed["over-too:1:transcript"].delivery == finished("over-too", 30)
        assert journal.damaged_rows == 1
    assert notes.events("error") == ["journal.row_damaged"]
    told = notes.keys("journal.row_damaged")
    assert "live" in str(told["interview"]) or "over" in str(told["key"])
    assert "preppald journal check" in str(told["todo"])
    # Set aside once: the next start has nothing to say.
    notes = Notes()
    async with running(at(tmp_path), notes) as journal:
        assert len(journal.live()) == 2
    assert notes.events("error") == []


@pytest.mark.parametrize("what", ONE_VALUE)
async def test_a_damaged_value_of_a_neighbour_is_contained(
    autojump_clock: object, tmp_path: Path, what: str
) -> None:
    """D2: everything of the neighbour's is adopted, and the one that adopts goes on."""
    await fill(tmp_path, "a")
    damage(tmp_path, ONE_VALUE[what], "a")
    notes = Notes()
    async with running(at(tmp_path, "b"), notes) as journal:
        await journal.adopt(await journal.owing())
        assert {it.interview_id for it in journal.live()} == {"live", "live-too"}
        assert await journal.owing() == []
        owed = {it.key for it in await journal.ask(reader.owed) if it.state is DeliveryState.PENDING}
        assert {"over:1:transcript", "over-too:1:transcript"} <= owed
    assert "journal.row_damaged" in notes.events("error")


@pytest.mark.parametrize("settled", [True, False])
@pytest.mark.parametrize("which", ["first", "middle", "last"])
async def test_a_damaged_row_of_fragments(
    autojump_clock: object, tmp_path: Path, which: str, *, settled: bool
) -> None:
    """A mark stands where words are missing, nowhere else, and not one of the damaged words is told."""
    await fill(tmp_path)
    first = {"first": 1, "middle": 11, "last": 21}[which]
    if settled:
        with closing(files.writable(tmp_path / "preppald.db")) as connection:
            connection.execute("DELETE FROM passage")
            for at_seq in (1, 11, 21):
                batch = Batch()
                batch.add_fragments("live", 1, said(10, first=at_seq))
                connection.execute("DELETE FROM recent")
                writes.commit(connection, batch)
                writes.settle(connection, 0)
                for bucket in range(8):
                    writes.settle(connection, bucket)
    table = "passage" if settled else "recent"
    where = f"fragments LIKE '%a word {first + 3} %'" + (
        "" if settled else " AND fragments LIKE '%\"live\"%'"
    )
    damage(
        tmp_path,
        change(
            f"UPDATE {table} SET fragments = replace(fragments, 'word {first + 3}', 'wore {first + 3}') WHERE {where}"
        ),
    )
    notes = Notes()
    async with running(at(tmp_path), notes) as journal:
        history = await journal.history("live", 1)
        marks = [number for number, it in enumerate(history) if it.text == UNREADABLE]
        assert marks == [{"first": 0, "middle": 10, "last": 20}[which]]
        del history[marks[0]]
        assert history == [it for it in said(30) if not first <= it.seq < first + 10]
        assert sum(turn.unreadable for turn in fold(await journal.history("live", 1)).values()) == 1
    assert notes.keys("transcript.unreadable")["interview"] == "live"
    assert notes.keys("journal.row_damaged")["table"] == table


async def test_the_commands_go_on(autojump_clock: object, tmp_path: Path) -> None:
    """They serve everything else, and say which row they could not read."""
    await fill(tmp_path)
    for what in ("usage", "kind"):
        damage(tmp_path, ONE_VALUE[what])
    archive = Archive(tmp_path)
    assert {it.interview.interview_id for it in archive.interviews(Which())} == {
        "live-too",
        "over",
        "over-too",
    }
    assert "over-too:1:transcript" in {it.key for it in archive.owed()}
    assert archive.retry(["over:1:status:IN_PROGRESS"]) == 1
    assert archive.drop(["over:1:transcript"], EPOCH_MS) == 0
    assert all("preppald journal check" in it for it in archive.faults)
    assert {"live", "over"} == {
        name for name in ("live", "over") for it in archive.faults if f"interview {name})" in it
    }


def test_numbers_that_are_missing_leave_a_mark() -> None:
    """Whole leaps between processes are none."""
    whole = said(5) + said(5, first=SEQ_LEAP + 6) + said(3, first=4 * SEQ_LEAP + 11)
    assert with_holes(whole) == whole
    for gone in range(len(whole) - 1):
        holed = whole[:gone] + whole[gone + 1 :]
        marked = with_holes(holed)
        assert [it for it in marked if it.text != UNREADABLE] == holed
        assert [number for number, it in enumerate(marked) if it.text == UNREADABLE] == [gone]
    assert with_holes(whole, lost_to=whole[-1].seq) == whole
    assert with_holes(whole, lost_to=whole[-1].seq + 2)[-1].text == UNREADABLE
    assert with_holes([]) == []


async def test_statuses_that_were_overtaken_are_dropped(autojump_clock: object, tmp_path: Path) -> None:
    """D8: wherever the row comes from, IN_PROGRESS is not posted after the transcript that completes."""
    async with running(at(tmp_path)) as journal:
        journal.begin(interview())
        journal.end("iv", 1, ending="user_ended", cause=None, ended_ms=EPOCH_MS, deliveries=[finished()])
        await journal.flush()
        journal.add_delivery(begun())
        # Of the same interview, begun again: that is news.
        journal.add_delivery(replace(begun("other"), key="other:2:status:IN_PROGRESS"))
    notes = Notes()
    async with running(at(tmp_path), notes) as journal:
        states = {it.key: it.state for it in await journal.ask(reader.owed)}
    assert states["iv:1:status:IN_PROGRESS"] is DeliveryState.DROPPED
    assert states["other:2:status:IN_PROGRESS"] is DeliveryState.PENDING
    assert notes.events() == ["delivery.overtaken"]


def test_rows_of_an_older_schema_get_their_checksums(tmp_path: Path) -> None:
    """All but passages, which are read without; a row of a wrong type is kept aside, and does not stop the upgrade."""
    connection = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    schema.migrate(connection, schema.MIGRATIONS[:5])
    old = rows.interview_row(interview())[:-1]
    values = [value for place, value in enumerate(old) if place not in {1, 15, 16}]
    marks = ", ".join("?" * len(values))
    connection.execute(f"INSERT INTO interview VALUES ({marks})", values)
    connection.execute("INSERT INTO recent (bucket, fragments) VALUES (0, '[]')")
    owed = list(rows.owed_row(OutboxEntry(finished()))[:-1])
    del owed[2]
    columns = rows.OWED_COLUMNS.replace(" block,", "").replace(", checksum", "")
    connection.execute(f"INSERT INTO outbox ({columns}) VALUES ({', '.join('?' * len(owed))})", owed)
    schema.migrate(connection)
    assert reader.interview(connection, "iv") == interview()
    assert [it.delivery for it in reader.owed(connection)] == [finished()]
    assert reader.fragments(connection, "iv", 1) == []
    connection.close()


async def test_a_header_of_random_bytes_hides_no_row(autojump_clock: object, tmp_path: Path) -> None:
    """Where pages are tried in other sizes, numbers of pages are read that no file system has: 5 of 300 were such."""
    async with running(OnDisk(tmp_path, "a", reserve_bytes=0)) as journal:
        journal.begin(interview())
        journal.add_fragments("iv", 1, said(200))
    database = tmp_path / "a.db"
    content = bytearray(database.read_bytes())
    whole = len(list(salvage.rows_of(database, lambda _error: None)))
    chance = random.Random(5)
    headers = [chance.randbytes(100) for _ in range(300)]
    for number in (101, 154, 193, 253, 286):
        content[:100] = headers[number]
        database.write_bytes(content)
        assert len(list(salvage.rows_of(database, lambda _error: None))) == whole


async def test_what_is_whole_is_salvaged_without_a_word_of_damage(
    autojump_clock: object, tmp_path: Path
) -> None:
    """Seen before: SQLite's own rows, of its tables and indices, were told as 25 damaged passages."""
    async with running(OnDisk(tmp_path, "a", reserve_bytes=0)) as journal:
        journal.begin(interview())
        journal.add_fragments("iv", 1, said(200))
    damaged: list[rows.Unreadable] = []
    found = list(salvage.rows_of(tmp_path / "a.db", damaged.append))
    assert {it.table for it in found} == {"interview", "recent"}
    assert damaged == []


async def test_a_schema_that_is_no_text_any_more_is_salvaged(autojump_clock: object, tmp_path: Path) -> None:
    """SQLite quotes the damaged schema in its error, and Python cannot decode that: the daemon starts all the same."""
    async with running(OnDisk(tmp_path, "a", reserve_bytes=0)) as journal:
        journal.begin(interview())
        journal.add_fragments("iv", 1, said(200))
    database = tmp_path / "a.db"
    content = database.read_bytes()
    # With the high bit set the letter begins a character of two bytes, which the next one does not continue.
    places = [at.start() for at in re.finditer(rb"CREATE TABLE interview", content)]
    assert places
    for place in places:
        harmed = bytearray(content)
        harmed[place + len(b"CREATE TA")] |= 0x80
        database.write_bytes(harmed)
        notes = Notes()
        async with running(OnDisk(tmp_path, "a", reserve_bytes=0), notes) as journal:
            assert await journal.fragments("iv", 1) == said(200)
        assert "journal.corrupt" in notes.events("error")


FILE_DAMAGE: dict[str, Callable[[bytearray], None]] = {
    # A name in a statement that still parses.
    "a column's name": lambda content: _put(content, content.index(b"attempts     INTEGER"), ord("A")),
    # With these two SQLite calls no file corrupt: it would only read it, or not open it.
    "the version for writing": lambda content: _put(content, 18, 34),
    "the format of the schema": lambda content: _put(content, 47, 132),
    "the number of migrations": lambda content: _put(content, 61, 1),
}


def _put(content: bytearray, offset: int, value: int) -> None:
    content[offset] = value


@pytest.mark.parametrize("damage", FILE_DAMAGE.values(), ids=FILE_DAMAGE)
@pytest.mark.parametrize("own", [True, False], ids=["its own start", "adopted"])
async def test_a_byte_of_the_file_s_own_facts(
    damage: Callable[[bytearray], None], autojump_clock: object, tmp_path: Path, *, own: bool
) -> None:
    """Where SQLite takes a damaged file for another kind of file, it is salvaged like any other, and nothing is lost."""
    await fill(tmp_path, "a")
    file = tmp_path / "a.db"
    content = bytearray(file.read_bytes())
    damage(content)
    file.write_bytes(content)
    notes = Notes()
    async with running(at(tmp_path, "a" if own else "b"), notes) as journal:
        if not own:
            await journal.adopt(await journal.owing())
        assert {it.interview_id for it in journal.live()} == {"live", "live-too"}
        assert await journal.fragments("live", 1) == said(30)
        assert {it.key for it in await journal.ask(reader.owed)} == {
            f"{name}:1:{what}"
            for name in ("over", "over-too")
            for what in ("status:IN_PROGRESS", "transcript")
        }
        journal.begin(interview("new"))
        await journal.flush()
    assert set(notes.events("error")) & {"journal.salvaged", "journal.misnumbered"}
