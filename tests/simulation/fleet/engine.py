"""The database of the shared journal: the product's model of it, with a clock, outages, failovers and ways to it.

A statement travels there, is done at one instant, and its answer travels back. Each way may refuse or hold everything.
One that was held when its connection was given up may still be done when the way is free again, long after newer ones.
"""

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
import enum
import inspect
import random
from typing import Any, Protocol, TypeVar

import trio

from preppald.shared.model import AWAY, Client, Model
from preppald.shared.protocol import Fenced, Unreachable
from preppald.shared.tables import Tables

T = TypeVar("T")
# As preppald.shared.link has it, which no process of a simulation imports: then a silent connection is hung up.
PATIENCE_SECONDS = 15.0
# One way, on the net between hosts.
LATENCY_SECONDS = 0.001
# Of statements that were under way as their connection was given up; and how long after the way is free again: a server
# process that has read one may wait for a lock behind newer ones, and does not look whether anybody is there.
LATE_SHARE = 0.5
LATEST_SECONDS = 3.0


class Way(enum.Enum):
    """What becomes of bytes in one direction."""

    FREE = "they arrive"
    REFUSED = "the connection breaks at once"
    HELD = "nothing arrives, and nobody is told"


@dataclass(frozen=True, slots=True)
class Asked:
    """One statement. ``arguments``: of the method of ``Shared``; the incarnation that writes is the first one."""

    host: str
    method: str
    arguments: tuple[Any, ...]


class Watcher(Protocol):
    """Looks on, in the database's order."""

    def done(self, asked: Asked, statement: Callable[[], T]) -> T:
        """Do the statement."""

    def answered(self, asked: Asked, answer: object) -> None:
        """Note that the process got the answer."""

    def failed_over(self, before: Tables) -> None:
        """Note that the tables are those of a copy."""


@dataclass(slots=True)
class Line:
    """A host's way to the database. ``lost_answers``: of so many next statements."""

    there: Way = Way.FREE
    back: Way = Way.FREE
    lost_answers: int = 0
    changed: trio.lowlevel.ParkingLot = field(default_factory=trio.lowlevel.ParkingLot)

    @property
    def free(self) -> bool:
        return self.there is self.back is Way.FREE

    def set(self, there: Way, back: Way) -> None:
        self.there, self.back = there, back
        self.changed.unpark_all()


class Engine(Model):
    """``state``: HELD is a database that is stopped, REFUSED one that is not there. ``slowest``: seconds a statement.

    ``offset``: its clock less the simulation's, in seconds. ``aways``: when it was HELD or REFUSED, from and to; an outage
    stands there when it is over.
    """

    def __init__(self, chance: random.Random, nursery: trio.Nursery) -> None:
        super().__init__(lambda: trio.current_time() + self.offset)
        self.offset = 0.0
        self.slowest = 0.0
        self.state = Way.FREE
        self.promotions = 0
        self.aways: list[tuple[float, float]] = []
        self._away_since = 0.0
        self.watcher: Watcher | None = None
        self._changed = trio.lowlevel.ParkingLot()
        self._chance = chance
        self._nursery = nursery

    def set(self, state: Way) -> None:
        now = trio.current_time()
        if self.state is Way.FREE:
            self._away_since = now
        elif state is Way.FREE:
            self.aways.append((self._away_since, now))
        self.state = state
        self._changed.unpark_all()

    def promote(self, copy: Tables | None, clock: float) -> None:
        """Go on with a standby: with this copy, or one that lacks nothing. ``clock``: seconds that its own is ahead."""
        self.offset += clock
        self.promotions += 1
        if copy is not None:
            before, self.tables = self.tables, copy
            if self.watcher is not None:
                self.watcher.failed_over(before)
        self.set(Way.FREE)

    def way(self, host: str, line: Line, alive: Callable[[], bool]) -> "Connection":
        """Return a process's way to it."""
        return Connection(self, host, line, alive)

    async def arrive(self) -> bool:
        """Wait until it takes a statement; return False where it is not there."""
        while self.state is Way.HELD:
            await self._changed.park()
        if self.slowest:
            await trio.sleep(self._chance.uniform(0, self.slowest))
        return self.state is Way.FREE

    def do(self, asked: Asked, statement: Callable[[], T]) -> T:
        """Do a statement, now."""
        return statement() if self.watcher is None else self.watcher.done(asked, statement)

    def maybe_late(self, asked: Asked, line: Line, statement: Callable[[], object]) -> None:
        """Do a statement, or not, whose connection was given up while it was under way."""
        if self._chance.random() < LATE_SHARE:
            self._nursery.start_soon(self._late, asked, line, statement)

    async def _late(self, asked: Asked, line: Line, statement: Callable[[], object]) -> None:
        await _passed(line, "there")
        await trio.sleep(self._chance.uniform(0, LATEST_SECONDS))
        if await self.arrive():
            self.do(asked, statement)


