"""Losing Gemini without a warning, and having it back: what is tried, what the candidate is told and given."""

import pytest
import trio

from preppald.core import closes, interviewer
from preppald.core.interview import Handle
from preppald.core.ladder import RESTORE_BUDGET_SECONDS, START_BUDGET_SECONDS
from preppald.gemini.connection import PONG_SECONDS, QUIET_SECONDS, UpstreamError
from preppald.gemini.quota import QUOTA_PAUSE_SECONDS
from preppald.simulator.faults import Close, Drop, Fault, Silence
from preppald.simulator.scenario import Reply, Scenario
from tests.candidates import Candidate
from tests.overheard import Overheard, keep_silent, overhear, speak
from tests.world import WALL_MS, World

RECONNECTING, RECONNECTED = 1, 2


async def interview(
    nursery: trio.Nursery, *faults: Fault, reply: tuple[Reply, ...] = (), **settings: str
) -> tuple[World, Overheard, Candidate]:
    scenario = Scenario(fault=faults, reply=reply)
    world = World(settings, scenario)
    heard = overhear(world, scenario)
    await world.start(nursery)
    candidate = await world.candidate()
    await candidate.heard_out()
    return world, heard, candidate


def lost_after_greeting() -> Drop:
    return Drop(at="turn-complete", turn=1, after=2.0)


def outage(seconds: int) -> list[UpstreamError]:
    """Nothing accepts connections for about so long: with this chance the tries come ever more slowly."""
    return [UpstreamError(closes.REFUSED) for _ in range(seconds)]


def notices(candidate: Candidate) -> list[int]:
    return [message.notice.kind for message in candidate.messages if message.HasField("notice")]


