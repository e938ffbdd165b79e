"""The database's tables, and the migrations of older ones.

Every change of the schema is one more entry at the end of ``MIGRATIONS``; an entry that was released is
never edited. ``PRAGMA user_version`` counts the entries that a database has seen. Each entry changes a table or an
index, so that the tables tell the number, too: a flipped bit in it must not keep a daemon from starting.
"""

# ruff: noqa: S608 - what is put into the statements' text are names of tables and columns; values are bound.

import contextlib
import functools
import re
import sqlite3

from preppald.errors import NewerSchemaError
from preppald.journal import rows

FIRST = """
-- One row an interview: core.interview.Interview. handle and usage are JSON.
CREATE TABLE interview (
  interview_id TEXT PRIMARY KEY,
  user_id      TEXT NOT NULL,
  epoch        INTEGER NOT NULL,
  token_digest TEXT NOT NULL,
  model        TEXT NOT NULL,
  started_ms   INTEGER NOT NULL,
  deadline_ms  INTEGER NOT NULL,
  phase        TEXT NOT NULL CHECK (phase IN ('live', 'ended')),
  handle       TEXT,
  usage        TEXT NOT NULL,
  credited_ms  INTEGER NOT NULL,
  ended_ms     INTEGER,
  ending       TEXT,
  cause        TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX interview_live ON interview (interview_id) WHERE phase = 'live';
CREATE INDEX interview_ended ON interview (ended_ms) WHERE phase = 'ended';

-- The transcript, as it came: core.turns.Fragment. Clustered by interview, so that it is read in one sweep.
CREATE TABLE fragment (
  interview_id  TEXT NOT NULL,
  epoch         INTEGER NOT NULL,
  seq           INTEGER NOT NULL,
  turn          INTEGER NOT NULL,
  speaker       TEXT NOT NULL,
  text          TEXT NOT NULL,
  at_ms         INTEGER NOT NULL,
  turn_complete INTEGER NOT NULL,
  heard         INTEGER,
  PRIMARY KEY (interview_id, epoch, seq)
) STRICT, WITHOUT ROWID;

-- What the backend is owed: core.deliveries.OutboxEntry. number is the order in which the rows were made.
CREATE TABLE outbox (
  number       INTEGER PRIMARY KEY AUTOINCREMENT,
  key          TEXT NOT NULL UNIQUE,
  interview_id TEXT NOT NULL,
  kind         TEXT NOT NULL,
  payload      BLOB NOT NULL,
  created_ms   INTEGER NOT NULL,
  state        TEXT NOT NULL CHECK (state IN ('pending', 'done', 'dead', 'dropped')),
  attempts     INTEGER NOT NULL,
  next_ms      INTEGER NOT NULL,
  last_status  INTEGER,
  last_error   TEXT,
  acked_ms     INTEGER
) STRICT;
CREATE INDEX outbox_interview ON outbox (interview_id, number);
CREATE INDEX outbox_pending ON outbox (interview_id, number, next_ms, created_ms) WHERE state = 'pending';
CREATE INDEX outbox_dead ON outbox (number) WHERE state = 'dead';

-- Earlier files of this instance whose unfinished business was taken over into this one.
CREATE TABLE carried (file TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
"""

SECOND = """
-- Fragments of the last seconds, in the order in which they came: a commit touches a few pages at the end of
-- this table, where it would touch one page an interview in the other (measured: 1 ms instead of 6, and a
-- quarter of the CPU, at 500 interviews). Every few seconds they are settled into the table fragment.
CREATE TABLE recent (
  number        INTEGER PRIMARY KEY,
  interview_id  TEXT NOT NULL,
  epoch         INTEGER NOT NULL,
  seq           INTEGER NOT NULL,
  turn          INTEGER NOT NULL,
  speaker       TEXT NOT NULL,
  text          TEXT NOT NULL,
  at_ms         INTEGER NOT NULL,
  turn_complete INTEGER NOT NULL,
  heard         INTEGER
) STRICT;
"""

THIRD = """
-- Interviews on their way from this database to another instance's, by the name of the transfer: see adoption.py.
CREATE TABLE leaving (interview_id TEXT PRIMARY KEY, transfer TEXT NOT NULL) STRICT, WITHOUT ROWID;
-- Transfers that are whole in this database, until the other one has forgotten what left it.
CREATE TABLE arrived (transfer TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
"""

