"""The journal: a record is on disk 80 ms later, and no caller ever waits for that.

Rule 1: recording is synchronous, touches memory only, and cannot fail.
Rule 2: a record can be read at once, before it is on disk.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
import sqlite3
from typing import TypeVar

import trio

from preppald.core.deliveries import Delivery, OutboxEntry, Work
from preppald.core.interview import Handle, Interview, Phase, Usage
from preppald.core.quality import Quality
from preppald.core.turns import Fragment, with_holes
from preppald.errors import JournalError
from preppald.journal import exchange, reader, rows
from preppald.journal.adopter import Adopter
from preppald.journal.exchange import Brought
from preppald.journal.forgetting import Removed, Standing, check
from preppald.journal.mending import Fallback
from preppald.journal.neighbours import newest
from preppald.journal.parcel import Follower
from preppald.journal.pending import Pending, heads_of
from preppald.journal.place import Place
from preppald.journal.reader import Queue, Which
from preppald.journal.spooled import Spooled
from preppald.journal.store import Store
from preppald.journal.writer import Writer
from preppald.net.threads import InThread, own_thread
from preppald.net.wakeup import Wakeup
from preppald.telemetry.interfaces import Log

T = TypeVar("T")

# An operator has a week to look up deliveries in the journal.
RETENTION_MS = 7 * 24 * 3600 * 1000


class Journal:
    """One writer for one database. ``run`` is its task; everything else is called from other tasks.

    ``now_ms``: the wall clock in milliseconds. ``retention_ms``: how long the words are kept that were
    delivered; 0: until they are; None: for ever, which is right when no backend has a copy.
    ``recorded``: the interviews that have a recording, of which the rows stay (blocking). ``fallback``: what a live
    interview has whose row is damaged. ``follower``: takes each commit elsewhere, too.
    """

    def __init__(
        self,
        place: Place,
        *,
        log: Log,
        now_ms: Callable[[], int],
        in_thread: InThread | None = None,
        retention_ms: int | None = RETENTION_MS,
        recorded: Callable[[], Collection[str]] = frozenset,
        fallback: Fallback = Fallback(),  # noqa: B008 - frozen
        follower: Follower | None = None,
    ) -> None:
        in_thread = in_thread or own_thread()
        self._follower = follower
        kind = Store if follower is None else Spooled
        self._store = kind(place, log, now_ms=now_ms, fallback=fallback)
        self._pending = Pending()
        self._writer = Writer(
            self._store,
            self._pending,
            log=log,
            now_ms=now_ms,
            in_thread=in_thread,
            retention_ms=retention_ms,
            recorded=recorded,
            follower=follower,
        )
        self._adopter = Adopter(self._store, log=log, in_thread=in_thread, now_ms=now_ms, fallback=fallback)
        self._log = log
        self._now_ms = now_ms
        # True where the last look at the outbox had to offer deliveries that are not on disk.
        self._from_memory = False

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Open the database, then write until cancelled; records made by then are still written.

        Raises:
            StartError: the database is in use, or cannot be opened.
        """
        await self._writer.open()
        task_status.started()
        await self._writer.run()

    @property
    def fault(self) -> str | None:
        """A sentence while new interviews must be refused; None when all is well."""
        return self._writer.fault

    @property
    def pending_bytes(self) -> int:
        """The bytes of memory that fragments take which are not on disk yet, about."""
        return self._pending.weight

    @property
    def recorded(self) -> int:
        """The number of records so far."""
        return self._pending.recorded

    @property
    def durable(self) -> int:
        """The number of records on disk."""
        return self._pending.durable

    @property
    def outbox_bell(self) -> Wakeup:
        """Rung when the outbox may have something new to do."""
        return self._pending.outbox

    @property
    def damaged_rows(self) -> int:
        """Rows that could not be read since the start; each was set aside and logged."""
        return self._store.damaged_rows

    @property
    def left_files(self) -> int:
        """Earlier files whose unfinished business could not be taken over yet."""
        return self._store.left_files

    # Recording

    def begin(self, interview: Interview) -> None:
        """Record that an interview starts, or starts again under a higher epoch."""
        known = self._pending.live_one(interview.interview_id)
        if known is not None and known.epoch > interview.epoch:
            self._fenced("begin", interview.interview_id, interview.epoch)
            return
        self._pending.put_interview(interview)

    def add_fragments(self, interview_id: str, epoch: int, fragments: Sequence[Fragment]) -> None:
        """Add to the transcript. Dropped only when memory is full of records that the disk does not take."""
        self._pending.add_fragments(interview_id, epoch, fragments)

    def keep_handle(self, interview_id: str, epoch: int, handle: Handle | None) -> None:
        """Keep the newest resumption handle; None when it is of no more use."""
        if known := self._current("handle", interview_id, epoch):
            self._pending.put_interview(replace(known, handle=handle))

    def keep_usage(self, interview_id: str, epoch: int, usage: Usage) -> None:
        """Keep the sum of all tokens so far."""
        if known := self._current("usage", interview_id, epoch):
            self._pending.put_interview(replace(known, usage=usage))

    def keep_model(self, interview_id: str, epoch: int, model: str) -> None:
        """Record that the interview goes on with another model; the handle was the former's."""
        if known := self._current("model", interview_id, epoch):
            self._pending.put_interview(replace(known, model=model, handle=None))

    def credit(self, interview_id: str, epoch: int, credited_ms: int, deadline_ms: int) -> None:
        """Record time given back: ``credited_ms`` in all so far, and the deadline that follows."""
        if known := self._current("credit", interview_id, epoch):
            self._pending.put_interview(replace(known, credited_ms=credited_ms, deadline_ms=deadline_ms))

    def raise_floor(self, interview_id: str, epoch: int, seq_floor: int) -> None:
        """Records that fragments are numbered from above ``seq_floor`` here; the next process goes on above that."""
        if known := self._current("floor", interview_id, epoch):
            self._pending.put_interview(replace(known, seq_floor=seq_floor))

    def end(
        self,
        interview_id: str,
        epoch: int,
        *,
        ending: str,
        cause: str | None,
        ended_ms: int,
        deliveries: Sequence[Delivery],
        quality: Quality | None = None,
    ) -> None:
        """End the interview, with the deliveries that the backend is owed and how it went: one transaction."""
        if known := self._current("end", interview_id, epoch):
            self._pending.put_interview(
                replace(known, phase=Phase.ENDED, ending=ending, cause=cause, ended_ms=ended_ms)
            )
            if quality is not None:
                self._pending.put_quality(known, quality)
            for delivery in deliveries:
                self.add_delivery(delivery)

    def add_delivery(self, delivery: Delivery) -> None:
        """Add a delivery before the end. Adding the same one twice changes nothing."""
        if not self._pending.owes(delivery.key):
            self.keep_owed(OutboxEntry(delivery))

    def keep_owed(self, owed: OutboxEntry) -> None:
        """Record the state of a delivery after a try."""
        self._pending.put_owed(owed)

    def note_due(self, work: Work, key: str, *, due: bool) -> None:
        """Record that this work on the transcript delivered under this key is due from now on, or no more."""
        self._pending.put_due(work, key, due=due)

    async def forget(self, names: Collection[str], *, also_undelivered: bool) -> Removed:
        """Remove all of these interviews; nothing of them is recorded again unless one begins anew.

        Raises:
            NotForgotten: one of them is live or owed; then nothing was removed.
            JournalError: the journal cannot be written now.
        """
        if live := next((it for it in self.live() if it.interview_id in names), None):
            check(
                Standing(interview=live.interview_id, live=True, owed=0, due=False, delivered=[]),
                also_undelivered=also_undelivered,
            )
        forgotten = self._pending.forget(names)
        try:
            removed = await self._writer.forget(names, also_undelivered=also_undelivered)
        except BaseException:
            self._pending.remember(forgotten)
            raise
        if self._follower is not None:
            self._follower.changed()
        self.outbox_bell.ring()
        return removed

    def add_spans(self, interview_id: str, block: int, epoch: int, spans: str) -> None:
        """Owe a collector these spans: ``core.traces.Spans`` as JSON."""
        row = rows.trace_row(interview_id, block, epoch, self._now_ms(), spans)
        self._pending.put_spans(row, len(spans))

    async def owing(self) -> list[Place]:
        """Return the other instances of the state directory with unfinished business, running or not."""
        return await self._adopter.owing()

    async def adopt(self, places: Sequence[Place]) -> None:
        """Take over the unfinished business of those that do not run."""
        before = self._adopter.came
        self._pending.found_live(await self._adopter.adopt(places))
        # Most looks find nothing: then not everything unfinished is to be sent again.
        if self._follower is not None and self._adopter.came != before:
            self._follower.changed()
        self.outbox_bell.ring()

    async def bring(self, found: Sequence[Brought]) -> None:
        """Take in sessions that are this host's from now on, in the place of whatever was here of them.

        Raises:
            JournalError: they could not be written now.
        """
        live = await self.ask(partial(exchange.bring, found=found, report=self._store.met))
        self._pending.remember({name for name, _ in (it.session for it in found)})
        self._pending.found_live(live)
        self.outbox_bell.ring()

    async def let_go(self, sessions: Collection[tuple[str, int]]) -> None:
        """Remove sessions that are another host's from now on; nothing of them runs here any more.

        Raises:
            JournalError: not now; they are still here.
        """
        # A post that is on its way must not bring its delivery back.
        forgotten = self._pending.forget(await self.ask(partial(exchange.left_whole, sessions=sessions)))
        try:
            await self.flush()
            await self.ask(partial(exchange.let_go, sessions=sessions, report=self._store.met))
        except BaseException:
            self._pending.remember(forgotten)
            raise
        self._pending.let_go(sessions)

    async def flush(self, *, hurry: bool = True) -> None:
        """Return when everything recorded before this call is durable.

        Raises:
            JournalError: it cannot be made durable now. It stays recorded, and is written when that is possible.
        """
        await self._writer.flush(hurry=hurry)

    # Reading

    def live(self) -> list[Interview]:
        """Return the interviews that are not ended, as last recorded; after a start, those of the last process."""
        return self._pending.live

    async def interview(self, interview_id: str) -> Interview | None:
        """Return the interview as last recorded, on disk or not."""
        if (recorded := self._pending.interview(interview_id)) is not None:
            return recorded
        return await self.ask(partial(reader.interview, interview_id=interview_id, report=self._store.met))

    async def known(self, interview_id: str) -> Interview | None:
        """Return the interview as here or as another instance of the state directory has it, whichever is newer."""
        elsewhere = await self.ask(lambda _: self._store.neighbours.interview(interview_id))
        return newest((await self.interview(interview_id), elsewhere))

    async def sessions(self, interview_id: str) -> list[Interview]:
        """Return the newest row of each block of the interview (0: the ordinary one), here or at another instance."""
        ask = partial(reader.sessions, interview_id=interview_id, report=self._store.met)
        found = [
            *self._pending.sessions(interview_id),
            *await self.ask(ask),
            *await self.ask(lambda _: self._store.neighbours.sessions(interview_id)),
        ]
        blocks = {it.block for it in found}
        best = (newest(it for it in found if it.block == block) for block in sorted(blocks))
        return [it for it in best if it is not None]

    async def was_spoken(self, interview_id: str, epoch: int) -> bool:
        """Return whether the interview has, or had, fragments, here or at another instance."""
        return (
            bool(await self.fragments(interview_id, epoch))
            or await self.ask(partial(reader.was_posted, interview_id=interview_id, epoch=epoch))
            or await self.ask(lambda _: self._store.neighbours.was_spoken(interview_id, epoch))
        )

    async def interviews(self, which: Which) -> list[Interview]:
        """Return the chosen interviews that are on disk, the newest first."""
        return await self.ask(partial(reader.interviews, which=which, report=self._store.met))

    async def quality(self, interview: Interview) -> Quality | None:
        """Return how the interview went, as far as that is on disk; None while it runs."""
        ask = partial(reader.qualities, interview_id=interview.interview_id, report=self._store.met)
        return (await self.ask(ask)).get((interview.interview_id, interview.block, interview.epoch))

    async def fragments(self, interview_id: str, epoch: int, since: int = 0) -> list[Fragment]:
        """Return the fragments with a ``seq`` above ``since``, those not yet on disk included."""
        # Memory first: a record committed between the two looks is then in both, and never in neither.
        found = self._pending.fragments(interview_id, epoch, since)
        report = self._store.met
        ask = partial(reader.fragments, interview_id=interview_id, epoch=epoch, since=since, report=report)
        for fragment in await self.ask(ask):
            found[fragment.seq] = fragment
        return [found[seq] for seq in sorted(found)]

    async def history(self, interview_id: str, epoch: int) -> list[Fragment]:
        """Return all fragments, with a mark wherever a part cannot be read: see ``core.turns.with_holes``."""
        lost_to = await self.ask(partial(reader.lost_to, interview_id=interview_id, epoch=epoch))
        return with_holes(await self.fragments(interview_id, epoch), lost_to)

    async def due(self, work: Work, passing_over: Collection[str]) -> Delivery | None:
        """Return the oldest transcript on which this work is due, as far as that is on disk."""
        ask = partial(reader.due, work=work, passing_over=frozenset(passing_over), report=self._store.met)
        owed = await self.ask(ask)
        return None if owed is None else owed.delivery

    async def is_due(self, work: Work, key: str) -> bool:
        """Return whether this work is due on the transcript of this key, as far as that is on disk."""
        return await self.ask(partial(reader.is_due, work=work, key=key))

    async def delivery(self, key: str) -> Delivery | None:
        """Return a delivery by its key, on disk or not; None where there is none."""
        if (recorded := self._pending.owed.get(key)) is not None:
            return recorded.delivery
        found = await self.ask(partial(reader.owed, of=key, report=self._store.met))
        return next((it.delivery for it in found), None)

    async def queue(self, limit: int, passing_over: Collection[str] = ()) -> Queue:
        """Return the outbox now. ``due``: at most ``limit`` deliveries, none of the interviews ``passing_over``.

        A delivery is offered only when it is durable; with a fault, straight from memory.
        """
        unsaved = self._pending.owed
        mixed = {owed.delivery.interview_id for owed in unsaved.values()}
        passed_over = mixed.union(passing_over)
        mixed.difference_update(passing_over)
        now_ms, fault = self._now_ms(), self.fault
        queue, saved, report = Queue(), list[OutboxEntry](), self._store.met

        def look(connection: sqlite3.Connection) -> tuple[Queue, list[OutboxEntry]]:
            return (
                reader.queue(connection, now_ms, limit, passed_over, report),
                reader.lines(connection, mixed, unsaved, report) if fault else [],
            )

        if not self._writer.stalled:
            try:
                queue, saved = await self.ask(look)
            except JournalError as error:
                fault = str(error)
        heads = heads_of(saved, unsaved, mixed) if fault else []
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

    async def ask(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Return the answer of the database to a question of reader.py.

        Raises:
            JournalError: the database gave none within 10 seconds, or cannot be read.
        """
        return await self._writer.ask(query)

    def _current(self, record: str, interview_id: str, epoch: int) -> Interview | None:
        known = self._pending.live_one(interview_id)
        if known is not None and known.epoch == epoch:
            return known
        self._fenced(record, interview_id, epoch)
        return None

    def _fenced(self, record: str, interview_id: str, epoch: int) -> None:
        self._log.warning("record.fenced", record=record, interview=interview_id, epoch=epoch)
