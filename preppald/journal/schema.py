"""The database: its tables, and how an older one becomes today's.

Every change of the schema is one more entry at the end of ``MIGRATIONS``; an entry that was released is
never edited. ``PRAGMA user_version`` counts the entries that a database has seen.
"""

import sqlite3

from preppald.errors import StartError

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

-- What the backend is owed: core.deliveries.Owed. number is the order in which the rows were made.
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

MIGRATIONS: tuple[str, ...] = (FIRST, SECOND, THIRD, FOURTH, FIFTH)


def version(connection: sqlite3.Connection) -> int:
    """How many migrations this database has seen."""
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    return int(number)


def migrate(connection: sqlite3.Connection, migrations: tuple[str, ...] = MIGRATIONS) -> None:
    """Brings the database up to date; each step is one transaction with its number in it.

    Raises:
        StartError: a newer preppald wrote it.
    """
    present = version(connection)
    if present > len(migrations):
        raise StartError(
            f"the database was written by a newer preppald (schema {present}, this one knows "
            f"{len(migrations)}): start that version, or point PREPPALD_STATE_DIR elsewhere"
        )
    for number, migration in enumerate(migrations[present:], start=present + 1):
        # executescript commits what is open and runs as it stands: the transaction is in the script.
        try:
            connection.executescript(f"BEGIN;\n{migration}\nPRAGMA user_version = {number};\nCOMMIT;")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def tune(connection: sqlite3.Connection) -> None:
    """Durability at each commit, with readers beside the writer."""
    connection.execute("PRAGMA journal_mode = WAL")
    # FULL costs the same as NORMAL when commits are grouped; NORMAL may roll back the last ones at power loss.
    connection.execute("PRAGMA synchronous = FULL")


def check(connection: sqlite3.Connection) -> None:
    """Raises sqlite3.DatabaseError (SQLITE_CORRUPT) when SQLite finds the file's structure damaged."""
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        damaged = sqlite3.DatabaseError(verdict)
        damaged.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise damaged
