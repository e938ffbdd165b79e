"""The application's API: what is posted, and what each answer means. Real sockets on Trio."""

from dataclasses import replace
import gzip
import json
import ssl
from typing import Any
import zlib

import msgspec
import pytest
import trio
import trustme

from preppald.backend import (
    Absent,
    Delivered,
    Outcome,
    ProtobufBackend,
    Refused,
    Retry,
    Transformer,
    TrpcBackend,
    Unauthorized,
    client,
    trpc,
)
from preppald.core.brief import DOCUMENT_CHARS
from preppald.core.context import NOTHING_KNOWN, Context
from preppald.core.deliveries import Delivery, DeliveryKind, Status, status_delivery
from preppald.pb.interview_pb2 import WorkerApiResponse
from tests.durable import EPOCH_MS, begun, finished
from tests.http_server import Handler, response, serving

SECRET = "a-secret-that-nobody-may-ever-read"
STORED = {"result": {"data": {"json": {"success": True}}}}
STORED_BYTES = json.dumps(STORED).encode()
EPOCH_ISO = "2026-11-18T11:06:40.000Z"


def error(code: str, status: int, *, superjson: bool = True) -> dict[str, Any]:
    """As tRPC v11 writes it; its message quotes what was sent."""
    shape = {
        "message": "invalid: a word 1",
        "code": -32600,
        "data": {"code": code, "httpStatus": status, "path": "interview.submitTranscript"},
    }
    return {"error": {"json": shape} if superjson else shape}


def decoded(status: int, body: bytes | dict[str, Any], retry_after: str | None = None) -> Outcome:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return trpc.decode(status, content, retry_after)


# What is posted


async def test_a_post_of_a_shared_interview_says_how_often_it_changed_hands() -> None:
    """And one of a host alone says nothing."""
    async with serving(response(200, STORED)) as server, TrpcBackend(server.url, SECRET) as backend:
        await backend.post(finished())
        backend.fence = lambda _name, block: {0: 2, 1: 7}[block]
        await backend.post(finished())
        await backend.post(replace(finished(), block=1))
    assert [it.headers.get("preppald-fence") for it in server.heard] == [None, "2", "7"]


async def test_a_transcript_as_the_router_reads_it() -> None:
    """superjson wraps; the key and the secret go along."""
    async with serving(response(200, STORED)) as server, TrpcBackend(server.url + "/", SECRET) as backend:
        assert await backend.post(finished(fragments=6)) == Delivered()
    (request,) = server.heard
    assert (request.method, request.path) == ("POST", "/api/trpc/interview.submitTranscript")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["authorization"] == f"Bearer {SECRET}"
    assert request.headers["idempotency-key"] == "iv:1:transcript"
    assert request.headers["accept-encoding"] == "identity"
    assert request.json == {
        "json": {
            "interviewId": "iv",
            "transcript": [
                {
                    "speaker": "AI",
                    "content": "a w [interrupted]",
                    "timestamp": "2026-11-18T11:06:40.200Z",
                },
                {
                    "speaker": "USER",
                    "content": "a word 5 a word 6",
                    "timestamp": "2026-11-18T11:06:41.000Z",
                },
            ],
            "endedAt": EPOCH_ISO,
        }
    }


@pytest.mark.parametrize(
    ("delivery", "given"),
    [
        (begun(), {"interviewId": "iv", "status": "IN_PROGRESS"}),
        (
            status_delivery("iv", 1, Status.ERROR, now_ms=EPOCH_MS, ended_ms=EPOCH_MS),
            {"interviewId": "iv", "status": "ERROR", "endedAt": EPOCH_ISO},
        ),
    ],
)
@pytest.mark.parametrize("transformer", Transformer)
def test_a_status(delivery: Delivery, given: dict[str, str], transformer: Transformer) -> None:
    """Bare without a transformer; endedAt only where there is one."""
    request = trpc.encode(delivery, transformer)
    assert request.path == "/api/trpc/interview.updateStatus"
    posted = json.loads(request.body)
    assert posted == ({"json": given} if transformer is Transformer.SUPERJSON else given)


