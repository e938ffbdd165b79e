"""One host alone: no server, no setting. Everything is granted, and there is nobody else."""

from collections.abc import Sequence

from preppald.journal.rows import Row
from preppald.shared.protocol import (
    Claimed,
    Joined,
    Known,
    Peer,
    Presence,
    Pulse,
    Said,
    Session,
    Shipment,
    Written,
)

# There is one, and it is never told from another.
ONLY = 1


class Alone:
    """Stores nothing: the local journal has it all.

    The daemon's hot path does not come by here: without other hosts the journal has no follower.
    """

    async def join(self, _presence: Presence, /) -> Joined:
        return Joined(ONLY)

    async def known(self, _me: int, /) -> Known:
        return Known(0, 0)

    async def pulse(self, _me: int, _live: int, /) -> Pulse:
        return Pulse(clock_ms=0)

    async def append(self, _me: int, _shipment: Shipment, /) -> Written:
        return Written()

    async def settle(self, _me: int, _passages: Sequence[Row], _upto: int, /) -> Written:
        return Written()

    async def sweep(self, _me: int, _before_ms: int, /) -> int:
        return 0

    async def said(self, _session: Session, _epoch: int, /) -> Said:
        return Said()

    async def owner(self, _session: Session, /) -> Peer | None:
        return None

    async def declare_lost(self, _me: int, _peer: int, /) -> bool:
        return False

    async def unsettled(self, _peer: int, /) -> Sequence[Row]:
        return ()

    async def settle_lost(self, _me: int, _peer: int, _passages: Sequence[Row], /) -> Written:
        return Written()

    async def claim(self, _me: int, _limit: int, _interview_id: str | None = None, /) -> Sequence[Claimed]:
        return ()

    async def release(self, _me: int, _sessions: Sequence[Session], /) -> Written:
        return Written()

    async def aclose(self) -> None:
        pass
