"""A shared journal in memory with a database's semantics: for simulations, on their clock.

Statements are serial, as PostgreSQL's are where they touch the same rows; an answer may be lost after the statement was
done; and nobody may be reached for a while. The rules are written down here a second time, in Python, so that the same
tests can hold both to them.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import TypeVar

import trio

from preppald.core.deliveries import DeliveryState
from preppald.core.interview import Phase
from preppald.journal import packing, rows, writes
from preppald.journal.rows import Row
from preppald.shared.protocol import (
    LEASE_SECONDS,
    Claimed,
    Fenced,
    Joined,
    Known,
    Peer,
    Presence,
    Pulse,
    Said,
    Session,
    Shipment,
    Unfit,
    Unreachable,
    Written,
)

T = TypeVar("T")
NOBODY = 0
AWAY = Unreachable("the shared journal does not answer")
# PostgreSQL's texts hold every character but this one.
NUL = "\x00"


@dataclass(slots=True)
class Instance:
    """One incarnation. Times are the database's, in seconds."""

    presence: Presence
    renewed: float
    steady: float
    lost: bool = False
    settled: bool = False
    settled_to: int = 0


@dataclass(slots=True)
class Kept:
    """An interview's row and its owner."""

    row: Row
    owner: int
    claims: int = 0


@dataclass(slots=True)
class Tables:
    """The database's content. A failover to a copy that is behind is a copy of this, made before."""

    instances: dict[int, Instance] = field(default_factory=dict)
    interviews: dict[Session, Kept] = field(default_factory=dict)
    recent: dict[tuple[int, int, int], Row] = field(default_factory=dict)
    # By everything that makes a passage: two of the same fragments are one, two that overlap are two.
    passages: dict[Row, None] = field(default_factory=dict)
    owed: dict[str, Row] = field(default_factory=dict)
    due: set[str] = field(default_factory=set)


class Model:
    """Hold the tables. Each connection to them is a ``Client``.

    ``now``: the database's clock in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.tables = Tables()
        self.next_incarnation = 1

    def copy(self) -> Tables:
        """Return the tables as they are now: those of a standby that falls behind from here on."""
        return deepcopy(self.tables)

    def client(self) -> "Client":
        """Return a host's way to it."""
        return Client(self)


