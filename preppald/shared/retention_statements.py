"""The end of words and rows in a shared journal in PostgreSQL: first the words go, then the rows. Fenced as in statements.py."""
# ruff: noqa: S608 - what is put into the statements' text is a part of statements.py, and names of columns; values are bound.

from preppald.shared.statements import MINE, columns

INTERVIEW = columns("interview")

# Rows that a lost host left, and that nobody had to take over, are forgotten by whoever comes first.
_FREE = "{it}.owner IS NULL OR {it}.owner IN (SELECT id FROM preppald.instance WHERE settled_at IS NOT NULL)"
# As journal.removing has it: never one that owes anything. First the words go, with the deliveries that held them, then the
# row, which says until then that the interview is over: a token that is still good must not begin it again.
_OVER = f"""
NOT EXISTS (
  SELECT FROM preppald.interview b WHERE b.interview_id = {{name}}
    AND (b.phase = 'live' OR b.ended_ms >= %(before_ms)s OR NOT (b.owner = mine.id OR {_FREE.format(it="b")})))
AND NOT EXISTS (
  SELECT FROM preppald.outbox o WHERE o.interview_id = {{name}} AND o.state IN ('pending', 'dead'))
"""
_OLD = f"""
SELECT DISTINCT i.interview_id FROM mine JOIN preppald.interview i ON i.owner = mine.id OR {_FREE.format(it="i")}
WHERE i.phase = 'ended' AND i.ended_ms < %(before_ms)s AND {_OVER.format(name="i.interview_id")}
"""
SWEEP = f"""
WITH {MINE},
old AS MATERIALIZED ({_OLD} LIMIT %(limit)s),
passages AS (DELETE FROM preppald.passage p USING old WHERE p.interview_id = old.interview_id),
late AS (DELETE FROM preppald.late l USING old WHERE l.interview_id = old.interview_id),
due AS (
  DELETE FROM preppald.feedback_due f USING preppald.outbox o, old
  WHERE f.key = o.key AND o.interview_id = old.interview_id),
deliveries AS (DELETE FROM preppald.outbox o USING old WHERE o.interview_id = old.interview_id),
interviews AS (DELETE FROM preppald.interview i USING old WHERE i.interview_id = old.interview_id),
people AS (DELETE FROM preppald.person p USING mine WHERE p.live <= 0)
SELECT (SELECT count(*) FROM old) FROM mine
"""
# The rows of those that have words left. A model may still need them to write feedback. Words that came too late go with
# their interview, or by their own age where that is gone: a host may wake up after days.
WORDY = f"""
WITH {MINE},
strays AS (
  DELETE FROM preppald.late l USING mine
  WHERE l.at < to_timestamp(%(before_ms)s::bigint / 1000.0)
    AND NOT EXISTS (SELECT FROM preppald.interview i WHERE i.interview_id = l.interview_id)),
old AS MATERIALIZED (
  {_OLD} AND (
    i.context IS NOT NULL
    OR EXISTS (SELECT FROM preppald.passage p WHERE p.interview_id = i.interview_id)
    OR EXISTS (SELECT FROM preppald.late l WHERE l.interview_id = i.interview_id)
    OR EXISTS (SELECT FROM preppald.outbox o WHERE o.interview_id = i.interview_id))
  AND NOT EXISTS (
    SELECT FROM preppald.outbox o JOIN preppald.feedback_due f ON f.key = o.key
    WHERE o.interview_id = i.interview_id)
  LIMIT %(limit)s)
SELECT {", ".join(f"i.{it}" for it in INTERVIEW)}
FROM old JOIN preppald.interview i ON i.interview_id = old.interview_id
"""
STRIP = f"""
WITH {MINE},
old AS MATERIALIZED (
  SELECT DISTINCT n.name AS interview_id FROM mine, unnest(%(names)s::text[]) AS n(name)
  WHERE {_OVER.format(name="n.name")}),
passages AS (DELETE FROM preppald.passage p USING old WHERE p.interview_id = old.interview_id),
late AS (DELETE FROM preppald.late l USING old WHERE l.interview_id = old.interview_id),
deliveries AS (DELETE FROM preppald.outbox o USING old WHERE o.interview_id = old.interview_id),
rows AS (
  UPDATE preppald.interview i SET context = NULL, checksum = x.after
  FROM old, unnest(%(names)s::text[], %(blocks)s::bigint[], %(before)s::bigint[], %(after)s::bigint[])
    AS x(name, block, before, after)
  WHERE i.interview_id = old.interview_id AND i.interview_id = x.name AND i.block = x.block
    AND i.checksum = x.before AND i.context IS NOT NULL)
SELECT (SELECT count(*) FROM old) FROM mine
"""
