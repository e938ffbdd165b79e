"""An interviewer who does not speak: each stage of what is done about it, and that it is counted."""

import trio

from preppald.core import interviewer
from preppald.core.stage import Stage
from preppald.pb.interview_pb2 import Notice
from preppald.simulator.faults import Fault, Flawed
from preppald.simulator.scenario import Limits, Scenario, Timing
from tests.candidates import Candidate
from tests.overheard import Overheard, keep_silent, overhear, speak
from tests.world import World

AS_EVER = Limits()
IN_TIME = Timing()


async def interview(
    nursery: trio.Nursery, *faults: Fault, limits: Limits = AS_EVER, timing: Timing = IN_TIME
) -> tuple[World, Overheard, Candidate]:
    scenario = Scenario(fault=faults, limits=limits, timing=timing)
    world = World({}, scenario)
    heard = overhear(world, scenario)
    await world.start(nursery)
    return world, heard, await world.candidate()


def mute(connection: int | str = 1, *, turn: int | str = "all", resumed: bool | None = None) -> Flawed:
    return Flawed(connection=connection, turn=turn, resumed=resumed, flaw="no-answer")  # type: ignore[arg-type]


def counted(world: World) -> dict[str, float]:
    """What the watchdog did, as the metrics tell it; the log must tell the same."""
    found = {
        stage.value: world.metrics.registry.get_sample_value(
            "preppald_interventions_total", {"stage": stage.value}
        )
        or 0.0
        for stage in Stage
    }
    logged = [line["stage"] for line in world.events("interviewer.silent")]
    assert {stage: count for stage, count in found.items() if count} == {
        stage: logged.count(stage) for stage in logged
    }
    return {stage: count for stage, count in found.items() if count}


async def test_a_greeting_that_does_not_come_is_asked_for_once_more(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """After six seconds; the candidate hears one greeting."""
    world, heard, candidate = await interview(nursery, mute(turn=1))
    await candidate.heard_out()
    assert [text for _, text in heard.prompts] == [interviewer.GREETING] * 2
    assert counted(world) == {"greet_again": 1}
    assert len(heard.setups) == 1


async def test_a_session_that_never_greets_is_replaced_by_another(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """The second session greets; nothing was said before, so it is told of nothing."""
    world, heard, candidate = await interview(nursery, mute())
    await candidate.heard_out()
    assert counted(world) == {"greet_again": 1, "fresh": 1}
    assert heard.handles == {1: None, 2: None}
    assert heard.instruction(1) == heard.instruction(2)


async def test_a_gemini_that_never_greets_is_given_up(nursery: trio.Nursery, autojump_clock: object) -> None:
    """Half a minute is what a candidate waits before a word; then there is an error to act on."""
    world, _heard, candidate = await interview(nursery, mute("all"))
    assert await candidate.closed() == (4002, "Failed to connect to AI service")
    assert counted(world) == {"greet_again": 1, "fresh": 1, "give_up": 1}
    assert trio.current_time() < 30


async def test_an_answer_that_does_not_come_is_nudged(nursery: trio.Nursery, autojump_clock: object) -> None:
    """Eight seconds after the candidate finished, by text."""
    world, heard, candidate = await interview(nursery, mute(turn=2))
    await candidate.heard_out()
    await speak(candidate, 2)
    await keep_silent(candidate, 12)
    assert [text for _, text in heard.prompts] == [interviewer.GREETING, interviewer.NUDGE]
    assert counted(world) == {"nudge": 1}


async def test_a_nudge_without_an_answer_leads_to_another_connection(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """The same session over a new connection, and the interviewer is asked to go on."""
    world, heard, candidate = await interview(nursery, mute(turn=2), mute(turn=3))
    await candidate.heard_out()
    await speak(candidate, 2)
    await keep_silent(candidate, 24)
    assert heard.handles[2]
    number, go_on = heard.prompts[-1]
    assert number == 2
    assert "The candidate's last answer was: “[2" in go_on
    assert counted(world) == {"nudge": 1, "rotate": 1}


async def test_a_resumed_session_that_hears_and_never_speaks_is_begun_afresh(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """A poisoned handle transcribes for ever. No nudge is lost on it, and the next session knows what was said."""
    world, heard, candidate = await interview(
        nursery, mute("all", resumed=True), limits=Limits(connection=60)
    )
    await candidate.heard_out()
    await keep_silent(candidate, 15)
    assert heard.handles[2], "rotated"
    await speak(candidate, 2)
    await candidate.until(lambda message: message.transcript_update.speaker == "USER")
    await keep_silent(candidate, 12)
    assert counted(world) == {"fresh": 1}
    assert heard.handles[3] is None
    assert "s of speech)" in heard.instruction(3)
    assert [number for number, _ in heard.prompts] == [1, 3]
    assert "The candidate's last answer was: “[2" in heard.prompts[1][1]


async def test_a_gemini_that_never_answers_again_is_given_up_with_what_was_said(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Nudge, rotate, fresh, fresh, and the candidate is told: no interview goes round in circles for an hour."""
    faults = (mute(turn=2), mute(turn=3), mute(turn=4), *(mute(number) for number in range(2, 9)))
    world, heard, candidate = await interview(nursery, *faults)
    await candidate.heard_out()
    await speak(candidate, 2)
    began = trio.current_time()
    await keep_silent(candidate, 70)
    assert candidate.close == (4002, "AI service error")
    assert len(heard.setups) <= 4
    assert counted(world)["give_up"] == 1
    told = [m.notice for m in candidate.messages if m.notice.kind == Notice.SILENT]
    assert len(told) >= 2, "no interview ends for silence before the candidate was told twice"
    assert trio.current_time() - began < 80
    await world.outbox.drained(trio.current_time() + 10)
    transcript = world.backend.received("iv-1")[1]
    assert [speaker for speaker, _ in transcript] == ["AI", "USER"]  # type: ignore[str-unpack]


async def test_a_candidate_who_thinks_for_minutes_is_left_alone(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """It is their turn: nothing is awaited, and nobody urges."""
    world, heard, candidate = await interview(nursery)
    await candidate.heard_out()
    await keep_silent(candidate, 150)
    assert counted(world) == {}
    assert len(heard.prompts) == 1


async def test_a_candidate_who_speaks_again_is_not_interrupted_by_a_nudge(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Ten seconds count from the end of the last word, not of the first."""
    world, heard, candidate = await interview(nursery, mute(turn=2), mute(turn=3))
    await candidate.heard_out()
    await speak(candidate, 2, pause=6)
    await speak(candidate, 2, pause=8)
    assert counted(world) == {}
    await keep_silent(candidate, 5)
    assert counted(world) == {"nudge": 1}
    assert heard.prompts[-1] == (1, interviewer.NUDGE)


async def test_an_interviewer_who_says_that_more_is_to_come_is_left_to_think(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Longer than an answer may take; what it says then belongs to the interview like the rest."""
    world, heard, candidate = await interview(nursery, Flawed(turn=2, flaw="two-utterances"))
    await candidate.heard_out()
    await speak(candidate, 2)
    await keep_silent(candidate, 35)
    assert counted(world) == {}
    assert [text for _, text in heard.prompts] == [interviewer.GREETING]
    said = [message.transcript_update for message in candidate.messages]
    completed = [update for update in said if update.speaker == "AI" and update.turn_complete]
    assert len(completed) == 3
    await candidate.end()
    await candidate.closed()
    await world.outbox.drained(trio.current_time() + 10)
    transcript = world.backend.received("iv-1")[1]
    assert [speaker for speaker, _ in transcript] == ["AI", "USER", "AI", "AI"]  # type: ignore[str-unpack]


async def test_a_thought_that_never_ends_is_asked_for_after_half_a_minute(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """The candidate was told to wait, and would."""
    thinks = Flawed(turn=2, flaw="two-utterances")
    world, heard, candidate = await interview(nursery, thinks, timing=Timing(thinking=600))
    await candidate.heard_out()
    await speak(candidate, 2)
    await keep_silent(candidate, 60)
    assert heard.prompts == [(1, interviewer.GREETING), (1, interviewer.NUDGE)]
    assert counted(world) == {"nudge": 1}
