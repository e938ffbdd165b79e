"""Ships each commit to the journal that hosts share: beside SQLite's own commit, and never in the way of an interview.

Parcels come from memory while the database keeps up, and from the spool on disk where it did not: after a start, after
an outage, or when more waits than memory is for. There is no mode to switch: the next parcel is in memory or on disk.

Rule 1: nothing here is waited for by a session or by the local journal; deliveries wait at the gate (gate.py).
Rule 2: parcels go in their order, one statement at a time, and each may go again: the last one that is known to be there
        always does.
Rule 3: a parcel leaves the disk only minutes after the database has it: a standby that is promoted may lack the last
        seconds, and is sent them again.
"""

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import trio

from preppald.core.interview import Interview
from preppald.errors import JournalError, NewerSchemaError
from preppald.journal import Journal, spool
from preppald.journal.parcel import Parcel
from preppald.net.threads import InThread, own_thread
from preppald.net.wakeup import Changes, Wakeup
from preppald.shared.gate import Gate
from preppald.shared.membership import Membership
from preppald.shared.parting import Parting
from preppald.shared.protocol import (
    PULSE_SECONDS,
    Fenced,
    Presence,
    Shared,
    Shipment,
    Unfit,
    Unreachable,
    Written,
)
from preppald.shared.sending import Sending
from preppald.shared.signals import Signals
from preppald.shared.tending import PARCELS_AT_ONCE, Tending
from preppald.telemetry.interfaces import Log

# Twenty seconds of 500 talks: a failover of the database is bridged from memory.
MAX_MEMORY_BYTES = 4 * 1024 * 1024
# After a failure. A server that comes back is noticed at once; a refusal costs it a connection a second.
RETRY_SECONDS = 1.0
# Interviews that are sent whole at a time: some megabytes.
INTERVIEWS_AT_ONCE = 5
# The last parcels on the way out; they are on disk in any case.
CLOSING_SECONDS = 3.0
# Interviews that are given up wait so long for the database to have them whole.
BRINGING_SECONDS = 3.0
# A start waits so long for the database, to refuse where that is a newer preppald's.
STARTING_SECONDS = 5.0
NO_END = 1 << 62