FOURTH = """
-- Many fragments a row, as packing.py has it: what a row costs in CPU is then shared.
CREATE TABLE passage (
  number       INTEGER PRIMARY KEY,
  interview_id TEXT NOT NULL,
  epoch        INTEGER NOT NULL,
  last_seq     INTEGER NOT NULL,
  fragments    TEXT NOT NULL
) STRICT;
CREATE INDEX passage_interview ON passage (interview_id, epoch, last_seq);

-- One passage an interview. UNION, not UNION ALL: while it was settled, a fragment stood in both tables.
INSERT INTO passage (interview_id, epoch, last_seq, fragments)
SELECT interview_id, epoch, max(seq), json_group_array(json_array(
  seq, turn, speaker, text, at_ms, json(CASE turn_complete WHEN 0 THEN 'false' ELSE 'true' END), heard))
FROM (
  SELECT interview_id, epoch, seq, turn, speaker, text, at_ms, turn_complete, heard FROM fragment
  UNION
  SELECT interview_id, epoch, seq, turn, speaker, text, at_ms, turn_complete, heard FROM recent
)
GROUP BY interview_id, epoch;
DROP TABLE fragment;
DROP TABLE recent;

CREATE TABLE recent (
  number    INTEGER PRIMARY KEY,
  bucket    INTEGER NOT NULL,
  fragments TEXT NOT NULL
) STRICT;
CREATE INDEX recent_bucket ON recent (bucket);
"""

FIFTH = """
-- Transcripts that the backend has, by the key of their delivery, and on which feedback is still to be written.
CREATE TABLE feedback_due (key TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
"""

SIXTH = """
-- A checksum with each row (see rows.py), blocks in the key of an interview, what the application answered, and
-- the number from which a process numbers its fragments. The rows follow in _give_checksums.
ALTER TABLE interview RENAME TO interview_old;
DROP INDEX interview_live;
DROP INDEX interview_ended;
CREATE TABLE interview (
  interview_id TEXT NOT NULL,
  block        INTEGER NOT NULL DEFAULT 0,
  user_id      TEXT NOT NULL,
  epoch        INTEGER NOT NULL,
  token_digest TEXT NOT NULL,
  model        TEXT NOT NULL,
  started_ms   INTEGER NOT NULL,
  deadline_ms  INTEGER NOT NULL,
  phase        TEXT NOT NULL CHECK (phase IN ('live', 'ended')),
  handle       TEXT,
  usage        TEXT NOT NULL,
  credited_ms  INTEGER NOT NULL,
  ended_ms     INTEGER,
  ending       TEXT,
  cause        TEXT,
  context      TEXT,
  seq_floor    INTEGER NOT NULL DEFAULT 0,
  checksum     INTEGER NOT NULL,
  PRIMARY KEY (interview_id, block)
) STRICT, WITHOUT ROWID;
CREATE INDEX interview_live ON interview (interview_id) WHERE phase = 'live';
CREATE INDEX interview_ended ON interview (ended_ms) WHERE phase = 'ended';

ALTER TABLE outbox ADD COLUMN block INTEGER NOT NULL DEFAULT 0;
ALTER TABLE outbox ADD COLUMN checksum INTEGER;
-- Old passages have no checksum: there may be gigabytes of them.
ALTER TABLE passage ADD COLUMN block INTEGER NOT NULL DEFAULT 0;
ALTER TABLE passage ADD COLUMN checksum INTEGER;
ALTER TABLE recent ADD COLUMN checksum INTEGER;
DROP INDEX passage_interview;
CREATE INDEX passage_interview ON passage (interview_id, block, epoch, last_seq);

-- Rows that could not be read, one by one, as they stood (MessagePack of their values). Of fragments: whose they
-- seem to be, and the highest number among them, as far as it can be known.
CREATE TABLE damaged (
  number       INTEGER PRIMARY KEY,
  origin       TEXT NOT NULL,
  interview_id TEXT,
  block        INTEGER NOT NULL DEFAULT 0,
  epoch        INTEGER,
  last_seq     INTEGER,
  key          TEXT,
  why          TEXT NOT NULL,
  found_ms     INTEGER NOT NULL,
  stored       BLOB NOT NULL
) STRICT;
CREATE INDEX damaged_interview ON damaged (interview_id, block, epoch);

-- The file's own name: a copy of it under another name is nobody's instance.
CREATE TABLE identity (file TEXT NOT NULL) STRICT;
"""

