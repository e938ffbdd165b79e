"""What the application knows of an interview, and what becomes of it: the brief, the length, the closing."""

from collections.abc import Callable

import pytest
import trio

from preppald.backend.outcomes import Outcome, Refused, Retry, Unauthorized
from preppald.core.context import Context
from preppald.core.frames import NoticeKind
from preppald.interview import prompting
from preppald.pb.interview_pb2 import Notice
from preppald.simulator import Scenario
from preppald.simulator.scenario import Reply
from tests.candidates import Candidate
from tests.overheard import Overheard, overhear
from tests.world import World

HELLO = Scenario(reply=(Reply(text="Hello there.", seconds=1),))
TRAINS = Context("Runs trains.", "Ran trams.", "a stationmaster", 600.0)


async def begin(
    nursery: trio.Nursery, known: Callable[[], Context | Outcome], **settings: str
) -> tuple[World, Overheard, Candidate]:
    world = World(settings, HELLO)
    heard = overhear(world, HELLO)
    world.backend.known = known
    await world.start(nursery)
    candidate = await world.candidate()
    await candidate.until("session_started")
    return world, heard, candidate


async def test_the_context_is_in_the_brief(nursery: trio.Nursery, autojump_clock: object) -> None:
    _world, heard, candidate = await begin(nursery, lambda: TRAINS, PREPPALD_LANGUAGE="French")
    brief = heard.instruction(1)
    assert brief.startswith("You are a stationmaster. ")
    assert "<job_description>\nRuns trains.\n</job_description>" in brief
    assert "<resume>\nRan trams.\n</resume>" in brief
    assert "Speak French." in brief
    assert "about 10 minutes" in brief
    await candidate.end()


@pytest.mark.parametrize(("asked", "limit", "lasts"), [(600, "1h", 600), (3600, "300s", 300), (5, "1h", 60)])
async def test_an_interview_lasts_as_long_as_the_application_says(
    nursery: trio.Nursery, autojump_clock: object, asked: float, limit: str, lasts: float
) -> None:
    """Up to the daemon's own limit, and not so short that it would be none."""
    context = Context(seconds=asked)
    world, heard, candidate = await begin(nursery, lambda: context, PREPPALD_SESSION_LIMIT=limit)
    assert candidate.messages[0].session_started.remaining_ms == pytest.approx(lasts * 1000, abs=500)
    assert f"about {round(lasts / 60)} minutes" in heard.instruction(1)
    interview = await world.journal.interview("iv-1")
    assert interview is not None
    assert interview.deadline_ms - interview.started_ms == pytest.approx(lasts * 1000, abs=10)
    assert (await candidate.closed(seconds=4000))[1] == "Session timeout (1 hour limit)"
    assert trio.current_time() == pytest.approx(lasts, abs=1)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (Refused(404, "answered 400 with ApiError 404"), "answered 400 with ApiError 404"),
        (Unauthorized(401), "the backend refuses WORKER_SHARED_SECRET (401)"),
        (Retry(503, "answered 503"), "answered 503"),
    ],
    ids=["unknown interview", "wrong secret", "down"],
)
async def test_without_a_context_the_interview_goes_on(
    nursery: trio.Nursery, autojump_clock: object, answer: Outcome, cause: str
) -> None:
    """The default persona, and the whole time; the operator is told why."""
    world, heard, candidate = await begin(nursery, lambda: answer)
    assert heard.instruction(1).startswith("You are a professional interviewer. ")
    assert candidate.messages[0].session_started.remaining_ms > 3_590_000
    (line,) = world.events("context.missing")
    assert line["cause"] == cause
    await candidate.end()
    await candidate.closed()


async def test_a_backend_that_is_being_restarted_is_asked_again(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    answers: list[Context | Outcome] = [Retry(503, "answered 503"), Retry(None, "cannot be reached"), TRAINS]
    world, heard, _candidate = await begin(nursery, lambda: answers.pop(0))
    assert heard.instruction(1).startswith("You are a stationmaster. ")
    assert not world.events("context.missing")
    value = world.metrics.registry.get_sample_value
    assert value("preppald_backend_calls_total", {"kind": "context", "outcome": "retry"}) == 2
    assert value("preppald_backend_calls_total", {"kind": "context", "outcome": "delivered"}) == 1


async def test_a_backend_that_hangs_costs_seconds_and_no_interview(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    world = World({}, HELLO)
    world.backend.context = _hanging  # type: ignore[method-assign, assignment]
    await world.start(nursery)
    candidate = await world.candidate()
    await candidate.until("session_started")
    assert trio.current_time() == pytest.approx(prompting.CONTEXT_SECONDS, abs=1)
    assert len(world.events("context.missing")) == 1


async def _hanging(_interview_id: str, _block: int = 0) -> Context:
    await trio.sleep_forever()
    raise AssertionError


async def test_near_the_end_both_sides_are_told(nursery: trio.Nursery, autojump_clock: object) -> None:
    """Five minutes before, the interviewer only knows it; one minute before, it closes at once."""
    _world, heard, candidate = await begin(nursery, lambda: TRAINS)
    await candidate.closed(seconds=700)
    notices = [
        (NoticeKind(message.notice.kind), message.notice.message)
        for message in candidate.messages
        if message.notice.kind == Notice.ENDING_SOON
    ]
    assert notices == [
        (NoticeKind.ENDING_SOON, "The interview ends in 5 minutes."),
        (NoticeKind.ENDING_SOON, "The interview ends in 1 minute."),
    ]
    (note,) = heard.notes
    assert note.startswith("(The interview ends in about 5 minutes.")
    *_, (_, closing) = heard.prompts
    assert closing.startswith("(The interview ends in about 1 minute. Finish now")
    assert candidate.text("AI") == "Hello there." * 3, "the second asked whether anybody is there"


async def test_a_model_that_takes_no_notes_is_prompted(nursery: trio.Nursery, autojump_clock: object) -> None:
    """3.1 closes the connection on client content in mid-session."""
    world, heard, candidate = await begin(
        nursery,
        lambda: TRAINS,
        PREPPALD_GEMINI_MODEL="gemini-3.1-flash-live-preview",
        PREPPALD_ENDING_SOON="5m",
    )
    await candidate.closed(seconds=700)
    assert heard.notes == []
    assert "about 5 minutes" in heard.prompts[-1][1]
    assert not world.events("upstream.failed")
