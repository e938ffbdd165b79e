"""Every close frame that Gemini was seen to send: what the candidate is told, whether it is retried, what is logged.

The rows are the simulator's own copy of docs/protocol.md's table, so that the daemon's table cannot vouch for itself.
"""

import pytest
import trio

from preppald.simulator.endings import CLOSE_FRAMES
from preppald.simulator.faults import Close, Drop
from preppald.simulator.scenario import Reply, Scenario
from tests.candidates import Candidate
from tests.overheard import Overheard, keep_silent, overhear, speak
from tests.world import World

# What the table says of each row: "no", "fresh" (the handle is of no use), "resume", or "later" (a quota).
RETRY = {
    "bad-key": "no",
    "no-key": "no",
    "key-leaked": "no",
    "key-not-found": "no",
    "key-suspended": "no",
    "key-referer": "no",
    "api-disabled": "no",
    "location": "no",
    "bad-model": "no",
    "publisher-model": "no",
    "unknown-field": "no",
    "invalid-argument": "fresh",
    "precondition": "no",
    "thinking-unsupported": "no",
    "thinking-missing": "no",
    "thinking-minimal": "no",
    "modalities": "no",
    "text-output": "no",
    "voice": "no",
    "go-away-ignored": "resume",
    "aborted": "resume",
    "session-not-found": "fresh",
    "history-not-found": "fresh",
    "entity-not-found": "fresh",
    "not-implemented": "fresh",
    "quota-metric": "later",
    "quota": "later",
    "credits-depleted": "later",
    "internal": "resume",
    "internal-occurred": "resume",
    "unavailable": "resume",
    "deadline": "resume",
    "normal": "resume",
    "going-away": "resume",
    "reset": "resume",
}
CAUSES = {
    "bad-key": "bad_key",
    "no-key": "no_key",
    "key-leaked": "leaked_key",
    "key-not-found": "bad_key",
    "key-suspended": "suspended",
    "key-referer": "restricted_key",
    "api-disabled": "api_disabled",
    "location": "bad_location",
    "bad-model": "bad_model",
    "publisher-model": "bad_model",
    "unknown-field": "bad_setup",
    "invalid-argument": "invalid_argument",
    "precondition": "precondition",
    "thinking-unsupported": "bad_setup",
    "thinking-missing": "bad_setup",
    "thinking-minimal": "bad_setup",
    "modalities": "bad_setup",
    "text-output": "bad_setup",
    "voice": "bad_voice",
    "go-away-ignored": "go_away_ignored",
    "aborted": "aborted",
    "session-not-found": "unknown_handle",
    "history-not-found": "unknown_handle",
    "entity-not-found": "not_found",
    "not-implemented": "not_found",
    "quota-metric": "quota",
    "quota": "quota",
    "credits-depleted": "credit",
    "internal": "internal",
    "internal-occurred": "internal",
    "unavailable": "overloaded",
    "deadline": "connection_cap",
    "normal": "closed",
    "going-away": "closed",
    "reset": "network",
}
UNREACHABLE = (4002, "Failed to connect to AI service")
FAILED = (4002, "AI service error")
# A story long enough to be broken off, and a greeting.
LINES = (Reply(text="Hello there.", seconds=2.0), Reply(text="A long story indeed.", seconds=20.0))


def test_every_row_of_the_table_is_here() -> None:
    """A row that is added to the simulator is added to these tests."""
    assert set(RETRY) == set(CAUSES) == {*CLOSE_FRAMES, "reset"}


def closing(row: str, **when: object) -> Close | Drop:
    return Drop(**when) if row == "reset" else Close(row=row, **when)  # type: ignore[arg-type]


async def interview(
    scenario: Scenario, nursery: trio.Nursery, **settings: str
) -> tuple[World, Overheard, Candidate]:
    world = World(settings, scenario)
    heard = overhear(world, scenario)
    await world.start(nursery)
    return world, heard, await world.candidate()


