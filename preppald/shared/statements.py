"""The statements of a shared journal in PostgreSQL: each is one round trip and one transaction.

Rule 1: each statement of a writer first takes its own instance's row, FOR SHARE or by changing it, where that is not
        lost. To declare an instance lost is to change the same row: so it comes before or after each of its writes,
        and never between.
Rule 2: every statement may be repeated: the second time changes nothing.
Rule 3: every name has its schema before it: no search_path is relied on, and none is set.
"""
# ruff: noqa: S608 - what is put into the statements' text are names of tables and columns; values are bound.

import re

from preppald.journal import rows
from preppald.shared.protocol import LEASE_SECONDS

TTL = f"interval '{LEASE_SECONDS} seconds'"

# Columns that hold no text.
INTEGERS = {
    "block", "epoch", "started_ms", "deadline_ms", "credited_ms", "ended_ms", "seq_floor", "checksum", "bucket",
    "last_seq", "created_ms", "attempts", "next_ms", "last_status", "acked_ms",
}  # fmt: skip
BYTES = {"payload"}


def columns(table: str) -> list[str]:
    """Return the columns of a table of rows.py, the checksum last."""
    return re.findall(r"\w+", rows.COLUMNS[table])


def type_of(column: str) -> str:
    """Return a column's type in PostgreSQL. Every number is a bigint: a CRC-32 has no sign."""
    return "bigint" if column in INTEGERS else "bytea" if column in BYTES else "text"


def arrays(table: str, extra: tuple[str, ...] = ()) -> str:
    """Return a table of bound arrays, one a column: ``unnest(%(table_column)s::type[], …) AS x(column, …)``."""
    names = [*extra, *columns(table)]
    bound = ", ".join(
        f"%({table}_{name})s::{'bigint' if name in extra else type_of(name)}[]" for name in names
    )
    return f"unnest({bound}) AS x({', '.join(names)})"


MINE = (
    "mine AS MATERIALIZED (SELECT id FROM preppald.instance WHERE id = %(me)s AND lost_at IS NULL FOR SHARE)"
)
RENEWED = f"""
renewed_at = clock_timestamp(),
steady_at = CASE WHEN renewed_at < clock_timestamp() - {TTL} THEN clock_timestamp() ELSE steady_at END
"""

JOIN = """
INSERT INTO preppald.instance (name, address, version, live, renewed_at, steady_at)
VALUES (%(name)s, %(address)s, %(version)s, 0, clock_timestamp(), clock_timestamp()) RETURNING id
"""

KNOWN = f"""
UPDATE preppald.instance SET {RENEWED} WHERE id = %(me)s AND lost_at IS NULL
RETURNING greatest(settled_to, (SELECT max(number) FROM preppald.recent WHERE instance = %(me)s)), settled_to
"""

# One row where there are no others, with nulls; none where this incarnation is lost.
PULSE = f"""
WITH mine AS (
  UPDATE preppald.instance SET live = %(live)s, {RENEWED} WHERE id = %(me)s AND lost_at IS NULL RETURNING id)
SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint, o.id, o.name, o.address, o.lost_at IS NOT NULL
FROM mine LEFT JOIN preppald.instance o ON o.id <> mine.id AND o.settled_at IS NULL
  AND (o.lost_at IS NOT NULL OR o.renewed_at < clock_timestamp() - {TTL})
ORDER BY o.id
"""

_INTERVIEW = columns("interview")
_OWED = columns("outbox")
_FARED = ("state", "attempts", "next_ms", "last_status", "last_error", "acked_ms")
# Of a delivery that is made twice the first one stays, for it may have been posted: its checksum then fits no more.
_SAME = " AND ".join(
    f"o.{it} = excluded.{it}" for it in ("interview_id", "block", "kind", "payload", "created_ms")
)

PUT_PASSAGES = f"""
INSERT INTO preppald.passage ({", ".join(columns("passage"))})
SELECT x.* FROM {{source}}, {arrays("passage")} ON CONFLICT DO NOTHING
"""
# Answers with a row where this incarnation is not lost: the sessions that another one owns. A row that was left out for
# its epoch is this incarnation's own before the statement.
APPEND = f"""
WITH {MINE},
said AS (
  INSERT INTO preppald.recent (instance, number, part, {", ".join(columns("recent"))})
  SELECT mine.id, x.* FROM mine, {arrays("recent", ("number", "part"))} ON CONFLICT DO NOTHING),
settled AS ({PUT_PASSAGES.format(source="mine")}),
kept AS (
  INSERT INTO preppald.interview AS i (owner, {", ".join(_INTERVIEW)})
  SELECT mine.id, x.* FROM mine, {arrays("interview")}
  ON CONFLICT (interview_id, block) DO UPDATE SET
    owner = excluded.owner, {", ".join(f"{it} = excluded.{it}" for it in _INTERVIEW[2:])}
  WHERE (i.owner = excluded.owner OR i.owner = ANY(%(kin)s::bigint[])) AND excluded.epoch >= i.epoch
  RETURNING i.interview_id, i.block),
owed AS (
  INSERT INTO preppald.outbox AS o ({", ".join(_OWED)})
  SELECT x.* FROM mine, {arrays("outbox")}
  ON CONFLICT (key) DO UPDATE SET
    {", ".join(f"{it} = excluded.{it}" for it in _FARED)},
    checksum = CASE WHEN {_SAME} THEN excluded.checksum END
  WHERE (excluded.attempts > o.attempts AND (o.state = 'pending' OR excluded.state = 'done' AND o.state <> 'done'))
    OR (excluded.attempts = o.attempts AND excluded.state = 'pending' AND o.state = 'dead')),
due AS (
  INSERT INTO preppald.feedback_due (key)
  SELECT x.key FROM mine, unnest(%(due)s::text[]) AS x(key) ON CONFLICT DO NOTHING),
not_due AS (DELETE FROM preppald.feedback_due f USING mine WHERE f.key = ANY(%(not_due)s::text[]))
SELECT
  array(SELECT x.interview_id FROM {{elsewhere}} ORDER BY x.interview_id, x.block),
  array(SELECT x.block FROM {{elsewhere}} ORDER BY x.interview_id, x.block)
FROM mine
""".replace(
    "{elsewhere}",
    """unnest(%(interview_interview_id)s::text[], %(interview_block)s::bigint[]) AS x(interview_id, block)
    WHERE NOT EXISTS (SELECT FROM kept WHERE kept.interview_id = x.interview_id AND kept.block = x.block)
      AND NOT EXISTS (SELECT FROM preppald.interview i WHERE i.interview_id = x.interview_id AND i.block = x.block
        AND (i.owner = mine.id OR i.owner = ANY(%(kin)s::bigint[])))""",
)

SETTLE = f"""
WITH mine AS (
  UPDATE preppald.instance SET settled_to = greatest(settled_to, %(upto)s)
  WHERE id = %(me)s AND lost_at IS NULL RETURNING id),
settled AS ({PUT_PASSAGES.format(source="mine")}),
gone AS (DELETE FROM preppald.recent r USING mine WHERE r.instance = mine.id AND r.number <= %(upto)s)
SELECT id FROM mine
"""

# As journal.writes.sweep has it: never one that owes anything.
SWEEP = f"""
WITH {MINE},
old AS MATERIALIZED (
  SELECT DISTINCT i.interview_id FROM mine JOIN preppald.interview i ON i.owner = mine.id
  WHERE i.phase = 'ended' AND i.ended_ms < %(before_ms)s
    AND NOT EXISTS (
      SELECT FROM preppald.interview b WHERE b.interview_id = i.interview_id
        AND (b.owner IS DISTINCT FROM mine.id OR b.phase = 'live' OR b.ended_ms >= %(before_ms)s))
    AND NOT EXISTS (
      SELECT FROM preppald.outbox o
      WHERE o.interview_id = i.interview_id AND o.state IN ('pending', 'dead'))
  LIMIT %(limit)s),
passages AS (DELETE FROM preppald.passage p USING old WHERE p.interview_id = old.interview_id),
due AS (
  DELETE FROM preppald.feedback_due f USING preppald.outbox o, old
  WHERE f.key = o.key AND o.interview_id = old.interview_id),
deliveries AS (DELETE FROM preppald.outbox o USING old WHERE o.interview_id = old.interview_id),
interviews AS (DELETE FROM preppald.interview i USING old WHERE i.interview_id = old.interview_id)
SELECT (SELECT count(*) FROM old) FROM mine
"""

