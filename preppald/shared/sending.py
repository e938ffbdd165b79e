"""Sends rows to the journal that hosts share, in statements of a bounded size, and finds the rows that it cannot hold.

Rule: a statement has whole parcels, or a part of one. The highest number that is there says what goes again after a cut:
        with words of a later parcel there the rows of an earlier one would never go.
"""

from collections.abc import Callable, Sequence

from preppald.journal.parcel import Parcel
from preppald.shared.membership import Membership
from preppald.shared.protocol import Fenced, Shared, Shipment, Unfit, Unreachable, Written
from preppald.shared.shipment import apart, fits, pieces, shipment
from preppald.telemetry.interfaces import Log

# Judges an answer to what was sent, and returns whether it was taken.
Taken = Callable[[Written | Fenced | Unreachable, Shipment | None], bool]


class Sending:
    """``taken``: told of each answer."""

    def __init__(self, shared: Shared, membership: Membership, taken: Taken, *, log: Log) -> None:
        self._shared = shared
        self._member = membership
        self._taken = taken
        self._log = log

    async def parcels(self, found: Sequence[Parcel]) -> bool:
        """Send parcels, halved until each half is one statement that can be stored; return as ``rows``."""
        whole = shipment(found, self._member.kin)
        if len(found) == 1:
            return await self.rows(whole)
        if fits(whole):
            answer = await self._shared.append(self._member.incarnation, whole)
            if not isinstance(answer, Unfit):
                return self._taken(answer, whole)
        half = len(found) // 2
        return await self.parcels(found[:half]) and await self.parcels(found[half:])

    async def rows(self, whole: Shipment) -> bool:
        """Send in pieces; return whether all of it is there, or can never be."""
        for piece in pieces(whole):
            answer = await self._shared.append(self._member.incarnation, piece)
            if isinstance(answer, Unfit):
                for what, alone in apart(piece):
                    answer = await self._shared.append(self._member.incarnation, alone)
                    if isinstance(answer, Unfit):
                        self._log.error("shared.unfit", what=what, cause=answer.why)
                    elif not self._taken(answer, alone):
                        return False
            elif not self._taken(answer, piece):
                return False
        return True
