"""Admits claims to an interview, or refuses them; makes the row with which a new interview begins."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import msgspec

from preppald.core.context import NOTHING_KNOWN, Context
from preppald.core.endings import DAEMON_STOPPED
from preppald.core.interview import Interview, Phase
from preppald.core.tokens import Claims
from preppald.errors import JournalError
from preppald.interview.granting import Granting
from preppald.interview.no_seat import (
    AlreadyEnded,
    AnotherUsers,
    AtCapacity,
    BeingTakenOver,
    BlockUnknown,
    Draining,
    JournalUnreadable,
    JournalUnwritable,
    NoSeat,
    NotReady,
    ShortOfMemory,
    TokenExpired,
    TooManyOfUser,
)
from preppald.interview.prompting import block_context
from preppald.interview.services import Services

# Entered while the application is asked what a block is: the candidate is let in meanwhile, and kept waiting.
Meanwhile = Callable[[], AbstractAsyncContextManager[None]]


class Admission:
    """``draining``: no interview begins any more. ``granting``: what other hosts know of an interview."""

    def __init__(self, services: Services) -> None:
        self.draining = False
        self.granting = Granting(services)
        self._services = services

    def unready(self, live: int) -> NotReady | None:
        """Return why no new interview may begin beside this many, if so."""
        services = self._services
        if self.draining:
            return Draining()
        if live >= services.config.max_sessions:
            return AtCapacity()
        if services.memory.short(services.config.memory_limit):
            return ShortOfMemory()
        if services.journal.fault is not None:
            return JournalUnwritable(f"the journal is not writable: {services.journal.fault}")
        return None

    def check_ready(self, live: int) -> None:
        """Raise what ``unready`` returns."""
        if obstacle := self.unready(live):
            raise obstacle

    def check_user(self, theirs: int) -> None:
        """Raise TooManyOfUser where the user has as many live interviews as one may have."""
        if theirs >= self._services.config.max_sessions_per_user:
            raise TooManyOfUser

    async def known(self, claims: Claims) -> Interview | None:
        """Return the interview as any instance on this host has it.

        Raises:
            NoSeat: the journal cannot be read; a token outside of its time learns nothing else.
        """
        try:
            return await self._services.journal.known(claims.interview_id)
        except JournalError as error:
            if claims.untimely:
                raise TokenExpired from error
            raise JournalUnreadable(str(error)) from error

    async def block_of(self, claims: Claims, asked: int, meanwhile: Meanwhile) -> tuple[int, Context | None]:
        """Return the block that is to begin and its context, as far as the application was asked; 0: an ordinary interview.

        ``asked``: the number that the page asks for. The newest page asks for block 1 of ordinary interviews, too: the
        application's answer decides. ``meanwhile`` is entered where the application is asked.

        Raises:
            AlreadyEnded: that block is over; others may go on.
            BlockUnknown: the application gives no answer about a later block.
        """
        if not asked or claims.untimely:
            return 0, None
        try:
            rows = await self._services.journal.sessions(claims.interview_id)
        except JournalError as error:
            raise JournalUnreadable(str(error)) from error
        rows += await self.granting.sessions(claims.interview_id)
        if any(it.block == 0 for it in rows):
            return 0, None  # an ordinary one, which was decided when it began
        for it in rows:
            if it.block != asked:
                continue
            if it.phase is Phase.LIVE:
                return asked, None  # at another instance; it has the answer
            if await self._was_spoken(it):
                raise AlreadyEnded
        log = self._services.log.bind(interview=claims.interview_id)
        async with meanwhile():
            context = await block_context(self._services, claims.interview_id, asked, log)
        if context is None and asked > 1:
            raise BlockUnknown
        context = context or NOTHING_KNOWN
        return (asked if context.system_prompt else 0), context

    async def begin(
        self, claims: Claims, known: Interview | None, block: int = 0, context: Context | None = None
    ) -> Interview:
        """Put a new interview on record; ``known`` is the row that there was, of a block interview the newest.

        An interview that ended before a word was said may be tried again. ``context``: of a block it is kept on record:
        asking again would begin it again.

        Raises:
            NoSeat: it may not begin.
        """
        services = self._services
        now_ms = services.now_ms()
        interview = Interview(
            interview_id=claims.interview_id,
            user_id=claims.user_id,
            epoch=1,
            token_digest=claims.digest,
            model=services.gemini.models.best(),
            started_ms=now_ms,
            deadline_ms=now_ms + round(services.config.session_limit * 1000),
            block=block,
            context=msgspec.json.encode(context).decode() if block else None,
        )
        if known is not None:
            if known.phase is Phase.LIVE:
                raise BeingTakenOver
            if known.block == block and await self._was_spoken(known):
                raise AlreadyEnded
            interview = replace(interview, epoch=known.epoch + 1)
        if block and context is None:  # it ended just now, at the instance that had it
            raise BeingTakenOver
        if self.draining:  # since ``check_ready``
            raise Draining
        async with self.granting.granted(interview, guest=claims.guest):
            await self._put_on_record(interview)
        return interview

    async def _was_spoken(self, known: Interview) -> bool:
        try:
            here = await self._services.journal.was_spoken(known.interview_id, known.epoch)
        except JournalError as error:
            raise JournalUnreadable(str(error)) from error
        return here or await self.granting.was_spoken(known)

    async def _put_on_record(self, interview: Interview) -> None:
        journal = self._services.journal
        journal.begin(interview)
        try:
            await journal.flush()
        except JournalError as error:
            journal.end(
                interview.interview_id,
                interview.epoch,
                ending=DAEMON_STOPPED.name,
                cause="it could not be put on record, and nobody was let in",
                ended_ms=interview.started_ms,
                deliveries=(),
            )
            raise JournalUnwritable(str(error)) from error


def check_join(claims: Claims, interview: Interview) -> None:
    """Raise AnotherUsers or TokenExpired where these claims may not join this live interview."""
    if claims.user_id != interview.user_id:
        raise AnotherUsers
    if claims.untimely and claims.digest != interview.token_digest:
        raise TokenExpired


def too_late(claims: Claims, known: Interview | None) -> NoSeat:
    """Return the answer to a token outside of its time: if it opened the interview, it learns what became of this.

    One that is live and does not run here waits for this host's next start, or for another host: its page dials again.
    """
    if known is None or known.token_digest != claims.digest:
        return TokenExpired()
    return AlreadyEnded() if known.phase is Phase.ENDED else BeingTakenOver()
