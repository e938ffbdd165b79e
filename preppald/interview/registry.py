"""Keeps the interviews that are live here: joins, begins, adopts and drains them, as ``admission`` allows."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import nullcontext

import trio

from preppald.core.context import Context
from preppald.core.endings import BLOCK_LEFT, DAEMON_STOPPED, MOVED, Ending
from preppald.core.interview import Interview, Phase
from preppald.core.tokens import EXPIRED, Claims
from preppald.core.turns import Fragment, fold
from preppald.errors import JournalError
from preppald.interview.admission import Admission, Meanwhile, check_join, too_late
from preppald.interview.no_seat import AlreadyEnded, JournalUnreadable, NotReady, TokenExpired
from preppald.interview.now import InterviewNow
from preppald.interview.resuming import to_resume
from preppald.interview.services import Services
from preppald.interview.session import Session
from preppald.journal import Place

# A candidate who comes back to a dead instance's interview does not wait for this: it is looked for at once. The
# backend can wait a quarter of a minute.
ADOPT_SECONDS = 15.0


class Registry:
    """The live interviews of this process by their ids. ``tasks`` is the nursery in which they live."""

    def __init__(self, services: Services, tasks: trio.Nursery) -> None:
        self._services = services
        self._admission = Admission(services)
        self._tasks = tasks
        self._sessions: dict[str, Session] = {}
        # One opening at a time: two connections of one interview at the same instant must meet in one session.
        self._opening = trio.StrictFIFOLock()
        self._given_up = False
        self._empty = trio.Event()

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def live(self) -> Collection[Session]:
        """The interviews that run here, in the order in which they began."""
        return self._sessions.values()

    @property
    def waiting(self) -> int:
        """The number of interviews without a browser just now."""
        return sum(session.waiting for session in self._sessions.values())

    def holds(self, interview_id: str) -> bool:
        """Return whether the interview is live here, or about to be over."""
        return interview_id in self._sessions

    def now(self) -> list[InterviewNow]:
        """Return every interview here as it is now, the oldest first."""
        return sorted((it.now() for it in self._sessions.values()), key=lambda it: it.started_ms)

    def session(self, interview_id: str) -> Session | None:
        """Return the interview's session if it is live here."""
        return self._sessions.get(interview_id)

    @property
    def draining(self) -> bool:
        """True while the interviews here are finished, and none begins."""
        return self._admission.draining

    def unready(self) -> NotReady | None:
        """Return why no new interview may begin here, if so."""
        return self._admission.unready(len(self._sessions))

    async def session_for(
        self, claims: Claims, block: int = 0, meanwhile: Meanwhile = nullcontext
    ) -> Session:
        """Return the live session of these claims, or a new one. ``block``: the one that the page asks for; 0: none.

        ``meanwhile`` is entered while the application is asked about a block, at most once.

        Raises:
            NoSeat: there is none for them.
        """
        begun: tuple[int, Context | None] | None = None
        while True:
            if session := self._joined(claims, block):
                return session
            if ending := self._sessions.get(claims.interview_id):
                # Not with the lock: a goodbye may take seconds, and is nobody else's affair.
                await ending.done.wait()
                continue
            if begun is None:
                # Not with the lock either: the application may take seconds to answer.
                if block and not claims.untimely:
                    self._admission.check_ready(len(self._sessions))
                begun = await self._admission.block_of(claims, block, meanwhile)
                continue
            async with self._opening:
                if claims.interview_id not in self._sessions and (
                    session := await self._open(claims, *begun)
                ):
                    return session

    async def _open(self, claims: Claims, block: int, context: Context | None) -> Session | None:
        """Begin an interview; None when it is here by now: another instance, which had it, died."""
        if not claims.untimely:
            self._admission.check_ready(len(self._sessions))
        known = await self._known(claims)
        if claims.interview_id in self._sessions:
            return None
        if claims.untimely:
            raise too_late(claims, known)
        if not claims.guest:  # a guest's user is the host, who may have invited many
            own = [it.claims for it in self._sessions.values() if not it.claims.guest]
            self._admission.check_user(sum(it.user_id == claims.user_id for it in own))
        interview = await self._admission.begin(claims, known, block, context)
        session = Session(self._services, claims, interview, context=context)
        await self._start(session)
        return session

    def _joined(self, claims: Claims, block: int) -> Session | None:
        session = self._sessions.get(claims.interview_id)
        if session is None or session.over:
            return None
        check_join(claims, session.interview)
        here = session.interview.block
        if here and block > here:  # the page went on, and its close is still on the way
            session.end(BLOCK_LEFT, f"the page went on to block {block}")
            return None
        if here and block and block < here:
            raise AlreadyEnded
        return session

    async def _known(self, claims: Claims) -> Interview | None:
        """Return the interview as any instance has it; one that a dead one left live, here or elsewhere, is taken over."""
        known = await self._admission.known(claims)
        if known is not None and known.phase is Phase.LIVE and not self.draining:
            try:
                await self._adopt(await self._services.journal.owing())
            except JournalError as error:
                if claims.untimely:
                    raise TokenExpired from error  # it would not be let in either way
                raise JournalUnreadable(str(error)) from error
        known, brought = await self._admission.granting.known(claims, known, draining=self.draining)
        if brought:
            await self._resume_all()
        return known

    async def recover(self) -> int:
        """Run every live interview of the journal that does not run here, as after a kill; return how many."""
        async with self._opening:
            return await self._resume_all()

    async def adopt(self) -> None:
        """Take over, again and again, the work that stopped instances on this host left unfinished.

        A draining instance takes over nothing: it would never be done. It looks on, for a drain can be undone.
        """
        while True:
            if not self.draining and self._services.journal.fault is None:
                try:
                    places = await self._services.journal.owing()
                    async with self._opening:
                        await self._adopt(places)
                except JournalError as error:
                    self._services.log.error("interviews.not_resumed", cause=str(error))  # noqa: TRY400 - the disk's fault
                except Exception:
                    # A neighbour's trouble: this instance has candidates of its own.
                    self._services.log.exception("interviews.not_adopted")
            await trio.sleep(ADOPT_SECONDS)

    async def _adopt(self, places: Sequence[Place]) -> None:
        await self._services.journal.adopt(places)
        await self._resume_all()

    async def _resume_all(self) -> int:
        """Run every live interview of the journal that does not run here; return how many. One's trouble is its own."""
        log = self._services.log
        if self._others_go_on:
            return 0
        found = await to_resume(self._services.journal, self._sessions, log)
        resumed = 0
        for interview, said in found:
            if self._others_go_on:  # since the look into the journal
                break
            try:
                await self._resume(interview, said)
                resumed += 1
            except Exception:
                log.exception("interviews.not_resumed", interview=interview.interview_id)
        return resumed

    @property
    def _others_go_on(self) -> bool:
        """True while other hosts have, or will soon have, what is still live in this one's journal."""
        ownership = self._services.ownership
        return self._given_up or (ownership is not None and not ownership.membership.may_go_on)

    async def let_go(self, interview_id: str, forget: Callable[[], Awaitable[None]]) -> None:
        """End an interview that another host has, without an end; ``forget`` it while nothing of it can begin here."""
        while True:
            if session := self._sessions.get(interview_id):
                session.end(MOVED, "another host has the interview")
                await session.done.wait()
            async with self._opening:
                if interview_id not in self._sessions:
                    await forget()
                    return

    async def _resume(self, interview: Interview, said: Sequence[Fragment]) -> None:
        """Run the journal's live interview, which waits for its candidate as after a lost connection."""
        claims = Claims(interview.user_id, interview.interview_id, interview.token_digest, EXPIRED)
        turns = tuple(fold(said).values())
        seq = interview.seq_floor
        session = Session(self._services, claims, interview, turns=turns, last_seq=seq, recovered=True)
        await self._start(session)

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
        """Refuse new interviews until ``undrain``; those that run notice nothing."""
        self._admission.draining = True

    def undrain(self) -> None:
        """Let interviews begin again."""
        self._admission.draining = False

    def prepare_stop(self) -> None:
        """Refuse new interviews, and tell those that run that the daemon will stop."""
        self.drain()
        for session in self._sessions.values():
            session.tell_draining()

    def give_up(self) -> Sequence[Session]:
        """Return what runs here, for other hosts to go on with: from now on nothing of the journal is run again."""
        self._given_up = True
        return list(self._sessions.values())

    async def empty(self) -> None:
        """Return when no interview runs."""
        while self._sessions:
            await self._empty.wait()

    def end_all(self, ending: Ending = DAEMON_STOPPED, cause: str = "the daemon stops") -> None:
        """End everything that runs here."""
        for session in self._sessions.values():
            session.end(ending, cause)