class Connection(Client):
    """The shared journal as one process sees it. ``alive``: a dead one reaches nobody."""

    # The answer to a shipment whose connection was given up. A bug is planted here.
    given_up: Any = AWAY

    def __init__(self, engine: Engine, host: str, line: Line, alive: Callable[[], bool]) -> None:
        super().__init__(engine)
        self._engine = engine
        self._host = host
        self._line = line
        self._alive = alive

    async def _done(self, statement: Callable[[], T]) -> T | Unreachable:
        # Of what has a protocol of its own nothing is noted: signals, and what else goes by the same way.
        method, arguments = _asking.get(("", ()))
        asked = Asked(self._host, method, arguments)
        answer: Any = self.given_up if method == "append" else AWAY
        with trio.move_on_after(PATIENCE_SECONDS):
            answer = await self._ask(asked, statement)
        if self._engine.watcher is not None:
            self._engine.watcher.answered(asked, answer)
        return answer  # type: ignore[no-any-return]

    async def _done_by(self, me: int, statement: Callable[[], T]) -> T | Fenced | Unreachable:
        token = _asking.set(("signals", (me,)))
        try:
            return await super()._done_by(me, statement)
        finally:
            _asking.reset(token)

    async def _ask(self, asked: Asked, statement: Callable[[], T]) -> T | Unreachable:
        if not await self._arrived(asked, statement):
            return AWAY
        primary = self._engine.promotions
        answer = self._engine.do(asked, statement)
        if self._line.lost_answers:
            self._line.lost_answers -= 1
            return AWAY
        arrives = await _passed(self._line, "back") and self._alive()
        return answer if arrives and primary == self._engine.promotions else AWAY

    async def _arrived(self, asked: Asked, statement: Callable[[], object]) -> bool:
        """Send a statement; return whether it is to be done now."""
        if self.closed or not self._alive() or self._line.there is Way.REFUSED:
            await trio.sleep(LATENCY_SECONDS)
            return False
        try:
            return await _passed(self._line, "there") and await self._engine.arrive() and self._alive()
        except trio.Cancelled:
            self._engine.maybe_late(asked, self._line, statement)
            raise


async def _passed(line: Line, which: str) -> bool:
    """Go one way; return False where the connection broke."""
    await trio.sleep(LATENCY_SECONDS)
    while getattr(line, which) is Way.HELD:
        await line.changed.park()
    return getattr(line, which) is Way.FREE


_asking: ContextVar[tuple[str, tuple[Any, ...]]] = ContextVar("asking")


def _noting(name: str) -> Callable[..., Awaitable[Any]]:
    """Return a method of ``Client`` that notes what was asked, for the one that sends it."""

    async def noting(self: Connection, *arguments: Any, **keys: Any) -> Any:
        token = _asking.set((name, arguments))
        try:
            return await getattr(Client, name)(self, *arguments, **keys)
        finally:
            _asking.reset(token)

    return noting


for _name in [it for it in dir(Client) if inspect.iscoroutinefunction(getattr(Client, it))]:
    if not _name.startswith("_") and _name != "aclose":
        setattr(Connection, _name, _noting(_name))
