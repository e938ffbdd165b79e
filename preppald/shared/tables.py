"""The tables of a shared journal in memory, and the rules by which statements change them: see model.py."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from preppald.core.deliveries import DeliveryState
from preppald.core.interview import Phase
from preppald.journal import rows, writes
from preppald.journal.rows import Row
from preppald.shared.protocol import Claimed, Late, Order, Peer, Presence, Session
from preppald.shared.signal_tables import SignalTables

NOBODY = 0


# Places in a row of an interview. A database looks at these columns, and at no checksum.
EPOCH, PHASE = 3, 8


@dataclass(slots=True)
class Instance:
    """One incarnation. Times are the database's, in seconds."""

    presence: Presence
    renewed: float
    steady: float
    lost: bool = False
    settled: bool = False
    settled_to: int = 0
    live: int = 0
    ready: bool = False


@dataclass(slots=True)
class Kept:
    """An interview's row and its owner. ``person``: counted while it is live."""

    row: Row
    owner: int
    claims: int = 0
    person: str | None = None

    @property
    def live(self) -> bool:
        return bool(self.row[PHASE] == Phase.LIVE)

    @property
    def epoch(self) -> int:
        return int(self.row[EPOCH])


@dataclass(slots=True)
class Delivery:
    """A delivery's row, and the instance that posts it."""

    row: Row
    owner: int

    @property
    def session(self) -> Session:
        return self.row[1], self.row[2]

    @property
    def open(self) -> bool:
        return rows.owed(self.row).state in {DeliveryState.PENDING, DeliveryState.DEAD}

    @property
    def pending(self) -> bool:
        return rows.owed(self.row).state is DeliveryState.PENDING