class Client:
    """``reachable``: False while no statement arrives. ``lost_answers``: so many next statements are done, unanswered."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.reachable = True
        self.lost_answers = 0
        self.closed = False

    @property
    def _tables(self) -> Tables:
        return self._model.tables

    async def join(self, presence: Presence, /) -> Joined | Unreachable:
        def statement() -> Joined:
            number = self._model.next_incarnation
            self._model.next_incarnation += 1
            now = self._model.now()
            self._tables.instances[number] = Instance(presence, renewed=now, steady=now)
            return Joined(number)

        return await self._done(statement)

    async def known(self, me: int, /) -> Known | Fenced | Unreachable:
        def statement() -> Known | Fenced:
            mine = self._renewed(me)
            if mine is None:
                return Fenced()
            numbers = [number for owner, number, _ in self._tables.recent if owner == me]
            return Known(max(numbers, default=mine.settled_to), mine.settled_to)

        return await self._done(statement)

    async def pulse(self, me: int, _live: int, /) -> Pulse | Fenced | Unreachable:
        def statement() -> Pulse | Fenced:
            if self._renewed(me) is None:
                return Fenced()
            lapsed = [
                _peer(number, it)
                for number, it in self._tables.instances.items()
                if number != me and not it.settled and (it.lost or self._lapsed(it))
            ]
            return Pulse(round(self._model.now() * 1000), lapsed)

        return await self._done(statement)

    async def append(self, me: int, shipment: Shipment, /) -> Written | Fenced | Unfit | Unreachable:
        def statement() -> Written | Fenced | Unfit:
            if not self._mine(me):
                return Fenced()
            if _unfit(shipment):
                return Unfit("a text holds NUL")
            for number, place, *values in shipment.recent:
                self._tables.recent.setdefault((me, number, place), tuple(values))
            self._tables.passages |= dict.fromkeys(map(tuple, shipment.passages))
            elsewhere = tuple(
                (row[0], row[1])
                for row in shipment.interviews
                if not self._put_interview(me, row, shipment.kin)
            )
            for row in shipment.owed:
                known = self._tables.owed.get(row[0])
                if known is None or writes.outranks(rows.owed(row), rows.owed(known)):
                    self._tables.owed[row[0]] = row
            for key, due in shipment.due.items():
                (self._tables.due.add if due else self._tables.due.discard)(key)
            return Written(elsewhere)

        return await self._done(statement)

    async def settle(
        self, me: int, passages: Sequence[Row], upto: int, /
    ) -> Written | Fenced | Unfit | Unreachable:
        def statement() -> Written | Fenced:
            mine = self._mine(me)
            if not mine:
                return Fenced()
            self._replace_recent(me, passages, upto)
            mine.settled_to = max(mine.settled_to, upto)
            return Written()

        return await self._done(statement)

    async def sweep(self, me: int, before_ms: int, /) -> int | Fenced | Unreachable:
        def statement() -> int | Fenced:
            if not self._mine(me):
                return Fenced()
            tables = self._tables
            open_ones = {
                it.delivery.interview_id for it in map(rows.owed, tables.owed.values()) if _open(it.state)
            }
            kept_on = {
                session[0]
                for session, kept in tables.interviews.items()
                if not self._over(me, kept, before_ms)
            }
            names = {session[0] for session in tables.interviews} - open_ones - kept_on
            tables.interviews = {it: kept for it, kept in tables.interviews.items() if it[0] not in names}
            tables.passages = {row: None for row in tables.passages if row[0] not in names}
            tables.owed = {key: row for key, row in tables.owed.items() if row[1] not in names}
            tables.due &= set(tables.owed)
            return len(names)

        return await self._done(statement)

    async def said(self, session: Session, epoch: int, /) -> Said | Unreachable:
        def statement() -> Said:
            bucket = packing.bucket(session[0])
            passages = tuple(row for row in self._tables.passages if row[:3] == (*session, epoch))
            recent = tuple(row for _, row in sorted(self._tables.recent.items()) if row[0] == bucket)
            return Said(passages, recent)

        return await self._done(statement)

    async def owner(self, session: Session, /) -> Peer | Unreachable | None:
        def statement() -> Peer | None:
            kept = self._tables.interviews.get(session)
            if kept is None or kept.owner == NOBODY or not _live(kept.row):
                return None
            return _peer(kept.owner, self._tables.instances[kept.owner])

        return await self._done(statement)

    async def declare_lost(self, me: int, peer: int, /) -> bool | Unreachable:
        def statement() -> bool:
            mine, other = self._mine(me), self._tables.instances[peer]
            steady = (
                mine is not None
                and not self._lapsed(mine)
                and mine.steady < self._model.now() - LEASE_SECONDS
            )
            other.lost = other.lost or (steady and self._lapsed(other))
            return other.lost

        return await self._done(statement)

    async def unsettled(self, peer: int, /) -> Sequence[Row] | Unreachable:
        def statement() -> Sequence[Row]:
            return [row for key, row in sorted(self._tables.recent.items()) if key[0] == peer]

        return await self._done(statement)

    async def settle_lost(
        self, me: int, peer: int, passages: Sequence[Row], /
    ) -> Written | Fenced | Unreachable:
        def statement() -> Written | Fenced:
            other = self._tables.instances[peer]
            if not self._mine(me):
                return Fenced()
            if other.lost and not other.settled:
                self._replace_recent(peer, passages, None)
                other.settled = True
            return Written()

        return await self._done(statement)

    async def claim(
        self, me: int, limit: int, interview_id: str | None = None, /
    ) -> Sequence[Claimed] | Fenced | Unreachable:
        def statement() -> Sequence[Claimed] | Fenced:
            if not self._mine(me):
                return Fenced()
            free = [
                kept
                for (name, _), kept in sorted(self._tables.interviews.items())
                if interview_id in {None, name} and _live(kept.row) and self._orphan(kept)
            ]
            for kept in free[:limit]:
                kept.owner, kept.claims = me, kept.claims + 1
            return [Claimed(kept.row, kept.claims) for kept in free[:limit]]

        return await self._done(statement)

    async def release(self, me: int, sessions: Sequence[Session], /) -> Written | Fenced | Unreachable:
        def statement() -> Written | Fenced:
            if not self._mine(me):
                return Fenced()
            for session in sessions:
                kept = self._tables.interviews.get(session)
                if kept is not None and kept.owner == me:
                    kept.owner = NOBODY
            return Written()

        return await self._done(statement)

    async def aclose(self) -> None:
        self.closed = True
        await trio.lowlevel.checkpoint()

    async def _done(self, statement: Callable[[], T]) -> T | Unreachable:
        await trio.lowlevel.checkpoint()
        if not self.reachable or self.closed:
            return AWAY
        answer = statement()
        if self.lost_answers:
            self.lost_answers -= 1
            return AWAY
        return answer

    def _mine(self, me: int) -> Instance | None:
        found = self._tables.instances.get(me)
        return None if found is None or found.lost else found

    def _renewed(self, me: int) -> Instance | None:
        mine, now = self._mine(me), self._model.now()
        if mine is not None:
            mine.steady = now if self._lapsed(mine) else mine.steady
            mine.renewed = now
        return mine

    def _lapsed(self, it: Instance) -> bool:
        return it.renewed < self._model.now() - LEASE_SECONDS

    def _put_interview(self, me: int, row: Row, kin: Sequence[int]) -> bool:
        """Take the row in, unless another instance owns the session; return whether it is this one's."""
        session = (row[0], row[1])
        kept = self._tables.interviews.setdefault(session, Kept(row, me))
        if kept.owner != me and kept.owner not in kin:
            return False
        kept.owner = me
        if rows.interview(row).epoch >= rows.interview(kept.row).epoch:
            kept.row = row
        return True

    def _replace_recent(self, owner: int, passages: Sequence[Row], upto: int | None) -> None:
        self._tables.passages |= dict.fromkeys(map(tuple, passages))
        self._tables.recent = {
            key: row
            for key, row in self._tables.recent.items()
            if key[0] != owner or (upto is not None and key[1] > upto)
        }

    def _orphan(self, kept: Kept) -> bool:
        return kept.owner == NOBODY or self._tables.instances[kept.owner].settled

    def _over(self, me: int, kept: Kept, before_ms: int) -> bool:
        it = rows.interview(kept.row)
        return kept.owner == me and it.phase is Phase.ENDED and (it.ended_ms or 0) < before_ms


def _peer(number: int, it: Instance) -> Peer:
    return Peer(number, it.presence.name, it.presence.address, it.lost, it.settled)


def _live(row: Row) -> bool:
    return rows.interview(row).phase is Phase.LIVE


def _open(state: DeliveryState) -> bool:
    return state in {DeliveryState.PENDING, DeliveryState.DEAD}


def _unfit(shipment: Shipment) -> bool:
    every = (*shipment.interviews, *shipment.recent, *shipment.passages, *shipment.owed)
    return any(isinstance(value, str) and NUL in value for row in every for value in row)
