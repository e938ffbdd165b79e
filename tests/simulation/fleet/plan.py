"""What a seed wants to happen to several hosts, to their database and between them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
import enum
import random
from typing import Any

from preppald.shared.protocol import LEASE_SECONDS
from preppald.simulator import faults
from tests.simulation.application import DOWN, WELL, Mood
from tests.simulation.fleet.engine import Way
from tests.simulation.network import CALM, Fault, Weather
from tests.simulation.tab import Character

MINUTE = 60.0
NAMES = "abcd"
# Both ways, or one of them.
WAYS = tuple((there, back) for there in Way for back in Way if (there, back) != (Way.FREE, Way.FREE))


class Act(enum.Enum):
    """The faults."""

    KILL = "kill -9 of a process; the disk stays"
    LOSE = "a host is gone with its disk, and comes back with an empty one"
    PAUSE = "a process is stopped for up to three leases"
    ENGINE_LINK = "a host's way to the database is cut or held, in one direction or both"
    CANDIDATE_LINK = "a host is cut off from candidates"
    PEER_LINK = "a host is cut off from the others"
    LOST_ANSWERS = "statements of a host are done, and nobody hears of it"
    ENGINE_AWAY = "the database is gone, or stopped"
    FAILOVER = "a standby takes over, with another clock, and maybe without the last seconds"
    SLOW_ENGINE = "statements take seconds"
    DRAIN = "SIGTERM to a process, which is started again"
    ROLLING = "the same, one host after the other"
    BACKEND = "the backend's mood changes"


# One fault of a host is commoner than one of the database.
OFTEN = (Act.KILL, Act.KILL, Act.LOSE, Act.LOSE, Act.PAUSE, Act.PAUSE, Act.ENGINE_LINK, Act.ENGINE_LINK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """``seconds``: how long it lasts; of a drain, how long its patience. ``there``, ``back``: of a host's way, or the database.

    ``fault``: of connections. ``count``: of answers, or of a statement's seconds. ``lacks``: seconds that a standby is behind; None: it lacks nothing."""

    at: float
    act: Act
    host: int = 0
    seconds: float = 0.0
    there: Way = Way.FREE
    back: Way = Way.FREE
    fault: Fault = Fault.CUT
    count: int = 0
    clock: float = 0.0
    lacks: float | None = None
    mood: Mood = WELL


