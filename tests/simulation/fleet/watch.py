"""Looks on at every statement in the database's own order, and judges what can be judged at that instant."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import trio

from preppald.core.turns import Fragment
from preppald.journal import packing, rows
from preppald.journal.rows import Row
from preppald.shared.protocol import LEASE_SECONDS, Joined, Session, Shipment, Written
from preppald.shared.tables import NOBODY, Tables
from tests.simulation.fleet.engine import Asked, Engine, Line

T = TypeVar("T")
# A statement that comes so long before a lease lapses may be one that is under way.
UNDER_WAY_SECONDS = 3.0
# The argument that is the incarnation whose rows are settled, by method.
_SETTLED = {"settle": 0, "settle_lost": 1}
# Interview, block, epoch and number.
Word = tuple[str, int, int, int]


@dataclass
class Condition:
    """A host as it is seen from outside. ``free_since``: since when it runs and reaches the database's address."""

    line: Line
    free_since: float | None = None


@dataclass
class Watch:
    """``faults``: sentences, by the letter of the invariant that they are about.

    ``acked``: each word that a process knows to be there, with its fragment. ``forgotten``: those of them that a failover
    took away, with when. ``brought_by``: the incarnation that brought each of them last. ``heard``: when the database last
    answered a shipment of an incarnation. ``owners``: who owned each session, and since when.
    """

    engine: Engine
    limit: int
    hosts: dict[str, Condition] = field(default_factory=dict)
    faults: list[tuple[str, str]] = field(default_factory=list)
    acked: dict[Word, Fragment] = field(default_factory=dict)
    acked_owed: dict[str, bytes] = field(default_factory=dict)
    brought_by: dict[Word, int] = field(default_factory=dict)
    heard: dict[int, float] = field(default_factory=dict)
    forgotten: dict[Word, float] = field(default_factory=dict)
    failovers: list[float] = field(default_factory=list)
    # The host of each incarnation.
    host_of: dict[int, str] = field(default_factory=dict)
    # The incarnation that each host knows itself by.
    uses: dict[str, int] = field(default_factory=dict)
    owners: dict[Session, int] = field(default_factory=dict)
    # When each session came to which incarnation.
    history: list[tuple[float, Session, int]] = field(default_factory=list)
    claims: int = 0
    lost: dict[int, float] = field(default_factory=dict)
    settled: set[int] = field(default_factory=set)
    deadlines: dict[tuple[str, int, int], int] = field(default_factory=dict)
    _rows: dict[Session, Row] = field(default_factory=dict)

    def done(self, asked: Asked, statement: Callable[[], T]) -> T:
        tables = self.engine.tables
        before = _written(tables, asked) if self._is_of_a_lost_one(asked) else None
        unsettled = _unsettled(tables, asked)
        answer = statement()
        self._gone(asked, unsettled)
        if asked.method == "join":
            self.host_of[self.engine.next_incarnation - 1] = asked.host
        if before is not None and before != _written(self.engine.tables, asked):
            self._fault("a", f"{asked.method} of {asked.arguments[0]}, which was lost, was taken")
        self._look(asked)
        return answer

    def answered(self, asked: Asked, answer: object) -> None:
        if isinstance(answer, Joined):
            self.uses[asked.host] = answer.incarnation
        if asked.method != "append" or not isinstance(answer, Written):
            return
        me: int = asked.arguments[0]
        shipment: Shipment = asked.arguments[1]
        kept = self.engine.tables.recent
        lacking = [it for it in shipment.recent if kept.get((me, *it[:2]), it[2:]) != tuple(it[2:])]
        mine = self.engine.tables.instances[me]
        # Of one that was declared lost before the answer came, all rows are passages by now; the words are looked for below.
        settled_to = shipment.recent[-1][0] if mine.settled and shipment.recent else mine.settled_to
        absent = [it for it in shipment.recent if (me, *it[:2]) not in kept and it[0] > settled_to]
        if lacking or absent:
            self._fault("c", f"{len(lacking) + len(absent)} rows of {me} were acknowledged and are not there")
        words: dict[Word, Fragment] = {}
        for row in shipment.recent:
            words |= {_of(it): packing.unpacked(it) for it in rows.recent(row[2:])}
        for row in shipment.passages:
            words |= {(*row[:3], it.seq): it for it in rows.passage(row)}
        self.acked |= words
        self.brought_by |= dict.fromkeys(words, me)
        self.heard[me] = trio.current_time()
        elsewhere = {name for name, _ in answer.elsewhere}
        for entry in map(rows.owed, shipment.owed):
            if entry.delivery.interview_id not in elsewhere:
                self.acked_owed[entry.key] = entry.delivery.payload

    def failed_over(self, before: Tables) -> None:
        now = trio.current_time()
        self.failovers.append(now)
        there = dict(held(self.engine.tables))
        self.forgotten |= {word: now for word, _ in held(before) if word in self.acked and word not in there}
        self._note_all()

    def _gone(self, asked: Asked, before: Mapping[Word, Fragment]) -> None:
        """Words that were settled are in passages now, but for those of what is over and owes nothing, or is another's."""
        if not before:
            return
        tables = self.engine.tables
        lacking = before.keys() - {word for word, _ in held(tables)}
        for session in sorted({word[:2] for word in lacking}):
            kept = tables.interviews.get(session)
            if (
                kept is not None
                and kept.owner == asked.arguments[_SETTLED[asked.method]]
                and tables.unfinished(session)
            ):
                count = sum(word[:2] == session for word in lacking)
                self._fault("c", f"{asked.method} lost {count} words of {session}")

    def _is_of_a_lost_one(self, asked: Asked) -> bool:
        me = asked.arguments[0] if asked.arguments else None
        known = self.engine.tables.instances.get(me) if isinstance(me, int) else None
        return known is not None and known.lost

    def _look(self, asked: Asked) -> None:
        """Compare the tables with those after the last statement."""
        now, tables = trio.current_time(), self.engine.tables
        for session, kept in tables.interviews.items():
            before = self.owners.get(session, NOBODY)
            if kept.owner != before:
                self._moved(asked, session, before, kept.owner)
            if self._rows.get(session) is not kept.row:
                self._changed(kept.row)
        for number, instance in tables.instances.items():
            if instance.lost and number not in self.lost:
                self.lost[number] = now
                self._declared(asked, number)
        if asked.method in {"begin", "append", "claim"}:
            people = Counter(
                rows.interview(it.row).user_id for it in tables.interviews.values() if it.live and it.person
            )
            for user, count in people.items():
                if count > self.limit:
                    self._fault("h", f"{user} has {count} live interviews, and may have {self.limit}")
        self._note_all()

    def _note_all(self) -> None:
        tables = self.engine.tables
        self.owners = {session: kept.owner for session, kept in tables.interviews.items()}
        self._rows = {session: kept.row for session, kept in tables.interviews.items()}
        self.lost = {number: self.lost.get(number, 0.0) for number, it in tables.instances.items() if it.lost}
        self.settled = {number for number, it in tables.instances.items() if it.settled}

    def _moved(self, asked: Asked, session: Session, before: int, after: int) -> None:
        """Another owner: of one that was let go of, or whose owner is settled; or of one that is over and begins again."""
        self.history.append((trio.current_time(), session, after))
        if asked.method == "claim":
            self.claims += 1
        known = self._rows.get(session)
        again = (
            known is not None and rows.interview(known).epoch < self.engine.tables.interviews[session].epoch
        )
        kin = self.host_of.get(before) == self.host_of.get(after)
        if NOBODY not in {before, after} and before not in self.settled and not kin and not again:
            self._fault("b", f"{session} went from {before}, which is not lost and settled, to {after}")

    def _changed(self, row: Row) -> None:
        it = rows.interview(row)
        began = it.deadline_ms - it.credited_ms
        known = self.deadlines.setdefault((it.interview_id, it.block, it.epoch), began)
        if known != began:
            self._fault(
                "f", f"the deadline of {it.interview_id} moved by {began - known} ms without a credit"
            )

    def _declared(self, asked: Asked, number: int) -> None:
        """A host whose way was free for a lease's time, and that is alive, has renewed its lease."""
        host = self.hosts.get(self.host_of.get(number, ""))
        now = trio.current_time()
        if self.failovers and now < self.failovers[-1] + 2 * LEASE_SECONDS:
            return  # its renewals may be forgotten, or the clock another one
        if host is None or host.free_since is None or not host.line.free:
            return
        if number != self.uses.get(self.host_of[number]):
            return  # it has another one by now, or never heard of this one
        if now > host.free_since + LEASE_SECONDS + UNDER_WAY_SECONDS:
            self._fault(
                "i", f"{asked.host} declared {number} lost, of a host that lives and reaches the database"
            )

    def _fault(self, letter: str, words: str) -> None:
        self.faults.append((letter, f"at {trio.current_time():.3f} {words}"))