class Shipper:
    """The journal's follower. ``run`` is its task.

    ``now_ms``: the wall clock in milliseconds. ``retention_ms``: as of the local journal; None: for ever.
    """

    def __init__(
        self,
        shared: Shared,
        presence: Presence,
        *,
        log: Log,
        now_ms: Callable[[], int],
        retention_ms: int | None,
        in_thread: InThread | None = None,
    ) -> None:
        self._shared = shared
        self.membership = Membership(presence, log=log)
        self.gate = Gate(self.membership)
        self._log = log
        self._now_ms = now_ms
        self._sending = Sending(shared, self.membership, self._taken, log=log)
        self._tending = Tending(
            shared,
            self.membership,
            sent=lambda: self._sent,
            taken=self._taken,
            changed=self.changed,
            log=log,
            now_ms=now_ms,
            retention_ms=retention_ms,
            in_thread=in_thread or own_thread(),
        )
        self._bell = Wakeup()
        # Announced at each step, for those who wait for one.
        self._progress = Changes()
        self._queue: deque[tuple[float, Parcel]] = deque()
        self._queued_bytes = 0
        # Bytes on disk that were not sent when that was last looked at.
        self._disk_bytes = 0
        # The number of the last parcel that was sent; and whether there may be others before the queue's first.
        self._sent = 0
        self._gap = True
        # How often a parcel was left to the disk, and rows came otherwise than by a commit.
        self._pushed_out = self._changes = 0
        self._recalled = False
        # The incarnation to be, while it parts with what others have, and the one that the file knows as such; and interviews
        # that another one turned out to own.
        self._next = self._noted = 0
        self._strange: set[str] = set()
        self.parting = Parting(shared, log=log)
        self._behind_since: float | None = None
        self.commit_seconds = 0.0

    # The journal's side.

    def take(self, parcel: Parcel) -> None:
        """Take a commit; the oldest ones are left to the disk where memory is full."""
        now = trio.current_time()
        self._queue.append((now, parcel))
        self._queued_bytes += parcel.weight
        self.gate.took(parcel)
        if self._behind_since is None:
            self._behind_since = now
        while self._queued_bytes > MAX_MEMORY_BYTES and len(self._queue) > 1:
            _, dropped = self._queue.popleft()
            self._queued_bytes -= dropped.weight
            self._disk_bytes += dropped.weight
            self._pushed_out += 1
            self._gap = True
        self._bell.ring()

    def changed(self) -> None:
        """Send everything unfinished: rows came otherwise than by a commit."""
        self._changes += 1
        self.membership.whole = False
        self._bell.ring()

    @property
    def signals(self) -> Signals:
        """Return the way to tell other hosts what this one learns."""
        return self._shared.signals

    async def bring_up(self, journal: Journal) -> bool:
        """Wait some seconds until the shared journal has all that is on disk now, its words in passages; return whether."""
        last = await journal.ask(spool.last)
        with trio.move_on_after(BRINGING_SECONDS):
            member = self.membership
            await self._progress.until(lambda: self._sent >= last and member.sure and member.whole)
            return await self._tending.bring_up(journal, last)
        return False

    async def bring_words(self, journal: Journal, it: Interview) -> bool:
        """Send all words of a session that is over here, also those that the local disk does not take; return whether."""
        with trio.move_on_after(BRINGING_SECONDS):
            return await self._tending.bring_words(journal, it)
        return False

    # For people and meters.

    @property
    def behind_bytes(self) -> int:
        """Bytes that the shared journal has not got yet, about."""
        return self._queued_bytes + (self._disk_bytes if self._gap else 0)

    @property
    def behind_seconds(self) -> float:
        """The age of the oldest commit that the shared journal has not got yet; 0 where it has all."""
        return 0.0 if self._behind_since is None else trio.current_time() - self._behind_since

    async def run(
        self,
        journal: Journal,
        live: Callable[[], int],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Ship until cancelled; what waits by then is still sent where the database answers. ``live``: interviews now.

        Raises:
            NewerSchemaError: the tables are a newer preppald's. Only before it has started.
        """
        self.gate.on_change = journal.outbox_bell.ring
        with trio.move_on_after(STARTING_SECONDS), suppress(JournalError):
            await self._advance(journal)
        task_status.started()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._pulse, live)
                nursery.start_soon(self._tending.run, journal)
                await self._ship(journal)
        finally:
            with trio.move_on_after(CLOSING_SECONDS, shield=True), suppress(JournalError):
                while self._queue and self.membership.sure and await self._advance(journal):
                    pass
            with trio.CancelScope(shield=True):
                await self._shared.aclose()

    async def _ship(self, journal: Journal) -> None:
        while True:
            try:
                done = await self._advance(journal)
            except JournalError as error:
                self._log.warning("shared.unread", cause=str(error))
                done = False
            except NewerSchemaError as error:
                self.membership.silent(str(error))
                done = False
            if not done:
                await trio.sleep(RETRY_SECONDS)
            elif self.membership.sure and self.membership.whole and not self._behind:
                await self._bell.heard()

    async def _advance(self, journal: Journal) -> bool:
        """Take one step towards having everything there; return False where the database did not answer."""
        member = self.membership
        if not self._recalled:
            member.recall(await journal.ask(spool.life))
            self._recalled = True
        if not member.incarnation:
            return await self._join(journal)
        if not member.sure:
            return await self._resume(journal)
        if self._strange:
            return await self._part(journal)
        if not member.whole:
            return await self._send_whole(journal)
        if self._gap:
            return await self._send_from_disk(journal)
        if self._queue:
            return await self._send([it for _, it in list(self._queue)[:PARCELS_AT_ONCE]])
        return True

    async def _join(self, journal: Journal) -> bool:
        """Begin as a new incarnation, once nothing is left here of what others have by now."""
        if not self._next:
            answer = await self._shared.join(self.membership.presence)
            if isinstance(answer, Unreachable):
                return self.membership.silent(answer.why)
            self._next = answer.incarnation
        if self._noted != self._next:
            # Before anything is there in its name: the next start must know that it was this one.
            await journal.ask(partial(spool.joined, incarnation=self._next))
            self._noted = self._next
        names = await journal.ask(spool.unfinished)
        done = await self.parting.part(journal, self._next, names, self.membership.kin)
        if not isinstance(done, Written):
            if isinstance(done, Fenced):
                self._next = 0
                return False
            return self.membership.silent(done.why)
        self._strange.clear()
        self.membership.joined(self._next)
        self.gate.joined()
        self._tending.lost_track()
        self._next = self._noted = self._sent = 0
        self._gap = True
        return True

    async def _part(self, journal: Journal) -> bool:
        """Let go of interviews that another instance turned out to own."""
        names = sorted(self._strange)
        member = self.membership
        # Their words that went there with others' are taken out of the transcripts first: it is seen then what was late.
        if not await self._tending.settle(journal, self._sent, forget=False):
            return False
        if not self._taken(await self.parting.part(journal, member.incarnation, names, member.kin)):
            return False
        self._strange.difference_update(names)
        return True

    async def _resume(self, journal: Journal) -> bool:
        """Ask how far the database is, and go on from there."""
        answer = await self._shared.known(self.membership.incarnation)
        if isinstance(answer, Unreachable):
            return self.membership.silent(answer.why)
        if isinstance(answer, Fenced):
            return self.membership.refused()
        self.membership.resumed(answer)
        self.gate.lost_track()
        self._tending.lost_track()
        # Its highest number may be of a parcel that was cut off in the middle: once more.
        self._sent, self._gap = max(answer.highest - 1, answer.settled), True
        self._disk_bytes = await journal.ask(partial(spool.weight, number=self._sent))
        return True

    async def _send_whole(self, journal: Journal) -> bool:
        """Send everything unfinished, as it stands in the tables; then go on with the parcels after that.

        So is what parcels here are about, and may have ended since: a standby that was promoted has it as it was, live.
        """
        changes = self._changes
        sent = await journal.ask(spool.last)
        names = sorted({*await journal.ask(spool.unfinished), *await self._named(journal, sent)})
        self.membership.kin = kin = (await journal.ask(spool.life)).kin
        for start in range(0, len(names), INTERVIEWS_AT_ONCE):
            some = names[start : start + INTERVIEWS_AT_ONCE]
            found = await journal.ask(partial(spool.whole, names=some))
            everything = Shipment(
                interviews=found.interviews, passages=found.passages, owed=found.owed, due=found.due, kin=kin
            )
            if not await self._sending.rows(everything):
                return False
        # Rows of commits up to there are said once more by these. Words of what is over become passages, where their parcels
        # are here still; rows without one are an operator's to forget, or of a spool that was given up.
        if not await self._tending.settle(journal, sent, forget=False):
            return False
        answer = await self._shared.settle(self.membership.incarnation, [], sent)
        if isinstance(answer, Unfit) or not self._taken(answer):
            return False
        # A change that came meanwhile asks for another round.
        if changes == self._changes:
            self.membership.whole = True
            await journal.ask(partial(spool.note_whole, whole=True))
            self._log.info("shared.whole", interviews=len(names))
        self._sent, self._gap = max(sent, self._sent), True
        self._drop_sent()
        self.gate.sent(self._sent)
        return True

    async def _named(self, journal: Journal, upto: int) -> set[str]:
        """Return the interviews of which parcels on disk have a row or a delivery, up to a number."""
        names: set[str] = set()
        last = 0
        while found := await journal.ask(
            partial(spool.after, number=last, before=upto + 1, limit=PARCELS_AT_ONCE)
        ):
            names.update(row[0] for it in found for row in it.interviews)
            names.update(row[1] for it in found for row in it.owed)
            last = found[-1].number
        return names

    async def _send_from_disk(self, journal: Journal) -> bool:
        before = self._queue[0][1].number if self._queue else NO_END
        pushed_out = self._pushed_out
        found = await journal.ask(
            partial(spool.after, number=self._sent, before=before, limit=PARCELS_AT_ONCE)
        )
        if not found:
            self._gap = pushed_out != self._pushed_out
            if not self._gap:
                self.gate.caught_up()
            self._note_behind()
            return True
        return await self._send(found)

    async def _send(self, parcels: list[Parcel]) -> bool:
        began = trio.current_time()
        if not await self._sending.parcels(parcels):
            return False
        self.commit_seconds = trio.current_time() - began
        self._sent = max(self._sent, parcels[-1].number)
        self.gate.sent(self._sent)
        self._drop_sent()
        self._disk_bytes = max(self._disk_bytes - sum(it.weight for it in parcels), 0)
        self._note_behind()
        return True

    @property
    def _behind(self) -> bool:
        return bool(self._gap or self._queue or self._strange)

    def _drop_sent(self) -> None:
        while self._queue and self._queue[0][1].number <= self._sent:
            self._queued_bytes -= self._queue.popleft()[1].weight
        self._progress.announce()

    def _note_behind(self) -> None:
        if not self._gap:
            self._behind_since = self._queue[0][0] if self._queue else None

    def _taken(self, answer: Written | Fenced | Unreachable, sent: Shipment | None = None) -> bool:
        if isinstance(answer, Unreachable):
            return self.membership.silent(answer.why)
        if isinstance(answer, Fenced):
            return self.membership.refused()
        self.membership.granted()
        self._strange |= {name for name, _ in answer.elsewhere}
        if sent is not None and sent.owed:
            self._strange |= {row[1] for row in sent.owed if row[0] in answer.others}
            self.gate.answered((row[0] for row in sent.owed), answer.others)
        return True

    async def _pulse(self, live: Callable[[], int]) -> None:
        """Renew the lease; and wake the one that ships where there is a doubt, whoever met it, for no commit may come."""
        member = self.membership
        while True:
            await trio.sleep(PULSE_SECONDS)
            if member.incarnation and member.met:
                answer = await self._shared.pulse(member.incarnation, live())
                if isinstance(answer, Unreachable):
                    member.silent(answer.why)
                elif isinstance(answer, Fenced):
                    member.refused()
                else:
                    member.felt(answer, self._now_ms())
                    self.gate.look()
            if not member.sure:
                self._bell.ring()
