"""The application's backend, and the bookkeeper of the promise: posted when durable, stored once, never again."""

from dataclasses import dataclass
import random
from typing import Self

import msgspec
import trio

from preppald.backend import Delivered, Outcome, Probe, Refused, Retry, Unauthorized
from preppald.backend.breaker import REFUSALS_THAT_HOLD
from preppald.core.context import NOTHING_KNOWN, Context
from preppald.core.deliveries import Delivery, DeliveryKind, DeliveryState
from tests.simulation.answers import WIRES, Answer, Manner, answer
from tests.simulation.disk import LOSS_SECONDS, Disk

# The client's own bound: a post that hangs comes back as this.
HANG_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mood:
    """The shares of posts that fail, each in its way."""

    fails: float = 0.0  # 500, 429 or no connection: nothing stored
    loses_answer: float = 0.0  # stored, and nobody hears of it
    hangs: float = 0.0  # the same, slowly, and stored or not
    refuses_secret: float = 0.0  # the application, in its own language
    latency: float = 0.05
    only: str = ""  # towards this interview's deliveries alone
    odd: float = 0.0  # answered in one of these manners
    manners: tuple[Manner, ...] = ()


WELL = Mood()
DOWN = Mood(fails=1.0)


class Application:
    """One backend for a run. ``stored``: by idempotency key, in the order of storing."""

    def __init__(self, chance: random.Random, wire: str = "trpc") -> None:
        self.mood = WELL
        self.wire = WIRES[wire]
        self.refusals = Refusals()
        # Interviews that it does not know any more.
        self.deleted: set[str] = set()
        self.stored: dict[str, Delivery] = {}
        self.posts = 0
        self.faults: list[str] = []
        # Who was told that a delivery is stored, and when.
        self._told: dict[str, tuple[Client, float]] = {}
        self._chance = chance

    async def take(self, delivery: Delivery, client: "Client") -> Outcome:
        """One request, to its answer. Whoever is killed meanwhile may have been served or not."""
        try:
            self.wire.encode(delivery)
        except (msgspec.DecodeError, ValueError, OverflowError) as error:
            # As the daemon's own client has it.
            return Refused(None, f"the journal's payload cannot be posted ({type(error).__name__})")
        outcome = await self._serve(delivery, client)
        if not client.dead:
            self.refusals.note(delivery, outcome, client)
            if isinstance(outcome, Delivered):
                self._told[delivery.key] = (client, trio.current_time())
        return outcome

    async def _serve(self, delivery: Delivery, client: "Client") -> Outcome:
        self.posts += 1
        self.audit(delivery, client)
        mood, roll = self.mood, self._chance.random()
        if mood.only and delivery.interview_id != mood.only:
            mood = WELL
        await trio.sleep(mood.latency * self._chance.uniform(0.2, 3))
        if roll < mood.fails:
            return self._failure()
        roll -= mood.fails
        if roll < mood.refuses_secret:
            return Unauthorized(401)
        roll -= mood.refuses_secret
        if roll < mood.hangs:
            if self._chance.random() < 0.5:
                self._store(delivery)
            await trio.sleep(HANG_SECONDS)
            return Retry(None, "no complete answer", ambiguous=True)
        roll -= mood.hangs
        if roll < mood.odd:
            manner = self._chance.choice(mood.manners)
            if manner is Manner.DELETED:
                self.deleted.add(delivery.interview_id)
            given = answer(manner, self.wire, delivery, self._chance)
            if given.stored:
                self._store(delivery)
            return self.wire.decode(given)
        roll -= mood.odd
        self._store(delivery)
        if roll < mood.loses_answer:
            return Retry(None, "closed the connection before a complete answer", ambiguous=True)
        await trio.sleep(mood.latency * self._chance.random())
        return self.wire.decode(Answer(200, self.wire.accepted(delivery.kind, self._chance)))

    def _failure(self) -> Outcome:
        match self._chance.randrange(3):
            case 0:
                return Retry(429, "answered 429", retry_after=float(self._chance.randint(1, 60)))
            case 1:
                return Retry(500, "answered 500")
            case _:
                return Retry(None, "cannot be reached")

    def audit(self, delivery: Delivery, client: "Client") -> None:
        """Note what is wrong about a post. ``client``: of the process that posts."""
        told, at = self._told.get(delivery.key, (None, 0.0))
        if told is client:
            self.faults.append(f"{delivery.key} was posted again by a process that knew it acknowledged")
        elif told is not None and told.recorded(at):
            self.faults.append(
                f"{delivery.key} was posted again though a process before knew it acknowledged"
            )
        if client.excused:
            return
        match client.disk.state_of(delivery.key):
            case None:
                self.faults.append(f"{delivery.key} was posted before it was durable")
            case DeliveryState.DONE:
                self.faults.append(f"{delivery.key} was posted again after its acknowledgement was durable")
            case _:
                pass

    def _store(self, delivery: Delivery) -> None:
        known = self.stored.setdefault(delivery.key, delivery)
        if known.payload != delivery.payload:
            self.faults.append(f"{delivery.key} was posted twice with different content")