@dataclass(slots=True)
class Tables:
    """The database's content. A failover to a copy that is behind is a copy of this, made before."""

    instances: dict[int, Instance] = field(default_factory=dict)
    interviews: dict[Session, Kept] = field(default_factory=dict)
    recent: dict[tuple[int, int, int], Row] = field(default_factory=dict)
    # By everything that makes a passage: two of the same fragments are one, two that overlap are two.
    passages: dict[Row, None] = field(default_factory=dict)
    owed: dict[str, Delivery] = field(default_factory=dict)
    due: set[str] = field(default_factory=set)
    people: Counter[str] = field(default_factory=Counter)
    secrets: dict[str, bytes] = field(default_factory=dict)
    # Operators' words, by the instance, and the answers, by their numbers.
    orders: dict[int, list[Order]] = field(default_factory=dict)
    answers: dict[int, str] = field(default_factory=dict)
    late: dict[tuple[str, int, int, int], Late] = field(default_factory=dict)
    # When each of them came.
    late_at: dict[tuple[str, int, int, int], float] = field(default_factory=dict)
    told: SignalTables = field(default_factory=SignalTables)

    def peer(self, number: int) -> Peer | None:
        """Return an instance as others see it; None for nobody."""
        if (it := self.instances.get(number)) is None:
            return None
        presence = it.presence
        return Peer(number, presence.name, presence.address, it.lost, it.settled, presence.certificate)

    def put_passages(self, owner: int, found: Iterable[Row], kin: Sequence[int] = ()) -> None:
        """Add passages, but for those of sessions that another instance owns."""
        for row in map(tuple, found):
            kept = self.interviews.get((row[0], row[1]))
            if kept is None or kept.owner in {NOBODY, owner, *kin}:
                self.passages[row] = None

    def put_interview(self, me: int, row: Row, kin: Sequence[int]) -> bool:
        """Take the row in, unless another instance owns the session; return whether it is this one's."""
        kept = self.interviews.setdefault((row[0], row[1]), Kept(row, me))
        if kept.owner != me and kept.owner not in kin:
            return False
        kept.owner = me
        it = rows.interview(row)
        # A statement whose connection was given up may come long after: what is over stays over.
        if it.epoch > kept.epoch or (it.epoch == kept.epoch and (kept.live or it.phase is Phase.ENDED)):
            kept.row = row
            if not kept.live and kept.person is not None:
                self.people[kept.person] -= 1
                kept.person = None
        return True

    def put_owed(self, me: int, row: Row, kin: Sequence[int]) -> bool:
        """Take in how a delivery fared; return whether it is this instance's.

        One that was posted before its session changed hands is done, whoever says so.
        """
        known, kept = self.owed.get(row[0]), self.interviews.get((row[1], row[2]))
        new = rows.owed(row)
        if known is None:
            ours = kept is None or kept.owner in {NOBODY, me, *kin}
            if ours or new.state is DeliveryState.DONE:
                self.owed[row[0]] = Delivery(row, me)
            return ours
        ours = known.owner in {me, *kin} or (known.owner == NOBODY and kept is not None and kept.owner == me)
        old = rows.owed(known.row)
        if not ours and new.state is not DeliveryState.DONE:
            return False
        if writes.outranks(new, old):
            known.row = row
        elif (new.attempts, new.state) != (old.attempts, old.state):
            return ours
        known.owner = me if ours else known.owner
        return ours

    def put_begun(self, me: int, row: Row, person: str | None) -> None:
        """Take a session that begins."""
        if person is not None:
            self.people[person] += 1
        claims = kept.claims if (kept := self.interviews.get((row[0], row[1]))) else 0
        self.interviews[row[0], row[1]] = Kept(row, me, claims, person)

    def replace_recent(self, owner: int, passages: Sequence[Row], upto: int | None) -> None:
        """Put passages in the place of an instance's rows of ``recent``."""
        self.put_passages(owner, passages)
        self.recent = {
            key: row
            for key, row in self.recent.items()
            if key[0] != owner or (upto is not None and key[1] > upto)
        }

    def free(self, owner: int) -> bool:
        """Return whether others may claim what is this one's."""
        return owner == NOBODY or self.instances[owner].settled

    def unfinished(self, session: Session) -> bool:
        """Return whether a session is live or owes anything."""
        return self.interviews[session].live or any(
            it.open or key in self.due for key, it in self.owed.items() if it.session == session
        )

    def over(self, me: int, before_ms: int) -> set[str]:
        """Return the interviews that ended before and owe nothing, of this one and of lost ones."""
        kept_on = {it.session[0] for it in self.owed.values() if it.open}
        for session, kept in self.interviews.items():
            it = rows.interview(kept.row)
            ours = kept.owner == me or self.free(kept.owner)
            if not ours or it.phase is not Phase.ENDED or (it.ended_ms or 0) >= before_ms:
                kept_on.add(session[0])
        return {session[0] for session in self.interviews} - kept_on

    def wordy(self, names: Collection[str]) -> set[str]:
        """Return those of these interviews that have words, which no model needs any more."""
        due = {it.session[0] for key, it in self.owed.items() if key in self.due}
        having = {row[0] for row in self.passages} | {key[0] for key in self.late}
        having |= {it.session[0] for it in self.owed.values()}
        having |= {
            session[0]
            for session, it in self.interviews.items()
            if rows.interview(it.row).context is not None
        }
        return (set(names) & having) - due

    def strip(self, names: Collection[str]) -> None:
        """Remove the words of these interviews; their rows stay."""
        self.passages = {row: None for row in self.passages if row[0] not in names}
        self.owed = {key: it for key, it in self.owed.items() if it.session[0] not in names}
        self.late = {key: it for key, it in self.late.items() if key[0] not in names}
        for session, kept in self.interviews.items():
            if session[0] in names:
                kept.row = rows.interview_row(replace(rows.interview(kept.row), context=None))

    def strip_strays(self, before_ms: int) -> None:
        """Remove words that came too late before that, and whose interview is gone."""
        there = {session[0] for session in self.interviews}
        self.late = {
            key: it
            for key, it in self.late.items()
            if key[0] in there or self.late_at[key] * 1000 >= before_ms
        }

    def forget(self, names: Collection[str]) -> None:
        """Remove everything of these interviews."""
        self.strip(names)
        self.interviews = {it: kept for it, kept in self.interviews.items() if it[0] not in names}
        self.due &= set(self.owed)
        self.people = +self.people

    def orphans(self) -> bool:
        """Return whether there is something to claim that a survivor should look for."""
        return any(it.live and self.free(it.owner) for it in self.interviews.values()) or any(
            it.pending and it.owner != NOBODY and self.free(it.owner) for it in self.owed.values()
        )

    def claimed(self, me: int, session: Session) -> Claimed:
        """Give a session, with all that it owes, to an instance."""
        kept = self.interviews[session]
        kept.claims += kept.owner != me
        kept.owner = me
        own = [it for it in self.owed.values() if it.session == session]
        for it in own:
            it.owner = me
        due = tuple(it.row[0] for it in own if it.row[0] in self.due)
        return Claimed(kept.row, kept.claims, tuple(it.row for it in own), due)

    def release(self, me: int, session: Session) -> None:
        """Give a session up, with all that it owes."""
        kept = self.interviews.get(session)
        if kept is None or kept.owner != me:
            return
        kept.owner = NOBODY
        for it in self.owed.values():
            if it.session == session and it.owner == me:
                it.owner = NOBODY
