"""The seam to other hosts: the questions that the daemon asks of a journal that several hosts share, and the answers.

Rule 1: no method raises for a lost connection: it returns ``Unreachable``, and whether the database did what it was
        asked is not known then. Each may be asked again. ``join`` and ``known``, with which a start begins, raise
        NewerSchemaError where the tables are for newer releases alone; all others answer as if nobody were there.
Rule 2: every writer is named by its incarnation, and one that was declared lost writes nothing any more: ``Fenced``.
Rule 3: all times are the database's clock. No host's clock decides anything.

An incarnation is a life of a state file, not of a process: a daemon that is started again is the same owner.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from preppald.journal.rows import Row

if TYPE_CHECKING:
    from preppald.shared.signals import Signals

# Eight pulses may be lost, or a failover of the database may take eight seconds, before an instance is taken for lost.
LEASE_SECONDS = 10.0
PULSE_SECONDS = 2.0
# Three pulses in a row that did not come: the instance is asked whether it lives, while its lease has still some time.
LATE_SECONDS = 6.0

# interview_id and block: together the key of everything, see core.interview.
Session = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Presence:
    """The instance as others see it. ``address``: of its peer port, for others; empty where it has none.

    ``certificate``: SHA-256 of the one that is shown there, hexadecimal; empty where plain TCP is spoken.
    """

    name: str
    address: str
    version: str
    certificate: str = ""


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
    """Another instance. ``lost``: it was declared so. ``settled``: its interviews may be claimed.

    ``certificate``: as in ``Presence``.
    """

    incarnation: int
    name: str
    address: str
    lost: bool = False
    settled: bool = False
    certificate: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """An instance with what it last said of itself. ``live``: its interviews. ``silent_ms``: since it renewed its lease."""

    peer: Peer
    version: str
    live: int
    silent_ms: int


@dataclass(frozen=True, slots=True)
class Pulse:
    """``clock_ms``: the database's clock. ``late``: instances that have not renewed for ``LATE_SECONDS``, or are lost
    and not settled yet. ``orphans``: there is something to claim.
    """

    clock_ms: int
    late: Sequence[Peer] = ()
    orphans: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """It is durable there. ``elsewhere``: sessions whose rows were left out, for another instance owns them.

    ``others``: keys of deliveries that were left out for that.
    """

    elsewhere: tuple[Session, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mine:
    """The session is this instance's: it may begin."""


@dataclass(frozen=True, slots=True)
class Owned:
    """The session is live. ``peer``: its owner; None: nobody's, it is to be claimed."""

    peer: Peer | None


@dataclass(frozen=True, slots=True)
class Ended:
    """The session is over, and may begin again only under a higher epoch than that of ``row``."""

    row: Row


@dataclass(frozen=True, slots=True)
class TooMany:
    """The person has as many live interviews as are allowed, over all hosts."""


@dataclass(frozen=True, slots=True)
class Held:
    """A session as the shared journal has it: its row, and its owner; None: nobody's."""

    row: Row
    owner: Peer | None


@dataclass(frozen=True, slots=True)
class Claimed:
    """A session that is this instance's from now on.

    ``claims``: how often it changed hands. ``owed``: all its rows of the outbox, in the order of their making. ``due``: the
    keys of those on which feedback is due.
    """

    row: Row
    claims: int
    owed: tuple[Row, ...] = ()
    due: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Late:
    """Words of a session that their instance could not bring in before it was declared lost: for people, never posted."""

    interview_id: str
    block: int
    instance: int
    first_seq: int
    fragments: str


@dataclass(frozen=True, slots=True)
class Said:
    """Rows that hold fragments: those of one session's passages, and those of its bucket that are not settled yet."""

    passages: tuple[Row, ...] = ()
    recent: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Order:
    """An operator's word to an instance: ``what`` is a ``Word``'s value, or of a later version's."""

    number: int
    what: str


class Shared(Protocol):
    """A journal that hosts share."""

    @property
    def signals(self) -> "Signals":
        """Return the part by which hosts tell each other what they learn."""

    async def join(self, presence: Presence, /) -> Joined | Unreachable:
        """Take a new incarnation."""

    async def known(self, me: int, /) -> Known | Fenced | Unreachable:
        """Return how much of this incarnation is there. Renews the lease; until that is steady anew it judges nobody."""

    async def pulse(self, me: int, live: int, /) -> Pulse | Fenced | Unreachable:
        """Renew the lease. ``live``: interviews now."""

    async def append(self, me: int, shipment: Shipment, /) -> Written | Fenced | Unfit | Unreachable:
        """Store the rows. The same shipment twice is the same as once."""

    async def settle(
        self, me: int, passages: Sequence[Row], upto: int, /
    ) -> Written | Fenced | Unfit | Unreachable:
        """Replace this incarnation's rows of ``recent`` up to a number by these passages."""

    async def sweep(self, me: int, before_ms: int, rows_before_ms: int, /) -> int | Fenced | Unreachable:
        """Forget the words of some interviews that ended before and owe nothing, this incarnation's and lost ones'.

        ``rows_before_ms``: of those that ended before that, the rows, too. Returns how many lost anything.
        """

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

    async def begin(
        self, me: int, row: Row, person: str | None, limit: int, /
    ) -> Mine | Owned | Ended | TooMany | Fenced | Unfit | Unreachable:
        """Take a session that is to begin: of all who ask at one moment exactly one gets it.

        ``row``: of rows.INTERVIEW_COLUMNS. ``person``: counted while the session is live, and refused where that would be
        more than ``limit``; None: nobody is counted.
        """

    async def sessions(self, interview_id: str, /) -> Sequence[Held] | Unreachable:
        """Return every session of an interview, with its owner."""

    async def held(self, me: int, /) -> Sequence[Session] | Unreachable:
        """Return the sessions of this incarnation that are live or owe anything."""

    async def claim(
        self, me: int, limit: int, interview_id: str | None = None, /
    ) -> Sequence[Claimed] | Fenced | Unreachable:
        """Take over sessions that are live or owe anything, and that nobody owns, or an instance that is lost and settled.

        Of one interview if named; then also those that are this instance's already, as they are: it may not know of a
        claim whose answer was lost.
        """

    async def late(self, me: int, found: Sequence[Late], /) -> Written | Fenced | Unfit | Unreachable:
        """Keep words that came too late, for people."""

    async def release(self, me: int, sessions: Sequence[Session], /) -> Written | Fenced | Unreachable:
        """Give sessions up with all that they owe, so that others may claim them."""

    async def present(self, me: int, presence: Presence, /) -> Written | Fenced | Unreachable:
        """Say anew where this incarnation is found: its port or its certificate may be others since it joined."""

    async def standings(self) -> Sequence[Standing] | Unreachable:
        """Return every instance that is not lost and settled, the oldest first."""

    async def secret(self, name: str, offered: bytes, /) -> bytes | Unreachable:
        """Return the secret of this name, which is the same for all hosts. The first one that is offered becomes it."""

    async def orders(self, me: int, /, *, ready: bool) -> Sequence[Order] | Fenced | Unreachable:
        """Return what operators ordered and this instance has not answered yet. ``ready``: a new interview may begin."""

    async def obeyed(self, me: int, number: int, answer: str, /) -> Written | Fenced | Unreachable:
        """Answer an order. ``answer``: a sentence for people."""

    async def aclose(self) -> None:
        """Let go of everything. Nothing may be asked afterwards."""
