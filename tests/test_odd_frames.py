"""Frames that the protocol allows and nobody expects, in a whole interview: nothing is lost, and nothing is shown."""

import pytest
import trio

from preppald.simulator import Scenario
from preppald.simulator.faults import Fault, Flawed, Send
from preppald.simulator.scenario import Reply, ToolCall
from tests.candidates import Candidate
from tests.world import World

HELLO = (Reply(text="Hello there.", seconds=2), Reply(text="I see.", seconds=1))


async def begin(
    nursery: trio.Nursery, *faults: Fault, tools: tuple[ToolCall, ...] = (), **settings: str
) -> tuple[World, Candidate]:
    world = World(settings, Scenario(reply=HELLO, fault=faults, tool_call=tools, speech=("I am Ada.",)))
    await world.start(nursery)
    return world, await world.candidate()


async def ended(world: World, candidate: Candidate) -> object:
    """What the backend received last."""
    await candidate.end()
    await candidate.closed()
    await trio.sleep(1)
    return world.backend.received("iv-1")[-1]


async def test_a_function_that_nobody_declared_does_not_silence_the_interviewer(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """It waits for an answer, a minute here and for ever elsewhere: it is answered at once that there is none."""
    world, candidate = await begin(nursery, tools=(ToolCall(name="score", undeclared=True),))
    await candidate.heard_out()
    assert trio.current_time() < 5
    assert candidate.text("AI") == "Hello there."
    (line,) = world.events("upstream.tool_called")
    assert line["calls"] == 1
    assert world.events("upstream.failed") == []


async def test_reasoning_that_is_not_marked_as_such_is_shown_to_nobody(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Only sound is asked for: what is spoken stands in outputTranscription."""
    thought = Send(
        at="utterance", json='{"serverContent":{"modelTurn":{"parts":[{"text":"**Assessing** weak"}]}}}'
    )
    world, candidate = await begin(nursery, thought)
    await candidate.heard_out()
    await candidate.speak(2)
    await candidate.heard_out()
    assert candidate.text("AI") == "Hello there.I see."
    assert await ended(world, candidate) == [("AI", "Hello there."), ("USER", "I am Ada."), ("AI", "I see.")]


async def test_a_model_at_work_is_not_nudged(nursery: trio.Nursery, autojump_clock: object) -> None:
    """A thought a second for twenty seconds: the answer is on its way."""
    thought = '{"serverContent":{"modelTurn":{"parts":[{"text":"Hm.","thought":true}]}}}'
    thinking = [Send(at="ready", after=second, json=thought) for second in range(1, 20)]
    world = World(
        {}, Scenario(reply=HELLO, fault=(*thinking, Flawed(flaw="no-answer", turn=1)), speech=("I am Ada.",))
    )
    await world.start(nursery)
    await world.candidate()
    await trio.sleep(24)
    assert world.events("interviewer.silent") == []
    await trio.sleep(3)
    assert [line["stage"] for line in world.events("interviewer.silent")] == ["greet_again"]


async def test_totals_without_details_reach_the_ceiling(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """A server that says only how many tokens a turn took: the second turn is one too many."""
    usage = '{"usageMetadata":{"promptTokenCount":5000,"responseTokenCount":300,"totalTokenCount":5300}}'
    first, second = (
        Send(at="generating", turn="all", json=usage, connection=1, after=after) for after in (0.1, 0.2)
    )
    _world, candidate = await begin(nursery, first, second, PREPPALD_MAX_TOKENS="9000")
    assert await candidate.closed() == (1000, "Session token limit")


async def test_what_cannot_be_read_is_counted_at_once_and_logged_once(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    odd = '{"serverContent":{"interrupted":"no way","outputTranscription":{"text":" Ada?"}}}'
    world, candidate = await begin(
        nursery, Send(at="generating", json=odd), Send(at="generating", after=0.1, json=odd)
    )
    await candidate.heard_out()
    assert candidate.text("AI").count(" Ada?") == 2
    value = world.metrics.registry.get_sample_value
    assert value("preppald_upstream_malformed_total") == 2
    (line,) = world.events("upstream.unreadable")
    assert line["what"] == "serverContent.interrupted"


@pytest.mark.parametrize("noise", ["\\u0000", "\\u001b[31m", "\\u0085"])
async def test_no_control_character_reaches_the_backend(
    nursery: trio.Nursery, autojump_clock: object, noise: str
) -> None:
    """PostgreSQL refuses a text with NUL: such a transcript could never be stored."""
    odd = f'{{"serverContent":{{"outputTranscription":{{"text":" A{noise}da?"}}}}}}'
    world, candidate = await begin(nursery, Send(at="generating", json=odd))
    await candidate.heard_out()
    transcript = await ended(world, candidate)
    assert isinstance(transcript, list)
    text = transcript[0][1]
    assert text.replace("[31m", "") == "Ada?Hello there."
    assert text.isprintable()