SEVENTH = """
-- How an interview, or a block, went: core.quality.Quality as JSON, written at its end.
CREATE TABLE quality (
  number       INTEGER PRIMARY KEY,
  interview_id TEXT NOT NULL,
  block        INTEGER NOT NULL,
  epoch        INTEGER NOT NULL,
  quality      TEXT NOT NULL,
  checksum     INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX quality_interview ON quality (interview_id, block);

-- Transcripts that the backend has, by the key of their delivery, and that are still to be checked.
CREATE TABLE verification_due (key TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
"""

EIGHTH = """
-- Spans that a collector of traces is owed: core.traces.Spans as JSON, and its size. No words are in them.
CREATE TABLE trace (
  number       INTEGER PRIMARY KEY,
  interview_id TEXT NOT NULL,
  block        INTEGER NOT NULL,
  epoch        INTEGER NOT NULL,
  created_ms   INTEGER NOT NULL,
  bytes        INTEGER NOT NULL,
  spans        TEXT NOT NULL,
  checksum     INTEGER NOT NULL
) STRICT;
CREATE INDEX trace_interview ON trace (interview_id);
-- For the sums of the bound, without a look at the spans.
CREATE INDEX trace_bytes ON trace (number, created_ms, bytes);
"""

MIGRATIONS: tuple[str, ...] = (FIRST, SECOND, THIRD, FOURTH, FIFTH, SIXTH, SEVENTH, EIGHTH)


def version(connection: sqlite3.Connection) -> int:
    """Return how many migrations this database has seen: by its tables where those are known, else by its number."""
    number = _number(connection)
    present = _shape(connection)
    if number in range(len(MIGRATIONS) + 1) and present == _shape_after(MIGRATIONS[:number]):
        return number
    known = range(1, len(MIGRATIONS) + 1)
    return next((it for it in known if present == _shape_after(MIGRATIONS[:it])), number)


def misnumbered(connection: sqlite3.Connection) -> bool:
    """Return whether the number in the file is not that of its tables: damage, which ``migrate`` mends."""
    return _number(connection) != version(connection)


def _number(connection: sqlite3.Connection) -> int:
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    return int(number)


def recognised(connection: sqlite3.Connection) -> bool:
    """Return whether the tables are those of a version of ours, or a newer one's; else their statements are damaged."""
    number = _number(connection)
    if number > len(MIGRATIONS):
        return True
    present = _shape(connection)
    return any(present == _shape_after(MIGRATIONS[:it]) for it in range(len(MIGRATIONS), -1, -1))


# Without the spool's tables, which come and go with a setting: see spool.py.
_STATEMENTS = """
SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' AND substr(name, 1, 7) <> 'shared_'
"""


def _shape(connection: sqlite3.Connection) -> frozenset[tuple[str, str]]:
    """Return the statements that made the tables and indexes, by name."""
    return frozenset(connection.execute(_STATEMENTS))


@functools.cache
def _shape_after(migrations: tuple[str, ...]) -> frozenset[tuple[str, str]]:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        for migration in migrations:
            connection.executescript(migration)
            if migration is SIXTH:
                connection.execute("DROP TABLE interview_old")
        return _shape(connection)


