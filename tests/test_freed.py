"""An interview that ended is freed at once, by reference counting: no cycle of ours waits for the garbage collector."""

from collections.abc import Iterator
import gc
import weakref

import pytest
import trio

from preppald.server.http import Exchange
from preppald.server.waiting import WaitingRoom
from preppald.simulator.scenario import Reply, Scenario
from tests.world import World

SCENARIO = Scenario(reply=(Reply(text="Tell me about a project."),))
# Trio's streams in memory are cycles, and so is websockets' parser where a peer vanishes in mid-frame.
OURS = "preppald."


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Only objects of the test itself can be garbage, until the end of the test."""
    gc.collect()
    gc.freeze()
    gc.disable()
    yield
    gc.unfreeze()
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()


def cycles() -> set[str]:
    """The types of ours that only the garbage collector would free."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    found = {f"{type(it).__module__}.{type(it).__qualname__}" for it in gc.garbage}
    gc.set_debug(0)
    gc.garbage.clear()
    return {name for name in found if name.startswith(OURS)}


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("how", ["ended", "left for good", "taken over", "reconnected"])
async def test_an_interview_is_freed_when_it_ends(
    nursery: trio.Nursery, autojump_clock: object, how: str
) -> None:
    world = await World({}, SCENARIO).start(nursery)
    candidate = await world.candidate()
    await candidate.heard_out()
    await candidate.speak(2)
    await candidate.heard_out()
    session = weakref.ref(world.session())
    conversation = weakref.ref(world.parts().conversation)
    if how == "reconnected":
        await candidate.vanish()
        await trio.sleep(5)
    if how in {"taken over", "reconnected"}:
        candidate = await world.candidate()
    if how == "left for good":
        await candidate.vanish()
    else:
        await candidate.end()
    await trio.sleep(120)
    assert len(world.registry) == 0
    assert session() is None
    assert conversation() is None
    assert cycles() == set()


async def test_what_a_request_took_is_freed_while_its_interview_runs(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    world = await World({}, SCENARIO).start(nursery)
    before = {id(it) for it in gc.get_objects() if isinstance(it, (Exchange, WaitingRoom))}
    candidate = await world.candidate()
    await candidate.heard_out()
    kept = [it for it in gc.get_objects() if isinstance(it, (Exchange, WaitingRoom)) and id(it) not in before]
    assert kept == []
    await candidate.end()
    await candidate.closed()
