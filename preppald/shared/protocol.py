"""The seam to other hosts: the questions that the daemon asks of a journal that several hosts share, and the answers.

Rule 1: no method raises for a lost connection: it returns ``Unreachable``, and whether the database did what it was
        asked is not known then. Each may be asked again.
Rule 2: every writer is named by its incarnation, and one that was declared lost writes nothing any more: ``Fenced``.
Rule 3: all times are the database's clock. No host's clock decides anything.

An incarnation is a life of a state file, not of a process: a daemon that is started again is the same owner.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from preppald.journal.rows import Row

# Eight pulses may be lost, or a failover of the database may take eight seconds, before an instance is taken for lost.
LEASE_SECONDS = 10.0
PULSE_SECONDS = 2.0

# interview_id and block: together the key of everything, see core.interview.
Session = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Presence:
    """The instance as others see it. ``address``: where their connections would be handed over; may be empty."""

    name: str
    address: str
    version: str


@dataclass(frozen=True, slots=True)
class Shipment:
    """Rows of one or more commits, in their order; of those with the same key only the last.

    ``recent``: number and place of a row, then the row of rows.RECENT_COLUMNS. ``interviews``, ``passages``, ``owed``: rows
    of rows.py's columns. ``due``: as in ``journal.pending.Batch``. ``kin``: earlier incarnations of this state directory
    whose interviews this one took over.
    """

    interviews: Sequence[Row] = ()
    recent: Sequence[Row] = ()
    passages: Sequence[Row] = ()
    owed: Sequence[Row] = ()
    due: dict[str, bool] = field(default_factory=dict)
    kin: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No answer came. ``why``: a sentence for people, without a secret."""

    why: str


@dataclass(frozen=True, slots=True)
class Unfit:
    """The database answered that it will never take this: something in it is not to be stored."""

    why: str


@dataclass(frozen=True, slots=True)
class Fenced:
    """The incarnation was declared lost, or is not known there: nothing was written."""


@dataclass(frozen=True, slots=True)
class Joined:
    """The id of a new incarnation."""

    incarnation: int


@dataclass(frozen=True, slots=True)
class Known:
    """The highest number of a row from this incarnation, 0 without one; and the number up to which they are settled."""

    highest: int
    settled: int


@dataclass(frozen=True, slots=True)
class Peer:
    """Another instance. ``lost``: it was declared so. ``settled``: its interviews may be claimed."""

    incarnation: int
    name: str
    address: str
    lost: bool = False
    settled: bool = False


@dataclass(frozen=True, slots=True)
class Pulse:
    """``clock_ms``: the database's clock. ``lapsed``: instances that have not renewed for a lease's time, or are lost
    and not settled yet.
    """

    clock_ms: int
    lapsed: Sequence[Peer] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """It is durable there. ``elsewhere``: sessions whose rows were left out, for another instance owns them."""

    elsewhere: tuple[Session, ...] = ()


@dataclass(frozen=True, slots=True)
class Claimed:
    """A session that is this instance's from now on: its row, and how often it was claimed."""

    row: Row
    claims: int


@dataclass(frozen=True, slots=True)
class Said:
    """Rows that hold fragments: those of one session's passages, and those of its bucket that are not settled yet."""

    passages: tuple[Row, ...] = ()
    recent: tuple[Row, ...] = ()


class Shared(Protocol):
    """A journal that hosts share."""

    async def join(self, presence: Presence, /) -> Joined | Unreachable:
        """Take a new incarnation."""

    async def known(self, me: int, /) -> Known | Fenced | Unreachable:
        """Return how much of this incarnation is there. Renews the lease."""

    async def pulse(self, me: int, live: int, /) -> Pulse | Fenced | Unreachable:
        """Renew the lease. ``live``: interviews now."""

    async def append(self, me: int, shipment: Shipment, /) -> Written | Fenced | Unfit | Unreachable:
        """Store the rows. The same shipment twice is the same as once."""

    async def settle(
        self, me: int, passages: Sequence[Row], upto: int, /
    ) -> Written | Fenced | Unfit | Unreachable:
        """Replace this incarnation's rows of ``recent`` up to a number by these passages."""

    async def sweep(self, me: int, before_ms: int, /) -> int | Fenced | Unreachable:
        """Forget some of this incarnation's interviews that ended before and owe nothing; return how many."""

    async def said(self, session: Session, epoch: int, /) -> Said | Unreachable:
        """Return everything in which fragments of a session may be."""

    async def owner(self, session: Session, /) -> Peer | Unreachable | None:
        """Return the instance that owns a live session; None: nobody owns it, or it is not known."""

    async def declare_lost(self, me: int, peer: int, /) -> bool | Unreachable:
        """Declare an instance lost; return whether it is lost.

        Only for one whose lease lapsed, and only by one that renewed for a lease's time without a gap: after an outage of
        the database every lease has lapsed, and the first one back would declare all others lost.
        """

    async def settle_lost(
        self, me: int, peer: int, passages: Sequence[Row], /
    ) -> Written | Fenced | Unreachable:
        """Replace a lost instance's rows of ``recent`` by these passages: from then on its sessions may be claimed."""

    async def unsettled(self, peer: int, /) -> Sequence[Row] | Unreachable:
        """Return a lost instance's rows of ``recent``, in their order."""

    async def claim(
        self, me: int, limit: int, interview_id: str | None = None, /
    ) -> Sequence[Claimed] | Fenced | Unreachable:
        """Take over live sessions that nobody owns, or whose owner is lost and settled; of one interview if named."""

    async def release(self, me: int, sessions: Sequence[Session], /) -> Written | Fenced | Unreachable:
        """Give sessions up, so that others may claim them."""

    async def aclose(self) -> None:
        """Let go of everything. Nothing may be asked afterwards."""