@dataclass(frozen=True, slots=True, kw_only=True)
class Ailment:
    """The faults of every connection to Gemini that comes within a time. ``begins``, ``ends``: seconds."""

    begins: float
    ends: float
    faults: tuple[faults.Fault, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``users``: the user of each candidate, of whom ``limit`` interviews may be live at a time.

    ``checks``: whether the balancer knows which hosts answer. ``keep``: seconds for which a host keeps what the database has; as much shorter than usual as an evening here is.
    ``models``: those that the hosts are to use; none: as ever.
    """

    seed: int
    hosts: int
    seconds: float
    session_limit: float
    grace: float
    keep: float
    weather: Weather
    faulty_gemini: float
    candidates: tuple[Character, ...]
    users: tuple[str, ...]
    limit: int
    checks: bool
    events: tuple[Event, ...]
    models: tuple[str, ...] = ()
    ailments: tuple[Ailment, ...] = ()

    def acts(self) -> frozenset[Act]:
        return frozenset(event.act for event in self.events)


def plan(seed: int) -> Plan:
    """The same for ever for a seed."""
    chance = random.Random(f"fleet {seed}")
    hosts = chance.choice((2, 3, 3, 4))
    seconds = chance.uniform(2, 5) * MINUTE
    candidates = chance.randint(2, 4)
    return Plan(
        seed=seed,
        hosts=hosts,
        seconds=seconds,
        session_limit=chance.choice((2, 3, 5)) * MINUTE,
        grace=chance.choice((30.0, 60.0)),
        keep=chance.choice((20.0, 60.0)),
        weather=CALM if chance.random() < 0.5 else Weather(latency=0.05, jitter=0.05, fatal=0.2),
        faulty_gemini=chance.choice((0.0, 0.0, 0.2)),
        candidates=tuple(_character(chance, seconds) for _ in range(candidates)),
        users=tuple(f"user-{chance.randrange(candidates)}" for _ in range(candidates)),
        limit=chance.choice((1, 2, 3)),
        checks=chance.random() < 0.7,
        events=tuple(
            sorted(
                (_event(chance, seconds, hosts) for _ in range(chance.randint(1, 5))), key=lambda it: it.at
            )
        ),
    )


def _character(chance: random.Random, seconds: float) -> Character:
    def at_times(share: float) -> float | None:
        return chance.uniform(1, seconds) if chance.random() < share else None

    return Character(
        comes_at=chance.uniform(0, 30),
        pause=chance.uniform(6, 25),
        ends_at=at_times(0.5),
        vanishes_at=at_times(0.1),
        drops_at=tuple(chance.uniform(0, seconds) for _ in range(chance.choice((0, 0, 1, 2)))),
        # At the same instant as the first tab, or later.
        doubles_at=0.0 if chance.random() < 0.15 else at_times(0.1),
    )


def _event(chance: random.Random, seconds: float, hosts: int) -> Event:
    at, host = chance.uniform(5, seconds), chance.randrange(hosts)
    act = chance.choice((*OFTEN, *Act))
    return replace(_DRAWN[act](chance), at=at, act=act, host=host)


def _event_of(**values: Any) -> Event:
    return Event(at=0.0, act=Act.KILL, **values)


def _cut(chance: random.Random) -> Event:
    there, back = chance.choice(WAYS)
    return _event_of(there=there, back=back, seconds=chance.choice((3.0, 15.0, 40.0, 90.0)))


def _failover(chance: random.Random) -> Event:
    return _event_of(
        seconds=chance.uniform(1, 8),
        clock=chance.choice((0.0, -5.0, 5.0)),
        lacks=chance.choice((None, None, 0.5, 3.0)),
    )


def _mood(chance: random.Random) -> Event:
    return _event_of(mood=chance.choice((WELL, DOWN, Mood(fails=0.5, loses_answer=0.3), Mood(hangs=0.4))))


def _down(chance: random.Random) -> Event:
    """Most are back at once, or after a lease; some hosts do not come back for long."""
    return _event_of(seconds=chance.choice((1.0, 5.0, 20.0, 120.0)))


_DRAWN: dict[Act, Callable[[random.Random], Event]] = {
    Act.KILL: _down,
    Act.LOSE: _down,
    Act.PAUSE: lambda chance: _event_of(seconds=chance.uniform(1, 3 * LEASE_SECONDS)),
    Act.ENGINE_LINK: _cut,
    Act.CANDIDATE_LINK: lambda chance: _event_of(
        seconds=chance.uniform(1, 40), fault=chance.choice((Fault.CUT, Fault.BLACK_HOLE))
    ),
    Act.PEER_LINK: lambda chance: _event_of(
        seconds=chance.uniform(1, 40), fault=chance.choice((Fault.CUT, Fault.BLACK_HOLE))
    ),
    Act.LOST_ANSWERS: lambda chance: _event_of(count=chance.randint(1, 5)),
    Act.ENGINE_AWAY: lambda chance: _event_of(
        there=chance.choice((Way.REFUSED, Way.HELD)), seconds=chance.choice((2.0, 8.0, 25.0, 60.0))
    ),
    Act.FAILOVER: _failover,
    Act.SLOW_ENGINE: lambda chance: _event_of(seconds=chance.uniform(5, 60), count=chance.randint(1, 3)),
    Act.DRAIN: lambda chance: _event_of(seconds=chance.uniform(0, 30)),
    Act.ROLLING: lambda chance: _event_of(seconds=chance.uniform(0, 10)),
    Act.BACKEND: _mood,
}
