"""Posts deliveries until the backend has all of them.

Rule 1: a delivery is posted only when the journal has it on disk; with a fault of the disk, from memory. Where hosts
        share a journal, only when that has it, too, as this instance's: the gate knows.
Rule 2: only the backend's acknowledgement settles a delivery, and it is never posted after that.
Rule 3: deliveries of one interview are posted in their order, one at a time; a dead one holds up nothing.
Rule 4: an answer is judged for what it is about: this delivery, this interview, or the whole backend (breaker.py).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import assert_never

import trio

from preppald.backend.breaker import IN_FLIGHT, SLOW_SECONDS, Breaker, Flow
from preppald.backend.gate import Gate, Gatekeeper
from preppald.backend.outcomes import Absent, Backend, Delivered, Outcome, Refused, Retry, Unauthorized
from preppald.core.deliveries import (
    RETRY_CAP_SECONDS,
    RETRY_EXPONENT_CAP,
    Delivery,
    DeliveryKind,
    DeliveryState,
    OutboxEntry,
    retry_delay,
)
from preppald.errors import JournalError
from preppald.journal import Journal, Queue
from preppald.telemetry.interfaces import DeliveryMeters, Log, NoMeters

# New rows wake the outbox. It looks by itself only for an operator's changes from outside, and only while there is
# something that an operator could change.
LOOK_SECONDS = 5.0
# Tries that failed with 500 before the application is asked if it has the interview at all, and again at each
# doubling: it answers so for an interview that was deleted, and would for ever.
TRIES_BEFORE_ASKING = 4
SERVER_ERROR = 500
# The first wait of one interview whose posts the application forbids; doubled to the cap of all waits.
FORBIDDEN_SECONDS = 30.0
# A procedure that the application lacks is offered again after this, or at a reload: an upgrade is noticed by then.
ABSENT_SECONDS = 3600.0
# Deliveries whose procedure an application may lack.
OPTIONAL = frozenset({DeliveryKind.FEEDBACK, DeliveryKind.VERIFICATION})
# Of these a refusal is the answer of an application that does not know them: it is not asked again before a restart or a
# reload.
UNTIL_A_RESTART = float("inf")
OURS = frozenset({DeliveryKind.VERIFICATION})
NOT_TAKEN = "not taken here: the application has no procedure for it"
UNKNOWN = "the application does not know this interview: deleted there?"


@dataclass(frozen=True, slots=True)
class Statistics:
    """For the metrics. ``oldest_seconds``: the age of the oldest pending delivery, 0 without one.

    ``held``: deliveries that were due at the last look, and that the gate did not let through yet.
    """

    pending: int
    dead: int
    in_flight: int
    oldest_seconds: float
    flow: Flow
    held: int = 0


class Outbox:
    """Post what the journal's outbox holds. ``run`` is the task.

    ``chance`` gives random numbers in [0, 1); ``now_ms`` is the wall clock in milliseconds; ``delivered`` is called
    with each delivery that the backend acknowledged, ``settled`` with each row that is pending no more. ``gate``: None for
    one host alone.
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
        settled: Callable[[OutboxEntry], None] = lambda _owed: None,
        gate: Gate | None = None,
    ) -> None:
        self._journal = journal
        self._backend = backend
        self._log = log
        self._now_ms = now_ms
        self._chance = chance
        self._meters = meters or NoMeters()
        self._delivered = delivered
        self._settled = settled
        self._keeper = None if gate is None else Gatekeeper(gate, log)
        self._breaker = Breaker()
        # When each post in flight began, by interview.
        self._in_flight: dict[str, float] = {}
        # Dead letters of the refusals that may turn out to be about the whole backend.
        self._suspects: list[OutboxEntry] = []
        # Until when each optional kind counts as absent (Trio's clock).
        self._absent: dict[DeliveryKind, float] = {}
        # Interviews with a delivery in flight, or acknowledged and not yet durable.
        self._busy: set[str] = set()
        # True where the last look passed over such interviews: it says nothing about their other deliveries.
        self._passed_over = False
        self._queue = Queue()
        # Looks begun and looks completed: a task that needs a fresh look waits for its number.
        self._begun = self._completed = 0
        self._looked = trio.Event()

    @property
    def paused(self) -> bool:
        """True while the backend refuses our secret, so that nothing is delivered."""
        return self._breaker.flow is Flow.PAUSED

    def statistics(self) -> Statistics:
        """Return the counts of the last look, at most ``LOOK_SECONDS`` old while anything is pending or dead."""
        oldest_ms = self._queue.oldest_ms
        return Statistics(
            pending=self._queue.pending,
            dead=self._queue.dead,
            in_flight=len(self._in_flight),
            oldest_seconds=0.0 if oldest_ms is None else max(0.0, (self._now_ms() - oldest_ms) / 1000),
            flow=self._breaker.flow,
            held=0 if self._keeper is None else self._keeper.held,
        )

    def renew(self) -> None:
        """Offer again what the application lacked: it may have been upgraded."""
        self._absent.clear()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Deliver until cancelled. A post that is cut short stays owed."""
        async with trio.open_nursery() as posts:
            task_status.started()
            while True:
                self._begun += 1
                passed_over = bool(self._busy)
                self._queue = await self._look()
                self._passed_over = passed_over
                for owed in self._queue.due[: self._room()]:
                    self._in_flight[owed.delivery.interview_id] = trio.current_time()
                    self._busy.add(owed.delivery.interview_id)
                    posts.start_soon(self._deliver, owed)
                self._completed = self._begun
                self._looked.set()
                self._looked = trio.Event()
                await self._journal.outbox_bell.heard(self._pause())

    async def drained(self, deadline: float) -> int:
        """Wait until nothing more can be delivered before ``deadline`` (Trio's clock); return how many stay owed."""
        with trio.move_on_at(deadline):
            await self._settle()
            seen = self._begun
            self._journal.outbox_bell.ring()
            while self._completed <= seen or self._may_deliver_before(deadline):
                await self._looked.wait()
        return self._queue.pending

    async def _look(self) -> Queue:
        """Return the outbox now, with those deliveries as due that the gate lets through.

        Some may be another host's for ever: they are passed over, and hold up nothing.
        """
        queue = await self._journal.queue(IN_FLIGHT, self._busy)
        keeper, due = self._keeper, queue.due
        if keeper is None:
            return queue
        passed_over = set(self._busy)
        while not (through := keeper.let_through(due)) and (others := keeper.in_the_way(due)):
            passed_over.update(others)
            due = (await self._journal.queue(IN_FLIGHT, passed_over)).due
        return replace(queue, due=through)

    def _room(self) -> int:
        now = trio.current_time()
        slow = sum(now - began >= SLOW_SECONDS for began in self._in_flight.values())
        return self._breaker.room(now, len(self._in_flight), slow)

    def _pause(self) -> float | None:
        """Return the seconds until the next look, None to wait until woken."""
        queue = self._queue
        if not (queue.pending or queue.dead):
            return None
        waits = [LOOK_SECONDS]
        if queue.next_ms is not None:
            waits.append((queue.next_ms - self._now_ms()) / 1000)
        now = trio.current_time()
        if queue.due and self._breaker.flow is not Flow.OPEN and not self._in_flight:
            waits.append(self._breaker.probe_at - now)
        if queue.due and self._breaker.flow is Flow.OPEN:
            waits += [
                left for began in self._in_flight.values() if (left := began + SLOW_SECONDS - now) > 0.0
            ]
        return max(min(waits), 0.0)

    def _may_deliver_before(self, deadline: float) -> bool:
        if self._busy or self._passed_over:
            return True
        if self._breaker.flow is not Flow.OPEN and self._breaker.probe_at >= deadline:
            return False
        until_ms = self._now_ms() + (deadline - trio.current_time()) * 1000
        if self._queue.due or (self._keeper is not None and self._keeper.held):
            return True
        return self._queue.next_ms is not None and self._queue.next_ms < until_ms

    async def _deliver(self, owed: OutboxEntry) -> None:
        interview_id = owed.delivery.interview_id
        began = trio.current_time()
        try:
            outcome = await self._post(owed)
            self._meters.backend_call(owed.delivery.kind, _name(outcome), trio.current_time() - began)
            self._take(owed, outcome)
        finally:
            del self._in_flight[interview_id]
            self._journal.outbox_bell.ring()
        # The interview's next delivery waits until this outcome cannot be lost.
        await self._settle()
        self._busy.discard(interview_id)
        self._journal.outbox_bell.ring()

    async def _post(self, owed: OutboxEntry) -> Outcome:
        if trio.current_time() < self._absent.get(owed.delivery.kind, 0.0):
            return Absent(0, NOT_TAKEN)
        try:
            outcome = await self._backend.post(owed.delivery)
            failing = isinstance(outcome, Retry) and outcome.status == SERVER_ERROR
            if failing and _time_to_ask(owed.attempts + 1):
                known = await self._backend.knows(owed.delivery.interview_id)
                outcome = Refused(404, UNKNOWN) if known is False else outcome
        except trio.Cancelled:
            self._log.warning("delivery.cut", **_identity(owed))
            raise
        except Exception as error:  # noqa: BLE001 - a bug in a wire must not stop all other deliveries
            self._log.error("delivery.bug", **_identity(owed), exc_info=error)
            return Retry(None, f"a bug ({type(error).__name__})", ambiguous=True)
        if owed.delivery.kind in OURS and isinstance(outcome, Refused) and outcome.cause != UNKNOWN:
            return Absent(outcome.status or 0, outcome.cause)
        return outcome

    def _take(self, owed: OutboxEntry, outcome: Outcome) -> None:
        """Record what an outcome means for the delivery and for the flow."""
        before = self._breaker.flow
        now_ms = self._now_ms()
        match outcome:
            case Delivered():
                after = self._accepted(owed, now_ms)
            case Refused(status, cause):
                after = self._refused(owed, status, cause)
            case Unauthorized(status):
                after = self._unauthorized(owed, status, now_ms)
            case Absent(status, cause):
                after = self._lacking(owed, status, cause, now_ms)
            case Retry():
                after = self._failed(owed, outcome, now_ms)
            case _:
                assert_never(outcome)
        self._journal.keep_owed(after)
        if after.state is not DeliveryState.PENDING:
            self._settled(after)
        held = self._breaker.flow is not Flow.OPEN
        # Also in a hold that began for another reason.
        if held and (before is Flow.OPEN or self._breaker.all_refused):
            self._revive(after)
        self._report(before, after)

    def _accepted(self, owed: OutboxEntry, now_ms: int) -> OutboxEntry:
        after = owed.acknowledged(now_ms)
        self._breaker.answered(owed.key)
        self._suspects.clear()
        waited = (now_ms - owed.delivery.created_ms) / 1000
        self._log.info("delivery.done", **_identity(after), seconds=round(waited, 3))
        try:
            self._delivered(owed.delivery)
        except Exception as error:  # noqa: BLE001 - what follows from a delivery must not undo its acknowledgement
            self._log.error("delivery.bug", **_identity(after), exc_info=error)
        return after

    def _refused(self, owed: OutboxEntry, status: int | None, cause: str) -> OutboxEntry:
        """Make a dead letter of the delivery, unless every interview is refused alike."""
        told = cause != UNKNOWN and status is not None and owed.delivery.kind not in OPTIONAL
        if told and self._breaker.refused(
            owed.key, owed.delivery.interview_id, f"{status} {cause}", trio.current_time()
        ):
            return owed.postponed(self._now_ms(), status, cause)  # due again at once: the breaker waits
        after = owed.refused(status, cause)
        if told:
            self._suspects.append(after)
        self._log.error("delivery.dead", **_identity(after), status=status, cause=cause)
        return after

    def _unauthorized(self, owed: OutboxEntry, status: int, now_ms: int) -> OutboxEntry:
        """Hold this interview alone with a growing wait; never a dead letter, for a secret is mended by people."""
        cause = f"the backend refuses WORKER_SHARED_SECRET ({status})"
        if self._breaker.refused(
            owed.key, owed.delivery.interview_id, cause, trio.current_time(), secret=True
        ):
            return owed.postponed(now_ms, status, cause)
        wait = min(FORBIDDEN_SECONDS * (1 << min(owed.attempts, RETRY_EXPONENT_CAP)), RETRY_CAP_SECONDS)
        after = owed.postponed(now_ms + int(wait * 1000), status, cause)
        self._log.warning("delivery.retried", **_identity(after), status=status, cause=cause, wait=wait)
        return after

    def _lacking(self, owed: OutboxEntry, status: int, cause: str, now_ms: int) -> OutboxEntry:
        """Close what an application may lack; wait with everything else until it has the procedure again."""
        if owed.delivery.kind in OPTIONAL:
            if cause != NOT_TAKEN:
                again = (
                    UNTIL_A_RESTART if owed.delivery.kind in OURS else trio.current_time() + ABSENT_SECONDS
                )
                self._absent[owed.delivery.kind] = again
                self._log.info("delivery.not_taken", **_identity(owed), status=status, cause=cause)
            return owed.closed(now_ms, NOT_TAKEN)
        self._breaker.hold(trio.current_time())
        return owed.postponed(now_ms, status, cause)

    def _failed(self, owed: OutboxEntry, outcome: Retry, now_ms: int) -> OutboxEntry:
        delay = retry_delay(owed.attempts, self._chance(), outcome.retry_after)
        after = owed.postponed(now_ms + int(delay * 1000), outcome.status, outcome.cause)
        self._breaker.failed(owed.key, trio.current_time())
        self._log.warning(
            "delivery.retried",
            **_identity(after),
            status=outcome.status,
            cause=outcome.cause,
            wait=round(delay, 3),
        )
        if outcome.ambiguous and owed.delivery.kind is DeliveryKind.TRANSCRIPT:
            self._log.warning(
                "delivery.ambiguous",
                **_identity(after),
                key=owed.key,
                note="it may be stored already: posted again with the same Idempotency-Key, it would "
                "stand twice on a backend that ignores the key",
            )
        return after

    def _revive(self, last: OutboxEntry) -> None:
        """Owe again the dead letters of equal refusals: they were about the backend."""
        alike = [dead for dead in self._suspects if dead.last_error == last.last_error]
        for dead in alike:
            self._journal.keep_owed(dead.revived())
        if alike:
            self._log.info("delivery.revived", count=len(alike), cause=last.last_error)
        # Others are judged when more of their kind come.
        self._suspects = [dead for dead in self._suspects if dead not in alike]

    def _report(self, before: Flow, after: OutboxEntry) -> None:
        flow = self._breaker.flow
        if flow is before:
            return
        match flow:
            case Flow.HELD:
                self._log.error("outbox.held", pending=self._queue.pending, cause=after.last_error)
            case Flow.PAUSED:
                self._log.error("outbox.paused", pending=self._queue.pending, cause=after.last_error)
            case Flow.OPEN:
                self._log.info("outbox.resumed", pending=self._queue.pending)

    async def _settle(self) -> None:
        try:
            await self._journal.flush()
        except JournalError as error:
            # The journal holds it in memory and says so itself.
            self._log.warning("outbox.not_durable", cause=str(error))


def _identity(owed: OutboxEntry) -> dict[str, object]:
    return {
        "interview": owed.delivery.interview_id,
        "kind": owed.delivery.kind.value,
        "attempts": owed.attempts,
    }


def _time_to_ask(tries: int) -> bool:
    """Return True at the fourth try, and at each doubling of that."""
    return tries >= TRIES_BEFORE_ASKING and tries & (tries - 1) == 0


def _name(outcome: Outcome) -> str:
    return type(outcome).__name__.lower()