async def test_a_payload_that_cannot_be_read() -> None:
    """It can never be posted: a dead letter, and no word of it in the cause."""
    async with TrpcBackend("http://127.0.0.1:9", SECRET) as backend:
        for kind, payload in (
            (DeliveryKind.STATUS, b'{"status": "secret words"}'),
            (DeliveryKind.TRANSCRIPT, b"secret words"),
            (DeliveryKind.STATUS, b'{"status": "ERROR", "ended_ms": 99999999999999999}'),
        ):
            outcome = await backend.post(Delivery("k", "iv", kind, payload, EPOCH_MS))
            assert isinstance(outcome, Refused)
            assert outcome.status is None
            assert "secret words" not in outcome.cause


# What an answer means


@pytest.mark.parametrize(
    "body",
    [
        STORED,
        {"result": {"data": {"success": True}}},
        {"result": {}},
    ],
)
def test_stored(body: dict[str, Any]) -> None:
    assert decoded(200, body) == Delivered()


def context_answer(wire: str, document: str) -> bytes:
    if wire == "protobuf":
        answer = WorkerApiResponse()
        answer.get_context.job_description = answer.get_context.resume = document
        return response(200, answer.SerializeToString())
    data = {"jobDescription": document, "resume": document}
    return response(200, {"result": {"data": {"json": data}}})


@pytest.mark.parametrize("backend_of", [TrpcBackend, ProtobufBackend])
@pytest.mark.parametrize("letter", ["я", "\N{GRINNING FACE}"])
async def test_a_context_has_room_for_the_longest_documents(
    backend_of: type[TrpcBackend | ProtobufBackend], letter: str
) -> None:
    """Seen before: two long documents were thrown away, and the log asked whether that was the application."""
    wire, document = ("trpc" if backend_of is TrpcBackend else "protobuf"), letter * DOCUMENT_CHARS
    async with serving(context_answer(wire, document)) as server, backend_of(server.url, SECRET) as backend:
        found = await backend.context("iv-1")
        assert isinstance(found, Context)
        assert found.resume == document
        server.answer = context_answer(wire, letter * 2**20)
        assert await backend.context("iv-1") == Retry(200, "answered 200 with more than 1024 KiB")
        server.answer = response(404, b" " * 2**21)
        refused = await backend.context("iv-1")
        assert isinstance(refused, Retry)
        assert "404" in refused.cause


async def test_an_answer_to_a_post_that_is_too_long_says_so() -> None:
    async with serving(response(200, b" " * 70_000)) as server, TrpcBackend(server.url, SECRET) as backend:
        outcome = await backend.post(finished())
    assert outcome == Retry(200, "answered 200 with more than 64 KiB", ambiguous=True)


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422])
@pytest.mark.parametrize("superjson", [True, False])
def test_refused(status: int, superjson: bool) -> None:  # noqa: FBT001
    assert decoded(status, error("SOME_CODE", status, superjson=superjson)) == Refused(
        status, f"answered {status} SOME_CODE"
    )


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422])
@pytest.mark.parametrize(
    "body",
    [
        b"<!doctype html><title>404: This page could not be found</title>",
        b"",
        {"error": "not found"},
        {"error": {"code": "404", "message": "The page could not be found"}},
        {"error": {"data": {"code": "no such thing", "httpStatus": 404}}},
    ],
)
def test_a_refusal_that_is_not_the_applications(status: int, body: Any) -> None:
    """A proxy's, a wrong address's, or that of a deploy's minute: the transcript is kept, and tried again."""
    outcome = decoded(status, body, "30")
    assert isinstance(outcome, Retry)
    assert outcome.cause.startswith(f"answered {status}, but not in tRPC: ")
    assert outcome.retry_after == 30
    assert not outcome.ambiguous


def test_a_404_that_is_not_the_applications_says_where_to_look() -> None:
    outcome = decoded(404, b"<html>")
    assert isinstance(outcome, Retry)
    assert "NEXT_PUBLIC_API_URL" in outcome.cause


@pytest.mark.parametrize("status", [401, 403])
def test_unauthorized(status: int) -> None:
    assert decoded(status, error("UNAUTHORIZED", status)) == Unauthorized(status)


