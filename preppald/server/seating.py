"""Finds where a connection belongs: in an interview here, at another instance on this host, or at another host.

Rule 1: the instances on this host are asked first: to them the connection itself can be handed over.
Rule 2: a connection that another host carries goes no further: it is seated here, or refused.
"""

import enum
from functools import partial
from typing import TYPE_CHECKING

import trio

from preppald.interview.no_seat import AlreadyEnded, BegunElsewhere, NoSeat
from preppald.interview.registry import Registry
from preppald.interview.session import Session
from preppald.server.admission import Admit
from preppald.server.handover import Handed, Handover
from preppald.server.http import Exchange
from preppald.server.waiting import WaitingRoom
from preppald.telemetry.logs import Logger

if TYPE_CHECKING:
    from preppald.server.elsewhere import Carried, Elsewhere


class Way(enum.Enum):
    """How a connection came here."""

    DIRECT = "to this instance's own port"
    HANDED = "handed over by another instance on this host"
    CARRIED = "carried by another host"


class Seats:
    """``peers``: other instances on this host. ``elsewhere``: other hosts; None: there are none."""

    def __init__(self, registry: Registry, peers: Handover | None, log: Logger) -> None:
        self.elsewhere: Elsewhere | None = None
        self._registry = registry
        self._peers = peers or Handover(
            None, holds=registry.holds, ready=lambda: registry.unready() is None, log=log
        )

    def holds(self, interview_id: str) -> bool:
        """Return whether the interview is live here, or about to be over."""
        return self._registry.holds(interview_id)

    async def seat(
        self, admitted: Admit, stream: trio.abc.Stream, exchange: Exchange, room: WaitingRoom, way: Way
    ) -> "Session | Handed | Carried":
        """Return the session here, or how a connection goes on that another instance has now.

        Raises:
            NoSeat: neither this instance nor another can take it, or the interview is over.
        """
        interview_id = admitted.claims.interview_id
        with self._peers.opening(interview_id) as opening:
            opening.decided |= way is not Way.DIRECT
            hand_over = partial(self._peers.hand_over, interview_id, opening, stream, exchange.received)
            if elsewhere := await hand_over():
                return elsewhere
            if carried := await self._carried(admitted, exchange, way):
                return carried
            try:
                return await self._registry.session_for(admitted.claims, admitted.block, room.waiting)
            except BegunElsewhere:
                # At the same moment, for another connection.
                if room.browser is not None or not (carried := await self._carried(admitted, exchange, way)):  # noqa: ASYNC120 - cancelled, the connection is gone anyway
                    raise
                return carried
            except NoSeat as error:
                if (
                    isinstance(error, AlreadyEnded)
                    or way is not Way.DIRECT
                    or self._registry.unready() is None
                ):
                    raise
                if room.browser is not None:  # it has had its answer: there is nothing left to hand over
                    raise
                # It could have begun here when the others were asked; a drain may have begun since: ask once more.
                opening.decided = False
                if elsewhere := await hand_over():  # noqa: ASYNC120 - cancelled, the connection is gone anyway
                    return elsewhere
                raise

    async def _carried(self, admitted: Admit, exchange: Exchange, way: Way) -> "Carried | None":
        """Return the way to another host that has the interview; None where none has, or where rule 2 says so."""
        if way is Way.CARRIED or self.elsewhere is None:
            return None
        return await self.elsewhere.found(admitted, exchange.request)