def migrate(connection: sqlite3.Connection, migrations: tuple[str, ...] = MIGRATIONS) -> None:
    """Bring the database up to date; each step is one transaction with its number in it.

    Raises:
        NewerSchemaError: a newer preppald wrote it.
    """
    rows.equip(connection)
    present = version(connection)
    if present > len(migrations):
        raise NewerSchemaError(
            f"the database was written by a newer preppald (schema {present}, this one knows "
            f"{len(migrations)}): start that version, or point PREPPALD_STATE_DIR elsewhere"
        )
    if present != _number(connection):
        connection.execute(f"PRAGMA user_version = {present}")
    for number, migration in enumerate(migrations[present:], start=present + 1):
        # executescript commits an open transaction and runs as it stands: the transaction is in the script.
        try:
            connection.executescript(f"BEGIN IMMEDIATE;\n{migration}")
            if migration is SIXTH:
                _give_checksums(connection)
            connection.execute(f"PRAGMA user_version = {number}")
            connection.commit()
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _give_checksums(connection: sqlite3.Connection) -> None:
    """Move the rows of the sixth migration. A row with wrong types goes into the table damaged, as it stands."""
    old = connection.execute(
        """
        SELECT interview_id, 0, user_id, epoch, token_digest, model, started_ms, deadline_ms, phase, handle, usage,
          credited_ms, ended_ms, ending, cause, NULL, 0
        FROM interview_old
        """
    )
    marks = ", ".join("?" * len(rows.INTERVIEW_COLUMNS.split(",")))
    for row in old:
        try:
            connection.execute(f"INSERT INTO interview VALUES ({marks})", rows.sealed(row))
        except (sqlite3.IntegrityError, UnicodeEncodeError) as error:
            connection.execute(
                "INSERT INTO damaged (origin, interview_id, why, found_ms, stored) VALUES (?, ?, ?, ?, ?)",
                (
                    "interview",
                    None,
                    f"it was damaged before the upgrade ({type(error).__name__})",
                    0,
                    rows.image(row),
                ),
            )
    connection.execute("DROP TABLE interview_old")
    for table in ("outbox", "recent"):
        columns, _, last = rows.COLUMNS[table].rpartition(",")
        for (number,) in connection.execute(f"SELECT number FROM {table}").fetchall():
            row = connection.execute(f"SELECT {columns} FROM {table} WHERE number = ?", (number,)).fetchone()
            # One that is damaged already stays without: it is found when it is read.
            with contextlib.suppress(UnicodeEncodeError, sqlite3.IntegrityError):
                connection.execute(
                    f"UPDATE {table} SET {last} = ? WHERE number = ?", (rows.checksum(*row), number)
                )


def tune(connection: sqlite3.Connection) -> None:
    """Set up durability at each commit, with readers beside the writer, and nothing left of what is deleted."""
    connection.execute("PRAGMA journal_mode = WAL")
    # FULL costs the same as NORMAL when commits are grouped; NORMAL may roll back the last ones at power loss.
    connection.execute("PRAGMA synchronous = FULL")
    # Deleted words would stay in the file until their page is used again. Measured at 500 interviews: 5 % more of the
    # journal's CPU, a quarter more bytes written.
    connection.execute("PRAGMA secure_delete = ON")


def name(connection: sqlite3.Connection, file: str) -> None:
    """Writes the file's own name into it."""
    if identity(connection) != file:
        connection.execute("DELETE FROM identity")
        connection.execute("INSERT INTO identity (file) VALUES (?)", (file,))


def identity(connection: sqlite3.Connection) -> str | None:
    """Return the name under which this file was made; None for one that no daemon of this version has opened."""
    found = connection.execute("SELECT file FROM identity LIMIT 1").fetchone()
    return None if found is None else str(found[0])


def corrupt(why: str) -> sqlite3.DatabaseError:
    """Return the error of a damaged file, as SQLite would raise it."""
    error = sqlite3.DatabaseError(why)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


# SQLite's words for a damaged index over a sound table: the index is made anew.
_INDEX_FAULT = re.compile(
    r"row \d+ missing from index |wrong # of entries in index |non-unique entry in index "
)
# SQLite's words for a row with wrong values: a matter of that row, see mending.py.
_ROW_FAULT = re.compile(
    r"NULL value in |CHECK constraint failed in |non-\w+ value in |\w+ value in |NUMERIC value "
)
# More is not needed to know that there is any.
_FAULTS = 100


def check(connection: sqlite3.Connection, *, mend: bool = True) -> bool:
    """Look at the file's structure; return whether an index was damaged, and was made anew if ``mend``.

    Raises:
        sqlite3.DatabaseError: it is damaged (SQLITE_CORRUPT).
    """
    verdicts = [str(verdict) for (verdict,) in connection.execute(f"PRAGMA integrity_check({_FAULTS})")]
    faults = [it for it in verdicts if it != "ok" and not _ROW_FAULT.match(it)]
    broken = [it for it in faults if not _INDEX_FAULT.match(it)]
    if broken or len(verdicts) >= _FAULTS:
        raise corrupt(broken[0] if broken else faults[0] if faults else verdicts[0])
    if not recognised(connection):
        # Such a statement still parses: it names a column, say, that no statement of ours does.
        raise corrupt("its tables are not those of any schema")
    if faults and mend:
        connection.execute("REINDEX")
    return bool(faults)