@pytest.mark.parametrize("status", [401, 403])
def test_a_proxys_refusal_says_nothing_of_our_secret(status: int) -> None:
    """It is tried again, and the operator is told whose answer it was."""
    outcome = decoded(status, b"<html>Authorization required</html>")
    assert isinstance(outcome, Retry)
    assert outcome.cause.startswith(f"answered {status}, but not in tRPC: a proxy")


MISSING = 'No procedure found on path "interview.submitFeedback"'


@pytest.mark.parametrize("superjson", [True, False])
def test_a_procedure_that_is_missing(superjson: bool) -> None:  # noqa: FBT001
    """Both are NOT_FOUND: only the words tell a missing procedure from a missing interview."""
    body = error("NOT_FOUND", 404, superjson=superjson)
    assert isinstance(decoded(404, body), Refused)
    inner = body["error"]["json"] if superjson else body["error"]
    inner["message"] = MISSING
    assert isinstance(decoded(404, body), Absent)


def test_another_transformer_is_named() -> None:
    """superjson wraps its errors, too."""
    for ours in Transformer:
        for theirs in Transformer:
            body = msgspec.json.encode(error("BAD_REQUEST", 400, superjson=theirs is Transformer.SUPERJSON))
            outcome = trpc.decode(400, body, None, ours)
            assert isinstance(outcome, Refused)
            assert (f"set PREPPALD_TRPC_TRANSFORMER={theirs}" in outcome.cause) is (ours is not theirs)


def test_an_answer_in_odd_clothes_is_read() -> None:
    """A byte order mark, and a batching link's array of one."""
    body = msgspec.json.encode({"result": {"data": {}}})
    assert trpc.decode(200, b"\xef\xbb\xbf" + body) == Delivered()
    assert trpc.decode(200, b"[" + body + b"]") == Delivered()
    assert decoded(200, {"result": {"data": {}}, "error": None}) == Delivered()
    assert isinstance(decoded(200, {"result": None, "error": None}), Retry)


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_an_answer_that_is_compressed_all_the_same(coding: str) -> None:
    """Some proxies compress what nobody asked them to; and a bomb does not unfold."""
    pack = gzip.compress if coding == "gzip" else zlib.compress
    for body, outcome in ((STORED_BYTES, Delivered), (b" " * 100_000_000, Retry)):
        packed = pack(body)
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(packed)}\r\n\r\n"
        async with serving(head.encode() + packed) as server, TrpcBackend(server.url, SECRET) as backend:
            assert isinstance(await backend.post(finished()), outcome)


async def test_bytes_that_unfold_to_nothing_have_an_end_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen before: behind a packed answer's end zlib kept all that came, for as long as the try lasted."""
    packed, sent = gzip.compress(STORED_BYTES), 0

    async def without_an_end(stream: trio.abc.Stream) -> None:
        nonlocal sent
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + packed)
        while sent < 64:
            await stream.send_all(bytes(64 * 1024))
            sent += 1

    async with serving(without_an_end) as server, TrpcBackend(server.url, SECRET) as backend:
        outcome = await backend.post(finished())
    assert isinstance(outcome, Retry)
    assert outcome.ambiguous
    assert sent < 64


@pytest.mark.parametrize(
    "where",
    [
        "/elsewhere",
        "http://xn--0000h/",
        "http://[::1",
        "http://\xff\xfe/",
        "javascript:alert(1)",
        "http://a:99999999/",
    ],
)
async def test_a_redirection_is_told_wherever_it_leads(where: str) -> None:
    """Seen before: over a host that is none httpx raised an error of another library, and an interview ended with a bug."""
    answer = f"HTTP/1.1 302 Found\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n".encode("latin-1")
    wires = (TrpcBackend, ProtobufBackend)
    for wire in wires:
        async with serving(answer) as server, wire(server.url, SECRET) as backend:
            for outcome in (await backend.post(finished()), await backend.context("iv-1")):
                assert isinstance(outcome, Retry)
                assert outcome.cause.startswith("answered 302, a redirection: NEXT_PUBLIC_API_URL")


async def test_no_cookie_goes_with_the_next_post() -> None:
    """Each would belong to one interview's answer, and all of them together outgrow a header."""
    cookie = "Set-Cookie: session=abc; Path=/"
    async with serving(response(200, STORED, cookie)) as server, TrpcBackend(server.url, SECRET) as backend:
        for _ in range(2):
            assert await backend.post(finished()) == Delivered()
    assert ["cookie" in heard.headers for heard in server.heard] == [False, False]


async def test_an_application_without_get_context_is_not_asked_again() -> None:
    missing = error("NOT_FOUND", 404)
    missing["error"]["json"]["message"] = 'No procedure found on path "interview.getContext"'
    async with serving(response(404, missing)) as server, TrpcBackend(server.url, SECRET) as backend:
        assert await backend.context("iv") == NOTHING_KNOWN
        assert await backend.context("iv") == NOTHING_KNOWN
        assert await backend.knows("iv") is None
        assert len(server.heard) == 1
        backend.renew(SECRET)
        assert await backend.context("iv") == NOTHING_KNOWN
        assert len(server.heard) == 2


async def test_get_context_is_a_query() -> None:
    known = {"jobDescription": "Runs trains.", "resume": None, "persona": "kind", "durationMs": 25_000}
    answer = response(200, {"result": {"data": {"json": known}}})
    async with serving(answer) as server, TrpcBackend(server.url, SECRET) as backend:
        assert await backend.context("iv-1") == Context("Runs trains.", "", "kind", 25.0)
        assert await backend.knows("iv-1") is True
    assert (
        server.heard[0].path
        == "/api/trpc/interview.getContext?input=%7B%22json%22%3A%7B%22interviewId%22%3A%22iv-1%22%7D%7D"
    )


@pytest.mark.parametrize("status", [408, 425, 429, 500, 501, 503, 405, 410, 418])
def test_to_be_tried_again(status: int) -> None:
    """All that is not clearly about this delivery."""
    assert decoded(status, b"oops", " 17 ") == Retry(status, f"answered {status}", retry_after=17.0)
    assert decoded(status, error("TIMEOUT", status)) == Retry(status, f"answered {status} TIMEOUT")


@pytest.mark.parametrize("header", ["Wed, 21 Oct 2026 07:28:00 GMT", "-1", "1e9", "9999999", ""])
def test_a_retry_after_that_is_no_number_of_seconds(header: str) -> None:
    assert decoded(503, b"", header) == Retry(503, "answered 503")


@pytest.mark.parametrize("status", [502, 504])
def test_a_gateway_answers_for_the_application(status: int) -> None:
    """Which may have stored it."""
    assert decoded(status, b"bad gateway") == Retry(status, f"answered {status}", ambiguous=True)
    assert decoded(status, error("BAD_GATEWAY", status)) == Retry(status, f"answered {status} BAD_GATEWAY")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (error("BAD_REQUEST", 400), Refused(400, "answered 400 BAD_REQUEST")),
        (error("UNAUTHORIZED", 401), Unauthorized(401)),
        (error("INTERNAL_SERVER_ERROR", 500), Retry(500, "answered 500 INTERNAL_SERVER_ERROR")),
        ({"error": {}}, Retry(500, "answered 500 an unnamed error")),
        ({"error": "text"}, Retry(500, "answered 500 an unnamed error")),
        (
            {"error": {"data": {"httpStatus": True, "code": "secret words"}}},
            Retry(500, "answered 500 an unnamed error"),
        ),
        ({"result": {}, "error": {}}, Retry(500, "answered 500 an unnamed error")),
    ],
)
def test_200_with_an_error(body: dict[str, Any], expected: Outcome) -> None:
    """The body knows better than the status line."""
    assert decoded(200, body) == expected


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>It works!</html>", b"null", b"[]", b"{}", b'{"result": 1}', b"\xff\xfe", b"[" * 100_000],
)
def test_200_that_is_no_answer(body: bytes) -> None:
    """A landing page does not store transcripts; but something was done there, perhaps."""
    outcome = decoded(200, body)
    assert outcome == Retry(
        200, "answered 200 without a tRPC result: is that the application?", ambiguous=True
    )


def test_a_redirection_is_not_followed() -> None:
    """It would carry the secret elsewhere; the operator is told."""
    outcome = decoded(308, b"")
    assert isinstance(outcome, Retry)
    assert "NEXT_PUBLIC_API_URL must be the final address" in outcome.cause


