"""A sick model of Gemini's, over several hosts with one shared journal: what it costs, and how it passes.

Candidates come one after the other, to any host. One model, or all, fail for a while in one of the ways that Google's do.
"""

from collections.abc import Mapping
from dataclasses import dataclass
import random

from preppald.core.model_health import PROBE_EVERY_SECONDS
from preppald.simulator.faults import Close, Fault, Flawed, Silence
from tests.simulation.fleet.plan import Ailment, Event, Plan
from tests.simulation.fleet.run import play
from tests.simulation.fleet.scene import Scene
from tests.simulation.fleet.verdict import violations
from tests.simulation.network import CALM
from tests.simulation.tab import Character

FIRST, NEXT = "gemini-3.8-live", "gemini-2.5-flash-native-audio-latest"
BEGINS, ENDS = 60.0, 660.0
# Candidates talk for so long, where there is an interviewer.
STAY_SECONDS = 20.0
# The last ones come so long before the end, so that all have left by then.
LAST_SECONDS = 40.0
UNHARMED = frozenset({"user_ended", "moved"})


def kinds(model: str) -> Mapping[str, Fault]:
    """Return the ways in which a model fails."""
    return {
        "1011 at once": Close(connection="all", at="setup", row="internal", model=model),
        "refused": Close(connection="all", at="setup", row="bad-model", model=model),
        "1011 at the first answer": Close(connection="all", at="utterance", row="internal", model=model),
        "never set up": Silence(connection="all", at="setup", model=model),
        "never answers": Flawed(connection="all", flaw="no-answer", turn="all", model=model),
    }


def ailment(*faults: Fault, begins: float = BEGINS, ends: float = ENDS) -> Ailment:
    """Return these faults, of ten minutes."""
    return Ailment(begins=begins, ends=ends, faults=faults)


def plan(
    seed: int, *ailments: Ailment, every: float = 10.0, after: float = 300.0, events: tuple[Event, ...] = ()
) -> Plan:
    """Return the plan of a seed. ``every``: seconds from one candidate to the next, over all hosts.

    ``after``: seconds that are looked at once the last ailment is over.
    """
    chance = random.Random(f"sick {seed}")
    seconds = max(it.ends for it in ailments) + after
    count = round((seconds - LAST_SECONDS) / every)
    return Plan(
        seed=seed,
        hosts=chance.choice((2, 3, 4)),
        seconds=seconds,
        session_limit=120.0,
        grace=30.0,
        keep=60.0,
        weather=CALM,
        faulty_gemini=0.0,
        candidates=tuple(_character(chance, number * every, every) for number in range(count)),
        users=tuple(f"user-{number}" for number in range(count)),
        limit=1,
        checks=True,
        events=events,
        models=(FIRST, NEXT),
        ailments=ailments,
    )


def _character(chance: random.Random, at: float, every: float) -> Character:
    return Character(
        comes_at=at + chance.uniform(0, every / 2),
        pause=6.0,
        ends_at=STAY_SECONDS,
        vanishes_at=None,
        drops_at=(),
        doubles_at=None,
    )


@dataclass(frozen=True, slots=True)
class Change:
    """A line ``model.sick`` or ``model.well`` of one host."""

    at: float
    host: str
    model: str
    sick: bool


@dataclass(frozen=True, slots=True)
class Course:
    """What was seen. ``harmed``: when, and how, interviews ended that no candidate wanted to end.

    ``setups``: when which model was asked for. ``lost``: what did not hold of all that must hold of several hosts.
    """

    hosts: int
    interviews: int
    changes: tuple[Change, ...]
    harmed: tuple[tuple[float, str], ...]
    setups: tuple[tuple[float, str], ...]
    lost: tuple[str, ...]

    def told(self, model: str, *, sick: bool) -> list[Change]:
        """Return the lines about a model, in their order."""
        return [it for it in self.changes if (it.model, it.sick) == (model, sick)]

    def asked(self, model: str, begins: float, ends: float) -> list[float]:
        """Return when a model was asked for between two moments."""
        return [at for at, name in self.setups if name == model and begins < at <= ends]

    @property
    def left_at(self) -> float:
        """Return when the last host had left the first model."""
        return max(it.at for it in self.told(FIRST, sick=True))

    @property
    def well_at(self) -> float:
        """Return when the first host found it well again; infinite where none did."""
        return min((it.at for it in self.told(FIRST, sick=False)), default=float("inf"))

    @property
    def probes(self) -> list[float]:
        """Return when new interviews tried the sick model."""
        return self.asked(FIRST, self.left_at, self.well_at)

    @property
    def most_in_a_minute(self) -> int:
        """Return how many did within a minute, at most."""
        return max(
            (sum(it <= at < it + PROBE_EVERY_SECONDS for at in self.probes) for it in self.probes), default=0
        )

    @property
    def always_one_was_well(self) -> bool:
        """Return whether no host ever took all models for sick."""
        sick: set[tuple[str, str]] = set()
        for it in self.changes:
            (sick.add if it.sick else sick.discard)((it.host, it.model))
            if {model for host, model in sick if host == it.host} == {FIRST, NEXT}:
                return False
        return True


def course(the: Plan) -> Course:
    """Play a plan, and return what was seen."""
    scene = play(the)
    try:
        lost, _ = violations(scene)
    finally:
        for host in scene.hosts:
            host.disk.finish()
    return Course(
        hosts=len(scene.hosts),
        interviews=len(scene.tabs),
        changes=_changes(scene),
        harmed=tuple(
            (at, keys["ending"])
            for at, _, event, keys in scene.outside.log
            if event == "session.ended" and keys["ending"] not in UNHARMED
        ),
        setups=tuple(scene.outside.gemini.setups.seen),
        lost=tuple(lost),
    )


def _changes(scene: Scene) -> tuple[Change, ...]:
    return tuple(
        Change(at, keys["host"], keys["model"], event == "model.sick")
        for at, _, event, keys in scene.outside.log
        if event in {"model.sick", "model.well"}
    )
