"""The journal's writer: the one task that brings records to the disk.

Rule 1: a batch leaves memory only when its transaction is durable.
Rule 2: after a failed write nothing is forgotten: the batch is kept and tried again, in another file if this
        one's disk is broken. ``fault`` says so as long as it lasts.
Rule 3: work that can wait is done in steps, with commits between them.
"""

from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import aclosing
from functools import partial
import sqlite3
from typing import TypeVar

import trio

from preppald.errors import JournalError
from preppald.journal import faults, reader, removing, writes
from preppald.journal.forgetting import Removed
from preppald.journal.parcel import Follower
from preppald.journal.pending import Batch, Pending
from preppald.journal.removing import ROWS_MS
from preppald.journal.spooled import Spooled
from preppald.journal.store import Store
from preppald.net.threads import InThread
from preppald.net.wakeup import Changes
from preppald.telemetry.interfaces import Log

T = TypeVar("T")

# The most text that a power loss costs, beside one commit of 1 to 4 ms: 0.1 s is promised.
COMMIT_SECONDS = 0.080
# A full disk is tried once a second: an operator who makes room sees the effect at once.
RETRY_SECONDS = 1.0
# Disks answer in milliseconds, seldom in a second. One that takes this long must not hold up an interview.
PATIENCE_SECONDS = 10.0
# The last commit on the way out; systemd's stop timeout is longer.
CLOSING_SECONDS = 10.0
# How long fragments stay where writing them is cheap, before they go where reading them is: a passage
# a time, the longer the cheaper.
SETTLE_SECONDS = 20.0
SWEEP_SECONDS = 3600.0
# Where words are to go within hours, or as soon as the backend has them.
SHORT_SWEEP_SECONDS = 60.0
# How often it is looked whether the files are still those that were opened; and how often those that could not be
# carried over are tried again.
LOOK_SECONDS = 1.0
CARRY_SECONDS = 15.0
# A time that never comes, on Trio's clock.
NEVER = float("inf")


