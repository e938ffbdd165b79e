"""The newest wire: the same deliveries in protobuf, an interview's context, and what its answers mean."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import httpx
import pytest
import trio

from preppald.backend import (
    Delivered,
    Outcome,
    ProtobufBackend,
    Refused,
    Retry,
    Unauthorized,
    client,
    protobuf,
)
from preppald.backend.wire import elsewhere
from preppald.core.context import NOTHING_KNOWN, Context
from preppald.core.deliveries import (
    Delivery,
    DeliveryKind,
    Feedback,
    Status,
    feedback_delivery,
    status_delivery,
)
from preppald.pb.interview_pb2 import (
    ApiError,
    GetContextResponse,
    SubmitFeedbackResponse,
    SubmitTranscriptResponse,
    UpdateStatusResponse,
    WorkerApiRequest,
    WorkerApiResponse,
)
from preppald.pb.transcript_pb2 import Transcript
from preppald.simulator import BackendSimulator, serve_backend
from preppald.simulator.backend_scenario import BackendContext, BackendFault, BackendScenario
from tests.durable import EPOCH_MS, begun, finished
from tests.http_server import response, serving

SECRET = "the-secret-that-both-sides-know-of"
FEEDBACK = Feedback("Good.", "Honest.", "Clear.", "Calm.", "Awake.")
KNOWN = BackendContext(
    job_description="Runs trains.", resume="Ran trams.", persona="a stationmaster", duration_ms=1_800_000
)


@asynccontextmanager
async def application(**scenario: Any) -> AsyncIterator[tuple[BackendSimulator, str]]:
    """The simulated application on a real socket; its address."""
    backend = BackendSimulator(BackendScenario(secret=SECRET, context=KNOWN, **scenario))
    async with trio.open_nursery() as nursery:
        port = await nursery.start(partial(serve_backend, ("127.0.0.1", 0), backend))
        yield backend, f"http://127.0.0.1:{port}"
        nursery.cancel_scope.cancel()


async def test_the_application_takes_what_an_interview_owes() -> None:
    """Status, transcript and feedback, each by its message, at one address."""
    async with application() as (simulated, url), ProtobufBackend(url, SECRET) as backend:
        for delivery in (
            begun(),
            finished(fragments=6),
            feedback_delivery("iv", 1, FEEDBACK, now_ms=EPOCH_MS),
        ):
            assert await backend.post(delivery) == Delivered()
        async with httpx.AsyncClient() as browser:
            received = await browser.get(f"{url}/received")
    interview = received.json()["interviews"]["iv"]
    assert interview["status"] == "COMPLETED"
    assert interview["endedAt"] == "2026-11-18T11:06:40.000Z"
    assert interview["transcript"] == [
        {"speaker": "AI", "content": "a w [interrupted]", "timestamp": "2026-11-18T11:06:40.200Z"},
        {"speaker": "USER", "content": "a word 5 a word 6", "timestamp": "2026-11-18T11:06:41.000Z"},
    ]
    assert interview["feedback"] == {
        "summary": "Good.",
        "strengths": "Honest.",
        "content_and_structure": "Clear.",
        "communication_and_delivery": "Calm.",
        "presentation": "Awake.",
    }
    assert [call.procedure for call in simulated.calls] == [
        "interview.updateStatus",
        "interview.submitTranscript",
        "interview.submitFeedback",
    ]


async def test_a_transcript_posted_twice_stands_once() -> None:
    """So an answer that was lost is not ambiguous here: nobody is warned of a duplicate."""
    fault = BackendFault(kind="lost-answer", procedure="interview.submitTranscript")
    async with application(fault=(fault,)) as (simulated, url), ProtobufBackend(url, SECRET) as backend:
        lost = await backend.post(finished())
        assert isinstance(lost, Retry)
        assert not lost.ambiguous
        assert await backend.post(finished()) == Delivered()
    assert simulated.interviews["iv"].submissions == 2
    assert len(simulated.interviews["iv"].transcript) == 3


@pytest.mark.parametrize("ended_ms", [None, EPOCH_MS])
def test_a_status_has_an_end_only_where_there_is_one(ended_ms: int | None) -> None:
    delivery = status_delivery("iv", 1, Status.ERROR, now_ms=EPOCH_MS, ended_ms=ended_ms)
    request = protobuf.encode(delivery)
    assert (request.path, request.content_type) == ("/api/worker", "application/x-protobuf")
    update = WorkerApiRequest.FromString(request.body).update_status
    assert (update.interview_id, update.status) == ("iv", 3)
    assert update.ended_at == ("" if ended_ms is None else "2026-11-18T11:06:40.000Z")


def test_a_turn_keeps_its_time_to_the_millisecond() -> None:
    submitted = WorkerApiRequest.FromString(protobuf.encode(finished(fragments=6)).body).submit_transcript
    turns = Transcript.FromString(submitted.transcript).turns
    assert [(turn.speaker, turn.timestamp_ms - EPOCH_MS) for turn in turns] == [(2, 200), (1, 1000)]


async def test_a_payload_that_cannot_be_read_is_a_dead_letter() -> None:
    async with ProtobufBackend("http://127.0.0.1:9", SECRET) as backend:
        outcome = await backend.post(
            Delivery("k", "iv", DeliveryKind.FEEDBACK, b'{"summary": "secret"}', EPOCH_MS)
        )
    assert isinstance(outcome, Refused)
    assert "secret" not in outcome.cause


# The context of an interview


async def test_the_context_is_what_the_application_knows() -> None:
    async with application() as (_, url), ProtobufBackend(url, SECRET) as backend:
        assert await backend.context("iv") == Context("Runs trains.", "Ran trams.", "a stationmaster", 1800.0)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (GetContextResponse(), NOTHING_KNOWN),
        (GetContextResponse(duration_ms=-5), NOTHING_KNOWN),
        (GetContextResponse(duration_ms=90_000), Context(seconds=90.0)),
    ],
    ids=["nothing", "a negative length", "a length only"],
)
def test_a_context_may_be_empty(given: GetContextResponse, expected: Context) -> None:
    assert protobuf.context(200, WorkerApiResponse(get_context=given).SerializeToString()) == expected


async def test_a_context_that_cannot_be_had_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "TRY_SECONDS", 0.2)
    failing = BackendFault(kind="status", status=503)
    hanging = BackendFault(kind="hang")
    async with (
        application(interviews=("another",), fault=(failing, hanging)) as (_, url),
        ProtobufBackend(url, SECRET) as backend,
    ):
        assert await backend.context("iv") == Retry(503, "answered 503 with ApiError 503")
        assert await backend.context("iv") == Retry(None, "no complete answer within 0 seconds")
        assert await backend.context("iv") == Refused(404, "answered 400 with ApiError 404")


# What an answer means


def answer(**fields: Any) -> bytes:
    return WorkerApiResponse(**fields).SerializeToString()


def error(code: int) -> bytes:
    return answer(error=ApiError(code=code, message="word for word what was sent"))


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, answer(update_status=UpdateStatusResponse(success=True)), Delivered()),
        (201, answer(submit_transcript=SubmitTranscriptResponse(success=True)), Delivered()),
        (200, answer(submit_feedback=SubmitFeedbackResponse(success=True)), Delivered()),
        (200, answer(update_status=UpdateStatusResponse()), Retry(200, "answered 200 without success")),
        (200, answer(get_context=GetContextResponse()), Retry(200, "answered 200 without success")),
        (400, error(404), Refused(404, "answered 400 with ApiError 404")),
        (400, error(400), Refused(400, "answered 400 with ApiError 400")),
        (400, error(0), Refused(400, "answered 400 with ApiError 400")),
        (401, error(401), Unauthorized(401)),
        (403, b"", Retry(403, elsewhere(403, "protobuf"))),
        (500, error(500), Retry(500, "answered 500 with ApiError 500")),
        (200, error(500), Retry(200, "answered 200 with ApiError 500")),
        (200, error(7), Retry(200, "answered 200 with ApiError 500")),
        (200, error(401), Unauthorized(401)),
        (404, b"<!doctype html>", Retry(404, elsewhere(404, "protobuf"))),
        (400, b"", Retry(400, "answered 400, but not in protobuf: is that the application?")),
        (502, b"\xff\xff", Retry(502, "answered 502")),
        (307, b"", Retry(307, "answered 307, a redirection: NEXT_PUBLIC_API_URL must be the final address")),
    ],
)
def test_what_an_answer_means(status: int, body: bytes, outcome: Outcome) -> None:
    """The ApiError knows better than the status line; where there is none, it was not the application."""
    assert protobuf.decode(status, body) == outcome


@pytest.mark.parametrize("body", [b"", b"<!doctype html><title>App</title>", b"{}", b"\xff\x00"])
def test_a_200_of_another_program_is_a_failure(body: bytes) -> None:
    outcome = protobuf.decode(200, body)
    assert isinstance(outcome, Retry)
    assert "without a WorkerApiResponse" in outcome.cause


def test_the_backend_may_say_when_to_come_back() -> None:
    assert protobuf.decode(503, error(503), "7") == Retry(503, "answered 503 with ApiError 503", 7.0)


# The probe


async def test_the_probe_finds_the_application_without_changing_it() -> None:
    async with application() as (simulated, url):
        async with ProtobufBackend(url, SECRET) as backend:
            probe = await backend.probe()
            assert probe.good, probe.sentence
        async with ProtobufBackend(url, SECRET + "?") as stranger:
            probe = await stranger.probe()
            assert not probe.good
            assert "refuses WORKER_SHARED_SECRET (401)" in probe.sentence
    assert {call.procedure for call in simulated.calls} == {"interview.getContext"}


async def test_the_probe_tells_the_old_application_from_the_new() -> None:
    async with (
        serving(response(404, b"<!doctype html>")) as server,
        ProtobufBackend(server.url, SECRET) as backend,
    ):
        probe = await backend.probe()
    assert not probe.good
    assert probe.sentence == f"the backend at {server.url} {elsewhere(404, 'protobuf')}"
