"""The public port, row by row: who is let in, and what everybody else is told."""

import base64
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from http import HTTPStatus
import random
from typing import cast

import pytest
import trio
import trio.testing

from preppald.server import http as http1
from preppald.server.connection import Server
from preppald.server.handover import Handed, Handover, Opening
from preppald.server.http import Answer
from preppald.simulator import Scenario
from tests.candidates import Candidate
from tests.world import World

KEY = base64.b64encode(bytes(16)).decode()
UPGRADE = (
    f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
)


@dataclass
class Reply:
    """An HTTP answer; ``rest`` is what came after its head."""

    status: int
    headers: dict[str, str]
    rest: bytes

    @property
    def text(self) -> str:
        return self.rest.decode()


async def ask(world: World, request: str | bytes, *, linger: float = 30) -> Reply:
    """Sends these bytes, and reads for as long as the server keeps the connection, or a while."""
    stream = world.connection()
    await stream.send_all(request if isinstance(request, bytes) else request.encode("latin-1"))
    answer = b""
    with trio.move_on_after(linger):
        while data := await stream.receive_some():
            answer += data
    await trio.aclose_forcefully(stream)
    head, _, rest = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Reply(int(status.split(" ")[1]) if status else 0, headers, rest)


async def get(world: World, path: str, *headers: str) -> Reply:
    lines = "".join(f"{line}\r\n" for line in headers)
    return await ask(world, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n")


async def upgrade(world: World, path: str, *headers: str) -> Reply:
    """As a browser would ask; the server keeps a connection that it accepts, so this does not wait for its end."""
    lines = "".join(f"{line}\r\n" for line in headers)
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}{lines}\r\n"
    return await ask(world, request, linger=0.5)


@pytest.fixture
async def world(nursery: trio.Nursery) -> World:
    """Whoever asks for it asks for the clock, too: pytest-trio looks for that in the test's own arguments."""
    return await World({}, Scenario()).start(nursery)


# ------------------------------------------------------------------ plain requests


async def test_a_living_process_is_healthy(world: World, autojump_clock: object) -> None:
    reply = await get(world, "/health")
    assert (reply.status, reply.text) == (200, '{"status":"ok"}')
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["connection"] == "close"


async def test_a_daemon_that_takes_interviews_is_ready(world: World, autojump_clock: object) -> None:
    reply = await get(world, "/ready")
    assert reply.status == 200
    assert reply.headers["access-control-allow-origin"] == "*"


async def test_one_that_drains_is_not_and_says_why(world: World, autojump_clock: object) -> None:
    world.registry.drain()
    reply = await get(world, "/ready")
    assert (reply.status, reply.text) == (503, "draining\n")
    assert int(reply.headers["retry-after"]) > 0
    assert reply.headers["access-control-allow-origin"] == "*"
    assert (await get(world, "/health")).status == 200


async def test_one_that_is_full_is_not_and_says_why(nursery: trio.Nursery, autojump_clock: object) -> None:
    world = await World({"PREPPALD_MAX_SESSIONS": "1"}, Scenario()).start(nursery)
    await world.candidate()
    assert (await get(world, "/ready")).text == "at capacity\n"


async def test_one_whose_journal_cannot_be_written_is_not_and_says_why(
    world: World, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(world.journal), "fault", property(lambda _self: "disk full"))
    reply = await get(world, "/ready")
    assert (reply.status, reply.text) == (503, "the journal is not writable: disk full\n")
    reply = await upgrade(world, f"/iv-1?token={world.token()}")
    assert reply.status == 503


@pytest.mark.parametrize("path", ["/iv-1", "/ws", "/ws/iv-1", "/ws?token=x", "/" + "a" * 64])
async def test_a_session_without_an_upgrade_is_told_to_upgrade(
    world: World, autojump_clock: object, path: str
) -> None:
    reply = await get(world, path)
    assert reply.status == 426
    assert reply.headers["upgrade"] == "websocket"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/a/b",
        "/ws/a/b",
        "/ws/",
        "/favicon.ico",
        "/../etc/passwd",
        "/%2e%2e/x",
        "/iv%2d1",
        "//evil/health",
        "//evil/iv-1",
        "http://evil/iv-1",
        "http://evil/health",
        "*",
        "/" + "a" * 65,
        "/iv;1",
        "/[",
    ],
)
async def test_anything_else_is_not_found(world: World, autojump_clock: object, path: str) -> None:
    """The path is taken as it stands: no other host, no dots, no escapes."""
    assert (await get(world, path)).status == 404
    assert (await upgrade(world, f"{path}?token={world.token()}")).status == 404


async def test_pages_are_served_where_there_are_some(world: World, autojump_clock: object) -> None:
    """The demo's; the daemon's own paths come first, and a session's upgrade is never a page."""

    async def pages(method: str, path: str) -> Answer | None:
        await trio.lowlevel.checkpoint()
        return http1.text(HTTPStatus.OK, f"{method} {path}") if path in {"/", "/iv-1"} else None

    world.server = Server(world.services, world.registry, pages)
    assert (await get(world, "/")).text == "GET /\n"
    assert (await get(world, "/iv-1")).text == "GET /iv-1\n"
    assert (await get(world, "/health")).text == '{"status":"ok"}'
    assert (await get(world, "/none.css")).status == 404
    assert (await upgrade(world, f"/iv-1?token={world.token()}")).status == 101


# ------------------------------------------------------------------ the token


@pytest.mark.parametrize("path", ["/iv-1", "/ws/iv-1", "/ws"])
async def test_a_token_in_the_query_opens_its_interview(
    world: World, autojump_clock: object, path: str
) -> None:
    assert (await upgrade(world, f"{path}?token={world.token()}")).status == 101


async def test_a_token_in_the_authorization_header_does_too(world: World, autojump_clock: object) -> None:
    """The scheme's name in any case."""
    assert (await upgrade(world, "/ws", f"Authorization: Bearer {world.token()}")).status == 101
    reply = await upgrade(world, "/ws", f"Authorization: bearer  {world.token('iv-2')}")
    assert reply.status == 101


async def test_a_token_as_a_subprotocol_does_too_and_is_not_echoed(
    world: World, autojump_clock: object
) -> None:
    """Browsers can set no header; what is answered is the protocol's own name."""
    token = world.token()
    reply = await upgrade(world, "/iv-1", f"Sec-WebSocket-Protocol: preppal.v1, token.{token}")
    assert reply.status == 101
    assert reply.headers["sec-websocket-protocol"] == "preppal.v1"
    assert token not in str(reply)


async def test_without_a_token_there_is_no_session(world: World, autojump_clock: object) -> None:
    for headers in ([], ["Authorization: Basic eA=="], ["Sec-WebSocket-Protocol: preppal.v1"]):
        reply = await upgrade(world, "/iv-1", *headers)
        assert (reply.status, reply.text) == (401, "Missing JWT token\n")
    assert (await upgrade(world, "/iv-1?token=")).status == 401


async def test_a_bad_token_is_refused(world: World, autojump_clock: object) -> None:
    for bad in ("x", "a.b.c", world.token()[:-4], "%00", "%ff%fe", world.token() + "x" * 5000):
        reply = await upgrade(world, f"/iv-1?token={bad}")
        assert (reply.status, reply.text) == (401, "Invalid or expired token\n")
    assert not world.registry


async def test_an_expired_token_is_refused(world: World, autojump_clock: object) -> None:
    token = world.token()
    world.wall_offset_ms = 306_000
    reply = await upgrade(world, f"/iv-1?token={token}")
    assert (reply.status, reply.text) == (401, "Invalid or expired token\n")


async def test_a_token_for_another_interview_is_refused(world: World, autojump_clock: object) -> None:
    reply = await upgrade(world, f"/iv-2?token={world.token('iv-1')}")
    assert reply.status == 403
    assert not world.registry


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://app.example", 101),
        ("https://evil.example", 403),
        ("https://app.example.evil", 403),
        ("null", 403),
        (None, 403),
    ],
)
async def test_only_the_pages_that_are_allowed_may_connect(
    nursery: trio.Nursery, autojump_clock: object, origin: str | None, status: int
) -> None:
    """Exactly as configured; a client without an origin is no page of theirs."""
    world = await World({"PREPPALD_ALLOWED_ORIGINS": "https://app.example"}, Scenario()).start(nursery)
    headers = [] if origin is None else [f"Origin: {origin}"]
    assert (await upgrade(world, f"/iv-1?token={world.token()}", *headers)).status == status


