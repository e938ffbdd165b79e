"""Carries a connection to the host where its interview is live, if that is another one than this.

Rule 1: a connection is carried once at most: the owner that takes it carries it no further.
Rule 2: an interview that another host has never begins here: where its owner does not answer, the candidate is told to
        come again.
Rule 3: where the shared journal does not answer, the other hosts are asked themselves.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec
import trio

from preppald.errors import JournalError
from preppald.interview.no_seat import OwnerUnreachable
from preppald.net.stream import Stream
from preppald.server.admission import Admit
from preppald.server.forwarded import forward
from preppald.server.request import Request
from preppald.shared.protocol import Peer, Unreachable
from preppald.telemetry.interfaces import Log

# A candidate waits for it; the shared journal answers in a millisecond, or is away.
LOOK_SECONDS = 2.0

# Finds the owner of a live interview: another instance that is not lost, or None. Raises JournalError.
Where = Callable[[str], Awaitable[Peer | Unreachable | None]]


class Hosts(Protocol):
    """The other hosts: see ``shared.peers``."""

    async def holder(self, interview_id: str) -> Peer | None: ...
    async def carry(self, peer: Peer, interview_id: str, request: msgspec.Raw) -> Stream | None: ...


@dataclass(frozen=True, slots=True)
class Carried:
    """A connection's way to another host: ``link`` leads to the session, which waits for the browser's bytes."""

    link: Stream
    owner: Peer


class Elsewhere:
    """``holds``: whether an interview is live here. ``tasks``: where a question goes on that nobody waits for any more."""

    def __init__(
        self, where: Where, hosts: Hosts, holds: Callable[[str], bool], *, tasks: trio.Nursery, log: Log
    ) -> None:
        self._where = where
        self._hosts = hosts
        self._holds = holds
        self._tasks = tasks
        self._log = log

    async def found(self, admitted: Admit, request: Request) -> Carried | None:
        """Return the way to the host that has the interview; None where it is here, or on no other.

        Raises:
            NoSeat: another host has it, and does not take the connection.
        """
        interview_id = admitted.claims.interview_id
        if self._holds(interview_id):
            return None
        owner = await self._owner(interview_id)
        if isinstance(owner, Unreachable):
            owner = await self._hosts.holder(interview_id)
        if owner is None:
            return None
        link = await self._hosts.carry(owner, interview_id, forward(request, admitted.claims))
        if link is None:
            raise OwnerUnreachable
        self._log.info("connection.carried", interview=interview_id, to=owner.name)
        return Carried(link, owner)

    async def _owner(self, interview_id: str) -> Peer | Unreachable | None:
        """Ask the shared journal, within a bound; it is never interrupted, for others wait for the same connection."""
        found: list[Peer | Unreachable | None] = []
        answered = trio.Event()

        async def ask() -> None:
            try:
                found.append(await self._where(interview_id))
            except JournalError as error:
                # The door will say so, if no other host has it: here it is one connection's trouble, among all of them.
                self._log.warning("interview.not_found", interview=interview_id, cause=str(error))
            except Exception as error:  # noqa: BLE001 - and so is a bug: this task is in everybody's nursery
                self._log.error("interview.not_found", interview=interview_id, exc_info=error)
            answered.set()

        self._tasks.start_soon(ask)
        with trio.move_on_after(LOOK_SECONDS):
            await answered.wait()
        return found[0] if found else Unreachable("no answer in time, or none that can be read")
