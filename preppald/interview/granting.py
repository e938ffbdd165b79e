"""Asks the journal that hosts share before an interview begins here. A host alone grants itself everything, at no cost."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import assert_never

from preppald.core.interview import Interview
from preppald.core.tokens import Claims
from preppald.errors import JournalError
from preppald.interview.no_seat import (
    BegunElsewhere,
    BeingTakenOver,
    Draining,
    JournalUnreadable,
    JournalUnwritable,
    SharedJournalAway,
    TooManyOfUser,
)
from preppald.interview.services import Services
from preppald.journal.neighbours import newest
from preppald.shared.protocol import Ended, Mine, Owned, TooMany, Unreachable


class Granting:
    """Each question raises ``SharedJournalAway`` where no answer comes, unless PREPPALD_WITHOUT_SHARED is "begin"."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def sessions(self, interview_id: str) -> list[Interview]:
        """Return the rows of an interview's sessions that other hosts have or had."""
        ownership = self._services.ownership
        if ownership is None:
            return []
        try:
            found = await ownership.find(interview_id)
        except JournalError as error:
            raise JournalUnreadable(str(error)) from error
        if isinstance(found, Unreachable):
            self._go_without(found)
            return []
        return found.rows

    async def known(
        self, claims: Claims, known: Interview | None, *, draining: bool
    ) -> tuple[Interview | None, bool]:
        """Return the newest row of an interview, and whether it was brought here, to be run.

        ``known``: this host's, as it was before the question: the task that takes over may bring it while the answer is
        under way. An interview that nobody has any more is claimed, unless this instance is draining.

        Raises:
            NoSeat: another host has it, or it is not known.
        """
        ownership = self._services.ownership
        if ownership is None:
            return known, False
        try:
            found = await ownership.find(claims.interview_id)
        except JournalError as error:
            raise JournalUnreadable(str(error)) from error
        if isinstance(found, Unreachable):
            self._go_without(found)
            return known, False
        if found.owner is not None:
            raise BegunElsewhere
        if found.settling:
            ownership.look()
            raise BeingTakenOver
        if found.orphaned:
            if draining:
                raise Draining
            await self._claim(claims.interview_id)
        return newest([known, *found.rows]), found.orphaned or found.here

    async def was_spoken(self, known: Interview) -> bool:
        """Return whether other hosts have words of a session that is over."""
        ownership = self._services.ownership
        if ownership is None:
            return False
        answer = await ownership.was_spoken(known)
        if isinstance(answer, Unreachable):
            self._go_without(answer)
            return False
        return answer

    @asynccontextmanager
    async def granted(self, interview: Interview, *, guest: bool) -> AsyncIterator[None]:
        """Have an interview granted, and put it on record meanwhile. ``guest``: nobody is counted.

        Raises:
            NoSeat: it may not begin here.
        """
        services, ownership = self._services, self._services.ownership
        if ownership is None:
            yield
            return
        person = None if guest else f"user:{interview.user_id}"
        with ownership.beginning(interview.interview_id):
            answer = await ownership.begin(interview, person, services.config.max_sessions_per_user)
            match answer:
                case Mine():
                    pass
                case Owned(peer):
                    raise BeingTakenOver if peer is None or peer.lost else BegunElsewhere
                case Ended():
                    raise BeingTakenOver  # it began and ended elsewhere since it was looked for
                case TooMany():
                    raise TooManyOfUser
                case Unreachable():
                    self._go_without(answer)
                case _:
                    assert_never(answer)
            yield

    async def _claim(self, interview_id: str) -> None:
        ownership = self._services.ownership
        if ownership is None:
            raise AssertionError("a host alone has nothing to claim")
        try:
            claimed = await ownership.claim(interview_id)
        except JournalError as error:
            raise JournalUnwritable(str(error)) from error
        if isinstance(claimed, Unreachable):
            raise SharedJournalAway(claimed.why)
        if not claimed:
            raise BeingTakenOver  # another host was faster

    def _go_without(self, away: Unreachable) -> None:
        if self._services.config.without_shared == "refuse":
            raise SharedJournalAway(away.why)