def logged(world: World, row: str) -> None:
    """One line with cause, code and words for the operator; and it is counted."""
    line = world.events("upstream.failed")[0]
    assert line["cause"] == CAUSES[row]
    frame = CLOSE_FRAMES.get(row)
    if frame is not None:
        assert line["code"] == frame.code
        assert frame.reason.partition("{")[0][:80] in str(line["words"])
    count = world.metrics.registry.get_sample_value(
        "preppald_upstream_failures_total", {"cause": CAUSES[row]}
    )
    assert count is not None
    assert count >= 1


@pytest.mark.parametrize("row", RETRY)
async def test_before_the_setup_is_accepted(row: str, nursery: trio.Nursery, autojump_clock: object) -> None:
    """Permanent causes and quotas end it at once, as unreachable; of all others the candidate hears nothing."""
    world, heard, candidate = await interview(Scenario(fault=(closing(row, at="setup"),)), nursery)
    if RETRY[row] in {"no", "later"}:
        assert await candidate.closed() == UNREACHABLE
        assert [message.error.code for message in candidate.messages] == [4002]
        assert len(heard.setups) == 1
        assert world.events("session.ended")[0]["ending"] == "ai_unreachable"
        assert world.events("session.ended")[0]["cause"] == CAUSES[row]
        await world.outbox.drained(trio.current_time() + 10)
        assert world.backend.received("iv-1") == ["ERROR"]
    else:
        await candidate.heard_out()
        assert len(heard.setups) == 2
        assert candidate.kinds().count("session_started") == 1
        assert "notice" not in candidate.kinds()
        assert "error" not in candidate.kinds()
    logged(world, row)


@pytest.mark.parametrize("row", RETRY)
async def test_in_the_middle_of_a_reply(row: str, nursery: trio.Nursery, autojump_clock: object) -> None:
    """What can be had back is, and the reply goes on; what cannot ends it with the transcript so far."""
    fault = closing(row, at="generating", turn=2, after=1.0)
    world, heard, candidate = await interview(Scenario(reply=LINES, fault=(fault,)), nursery)
    await candidate.heard_out()
    await speak(candidate, 2)
    if RETRY[row] == "no":
        assert await candidate.closed() == FAILED
        assert len(heard.setups) == 1
        assert world.events("session.ended")[0]["ending"] == "ai_failed"
        await world.outbox.drained(trio.current_time() + 10)
        _begun, lines, status = world.backend.received("iv-1")
        assert not isinstance(lines, str)
        assert [speaker for speaker, _ in lines] == ["AI", "USER", "AI"]
        assert status == "ERROR"
    else:
        await keep_silent(candidate, 30)
        assert len(heard.setups) == 2
        assert bool(heard.handles[2]) is (RETRY[row] != "fresh")
        assert candidate.close is None
        notices = [message.notice.kind for message in candidate.messages if message.HasField("notice")]
        assert notices == ([1, 2] if RETRY[row] == "later" else []), "told only of a gap that can be heard"
        assert len(heard.prompts) == 2, "a greeting, and to go on: the interviewer had been broken off"
    logged(world, row)


@pytest.mark.parametrize("row", [row for row, retry in RETRY.items() if retry != "no"])
async def test_when_it_never_ends(row: str, nursery: trio.Nursery, autojump_clock: object) -> None:
    """The same answer to every try: the interview ends within its budget, with few tries and all that was said."""
    first = closing(row, at="turn-complete", turn=1, after=1.0)
    others = tuple(closing(row, at="setup", connection=number) for number in range(2, 30))
    world, heard, candidate = await interview(Scenario(reply=LINES, fault=(first, *others)), nursery)
    await candidate.heard_out()
    began = trio.current_time()
    with trio.fail_after(60):
        while not candidate.leaving:
            await keep_silent(candidate, 0.2)
        await candidate.closed()
    assert trio.current_time() - began < 35
    assert len(heard.setups) <= (3 if RETRY[row] in {"fresh", "later"} else 9)
    assert candidate.close == ((1000, "AI ended session") if CAUSES[row] == "closed" else FAILED)
    await world.outbox.drained(trio.current_time() + 10)
    received = world.backend.received("iv-1")
    assert [("AI", "Hello there.")] in received
    assert received.count("ERROR") == (CAUSES[row] != "closed")
