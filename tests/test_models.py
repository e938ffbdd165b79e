"""A model of Gemini's that is sick: interviews begin with the next, those that run move, and one a minute looks."""

import json

import pytest
import trio

from preppald.core.closes import (
    CAUSES,
    KEY_TROUBLES,
    NOT_THE_HANDLE,
    OF_THE_MODEL,
    OVERLOADED,
    UNASKED,
    Cause,
)
from preppald.core.interview import Handle, Interview
from preppald.core.model_health import LEAST_FAILURES, PROBE_EVERY_SECONDS
from preppald.gemini.models import PROBE_SETUP_SECONDS, Pick
from preppald.simulator.faults import Close, Fault, Flawed, Silence
from preppald.simulator.scenario import Reply, Scenario
from tests.candidates import Candidate
from tests.overheard import Overheard, keep_silent, overhear, speak
from tests.test_server import get
from tests.world import WALL_MS, World

FIRST, NEXT = "gemini-3.8-live", "gemini-2.5-flash-native-audio-latest"
MODELS = {"PREPPALD_GEMINI_MODELS": f"{FIRST}, {NEXT}"}
LINES = (Reply(text="Welcome to it.", seconds=1.0), Reply(text="And then?", seconds=1.0))
UNREACHABLE, ENDED = (4002, "Failed to connect to AI service"), (1000, "Interview ended by user")
# A candidate stays for so long, where there is an interviewer.
STAY_SECONDS = 20.0


def name_of(cause: Cause) -> str:
    return cause.name


async def started(nursery: trio.Nursery, *faults: Fault, **settings: str) -> tuple[World, Overheard]:
    scenario = Scenario(fault=faults, reply=LINES * 20)
    world = World({**MODELS, "PREPPALD_MAX_SESSIONS_PER_USER": "1000", **settings}, scenario)
    heard = overhear(world, scenario)
    await world.start(nursery)
    return world, heard


def models(heard: Overheard) -> list[str]:
    """Return the models that were asked for, connection by connection."""
    return [setup["model"].removeprefix("models/") for setup in heard.setups.values()]


async def talk(world: World, number: int) -> Candidate:
    """A candidate who is greeted, answers once, and leaves; return it."""
    candidate = await world.candidate(f"iv-{number}")
    with trio.move_on_after(STAY_SECONDS):
        await candidate.heard_out()
        await speak(candidate, 1)
        await candidate.closed()
    if candidate.close is None:
        await candidate.end()
        await candidate.closed()
    return candidate


async def crowd(world: World, nursery: trio.Nursery, *, every: float, seconds: float) -> list[Candidate]:
    """Have candidates come one after the other; return them once all have left."""
    came: list[Candidate] = []

    async def one(number: int) -> None:
        came.append(await talk(world, number))

    async with trio.open_nursery() as talks:
        for number in range(round(seconds / every)):
            talks.start_soon(one, number)
            await trio.sleep(every)
    return came


def fall_sick(world: World) -> None:
    """Have the first model fail in five interviews, as its clients tell it."""
    for number in range(LEAST_FAILURES):
        world.services.gemini.models.failed(FIRST, f"lost-{number}", trio.current_time())


SICK: dict[str, Fault] = {
    "1011 at once": Close(connection="all", at="setup", row="internal", model=FIRST),
    "refused": Close(connection="all", at="setup", row="bad-model", model=FIRST),
    "1011 at the first answer": Close(connection="all", at="utterance", row="internal", model=FIRST),
    "never set up": Silence(connection="all", at="setup", model=FIRST),
    "never answers": Flawed(connection="all", flaw="no-answer", turn="all", model=FIRST),
}


