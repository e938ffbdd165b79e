"""Signals in memory: see signals.py and model.py."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from preppald.core.model_health import NONE, Counts
from preppald.shared.protocol import Fenced, Unreachable, Written
from preppald.shared.signals import COUNTS_SECONDS, SHOWN_SECONDS, Learnt, Signal


@dataclass(slots=True)
class Held:
    """A signal. ``until``: the database's clock, in seconds."""

    until: float
    cause: str
    by: int


@dataclass(slots=True)
class SignalTables:
    """``attempts``: by instance and model, with the time when it was told."""

    signals: dict[str, Held] = field(default_factory=dict)
    attempts: dict[tuple[int, str], tuple[Counts, float]] = field(default_factory=dict)


class MemorySignals:
    """``tables`` and ``now``: of the model. ``done`` does a statement, if its writer is not lost, and returns the answer."""

    def __init__(
        self,
        tables: Callable[[], SignalTables],
        now: Callable[[], float],
        done: Callable[[int, Callable[[], Any]], Awaitable[Any]],
    ) -> None:
        self._tables = tables
        self._now = now
        self._done = done

    async def learn(self, me: int, counts: Mapping[str, Counts], /) -> Learnt | Fenced | Unreachable:
        def statement() -> Learnt:
            tables, now = self._tables(), self._now()
            tables.attempts |= {(me, model): (its, now) for model, its in counts.items()}
            sums: dict[str, Counts] = {}
            for (instance, model), (its, at) in tables.attempts.items():
                if instance != me and at > now - COUNTS_SECONDS:
                    sums[model] = sums.get(model, NONE) + its
            shown = (
                Signal(name, round(it.until * 1000), it.until - now, it.cause, it.by)
                for name, it in sorted(tables.signals.items())
                if it.until > now - SHOWN_SECONDS
            )
            return Learnt(tuple(shown), sums)

        return await self._done(me, statement)  # type: ignore[no-any-return]

    async def signal(
        self, me: int, name: str, seconds: float, cause: str, /
    ) -> Written | Fenced | Unreachable:
        def statement() -> Written:
            until, signals = self._now() + seconds, self._tables().signals
            if name not in signals or signals[name].until < until:
                signals[name] = Held(until, cause, me)
            return Written()

        return await self._done(me, statement)  # type: ignore[no-any-return]

    async def clear(self, me: int, name: str, /) -> Written | Fenced | Unreachable:
        def statement() -> Written:
            self._tables().signals.pop(name, None)
            return Written()

        return await self._done(me, statement)  # type: ignore[no-any-return]

    async def probe(self, me: int, name: str, seconds: float, /) -> bool | Fenced | Unreachable:
        def statement() -> bool:
            it = self._tables().signals.get(name)
            if it is None or it.until > self._now():
                return False
            it.until, it.by = self._now() + seconds, me
            return True

        return await self._done(me, statement)  # type: ignore[no-any-return]
