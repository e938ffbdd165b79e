"""The journal: what is recorded is on disk 50 ms later, and nothing that records it ever waits.

Rule 1: recording is synchronous, touches memory only, and cannot fail.
Rule 2: one task writes, in batches; a batch leaves memory only when its transaction is durable.
Rule 3: after a failed write nothing is forgotten: the batch is kept and tried again, in another file if this
        one's disk is broken. ``fault`` says so as long as it lasts.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
import sqlite3
from typing import Protocol, TypeVar

import trio

from preppald.core.deliveries import Delivery, Owed, State
from preppald.core.interview import Handle, Interview, Phase, Usage
from preppald.core.turns import Fragment
from preppald.errors import JournalError
from preppald.journal import faults, reader
from preppald.journal.batch import Batch
from preppald.journal.bell import Bell
from preppald.journal.files import Place
from preppald.journal.reader import Queue, Which
from preppald.journal.store import Store
from preppald.observing import Log

T = TypeVar("T")

# At power loss at most this much text is lost, and one commit's duration; a commit costs 1 to 4 ms.
COMMIT_SECONDS = 0.050
# A burst does not wait for the interval: the transaction stays short.
COMMIT_RECORDS = 256
# A full disk is looked at once a second: an operator who makes room sees it at once.
RETRY_SECONDS = 1.0
# Disks answer in milliseconds, seldom in a second. One that takes this long must not hold up an interview.
PATIENCE_SECONDS = 10.0
# The last commit on the way out; systemd's stop timeout is longer.
CLOSING_SECONDS = 10.0
# Two minutes of 500 fast speakers, or hours of a few, while the disk is full.
MAX_PENDING_BYTES = 64 * 1024 * 1024
# An operator has a week to ask the journal what was delivered.
RETENTION_MS = 7 * 24 * 3600 * 1000
SWEEP_SECONDS = 3600.0


class InThread(Protocol):
    """Runs a blocking function beside the loop, one at a time, in the order of the calls."""

    def __call__(self, function: Callable[[], T], /) -> Awaitable[T]: ...


def own_thread() -> InThread:
    """The production's way: a thread of Trio's, never more than one at a time for this journal."""
    limiter = trio.CapacityLimiter(1)

    async def in_thread(function: Callable[[], T], /) -> T:
        return await trio.to_thread.run_sync(function, limiter=limiter)

    return in_thread


class Journal:
    """One writer for one database. ``run`` is its task; everything else is called from other tasks.

    ``now_ms``: the wall clock in milliseconds. ``retention_ms``: how long what was delivered is kept;
    None keeps it for ever, which is right when no backend has a copy.
    """

    def __init__(
        self,
        place: Place,
        *,
        log: Log,
        now_ms: Callable[[], int],
        in_thread: InThread | None = None,
        retention_ms: int | None = RETENTION_MS,
    ) -> None:
        self._store = Store(place, log)
        self._log = log
        self._now_ms = now_ms
        self._in_thread = in_thread or own_thread()
        self._retention_ms = retention_ms
        self._live: dict[str, Interview] = {}
        self._batch = Batch()
        self._committing = Batch()
        self._recorded = self._durable = 0
        self._dropped = 0
        self._failure: str | None = None
        self._commit_began: float | None = None
        self._running = False
        # Whether the last look at the outbox had to offer what is not on disk.
        self._from_memory = False
        self._dirty, self._hurry = Bell(), Bell()
        self._attempted = trio.Event()
        # Rung when the outbox may have something new to do.
        self.outbox_bell = Bell()

    # Recording

    def begin(self, interview: Interview) -> None:
        """An interview starts, or starts again under a higher epoch."""
        known = self._live.get(interview.interview_id)
        if known is not None and known.epoch > interview.epoch:
            self._fenced("begin", interview.interview_id, interview.epoch)
            return
        self._put(interview)

    def add_fragments(self, interview_id: str, epoch: int, fragments: Sequence[Fragment]) -> None:
        """More of the transcript. Refused only when memory is full of what the disk does not take."""
        if self._overfull:
            self._dropped += len(fragments)
            return
        self._batch.add_fragments(interview_id, epoch, fragments)
        self._record(len(fragments))

    def keep_handle(self, interview_id: str, epoch: int, handle: Handle | None) -> None:
        """The newest resumption handle; None when it is of no more use."""
        if known := self._current("handle", interview_id, epoch):
            self._put(replace(known, handle=handle))

    def keep_usage(self, interview_id: str, epoch: int, usage: Usage) -> None:
        """The sum of all tokens so far."""
        if known := self._current("usage", interview_id, epoch):
            self._put(replace(known, usage=usage))

    def credit(self, interview_id: str, epoch: int, credited_ms: int, deadline_ms: int) -> None:
        """Lost time is given back: ``credited_ms`` in all so far, and the deadline that follows from it."""
        if known := self._current("credit", interview_id, epoch):
            self._put(replace(known, credited_ms=credited_ms, deadline_ms=deadline_ms))

    def end(
        self,
        interview_id: str,
        epoch: int,
        *,
        ending: str,
        cause: str | None,
        ended_ms: int,
        deliveries: Sequence[Delivery],
    ) -> None:
        """The interview is over, and this is what the backend is owed for it: one transaction."""
        if known := self._current("end", interview_id, epoch):
            self._put(replace(known, phase=Phase.ENDED, ending=ending, cause=cause, ended_ms=ended_ms))
            for delivery in deliveries:
                self.add_delivery(delivery)

    def add_delivery(self, delivery: Delivery) -> None:
        """One more delivery, before the end. Making the same one twice changes nothing."""
        if delivery.key not in self._batch.owed and delivery.key not in self._committing.owed:
            self.keep_owed(Owed(delivery))

    def keep_owed(self, owed: Owed) -> None:
        """How a delivery stands after a try."""
        # A row that is already there keeps its place: the order of an interview's deliveries is that of making.
        self._batch.owed[owed.key] = owed
        self._record(1)
        self.outbox_bell.ring()

    async def flush(self) -> None:
        """Returns when everything recorded before this call is durable.

        Raises:
            JournalError: it cannot be made durable now. It stays recorded, and is written when that is possible.
        """
        target = self._recorded
        with trio.move_on_after(PATIENCE_SECONDS):
            while self._durable < target:
                if self._failure or not self._running:
                    raise JournalError(self._failure or f"{self._store.name} is closed")
                self._hurry.ring()
                await self._attempted.wait()
            return
        raise JournalError(self._stalled)

    # Reading

    def live(self) -> list[Interview]:
        """The interviews that are not ended, as last recorded; after a start, those of the last process."""
        return list(self._live.values())

    async def interview(self, interview_id: str) -> Interview | None:
        """The interview as last recorded, whether that is on disk yet or not."""
        for batch in (self._batch, self._committing):
            if interview_id in batch.interviews:
                return batch.interviews[interview_id]
        return await self._read(partial(reader.interview, interview_id=interview_id))

    async def interviews(self, which: Which) -> list[Interview]:
        """The chosen interviews that are on disk, the newest first."""
        return await self._read(partial(reader.interviews, which=which))

    async def fragments(self, interview_id: str, epoch: int, since: int = 0) -> list[Fragment]:
        """The fragments with a ``seq`` above ``since``, those not yet on disk included."""
        # Memory first: what is committed between the two looks is then in both, and never in neither.
        found = {
            fragment.seq: fragment
            for batch in (self._committing, self._batch)
            for fragment in batch.fragments_of(interview_id, epoch, since)
        }
        ask = partial(reader.fragments, interview_id=interview_id, epoch=epoch, since=since)
        for fragment in await self._read(ask):
            found[fragment.seq] = fragment
        return [found[seq] for seq in sorted(found)]

    async def queue(self, limit: int, passing_over: Collection[str] = ()) -> Queue:
        """The outbox now. ``due``: at most ``limit`` deliveries, none of the interviews ``passing_over``.

        A delivery is offered only when it is durable; with a fault, straight from memory.
        """
        unsaved = self._committing.owed | self._batch.owed
        mixed = {owed.delivery.interview_id for owed in unsaved.values()}
        passed_over = mixed.union(passing_over)
        mixed.difference_update(passing_over)
        now_ms, fault = self._now_ms(), self.fault
        queue, saved = Queue(), list[Owed]()

        def look(connection: sqlite3.Connection) -> tuple[Queue, list[Owed]]:
            return (
                reader.queue(connection, now_ms, limit, passed_over),
                reader.lines(connection, mixed, unsaved) if fault else [],
            )

        if not self._stalled_now:
            try:
                queue, saved = await self._read(look)
            except JournalError as error:
                fault = str(error)
        heads = _heads(saved, unsaved, mixed) if fault else []
        if heads and not self._from_memory:
            self._log.error("outbox.from_memory", cause=fault)
        self._from_memory = bool(heads)
        later = [owed.next_ms for owed in heads if not owed.due(now_ms)]
        if queue.next_ms is not None:
            later.append(queue.next_ms)
        return replace(
            queue,
            due=[*queue.due, *(owed for owed in heads if owed.due(now_ms))][:limit],
            next_ms=min(later, default=None),
            pending=max(queue.pending, len(heads)),
        )

    # Health

    @property
    def fault(self) -> str | None:
        """A sentence while new interviews must be refused; None when all is well."""
        if self._failure:
            return self._failure
        if self._stalled_now:
            return self._stalled
        if self._overfull:
            return f"{self._store.name} is written too slowly: the memory for what waits is full"
        if self._store.short_of_space:
            return f"the disk of {self._store.name} is nearly full: free some space"
        return None

    @property
    def pending_bytes(self) -> int:
        """Memory taken by fragments that are not on disk yet, about."""
        return self._batch.weight + self._committing.weight

    @property
    def _overfull(self) -> bool:
        return self.pending_bytes > MAX_PENDING_BYTES

    @property
    def _stalled_now(self) -> bool:
        began = self._commit_began
        return began is not None and trio.current_time() > began + PATIENCE_SECONDS

    @property
    def _stalled(self) -> str:
        return f"the disk of {self._store.name} has not answered for {PATIENCE_SECONDS:.0f} seconds"

    # The writer

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Opens the database, then writes until it is cancelled; what is recorded by then is still written.

        Raises:
            StartError: the database is in use, or cannot be opened.
        """
        for interview in await self._in_thread(self._store.open):
            self._live.setdefault(interview.interview_id, interview)
        self._running = True
        task_status.started()
        try:
            await self._write()
        finally:
            self._running = False
            with trio.move_on_after(CLOSING_SECONDS, shield=True):
                if self._batch:
                    await self._attempt()
                await self._in_thread(self._store.close)

    async def _write(self) -> None:
        next_sweep = trio.current_time()
        while True:
            now = trio.current_time()
            if now >= next_sweep:
                next_sweep = now + SWEEP_SECONDS
                await self._sweep()
            if not self._batch:
                short = self._store.short_of_space
                if not await self._dirty.heard(RETRY_SECONDS if short else next_sweep - now):
                    await self._in_thread(self._store.renew_reserve)
                    continue
            if len(self._batch) < COMMIT_RECORDS:
                await self._hurry.heard(COMMIT_SECONDS)
            if not await self._attempt():
                await trio.sleep(RETRY_SECONDS)

    async def _attempt(self) -> bool:
        """One commit of all there is; whether it is durable."""
        taken, self._batch = self._batch, Batch()
        self._committing = taken
        target = self._recorded
        self._commit_began = trio.current_time()
        failure: str | None = "the commit was cut off"
        try:
            failure = await self._commit(taken)
        finally:
            self._commit_began = None
            self._committing = Batch()
            if failure is not None:
                taken.absorb(self._batch)
                self._batch = taken
            self._attempted.set()
            self._attempted = trio.Event()
        if failure is None:
            self._durable = target
            self._recovered(len(taken))
        elif self._failure is None:
            self._log.error("journal.fault", cause=failure, pending=len(self._batch))
        self._failure = failure
        if failure or taken.owed:
            self.outbox_bell.ring()
        return failure is None

    async def _commit(self, taken: Batch) -> str | None:
        """Why it failed, None when it is durable. A broken file is left for another one, once an attempt."""
        try:
            try:
                await self._in_thread(partial(self._store.commit, taken))
            except (sqlite3.Error, OSError) as error:
                if faults.damage(error) is not faults.Damage.BROKEN:
                    raise
                self._log.error("journal.broken", database=self._store.name, cause=str(error))
                # The new file has nothing of the old one that cannot be read: give it every live row.
                taken.interviews = self._live | taken.interviews
                await self._in_thread(self._store.move_on)
                await self._in_thread(partial(self._store.commit, taken))
            if self._store.short_of_space:
                await self._in_thread(self._store.renew_reserve)
        except (sqlite3.Error, OSError) as error:
            return faults.sentence(error, self._store.name)
        return None

    async def _sweep(self) -> None:
        if self._retention_ms is None:
            return
        before_ms = self._now_ms() - self._retention_ms
        swept = 1
        while swept:
            try:
                swept = await self._in_thread(partial(self._store.sweep, before_ms))
            except (sqlite3.Error, OSError) as error:
                self._log.warning("journal.not_swept", cause=str(error))
                return
            if swept:
                self._log.info("journal.swept", interviews=swept)
            if self._batch:
                await self._attempt()

    def _recovered(self, records: int) -> None:
        if self._failure:
            self._log.warning("journal.recovered", database=self._store.name, records=records)
        if self._dropped:
            # Transcripts in memory are whole; a restart during this very fault would have shown the hole.
            self._log.error("journal.dropped", fragments=self._dropped)
            self._dropped = 0

    async def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        try:
            with trio.fail_after(PATIENCE_SECONDS):
                return await self._in_thread(partial(self._store.read, query))
        except trio.TooSlowError as error:
            raise JournalError(self._stalled) from error
        except sqlite3.Error as error:
            raise JournalError(f"{self._store.name} cannot be read: {error}") from error

    def _current(self, record: str, interview_id: str, epoch: int) -> Interview | None:
        known = self._live.get(interview_id)
        if known is not None and known.epoch == epoch:
            return known
        self._fenced(record, interview_id, epoch)
        return None

    def _fenced(self, record: str, interview_id: str, epoch: int) -> None:
        self._log.warning("record.fenced", record=record, interview=interview_id, epoch=epoch)

    def _put(self, interview: Interview) -> None:
        if interview.phase is Phase.LIVE:
            self._live[interview.interview_id] = interview
        else:
            self._live.pop(interview.interview_id, None)
        self._batch.interviews[interview.interview_id] = interview
        self._record(1)

    def _record(self, count: int) -> None:
        self._recorded += count
        self._dirty.ring()
        if len(self._batch) >= COMMIT_RECORDS:
            self._hurry.ring()


def _heads(saved: Sequence[Owed], unsaved: dict[str, Owed], interview_ids: Collection[str]) -> list[Owed]:
    """The first pending delivery of each interview, where memory knows more than the disk."""
    newest = {owed.key: owed for owed in saved}
    for key, owed in unsaved.items():
        # The rule by which the disk will take it, see writes.PUT_OWED.
        if key not in newest or owed.attempts > newest[key].attempts:
            newest[key] = owed
    heads: dict[str, Owed] = {}
    for owed in newest.values():
        interview_id = owed.delivery.interview_id
        if owed.state is State.PENDING and interview_id in interview_ids:
            heads.setdefault(interview_id, owed)
    return list(heads.values())