class Refusals:
    """Which dead letters the application's own refusals make, and which they must not: three alike hold the queue."""

    def __init__(self) -> None:
        # By delivery, of those whose last answer was a refusal.
        self.refused: set[str] = set()
        self._client: Client | None = None
        self._alike: tuple[int | None, str] = (None, "")
        self._in_a_row: dict[str, set[str]] = {}
        # Refused in a row that held the queue: not dead, unless it is refused once more behind an acceptance.
        self._held: set[str] = set()

    def may_be_dead(self, key: str) -> bool:
        return key in self.refused and key not in self._held

    def note(self, delivery: Delivery, outcome: Outcome, client: "Client") -> None:
        if client is not self._client:  # another process knows nothing of the row
            self._client = client
            self._in_a_row.clear()
        match outcome:
            case Refused(status, cause):
                if (status, cause) != self._alike:
                    self._alike = (status, cause)
                    self._in_a_row.clear()
                self._in_a_row.setdefault(delivery.interview_id, set()).add(delivery.key)
                self.refused.add(delivery.key)
                if len(self._in_a_row) >= REFUSALS_THAT_HOLD:
                    self._held.update(*self._in_a_row.values())
                else:
                    self._held.discard(delivery.key)
            case Delivered():
                self._in_a_row.clear()
                self.refused.discard(delivery.key)
            case _:
                pass


class Client:
    """The backend as one process sees it; a dead one reaches nobody.

    ``disk``: the process's own. ``excused``: its journal said that it cannot write, and has not said yet that it can again.
    """

    def __init__(self, application: Application, disk: Disk) -> None:
        self.disk = disk
        self.excused = False
        self._application = application
        # When it was killed, and whether the disk answered then.
        self._died: tuple[float, bool] | None = None

    @property
    def dead(self) -> bool:
        return self._died is not None

    def unplug(self, *, disk_was_slow: bool) -> None:
        self._died = (trio.current_time(), disk_was_slow)

    def recorded(self, at: float) -> bool:
        """Whether what it learnt then had the time to become durable; one that was not killed flushed at its end."""
        if self._died is None:
            return not self.excused
        died_at, disk_was_slow = self._died
        return not disk_was_slow and not self.excused and died_at > at + LOSS_SECONDS

    async def post(self, delivery: Delivery) -> Outcome:
        if self.dead:
            return Retry(None, "the process is dead")
        return await self._application.take(delivery, self)

    async def context(self, _interview_id: str, block: int = 0) -> Context | Outcome:  # noqa: ARG002 - the interface has it
        await trio.lowlevel.checkpoint()
        return NOTHING_KNOWN

    def lacks(self, _kind: DeliveryKind) -> bool:
        return False

    async def knows(self, interview_id: str) -> bool | None:
        await trio.lowlevel.checkpoint()
        return None if self.dead else interview_id not in self._application.deleted

    async def probe(self) -> Probe:
        raise AssertionError("nobody asks")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass
