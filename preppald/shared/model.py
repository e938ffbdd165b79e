"""A shared journal in memory with a database's semantics: for simulations, on their clock.

Statements are serial, as PostgreSQL's are where they touch the same rows; an answer may be lost after the statement was
done; and nobody may be reached for a while. The rules are written down here a second time, in Python, so that the same
tests can hold both to them.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import TypeVar

import trio

from preppald.journal import packing, rows
from preppald.journal.rows import Row
from preppald.shared.protocol import (
    LATE_SECONDS,
    LEASE_SECONDS,
    Claimed,
    Ended,
    Fenced,
    Held,
    Joined,
    Known,
    Late,
    Mine,
    Order,
    Owned,
    Peer,
    Presence,
    Pulse,
    Said,
    Session,
    Shipment,
    Standing,
    TooMany,
    Unfit,
    Unreachable,
    Written,
)
from preppald.shared.signal_tables import MemorySignals
from preppald.shared.tables import Instance, Tables

T = TypeVar("T")
AWAY = Unreachable("the shared journal does not answer")
# PostgreSQL's texts hold every character but this one.
NUL = "\x00"


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

    def order(self, target: int, what: str) -> int:
        """Have an operator say a word to an instance; return its number."""
        number = sum(map(len, self.tables.orders.values())) + 1
        self.tables.orders.setdefault(target, []).append(Order(number, what))
        return number

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
        self.signals = MemorySignals(lambda: self._tables.told, model.now, self._done_by)

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
            mine.steady = mine.renewed
            numbers = [number for owner, number, _ in self._tables.recent if owner == me]
            return Known(max(numbers, default=mine.settled_to), mine.settled_to)

        return await self._done(statement)

    async def pulse(self, me: int, live: int, /) -> Pulse | Fenced | Unreachable:
        def statement() -> Pulse | Fenced:
            mine = self._renewed(me)
            if mine is None:
                return Fenced()
            mine.live = live
            late = [
                peer
                for number, it in self._tables.instances.items()
                if number != me
                and not it.settled
                and (it.lost or it.renewed < self._model.now() - LATE_SECONDS)
                if (peer := self._tables.peer(number))
            ]
            return Pulse(round(self._model.now() * 1000), late, self._tables.orphans())

        return await self._done(statement)

    async def append(self, me: int, shipment: Shipment, /) -> Written | Fenced | Unfit | Unreachable:
        def statement() -> Written | Fenced | Unfit:
            if not self._mine(me):
                return Fenced()
            if _unfit(shipment):
                return Unfit("a text holds NUL")
            for number, place, *values in shipment.recent:
                self._tables.recent.setdefault((me, number, place), tuple(values))
            self._tables.put_passages(me, shipment.passages, shipment.kin)
            elsewhere = tuple(
                (row[0], row[1])
                for row in shipment.interviews
                if not self._tables.put_interview(me, row, shipment.kin)
            )
            others = tuple(
                row[0] for row in shipment.owed if not self._tables.put_owed(me, row, shipment.kin)
            )
            for key, due in shipment.due.items():
                (self._tables.due.add if due else self._tables.due.discard)(key)
            return Written(elsewhere, others)

        return await self._done(statement)

    async def settle(
        self, me: int, passages: Sequence[Row], upto: int, /
    ) -> Written | Fenced | Unfit | Unreachable:
        def statement() -> Written | Fenced:
            mine = self._mine(me)
            if not mine:
                return Fenced()
            self._tables.replace_recent(me, passages, upto)
            mine.settled_to = max(mine.settled_to, upto)
            return Written()

        return await self._done(statement)

    async def sweep(self, me: int, before_ms: int, rows_before_ms: int, /) -> int | Fenced | Unreachable:
        def statement() -> int | Fenced:
            if not self._mine(me):
                return Fenced()
            gone = self._tables.over(me, rows_before_ms)
            self._tables.forget(gone)
            self._tables.strip_strays(before_ms)
            stripped = self._tables.wordy(self._tables.over(me, before_ms))
            self._tables.strip(stripped)
            return len(gone) + len(stripped)

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
            return self._tables.peer(kept.owner) if kept is not None and kept.live else None

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
                self._tables.replace_recent(peer, passages, None)
                other.settled = True
            return Written()

        return await self._done(statement)

    async def begin(
        self, me: int, row: Row, person: str | None, limit: int, /
    ) -> Mine | Owned | Ended | TooMany | Fenced | Unfit | Unreachable:
        def statement() -> Mine | Owned | Ended | TooMany | Fenced | Unfit:
            if not self._mine(me):
                return Fenced()
            if _spoilt(row):
                return Unfit("a text holds NUL")
            kept, epoch = self._tables.interviews.get((row[0], row[1])), rows.interview(row).epoch
            if kept is not None and kept.live:
                ours = kept.owner == me and kept.epoch == epoch
                return Mine() if ours else Owned(self._tables.peer(kept.owner))
            if kept is not None and kept.epoch >= epoch:
                return Ended(kept.row)
            if person is not None and self._tables.people[person] >= limit:
                return TooMany()
            self._tables.put_begun(me, row, person)
            return Mine()

        return await self._done(statement)

    async def sessions(self, interview_id: str, /) -> Sequence[Held] | Unreachable:
        def statement() -> Sequence[Held]:
            return [
                Held(kept.row, self._tables.peer(kept.owner))
                for (name, _), kept in sorted(self._tables.interviews.items())
                if name == interview_id
            ]

        return await self._done(statement)

    async def held(self, me: int, /) -> Sequence[Session] | Unreachable:
        def statement() -> Sequence[Session]:
            mine = [it for it, kept in sorted(self._tables.interviews.items()) if kept.owner == me]
            return [it for it in mine if self._tables.unfinished(it)]

        return await self._done(statement)

    async def claim(
        self, me: int, limit: int, interview_id: str | None = None, /
    ) -> Sequence[Claimed] | Fenced | Unreachable:
        def statement() -> Sequence[Claimed] | Fenced:
            if not self._mine(me):
                return Fenced()
            tables = self._tables
            found = [
                session
                for session, kept in sorted(tables.interviews.items())
                if interview_id in {None, session[0]} and tables.unfinished(session)
                if tables.free(kept.owner) or (kept.owner == me and interview_id is not None)
            ]
            return [tables.claimed(me, it) for it in found[:limit]]

        return await self._done(statement)

    async def late(self, me: int, found: Sequence[Late], /) -> Written | Fenced | Unfit | Unreachable:
        def statement() -> Written | Fenced:
            if not self._mine(me):
                return Fenced()
            for it in found:
                key = (it.interview_id, it.block, it.instance, it.first_seq)
                self._tables.late.setdefault(key, it)
                self._tables.late_at.setdefault(key, self._model.now())
            return Written()

        return await self._done(statement)

    async def release(self, me: int, sessions: Sequence[Session], /) -> Written | Fenced | Unreachable:
        def statement() -> Written | Fenced:
            if not self._mine(me):
                return Fenced()
            for session in sessions:
                self._tables.release(me, session)
            return Written()

        return await self._done(statement)

    async def present(self, me: int, presence: Presence, /) -> Written | Fenced | Unreachable:
        def statement() -> Written | Fenced:
            mine = self._mine(me)
            if mine is None:
                return Fenced()
            mine.presence = presence
            return Written()

        return await self._done(statement)

    async def orders(self, me: int, /, *, ready: bool) -> Sequence[Order] | Fenced | Unreachable:
        def statement() -> Sequence[Order] | Fenced:
            mine = self._mine(me)
            if mine is None:
                return Fenced()
            mine.ready = ready
            return [it for it in self._tables.orders.get(me, ()) if it.number not in self._tables.answers]

        return await self._done(statement)

    async def obeyed(self, me: int, number: int, answer: str, /) -> Written | Fenced | Unreachable:
        def statement() -> Written | Fenced:
            if not self._mine(me):
                return Fenced()
            if any(it.number == number for it in self._tables.orders.get(me, ())):
                self._tables.answers.setdefault(number, answer)
            return Written()

        return await self._done(statement)

    async def standings(self) -> Sequence[Standing] | Unreachable:
        def statement() -> Sequence[Standing]:
            now = self._model.now()
            return [
                Standing(peer, it.presence.version, it.live, round((now - it.renewed) * 1000))
                for number, it in sorted(self._tables.instances.items())
                if not it.settled and (peer := self._tables.peer(number))
            ]

        return await self._done(statement)

    async def secret(self, name: str, offered: bytes, /) -> bytes | Unreachable:
        return await self._done(lambda: self._tables.secrets.setdefault(name, offered))

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

    async def _done_by(self, me: int, statement: Callable[[], T]) -> T | Fenced | Unreachable:
        return await self._done(lambda: statement() if self._mine(me) else Fenced())

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


def _unfit(shipment: Shipment) -> bool:
    return any(map(_spoilt, (*shipment.interviews, *shipment.recent, *shipment.passages, *shipment.owed)))


def _spoilt(row: Row) -> bool:
    return any(isinstance(value, str) and NUL in value for value in row)
