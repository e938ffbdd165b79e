"""Gemini Live, simulated: every line is said once in a run, so that a line that stands twice is a fault."""

from collections.abc import Callable
import random
from typing import Any

import msgspec
import trio

from preppald.simulator import FLAWS, GeminiSimulator, Scenario
from preppald.simulator.faults import Close, Drop, Fault, Flawed, Hang, Http, Silence
from preppald.simulator.recording import Direction, Recorder
from preppald.simulator.scenario import Audio, GoAway, Limits, Reply, Timing

# More than one session lives to say.
LINES = 500
# Close frames that pass; the others are an operator's fault and end an interview at once.
PASSING = ("internal", "internal-occurred", "aborted", "unavailable", "normal")
MOMENTS = ("setup", "ready", "generating", "generation-complete", "turn-complete", "speech", "utterance")


class Setups(Recorder):
    """Takes down the model of each setup, with when. ``seen``: in their order."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, str]] = []

    def note(self, connection: int, direction: Direction, frame: dict[str, Any]) -> None:
        """Let the service's own frames go by."""

    def note_bytes(self, _connection: int, _direction: Direction, message: bytes) -> None:
        if message.startswith(b'{"setup"'):
            model = msgspec.json.decode(message)["setup"]["model"].removeprefix("models/")
            self.seen.append((trio.current_time(), model))


class Gemini(GeminiSimulator):
    """``faulty``: the share of connections that have a fault of Gemini's own in store. ``ailing``: faults of all that come.

    ``setups``: what was asked for.
    """

    def __init__(self, chance: random.Random, note: Callable[[str, dict[str, object]], None]) -> None:
        self.setups = Setups()
        super().__init__(log=note, recorder=self.setups)
        self.faulty = 0.0
        self.ailing: tuple[Fault, ...] = ()
        self._chance = chance

    def _scenario_for(self, _key: str | None) -> Scenario | None:
        number = self.accepted
        recordings = ("greeting", "part")
        return Scenario(
            seed=number,
            speech=tuple(f"answer-{number}-{line} is what the candidate says" for line in range(LINES)),
            reply=tuple(
                Reply(
                    text=f"question-{number}-{line} is what the interviewer asks",
                    recording=recordings[line % 2],
                )
                for line in range(LINES)
            ),
            # Few and large frames: a simulated hour is to take a second, and how audio is cut is tested elsewhere.
            audio=Audio(part_ms=2000),
            timing=Timing(setup_delay=self._chance.uniform(0.02, 0.5)),
            go_away=GoAway(before=30.0),
            limits=Limits(connection=self._chance.choice((90.0, 300.0, 600.0))),
            fault=(*self.ailing, *self._faults()),
        )

    def _faults(self) -> tuple[Fault, ...]:
        if self._chance.random() >= self.faulty:
            return ()
        moment = self._chance.choice(MOMENTS)
        after = self._chance.choice((0.0, 0.0, self._chance.uniform(0, 60)))
        kinds: list[Fault] = [
            Close(connection="all", at=moment, after=after, row=self._chance.choice(PASSING)),  # type: ignore[arg-type]
            Drop(connection="all", at=moment, after=after),  # type: ignore[arg-type]
            Silence(connection="all", at=moment, after=after),  # type: ignore[arg-type]
            Http(connection="all", status=503),
            Hang(connection="all"),
            Flawed(
                connection="all",
                flaw=self._chance.choice(list(FLAWS)),
                turn=self._chance.choice((1, 2, 3, 4, "all")),
            ),
        ]
        return (self._chance.choice(kinds),)
