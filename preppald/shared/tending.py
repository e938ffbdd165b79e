"""Tends what the shared journal has of this instance: rows of commits become passages of interviews, and what is over goes.

Rule 1: a parcel leaves this host's disk as the shared journal has settled it, minutes after it went there.
Rule 2: nothing more leaves while the shared journal may lack what was settled: first everything unfinished goes again.
"""

from collections import deque
from collections.abc import Callable
from functools import partial

import msgspec
import trio

from preppald.core.interview import Interview
from preppald.errors import JournalError
from preppald.journal import Journal, packing, removing, rows, spool
from preppald.net.threads import InThread
from preppald.shared.membership import Membership
from preppald.shared.protocol import Fenced, Shared, Shipment, Unfit, Unreachable, Written
from preppald.shared.words import passages_in
from preppald.telemetry.interfaces import Log

# Of one statement: while it catches up, five seconds of talk at a time.
PARCELS_AT_ONCE = 64
# Acknowledged parcels stay on disk for so long: more than any standby is behind.
KEEP_SECONDS = 180.0
SETTLE_SECONDS = 20.0
SWEEP_SECONDS = 3600.0
SHORT_SWEEP_SECONDS = 60.0
# Words of interviews that are over and owe nothing stay in the shared journal for so long, for people who look.
RETENTION_MS = 24 * 3600 * 1000
# Their rows stay as in the local journal: no host may begin one again with a token that is still good.
ROWS_MS = removing.ROWS_MS


class Tending:
    """``sent``: the number of the last parcel that went there. ``taken``: judges an answer, and returns whether it was taken.

    ``changed``: has everything unfinished sent anew. ``retention_ms``: as of the local journal; None: for ever.
    """

    def __init__(
        self,
        shared: Shared,
        membership: Membership,
        *,
        sent: Callable[[], int],
        taken: Callable[[Written | Fenced | Unreachable], bool],
        changed: Callable[[], None],
        log: Log,
        now_ms: Callable[[], int],
        retention_ms: int | None,
        in_thread: InThread,
    ) -> None:
        self._shared = shared
        self._member = membership
        self._sent = sent
        self._taken = taken
        self._changed = changed
        self._log = log
        self._now_ms = now_ms
        self._retention_ms = retention_ms
        self._in_thread = in_thread
        # The highest number that was sent, and when: the oldest one decides what may be settled.
        self._marks: deque[tuple[float, int]] = deque()
        # Up to which number the shared journal has passages, as long as nothing was heard that makes that doubtful.
        self._there = 0
        self._bringing = trio.StrictFIFOLock()

    async def run(self, journal: Journal) -> None:
        """Settle what has been there for minutes, and forget what is over."""
        retention = RETENTION_MS if self._retention_ms is None else min(RETENTION_MS, self._retention_ms)
        sweep_every = SHORT_SWEEP_SECONDS if retention < RETENTION_MS else SWEEP_SECONDS
        next_sweep = trio.current_time() + sweep_every
        while True:
            await trio.sleep(SETTLE_SECONDS)
            now = trio.current_time()
            self._marks.append((now, self._sent()))
            try:
                while self._marks and self._marks[0][0] <= now - KEEP_SECONDS:
                    if not await self.settle(journal, self._marks[0][1]):
                        break
                    self._marks.popleft()
                if await journal.ask(partial(spool.weight, number=0)) > spool.MAX_BYTES:
                    await journal.ask(spool.clear)
                    self._log.error("shared.spool_full", bytes=spool.MAX_BYTES)
                    self._changed()
            except JournalError as error:
                self._log.warning("shared.unread", cause=str(error))
            if self._retention_ms is not None and now >= next_sweep:
                next_sweep = now + sweep_every
                await self._sweep(self._now_ms() - retention, self._now_ms() - ROWS_MS)

    async def bring_up(self, journal: Journal, upto: int) -> bool:
        """Have passages there up to a number which was sent; return whether.

        All interviews of a host are given up at one moment: those that wait are served by one round.
        """
        async with self._bringing:
            if self._member.sure and self._there >= upto:
                return True
            return await self.settle(journal, self._sent(), forget=False, after=self._there)

    async def bring_words(self, journal: Journal, it: Interview) -> bool:
        """Have all words of a session there, also those that are not on this host's disk; return whether.

        As passages: rows of commits that the disk does not have would go when those before them become passages.
        """
        said = await journal.fragments(it.interview_id, it.epoch)
        encoded = (msgspec.Raw(msgspec.json.encode(one)) for one in said)
        own = packing.passages(packing.Said(it.interview_id, it.epoch, one, it.block) for one in encoded)
        words = Shipment(passages=[rows.sealed(row) for row in own])
        answer = await self._shared.append(self._member.incarnation, words)
        if isinstance(answer, Unfit):
            self._log.error("shared.unfit", what="passages", cause=answer.why)
            return False
        return self._taken(answer)

    def lost_track(self) -> None:
        """Note that the shared journal may lack what was settled."""
        self._there = 0

    async def settle(self, journal: Journal, upto: int, *, forget: bool = True, after: int = 0) -> bool:
        """Replace rows of commits by passages of interviews, there; ``forget`` the parcels here then.

        ``after``: the number up to which there is nothing to do.
        """
        last = after
        while found := await journal.ask(
            partial(spool.after, number=last, before=upto + 1, limit=PARCELS_AT_ONCE)
        ):
            if not self._member.sure or (forget and not self._member.whole):
                return False
            recent = [row for it in found for row in it.recent]
            passages = await self._in_thread(partial(passages_in, recent))
            last = found[-1].number
            answer = await self._shared.settle(self._member.incarnation, passages, last)
            if isinstance(answer, Unfit):
                self._log.error("shared.unfit", what="passages", cause=answer.why)
            elif not self._taken(answer):
                return False
            self._there = max(self._there, last)
            if forget:
                await journal.ask(partial(spool.forget, upto=last))
                self._member.settled(last)
        return True

    async def _sweep(self, before_ms: int, rows_before_ms: int) -> None:
        while self._member.sure:
            answer = await self._shared.sweep(self._member.incarnation, before_ms, rows_before_ms)
            if not isinstance(answer, int) or not answer:
                return
            self._log.info("shared.swept", interviews=answer)
