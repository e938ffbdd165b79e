"""The simulated backend, called over memory streams and over a real socket with httpx."""

from collections.abc import Callable
import json
from typing import Any

import h11
import httpx
import pytest
import trio
import trio.testing
from trio.testing import MockClock, memory_stream_pair

from preppald.pb.interview_pb2 import (
    GetContextResponse,
    SubmitTranscriptRequest,
    WorkerApiRequest,
    WorkerApiResponse,
)
from preppald.pb.transcript_pb2 import Speaker, Transcript
from preppald.simulator import BackendSimulator, serve_backend
from preppald.simulator.backend_scenario import BackendBlock, BackendContext, BackendFault, BackendScenario
from preppald.simulator.store import Refusal, Store
from preppald.simulator.worker import Worker

UPDATE = "/api/trpc/interview.updateStatus"
SUBMIT = "/api/trpc/interview.submitTranscript"
STATUS = {"interviewId": "i1", "status": "IN_PROGRESS"}
ENTRY = {"speaker": "USER", "content": "Hello.", "timestamp": "2026-11-22T10:00:00.000Z"}
TRANSCRIPT = {"interviewId": "i1", "transcript": [ENTRY], "endedAt": "2026-11-22T11:00:00.000Z"}

Reply = tuple[int, dict[str, str], bytes]


class Browser:
    """An HTTP client on one memory stream to a backend."""

    def __init__(self, backend: BackendSimulator, nursery: trio.Nursery) -> None:
        self.stream, there = memory_stream_pair()
        nursery.start_soon(backend.handle_stream, there)
        self.connection = h11.Connection(h11.CLIENT)

    async def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Reply:
        named = {"Host": "localhost", "Content-Length": str(len(body)), **headers}
        head = h11.Request(method=method, target=path, headers=list(named.items()))
        for event in (head, h11.Data(body), h11.EndOfMessage()):
            await self.stream.send_all(self.connection.send(event) or b"")
        return await self.answer()

    async def answer(self) -> Reply:
        status, headers, body = 0, dict[str, str](), b""
        while True:
            event = self.connection.next_event()
            if event is h11.NEED_DATA:
                self.connection.receive_data(bytes(await self.stream.receive_some()))
            elif isinstance(event, h11.Response):
                status = event.status_code
                headers = {name.decode(): value.decode() for name, value in event.headers}
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                if self.connection.our_state is h11.DONE and self.connection.their_state is h11.DONE:
                    self.connection.start_next_cycle()
                return status, headers, body

    async def post(self, path: str, value: Any, **headers: str) -> tuple[int, dict[str, Any]]:
        status, _, body = await self.ask("POST", path, json.dumps(value).encode(), **headers)
        return status, json.loads(body)


Ask = Callable[..., Browser]


@pytest.fixture
def browser(nursery: trio.Nursery) -> Ask:
    def ask(*, fault: tuple[BackendFault, ...] = (), **scenario: Any) -> Browser:
        return Browser(BackendSimulator(BackendScenario(fault=fault, **scenario)), nursery)

    return ask


async def test_a_whole_interview(browser: Ask, autojump_clock: MockClock) -> None:
    """Status and transcript over one connection; /received shows both and what is stored."""
    client = browser()
    assert await client.post(UPDATE, {"json": STATUS}) == (
        200,
        {"result": {"data": {"json": {"success": True}}}},
    )
    status, _ = await client.post(SUBMIT, {"json": TRANSCRIPT}, **{"Idempotency-Key": "k1"})
    assert status == 200
    _, _, body = await client.ask("GET", "/received")
    received = json.loads(body)
    assert received["interviews"]["i1"] == {
        "status": "COMPLETED",
        "endedAt": TRANSCRIPT["endedAt"],
        "transcript": [ENTRY],
        "submissions": 1,
        "feedback": None,
        "checked": None,
        "blocks": {},
    }
    assert [call["procedure"] for call in received["calls"]] == [
        "interview.updateStatus",
        "interview.submitTranscript",
    ]
    assert received["calls"][1]["idempotencyKey"] == "k1"


