"""What a seed wants to happen: who comes, how the parts misbehave, when the daemon dies."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
import enum
import random

from preppald.journal.schema import MIGRATIONS
from tests.simulation.answers import JUDGED, Manner
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
    REPLACE = "the database's name is given to another file, or to none, under the daemon"
    NEIGHBOUR = "another instance's database appears, which owes something"


# Only those plans have these that the disk damages.
DAMAGING = frozenset({Act.DAMAGE, Act.REPLACE, Act.NEIGHBOUR})
# The order and number of these decide what a seed does.
WITHOUT_DAMAGE = tuple(act for act in Act if act not in DAMAGING)
# Manners that one interview alone may meet, and those that everybody meets.
ALONE = tuple(it for it in Manner if it is not Manner.LACKING)
GENERAL = tuple(it for it in Manner if it is not Manner.DELETED)
# A file that was replaced is noticed within a second, and carried over as fast as the disk is.
NOTICED_SECONDS = 5.0


class Instead(enum.Enum):
    """What has the database's name when that was taken."""

    NOTHING = "nothing"
    EMPTY = "an empty file"
    GARBAGE = "a file of something else"
    EARLIER = "an earlier state of the same database: a backup that was brought back"


@dataclass(frozen=True, slots=True)
class Event:
    """``amount``: seconds of down time, of a disk's trouble, of the patience with a drain or of the clock's jump.

    ``version``: of a neighbour's schema, which ``damage`` may meet besides ours.
    """

    at: float
    act: Act
    amount: float = 0.0
    mood: Mood = WELL
    weather: Weather = CALM
    damage: Damage = Damage.FLIP
    instead: Instead = Instead.NOTHING
    version: int = 0


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
    wire: str = "trpc"

    @property
    def damages(self) -> bool:
        """Whether the disk damages anything."""
        return any(event.act is Act.DAMAGE for event in self.events)

    @property
    def moods(self) -> list[Mood]:
        return [event.mood for event in self.events if event.act is Act.BACKEND]


def damaging(seed: int) -> Plan:
    """The plan of a seed with one to three kills more, after each of which the disk damages what it holds.

    Besides that the database is replaced under the daemon, another instance leaves its database, and the backend and
    whatever stands before it answer in odd ways: to one interview's deliveries alone, or to all.
    """
    the, chance = plan(seed), random.Random(f"damage {seed}")
    others = [event for event in the.events if event.act is not Act.BACKEND]
    harms = [
        Event(
            chance.uniform(10, the.seconds),
            Act.DAMAGE,
            chance.choice((0.0, 1.0, 5.0)),
            damage=chance.choice([Damage.FLIP, Damage.FLIP, *Damage]),
        )
        for _ in range(chance.choice((1, 1, 2, 3)))
    ]
    moods = [
        Event(chance.uniform(0, the.seconds), Act.BACKEND, mood=_odd_mood(chance, len(the.candidates)))
        for _ in range(chance.choice((1, 1, 2)))
    ]
    replaced = [
        Event(
            chance.uniform(10, the.seconds), Act.REPLACE, NOTICED_SECONDS, instead=chance.choice([*Instead])
        )
        for _ in range(chance.choice((0, 0, 1)))
    ]
    neighbours = [
        Event(chance.uniform(0, the.seconds), Act.NEIGHBOUR, version=chance.randint(1, len(MIGRATIONS)))
        for _ in range(chance.choice((0, 1)))
    ]
    events = sorted((*others, *harms, *moods, *replaced, *neighbours), key=lambda it: it.at)
    return replace(the, events=_apart(events), wire=chance.choice(("trpc", "protobuf")))


def _odd_mood(chance: random.Random, candidates: int) -> Mood:
    """One that the table of odd answers knows."""
    if chance.random() < 0.2:
        return WELL
    alone = f"iv-{chance.randrange(candidates)}" if chance.random() < 0.5 else ""
    known = ALONE if alone else GENERAL
    manners = tuple(chance.sample(known, chance.choice((1, 1, 3, len(known)))))
    share = 1.0 if not JUDGED.isdisjoint(manners) else chance.choice((0.5, 1.0))
    return Mood(
        hangs=0.0 if share == 1.0 else chance.choice((0.0, 0.2)),
        only=alone,
        odd=share,
        manners=manners,
        latency=chance.choice((0.05, 1.0)),
    )


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
    """Without pairs of faults of which only one is promised to be survived.

    A disk that is full while the daemon ends: what only memory has dies with it. A file that has lost its name and is
    not noticed yet when the daemon is killed, or that cannot be carried over since the disk is full or slow.
    """

    def overlap(one: Event, other: Event) -> bool:
        return (
            one.at < other.at + other.amount + APART_SECONDS
            and other.at < one.at + one.amount + APART_SECONDS
        )

    ends = [event for event in events if event.act in {Act.KILL, Act.DRAIN, Act.DAMAGE}]
    slow = [event for event in events if event.act in {Act.KILL, Act.DAMAGE, Act.SLOW_DISK, Act.FULL_DISK}]
    others = {Act.FULL_DISK: ends, Act.REPLACE: slow}
    return tuple(event for event in events if not any(overlap(event, it) for it in others.get(event.act, ())))


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
        case Act.DAMAGE | Act.REPLACE | Act.NEIGHBOUR:
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
