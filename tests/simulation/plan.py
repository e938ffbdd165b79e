"""What a seed wants to happen: who comes, how the parts misbehave, when the daemon dies."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
import enum
import random

from tests.simulation.application import DOWN, WELL, Mood
from tests.simulation.damage import Damage
from tests.simulation.network import CALM, Weather
from tests.simulation.tab import Character

# One seed in so many is an hour with one quiet candidate; the others are short and wild.
LONG_EVERY = 25
HOUR = 3600.0
MINUTE = 60.0
# A full disk is noticed to have space again within seconds, and a goodbye takes as long.
APART_SECONDS = 15.0


class Act(enum.Enum):
    """What can be done to the host."""

    KILL = "kill -9, and the loss of all that was not durable"
    DRAIN = "SIGTERM, and a second one when the patience is over"
    CLOCK = "the wall clock jumps"
    SLOW_DISK = "flushes take seconds"
    FULL_DISK = "nothing can be written"
    BACKEND = "the backend's mood changes"
    NETWORK = "the weather changes"
    DAMAGE = "kill -9, and the disk damages what it holds"


# The order and number of these decide what a seed does.
WITHOUT_DAMAGE = tuple(act for act in Act if act is not Act.DAMAGE)


@dataclass(frozen=True, slots=True)
class Event:
    """``amount``: seconds of down time, of a disk's trouble, of the patience with a drain or of the clock's jump."""

    at: float
    act: Act
    amount: float = 0.0
    mood: Mood = WELL
    weather: Weather = CALM
    damage: Damage = Damage.FLIP


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    seed: int
    seconds: float
    session_limit: float
    grace: float
    weather: Weather
    faulty_gemini: float
    candidates: tuple[Character, ...]
    events: tuple[Event, ...]

    @property
    def damages(self) -> bool:
        """Whether the disk damages anything."""
        return any(event.act is Act.DAMAGE for event in self.events)


def damaging(seed: int) -> Plan:
    """The plan of a seed with one to three kills more, after each of which the disk damages what it holds.

    The backend is in trouble with one interview alone, or not at all.
    """
    the, chance = plan(seed), random.Random(f"damage {seed}")
    alone = f"iv-{chance.randrange(len(the.candidates))}"
    moods = [
        Mood(refuses_secret=1.0, only=alone),
        Mood(fails=1.0, only=alone),
        Mood(hangs=1.0, only=alone),
        WELL,
    ]
    others = [event for event in the.events if event.act is not Act.BACKEND]
    others.append(Event(chance.uniform(0, the.seconds / 2), Act.BACKEND, mood=chance.choice(moods)))
    harms = [
        Event(
            chance.uniform(10, the.seconds),
            Act.DAMAGE,
            chance.choice((0.0, 1.0, 5.0)),
            damage=chance.choice([Damage.FLIP, Damage.FLIP, *Damage]),
        )
        for _ in range(chance.choice((1, 1, 2, 3)))
    ]
    return replace(the, events=_apart(sorted((*others, *harms), key=lambda it: it.at)))


def plan(seed: int) -> Plan:
    """The same for ever for a seed."""
    chance = random.Random(f"plan {seed}")
    long = seed % LONG_EVERY == 0
    limit = HOUR if long else chance.choice((3, 5, 8, 10)) * MINUTE
    seconds = limit + 3 * MINUTE if long else chance.uniform(3, 10) * MINUTE
    return Plan(
        seed=seed,
        seconds=seconds,
        session_limit=limit,
        grace=chance.choice((15.0, 60.0)),
        weather=_weather(chance),
        faulty_gemini=chance.choice((0.0, 0.2, 0.6)),
        candidates=tuple(
            _character(chance, seconds, long=long) for _ in range(1 if long else chance.randint(1, 3))
        ),
        events=_apart(
            sorted((_event(chance, seconds) for _ in range(chance.randint(1, 7))), key=lambda it: it.at)
        ),
    )


def _apart(events: Sequence[Event]) -> tuple[Event, ...]:
    """Without the disks that are full while the daemon ends: what only memory has dies with it, by two faults."""

    def overlap(one: Event, other: Event) -> bool:
        return (
            one.at < other.at + other.amount + APART_SECONDS
            and other.at < one.at + one.amount + APART_SECONDS
        )

    ends = [event for event in events if event.act in {Act.KILL, Act.DRAIN, Act.DAMAGE}]
    return tuple(
        event
        for event in events
        if event.act is not Act.FULL_DISK or not any(overlap(event, end) for end in ends)
    )


def _character(chance: random.Random, seconds: float, *, long: bool) -> Character:
    def at_times(share: float) -> float | None:
        return chance.uniform(1, seconds) if chance.random() < share else None

    return Character(
        comes_at=chance.uniform(0, 5 if long else 60),
        pause=chance.uniform(40, 60) if long else chance.uniform(6, 40),
        ends_at=at_times(0.5),
        vanishes_at=at_times(0.2),
        drops_at=tuple(chance.uniform(0, seconds) for _ in range(chance.choice((0, 0, 1, 3)))),
        doubles_at=at_times(0.1),
    )


def _event(chance: random.Random, seconds: float) -> Event:
    at = chance.uniform(0, seconds)
    act: Act = chance.choice([Act.KILL, Act.KILL, Act.KILL, *WITHOUT_DAMAGE])
    match act:
        case Act.KILL:
            # Most restarts take a second; some hosts are away for longer than any grace.
            return Event(at, act, chance.choice((0.0, 1.0, 1.0, chance.uniform(5, 300))))
        case Act.DRAIN:
            return Event(at, act, chance.uniform(0, 90))
        case Act.CLOCK:
            return Event(at, act, chance.choice((-1, 1)) * chance.choice((2.0, 60.0, HOUR, 24 * HOUR)))
        case Act.SLOW_DISK:
            return Event(at, act, chance.uniform(1, 30))
        case Act.FULL_DISK:
            return Event(at, act, chance.uniform(1, 60))
        case Act.BACKEND:
            return Event(at, act, mood=_mood(chance))
        case Act.NETWORK:
            return Event(at, act, weather=_weather(chance))
        case Act.DAMAGE:
            raise AssertionError("damaging() draws it")


def _weather(chance: random.Random) -> Weather:
    if chance.random() < 0.3:
        return CALM
    return Weather(
        latency=chance.choice((0.005, 0.05, 0.3)),
        jitter=chance.choice((0.0, 0.05, 1.0)),
        splits=chance.choice((0.0, 0.2)),
        fatal=chance.choice((0.1, 0.4, 0.8)),
    )


def _mood(chance: random.Random) -> Mood:
    return chance.choice(
        (
            WELL,
            DOWN,
            Mood(fails=0.5, loses_answer=0.3),
            Mood(loses_answer=0.6, latency=1.0),
            Mood(hangs=0.4),
            Mood(refuses_secret=0.5),
        )
    )
