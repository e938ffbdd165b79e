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
from preppald.shared.protocol import LATE_SECONDS, LEASE_SECONDS

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
INSERT INTO preppald.instance (name, address, version, certificate, live, renewed_at, steady_at)
VALUES (%(name)s, %(address)s, %(version)s, nullif(%(certificate)s, ''), 0, clock_timestamp(), clock_timestamp())
RETURNING id
"""

PRESENT = """
UPDATE preppald.instance
SET name = %(name)s, address = %(address)s, version = %(version)s, certificate = nullif(%(certificate)s, '')
WHERE id = %(me)s AND lost_at IS NULL RETURNING id
"""

# The columns of protocol.Peer, in its order.
PEER = "o.id, o.name, o.address, o.lost_at IS NOT NULL, o.settled_at IS NOT NULL, coalesce(o.certificate, '')"

# Asked at a start and after each silence: for a lease's time from then on the asker declares nobody lost, for the others
# may have met the same. An outage that was shorter than a lease leaves no gap between renewals, and the clock of a standby
# that was promoted may hide a longer one.
KNOWN = """
UPDATE preppald.instance SET renewed_at = clock_timestamp(), steady_at = clock_timestamp()
WHERE id = %(me)s AND lost_at IS NULL
RETURNING greatest(settled_to, (SELECT max(number) FROM preppald.recent WHERE instance = %(me)s)), settled_to
"""

# Live ones that were given up, and whatever a lost one left. By the indexes of owners: asked every two seconds.
ORPHANS = """
EXISTS (SELECT FROM preppald.interview i WHERE i.phase = 'live' AND i.owner IS NULL)
OR EXISTS (
  SELECT FROM preppald.instance d JOIN preppald.interview i ON i.owner = d.id AND i.phase = 'live'
  WHERE d.settled_at IS NOT NULL)
OR EXISTS (
  SELECT FROM preppald.instance d JOIN preppald.outbox q ON q.owner = d.id AND q.state = 'pending'
  WHERE d.settled_at IS NOT NULL)
"""
# One row where there are no others, with nulls; none where this incarnation is lost.
PULSE = f"""
WITH mine AS (
  UPDATE preppald.instance SET live = %(live)s, {RENEWED} WHERE id = %(me)s AND lost_at IS NULL RETURNING id)
SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint, {ORPHANS}, {PEER}
FROM mine LEFT JOIN preppald.instance o ON o.id <> mine.id AND o.settled_at IS NULL
  AND (o.lost_at IS NOT NULL OR o.renewed_at < clock_timestamp() - interval '{LATE_SECONDS} seconds')
ORDER BY o.id
"""

_INTERVIEW = columns("interview")
_OWED = columns("outbox")
_FARED = ("state", "attempts", "next_ms", "last_status", "last_error", "acked_ms")
# Of a delivery that is made twice the first one stays, for it may have been posted: its checksum then fits no more.
_SAME = " AND ".join(
    f"o.{it} = excluded.{it}" for it in ("interview_id", "block", "kind", "payload", "created_ms")
)

# Not of a session that another instance owns: its words are the owner's to bring in.
PUT_PASSAGES = f"""
INSERT INTO preppald.passage ({", ".join(columns("passage"))})
SELECT x.* FROM {{source}}, {arrays("passage")}
WHERE NOT EXISTS (
  SELECT FROM preppald.interview i WHERE i.interview_id = x.interview_id AND i.block = x.block
    AND i.owner <> {{source}}.id{{kin}})
ON CONFLICT DO NOTHING
"""
# A delivery is its session's owner's. One that was posted before the session changed hands is done, whoever says so.
_OURS = """(o.owner = excluded.owner OR o.owner = ANY(%(kin)s::bigint[]) OR o.owner IS NULL AND EXISTS (
      SELECT FROM preppald.interview i
      WHERE i.interview_id = o.interview_id AND i.block = o.block AND i.owner = excluded.owner))"""
# Answers with a row where this incarnation is not lost: the sessions that another one owns, and the deliveries. A row that
# was left out for its epoch is this incarnation's own before the statement.
APPEND = f"""
WITH {MINE},
said AS (
  INSERT INTO preppald.recent (instance, number, part, {", ".join(columns("recent"))})
  SELECT mine.id, x.* FROM mine, {arrays("recent", ("number", "part"))} ON CONFLICT DO NOTHING),
settled AS ({PUT_PASSAGES.format(source="mine", kin=" AND i.owner <> ALL(%(kin)s::bigint[])")}),
kept AS (
  INSERT INTO preppald.interview AS i (owner, {", ".join(_INTERVIEW)})
  SELECT mine.id, x.* FROM mine, {arrays("interview")}
  ON CONFLICT (interview_id, block) DO UPDATE SET
    owner = excluded.owner, {", ".join(f"{it} = excluded.{it}" for it in _INTERVIEW[2:])},
    person = CASE WHEN excluded.phase = 'live' THEN i.person END,
    person_left = CASE WHEN excluded.phase = 'ended' THEN i.person END
  WHERE (i.owner = excluded.owner OR i.owner = ANY(%(kin)s::bigint[]))
    AND (excluded.epoch > i.epoch OR excluded.epoch = i.epoch AND (i.phase = 'live' OR excluded.phase = 'ended'))
  RETURNING i.interview_id, i.block, i.person_left),
fewer AS (
  UPDATE preppald.person p SET live = p.live - x.ended
  FROM (SELECT person_left, count(*) AS ended FROM kept WHERE person_left IS NOT NULL GROUP BY 1) x
  WHERE p.name = x.person_left),
owed AS (
  INSERT INTO preppald.outbox AS o (owner, {", ".join(_OWED)})
  SELECT mine.id, x.* FROM mine, {arrays("outbox")}
  WHERE x.state = 'done' OR EXISTS (SELECT FROM preppald.outbox o WHERE o.key = x.key) OR NOT EXISTS (
    SELECT FROM preppald.interview i WHERE i.interview_id = x.interview_id AND i.block = x.block
      AND i.owner <> mine.id AND i.owner <> ALL(%(kin)s::bigint[]))
  ON CONFLICT (key) DO UPDATE SET
    owner = CASE WHEN {_OURS} THEN excluded.owner ELSE o.owner END,
    {", ".join(f"{it} = excluded.{it}" for it in _FARED)},
    checksum = CASE WHEN {_SAME} THEN excluded.checksum END
  WHERE ({_OURS} OR excluded.state = 'done') AND (
    (excluded.attempts > o.attempts AND (o.state = 'pending' OR excluded.state = 'done' AND o.state <> 'done'))
    OR (excluded.attempts = o.attempts AND excluded.state = 'pending' AND o.state = 'dead')
    OR (excluded.attempts = o.attempts AND excluded.state = o.state AND {_OURS}))
  RETURNING o.key, o.owner),
due AS (
  INSERT INTO preppald.feedback_due (key)
  SELECT x.key FROM mine, unnest(%(due)s::text[]) AS x(key) ON CONFLICT DO NOTHING),