def test_nothing_that_was_sent_is_in_a_cause() -> None:
    """tRPC's message quotes the input."""
    for status in (200, 400, 500):
        outcome = decoded(status, error("BAD_REQUEST", status if status > 200 else 400))
        assert "a word" not in repr(outcome)


# What can happen on the way


async def close_silently(stream: trio.abc.Stream) -> None:
    await stream.aclose()


async def half_an_answer(stream: trio.abc.Stream) -> None:
    await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")


async def not_http(stream: trio.abc.Stream) -> None:
    await stream.send_all(b"220 a word 1 ESMTP\r\n")


async def say_nothing(_stream: trio.abc.Stream) -> None:
    await trio.sleep_forever()


async def dribble(stream: trio.abc.Stream) -> None:
    await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    while True:
        await stream.send_all(b" ")
        await trio.sleep(0.02)


async def flood(stream: trio.abc.Stream) -> None:
    await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    while True:
        await stream.send_all(b" " * 65536)


@pytest.mark.parametrize(
    ("handler", "cause"),
    [
        (close_silently, "closed the connection before a complete answer, or does not speak HTTP"),
        (half_an_answer, "closed the connection before a complete answer, or does not speak HTTP"),
        (not_http, "closed the connection before a complete answer, or does not speak HTTP"),
        (say_nothing, "no complete answer within 10 seconds"),
        (dribble, "no complete answer within 10 seconds"),
    ],
)
async def test_the_answer_is_lost(handler: Handler, cause: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The request was out: the backend may have stored it."""
    sentence = cause
    if "within" in cause:
        monkeypatch.setattr(client, "TRY_SECONDS", 1.0)
        sentence = cause.replace("10", "1")
    async with serving(handler) as server, TrpcBackend(server.url, SECRET) as backend:
        assert await backend.post(finished()) == Retry(None, sentence, ambiguous=True)
        assert len(server.heard) == 1


async def test_the_answer_has_no_end() -> None:
    """Its beginning is read, and no more."""
    async with serving(flood) as server, TrpcBackend(server.url, SECRET) as backend:
        with trio.fail_after(5):
            outcome = await backend.post(finished())
            server.answer = response(200, STORED)
            assert await backend.post(finished()) == Delivered()
    assert isinstance(outcome, Retry)
    assert outcome.ambiguous


async def test_nobody_listens() -> None:
    """Nothing was sent: nothing is ambiguous, and the true cause is told."""
    async with serving() as server:
        url = server.url
    async with TrpcBackend(url, SECRET) as backend:
        assert await backend.post(finished()) == Retry(None, "cannot be reached (Connection refused)")


async def test_no_such_host() -> None:
    async with TrpcBackend("http://no-such-host.invalid", SECRET) as backend:
        outcome = await backend.post(finished())
    assert isinstance(outcome, Retry)
    assert outcome.cause.startswith("cannot be reached (")
    assert not outcome.ambiguous


async def test_a_connection_that_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS towards a server that says nothing: a bound of its own."""
    monkeypatch.setattr(client, "CONNECT_SECONDS", 0.2)
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listener.socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, say_nothing, [listener])
        async with TrpcBackend(f"https://127.0.0.1:{port}", SECRET) as backend:
            assert await backend.post(finished()) == Retry(None, "no connection within 0 seconds")
        nursery.cancel_scope.cancel()


