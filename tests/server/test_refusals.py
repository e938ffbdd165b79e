"""The log of refused connections: what a line says, and that no flood fills the log."""

from http import HTTPStatus

import pytest
import trio

from preppald.errors import Refusal
from preppald.server.limits import Visit
from preppald.server.refusals import BURST_LINES, LINES_PER_SECOND, Refusals
from preppald.simulator import Scenario
from tests.test_server import ask, get, upgrade
from tests.world import World

REFUSAL = Refusal(
    HTTPStatus.UNAUTHORIZED, "bad token", "Invalid or expired token", detail="its signature is wrong"
)


async def test_a_refusal_is_logged_with_all_that_is_known(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """The cause, the address, the interview and its user; nothing where nothing is known."""
    world = Refusals((daemon := World({}, Scenario())).metrics, daemon.services.log)
    world.note(REFUSAL, Visit("192.0.2.1", proxied=False, interview_id="iv-1", user_id="user-1"))
    world.note(REFUSAL, Visit("", proxied=True))
    (whole, bare) = daemon.events("connection.refused")
    assert whole == {
        "event": "connection.refused",
        "level": "info",
        "log_level": "info",
        "why": "bad token",
        "status": 401,
        "address": "192.0.2.1",
        "interview": "iv-1",
        "user": "user-1",
        "detail": "its signature is wrong",
    }
    assert set(bare) == {"event", "level", "log_level", "why", "status", "address", "detail"}


async def test_one_address_has_one_line_a_second(autojump_clock: object) -> None:
    """What is left out is counted on the next line."""
    daemon = World({}, Scenario())
    refusals = Refusals(daemon.metrics, daemon.services.log)
    for _ in range(5):
        refusals.note(REFUSAL, Visit("192.0.2.1", proxied=False))
    await trio.sleep(1)
    refusals.note(REFUSAL, Visit("192.0.2.1", proxied=False))
    assert [line.get("unlogged") for line in daemon.events("connection.refused")] == [None, 4]


async def test_a_flood_from_many_addresses_has_a_bound_over_all_of_them(autojump_clock: object) -> None:
    """25 000 refusals in 15 s: the log has a few hundred lines, the metrics count each."""
    daemon = World({}, Scenario())
    refusals = Refusals(daemon.metrics, daemon.services.log)
    for number in range(25_000):
        refusals.note(REFUSAL, Visit(f"10.{number >> 8 & 255}.{number & 255}.1", proxied=False))
        await trio.sleep(15 / 25_000)
    lines = daemon.events("connection.refused")
    assert BURST_LINES <= len(lines) <= BURST_LINES + 15 * LINES_PER_SECOND + 1
    await trio.sleep(1)
    refusals.note(REFUSAL, Visit("192.0.2.1", proxied=False))
    unlogged = sum(int(str(line.get("unlogged", 0))) for line in daemon.events("connection.refused"))
    assert len(daemon.events("connection.refused")) + unlogged == 25_001
    assert b'connections_refused_total{why="bad token"} 25001.0' in daemon.metrics.exposition()


async def test_what_a_page_or_a_proxy_does_wrong_is_in_the_log(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Cookies over the bound, another interview's token, a probe: each with its reason, never with the token."""
    world = await World({}, Scenario()).start(nursery)
    token = world.token()
    reply = await upgrade(world, "/iv-1", f"Cookie: {'a' * 40_000}")
    assert (reply.status, "32 KiB" in reply.text) == (431, True)
    assert (await upgrade(world, f"/iv-2?token={token}")).status == 403
    assert (await upgrade(world, "/iv-3", f"Sec-WebSocket-Protocol: token.{token}")).status == 400
    assert not world.registry
    refused = [(line["why"], line.get("interview")) for line in world.events("connection.refused")]
    assert refused == [("too long", None), ("another interview", "iv-2"), ("subprotocol", "iv-3")]
    assert token not in str(world.log_lines.entries)


async def test_a_request_with_an_applications_cookies_is_served(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """One header line of 30 KiB."""
    world = await World({}, Scenario()).start(nursery)
    assert (await upgrade(world, f"/iv-1?token={world.token()}", f"Cookie: {'a' * 30_000}")).status == 101


async def test_a_query_of_nine_fields_is_served(nursery: trio.Nursery, autojump_clock: object) -> None:
    world = await World({}, Scenario()).start(nursery)
    others = "&".join(f"utm_{number}=x" for number in range(9))
    assert (await upgrade(world, f"/iv-1?{others}&token={world.token()}")).status == 101


@pytest.mark.parametrize("path", ["/health", "/ready"])
async def test_head_has_the_headers_and_no_body(
    nursery: trio.Nursery, autojump_clock: object, path: str
) -> None:
    world = await World({}, Scenario()).start(nursery)
    whole = await get(world, path)
    head = await ask(world, f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (head.status, head.headers, head.rest) == (200, whole.headers, b"")


@pytest.mark.parametrize("method", ["POST", "PUT", "OPTIONS", "DELETE"])
async def test_other_methods_are_told_which_are_allowed(
    nursery: trio.Nursery, autojump_clock: object, method: str
) -> None:
    world = await World({}, Scenario()).start(nursery)
    reply = await ask(world, f"{method} /health HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")