@pytest.mark.parametrize(
    ("scenario", "entries"), [({}, 2), ({"honours_idempotency_key": True}, 1)], ids=["ignored", "honoured"]
)
async def test_a_transcript_posted_twice(
    browser: Ask,
    autojump_clock: MockClock,
    scenario: dict[str, bool],
    entries: int,
) -> None:
    """It stands twice, as in the real router, unless the backend honours the Idempotency-Key."""
    client = browser(**scenario)
    for _ in range(2):
        assert (await client.post(SUBMIT, {"json": TRANSCRIPT}, **{"Idempotency-Key": "k"}))[0] == 200
    received = json.loads((await client.ask("GET", "/received"))[2])
    assert len(received["interviews"]["i1"]["transcript"]) == entries


async def test_superjson_refuses_a_bare_body(browser: Ask, autojump_clock: MockClock) -> None:
    """A bare body is undefined to the real router: 400, and the message under error.json."""
    status, body = await browser().post(UPDATE, STATUS)
    assert (status, body["error"]["json"]["data"]["code"]) == (400, "BAD_REQUEST")
    status, body = await browser(transformer="none").post(UPDATE, STATUS)
    assert (status, body) == (200, {"result": {"data": {"success": True}}})


@pytest.mark.parametrize(
    ("path", "value", "status"),
    [
        (UPDATE, {"json": {"interviewId": "i1", "status": "DONE"}}, 400),
        (UPDATE, {"json": {"interviewId": 7, "status": "ERROR"}}, 400),
        (UPDATE, {"json": {"interviewId": "i1", "status": "ERROR", "endedAt": "yesterday"}}, 400),
        (UPDATE, {"json": {"interviewId": "i1", "status": "ERROR", "endedAt": "2026-11-22T10:00:00"}}, 400),
        (UPDATE, {"json": {"interviewId": "i1", "status": "ERROR", "endedAt": "2026-11-22T10:00:00Z"}}, 200),
        (UPDATE, [1], 400),
        (UPDATE, {"json": {"interviewId": "other", "status": "ERROR"}}, 404),
        (SUBMIT, {"json": TRANSCRIPT | {"transcript": [ENTRY | {"speaker": "user"}]}}, 400),
        # Seen: the real one lets its database refuse a transcript of an interview that is not there.
        (SUBMIT, {"json": TRANSCRIPT | {"interviewId": "other"}}, 500),
        ("/api/trpc/interview.create", {"json": {}}, 404),
        ("/elsewhere", {}, 404),
    ],
    ids=str,
)
async def test_what_is_refused(
    browser: Ask, autojump_clock: MockClock, path: str, value: Any, status: int
) -> None:
    """The router's checks of its input, its procedures and its interviews."""
    assert (await browser(interviews=("i1",)).post(path, value))[0] == status


async def test_an_interview_may_be_deleted(browser: Ask, autojump_clock: MockClock) -> None:
    """A transcript that comes later fails in the database, a status is refused."""
    fault = BackendFault(kind="delete", procedure="interview.submitTranscript")
    client = browser(fault=(fault,))
    assert (await client.post(UPDATE, {"json": STATUS}))[0] == 200
    assert (await client.post(SUBMIT, {"json": TRANSCRIPT}))[0] == 500
    assert (await client.post(SUBMIT, {"json": TRANSCRIPT}))[0] == 500
    assert (await client.post(UPDATE, {"json": STATUS}))[0] == 404


BLOCKS = (
    BackendBlock(system_prompt="Ask about trains, in Mandarin.", language="zh", duration_ms=25_000),
    BackendBlock(system_prompt="Ask about trams.", language="en"),
)


def test_blocks_are_begun_by_asking_and_completed_by_their_transcripts() -> None:
    """The last one completes the interview, and a number that is not there is an ordinary interview."""
    store = Store(blocks=len(BLOCKS))
    worker = Worker(store, BackendContext(job_description="Trains."), BLOCKS)

    def asked(number: int) -> GetContextResponse:
        request = WorkerApiRequest()
        request.get_context.interview_id = "iv"
        request.get_context.block_number = number
        _, body = worker.call("interview.getContext", request.SerializeToString(), None)
        return WorkerApiResponse.FromString(body).get_context

    def submitted(number: int | None) -> None:
        turns = Transcript()
        turns.turns.add(speaker=Speaker.USER, content="Hello.", timestamp_ms=1)
        request = SubmitTranscriptRequest(
            interview_id="iv", transcript=turns.SerializeToString(), ended_at="now", block_number=number
        )
        worker.call(
            "interview.submitTranscript",
            WorkerApiRequest(submit_transcript=request).SerializeToString(),
            None,
        )

    first = asked(1)
    assert (first.system_prompt, first.language, first.duration_ms) == (
        BLOCKS[0].system_prompt,
        "zh",
        25_000,
    )
    assert not asked(7).HasField("system_prompt")
    submitted(1)

    def statuses() -> list[str]:
        interview = store.interviews["iv"]
        return [interview.status, *(block.status for block in interview.blocks.values())]

    assert statuses() == ["PENDING", "COMPLETED", "PENDING"]
    submitted(1)
    asked(2)
    submitted(2)
    assert statuses() == ["COMPLETED", "COMPLETED", "COMPLETED"]
    assert store.interviews["iv"].blocks[1].submissions == 2
    with pytest.raises(Refusal):
        submitted(3)


async def test_the_secret(browser: Ask, autojump_clock: MockClock) -> None:
    """A wrong Bearer is 401; the right one is let in."""
    client = browser(secret="s3cret")
    assert (await client.post(UPDATE, {"json": STATUS}))[0] == 401
    assert (await client.post(UPDATE, {"json": STATUS}, Authorization="Bearer wrong"))[0] == 401
    assert (await client.post(UPDATE, {"json": STATUS}, Authorization="Bearer s3cret"))[0] == 200


async def test_status_faults(browser: Ask, autojump_clock: MockClock) -> None:
    """The first N calls of a procedure fail with the status asked for; others and later ones succeed."""
    fault = BackendFault(
        kind="status", status=503, retry_after=7, calls=2, procedure="interview.submitTranscript"
    )
    client = browser(fault=(fault,))
    assert (await client.post(UPDATE, {"json": STATUS}))[0] == 200
    for _ in range(2):
        status, headers, _ = await client.ask("POST", SUBMIT, json.dumps({"json": TRANSCRIPT}).encode())
        assert (status, headers["retry-after"]) == (503, "7")
    assert (await client.post(SUBMIT, {"json": TRANSCRIPT}))[0] == 200
    status, headers, _ = await browser(fault=(BackendFault(kind="status"),)).ask("POST", UPDATE, b"{}")
    assert (status, "retry-after" in headers) == (500, False)


async def test_answers_that_lie(browser: Ask, autojump_clock: MockClock) -> None:
    """200 with an error in the body, and 200 with a page: nothing was stored."""
    client = browser(fault=(BackendFault(kind="error-in-200"), BackendFault(kind="garbage")))
    status, body = await client.post(UPDATE, {"json": STATUS})
    assert (status, body["error"]["json"]["data"]["httpStatus"]) == (200, 500)
    status, headers, raw = await client.ask("POST", UPDATE, json.dumps({"json": STATUS}).encode())
    assert (status, headers["content-type"], raw[:9]) == (200, "text/html", b"<!doctype")
    assert json.loads((await client.ask("GET", "/received"))[2])["interviews"] == {}