def _tls(host: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context for this host, and a client's that trusts it."""
    authority = trustme.CA()
    server, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert(host).configure_cert(server)
    authority.configure_trust(trusting)
    return server, trusting


async def test_tls() -> None:
    """A certificate that is trusted and right; one that is not trusted; one for another host."""
    server_side, trusting = _tls("127.0.0.1")
    other_side, trusting_other = _tls("elsewhere.example")
    async with serving(response(200, STORED), tls=server_side) as server:
        url = server.url.replace("http:", "https:")
        async with TrpcBackend(url, SECRET, trust=trusting) as backend:
            assert await backend.post(finished()) == Delivered()
    for context, trust, said in (
        (server_side, None, "unable to get local issuer certificate"),
        (other_side, trusting_other, "IP address mismatch"),
    ):
        async with trio.open_nursery() as nursery:
            listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
            port = listeners[0].socket.getsockname()[1]

            async def handshake(stream: trio.SocketStream, context: ssl.SSLContext = context) -> None:
                try:
                    await trio.SSLStream(stream, context, server_side=True).do_handshake()
                except trio.BrokenResourceError:
                    await trio.aclose_forcefully(stream)

            nursery.start_soon(trio.serve_listeners, handshake, listeners)
            async with TrpcBackend(f"https://127.0.0.1:{port}", SECRET, trust=trust) as backend:
                outcome = await backend.post(finished())
            nursery.cancel_scope.cancel()
        assert isinstance(outcome, Retry)
        assert outcome.cause.startswith("cannot be reached (its certificate is not trusted: ")
        assert said in outcome.cause
        assert not outcome.ambiguous


async def test_https_towards_http(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commonest mistake in a URL: nothing of the delivery was sent."""
    monkeypatch.setattr(client, "CONNECT_SECONDS", 0.2)
    async with serving(not_http) as server:
        url = server.url.replace("http:", "https:")
        async with TrpcBackend(url, SECRET) as backend:
            outcome = await backend.post(finished())
    assert isinstance(outcome, Retry)
    assert not outcome.ambiguous


async def test_connections_are_kept_and_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deliveries that follow each other closely share one; the cap holds."""
    monkeypatch.setattr(client, "KEEPALIVE_SECONDS", 60.0)
    async with serving(response(200, STORED)) as server, TrpcBackend(server.url, SECRET) as backend:
        for _ in range(5):
            assert await backend.post(finished()) == Delivered()
        assert server.connections == 1
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(backend.post, finished())
            for _ in range(80):
                nursery.start_soon(backend.post, finished())
        assert server.most <= TrpcBackend.CONNECTIONS < 80
        assert len(server.heard) == 105


# preppald check --online


@pytest.mark.parametrize(
    ("answer", "good", "sentence"),
    [
        (response(400, error("BAD_REQUEST", 400)), True, "answers tRPC and did not refuse the secret"),
        (response(401, error("UNAUTHORIZED", 401)), False, "refuses WORKER_SHARED_SECRET (401)"),
        (response(403, b"no"), False, "answered 403, but not in tRPC"),
        (
            response(400, error("BAD_REQUEST", 400, superjson=False)),
            False,
            "every post would fail: it speaks none, set PREPPALD_TRPC_TRANSFORMER=none",
        ),
        (response(404, error("NOT_FOUND", 404)), False, "has no interview.updateStatus"),
        (response(404, b"<html>"), False, "answered 404, but not in tRPC: check NEXT_PUBLIC_API_URL"),
        (response(200, b"<html>"), False, "answered 200, but not in tRPC"),
        (response(500, error("INTERNAL_SERVER_ERROR", 500)), False, "with 500 INTERNAL_SERVER_ERROR"),
        (close_silently, False, "closed the connection before a complete answer"),
    ],
)
async def test_probe(answer: bytes | Handler, good: bool, sentence: str) -> None:  # noqa: FBT001
    """A sentence for the operator, after a question that changes nothing."""
    async with serving(answer) as server, TrpcBackend(f"{server.url}/app/", SECRET) as backend:
        probe = await backend.probe()
    assert probe.good is good
    assert sentence in probe.sentence
    assert probe.sentence.startswith(f"the backend at {server.url}/app")
    assert SECRET not in probe.sentence
    (request,) = server.heard
    assert request.path == "/app/api/trpc/interview.updateStatus"
    assert request.json == {"json": {}}
    assert "idempotency-key" not in request.headers


def test_roots_of_errors() -> None:
    """A cause at the bottom of a group is found; without one, the type has to do."""
    bottom = ConnectionResetError(104, "Connection reset by peer")
    top = trio.BrokenResourceError()
    top.__cause__ = ExceptionGroup("several", [bottom])
    assert client.why(top) == "the connection broke (Connection reset by peer)"
    assert client.why(trio.BrokenResourceError()) == "the connection broke (BrokenResourceError)"
    assert client.root(ssl.SSLError(1, "whatever")) == "TLS failed"