async def test_a_lost_connection_is_resumed_before_anybody_notices(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """The candidate's turn stays the candidate's: no prompt, no notice, no credit."""
    world, heard, candidate = await interview(nursery, lost_after_greeting())
    await keep_silent(candidate, 10)
    assert heard.handles[2]
    assert heard.prompts == [(1, interviewer.GREETING)]
    assert notices(candidate) == []
    assert world.events("time.credited") == []


async def test_a_reply_that_was_broken_off_is_asked_for_and_the_half_is_kept(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """What was played stays in the transcript, marked as cut; the interviewer goes on and does not greet."""
    story = (Reply(text="Hi.", seconds=1.0), Reply(text="One two three four.", seconds=8.0))
    fault = Drop(at="generating", turn=2, after=0.5)
    world, heard, candidate = await interview(nursery, fault, reply=story)
    await speak(candidate, 2)
    await keep_silent(candidate, 15)
    greeting, go_on = [text for _, text in heard.prompts]
    assert greeting == interviewer.GREETING
    assert "The candidate's last answer was: “" in go_on
    assert "The candidate heard you say: “One two" in go_on
    await candidate.end()
    await candidate.closed()
    await world.outbox.drained(trio.current_time() + 10)
    lines = world.backend.received("iv-1")[-1]
    assert not isinstance(lines, str)
    cut = [text for speaker, text in lines if speaker == "AI"][1]
    assert cut.endswith("[interrupted]")


async def test_a_refused_handle_is_forgotten_and_the_fresh_session_is_told_what_was_said(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """In the system instruction: history as client content was seen to be lost. In the journal, too."""
    refused = Close(connection=2, at="setup", row="session-not-found")
    reply = (Reply(text="Welcome to it.", seconds=1.0),)
    world, heard, candidate = await interview(nursery, lost_after_greeting(), refused, reply=reply)
    await keep_silent(candidate, 3)
    assert [bool(handle) for handle in heard.handles.values()] == [False, True, False]
    assert "Interviewer: Welcome to it." in heard.instruction(3)
    assert "Welcome to it." not in heard.instruction(1)
    assert heard.prompts == [(1, interviewer.GREETING)], "it was the candidate's turn, and still is"
    journalled = await world.journal.interview("iv-1")
    assert journalled is not None
    assert journalled.handle is None


@pytest.mark.parametrize(
    ("row", "resumes"), [("internal", False), ("unavailable", True), ("quota", True), ("deadline", False)]
)
async def test_a_resume_that_gemini_closes_over_is_not_tried_with_that_handle_again(
    row: str, *, resumes: bool, nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Unless what it says has nothing to do with the handle: overload, a quota."""
    refused = Close(connection=2, at="setup", row=row)
    _world, heard, candidate = await interview(nursery, lost_after_greeting(), refused)
    await keep_silent(candidate, 28)
    assert [bool(handle) for handle in heard.handles.values()] == [False, True, resumes]


async def test_a_session_that_dies_after_every_resume_is_begun_afresh(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Seen: 1011 half a second after the next utterance, for ever. Two resumes, and it is left behind."""
    loop = Close(connection="all", resumed=True, at="utterance", after=0.1, row="internal")
    _world, heard, candidate = await interview(nursery, lost_after_greeting(), loop)
    for _ in range(3):
        await speak(candidate, 2, pause=4)
    assert [bool(handle) for handle in heard.handles.values()] == [False, True, True, False]
    await candidate.heard_out()


async def test_a_gap_that_can_be_heard_is_told_and_given_back(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """RECONNECTING, RECONNECTED, and as much more time at the end as the candidate had to wait."""
    world, heard, candidate = await interview(nursery, lost_after_greeting())
    world.dial_failures += outage(6)
    await keep_silent(candidate, 12)
    assert notices(candidate) == [RECONNECTING, RECONNECTED]
    gap = world.events("upstream.ready")[1]["gap_seconds"]
    (credit,) = world.events("time.credited")
    assert isinstance(gap, float)
    assert gap > 1.0
    assert credit["seconds"] == pytest.approx(gap, abs=0.06)
    journalled = await world.journal.interview("iv-1")
    assert journalled is not None
    assert journalled.deadline_ms - journalled.started_ms == pytest.approx(3_600_000 + gap * 1000, abs=60)
    assert heard.handles[2], "a network that was away says nothing about the handle"


async def test_a_deadline_that_falls_into_a_gap_waits_for_it(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """The time that will be given back is there when it is needed."""
    fault = Drop(at="turn-complete", turn=1, after=50.0)
    world, _heard, candidate = await interview(nursery, fault, PREPPALD_SESSION_LIMIT="60s")
    world.dial_failures += outage(7)
    await keep_silent(candidate, 80)
    assert candidate.close == (1000, "Session timeout (1 hour limit)")
    seconds = float(str(world.events("session.ended")[0]["seconds"]))
    (credit,) = world.events("time.credited")
    assert seconds == pytest.approx(60 + float(str(credit["seconds"])), abs=0.3)


async def test_without_credit_the_deadline_waits_for_nobody(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """PREPPALD_CREDIT_LIMIT=0."""
    world, _heard, candidate = await interview(
        nursery, lost_after_greeting(), PREPPALD_SESSION_LIMIT="60s", PREPPALD_CREDIT_LIMIT="0"
    )
    world.dial_failures += outage(6)
    await keep_silent(candidate, 70)
    assert world.events("session.ended")[0]["seconds"] == pytest.approx(60, abs=0.2)
    assert world.events("time.credited") == []


async def test_what_is_said_in_a_gap_is_kept_up_to_five_seconds_and_the_rest_counted(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """The last five: older speech would only answer a question that has gone by."""
    world, heard, candidate = await interview(nursery, lost_after_greeting())
    await keep_silent(candidate, 1)
    world.dial_failures += outage(7)
    sent = len(heard.all_audio)
    await keep_silent(candidate, 20)
    gap = float(str(world.events("upstream.ready")[1]["gap_seconds"]))
    dropped = world.metrics.registry.get_sample_value("preppald_audio_dropped_seconds_total") or 0.0
    assert dropped == pytest.approx(gap - 5, abs=0.5)
    assert (len(heard.all_audio) - sent) / 32_000 == pytest.approx(20 - dropped, abs=1.0)


async def test_an_outage_longer_than_the_budget_ends_the_interview_with_what_was_said(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Thirty seconds; then the candidate is told, and the transcript delivered."""
    world, _heard, candidate = await interview(nursery, lost_after_greeting())
    world.dial_failures += outage(99)
    began = trio.current_time()
    await keep_silent(candidate, 40)
    assert candidate.close == (4002, "AI service error")
    assert trio.current_time() - began < RESTORE_BUDGET_SECONDS + 3
    await world.outbox.drained(trio.current_time() + 10)
    assert len(world.backend.received("iv-1")) == 3


async def test_a_gemini_that_hangs_is_not_waited_for_beyond_the_budget(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Connects, and never sets up: the budget bounds the try itself, not only when the next may begin."""
    hangs = Silence(connection="all", at="setup")
    scenario = Scenario(fault=(hangs,))
    world = await World({}, scenario).start(nursery)
    candidate = await world.candidate()
    began = trio.current_time()
    assert await candidate.closed() == (4002, "Failed to connect to AI service")
    assert trio.current_time() - began == pytest.approx(START_BUDGET_SECONDS, abs=0.5)
    assert world.events("upstream.failed")[0]["cause"] == "setup_timed_out"


async def test_a_quota_is_asked_about_by_one_interview_and_not_by_all(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """One breaker for the process: the others fail without a dial, and asking does not renew the pause."""
    world = World({}, Scenario(fault=(Close(at="setup", row="quota"),)))
    await world.start(nursery)
    first = await world.candidate("iv-1")
    assert await first.closed() == (4002, "Failed to connect to AI service")
    for number in range(2, 6):
        other = await world.candidate(f"iv-{number}", token=world.token(f"iv-{number}", f"user-{number}"))
        assert await other.closed() == (4002, "Failed to connect to AI service")
        await trio.sleep(QUOTA_PAUSE_SECONDS / 5)
    assert world.dials == 1
    await trio.sleep(QUOTA_PAUSE_SECONDS / 5)
    last = await world.candidate("iv-9", token=world.token("iv-9", "user-9"))
    await last.heard_out()
    assert world.dials == 2


async def test_a_gemini_that_is_gone_without_a_word_is_noticed(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """No bytes for 30 s: a ping. No pong in 60 s, where 8 to 30 were seen: gone, and counted as silent."""
    world, heard, candidate = await interview(nursery, Silence(at="turn-complete", turn=1, after=2.0))
    await keep_silent(candidate, QUIET_SECONDS + PONG_SECONDS + 5)
    assert len(heard.setups) == 2
    assert [line["cause"] for line in world.events("upstream.failed")] == ["silent"]


@pytest.mark.parametrize(
    ("model", "age_hours", "used"),
    [
        ("gemini-3.8-live", 0, True),
        ("gemini-3.1-flash-live-preview", 0, False),
        ("gemini-3.8-live", 2, False),
    ],
)
def test_a_handle_is_used_for_its_own_model_and_while_it_is_good(
    model: str, age_hours: int, *, used: bool
) -> None:
    """Another model refuses it, with an error that would end the interview."""
    handle = Handle("h", model, WALL_MS)
    assert handle.good("gemini-3.8-live", WALL_MS + age_hours * 3_600_000) is used
