"""The tables of a shared journal in PostgreSQL, in a schema of their own, and the steps that make them.

A step only ever adds: tables, columns that may be null, indexes. So two versions of preppald, one after the other, work
on the same tables while hosts are upgraded one by one. A step that was released is never edited.

Rule 1: a step is one statement, and so one transaction: it is there whole or not at all.
Rule 2: each step names the oldest version of these tables whose programs may still read them. A program that is older
        stays away, and says so.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """``oldest_reader``: the number of steps that a program must know to work with the tables after this one."""

    oldest_reader: int
    sql: str


# Rows of recent are deleted as fast as they are made: autovacuum comes after 5000 of them, not after a fifth of the table.
FIRST = """
-- IF NOT EXISTS would ask for the right to make schemas even where this one is there.
IF to_regnamespace('preppald') IS NULL THEN CREATE SCHEMA preppald; END IF;
CREATE TABLE preppald.migration (
  number int PRIMARY KEY, oldest_reader int NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());

-- An incarnation: a life of a state file. The id is the token that fences what it writes.
CREATE TABLE preppald.instance (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL, address text NOT NULL, version text NOT NULL, live bigint NOT NULL,
  renewed_at timestamptz NOT NULL,
  steady_at timestamptz NOT NULL,
  lost_at timestamptz, settled_at timestamptz,
  settled_to bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- As in the local journal, and the owner; null: given up.
CREATE TABLE preppald.interview (
  interview_id text NOT NULL, block bigint NOT NULL, owner bigint, claims bigint NOT NULL DEFAULT 0,
  user_id text NOT NULL, epoch bigint NOT NULL, token_digest text NOT NULL, model text NOT NULL,
  started_ms bigint NOT NULL, deadline_ms bigint NOT NULL,
  phase text NOT NULL CHECK (phase IN ('live', 'ended')),
  handle text, usage text NOT NULL, credited_ms bigint NOT NULL,
  ended_ms bigint, ending text, cause text, context text, seq_floor bigint NOT NULL, checksum bigint NOT NULL,
  PRIMARY KEY (interview_id, block)
) WITH (fillfactor = 70);
CREATE INDEX interview_owner ON preppald.interview (owner) WHERE phase = 'live';
CREATE INDEX interview_ended ON preppald.interview (owner, ended_ms) WHERE phase = 'ended';

-- Fragments of the last minutes: the rows of commits, by the number of the commit.
CREATE TABLE preppald.recent (
  instance bigint NOT NULL, number bigint NOT NULL, part bigint NOT NULL,
  bucket bigint NOT NULL, fragments text NOT NULL, checksum bigint NOT NULL,
  PRIMARY KEY (instance, number, part)
) WITH (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX recent_bucket ON preppald.recent (bucket);

-- The checksum is part of the key: two that end with the same fragment may begin with different ones.
CREATE TABLE preppald.passage (
  interview_id text NOT NULL, block bigint NOT NULL, epoch bigint NOT NULL, last_seq bigint NOT NULL,
  fragments text NOT NULL, checksum bigint NOT NULL,
  PRIMARY KEY (interview_id, block, epoch, last_seq, checksum));

CREATE TABLE preppald.outbox (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  key text NOT NULL UNIQUE, interview_id text NOT NULL, block bigint NOT NULL, kind text NOT NULL,
  payload bytea NOT NULL, created_ms bigint NOT NULL,
  state text NOT NULL CHECK (state IN ('pending', 'done', 'dead', 'dropped')),
  attempts bigint NOT NULL, next_ms bigint NOT NULL, last_status bigint, last_error text, acked_ms bigint,
  checksum bigint);
CREATE INDEX outbox_interview ON preppald.outbox (interview_id);
CREATE TABLE preppald.feedback_due (key text PRIMARY KEY);
"""

# For hosts that answer for each other, beside their words. Everything may be null or has a default: a preppald of
# the first step writes on beside it.
SECOND = """
ALTER TABLE preppald.instance
  ADD COLUMN ready boolean NOT NULL DEFAULT false,
  -- SHA-256 of the certificate at its address, hex; null: that speaks plain TCP.
  ADD COLUMN certificate text;
-- 'peer': the key by which hosts know each other, made once.
CREATE TABLE preppald.secret (name text PRIMARY KEY, value bytea NOT NULL);
-- The row of person that counts it, while it is live; null: a guest's, or one that was never begun here. And the one that
-- its end has counted down: a statement cannot return a value of before otherwise.
ALTER TABLE preppald.interview ADD COLUMN person text, ADD COLUMN person_left text;
CREATE TABLE preppald.person (name text PRIMARY KEY, live bigint NOT NULL) WITH (fillfactor = 70);
-- The instance that posts it; null: one of before this column made it.
ALTER TABLE preppald.outbox ADD COLUMN owner bigint;
CREATE INDEX outbox_owner ON preppald.outbox (owner) WHERE state = 'pending';
-- What a fenced owner still had: for people, never posted.
CREATE TABLE preppald.late (
  interview_id text NOT NULL, block bigint NOT NULL, instance bigint NOT NULL, first_seq bigint NOT NULL,
  fragments text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (interview_id, block, instance, first_seq));
-- What one host has learnt of Gemini and all should know, until it lapses.
CREATE TABLE preppald.signal (
  name text PRIMARY KEY, until timestamptz NOT NULL, cause text NOT NULL, instance bigint NOT NULL);
-- Attempts to use a model in an instance's last minute.
CREATE TABLE preppald.attempt (
  instance bigint NOT NULL, model text NOT NULL, attempts bigint NOT NULL, failures bigint NOT NULL,
  interviews bigint NOT NULL, at timestamptz NOT NULL, PRIMARY KEY (instance, model)
) WITH (fillfactor = 50);
-- An operator's word to an instance.
CREATE TABLE preppald.command (
  number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, target bigint NOT NULL, what text NOT NULL,
  at timestamptz NOT NULL DEFAULT clock_timestamp(), done_at timestamptz, answer text);
CREATE INDEX command_open ON preppald.command (target) WHERE done_at IS NULL;
"""

STEPS = (Step(1, FIRST), Step(1, SECOND))

# A step waits for no lock longer than this: statements of running interviews would wait behind it.
LOCK_TIMEOUT = "2s"

EXISTS = "SELECT to_regclass('preppald.migration') IS NOT NULL"
VERSION = "SELECT coalesce(max(number), 0), coalesce(max(oldest_reader), 0) FROM preppald.migration"


def statement(number: int) -> str:
    """Return the one statement that does a step, by its number from 1, and notes it."""
    it = STEPS[number - 1]
    return f"""DO $step$ BEGIN
PERFORM set_config('lock_timeout', '{LOCK_TIMEOUT}', true);
{it.sql}
INSERT INTO preppald.migration (number, oldest_reader) VALUES ({number}, {it.oldest_reader});
END $step$"""  # noqa: S608 - the numbers are ours