not_due AS (DELETE FROM preppald.feedback_due f USING mine WHERE f.key = ANY(%(not_due)s::text[]))
SELECT
  array(SELECT x.interview_id FROM {{elsewhere}} ORDER BY x.interview_id, x.block),
  array(SELECT x.block FROM {{elsewhere}} ORDER BY x.interview_id, x.block),
  array(
    SELECT x.key FROM unnest(%(outbox_key)s::text[]) AS x(key)
    WHERE NOT EXISTS (SELECT FROM owed WHERE owed.key = x.key AND owed.owner = mine.id)
      AND NOT EXISTS (SELECT FROM preppald.outbox o WHERE o.key = x.key
        AND (o.owner = mine.id OR o.owner = ANY(%(kin)s::bigint[])))
    ORDER BY x.key)
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
settled AS ({PUT_PASSAGES.format(source="mine", kin="")}),
gone AS (DELETE FROM preppald.recent r USING mine WHERE r.instance = mine.id AND r.number <= %(upto)s)
SELECT id FROM mine
"""

# First those that are still to be settled: a row that is moved between the two statements is seen twice, not never.
SAID_RECENT = f"""
SELECT {", ".join(columns("recent"))} FROM preppald.recent WHERE bucket = %(bucket)s ORDER BY instance, number, part
"""
SAID_PASSAGES = f"""
SELECT {", ".join(columns("passage"))} FROM preppald.passage
WHERE interview_id = %(interview_id)s AND block = %(block)s AND epoch = %(epoch)s ORDER BY last_seq
"""

OWNER = f"""
SELECT {PEER}
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
settled AS ({PUT_PASSAGES.format(source="dead", kin="")}),
gone AS (DELETE FROM preppald.recent r USING dead WHERE r.instance = dead.id)
SELECT id FROM mine
"""

# First the person is counted, then the session taken; who counted and came too late for the session divides by zero, which
# undoes both. Answers: whether it was taken, now or by an answer that was lost; and whether it may be at all.
BEGIN = f"""
WITH {MINE},
there AS (
  SELECT i.owner = mine.id AND i.phase = 'live' AND i.epoch = %(epoch)s AS ours,
    i.phase = 'live' OR i.epoch >= %(epoch)s AS taken
  FROM mine, preppald.interview i WHERE i.interview_id = %(interview_id)s AND i.block = %(block)s),
free AS (SELECT mine.id FROM mine WHERE NOT EXISTS (SELECT FROM there WHERE taken)),
counted AS (
  INSERT INTO preppald.person AS p (name, live) SELECT %(person)s::text, 1 FROM free WHERE %(person)s::text IS NOT NULL
  ON CONFLICT (name) DO UPDATE SET live = p.live + 1 WHERE p.live < %(limit)s
  RETURNING p.name),
granted AS (
  SELECT free.id FROM free WHERE %(person)s::text IS NULL OR EXISTS (SELECT FROM counted)),
begun AS (
  INSERT INTO preppald.interview AS i (owner, person, {", ".join(_INTERVIEW)})
  SELECT granted.id, %(person)s::text, x.* FROM granted, {arrays("interview")}
  ON CONFLICT (interview_id, block) DO UPDATE SET
    owner = excluded.owner, person = excluded.person, {", ".join(f"{it} = excluded.{it}" for it in _INTERVIEW[2:])}
  WHERE i.phase = 'ended' AND excluded.epoch > i.epoch
  RETURNING i.interview_id)
SELECT
  CASE WHEN EXISTS (SELECT FROM granted) THEN 1 / (SELECT count(*) FROM begun) = 1
    ELSE coalesce((SELECT ours FROM there), false) END,
  EXISTS (SELECT FROM free)
FROM mine
"""

SESSIONS = f"""
SELECT {PEER}, {", ".join(f"i.{it}" for it in _INTERVIEW)}
FROM preppald.interview i LEFT JOIN preppald.instance o ON o.id = i.owner
WHERE i.interview_id = %(interview_id)s ORDER BY i.block
"""

OWES = """
EXISTS (
  SELECT FROM preppald.outbox q WHERE q.interview_id = i.interview_id AND q.block = i.block
    AND (q.state IN ('pending', 'dead') OR EXISTS (SELECT FROM preppald.feedback_due f WHERE f.key = q.key)))
"""

HELD = f"""
SELECT i.interview_id, i.block FROM preppald.interview i
WHERE i.owner = %(me)s AND (i.phase = 'live' OR {OWES}) ORDER BY i.interview_id, i.block
"""

# A row that another host claimed since the statement began is tested again, as it is now, against the owner of before:
# the join finds none, and the row is left out. NOT EXISTS would be tested against no owner at all, and let it through.
CLAIM = f"""
WITH {MINE},
free AS (
  SELECT i.interview_id, i.block FROM mine, preppald.interview i LEFT JOIN preppald.instance o ON o.id = i.owner
  WHERE (%(interview_id)s::text IS NULL OR i.interview_id = %(interview_id)s) AND (i.phase = 'live' OR {OWES})
    AND (i.owner IS NULL OR o.settled_at IS NOT NULL
      OR i.owner = mine.id AND %(interview_id)s::text IS NOT NULL)
  ORDER BY i.interview_id, i.block LIMIT %(limit)s FOR UPDATE OF i SKIP LOCKED),
taken AS (
  UPDATE preppald.interview i
  SET owner = mine.id, claims = i.claims + CASE WHEN i.owner = mine.id THEN 0 ELSE 1 END FROM mine, free
  WHERE i.interview_id = free.interview_id AND i.block = free.block
  RETURNING i.claims, {", ".join(f"i.{it}" for it in _INTERVIEW)}),
owed AS (
  UPDATE preppald.outbox q SET owner = mine.id FROM mine, taken
  WHERE q.interview_id = taken.interview_id AND q.block = taken.block
  RETURNING q.number, EXISTS (SELECT FROM preppald.feedback_due f WHERE f.key = q.key) AS due,
    {", ".join(f"q.{it}" for it in _OWED)})
SELECT taken.*, owed.* FROM mine LEFT JOIN taken ON true
LEFT JOIN owed ON owed.interview_id = taken.interview_id AND owed.block = taken.block
ORDER BY taken.interview_id, taken.block, owed.number
"""

RELEASE = f"""
WITH {MINE},
released AS (
  UPDATE preppald.interview i SET owner = NULL
  FROM mine, unnest(%(ids)s::text[], %(blocks)s::bigint[]) AS x(interview_id, block)
  WHERE i.interview_id = x.interview_id AND i.block = x.block AND i.owner = mine.id
  RETURNING i.interview_id, i.block),
owed AS (
  UPDATE preppald.outbox q SET owner = NULL FROM mine, released
  WHERE q.interview_id = released.interview_id AND q.block = released.block AND q.owner = mine.id)
SELECT id FROM mine
"""

LATE = f"""
WITH {MINE},
kept AS (
  INSERT INTO preppald.late (interview_id, block, instance, first_seq, fragments)
  SELECT x.* FROM mine, unnest(
    %(interview_id)s::text[], %(block)s::bigint[], %(instance)s::bigint[], %(first_seq)s::bigint[], %(fragments)s::text[]
  ) AS x(interview_id, block, instance, first_seq, fragments) ON CONFLICT DO NOTHING)
SELECT id FROM mine
"""

STANDINGS = f"""
SELECT {PEER}, o.version, o.live,
  greatest((extract(epoch FROM clock_timestamp() - o.renewed_at) * 1000)::bigint, 0)
FROM preppald.instance o WHERE o.settled_at IS NULL ORDER BY o.id
"""

# Two statements: within one, the second part would not see what another host has put in since it began.
OFFER = """
INSERT INTO preppald.secret (name, value) VALUES (%(name)s, %(offered)s) ON CONFLICT DO NOTHING
"""
OFFERED = "SELECT value FROM preppald.secret WHERE name = %(name)s"

# One row where nobody ordered anything, with nulls; none where this incarnation is lost.
ORDERS = """
WITH mine AS (UPDATE preppald.instance SET ready = %(ready)s WHERE id = %(me)s AND lost_at IS NULL RETURNING id)
SELECT c.number, c.what FROM mine LEFT JOIN preppald.command c ON c.target = mine.id AND c.done_at IS NULL
ORDER BY c.number
"""
OBEYED = f"""
WITH {MINE},
answered AS (
  UPDATE preppald.command c SET done_at = clock_timestamp(), answer = %(answer)s
  FROM mine WHERE c.number = %(number)s AND c.target = mine.id AND c.done_at IS NULL)
SELECT id FROM mine
"""