@pytest.mark.slow
@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("kind", SICK)
async def test_ten_minutes_with_a_sick_model(
    kind: str, nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Six candidates a minute: those who came before it showed move by themselves, and it does not flap.

    The one a minute that tries the sick model has its interview with the other.
    """
    world, heard = await started(nursery, SICK[kind])
    candidates = await crowd(world, nursery, every=10.0, seconds=600.0)
    assert len(candidates) == 60
    (line,) = world.events("model.sick")
    assert (line["model"], line["instead"]) == (FIRST, NEXT)
    assert world.events("model.well") == []
    assert {it.close for it in candidates} == {ENDED}
    probes = sum(
        model == FIRST and heard.set_up_at[number] > LEAST_FAILURES * 10.0 + STAY_SECONDS
        for number, model in enumerate(models(heard), start=1)
    )
    assert 5 <= probes <= 10


@pytest.mark.slow
@pytest.mark.parametrize("kind", SICK)
async def test_few_candidates_are_not_harmed_either(
    kind: str, nursery: trio.Nursery, autojump_clock: object
) -> None:
    """One in forty seconds: too few for a model to be called sick. Each interview leaves it by itself."""
    world, _heard = await started(nursery, SICK[kind])
    candidates = await crowd(world, nursery, every=40.0, seconds=200.0)
    assert world.events("model.sick") == []
    assert [it.close for it in candidates] == [ENDED] * 5


async def test_an_interview_gives_up_no_model_for_a_handle_that_fails(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Two resumes die of the next word; the fresh session after them is of the same model."""
    world, heard = await started(
        nursery, Close(connection="all", resumed=True, at="utterance", row="internal")
    )
    candidate = await world.candidate()
    await candidate.heard_out()
    await speak(candidate, 2)
    await keep_silent(candidate, 700)
    for _ in range(3):
        await speak(candidate, 2)
        await keep_silent(candidate, 10)
    assert heard.handles[2] is not None
    assert set(models(heard)) == {FIRST}


async def test_models_that_all_fail_are_each_tried_once(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Within the start's eight seconds, and the candidate reads why it failed."""
    world, heard = await started(nursery, Close(connection="all", at="setup", row="bad-model"))
    candidate = await world.candidate()
    await candidate.closed()
    assert candidate.close == UNREACHABLE
    assert models(heard) == [FIRST, NEXT]


async def test_a_running_interview_moves_at_a_quiet_moment_with_all_that_was_said(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """A fresh session, for a handle is of use to its own model only; nobody is greeted twice."""
    world, heard = await started(nursery)
    candidate = await world.candidate()
    await candidate.heard_out()
    fall_sick(world)
    await speak(candidate, 4, pause=0)
    assert models(heard) == [FIRST], "not while somebody speaks"
    await keep_silent(candidate, 10)
    assert models(heard) == [FIRST, NEXT]
    assert heard.handles == {1: None, 2: None}
    assert "Interviewer: Welcome to it." in heard.instruction(2)
    assert len(heard.prompts) == 1
    assert [it["model"] for it in world.events("interview.model_changed")] == [NEXT]
    row = await world.journal.interview("iv-1")
    assert row is not None
    assert (row.model, row.handle) == (NEXT, None)
    await speak(candidate, 2)
    await keep_silent(candidate, 120)
    assert len(heard.setups) == 2, "it stays there"
    row = await world.journal.interview("iv-1")
    assert row is not None
    assert row.handle is not None
    assert row.handle.model == NEXT


async def test_an_interview_with_a_model_that_is_well_stays_though_another_becomes_so(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    world, heard = await started(nursery)
    fall_sick(world)
    candidate = await world.candidate()
    await candidate.heard_out()
    world.services.gemini.models.proved(FIRST, trio.current_time())
    assert world.services.gemini.models.best() == FIRST
    await keep_silent(candidate, 30)
    assert models(heard) == [NEXT]


async def test_a_probe_that_succeeds_makes_the_model_well(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Not by its greeting: by an answer to the candidate."""
    world, heard = await started(nursery)
    fall_sick(world)
    await trio.sleep(PROBE_EVERY_SECONDS)
    candidate = await world.candidate()
    await candidate.heard_out()
    other = await world.candidate("iv-2")
    await other.heard_out()
    assert models(heard) == [FIRST, NEXT]
    assert world.events("model.well") == []
    await speak(candidate, 2)
    await candidate.heard_out()
    assert [it["model"] for it in world.events("model.well")] == [FIRST]
    await (await world.candidate("iv-3")).heard_out()
    assert models(heard) == [FIRST, NEXT, FIRST]


async def test_a_probe_whose_model_hangs_is_not_left_without_an_interview(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """It costs its candidate three seconds."""
    world, heard = await started(nursery, Silence(connection="all", at="setup", model=FIRST))
    fall_sick(world)
    await trio.sleep(PROBE_EVERY_SECONDS)
    began = trio.current_time()
    candidate = await world.candidate()
    await candidate.heard_out()
    assert models(heard) == [FIRST, NEXT]
    assert heard.set_up_at[2] - began < PROBE_SETUP_SECONDS + 0.5


async def test_a_restart_goes_on_with_the_interviews_own_model(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Its handle is that model's."""
    world, heard = await started(nursery)
    for name, model in (("iv-1", NEXT), ("iv-2", "gemini-of-yesterday")):
        world.journal.begin(
            Interview(
                interview_id=name,
                user_id="user-1",
                epoch=1,
                token_digest="",
                model=model,
                started_ms=WALL_MS,
                deadline_ms=WALL_MS + 3_600_000,
                handle=Handle("a handle", model, WALL_MS),
            )
        )
    assert await world.registry.recover() == 2
    for name in ("iv-1", "iv-2"):
        await world.candidate(name)
        await trio.sleep(1)
    assert models(heard)[0] == NEXT
    assert heard.handles[1] == "a handle"
    assert models(heard)[-1] == FIRST, "a model that is configured no more is not dialled"


async def test_a_sick_model_is_shown_and_so_is_its_recovery(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    world, _heard = await started(nursery)
    assert world.counted("model_sick", model=FIRST) == 0.0
    fall_sick(world)
    assert world.counted("model_sick", model=FIRST) == 1.0
    assert world.counted("model_sick", model=NEXT) == 0.0
    shown = json.loads((await get(world, "/ready")).text)
    assert shown["degraded"] == [f"Gemini's {FIRST} keeps failing: interviews go on with {NEXT}"]
    assert world.events("daemon.degraded") == [], "the log has one line: model.sick"
    world.services.gemini.models.proved(FIRST, trio.current_time())
    assert world.counted("model_sick", model=FIRST) == 0.0
    assert json.loads((await get(world, "/ready")).text) == {"status": "ready"}
    assert world.events("daemon.recovered") == []


async def test_the_only_model_is_never_sick(nursery: trio.Nursery, autojump_clock: object) -> None:
    world, _heard = await started(nursery, PREPPALD_GEMINI_MODELS=FIRST)
    fall_sick(world)
    assert world.events("model.sick") == []
    await (await world.candidate()).heard_out()


@pytest.mark.parametrize("cause", [it for it in CAUSES if it not in OF_THE_MODEL], ids=name_of)
def test_what_is_no_models_fault_makes_none_sick(cause: Cause) -> None:
    """Key, quota, money, network, handle, and a connection that grew old."""
    world = World(MODELS, Scenario())
    for number in range(20):
        Pick(world.services.gemini.models, f"iv-{number}", FIRST).failed(cause, 1.0, resuming=False)
    assert world.events("model.sick") == []


def test_no_trouble_of_the_keys_is_the_models() -> None:
    assert not OF_THE_MODEL & (KEY_TROUBLES | UNASKED | NOT_THE_HANDLE - {OVERLOADED})
