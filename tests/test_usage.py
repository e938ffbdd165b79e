"""Tokens and their price: where they are told, and the ceiling that ends an interview politely."""

import pytest
import trio

from preppald.simulator import Scenario
from preppald.simulator.scenario import Reply
from tests.candidates import Candidate
from tests.overheard import Overheard, overhear
from tests.world import World

HELLO = Scenario(reply=(Reply(text="Hello there.", seconds=4),))


async def begin(nursery: trio.Nursery, **settings: str) -> tuple[World, Overheard, Candidate]:
    world = World(settings, HELLO)
    heard = overhear(world, HELLO)
    await world.start(nursery)
    candidate = await world.candidate()
    await candidate.heard_out()
    return world, heard, candidate


async def test_tokens_and_their_price_are_in_log_metrics_and_journal(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    world, _heard, candidate = await begin(nursery)
    await candidate.speak(2)
    await candidate.heard_out()
    await candidate.end()
    await candidate.closed()
    interview = await world.journal.interview("iv-1")
    assert interview is not None
    usage = interview.usage
    assert usage.response_audio == 200
    (line,) = world.events("session.ended")
    assert line["tokens"] == usage.total
    assert line["tokens_response_audio"] == 200
    assert "tokens_thoughts" not in line
    cost = world.config.prices.cost(usage)
    assert cost > 0.0024
    assert line["cost_dollars"] == round(cost, 4)
    value = world.metrics.registry.get_sample_value
    assert value("preppald_cost_dollars_total") == pytest.approx(cost)
    assert value("preppald_tokens_total", {"kind": "response_audio"}) == 200


async def test_the_ceiling_ends_an_interview_politely(nursery: trio.Nursery, autojump_clock: object) -> None:
    """Both sides are told at nine tenths; the interviewer closes, and the interview counts as complete."""
    async with trio.open_nursery() as trial:  # what a greeting costs depends on the brief's length
        world, _, _ = await begin(trial)
        interview = await world.journal.interview("iv-1")
        assert interview is not None
        greeting = interview.usage.total
        trial.cancel_scope.cancel()
    ceiling = str(round(greeting * 1.05))
    world, heard, candidate = await begin(nursery, PREPPALD_MAX_TOKENS=ceiling)
    assert await candidate.closed() == (1000, "Session token limit")
    notices = [m.notice.message for m in candidate.messages if m.WhichOneof("payload") == "notice"]
    assert notices == ["The interview ends soon."]
    assert heard.prompts[-1][1].startswith("(The interview has to end soon. Finish now")
    assert candidate.text("AI") == "Hello there." * 2
    assert candidate.messages[-1].session_ended.reason == 3
    await trio.sleep(1)
    assert world.backend.received("iv-1")[-1] == [("AI", "Hello there."), ("AI", "Hello there.")]
    (line,) = world.events("session.ended")
    assert line["ending"] == "tokens_spent"
    assert str(line["cause"]).endswith(f"of at most {ceiling}")


async def test_without_a_ceiling_nothing_is_counted_against_an_interview(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    world, _heard, candidate = await begin(nursery)
    for _ in range(3):
        await candidate.speak(1)
        await candidate.heard_out()
    assert world.config.max_tokens == 0
    assert candidate.close is None