async def test_a_draining_daemon_takes_no_new_interview(world: World, autojump_clock: object) -> None:
    world.registry.drain()
    reply = await upgrade(world, f"/iv-1?token={world.token()}")
    assert (reply.status, reply.text) == (503, "draining\n")
    assert int(reply.headers["retry-after"]) > 0


async def test_a_full_daemon_takes_no_new_interview_but_lets_the_others_back_in(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    world = await World({"PREPPALD_MAX_SESSIONS": "1"}, Scenario()).start(nursery)
    await world.candidate("iv-1")
    reply = await upgrade(world, f"/iv-2?token={world.token('iv-2')}")
    assert (reply.status, reply.text) == (503, "at capacity\n")
    assert (await upgrade(world, f"/iv-1?token={world.token('iv-1')}")).status == 101


async def test_refusals_are_counted_by_their_reason(world: World, autojump_clock: object) -> None:
    await upgrade(world, "/iv-1")
    await upgrade(world, "/iv-1?token=x")
    text = world.metrics.exposition().decode()
    assert 'preppald_connections_refused_total{why="no token"} 1.0' in text
    assert 'preppald_connections_refused_total{why="bad token"} 1.0' in text


# ------------------------------------------------------------------ handshakes that are none


@pytest.mark.parametrize(
    "lines",
    [
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n",
        UPGRADE.replace(KEY, "short"),
        UPGRADE.replace("Version: 13", "Version: 8"),
        UPGRADE.replace("Connection: Upgrade", "Connection: close"),
        UPGRADE + UPGRADE,
    ],
    ids=["no key", "a bad key", "an old version", "no connection header", "everything twice"],
)
async def test_half_a_handshake_begins_no_interview(world: World, autojump_clock: object, lines: str) -> None:
    """A probe with a good token must not leave an interview behind that nobody is in."""
    reply = await ask(
        world, f"GET /iv-1?token={world.token()} HTTP/1.1\r\nHost: x\r\n{lines}\r\n", linger=0.5
    )
    assert 400 <= reply.status < 500
    assert not world.registry
    await trio.sleep(100)
    assert world.backend.posts == []


HOSTILE = [
    b"",
    b"\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"\x00" * 100,
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost\r\n\r\n",
    b"GET / HTTP/1.1\r\n: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nA: \x00\r\n\r\n",
    b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: \xff\xfe\r\n\r\n",
    b"GET /" + b"a" * 10_000 + b" HTTP/1.1\r\n\r\n",
    b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nA: " + b"a" * 10_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 100 + b"\r\n",
    b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 1000 + b"\r\n",
    b"POST /iv-1 HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
    b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"OPTIONS * HTTP/1.1\r\n\r\n",
    b"CONNECT evil:80 HTTP/1.1\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /?a&b=c;d=%&%=%zz&" + b"a=b&" * 1000 + b" HTTP/1.1\r\n\r\n",
    b"GET http://[ HTTP/1.1\r\n\r\n",
]


@pytest.mark.parametrize("request_bytes", HOSTILE, ids=range(len(HOSTILE)))
async def test_hostile_requests_are_answered_or_dropped(
    world: World, autojump_clock: object, request_bytes: bytes
) -> None:
    """Whatever comes: an error or nothing, within a bound, and never an exception."""
    reply = await ask(world, request_bytes)
    assert reply.status == 0 or 400 <= reply.status < 500
    assert trio.current_time() < 15
    assert not world.events("connection.crashed")
    assert (await get(world, "/health")).status == 200


async def test_random_bytes_never_crash_the_server(world: World, autojump_clock: object) -> None:
    """Three hundred of them, some beginning like a request."""
    chance = random.Random(1)
    for number in range(300):
        head = b"GET /iv HTTP/1.1\r\nUpgrade: websocket\r\n" if number % 2 else b""
        await ask(world, head + chance.randbytes(chance.randrange(400)) + b"\r\n\r\n")
    assert not world.events("connection.crashed")
    assert not world.registry


async def test_a_request_that_never_ends_is_given_up(world: World, autojump_clock: object) -> None:
    """One byte a second keeps no connection for ever."""
    stream = world.connection()

    async def drip() -> None:
        with pytest.raises(trio.BrokenResourceError):  # noqa: PT012 - it is a loop that must end so
            for byte in b"GET /" + b"a" * 1000:
                await stream.send_all(bytes([byte]))
                await trio.sleep(1)
        await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(drip)
        answer = await stream.receive_some()
        assert answer.startswith(b"HTTP/1.1 408 ")
    assert trio.current_time() < 10


async def test_a_peer_that_does_not_take_its_answer_is_left(world: World, autojump_clock: object) -> None:
    """A stalled reader holds nothing: the answer has its bound."""
    ours, theirs = trio.testing.lockstep_stream_pair()
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.server.handle, theirs)
            await ours.send_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")


