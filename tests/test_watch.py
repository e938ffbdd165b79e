"""The watchdog's looks: one a second for each interview, and all of them in a few moments of it."""

import pytest
import trio

from preppald.interview.dialogue import Dialogue
from preppald.interview.watch import MOMENTS
from preppald.simulator import Scenario
from tests.world import World

INTERVIEWS = 8
SECONDS = 5


async def test_interviews_are_looked_at_together(
    nursery: trio.Nursery, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever they began; and each once a second."""
    looks: dict[int, list[float]] = {}
    look = Dialogue.look

    def counted(dialogue: Dialogue, now: float) -> None:
        looks.setdefault(id(dialogue), []).append(now)
        look(dialogue, now)

    monkeypatch.setattr(Dialogue, "look", counted)
    world = World({}, Scenario())
    await world.start(nursery)
    for number in range(INTERVIEWS):
        await world.candidate(f"iv-{number}", token=world.token(f"iv-{number}", f"user-{number}"))
        await trio.sleep(0.11)
    looks.clear()
    await trio.sleep(SECONDS)
    assert len(looks) == INTERVIEWS
    assert {len(times) for times in looks.values()} == {SECONDS}
    # A step of the ticker is up to two milliseconds long.
    late = [time * MOMENTS % 1 / MOMENTS for times in looks.values() for time in times]
    assert max(late) < 0.003
    assert len({int(time * MOMENTS) % MOMENTS for times in looks.values() for time in times}) > 1
