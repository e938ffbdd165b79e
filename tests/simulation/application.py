"""The application's backend, and the bookkeeper of the promise: posted when durable, stored once, never again."""

from dataclasses import dataclass
import random
from typing import Self

import trio

from preppald.backend import Delivered, Outcome, Probe, Retry, Unauthorized
from preppald.core.context import NOTHING_KNOWN, Context
from preppald.core.deliveries import Delivery, State
from tests.simulation.disk import Disk

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


WELL = Mood()
DOWN = Mood(fails=1.0)


class Application:
    """One backend for a run. ``stored``: by idempotency key, in the order of storing."""

    def __init__(self, disk: Disk, chance: random.Random) -> None:
        self.mood = WELL
        self.stored: dict[str, Delivery] = {}
        self.posts = 0
        self.faults: list[str] = []
        self._disk = disk
        self._chance = chance

    async def take(self, delivery: Delivery, *, excused: bool) -> Outcome:
        """One request. Whoever is killed meanwhile may have been served or not.

        ``excused``: it came from memory, for the disk takes nothing.
        """
        self.posts += 1
        if not excused:
            self._audit(delivery)
        mood, roll = self.mood, self._chance.random()
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

    def _audit(self, delivery: Delivery) -> None:
        match self._disk.state_of(delivery.key):
            case None:
                self.faults.append(f"{delivery.key} was posted before it was durable")
            case State.DONE:
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
        self._unplugged = False

    def unplug(self) -> None:
        self._unplugged = True

    async def post(self, delivery: Delivery) -> Outcome:
        if self._unplugged:
            return Retry(None, "the process is dead")
        return await self._application.take(delivery, excused=self.excused)

    async def context(self, _interview_id: str) -> Context | Outcome:
        await trio.lowlevel.checkpoint()
        return NOTHING_KNOWN

    async def probe(self) -> Probe:
        raise AssertionError("nobody asks")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass
