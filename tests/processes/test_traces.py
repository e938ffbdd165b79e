"""Traces of a real daemon, over a real line, into a receiver that reads them with OpenTelemetry's own messages."""

from collections.abc import Sequence
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
import pytest
import trio

from preppald.simulator import Scenario
from tests.http_server import Server, response, serving
from tests.processes.daemon import PATIENCE_SECONDS, daemon
from tests.test_canaries import API_KEY, HEARD, JWT_SECRET, REPLY, SPEECH, SPOKEN, WORKER_SECRET

HEADER_KEY = "canary-collector-key-0123456789"


def received(server: Server) -> list[Span]:
    requests = [ExportTraceServiceRequest.FromString(it.body) for it in server.heard]
    return [
        span for it in requests for of in it.resource_spans for own in of.scope_spans for span in own.spans
    ]


async def until(server: Server, names: Sequence[str]) -> list[Span]:
    with trio.fail_after(PATIENCE_SECONDS):
        while not set(names) <= {it.name for it in received(server)}:  # noqa: ASYNC110 - another process
            await trio.sleep(0.1)
    return received(server)


@pytest.mark.slow
async def test_a_receiver_gets_the_trace_of_an_interview(tmp_path: Path) -> None:
    """Every byte of the requests is searched for what was said, and for every secret."""
    async with serving(response(200, b"")) as collector, trio.open_nursery() as nursery:
        settings = {
            "JWT_SECRET": JWT_SECRET,
            "WORKER_SHARED_SECRET": WORKER_SECRET,
            "GEMINI_API_KEY": API_KEY,
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_HEADERS": f"x-key={HEADER_KEY}",
            "OTEL_SERVICE_NAME": "interviews",
        }
        scenario = Scenario(reply=REPLY, speech=SPEECH)
        async with daemon(tmp_path, settings, scenario=scenario) as running:
            candidate = await running.candidate(nursery, secret=JWT_SECRET)
            await candidate.heard_out(seconds=PATIENCE_SECONDS)
            await candidate.speak(2)
            await candidate.heard_out(seconds=PATIENCE_SECONDS)
            assert SPOKEN in candidate.text("AI")
            assert HEARD in candidate.text("USER")
            await candidate.end()
            await candidate.closed()
            wanted = ("interview", "gemini connection", "candidate turn", "delivery transcript")
            spans = await until(collector, wanted)
            log = running.log.read_text("utf-8")
        nursery.cancel_scope.cancel()
    assert len({it.trace_id for it in spans}) == 1
    assert any(it.name.startswith("chat gemini") for it in spans)
    assert {it.path for it in collector.heard} == {"/v1/traces"}
    assert {it.headers["x-key"] for it in collector.heard} == {HEADER_KEY}
    for it in collector.heard:
        assert b"interviews" in it.body
        for canary in (JWT_SECRET, WORKER_SECRET, API_KEY, SPOKEN, HEARD, HEADER_KEY):
            assert canary.encode() not in it.body
    assert HEADER_KEY not in log


@pytest.mark.slow
async def test_what_a_dead_collector_missed_it_gets_from_the_next_process(tmp_path: Path) -> None:
    """The daemon is killed meanwhile: a trace is in the journal."""
    async with trio.open_nursery() as nursery:
        scenario = Scenario(reply=REPLY, speech=SPEECH)
        settings = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9/v1/traces"}
        async with daemon(tmp_path, settings, scenario=scenario) as running:
            candidate = await running.candidate(nursery)
            await candidate.heard_out(seconds=PATIENCE_SECONDS)
            await candidate.end()
            await candidate.closed()
            await running.logged("traces.waiting")
        async with serving(response(200, b"")) as collector:
            settings = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector.url}/v1/traces"}
            async with daemon(tmp_path, settings) as running:
                await until(collector, ("interview", "gemini connection", "delivery status"))
                metrics = (await running.get("/metrics")).decode()
        assert "preppald_traces_sent_total" in metrics
        nursery.cancel_scope.cancel()
