"""One host alone: no server, no setting. Everything is granted, and there is nobody else."""

from collections.abc import Sequence

from preppald.journal.rows import Row
from preppald.shared.protocol import (
    Claimed,
    Held,
    Joined,
    Known,
    Late,
    Mine,
    Order,
    Peer,
    Presence,
    Pulse,
    Said,
    Session,
    Shipment,
    Standing,
    Written,
)
from preppald.shared.signals import Quiet

# There is one, and it is never told from another.
ONLY = 1


class Alone:
    """Stores nothing: the local journal has it all.

    The daemon's hot path does not come by here: without other hosts the journal has no follower.
    """

    signals = Quiet()

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

    async def sweep(self, _me: int, _before_ms: int, _rows_before_ms: int, /) -> int:
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

    async def begin(self, _me: int, _row: Row, _person: str | None, _limit: int, /) -> Mine:
        return Mine()

    async def sessions(self, _interview_id: str, /) -> Sequence[Held]:
        return ()

    async def held(self, _me: int, /) -> Sequence[Session]:
        return ()

    async def claim(self, _me: int, _limit: int, _interview_id: str | None = None, /) -> Sequence[Claimed]:
        return ()

    async def release(self, _me: int, _sessions: Sequence[Session], /) -> Written:
        return Written()

    async def present(self, _me: int, _presence: Presence, /) -> Written:
        return Written()

    async def standings(self) -> Sequence[Standing]:
        return ()

    async def secret(self, _name: str, offered: bytes, /) -> bytes:
        return offered

    async def late(self, _me: int, _found: Sequence[Late], /) -> Written:
        return Written()

    async def orders(self, _me: int, /, *, ready: bool) -> Sequence[Order]:  # noqa: ARG002 - nobody asks
        return ()

    async def obeyed(self, _me: int, _number: int, _answer: str, /) -> Written:
        return Written()

    async def aclose(self) -> None:
        pass
