"""The application's backend, and the bookkeeper of the promise: posted when durable, stored once, never again."""

from dataclasses import dataclass
import random
from typing import Self

import trio

from preppald.backend import Delivered, Outcome, Probe, Retry, Unauthorized
from preppald.core.context import NOTHING_KNOWN, Context
from preppald.core.deliveries import Delivery, DeliveryKind, DeliveryState
from tests.simulation.disk import LOSS_SECONDS, Disk

# The client's own bound: a post that hangs comes back as this.
HANG_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mood:
    """The shares of posts that fail, each in its way."""

    fails: float = 0.0  # 500, 429 or no connection: nothing stored
    loses_answer: float = 0.0  # stored, and nobody hears of it
    hangs: float = 0.0  # the same, slowly, and stored or not
    refuses_secret: float = 0.0
    latency: float = 0.05
    only: str = ""  # towards this interview's deliveries alone


WELL = Mood()
DOWN = Mood(fails=1.0)


class Application:
    """One backend for a run. ``stored``: by idempotency key, in the order of storing."""

    def __init__(self, disk: Disk, chance: random.Random) -> None:
        self.mood = WELL
        self.stored: dict[str, Delivery] = {}
        self.posts = 0
        self.faults: list[str] = []
        # Who was told that a delivery is stored, and when.
        self._told: dict[str, tuple[Client, float]] = {}
        self._disk = disk
        self._chance = chance

    async def take(self, delivery: Delivery, client: "Client") -> Outcome:
        """One request, to its answer. Whoever is killed meanwhile may have been served or not."""
        outcome = await self._serve(delivery, client)
        if isinstance(outcome, Delivered) and not client.dead:
            self._told[delivery.key] = (client, trio.current_time())
        return outcome

    async def _serve(self, delivery: Delivery, client: "Client") -> Outcome:
        self.posts += 1
        self._audit(delivery, client)
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
        self._store(delivery)
        if roll < mood.loses_answer:
            return Retry(None, "closed the connection before a complete answer", ambiguous=True)
        await trio.sleep(mood.latency * self._chance.random())
        return Delivered()

    def _failure(self) -> Outcome:
        match self._chance.randrange(3):
            case 0:
                return Retry(429, "answered 429", retry_after=float(self._chance.randint(1, 60)))
            case 1:
                return Retry(500, "answered 500")
            case _:
                return Retry(None, "cannot be reached")

    def _audit(self, delivery: Delivery, client: "Client") -> None:
        told, at = self._told.get(delivery.key, (None, 0.0))
        if told is client:
            self.faults.append(f"{delivery.key} was posted again by a process that knew it acknowledged")
        elif told is not None and told.recorded(at):
            self.faults.append(
                f"{delivery.key} was posted again though a process before knew it acknowledged"
            )
        if client.excused:
            return
        match self._disk.state_of(delivery.key):
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


class Client:
    """The backend as one process sees it; a dead one reaches nobody.

    ``excused``: its journal said that it cannot write, and has not said yet that it can again.
    """

    def __init__(self, application: Application) -> None:
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

    async def knows(self, _interview_id: str) -> bool | None:
        await trio.lowlevel.checkpoint()
        return True

    async def probe(self) -> Probe:
        raise AssertionError("nobody asks")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass
