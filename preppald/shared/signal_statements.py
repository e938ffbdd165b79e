"""Signals in PostgreSQL: see signals.py. Each statement is one transaction, fenced as those of statements.py."""
# ruff: noqa: S608 - what is put into the statements' text is a part of statements.py, and numbers; values are bound.

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from preppald.core.model_health import Counts
from preppald.shared.protocol import Fenced, Unfit, Unreachable, Written
from preppald.shared.signals import COUNTS_SECONDS, SHOWN_SECONDS, Learnt, Signal
from preppald.shared.statements import MINE

Ask = Callable[[str, Mapping[str, object]], Awaitable[list[tuple[Any, ...]] | Unfit | Unreachable]]

# One row of each kind: this incarnation (so that there is a row where it is not lost), signals, and counts of others.
LEARN = f"""
WITH {MINE},
told AS (
  INSERT INTO preppald.attempt AS a (instance, model, attempts, failures, interviews, at)
  SELECT mine.id, x.*, clock_timestamp() FROM mine,
    unnest(%(models)s::text[], %(attempts)s::bigint[], %(failures)s::bigint[], %(interviews)s::bigint[]) AS x
  ON CONFLICT (instance, model) DO UPDATE SET attempts = excluded.attempts, failures = excluded.failures,
    interviews = excluded.interviews, at = excluded.at),
gone AS (DELETE FROM preppald.attempt a USING mine WHERE a.at < clock_timestamp() - interval '1 hour')
SELECT 'mine', '', 0::bigint, 0::float8, '', mine.id, 0::bigint, 0::bigint, 0::bigint FROM mine
UNION ALL
SELECT 'signal', s.name, (extract(epoch FROM s.until) * 1000)::bigint,
  extract(epoch FROM s.until - clock_timestamp())::float8, s.cause, s.instance, 0, 0, 0
FROM mine, preppald.signal s WHERE s.until > clock_timestamp() - interval '{SHOWN_SECONDS} seconds'
UNION ALL
SELECT 'counts', a.model, 0, 0, '', 0, sum(a.attempts)::bigint, sum(a.failures)::bigint, sum(a.interviews)::bigint
FROM mine JOIN preppald.attempt a ON a.instance <> mine.id
  AND a.at > clock_timestamp() - interval '{COUNTS_SECONDS} seconds' GROUP BY a.model
"""
SIGNAL = f"""
WITH {MINE},
told AS (
  INSERT INTO preppald.signal AS s (name, until, cause, instance)
  SELECT %(name)s, clock_timestamp() + make_interval(secs => %(seconds)s::float8), %(cause)s, mine.id FROM mine
  ON CONFLICT (name) DO UPDATE SET until = excluded.until, cause = excluded.cause, instance = excluded.instance
  WHERE s.until < excluded.until)
SELECT id FROM mine
"""
CLEAR = f"""
WITH {MINE}, gone AS (DELETE FROM preppald.signal s USING mine WHERE s.name = %(name)s)
SELECT id FROM mine
"""
# The second one that asks waits for the first one's row, and finds that it holds again.
PROBE = f"""
WITH {MINE},
won AS (
  UPDATE preppald.signal s
  SET until = clock_timestamp() + make_interval(secs => %(seconds)s::float8), instance = mine.id
  FROM mine WHERE s.name = %(name)s AND s.until <= clock_timestamp() RETURNING s.name)
SELECT EXISTS (SELECT FROM won) FROM mine
"""


class PostgresSignals:
    """``ask`` sends a statement."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def learn(self, me: int, counts: Mapping[str, Counts], /) -> Learnt | Fenced | Unreachable:
        models = sorted(counts)
        values = {
            "me": me,
            "models": models,
            "attempts": [counts[it].attempts for it in models],
            "failures": [counts[it].failures for it in models],
            "interviews": [counts[it].interviews for it in models],
        }
        answer = await self._answer(LEARN, values)
        if not isinstance(answer, list):
            return answer
        found = [row for row in answer if row[0] == "signal"]
        return Learnt(
            tuple(
                Signal(name, until, left, cause, by)
                for _, name, until, left, cause, by, *_ in sorted(found, key=lambda row: str(row[1]))
            ),
            {row[1]: Counts(*row[6:]) for row in answer if row[0] == "counts"},
        )

    async def signal(
        self, me: int, name: str, seconds: float, cause: str, /
    ) -> Written | Fenced | Unreachable:
        values = {"me": me, "name": name, "seconds": seconds, "cause": cause}
        answer = await self._answer(SIGNAL, values)
        return Written() if isinstance(answer, list) else answer

    async def clear(self, me: int, name: str, /) -> Written | Fenced | Unreachable:
        answer = await self._answer(CLEAR, {"me": me, "name": name})
        return Written() if isinstance(answer, list) else answer

    async def probe(self, me: int, name: str, seconds: float, /) -> bool | Fenced | Unreachable:
        answer = await self._answer(PROBE, {"me": me, "name": name, "seconds": seconds})
        return bool(answer[0][0]) if isinstance(answer, list) else answer

    async def _answer(
        self, statement: str, values: Mapping[str, object]
    ) -> list[tuple[Any, ...]] | Fenced | Unreachable:
        answer = await self._ask(statement, values)
        if isinstance(answer, Unfit):
            return Unreachable(answer.why)  # a name of ours that it cannot store: as good as no answer
        return answer or (Fenced() if isinstance(answer, list) else answer)
