"""What a connection may take, in bytes and in time: slow readers, dead lines, floods, and clocks that jump."""

from contextlib import suppress

import pytest
import trio
import trio.testing

from preppald.simulator import Scenario
from tests.candidates import Candidate
from tests.hostile_inputs import SECOND
from tests.world import World

DAY_MS = 24 * 3600 * 1000


def raw_request(world: World, interview_id: str = "iv-1") -> bytes:
    return (
        f"GET /{interview_id}?token={world.token(interview_id)} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


async def until_left(world: World) -> None:
    with trio.fail_after(120):
        while not world.events("browser.left"):  # noqa: ASYNC110 - a log line is no event
            await trio.sleep(0.5)


async def test_a_line_that_is_dead_is_found_in_25_seconds(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """A closed laptop sends nothing, not even pongs; its interview waits for it, and is not told of a bug."""
    world = await World({}, Scenario()).start(nursery)
    stream = world.connection()
    await stream.send_all(raw_request(world))
    began = trio.current_time()
    await until_left(world)
    assert 25 <= trio.current_time() - began <= 27
    assert world.registry.waiting == 1
    await trio.sleep(61)
    assert [line["ending"] for line in world.events("session.ended")] == ["candidate_gone"]


async def test_a_browser_that_takes_nothing_costs_its_connection_only(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """A send that hangs is given up after 10 s, and the session waits out its grace for somebody who listens."""
    world = await World({}, Scenario()).start(nursery)
    ours, theirs = trio.testing.lockstep_stream_pair()
    nursery.start_soon(world.server.handle, theirs)
    await ours.send_all(raw_request(world))
    await ours.receive_some(65536)
    began = trio.current_time()
    await until_left(world)
    assert trio.current_time() - began <= 15
    back = await world.candidate()
    await back.until("session_started")
    assert world.events("session.ended") == []


async def test_who_floods_and_comes_back_has_no_new_allowance(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """The interview waits for its candidate; the second flood ends sooner than the first."""
    world = await World({}, Scenario()).start(nursery)

    async def flood() -> tuple[tuple[int, str], float]:
        candidate = await world.candidate()
        began = trio.current_time()
        while candidate.close is None:
            await candidate.stream.send_all(SECOND * 5)
            await trio.sleep(0.5)
        return candidate.close, trio.current_time() - began

    close, first = await flood()
    assert close == (1008, "Sending faster than real time")
    assert 10 < first < 20
    assert b'preppald_browsers_cut_total{why="flood"} 1.0' in world.metrics.exposition()
    close, second = await flood()
    assert close == (1008, "Sending faster than real time")
    assert second < first
    assert len(world.registry) == 1
    await trio.sleep(65)  # the grace, and what the close may take
    assert [line["ending"] for line in world.events("session.ended")] == ["candidate_gone"]


NEWER_KIND = b"\xfa\x01\x02\x0a\x00"  # field 31


async def test_a_newer_clients_messages_are_skipped_and_counted(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """A dozen in a row between two of ours: it is heard as before."""
    world = await World({}, Scenario()).start(nursery)
    candidate = await world.candidate()
    await candidate.until("session_started")
    for _ in range(12):
        await candidate.send(NEWER_KIND)
    await trio.sleep(1)
    assert candidate.close is None
    assert "error" not in candidate.kinds()
    assert b"preppald_messages_skipped_total 12.0" in world.metrics.exposition()
    await candidate.end()
    assert (await candidate.closed())[0] == 1000


async def test_a_flood_of_messages_that_say_nothing_is_cut(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """They fall under the limit on frames that carry nothing."""
    world = await World({}, Scenario()).start(nursery)
    candidate = await world.candidate()
    await candidate.until("session_started")
    with suppress(trio.BrokenResourceError):
        while not candidate.leaving:
            await candidate.send(NEWER_KIND)
            await trio.sleep(0.1)
    assert (await candidate.closed()) == (1008, "Too many control frames")
    assert trio.current_time() < 60


@pytest.mark.parametrize("jump_ms", [DAY_MS, -DAY_MS], ids=["a day ahead", "a day back"])
async def test_a_wall_clock_that_jumps_moves_no_deadline(
    nursery: trio.Nursery, autojump_clock: object, jump_ms: int
) -> None:
    """The interview ends when its time has passed on the clock that cannot jump, and is delivered then."""
    world = await World({"PREPPALD_SESSION_LIMIT": "2m", "PREPPALD_ENDING_SOON": "1m"}, Scenario()).start(
        nursery
    )
    candidate = await world.candidate()
    began = trio.current_time()
    await candidate.heard_out()
    world.wall_offset_ms = jump_ms
    await candidate.until("notice")
    assert trio.current_time() - began == pytest.approx(60, abs=1)
    assert (await candidate.closed())[1].startswith("Session timeout")
    assert trio.current_time() - began == pytest.approx(120, abs=1)
    await trio.sleep(5)
    status, lines = world.backend.received("iv-1")
    assert status == "IN_PROGRESS"
    assert lines[0][0] == "AI"


async def test_a_wall_clock_that_jumps_locks_nobody_out_who_is_in(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """The token that opened the interview opens it again, however old it looks."""
    world = await World({}, Scenario()).start(nursery)
    token = world.token()
    candidate = await world.candidate(token=token)
    await candidate.until("session_started")
    world.wall_offset_ms = DAY_MS
    await candidate.vanish()
    await trio.sleep(1)
    back: Candidate = await world.candidate(token=token)
    await back.until("session_started")


async def test_frames_behind_the_request_are_taken_after_the_answer(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """A client in a hurry gets its 101 first, and then its pong."""
    world = await World({}, Scenario()).start(nursery)
    stream = world.connection()
    await stream.send_all(raw_request(world) + b"\x89\x82\0\0\0\0hi")
    answer = b""
    with trio.move_on_after(5):
        while b"\x8a\x02hi" not in answer:
            answer += await stream.receive_some()
    assert answer.startswith(b"HTTP/1.1 101")
    assert b"\x8a\x02hi" in answer.partition(b"\r\n\r\n")[2]