class Writer:
    """Writes what is in ``pending``. ``run`` is its task."""

    def __init__(
        self,
        store: Store,
        pending: Pending,
        *,
        log: Log,
        now_ms: Callable[[], int],
        in_thread: InThread,
        retention_ms: int | None,
        recorded: Callable[[], Collection[str]],
        follower: Follower | None = None,
    ) -> None:
        self._store = store
        self._follower = follower
        self._pending = pending
        self._log = log
        self._now_ms = now_ms
        self._in_thread = in_thread
        self._retention_ms = retention_ms
        self._recorded = recorded
        short = retention_ms is not None and retention_ms < ROWS_MS
        self._sweep_seconds = SHORT_SWEEP_SECONDS if short else SWEEP_SECONDS
        self._failure: str | None = None
        self._commit_began: float | None = None
        self._settle_at = NEVER
        self._running = False
        self._attempts = Changes()

    async def flush(self, *, hurry: bool = True) -> None:
        """Return when everything recorded before this call is durable.

        ``hurry``: commit at once. Without it the next commit is waited for, which hundreds of talks share.

        Raises:
            JournalError: it cannot be made durable now. It stays recorded, and is written when that is possible.
        """
        target = self._pending.recorded

        def is_durable() -> bool:
            if self._pending.durable >= target:
                return True
            if self._failure or not self._running:
                raise JournalError(self._failure or f"{self._store.name} is closed")
            if hurry:
                self._pending.hurry.ring()
            return False

        with trio.move_on_after(PATIENCE_SECONDS):
            await self._attempts.until(is_durable)
            return
        raise JournalError(self._stalled_sentence)

    async def ask(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Return the database's answer. Raise JournalError when none comes within PATIENCE_SECONDS."""
        try:
            with trio.fail_after(PATIENCE_SECONDS):
                return await self._in_thread(partial(self._store.read, query))
        except trio.TooSlowError as error:
            raise JournalError(self._stalled_sentence) from error
        except sqlite3.Error as error:
            raise JournalError(f"{self._store.name} cannot be read: {error}") from error

    async def forget(self, names: Collection[str], *, also_undelivered: bool) -> Removed:
        """Remove all of these interviews from the files; commits wait meanwhile: 3.4 s for 280 MB were measured.

        Raises:
            NotForgotten: one of them is live or owed.
            JournalError: what is in memory cannot be written first, or the files cannot.
        """
        await self.flush()
        forget = partial(self._store.forget, names, also_undelivered=also_undelivered)
        try:
            return await self._in_thread(forget)
        except (sqlite3.Error, OSError) as error:
            raise JournalError(faults.sentence(error, self._store.name)) from error

    @property
    def fault(self) -> str | None:
        """A sentence while new interviews must be refused; None when all is well."""
        if self._failure:
            return self._failure
        if self.stalled:
            return self._stalled_sentence
        if self._pending.full:
            return f"{self._store.name} is written too slowly: the memory for what waits is full"
        if self._store.short_of_space:
            return f"the disk of {self._store.name} is nearly full: free some space"
        return None

    @property
    def stalled(self) -> bool:
        """True while the disk does not answer."""
        began = self._commit_began
        return began is not None and trio.current_time() > began + PATIENCE_SECONDS

    @property
    def _stalled_sentence(self) -> str:
        return f"the disk of {self._store.name} has not answered for {PATIENCE_SECONDS:.0f} seconds"

    async def open(self) -> None:
        """Open the database; ``run`` must follow at once, which closes it.

        Raises:
            StartError: the database is in use, or cannot be opened.
        """
        self._pending.found_live(await self._in_thread(self._store.open))
        self._running = True

    async def run(self) -> None:
        """Write until cancelled; records made by then are still written."""
        try:
            await self._write()
        finally:
            self._running = False
            with trio.move_on_after(CLOSING_SECONDS, shield=True):
                # Closing a file that has lost its name would be the end of it.
                if self._pending or (
                    self._store.watched and await self._in_thread(self._store.trouble) is not None
                ):
                    await self._attempt()
                await self._in_thread(self._store.close)

    async def _write(self) -> None:
        next_sweep = trio.current_time()
        next_look = next_sweep if self._store.watched else NEVER
        next_carry = next_sweep + CARRY_SECONDS
        busy = False
        while True:
            now = trio.current_time()
            if now >= next_look:
                next_look = now + LOOK_SECONDS
                await self._look()
            if now >= next_carry:
                next_carry = now + CARRY_SECONDS
                await self._carry_over()
            if now >= next_sweep:
                next_sweep = now + self._sweep_seconds
                # Before settling: a forgotten interview must not be settled afterwards.
                self._settle_at = NEVER
                await self._tend("settle", self._settle)
                await self._tend("sweep", self._sweep)
            elif now >= self._settle_at:
                self._settle_at = NEVER
                await self._tend("settle", self._settle)
            # While records come all the time, one wait a commit is enough.
            if not busy and not self._pending:
                patience = min(next_sweep, next_look, self._settle_at) - trio.current_time()
                if not await self._pending.dirty.heard(
                    RETRY_SECONDS if self._store.short_of_space else patience
                ):
                    await self._in_thread(self._store.renew_reserve)
                    continue
            if not self._pending.burst:
                await self._pending.hurry.heard(COMMIT_SECONDS)
            busy = bool(self._pending)
            if busy and not await self._attempt():
                await trio.sleep(RETRY_SECONDS)

    async def _look(self) -> None:
        """Goes on in a new file where the present one was removed, replaced or cut."""
        if self._failure is None and await self._in_thread(self._store.trouble) is not None:
            await self._attempt()

    async def _carry_over(self) -> None:
        """Tries again what could not be carried over from earlier files."""
        if self._failure is None and self._store.left_files:
            try:
                self._pending.found_live(await self._in_thread(self._store.carry_over))
            except (sqlite3.Error, OSError) as error:
                self._log.warning("journal.untended", work="carry over", cause=str(error))
            self._changed()
            self._pending.outbox.ring()

    def _changed(self) -> None:
        """Tells the follower that not all rows came by a commit."""
        if self._follower is not None:
            self._follower.changed()

    async def _attempt(self) -> bool:
        """Commit everything once; return whether it is durable."""
        taken = self._pending.begin_commit()
        self._commit_began = trio.current_time()
        failure: str | None = "the commit was cut off"
        try:
            failure = await self._commit(taken)
        finally:
            self._commit_began = None
            self._pending.end_commit(durable=failure is None)
            self._attempts.announce()
        if failure is None:
            if taken.fragments and self._settle_at == NEVER:
                self._settle_at = trio.current_time() + SETTLE_SECONDS
            self._recovered(len(taken))
        elif self._failure is None:
            self._log.error("journal.fault", cause=failure, pending=len(self._pending))
        self._failure = failure
        if failure or taken.owed:
            self._pending.outbox.ring()
        return failure is None

    async def _commit(self, taken: Batch) -> str | None:
        """Commit; return the failure, None when durable. A broken file is left for another one, once an attempt."""
        try:
            try:
                await self._commit_all(taken)
            except (sqlite3.Error, OSError) as error:
                if faults.damage(error) is not faults.Damage.BROKEN:
                    raise
                if self._failure is None:
                    self._log.error("journal.broken", database=self._store.name, cause=str(error))
                # The new file lacks the rows that cannot be read in the old one: give it every live row.
                self._pending.add_live_rows(taken)
                await self._in_thread(self._store.move_on)
                self._changed()
                await self._commit_all(taken)
            if self._store.short_of_space:
                await self._in_thread(self._store.renew_reserve)
        except (sqlite3.Error, OSError) as error:
            return faults.sentence(error, self._store.name)
        return None

    async def _commit_all(self, taken: Batch) -> None:
        """Commit; a record of one interview that cannot be written at all is left out, and no other."""
        try:
            await self._write_rows(taken)
        except (sqlite3.Error, OSError):
            raise
        except Exception as error:
            unwritable = writes.sift(taken)
            if not unwritable:
                raise
            for what in unwritable:
                self._log.error("record.unwritable", what=what, exc_info=error)
            await self._write_rows(taken)

    async def _write_rows(self, taken: Batch) -> None:
        """Write a batch; the follower has it meanwhile, and only afterwards where the last try failed.

        A batch that fails comes again with all that is newer: sent each time, it would only grow.
        """
        follower, store = self._follower, self._store
        if follower is None or not isinstance(store, Spooled):
            await self._in_thread(partial(store.commit, taken))
            return
        parcel = await self._in_thread(partial(store.parcel, taken))
        beside = self._failure is None
        if beside:
            follower.take(parcel)
        await self._in_thread(partial(store.commit, taken, parcel))
        if not beside:
            follower.take(parcel)

    async def _tend(self, work: str, steps: Callable[[], AsyncGenerator[None]]) -> None:
        """Do work that can wait, in small steps; newer records are committed between them."""
        try:
            async with aclosing(steps()) as each:
                async for _ in each:
                    if self._pending:
                        await self._attempt()
        except (sqlite3.Error, OSError) as error:
            self._log.warning("journal.untended", work=work, cause=str(error))

    async def _settle(self) -> AsyncGenerator[None]:
        for bucket in await self._in_thread(partial(self._store.read, reader.unsettled)):
            settle = partial(writes.settle, bucket=bucket, report=self._store.met)
            while await self._in_thread(partial(self._store.read, settle)):
                yield
            yield

    async def _sweep(self) -> AsyncGenerator[None]:
        if self._retention_ms is None:
            return
        now_ms = self._now_ms()
        before_ms = now_ms - max(self._retention_ms, ROWS_MS)
        sweep = partial(removing.sweep, before_ms=before_ms, keep=await self._in_thread(self._recorded))
        while swept := await self._in_thread(partial(self._store.read, sweep)):
            self._log.info("journal.swept", interviews=swept)
            yield
        strip = partial(removing.strip, before_ms=now_ms - self._retention_ms)
        while stripped := await self._in_thread(partial(self._store.read, strip)):
            self._log.info("journal.stripped", interviews=stripped)
            yield

    def _recovered(self, records: int) -> None:
        if self._failure:
            self._log.warning("journal.recovered", database=self._store.name, records=records)
        if dropped := self._pending.take_dropped():
            # Transcripts in memory are whole; a restart during this very fault would have shown the hole.
            self._log.error("journal.dropped", fragments=dropped)
