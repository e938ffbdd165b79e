"""Which interviews are live here, and who may join or begin one."""

from collections.abc import Sequence
from dataclasses import replace
import http

import trio

from preppald.config.settings import Config
from preppald.core.endings import DAEMON_STOPPED
from preppald.core.interview import Interview, Phase
from preppald.core.tokens import Claims
from preppald.core.turns import fold
from preppald.errors import JournalError, PreppaldError, Refusal
from preppald.interview.services import Services
from preppald.interview.session import Session
from preppald.journal import Place

# The last process may have shown fragments that never got to the disk. Their numbers are not given to other words:
# a page that has seen a number shows nothing more under it. An interview has a few thousand.
SEQ_LEAP = 100_000
# Who comes back to an interview of an instance that died does not wait for this: it is looked for at once. The
# backend can wait a quarter of a minute.
ADOPT_SECONDS = 15.0


class AlreadyEnded(PreppaldError):
    """The interview is over. Browsers cannot see an HTTP status, so they are told by a close code."""


class Registry:
    """The interviews of this process by their ids. ``tasks`` is the nursery in which they live."""

    def __init__(self, services: Services, tasks: trio.Nursery) -> None:
        self.draining = False
        self._services = services
        self._tasks = tasks
        self._sessions: dict[str, Session] = {}
        # One opening at a time: two connections of one interview at the same instant must meet in one session.
        self._opening = trio.StrictFIFOLock()
        self._empty = trio.Event()

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def waiting(self) -> int:
        """How many of them have no browser just now."""
        return sum(session.waiting for session in self._sessions.values())

    def holds(self, interview_id: str) -> bool:
        """Whether the interview is live here, or about to be over."""
        return interview_id in self._sessions

    def unready(self) -> str | None:
        """Why no new interview may begin here, if so."""
        if self.draining:
            return "draining"
        if len(self._sessions) >= self._services.config.max_sessions:
            return "at capacity"
        if self._services.memory.short(self._services.config.memory_limit):
            return "short of memory"
        if self._services.journal.fault is not None:
            return f"the journal is not writable: {self._services.journal.fault}"
        return None

    async def session_for(self, claims: Claims) -> Session:
        """The live session of these claims, or a new one.

        Raises:
            Refusal: there is no seat for them.
            AlreadyEnded: the interview is over.
        """
        while True:
            if session := self._joined(claims):
                return session
            if ending := self._sessions.get(claims.interview_id):
                # Not with the lock: a goodbye may take seconds, and is nobody else's affair.
                await ending.done.wait()
                continue
            async with self._opening:
                if claims.interview_id not in self._sessions and (session := await self._open(claims)):
                    return session

    async def _open(self, claims: Claims) -> Session | None:
        """None when the interview is here by now: another instance, which had it, died."""
        if not claims.expired and (why := self.unready()):
            raise Refusal(http.HTTPStatus.SERVICE_UNAVAILABLE, why.partition(":")[0], why)
        known = await self._known(claims)
        if claims.interview_id in self._sessions:
            return None
        if claims.expired:
            raise _too_late(claims, known)
        theirs = sum(session.claims.user_id == claims.user_id for session in self._sessions.values())
        if theirs >= self._services.config.max_sessions_per_user:
            raise Refusal(
                http.HTTPStatus.TOO_MANY_REQUESTS, "the user", "Too many interviews of this user at a time"
            )
        session = Session(self._own(), claims, await self._begin(claims, known))
        await self._start(session)
        return session

    def _own(self) -> Services:
        """What an interview gets: the same parts, and the settings of the moment, which a reload leaves to it."""
        return replace(self._services)

    def reload(self, config: Config) -> None:
        """New interviews have the new settings; those that run only the new key, for their next connection."""
        self._services.config = config
        for session in self._sessions.values():
            session.renew(config.gemini_key)

    def _joined(self, claims: Claims) -> Session | None:
        session = self._sessions.get(claims.interview_id)
        if session is None or session.over:
            return None
        if claims.user_id != session.interview.user_id:
            raise Refusal(http.HTTPStatus.FORBIDDEN, "another user", "the interview belongs to another user")
        if claims.expired and claims.digest != session.interview.token_digest:
            raise _unauthorised()
        return session

    async def _known(self, claims: Claims) -> Interview | None:
        """The interview as any instance has it; what a dead one left live is taken over first."""
        journal = self._services.journal
        try:
            known = await journal.known(claims.interview_id)
            if known is not None and known.phase is Phase.LIVE and not self.draining:
                await self._adopt(await journal.owing())
        except JournalError as error:
            if claims.expired:
                raise _unauthorised() from error  # it would not be let in either way
            raise _unreadable(error) from error
        return known

    async def _was_spoken(self, known: Interview) -> bool:
        try:
            return await self._services.journal.was_spoken(known.interview_id, known.epoch)
        except JournalError as error:
            raise _unreadable(error) from error

    async def _begin(self, claims: Claims, known: Interview | None) -> Interview:
        """The new row; ``known`` is the one that there was.

        An interview that ended before a word was said may be tried again.
        """
        services = self._services
        now_ms = services.now_ms()
        interview = Interview(
            interview_id=claims.interview_id,
            user_id=claims.user_id,
            epoch=1,
            token_digest=claims.digest,
            model=services.config.gemini_model,
            started_ms=now_ms,
            deadline_ms=now_ms + round(services.config.session_limit * 1000),
        )
        if known is not None:
            if known.phase is Phase.LIVE:
                raise Refusal(
                    http.HTTPStatus.SERVICE_UNAVAILABLE, "busy", "the interview is being taken over"
                )
            if await self._was_spoken(known):
                raise AlreadyEnded("the interview already ended")
            interview = replace(interview, epoch=known.epoch + 1)
        if self.draining:  # meanwhile
            raise Refusal(http.HTTPStatus.SERVICE_UNAVAILABLE, "draining", "draining")
        await self._put_on_record(interview)
        return interview

    async def _put_on_record(self, interview: Interview) -> None:
        """Nobody is let into an interview that a restart would not know of."""
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
            raise Refusal(
                http.HTTPStatus.SERVICE_UNAVAILABLE, "the journal is not writable", str(error)
            ) from error

    async def recover(self) -> int:
        """Takes over what the last process left live; how many those are."""
        left = self._services.journal.live()
        for interview in left:
            await self._resume(interview)
        return len(left)

    async def adopt(self) -> None:
        """Takes over what other instances on this host left unfinished when they stopped, again and again.

        Who drains takes over nothing: it would never be done.
        """
        while not self.draining:
            if self._services.journal.fault is None:
                places = await self._services.journal.owing()
                async with self._opening:
                    try:
                        await self._adopt(places)
                    except JournalError as error:
                        self._services.log.error("interviews.not_resumed", cause=str(error))  # noqa: TRY400 - the disk's fault
            await trio.sleep(ADOPT_SECONDS)

    async def _adopt(self, places: Sequence[Place]) -> None:
        await self._services.journal.adopt(places)
        for interview in self._services.journal.live():
            if interview.interview_id not in self._sessions:
                await self._resume(interview)

    async def _resume(self, interview: Interview) -> None:
        """Runs what the journal has of a live interview; it waits for its candidate as after a lost connection."""
        fragments = await self._services.journal.fragments(interview.interview_id, interview.epoch)
        claims = Claims(interview.user_id, interview.interview_id, 0, interview.token_digest, expired=True)
        last_seq = SEQ_LEAP + (fragments[-1].seq if fragments else 0)
        turns = tuple(fold(fragments).values())
        await self._start(
            Session(self._own(), claims, interview, turns=turns, last_seq=last_seq, recovered=True)
        )

    async def _start(self, session: Session) -> None:
        self._sessions[session.interview.interview_id] = session
        await self._tasks.start(self._run, session)

    async def _run(self, session: Session, task_status: trio.TaskStatus[None]) -> None:  # noqa: ASYNC128 - the session says it
        try:
            await session.run(task_status=task_status)
        finally:
            if self._sessions.get(session.interview.interview_id) is session:
                del self._sessions[session.interview.interview_id]
            if not self._sessions:
                self._empty.set()
                self._empty = trio.Event()

    # -------------------------------------------------------------- stopping

    def drain(self) -> None:
        """No new interviews; those that run are told."""
        self.draining = True
        for session in self._sessions.values():
            session.tell_draining()

    async def empty(self) -> None:
        """Returns when no interview runs."""
        while self._sessions:
            await self._empty.wait()

    def end_all(self) -> None:
        for session in self._sessions.values():
            session.end(DAEMON_STOPPED, "the daemon stops")


def _too_late(claims: Claims, known: Interview | None) -> PreppaldError:
    """An expired token begins nothing; but the one that opened an interview learns that it has ended."""
    if known is not None and known.token_digest == claims.digest and known.phase is Phase.ENDED:
        return AlreadyEnded("the interview already ended")
    return _unauthorised()


def _unreadable(error: JournalError) -> Refusal:
    return Refusal(http.HTTPStatus.SERVICE_UNAVAILABLE, "the journal is not readable", str(error))


def _unauthorised() -> Refusal:
    return Refusal(http.HTTPStatus.UNAUTHORIZED, "token expired", "Invalid or expired token")
