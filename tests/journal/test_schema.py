"""Every database that was ever written opens with today's preppald."""

from pathlib import Path
import sqlite3

import pytest

from preppald.errors import StartError
from preppald.journal import reader, schema, writes
from preppald.journal.pending import Batch
from tests.durable import database, interview, said

ONE_MORE = "ALTER TABLE interview ADD COLUMN mood TEXT; CREATE INDEX mood ON interview (mood);"


def shape(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY name").fetchall()


@pytest.mark.parametrize("start", range(len(schema.MIGRATIONS) + 1))
def test_each_version_comes_forward(start: int) -> None:
    """From each version that was released to today's, with the same result as from nothing."""
    fresh, old = database(), database()
    schema.migrate(fresh)
    schema.migrate(old, schema.MIGRATIONS[:start])
    assert schema.version(old) == start
    schema.migrate(old)
    assert schema.version(old) == len(schema.MIGRATIONS)
    assert shape(old) == shape(fresh)


@pytest.mark.parametrize("true", range(1, len(schema.MIGRATIONS) + 1))
@pytest.mark.parametrize("bit", range(32))
def test_a_flipped_bit_in_the_version_changes_nothing(true: int, bit: int) -> None:
    """The tables tell the version, too. This fails for a migration that changes no table and no index."""
    connection = database()
    schema.migrate(connection, schema.MIGRATIONS[:true])
    number = true ^ (1 << bit)
    connection.execute(f"PRAGMA user_version = {number if bit < 31 else number - (1 << 32)}")
    assert schema.misnumbered(connection)
    assert schema.version(connection) == true
    schema.migrate(connection)
    assert schema.version(connection) == len(schema.MIGRATIONS)
    assert not schema.misnumbered(connection)


def test_rows_survive_a_migration() -> None:
    connection = database()
    schema.migrate(connection)
    batch = Batch(interviews={("iv", 0): interview()})
    batch.add_fragments("iv", 1, said(3))
    writes.commit(connection, batch)
    schema.migrate(connection, (*schema.MIGRATIONS, ONE_MORE))
    assert connection.execute("SELECT interview_id, mood FROM interview").fetchall() == [("iv", None)]
    assert reader.fragments(connection, "iv", 1) == said(3)


def test_a_migration_that_fails_leaves_nothing_behind() -> None:
    """All of it or none, its number included; the next start tries again."""
    connection = database()
    schema.migrate(connection)
    before = shape(connection)
    with pytest.raises(sqlite3.Error):
        schema.migrate(connection, (*schema.MIGRATIONS, f"{ONE_MORE} DROP TABLE nowhere;"))
    assert not connection.in_transaction
    assert shape(connection) == before
    assert schema.version(connection) == len(schema.MIGRATIONS)
    schema.migrate(connection, (*schema.MIGRATIONS, ONE_MORE))
    assert schema.version(connection) == len(schema.MIGRATIONS) + 1


def test_a_migration_that_does_not_parse() -> None:
    """SQLite has not begun the transaction then, or it has: it is closed either way."""
    connection = database()
    with pytest.raises(sqlite3.Error):
        schema.migrate(connection, ("CREATE NONSENSE",))
    assert not connection.in_transaction
    assert schema.version(connection) == 0


def test_a_newer_database_is_not_touched() -> None:
    connection = database()
    schema.migrate(connection, (*schema.MIGRATIONS, ONE_MORE))
    with pytest.raises(StartError, match="newer preppald"):
        schema.migrate(connection)


def test_durability_is_switched_on(tmp_path: Path) -> None:
    connection = database(tmp_path / "x.db")
    schema.tune(connection)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


ONE_A_ROW = "INSERT INTO {} (interview_id, epoch, seq, turn, speaker, text, at_ms, turn_complete, heard) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"


def test_fragments_that_had_a_row_each_are_packed() -> None:
    """All of them once, also those that stood in both tables when the old preppald died; every field as it was."""
    connection = database()
    schema.migrate(connection, schema.MIGRATIONS[:2])
    words = said(30, text='Straße "quoted" \\ \n \U0001f600 ')
    rows = [
        (name, epoch, it.seq, it.turn, it.speaker.value, it.text, it.at_ms, int(it.turn_complete), it.heard)
        for name, epoch in (("iv", 1), ("iv", 2), ("other", 1))
        for it in words
    ]
    connection.executemany(ONE_A_ROW.format("fragment"), rows[:50])
    connection.executemany(ONE_A_ROW.format("recent"), rows[40:])
    schema.migrate(connection)
    assert reader.fragments(connection, "iv", 1) == words
    assert reader.fragments(connection, "iv", 2, since=28) == words[28:]
    assert reader.fragments(connection, "other", 1) == words
    assert connection.execute("SELECT count(*) FROM passage").fetchone() == (3,)
