"""Ownership of interviews among hosts: who has one, who may begin one, and who takes over what a lost host left.

One task an instance looks every second at the instances that are late to renew. An interview whose candidate dials here is
claimed at once; all others in steps.

Rule 1: an interview begins here only after the shared journal has granted it.
Rule 2: what is claimed is first brought into the local journal, and then run: as after a kill.
Rule 3: a grant or a claim whose answer was lost is found again: at the start, and after each silence, the sessions that
        are this instance's there are compared with those that are here.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import trio

from preppald.core.interview import Interview, Phase
from preppald.errors import JournalError
from preppald.journal import Brought, Journal, rows, spool
from preppald.net.threads import InThread, own_thread
from preppald.net.wakeup import Wakeup
from preppald.shared.membership import Membership
from preppald.shared.protocol import (
    LATE_SECONDS,
    LEASE_SECONDS,
    Claimed,
    Ended,
    Fenced,
    Mine,
    Owned,
    Peer,
    Session,
    Shared,
    TooMany,
    Unfit,
    Unreachable,
)
from preppald.shared.takeover import Deed, Word, decided
from preppald.shared.vouching import Vouch, Vouching, nobody_vouches
from preppald.shared.words import passages_in, passages_of, was_spoken
from preppald.telemetry.interfaces import Log

T = TypeVar("T")

LOOK_SECONDS = 1.0
# Sessions of one statement: a survivor of many shares them with others, and each is fetched with its words.
CLAIMED_AT_ONCE = 50
# A candidate waits for it at the door.
DOOR_SECONDS = 5.0
# While there is no answer to anything else either.
AWAY_SECONDS = 1.0
# By then it is not asked for each of them, for they wait in turn: whoever ships asks once a second whether it is back.
AWAY_FOR_LONG_SECONDS = 3.0
NOT_JOINED = Unreachable("the shared journal does not know this instance yet")
SILENT = Unreachable("the shared journal gave no answer in time")


@dataclass(slots=True)
class Found:
    """An interview as other hosts have it. ``owner``: the living one that has a live session of it.

    ``orphaned``: a live session is there to claim. ``settling``: its owner is lost, and not settled yet. ``here``: a live
    session is this instance's, and in the local journal; it may have been brought there since that was last looked at.
    """

    rows: list[Interview] = field(default_factory=list)
    owner: Peer | None = None
    orphaned: bool = False
    settling: bool = False
    here: bool = False


class Ownership:
    """``membership``: this instance's. ``vouching``: asks those that are late whether they live. ``run`` is the task."""

    def __init__(
        self,
        shared: Shared,
        membership: Membership,
        journal: Journal,
        *,
        log: Log,
        in_thread: InThread | None = None,
        vouch: Vouch = nobody_vouches,
    ) -> None:
        self.vouching = Vouching(vouch)
        # Told of the deliveries that became this instance's.
        self.on_claimed: Callable[[Sequence[str]], None] = lambda _keys: None
        # Sessions that were taken over since the start.
        self.taken_over = 0
        self._shared = shared
        self.membership = membership
        membership.on_news = self.look
        self._journal = journal
        self._log = log
        self._in_thread = in_thread or own_thread()
        self._bell = Wakeup()
        # Instances that are late: since when. Told once each: those that are cut off from the database.
        self._late_since: dict[int, float] = {}
        self._cut_off: set[int] = set()
        # The sessions of this instance there may be more than those here.
        self._unsure = True
        # How many silences of the shared journal were followed by that doubt.
        self._silences = 0
        # Those that are being begun are not here yet.
        self._beginning: set[str] = set()
        self._claims: dict[Session, int] = {}
        # One at a time: a session that is fetched twice at one moment would be brought in twice.
        self._bringing = trio.StrictFIFOLock()

    # The door's questions.

    def claims(self, interview_id: str, block: int) -> int:
        """Return how often the session changed hands: the backend's fence."""
        return self._claims.get((interview_id, block), 0)

    async def find(self, interview_id: str) -> Found | Unreachable:
        """Return an interview as other hosts have it, and as this one had it without knowing.

        Raises:
            JournalError: the local journal cannot be read, or a row of this interview in the shared one.
        """
        there = await self._patiently(partial(self._shared.sessions, interview_id))
        if isinstance(there, Unreachable):
            return there
        here = {(it.interview_id, it.block): it for it in await self._journal.sessions(interview_id)}
        found = Found()
        for it in there:
            try:
                interview = rows.interview(it.row)
            except rows.Unreadable as error:
                raise JournalError(f"the shared journal has a damaged row of it: {error}") from error
            mine = it.owner is not None and it.owner.incarnation == self._me
            if mine and (own := here.get((interview.interview_id, interview.block))):
                found.rows.append(own)  # it is newer
                found.here |= own.phase is Phase.LIVE
                continue
            found.rows.append(interview)
            if interview.phase is not Phase.LIVE:
                continue
            if it.owner is None or it.owner.settled or mine:
                found.orphaned = True
            elif it.owner.lost:
                found.settling = True
            else:
                found.owner = it.owner
        return found

    async def where(self, interview_id: str) -> Peer | Unreachable | None:
        """Return the living instance elsewhere that has the interview; None: nobody has it, or this one.

        Raises:
            JournalError: as ``find``.
        """
        found = await self.find(interview_id)
        return found if isinstance(found, Unreachable) else found.owner

    async def was_spoken(self, interview: Interview) -> bool | Unreachable:
        """Return whether the shared journal has words of this session."""
        session = (interview.interview_id, interview.block)
        answer = await self._patiently(partial(self._shared.said, session, interview.epoch))
        return answer if isinstance(answer, Unreachable) else was_spoken(answer, session[0], interview.epoch)

    @contextmanager
    def beginning(self, interview_id: str) -> Iterator[None]:
        """Mark an interview as one that begins here, until it is on record."""
        self._beginning.add(interview_id)
        try:
            yield
        finally:
            self._beginning.discard(interview_id)

    def begins(self, interview_id: str) -> bool:
        """Return whether an interview begins here, and is not on record yet."""
        return interview_id in self._beginning

    async def begin(
        self, interview: Interview, person: str | None, limit: int
    ) -> Mine | Owned | Ended | TooMany | Unreachable:
        """Ask for an interview that is to begin. ``person``, ``limit``: see ``Shared.begin``."""
        row = rows.interview_row(interview)
        answer = await self._patiently(partial(self._shared.begin, self._me, row, person, limit), self._doubt)
        if isinstance(answer, Fenced):
            return Unreachable("this instance was declared lost, and joins anew")
        return Unreachable(answer.why) if isinstance(answer, Unfit) else answer

    async def claim(self, interview_id: str) -> int | Unreachable:
        """Claim what nobody has of an interview, and bring it here; return how many sessions.

        Raises:
            JournalError: the local journal cannot take them now. They are this instance's, and will be brought later.
        """
        here = {(it.interview_id, it.block) for it in await self._journal.sessions(interview_id)}
        held = await self._patiently(partial(self._shared.held, self._me))
        if isinstance(held, Unreachable):
            return held
        claim = partial(self._shared.claim, self._me, CLAIMED_AT_ONCE, interview_id)
        answer = await self._patiently(claim, self._doubt)
        if isinstance(answer, Fenced):
            return NOT_JOINED
        if isinstance(answer, Unreachable):
            return answer
        # Of those that were this one's before, what is here is newer.
        new = [it for it in answer if _key(it) not in here or _key(it) not in held]
        # With a clock, too: others wait for the same lock, and the way to their words may be silent for minutes.
        return await self._patiently(partial(self._bring, new), self._doubt)

    async def release(self, sessions: Sequence[Session]) -> bool:
        """Give sessions up; return whether the shared journal knows."""
        answer = await self._patiently(partial(self._shared.release, self._me, sessions))
        return not isinstance(answer, Fenced | Unreachable)

    # The task.

    async def run(self, resume: Callable[[], Awaitable[object]], willing: Callable[[], bool]) -> None:
        """Take over what lost instances leave, until cancelled.

        ``resume``: runs what was brought. ``willing``: False while this instance takes nothing, for it stops.
        """
        recalled = False
        while True:
            await self._bell.heard(LOOK_SECONDS)
            try:
                if not recalled:
                    # Claims of this process are newer.
                    self._claims = await self._journal.ask(spool.claims) | self._claims
                    recalled = True
                brought = await self._look(willing=willing())
                if brought:
                    await resume()
            except JournalError as error:
                self._doubt()
                self._log.error("interviews.not_taken_over", cause=str(error))
            except Exception as error:  # noqa: BLE001 - others' trouble: this instance has candidates of its own
                self._doubt()
                self._log.error("interviews.not_taken_over", exc_info=error)

    def look(self) -> None:
        """Look now."""
        self._bell.ring()

    async def _look(self, *, willing: bool) -> int:
        member = self.membership
        if not member.holds or not member.incarnation:
            return 0
        if self._silences != member.silences:
            self._silences = member.silences
            self._doubt()
        settled = False
        late = {it.incarnation for it in member.late}
        self._late_since = {it: since for it, since in self._late_since.items() if it in late}
        words = await self.vouching.ask(member.tenure, member.late)
        for peer in member.late:
            if await self._attend(peer, words.get(peer.incarnation, Word.UNASKED)):
                settled = True
                member.late = [it for it in member.late if it.incarnation != peer.incarnation]
        if not willing:
            return 0
        brought = await self._recall() if self._unsure else 0
        if settled or member.orphans:
            brought += await self._claim_all()
        return brought

    async def _attend(self, peer: Peer, word: Word) -> bool:
        """Do what is to be done about an instance that does not renew; return whether it is settled now."""
        deed = decided(self.membership.tenure, peer, word)
        since = self._late_since.setdefault(peer.incarnation, trio.current_time())
        lapsed = trio.current_time() - since > LEASE_SECONDS - LATE_SECONDS
        if word is Word.ALIVE and lapsed and peer.incarnation not in self._cut_off:
            self._cut_off.add(peer.incarnation)
            self._log.warning("instance.cut_off", incarnation=peer.incarnation, name=peer.name)
        if deed is Deed.DECLARE:
            if await self._shared.declare_lost(self._me, peer.incarnation) is not True:
                # Its lease has not ended; or it renewed meanwhile; or nobody may judge yet, after the database was away.
                return False
            self._log.warning("instance.lost", incarnation=peer.incarnation, name=peer.name)
            deed = Deed.SETTLE
        return deed is Deed.SETTLE and await self._settle(peer)

    async def _settle(self, peer: Peer) -> bool:
        """Bring a lost instance's last words into the transcripts."""
        recent = await self._shared.unsettled(peer.incarnation)
        if isinstance(recent, Unreachable):
            return False
        passages = await self._in_thread(partial(passages_in, list(recent)))
        answer = await self._shared.settle_lost(self._me, peer.incarnation, passages)
        if isinstance(answer, Fenced | Unreachable):
            return False
        self._log.info("instance.settled", incarnation=peer.incarnation, passages=len(passages))
        return True

    async def _claim_all(self) -> int:
        brought = 0
        while True:
            answer = await self._shared.claim(self._me, CLAIMED_AT_ONCE)
            if isinstance(answer, Fenced | Unreachable):
                self._doubt()
                return brought
            brought += await self._bring(answer)
            if len(answer) < CLAIMED_AT_ONCE:
                self.membership.orphans = False
                return brought

    async def _recall(self) -> int:
        """Bring sessions that are this instance's there, and are not here: the answer to their claim was lost."""
        mine = await self._shared.held(self._me)
        if isinstance(mine, Unreachable):
            return 0
        self._unsure = False
        brought = 0
        for name in sorted({name for name, _ in mine} - self._beginning):
            here = {(it.interview_id, it.block) for it in await self._journal.sessions(name)}
            if all(it in here for it in mine if it[0] == name) or name in self._beginning:
                continue
            answer = await self._shared.claim(self._me, CLAIMED_AT_ONCE, name)
            if isinstance(answer, Fenced | Unreachable):
                self._doubt()
                return brought
            try:
                brought += await self._bring([it for it in answer if _key(it) not in here])
            except JournalError:
                raise  # the disk's trouble, and so that of all
            except Exception as error:  # noqa: BLE001 - one interview's, and not of those behind it
                self._doubt()
                self._log.error("interviews.not_taken_over", interview=name, exc_info=error)
        return brought

    async def _bring(self, found: Sequence[Claimed]) -> int:
        """Bring sessions into the local journal; return how many."""
        async with self._bringing:
            whole: list[Brought] = []
            for it in found:
                name, block, _, epoch = it.row[:4]
                said = await self._shared.said((name, block), epoch)
                if isinstance(said, Unreachable):
                    self._doubt()
                    return 0
                passages = passages_of(said, name, epoch)
                whole.append(Brought(it.row, passages, it.owed, it.due, it.claims))
            if whole:
                await self._journal.bring(whole)
            self.on_claimed([row[0] for one in whole for row in one.owed])
            for one in whole:
                name, block = one.session
                self._claims[one.session] = one.claims
                self.taken_over += 1
                self._log.warning("interview.claimed", interview=name, block=block, claims=one.claims)
        return len(whole)

    def _doubt(self) -> None:
        self._unsure = True

    @property
    def _me(self) -> int:
        return self.membership.incarnation

    async def _patiently(
        self, question: Callable[[], Awaitable[T]], doubt: Callable[[], None] = lambda: None
    ) -> T | Unreachable:
        """Return the answer; ``doubt`` is called where none came in time, or nobody waits for it any more."""
        if not self._me:
            return NOT_JOINED
        if self.membership.away(trio.current_time()) > AWAY_FOR_LONG_SECONDS:
            return SILENT
        answer: T | Unreachable = SILENT
        try:
            with trio.move_on_after(DOOR_SECONDS if self.membership.up else AWAY_SECONDS):
                answer = await question()
        finally:
            if isinstance(answer, Unreachable):
                doubt()
        return answer


def _key(it: Claimed) -> Session:
    return it.row[0], it.row[1]
