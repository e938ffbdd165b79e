"""The outbox: posts what the backend is owed until it has all of it.

Rule 1: a delivery is posted only when the journal has it on disk; with a fault of the disk, from memory.
Rule 2: it is settled only by the backend's acknowledgement, and never posted after that.
Rule 3: deliveries of one interview go out in their order, one at a time; a dead one holds up nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

import trio

from preppald.backend.breaker import IN_FLIGHT, Breaker, Flow
from preppald.backend.outcomes import Backend, Delivered, Outcome, Refused, Retry, Unauthorized
from preppald.core.deliveries import Delivery, Kind, Owed, retry_delay
from preppald.errors import JournalError
from preppald.journal import Journal, Queue
from preppald.telemetry.interfaces import DeliveryMeters, Log, NoMeters

# New rows ring a bell. Only what an operator changes from outside is looked for, and only while there is
# something that an operator could change.
LOOK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Statistics:
    """For the metrics. ``oldest_seconds``: the age of the oldest pending delivery, 0 without one."""

    pending: int
    dead: int
    in_flight: int
    oldest_seconds: float
    flow: Flow


class Outbox:
    """``run`` is its task. ``chance`` gives random numbers in [0, 1); ``now_ms`` is the wall clock.

    ``delivered`` is told of each delivery that the backend acknowledged.
    """

    def __init__(
        self,
        journal: Journal,
        backend: Backend,
        *,
        log: Log,
        now_ms: Callable[[], int],
        chance: Callable[[], float],
        meters: DeliveryMeters | None = None,
        delivered: Callable[[Delivery], None] = lambda _delivery: None,
    ) -> None:
        self._journal = journal
        self._backend = backend
        self._log = log
        self._now_ms = now_ms
        self._chance = chance
        self._meters = meters or NoMeters()
        self._delivered = delivered
        self._gate = Breaker()
        self._in_flight = 0
        # Interviews with a delivery in flight, or acknowledged and not yet durable.
        self._busy: set[str] = set()
        # Whether the last look passed over interviews for that: it says nothing about their other deliveries.
        self._passed_over = False
        self._queue = Queue()
        # Looks begun and looks completed: whoever needs a fresh one waits for a number.
        self._begun = self._completed = 0
        self._looked = trio.Event()

    @property
    def paused(self) -> bool:
        """Whether the backend refuses our secret, so that nothing is delivered."""
        return self._gate.flow is Flow.PAUSED

    def statistics(self) -> Statistics:
        """As of the last look, which is never older than ``LOOK_SECONDS`` while anything is pending or dead."""
        oldest_ms = self._queue.oldest_ms
        return Statistics(
            pending=self._queue.pending,
            dead=self._queue.dead,
            in_flight=self._in_flight,
            oldest_seconds=0.0 if oldest_ms is None else max(0.0, (self._now_ms() - oldest_ms) / 1000),
            flow=self._gate.flow,
        )

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Delivers until it is cancelled. A post that is cut short stays owed."""
        async with trio.open_nursery() as posts:
            task_status.started()
            while True:
                self._begun += 1
                passed_over = bool(self._busy)
                self._queue = await self._journal.queue(IN_FLIGHT, self._busy)
                self._passed_over = passed_over
                room = self._gate.room(trio.current_time(), self._in_flight)
                for owed in self._queue.due[:room]:
                    self._in_flight += 1
                    self._busy.add(owed.delivery.interview_id)
                    posts.start_soon(self._deliver, owed)
                self._completed = self._begun
                self._looked.set()
                self._looked = trio.Event()
                await self._journal.outbox_bell.heard(self._pause())

    async def drained(self, deadline: float) -> int:
        """Waits until nothing more can be delivered before ``deadline`` (Trio's clock); how many stay owed."""
        with trio.move_on_at(deadline):
            await self._settle()
            seen = self._begun
            self._journal.outbox_bell.ring()
            while self._completed <= seen or self._may_deliver_before(deadline):
                await self._looked.wait()
        return self._queue.pending

    def _pause(self) -> float | None:
        """Seconds until the next look, None to wait for the bell."""
        queue = self._queue
        if not (queue.pending or queue.dead):
            return None
        waits = [LOOK_SECONDS]
        if queue.next_ms is not None:
            waits.append((queue.next_ms - self._now_ms()) / 1000)
        if queue.due and self._gate.flow is not Flow.OPEN and not self._in_flight:
            waits.append(self._gate.probe_at - trio.current_time())
        return max(min(waits), 0.0)

    def _may_deliver_before(self, deadline: float) -> bool:
        if self._busy or self._passed_over:
            return True
        if self._gate.flow is not Flow.OPEN and self._gate.probe_at >= deadline:
            return False
        until_ms = self._now_ms() + (deadline - trio.current_time()) * 1000
        return bool(self._queue.due) or (self._queue.next_ms is not None and self._queue.next_ms < until_ms)

    async def _deliver(self, owed: Owed) -> None:
        interview_id = owed.delivery.interview_id
        began = trio.current_time()
        try:
            outcome = await self._post(owed)
            self._meters.backend_call(owed.delivery.kind, _name(outcome), trio.current_time() - began)
            self._take(owed, outcome)
        finally:
            self._in_flight -= 1
            self._journal.outbox_bell.ring()
        # The interview's next delivery waits until this outcome cannot be lost.
        await self._settle()
        self._busy.discard(interview_id)
        self._journal.outbox_bell.ring()

    async def _post(self, owed: Owed) -> Outcome:
        try:
            return await self._backend.post(owed.delivery)
        except trio.Cancelled:
            self._log.warning("delivery.cut", **_identity(owed))
            raise
        except Exception as error:  # noqa: BLE001 - a bug in a wire must not stop all other deliveries
            self._log.error("delivery.bug", **_identity(owed), exc_info=error)
            return Retry(None, f"a bug ({type(error).__name__})", ambiguous=True)

    def _take(self, owed: Owed, outcome: Outcome) -> None:
        """What an outcome means for the delivery and for the gate."""
        before = self._gate.flow
        now, now_ms = trio.current_time(), self._now_ms()
        match outcome:
            case Delivered():
                after = owed.acknowledged(now_ms)
                self._gate.answered()
                waited = (now_ms - owed.delivery.created_ms) / 1000
                self._log.info("delivery.done", **_identity(after), seconds=round(waited, 3))
                self._delivered(owed.delivery)
            case Refused(status, cause):
                after = owed.refused(status, cause)
                self._gate.answered()
                self._log.error("delivery.dead", **_identity(after), status=status, cause=cause)
            case Unauthorized(status):
                cause = f"the backend refuses WORKER_SHARED_SECRET ({status})"
                # Due again at once: it is the gate that waits.
                after = owed.postponed(now_ms, status, cause)
                self._gate.unauthorized(now)
                self._log.error("outbox.paused", cause=cause, pending=self._queue.pending)
            case Retry(status, cause, retry_after, ambiguous):
                delay = retry_delay(owed.attempts, self._chance(), retry_after)
                after = owed.postponed(now_ms + int(delay * 1000), status, cause)
                self._gate.failed(owed.key, now)
                self._log.warning(
                    "delivery.retried", **_identity(after), status=status, cause=cause, wait=round(delay, 3)
                )
                if ambiguous and owed.delivery.kind is Kind.TRANSCRIPT:
                    self._log.warning(
                        "delivery.ambiguous",
                        **_identity(after),
                        key=owed.key,
                        note="it may be stored already: posted again with the same Idempotency-Key, it would "
                        "stand twice on a backend that ignores the key",
                    )
            case _:
                assert_never(outcome)
        self._journal.keep_owed(after)
        if before is not self._gate.flow and self._gate.flow is Flow.HELD:
            self._log.error("outbox.held", pending=self._queue.pending)
        elif before is not self._gate.flow and self._gate.flow is Flow.OPEN:
            self._log.info("outbox.resumed", pending=self._queue.pending)

    async def _settle(self) -> None:
        try:
            await self._journal.flush()
        except JournalError as error:
            # The journal holds it in memory and says so itself.
            self._log.warning("outbox.not_durable", cause=str(error))


def _identity(owed: Owed) -> dict[str, object]:
    return {
        "interview": owed.delivery.interview_id,
        "kind": owed.delivery.kind.value,
        "attempts": owed.attempts,
    }


def _name(outcome: Outcome) -> str:
    return type(outcome).__name__.lower()