async def test_a_lost_answer(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """The call is stored, the connection dropped."""
    backend = BackendSimulator(BackendScenario(fault=(BackendFault(kind="lost-answer"),)))
    with pytest.raises(h11.RemoteProtocolError):
        await Browser(backend, nursery).post(SUBMIT, {"json": TRANSCRIPT})
    assert backend.interviews["i1"].submissions == 1
    assert backend.calls[0].status is None


async def test_a_hang(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """No answer comes, and in the end the connection goes."""
    backend = BackendSimulator(BackendScenario(fault=(BackendFault(kind="hang"),)))
    with pytest.raises(h11.RemoteProtocolError):
        await Browser(backend, nursery).post(UPDATE, {"json": STATUS})
    assert trio.current_time() == 3600
    assert backend.interviews == {}


async def test_what_is_not_a_call(browser: Ask, nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """GET on a procedure, a body that is not JSON, and bytes that are not HTTP."""
    client = browser()
    assert (await client.ask("GET", UPDATE))[0] == 405
    assert (await client.ask("POST", UPDATE, b"{"))[0] == 400
    stranger = browser()
    await stranger.stream.send_all(b"\x16\x03\x01 hello\r\n\r\n")
    assert b" 400 " in await stranger.stream.receive_some()
    silent = browser()
    assert await silent.stream.receive_some() == b""
    assert trio.current_time() == 60


async def test_a_body_too_large(browser: Ask, autojump_clock: MockClock) -> None:
    """It is answered 413 and the connection ends; a 100-continue is given before a body that was announced."""
    client = browser()
    head = [("Host", "x"), ("Content-Length", str(17 * 2**20)), ("Expect", "100-continue")]
    request = h11.Request(method="POST", target=UPDATE, headers=head)
    await client.stream.send_all(client.connection.send(request) or b"")
    assert b" 100 " in await client.stream.receive_some()
    await client.stream.send_all(bytes(17 * 2**20))
    assert b" 413 " in await client.stream.receive_some()


async def test_a_bug_ends_one_connection(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """The backend lives on and says what happened."""
    events: list[str] = []
    backend = BackendSimulator(log=lambda event, _keys: events.append(event))
    working = backend.wires["/api/trpc/"]
    del backend.wires["/api/trpc/"]
    backend.wires["/api/trpc/"] = None  # type: ignore[assignment]
    with pytest.raises(h11.RemoteProtocolError):
        await Browser(backend, nursery).post(UPDATE, {"json": STATUS})
    await trio.testing.wait_all_tasks_blocked()
    assert events == ["backend.bug"]
    backend.wires["/api/trpc/"] = working
    assert (await Browser(backend, nursery).post(UPDATE, {"json": STATUS}))[0] == 200


async def test_a_client_that_leaves(browser: Ask, autojump_clock: MockClock) -> None:
    """It may go between two calls, and before it has read its answer."""
    client = browser()
    await client.post(UPDATE, {"json": STATUS})
    await client.stream.aclose()
    await trio.testing.wait_all_tasks_blocked()


async def test_over_a_real_socket(nursery: trio.Nursery) -> None:
    """httpx holds an ordinary conversation with it; the log has a line for each call and no transcript."""
    lines: list[tuple[str, dict[str, Any]]] = []
    backend = BackendSimulator(log=lambda event, keys: lines.append((event, keys)))
    port = await nursery.start(serve_backend, ("127.0.0.1", 0), backend)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        assert (await client.post(UPDATE, json={"json": STATUS})).status_code == 200
        assert (await client.post(SUBMIT, json={"json": TRANSCRIPT})).status_code == 200
        assert (await client.get("/received")).json()["interviews"]["i1"]["submissions"] == 1
    assert [keys["procedure"] for _, keys in lines] == [
        "interview.updateStatus",
        "interview.submitTranscript",
    ]
    assert "Hello." not in repr(lines)


def test_memory_is_bounded() -> None:
    """Interviews and keys are forgotten, the oldest first."""
    backend = BackendSimulator(BackendScenario(honours_idempotency_key=True))
    router = backend.wires["/api/trpc/"]
    for number in range(1002):
        body = json.dumps({"json": TRANSCRIPT | {"interviewId": str(number)}}).encode()
        router.call("interview.submitTranscript", body, f"key-{number}")
    assert len(backend.interviews) == 1000
    assert "0" not in backend.interviews
