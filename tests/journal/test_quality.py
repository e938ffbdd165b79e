"""The row of how an interview went: kept with its end, moved with it, found in a damaged file, forgotten with it."""

from contextlib import closing
from pathlib import Path
import sqlite3

import trio

from preppald.core.presence import Presence, Stay
from preppald.core.quality import Quality, Service, quality
from preppald.journal import Given, Journal, OnDisk, Which, files, reader, rows, salvage
from preppald.journal.archive import Archive
from preppald.journal.journal import RETENTION_MS
from preppald.journal.writer import SWEEP_SECONDS
from tests.durable import EPOCH_MS, database, finished, interview, running

THERE = Presence(browser=(Stay(0, 60_000),), gemini=(Stay(80, 30_000), Stay(30_400, None, resumed=True)))
WENT = quality([], 60_000, Service(rotations=6, gaps=6, gap_ms=1_900, gap_longest_ms=400), THERE)


def at(directory: Path, instance: str = "preppald") -> OnDisk:
    return OnDisk(directory, instance, reserve_bytes=0)


async def fill(place: OnDisk) -> None:
    """An interview that owes its transcript."""
    async with running(place) as journal:
        end(journal)


def end(journal: Journal) -> None:
    journal.begin(interview())
    owed = [finished()]
    journal.end("iv", 1, ending="user_ended", cause=None, ended_ms=EPOCH_MS, deliveries=owed, quality=WENT)


def kept(directory: Path) -> Quality | None:
    (found,) = Archive(directory).interviews(Which())
    assert Archive(directory).quality(found.interview) == found.quality
    return found.quality


async def test_it_is_in_the_transaction_of_the_end(autojump_clock: object, tmp_path: Path) -> None:
    await fill(at(tmp_path))
    assert kept(tmp_path) == WENT


async def test_it_moves_with_an_interview_that_another_instance_adopts(
    autojump_clock: object, tmp_path: Path
) -> None:
    await fill(at(tmp_path, "a"))
    async with running(at(tmp_path, "b")) as journal:
        await journal.adopt(await journal.owing())
        assert await journal.ask(reader.qualities) == {("iv", 0, 1): WENT}
    assert kept(tmp_path) == WENT


async def test_it_is_found_in_a_file_that_sqlite_cannot_read(autojump_clock: object, tmp_path: Path) -> None:
    await fill(at(tmp_path))
    (file,) = (file for _, file in files.generations(tmp_path, "preppald"))
    found = [it for it in salvage.rows_of(file, lambda _error: None) if it.table == "quality"]
    assert [rows.quality(it.row) for it in found] == [("iv", 0, 1, WENT)]


async def test_a_damaged_one_hides_nothing_else(autojump_clock: object, tmp_path: Path) -> None:
    """The interview is listed without it, and the damage is named."""
    await fill(at(tmp_path))
    (file,) = (file for _, file in files.generations(tmp_path, "preppald"))
    for damage in ("replace(quality, '60000', '6')", "'{}'"):
        with closing(sqlite3.connect(file)) as connection, connection:
            assert connection.execute(f"UPDATE quality SET quality = {damage}").rowcount == 1
        archive = Archive(tmp_path)
        (found,) = archive.interviews(Which())
        assert found.quality is None
        assert "quality cannot be read" in archive.faults[0]


async def test_it_is_forgotten_with_the_interview(autojump_clock: object) -> None:
    """In memory: on a disk the files are looked at each second, and there is a week of them."""
    connection = database()
    place = Given(lambda: connection)
    async with running(place, retention_ms=RETENTION_MS) as journal:
        end(journal)
        await journal.flush()
        assert await journal.ask(reader.qualities) == {("iv", 0, 1): WENT}
        for owed in (await journal.queue(4)).due:
            journal.keep_owed(owed.acknowledged(EPOCH_MS))
        await trio.sleep(RETENTION_MS / 1000 + SWEEP_SECONDS)
        assert await journal.ask(reader.qualities) == {}


async def test_what_is_still_on_its_way_brings_no_forgotten_interview_back(autojump_clock: object) -> None:
    """As what feedback or a check has cost, which is written minutes after the end."""
    connection = database()
    async with running(Given(lambda: connection)) as journal:
        end(journal)
        await journal.flush()
        ended = await journal.interview("iv")
        assert ended is not None
        await journal.forget({"iv"}, also_undelivered=True)
        journal.begin(ended)
        await journal.flush()
        assert await journal.interview("iv") is None