# First those that are still to be settled: a row that is moved between the two statements is seen twice, not never.
SAID_RECENT = f"""
SELECT {", ".join(columns("recent"))} FROM preppald.recent WHERE bucket = %(bucket)s ORDER BY instance, number, part
"""
SAID_PASSAGES = f"""
SELECT {", ".join(columns("passage"))} FROM preppald.passage
WHERE interview_id = %(interview_id)s AND block = %(block)s AND epoch = %(epoch)s ORDER BY last_seq
"""

OWNER = """
SELECT o.id, o.name, o.address, o.lost_at IS NOT NULL, o.settled_at IS NOT NULL
FROM preppald.interview i JOIN preppald.instance o ON o.id = i.owner
WHERE i.interview_id = %(interview_id)s AND i.block = %(block)s AND i.phase = 'live'
"""

DECLARE_LOST = f"""
WITH declared AS (
  UPDATE preppald.instance d SET lost_at = clock_timestamp()
  WHERE d.id = %(peer)s AND d.lost_at IS NULL AND d.renewed_at < clock_timestamp() - {TTL}
    AND EXISTS (
      SELECT FROM preppald.instance m WHERE m.id = %(me)s AND m.lost_at IS NULL
        AND m.renewed_at >= clock_timestamp() - {TTL} AND m.steady_at < clock_timestamp() - {TTL})
  RETURNING d.id)
SELECT EXISTS (SELECT FROM declared)
  OR EXISTS (SELECT FROM preppald.instance WHERE id = %(peer)s AND lost_at IS NOT NULL)
"""

UNSETTLED = f"""
SELECT {", ".join(columns("recent"))} FROM preppald.recent WHERE instance = %(peer)s ORDER BY number, part
"""

SETTLE_LOST = f"""
WITH {MINE},
dead AS (
  UPDATE preppald.instance d SET settled_at = clock_timestamp()
  FROM mine WHERE d.id = %(peer)s AND d.lost_at IS NOT NULL AND d.settled_at IS NULL RETURNING d.id),
settled AS ({PUT_PASSAGES.format(source="dead")}),
gone AS (DELETE FROM preppald.recent r USING dead WHERE r.instance = dead.id)
SELECT id FROM mine
"""

# A row that another host claimed since the statement began is tested again, as it is now, against the owner of before:
# the join finds none, and the row is left out. NOT EXISTS would be tested against no owner at all, and let it through.
CLAIM = f"""
WITH {MINE},
free AS (
  SELECT i.interview_id, i.block FROM preppald.interview i LEFT JOIN preppald.instance o ON o.id = i.owner
  WHERE i.phase = 'live' AND (%(interview_id)s::text IS NULL OR i.interview_id = %(interview_id)s)
    AND (i.owner IS NULL OR o.settled_at IS NOT NULL)
  ORDER BY i.interview_id, i.block LIMIT %(limit)s FOR UPDATE OF i SKIP LOCKED),
taken AS (
  UPDATE preppald.interview i SET owner = mine.id, claims = i.claims + 1 FROM mine, free
  WHERE i.interview_id = free.interview_id AND i.block = free.block
  RETURNING i.claims, {", ".join(f"i.{it}" for it in _INTERVIEW)})
SELECT taken.* FROM mine LEFT JOIN taken ON true ORDER BY taken.interview_id, taken.block
"""

RELEASE = f"""
WITH {MINE},
released AS (
  UPDATE preppald.interview i SET owner = NULL
  FROM mine, unnest(%(ids)s::text[], %(blocks)s::bigint[]) AS x(interview_id, block)
  WHERE i.interview_id = x.interview_id AND i.block = x.block AND i.owner = mine.id)
SELECT id FROM mine
"""
