"""Traces on their way to a collector: what it gets, what it cannot hold up, and what is given up for its sake."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
import sqlite3

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span
import pytest
import trio

from preppald.config import otel
from preppald.config.load import load
from preppald.core import closes, tokens as auth
from preppald.errors import ConfigError
from preppald.gemini.connection import UpstreamError
from preppald.journal import Given, Journal, spans
from preppald.simulator import Scenario
from preppald.simulator.faults import Drop
from preppald.telemetry.metrics import Metrics
from preppald.traces import Collector, Exporter, NoExporter, collector_for, exporter as exporting, otlp
from preppald.traces.collector import Answer, Later, Refused, Sent
from tests.durable import Notes, running
from tests.http_server import response, serving
from tests.test_canaries import HEARD, JWT_SECRET, REPLY, SETTINGS as CANARIES, SPEECH, assert_silent
from tests.world import SETTINGS, WALL_MS, World

ON = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.test:4318"}
TRACE, SPAN = "0123456789abcdef0123456789abcdef", "0123456789abcdef"
ONE = f'{{"trace_id":"{TRACE}","spans":[{{"name":"gap","span_id":"{SPAN}","begin_ms":1,"end_ms":2}}]}}'


class Told(Collector):
    """A collector that answers as it is told, and keeps what it took."""

    def __init__(self, *answers: Answer, seconds: float = 0.0) -> None:
        super().__init__("http://collector.test", {}, 10.0)
        self.answers = list(answers)
        self.bodies: list[bytes] = []
        self.posts: list[float] = []
        self._takes = seconds

    async def post(self, body: bytes) -> Answer:
        self.posts.append(trio.current_time())
        await trio.sleep(self._takes)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Sent):
            self.bodies.append(body)
        return answer

    @property
    def spans(self) -> list[Span]:
        requests = map(ExportTraceServiceRequest.FromString, self.bodies)
        return [
            it
            for body in requests
            for of in body.resource_spans
            for own in of.scope_spans
            for it in own.spans
        ]


def value(span: Span, key: str) -> object:
    for it in span.attributes:
        if it.key == key:
            return getattr(it.value, str(it.value.WhichOneof("value")))
    return None


def now_ms() -> int:
    return WALL_MS + round(trio.current_time() * 1000)


def exporter(
    journal: Journal, collector: Collector, notes: Notes, metrics: Metrics | None = None
) -> Exporter:
    return Exporter(
        journal,
        collector,
        {"service.name": "preppald"},
        metrics=metrics or Metrics(),
        log=notes,
        now_ms=now_ms,
        chance=lambda: 0.5,
    )


# ------------------------------------------------------------------ whole interviews


@asynccontextmanager
async def traced(
    scenario: Scenario, collector: Collector, settings: Mapping[str, str] = ON
) -> AsyncIterator[World]:
    """A world with a collector, whose outbox tells of each delivery."""
    world = World({**settings}, scenario)
    async with trio.open_nursery() as nursery:
        posts = exporter(world.journal, collector, Notes(), world.metrics)
        world.settled = posts.settled
        await world.start(nursery)
        nursery.start_soon(posts.run)
        yield world
        nursery.cancel_scope.cancel()


async def talk(world: World) -> None:
    """Two questions and an answer, to the candidate's end."""
    candidate = await world.candidate()
    await candidate.heard_out()
    await candidate.speak(2)
    await candidate.heard_out()
    await candidate.end()
    await candidate.closed()


DROPS = Scenario(reply=REPLY, speech=SPEECH, fault=(Drop(at="generating", turn=2),))


async def test_an_interview_is_one_trace(autojump_clock: object) -> None:
    """With its connections, gap, turns and deliveries under one root, and nothing before it is over."""
    collector = Told(Sent())
    async with traced(DROPS, collector) as world:
        candidate = await world.candidate()
        await candidate.heard_out()
        world.dial_failures = [UpstreamError(closes.NETWORK)]
        await candidate.speak(2)
        await candidate.heard_out(seconds=30)
        assert collector.posts == []
        await candidate.end()
        await candidate.closed()
        await trio.sleep(3 * exporting.LOOK_SECONDS)
    spans_ = collector.spans
    assert len({it.trace_id for it in spans_}) == 1
    (root,) = [it for it in spans_ if not it.parent_span_id]
    assert root.name == "interview"
    assert value(root, "preppald.interview.ending") == "user_ended"
    assert {it.parent_span_id for it in spans_} == {b"", root.span_id}
    names = [it.name for it in spans_]
    connections = [it for it in spans_ if it.name == "gemini connection"]
    assert [value(it, "preppald.connection.end") for it in connections][-1] == "interview_ended"
    assert (
        sum(it.status.code == it.status.STATUS_CODE_ERROR for it in connections) == len(connections) - 1 >= 2
    )
    assert names.count("gap") >= 1
    assert names.count("candidate turn") == 1
    replies = [it for it in spans_ if it.name.startswith("chat ")]
    assert len(replies) >= 2
    first_sounds = [value(it, "preppald.reply.first_sound_seconds") for it in replies]
    assert any(isinstance(it, float) and it > 0 for it in first_sounds)
    assert sorted(it.name for it in spans_ if it.name.startswith("delivery")) == [
        "delivery status",
        "delivery transcript",
    ]
    for it in spans_:
        assert it.start_time_unix_nano <= it.end_time_unix_nano


async def test_no_secret_and_no_word_is_in_a_trace(autojump_clock: object) -> None:
    """Byte for byte: in the journal's rows and in what the collector gets."""
    collector = Told(Later("not yet"), Sent())
    canaries = {name: text for name, text in CANARIES.items() if name != "PREPPALD_LOG_LEVEL"}
    async with traced(DROPS, collector, {**ON, **canaries}) as world:
        await talk_as(world)
        await trio.sleep(1)
        rows = await world.journal.ask(partial(spans.due, most=100, most_bytes=10**6))
        await trio.sleep(60)
    kept = "".join(it.spans for it in rows)
    assert "interview" in kept
    assert len(collector.spans) > 5
    for text in (kept, *(body.decode("latin-1") for body in collector.bodies)):
        assert_silent(text)
        assert "user-1" not in text


async def talk_as(world: World) -> None:
    """As ``talk``, with a token by the canary's secret."""
    token = auth.sign(JWT_SECRET, user_id="user-1", interview_id="iv-1", now=world.now_ms() // 1000)
    candidate = await world.candidate(token=token)
    await candidate.heard_out()
    await candidate.speak(2)
    await candidate.heard_out(seconds=30)
    assert HEARD in candidate.text("USER")
    await candidate.end()
    await candidate.closed()


async def test_without_an_endpoint_there_are_no_traces(autojump_clock: object) -> None:
    async with traced(Scenario(reply=REPLY), collector := Told(Sent()), {}) as world:
        world.settled = NoExporter(world.journal, Notes()).settled
        await talk(world)
        assert await world.journal.ask(spans.waiting) == 0
        await trio.sleep(60)
    assert collector.posts == []


@pytest.mark.parametrize("collector", [Told(Sent()), Told(Later("down"), seconds=10.0)], ids=["good", "dead"])
async def test_a_collector_delays_no_transcript(autojump_clock: object, collector: Told) -> None:
    """Its queue is its own: the backend has everything as soon as ever, whatever the collector does."""
    async with traced(Scenario(reply=REPLY, speech=SPEECH), collector) as world:
        for number in range(5):
            candidate = await world.candidate(f"iv-{number}")
            await candidate.heard_out()
            await candidate.speak(2)
            await candidate.heard_out()
            await candidate.end()
            ended = trio.current_time()
            await candidate.closed()
            await trio.sleep(ended + 1.0 - trio.current_time())
            assert len(world.backend.received(f"iv-{number}")) == 2
        await trio.sleep(60)
        owed = await world.journal.ask(spans.waiting)
    assert collector.posts
    assert (owed == 0) == bool(collector.bodies)


# ------------------------------------------------------------------ the exporter


@asynccontextmanager
async def owing(*rows: str) -> AsyncIterator[Journal]:
    """A journal that owes these, each of another interview."""
    place = Given(lambda: sqlite3.connect(":memory:", check_same_thread=False))
    async with running(place, now_ms=now_ms) as journal:
        for number, row in enumerate(rows):
            journal.add_spans(f"iv-{number}", 0, 1, row)
        await journal.flush()
        yield journal


async def test_it_waits_and_tries_again(autojump_clock: object) -> None:
    """Ever less often, said once; then all of it goes, in the order in which it was made."""
    collector = Told(*[Later("answered 503")] * 6, Later("answered 429", retry_after=60.0), Sent())
    notes, metrics = Notes(), Metrics()
    rows = [ONE.replace("gap", f"gap {number}") for number in range(250)]
    async with owing(*rows) as journal, trio.open_nursery() as nursery:
        nursery.start_soon(exporter(journal, collector, notes, metrics).run)
        await trio.sleep(600)
        assert await journal.ask(spans.waiting) == 0
        nursery.cancel_scope.cancel()
    assert [it.name for it in collector.spans] == [f"gap {number}" for number in range(250)]
    assert len(collector.bodies) == 3
    waits = [
        round(after - before, 1) for before, after in zip(collector.posts, collector.posts[1:], strict=False)
    ]
    assert waits[:7] == [1.0, 1.0, 2.0, 4.0, 8.0, 16.0, 60.0]
    assert notes.events() == ["traces.waiting"]
    assert metrics.registry.get_sample_value("preppald_traces_sent_total") == 250


@pytest.mark.parametrize(
    ("answer", "row", "why", "count"),
    [
        (Refused("answered 400"), ONE, "refused", 1),
        (Sent(rejected=1), ONE, "rejected", 1),
        (Sent(), '{"trace_id":"', "unreadable", 1),
        (Sent(), ONE.replace(TRACE, "xyz"), "unreadable", 1),
    ],
)
async def test_what_the_collector_will_never_have_is_counted(
    autojump_clock: object, answer: Answer, row: str, why: str, count: int
) -> None:
    notes, metrics = Notes(), Metrics()
    async with owing(row) as journal, trio.open_nursery() as nursery:
        nursery.start_soon(exporter(journal, Told(answer), notes, metrics).run)
        await trio.sleep(1)
        assert await journal.ask(spans.waiting) == 0
        nursery.cancel_scope.cancel()
    assert notes.keys("traces.dropped")["why"] == why
    assert metrics.registry.get_sample_value("preppald_traces_dropped_total", {"why": why}) == count


async def test_old_ones_go_and_are_counted(autojump_clock: object) -> None:
    """After a week, while the collector is down."""
    notes, metrics = Notes(), Metrics()
    async with owing(ONE) as journal, trio.open_nursery() as nursery:
        nursery.start_soon(exporter(journal, Told(Later("down")), notes, metrics).run)
        await trio.sleep(exporting.MOST_AGE_MS / 1000 - 60)
        assert await journal.ask(spans.waiting) == 1
        await trio.sleep(2 * exporting.TRIM_SECONDS)
        assert await journal.ask(spans.waiting) == 0
        nursery.cancel_scope.cancel()
    assert notes.keys("traces.dropped")["why"] == "old"
    assert metrics.registry.get_sample_value("preppald_traces_dropped_total", {"why": "old"}) == 1


async def test_the_last_ones_go_before_the_end(autojump_clock: object) -> None:
    """As far as the collector takes them: a dead one is not waited for."""
    for collector, left in ((Told(Sent()), 0), (Told(Later("down"), seconds=10.0), 1)):
        async with owing(ONE) as journal:
            began = trio.current_time()
            await exporter(journal, collector, Notes()).drain()
            assert trio.current_time() - began <= exporting.DRAIN_SECONDS
            assert await journal.ask(spans.waiting) == left


async def test_a_bug_in_it_ends_nothing(autojump_clock: object, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = Notes()
    async with owing(ONE) as journal, trio.open_nursery() as nursery:
        collector = Told(Sent())
        monkeypatch.setattr(otlp, "encode", lambda *_: 1 // 0)
        nursery.start_soon(exporter(journal, collector, notes).run)
        await trio.sleep(1)
        monkeypatch.undo()
        await trio.sleep(exporting.LOOK_SECONDS)
        nursery.cancel_scope.cancel()
    assert notes.events() == ["traces.bug"]
    assert len(collector.spans) == 1


async def test_what_was_owed_goes_when_traces_are_off(autojump_clock: object) -> None:
    notes = Notes()
    async with owing(ONE) as journal:
        off = NoExporter(journal, notes)
        await off.run()
        await off.run()
        await off.drain()
        off.renew({})
        assert list(off.gauges()) == []
        assert await journal.ask(spans.waiting) == 0
    assert notes.keys("traces.dropped")["why"] == "off"


# ------------------------------------------------------------------ the collector, over real sockets


ANSWERS: list[tuple[bytes, type[Answer]]] = [
    (response(200, b""), Sent),
    (response(202, b"whatever that is"), Sent),
    (response(400, b"no"), Refused),
    (response(413, b"no"), Refused),
    (response(401, b"no"), Later),
    (response(404, b"<html>"), Later),
    (response(302, b"", "Location: /elsewhere"), Later),
    (response(500, b""), Later),
    (response(200, b"x" * 10**6), Sent),
    (b"garbage", Later),
]


@pytest.mark.parametrize(("raw", "meaning"), ANSWERS)
async def test_the_meaning_of_an_answer(raw: bytes, meaning: type[Answer]) -> None:
    async with serving(raw) as server, Collector(f"{server.url}/v1/traces", {"x-key": "k"}, 5.0) as collector:
        answer = await collector.post(b"body")
        assert isinstance(answer, meaning)
        (heard,) = server.heard
    assert (heard.method, heard.path, heard.body) == ("POST", "/v1/traces", b"body")
    assert heard.headers["content-type"] == "application/x-protobuf"
    assert heard.headers["x-key"] == "k"


async def test_what_a_collector_says_beside_its_status() -> None:
    busy = response(503, b"", "Retry-After: 7")
    partly = ExportTraceServiceResponse()
    partly.partial_success.rejected_spans = 3
    for raw, meaning in (
        (busy, Later("answered 503", 7.0)),
        (response(200, partly.SerializeToString()), Sent(3)),
    ):
        async with serving(raw) as server, Collector(server.url, {}, 5.0) as collector:
            assert await collector.post(b"") == meaning


async def test_the_collector_of_the_configuration() -> None:
    """A request without a span is what `preppald check --online` posts."""
    async with serving(response(200, b"")) as server:
        config = load({**SETTINGS, "OTEL_EXPORTER_OTLP_ENDPOINT": server.url})
        async with collector_for(config) as collector:
            assert collector.where == f"{server.url}/v1/traces"
            assert await collector.post(b"") == Sent()
    with pytest.raises(ValueError, match="names no collector"):
        collector_for(load(SETTINGS))


async def test_a_collector_that_hangs_or_is_not_there() -> None:
    async def hang(_stream: trio.abc.Stream) -> None:
        await trio.sleep_forever()

    async with serving(hang) as server, Collector(server.url, {}, 0.2) as collector:
        answer = await collector.post(b"")
        assert isinstance(answer, Later)
    async with Collector(server.url, {}, 5.0) as collector:
        answer = await collector.post(b"")
        assert answer == Later("cannot be reached (Connection refused)")


@pytest.mark.parametrize(
    "wrong", ["x-team=%C3%A4", "content-length=7", "transfer-encoding=gzip", "host=elsewhere"]
)
async def test_whatever_the_headers_are_a_post_has_an_answer(wrong: str) -> None:
    """Seen before: a traceback each five seconds."""
    async with (
        serving(response(200, b"")) as server,
        Collector(server.url, otel.parsed(wrong), 0.5) as collector,
    ):
        assert isinstance(await collector.post(b"body"), Later | Sent)


async def test_rotated_headers_count_from_the_next_post_on() -> None:
    async with serving(response(200, b"")) as server, Collector(server.url, {"a": "1"}, 5.0) as collector:
        await collector.post(b"")
        collector.renew({"a": "2"})
        await collector.post(b"")
        assert [it.headers["a"] for it in server.heard] == ["1", "2"]


# ------------------------------------------------------------------ the settings


def test_the_usual_variables_count() -> None:
    config = load(SETTINGS)
    assert config.traces_url is None
    config = load(
        {
            **SETTINGS,
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318/",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20abc, x-team = a",
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "x-team=b",
            "OTEL_RESOURCE_ATTRIBUTES": "service.name=mine,deployment.environment.name=test",
        }
    )
    assert config.traces_url == "http://c:4318/v1/traces"
    assert config.traces_headers == {"authorization": "Bearer abc", "x-team": "b"}
    assert config.traces_resource == {"service.name": "mine", "deployment.environment.name": "test"}
    named = {**SETTINGS, **ON, "OTEL_SERVICE_NAME": "ours", "OTEL_RESOURCE_ATTRIBUTES": "service.name=mine"}
    assert load(named).traces_resource == {"service.name": "ours"}
    own = {**SETTINGS, **ON, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://t/x"}
    assert load(own).traces_url == "http://t/x"
    for off in ({"OTEL_SDK_DISABLED": "TRUE"}, {"OTEL_TRACES_EXPORTER": "none"}):
        assert load({**own, **off}).traces_url is None


def test_headers_may_be_in_a_file_and_are_a_secret(tmp_path: Path) -> None:
    file = tmp_path / "headers"
    file.write_text("authorization=Bearer%20abc\n")
    file.chmod(0o600)
    config = load({**SETTINGS, **ON, "OTEL_EXPORTER_OTLP_HEADERS_FILE": str(file)})
    assert config.traces_headers == {"authorization": "Bearer abc"}
    assert "abc" not in repr(config)
    with pytest.raises(ConfigError) as caught:
        load({**SETTINGS, **ON, "OTEL_EXPORTER_OTLP_HEADERS": "my secret words"})
    assert "words" not in str(caught.value)


# Headers that HTTP cannot carry, or that say otherwise than the post is.
UNSENDABLE = (
    "x-team=%C3%A4",
    "x-team=a,Content-Length=7",
    "transfer-encoding=gzip",
    "host=elsewhere",
    "content-type=text/plain",
    "content-encoding=gzip",
)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=%0a"),
        ("PREPPALD_TRACE_NAMES", "otel"),
        *(
            (name, wrong)
            for name in ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
            for wrong in (*UNSENDABLE, "x-team=%20a", "x-team=a%20")
        ),
    ],
)
def test_a_wrong_value_is_a_fault(name: str, wrong: str) -> None:
    with pytest.raises(ConfigError, match=name):
        load({**SETTINGS, **ON, name: wrong})
