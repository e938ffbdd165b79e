"""Many fragments a row: nothing of them changes on the way, whatever was said."""

import sqlite3

from hypothesis import given, strategies as st
import pytest

from preppald.core.turns import Fragment, Speaker
from preppald.journal import packing, reader, schema, writes
from preppald.journal.packing import BUCKETS, ROW_FRAGMENTS
from preppald.journal.pending import Batch
from tests.durable import database, interview, said

# What Gemini's JSON can hold: everything but halves of pairs.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAMES = st.sampled_from(["iv", 'a "quoted" one', "Ünter", "x" * 64])


def connect() -> sqlite3.Connection:
    connection = database()
    schema.migrate(connection)
    return connection


def commit(connection: sqlite3.Connection, interview_id: str, fragments: list[Fragment]) -> None:
    batch = Batch(interviews={(interview_id, 0): interview(interview_id)})
    batch.add_fragments(interview_id, 1, fragments)
    writes.commit(connection, batch)


def settle(connection: sqlite3.Connection) -> None:
    for bucket in range(BUCKETS):
        while writes.settle(connection, bucket):
            pass


@given(st.lists(st.tuples(NAMES, TEXTS, st.booleans(), st.none() | st.integers(0, 9)), max_size=30))
def test_whatever_was_said_comes_back(said: list[tuple[str, str, bool, int | None]]) -> None:
    """Whether it is settled or not, or in part."""
    connection = connect()
    told: dict[str, list[Fragment]] = {}
    for seq, (name, text, complete, heard) in enumerate(said, 1):
        fragment = Fragment(seq, seq // 2, Speaker.USER, text, 1_795_000_000_000, complete, heard)
        told.setdefault(name, []).append(fragment)
        commit(connection, name, [fragment])
        if seq % 7 == 0:
            settle(connection)
    for _ in range(2):
        for name, fragments in told.items():
            assert reader.fragments(connection, name, 1) == fragments
            assert reader.fragments(connection, name, 1, since=15) == [it for it in fragments if it.seq > 15]
            assert reader.fragments(connection, name, 2) == []
        settle(connection)
    assert connection.execute("SELECT count(*) FROM recent").fetchone() == (0,)
    connection.close()  # hundreds of examples are one test


def test_rows_are_of_a_size() -> None:
    """Also those of a batch that waited long for its disk."""
    connection = connect()
    commit(connection, "iv", said(ROW_FRAGMENTS * 3 + 1))
    assert connection.execute("SELECT count(*) FROM recent").fetchone() == (4,)
    assert reader.fragments(connection, "iv", 1) == said(ROW_FRAGMENTS * 3 + 1)


def test_what_is_written_twice_counts_once() -> None:
    """A commit that seemed to fail is tried again, in this file or in the next."""
    connection = connect()
    commit(connection, "iv", said(5))
    settle(connection)
    commit(connection, "iv", said(8, first=3))
    assert reader.fragments(connection, "iv", 1) == said(10)
    settle(connection)
    assert reader.fragments(connection, "iv", 1) == said(10)


def test_settling_is_done_in_bounded_steps() -> None:
    connection = connect()
    for seq in range(1, 6):
        commit(connection, "iv", said(1, first=seq))
    bucket = packing.bucket("iv")
    assert writes.settle(connection, bucket, limit=4)
    assert connection.execute("SELECT count(*) FROM recent").fetchone() == (1,)
    assert not writes.settle(connection, bucket, limit=4)
    assert reader.fragments(connection, "iv", 1) == said(5)


@pytest.mark.parametrize("table", ["recent", "passage"])
def test_a_row_that_is_damaged_is_an_error_of_the_database(table: str) -> None:
    connection = connect()
    commit(connection, "iv", said(3))
    if table == "passage":
        settle(connection)
    connection.execute(f"UPDATE {table} SET fragments = substr(fragments, 2)")
    with pytest.raises(sqlite3.DatabaseError, match="cannot be read"):
        reader.fragments(connection, "iv", 1)


def test_the_bucket_of_an_interview_is_for_ever() -> None:
    """Another process looks there, and another version."""
    assert [packing.bucket(name) for name in ("iv", "iv-1", "Ünter", "")] == [0, 2, 6, 0]
