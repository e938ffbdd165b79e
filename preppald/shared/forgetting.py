"""Removes all that the shared journal holds of some interviews, for ``preppald forget``.

Rule 1: a live interview is never touched, and neither is one that another living host has: its own journal has it, too.
Rule 2: everything may be asked again: the second time removes nothing.
Rule 3: a row of ``recent`` is of several interviews; it is written anew without these, unless it changed meanwhile.
"""
# ruff: noqa: S608 - what is put into the statements' text are names of columns; values are bound.

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

import msgspec
import trio

from preppald.errors import JournalError
from preppald.journal import rows
from preppald.journal.rows import Row
from preppald.shared import statements
from preppald.shared.asking import asked

_RECENT = statements.columns("recent")
# Of a user by the rows of interviews; by name in any table.
NAMES = """
SELECT DISTINCT interview_id FROM preppald.interview WHERE user_id = %(user)s::text
UNION SELECT interview_id FROM preppald.interview WHERE interview_id = ANY(%(names)s::text[])
UNION SELECT interview_id FROM preppald.passage WHERE interview_id = ANY(%(names)s::text[])
UNION SELECT interview_id FROM preppald.outbox WHERE interview_id = ANY(%(names)s::text[])
UNION SELECT interview_id FROM preppald.late WHERE interview_id = ANY(%(names)s::text[])
"""
# An owner that was not declared lost has a journal of its own, whether it answers now or not.
STANDINGS = """
SELECT n.name,
  EXISTS (SELECT FROM preppald.interview i WHERE i.interview_id = n.name AND i.phase = 'live'),
  (SELECT count(*) FROM preppald.outbox q WHERE q.interview_id = n.name AND q.state IN ('pending', 'dead')),
  EXISTS (
    SELECT FROM preppald.outbox q JOIN preppald.feedback_due f ON f.key = q.key WHERE q.interview_id = n.name),
  coalesce((
    SELECT min(o.name) FROM preppald.interview i JOIN preppald.instance o ON o.id = i.owner
    WHERE i.interview_id = n.name AND o.lost_at IS NULL AND o.id <> ALL(%(ours)s::bigint[])), '')
FROM unnest(%(names)s::text[]) AS n(name) ORDER BY n.name
"""
# The state of each is looked at once more, as it is now: one may have begun again.
_CHOSEN = """
chosen AS MATERIALIZED (
  SELECT n.name FROM unnest(%(names)s::text[]) AS n(name)
  WHERE NOT EXISTS (
    SELECT FROM preppald.interview i LEFT JOIN preppald.instance o ON o.id = i.owner
    WHERE i.interview_id = n.name
      AND (i.phase = 'live' OR o.lost_at IS NULL AND o.id <> ALL(%(ours)s::bigint[]))))
"""
FORGET = f"""
WITH {_CHOSEN},
due AS (
  DELETE FROM preppald.feedback_due f USING preppald.outbox q, chosen
  WHERE f.key = q.key AND q.interview_id = chosen.name),
deliveries AS (
  DELETE FROM preppald.outbox q USING chosen WHERE q.interview_id = chosen.name RETURNING 1),
passages AS (
  DELETE FROM preppald.passage p USING chosen WHERE p.interview_id = chosen.name RETURNING 1),
late AS (DELETE FROM preppald.late l USING chosen WHERE l.interview_id = chosen.name RETURNING 1),
interviews AS (
  DELETE FROM preppald.interview i USING chosen WHERE i.interview_id = chosen.name RETURNING 1)
SELECT (SELECT count(*) FROM chosen), (SELECT count(*) FROM interviews),
  (SELECT count(*) FROM passages) + (SELECT count(*) FROM late), (SELECT count(*) FROM deliveries)
"""
MENTIONED = f"""
SELECT r.instance, r.number, r.part, {", ".join(f"r.{it}" for it in _RECENT)}
FROM preppald.recent r WHERE EXISTS (
  SELECT FROM unnest(%(names)s::text[]) AS n(name) WHERE position(to_json(n.name)::text IN r.fragments) > 0)
"""
REWRITE = """
UPDATE preppald.recent r SET fragments = x.fragments, checksum = x.checksum
FROM unnest(%(instance)s::bigint[], %(number)s::bigint[], %(part)s::bigint[], %(before)s::text[],
  %(fragments)s::text[], %(checksum)s::bigint[]) AS x(instance, number, part, before, fragments, checksum)
WHERE r.instance = x.instance AND r.number = x.number AND r.part = x.part AND r.fragments = x.before
"""


class SharedStanding(msgspec.Struct, frozen=True, kw_only=True):
    """The holdings of the shared journal of an interview, as in ``journal.forgetting.Standing``.

    ``host``: another living host that has it; empty: none.
    """

    interview: str
    live: bool
    owed: int
    due: bool
    host: str


class SharedRemoved(msgspec.Struct, kw_only=True):
    """Rows that were removed. ``pieces``: of transcripts."""

    interviews: int = 0
    pieces: int = 0
    deliveries: int = 0


class SharedForgetter:
    """``url``: of the shared journal. ``ours``: this state directory's incarnations, which are asked themselves.

    Raises:
        JournalError: by every question: the shared journal does not answer, or has no tables.
    """

    def __init__(self, url: str, ours: Collection[int]) -> None:
        self._url = url
        self._ours = sorted(ours)

    def found(self, names: Collection[str], user: str | None) -> set[str]:
        """Return those of these interviews, and of this user's, that it has anything of."""
        found = self._ask(NAMES, {"names": sorted(names), "user": user})
        return {str(name) for (name,) in found}

    def standings(self, names: Collection[str]) -> list[SharedStanding]:
        """Return how each of these interviews stands there."""
        values = {"names": sorted(names), "ours": self._ours}
        return [
            SharedStanding(interview=name, live=live, owed=owed, due=due, host=host)
            for name, live, owed, due, host in self._ask(STANDINGS, values)
        ]

    def forget(self, names: Collection[str]) -> SharedRemoved:
        """Remove every row of these interviews.

        Raises:
            JournalError: also where one of them is live by now, or at another host; the others are removed.
        """
        values = {"names": sorted(names), "ours": self._ours}
        ((chosen, interviews, pieces, deliveries),) = self._ask(FORGET, values)
        mentioned = self._ask(MENTIONED, {"names": sorted(names)})
        anew = [
            (instance, number, part, row[1], after[1], after[2])
            for instance, number, part, *row in mentioned
            if (after := without(tuple(row), names)) is not None
        ]
        if anew:
            columns = ("instance", "number", "part", "before", "fragments", "checksum")
            self._ask(REWRITE, dict(zip(columns, map(list, zip(*anew, strict=True)), strict=True)))
        if chosen < len(names):
            raise JournalError("one of these interviews began again at another host: repeat the command")
        return SharedRemoved(interviews=interviews, pieces=pieces, deliveries=deliveries)

    def _ask(self, statement: str, values: Mapping[str, object]) -> list[tuple[Any, ...]]:
        return trio.run(partial(asked, self._url, statement, values))


def without(row: Row, names: Collection[str]) -> Row | None:
    """Return a row of ``recent`` without these interviews' fragments; None where it has none of them.

    One that cannot be read, and names one of them, loses everything.
    """
    try:
        found = rows.recent(row)
    except rows.Unreadable:
        return rows.sealed((row[0], "[]"))
    kept = [it for it in found if it.interview_id not in names]
    if len(kept) == len(found):
        return None
    return rows.sealed((row[0], msgspec.json.encode(kept).decode()))
