"""Refusals within the WebSocket, for pages that offer preppal.v2; and the messages that only such pages get."""

from http import HTTPStatus

import pytest
import trio

from preppald.core.frames import INPUT_BYTES_PER_SECOND
from preppald.pb import interview_pb2 as pb
from preppald.server.goodbyes import AT_ONCE
from preppald.simulator import Scenario
from tests.candidates import Candidate, silence
from tests.test_server import Reply, ask, get, upgrade
from tests.world import World

OFFER = "Sec-WebSocket-Protocol: preppal.v2, preppal.v1, token."


def told(reply: Reply) -> tuple[pb.ErrorResponse, int, str]:
    """What a page reads after the 101: the ErrorResponse, and the close frame's code and reason."""
    assert reply.status == HTTPStatus.SWITCHING_PROTOCOLS
    assert reply.headers["sec-websocket-protocol"] == "preppal.v2"
    assert reply.rest[0] == 0x82
    size = reply.rest[1]
    message = pb.ServerToClientMessage.FromString(reply.rest[2 : 2 + size])
    close = reply.rest[2 + size :]
    assert close[0] == 0x88
    assert len(close) == 2 + close[1]
    return message.error, int.from_bytes(close[2:4], "big"), close[4:].decode()


@pytest.mark.parametrize(
    ("path", "headers", "told_as"),
    [
        ("/iv-1", (OFFER,), (4401, "Missing JWT token")),
        ("/iv-1", (OFFER + "bad",), (4401, "Invalid or expired token")),
        ("/iv-2", (OFFER + "{token}",), (4403, "The token is for another interview")),
        (
            "/iv-1?block=0",
            (OFFER + "{token}",),
            (4400, "block must be a whole number from 1 to 99, and be there once"),
        ),
        (
            "/iv-1",
            (OFFER + "{token}", "Origin: https://elsewhere.test"),
            (4403, "This page may not connect here"),
        ),
    ],
)
async def test_a_page_of_the_second_protocol_is_told_why(
    nursery: trio.Nursery,
    autojump_clock: object,
    path: str,
    headers: tuple[str, ...],
    told_as: tuple[int, str],
) -> None:
    world = await World({"PREPPALD_ALLOWED_ORIGINS": "https://app.test"}, Scenario()).start(nursery)
    token = world.token()
    filled = [line.replace("{token}", token) for line in headers]
    if not any(line.startswith("Origin") for line in filled):
        filled.append("Origin: https://app.test")
    error, close_code, reason = told(await upgrade(world, path, *filled))
    assert (error.code, error.message) == told_as
    assert (close_code, reason) == told_as


async def test_no_room_is_told_with_the_time_to_come_again(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    world = await World({"PREPPALD_MAX_SESSIONS": "1"}, Scenario()).start(nursery)
    await world.candidate()
    other = world.token("iv-2", "other")
    error, code, _ = told(await upgrade(world, "/iv-2", OFFER + other))
    assert (error.code, code) == (4503, 4503)
    assert error.retry_after_ms > 0


async def test_a_page_of_the_first_protocol_gets_the_answer_it_always_got(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    world = await World({}, Scenario()).start(nursery)
    reply = await upgrade(world, "/iv-1", "Sec-WebSocket-Protocol: preppal.v1, token.bad")
    assert (reply.status, reply.text) == (401, "Invalid or expired token\n")


async def test_no_upgrade_and_bad_http_stay_http(nursery: trio.Nursery, autojump_clock: object) -> None:
    world = await World({}, Scenario()).start(nursery)
    assert (await get(world, "/iv-1", OFFER)).status == HTTPStatus.UPGRADE_REQUIRED
    assert (await ask(world, "nonsense\r\n\r\n")).status == HTTPStatus.BAD_REQUEST
    reply = await ask(world, f"GET /iv-1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n{OFFER}bad\r\n\r\n")
    assert reply.status == HTTPStatus.UNAUTHORIZED


async def test_a_flood_of_goodbyes_is_bounded_and_the_rest_get_http(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    world = await World({}, Scenario()).start(nursery)
    statuses: list[int] = []

    async def refused() -> None:
        statuses.append((await upgrade(world, "/iv-1", OFFER)).status)

    async with trio.open_nursery() as asking:
        for _ in range(2 * AT_ONCE):
            asking.start_soon(refused)
    assert statuses.count(101) <= AT_ONCE
    assert statuses.count(101) > 0
    assert statuses.count(401) > 0
    candidate = await world.candidate()
    await candidate.until("session_started")
    await candidate.end()


async def test_a_page_of_the_second_protocol_learns_how_much_of_its_sound_has_come_and_how_long_it_is_held(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    world = await World({"PREPPALD_RECONNECT_GRACE": "90"}, Scenario()).start(nursery)
    candidate = Candidate(world.connection(), subprotocol="preppal.v2")
    assert await candidate.open("/iv-1", world.token()) == HTTPStatus.SWITCHING_PROTOCOLS
    nursery.start_soon(candidate.run)
    await candidate.until("session_started")
    pcm = silence(5)
    for at in range(0, len(pcm), 1280):
        await candidate.send_audio(pcm[at : at + 1280])
        await trio.sleep(0.04)
    messages = candidate.messages
    started = next(m.session_started for m in messages if m.WhichOneof("payload") == "session_started")
    assert started.grace_ms == 90_000
    received = [m.received.audio_ms for m in messages if m.WhichOneof("payload") == "received"]
    assert 4 <= len(received) <= 6
    assert received == sorted(received)
    assert len(pcm) / INPUT_BYTES_PER_SECOND * 1000 - 1500 <= received[-1] <= 5000
    await candidate.end()


async def test_a_page_of_the_first_protocol_is_not_told_what_it_does_not_know(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    world = await World({}, Scenario()).start(nursery)
    candidate = await world.candidate()
    await candidate.speak(3)
    assert not any(m.WhichOneof("payload") == "received" for m in candidate.messages)
    await candidate.end()