def late(tables: Tables) -> set[tuple[str, int, int]]:
    """Return interview, block and number of words that are kept for people: their host brought them too late."""
    return {
        (it.interview_id, it.block, fragment.seq)
        for it in tables.late.values()
        for fragment in packing.in_passage(it.fragments)
    }


def held(tables: Tables) -> Iterator[tuple[Word, Fragment]]:
    """Yield every word that the database has, with its fragment."""
    for row in tables.passages:
        yield from (((*row[:3], it.seq), it) for it in rows.passage(row))
    for row in tables.recent.values():
        yield from ((_of(it), packing.unpacked(it)) for it in rows.recent(row))


def _unsettled(tables: Tables, asked: Asked) -> Mapping[Word, Fragment]:
    """Return the words that a statement is to settle; none where it is another one."""
    if asked.method not in _SETTLED:
        return {}
    whose = asked.arguments[_SETTLED[asked.method]]
    found = [row for (owner, _, _), row in tables.recent.items() if owner == whose]
    return {_of(it): packing.unpacked(it) for row in found for it in rows.recent(row)}


def _of(it: packing.Said) -> Word:
    return it.interview_id, it.block, it.epoch, packing.unpacked(it).seq


def _written(tables: Tables, asked: Asked) -> object:
    """Return what an incarnation could have changed; compared before and after, where it is lost."""
    me = asked.arguments[0]
    return (
        sum(owner == me for owner, _, _ in tables.recent),
        len(tables.passages),
        {key: (it.owner, it.row) for key, it in tables.owed.items()},
        {session: (kept.owner, kept.row) for session, kept in tables.interviews.items()},
    )