async def test_a_bug_in_one_connection_is_logged_and_ends_that_one(
    world: World, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def pages(_method: str, _path: str) -> Answer | None:
        await trio.lowlevel.checkpoint()
        raise ZeroDivisionError

    world.server = Server(world.services, world.registry, pages)
    assert (await get(world, "/")).status == 0
    assert len(world.events("connection.crashed")) == 1
    assert (await get(world, "/health")).status == 200


async def test_a_token_shows_in_no_log_line(world: World, autojump_clock: object) -> None:
    """Neither a good one nor a bad one, whichever way it came."""
    token = world.token("iv-1", "user-CANARY")
    await upgrade(world, f"/iv-1?token={token}")
    await upgrade(world, f"/iv-2?token={token}")
    await upgrade(world, f"/iv-1?token={token}CANARY")
    await upgrade(world, "/iv-1", f"Authorization: Bearer {token}CANARY")
    lines = str(world.log_lines.entries)
    assert token not in lines
    assert token[:40] not in lines
    assert "xCANARY" not in lines


async def test_who_was_let_in_just_before_a_drain_goes_to_another_instance(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Nobody else was wanted when the others were asked; then the drain began: they are asked again, not the candidate."""
    world = await World({}, Scenario()).start(nursery)
    asked: list[bool] = []

    class Drained:
        def opening(self, _interview_id: str) -> AbstractContextManager[Opening]:
            return nullcontext(Opening())

        async def hand_over(self, _interview_id: str, opening: Opening, *_: object) -> Handed | None:
            await trio.lowlevel.checkpoint()
            assert not opening.decided
            asked.append(world.registry.draining)
            if world.registry.draining:
                return Handed()
            world.registry.drain()
            opening.decided = True
            return None

    world.server = Server(world.services, world.registry, peers=cast("Handover", Drained()))
    candidate = Candidate(world.connection())
    with pytest.raises(AssertionError, match="closed before it answered"):
        await candidate.open("/iv-1", world.token())
    assert asked == [False, True]
    assert candidate.status == 0


@pytest.mark.parametrize(
    ("error", "logged"),
    [
        (ValueError("a bug"), ["connection.crashed"]),
        (trio.BrokenResourceError(), []),
        (trio.ClosedResourceError(), []),
    ],
    ids=["a bug", "the peer went away", "we closed it"],
)
async def test_what_a_connection_does_stays_in_it(error: Exception, logged: list[str]) -> None:
    """It is closed, a bug is said with its traceback, and whoever accepted it goes on."""
    world = World({}, Scenario())
    ours, theirs = trio.testing.memory_stream_pair()
    async with http1.contained(ours, world.services.log):
        raise error
    assert await theirs.receive_some() == b""
    assert [(line["event"], line["exc_info"]) for line in world.log_lines.entries] == [
        (event, True) for event in logged
    ]
