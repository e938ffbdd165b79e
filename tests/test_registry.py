"""Which interview is live, and who may join it: one seat, one Gemini, one user, one end."""

import pytest
import trio
from websockets.server import ServerProtocol

from preppald.core import closes, endings
from preppald.errors import JournalError
from preppald.gemini.connection import UpstreamError
from preppald.journal import Journal
from preppald.server import http as http1
from preppald.server.http import Upgrade
from preppald.simulator import Scenario
from preppald.simulator.scenario import Reply
from tests.candidates import Candidate
from tests.world import World

SCENARIO = Scenario(speech=("I fixed a race.",), reply=(Reply(text="Hello there.", seconds=0.5),))
EXPIRED_MS = 306_000


async def knock(world: World, token: str, interview_id: str = "iv-1") -> int:
    """The status that a connection with this token gets."""
    candidate = Candidate(world.connection())
    status = await candidate.open(f"/{interview_id}", token)
    await candidate.vanish()
    return status


async def test_a_newer_connection_takes_over_and_gemini_is_not_dialled_again(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """The first is closed 4409; the second goes on in the same talk."""
    world = await World({}, SCENARIO).start(nursery)
    first = await world.candidate()
    await first.heard_out()
    second = await world.candidate()
    assert await first.closed() == (4409, "Replaced by a newer connection")
    started = (await second.until("session_started")).session_started
    assert started.resumed
    assert started.remaining_ms < 3_600_000
    await second.speak(2)
    await second.heard_out()
    assert second.text("USER") == "I fixed a race."
    assert world.dials == 1
    assert len(world.registry) == 1


async def test_two_connections_at_the_same_instant_meet_in_one_interview(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """One gets the seat, the other 4409; there is one row, one Gemini connection, one IN_PROGRESS."""
    world = await World({}, SCENARIO).start(nursery)
    both = [Candidate(world.connection()) for _ in range(2)]
    token = world.token()
    async with trio.open_nursery() as opening:
        for candidate in both:
            opening.start_soon(candidate.open, "/iv-1", token)
    for candidate in both:
        nursery.start_soon(candidate.run)
    await trio.sleep(3)
    assert sorted(candidate.close is None for candidate in both) == [False, True]
    assert {candidate.close for candidate in both} == {None, (4409, "Replaced by a newer connection")}
    assert world.dials == 1
    assert world.backend.received("iv-1") == ["IN_PROGRESS"]


async def test_what_the_replaced_one_still_sends_is_not_heard(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """An end that was pressed in a forgotten tab ends nothing."""
    world = await World({}, SCENARIO).start(nursery)
    first = Candidate(world.connection())
    await first.open("/iv-1", world.token())
    await trio.sleep(3)
    second = await world.candidate()
    await first.end()  # it has not read yet that it was replaced
    await trio.sleep(5)
    assert second.close is None


async def test_another_users_token_is_refused(nursery: trio.Nursery, autojump_clock: object) -> None:
    """Though it is good, and for this interview."""
    world = await World({}, SCENARIO).start(nursery)
    candidate = await world.candidate()
    await candidate.heard_out()
    assert await knock(world, world.token("iv-1", "user-2")) == 403
    assert candidate.close is None


async def test_an_expired_token_joins_the_interview_it_opened_and_no_other(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """The application signs only one token for an interview: it must do for as long as that lives."""
    world = await World({}, SCENARIO).start(nursery)
    token, other = world.token("iv-1"), world.token("iv-1", lifetime=200)
    candidate = await world.candidate(token=token)
    await candidate.heard_out()
    world.wall_offset_ms += EXPIRED_MS
    assert await knock(world, other) == 401
    assert candidate.close is None
    again = await world.candidate(token=token)
    assert again.status == 101
    await again.until("session_started")
    fresh = await world.candidate(token=world.token("iv-1"))
    assert fresh.status == 101
    await fresh.end()
    await fresh.closed()
    await world.registry.empty()
    late = await world.candidate(token=token)
    assert await late.closed() == (4410, "Interview already ended")
    assert await knock(world, other) == 401


async def test_a_clock_that_is_set_back_keeps_nobody_out_of_a_live_interview(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """The token that opened it is from the future then. It opens nothing else, and no other such token does."""
    world = await World({}, SCENARIO).start(nursery)
    token, other, another = world.token("iv-1"), world.token("iv-1", lifetime=200), world.token("iv-2")
    candidate = await world.candidate(token=token)
    await candidate.heard_out()
    world.wall_offset_ms -= 3_600_000
    assert await knock(world, other) == 401
    assert await knock(world, another, "iv-2") == 401
    assert "compare the clocks" in str(world.events("connection.refused")[0]["detail"])
    again = await world.candidate(token=token)
    assert again.status == 101
    await again.until("session_started")


async def test_an_interview_that_ended_is_not_begun_again(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """A browser cannot see an HTTP status: it is let in, and closed with a code that it can read."""
    world = await World({}, SCENARIO).start(nursery)
    candidate = await world.candidate()
    await candidate.heard_out()
    await candidate.end()
    await candidate.closed()
    late = await world.candidate()
    assert late.status == 101
    assert await late.closed() == (4410, "Interview already ended")
    assert world.dials == 1
    assert 'why="already ended"} 1.0' in world.metrics.exposition().decode()


async def test_who_comes_during_the_goodbye_is_told_that_it_ended(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Not left waiting in a seat of which nobody takes notice any more."""
    world = await World({}, SCENARIO).start(nursery)
    candidate = await world.candidate()
    await candidate.heard_out()
    world.session().end(endings.USER_ENDED, "a test")
    late = await world.candidate()
    assert await late.closed() == (4410, "Interview already ended")
    assert not world.events("connection.crashed")


async def test_an_interview_may_end_while_a_browser_is_being_let_in(
    nursery: trio.Nursery, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the seat and the handshake's last byte."""
    world = await World({}, SCENARIO).start(nursery)
    candidate = await world.candidate()
    await candidate.heard_out()
    session = world.session()
    real = http1.upgrade

    async def slow(stream: trio.abc.Stream, agreed: Upgrade) -> ServerProtocol | None:
        upgraded = await real(stream, agreed)
        session.end(endings.USER_ENDED, "a test")
        await session.done.wait()
        return upgraded

    monkeypatch.setattr(http1, "upgrade", slow)
    late = await world.candidate()
    assert await late.closed() == (4410, "Interview already ended")
    assert not world.events("connection.crashed")


async def test_an_interview_that_failed_before_a_word_was_said_may_be_tried_again(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Its second try is another epoch, so that the backend hears of it again."""
    world = await World({}, SCENARIO).start(nursery)
    world.dial_failures = [UpstreamError(closes.BAD_KEY)]
    unlucky = await world.candidate()
    assert (await unlucky.closed())[0] == 4002
    await world.registry.empty()
    candidate = await world.candidate()
    await candidate.heard_out()
    await candidate.end()
    await candidate.closed()
    await world.registry.empty()
    await world.outbox.drained(trio.current_time() + 10)
    assert world.backend.received("iv-1") == ["ERROR", "IN_PROGRESS", [("AI", "Hello there.")]]
    assert [line["epoch"] for line in world.events("session.ended")] == [1, 2]


async def test_without_a_journal_to_read_nothing_is_begun(
    nursery: trio.Nursery, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It might be an interview that already ended."""
    world = await World({}, SCENARIO).start(nursery)

    async def broken(_journal: Journal, _interview_id: str) -> None:
        await trio.lowlevel.checkpoint()
        raise JournalError("the disk is gone")

    monkeypatch.setattr(Journal, "interview", broken)
    assert await knock(world, world.token()) == 503
    assert not world.registry


async def test_a_drain_ends_when_the_last_interview_does(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Candidates may come back to theirs meanwhile."""
    world = await World({}, SCENARIO).start(nursery)
    candidates = [await world.candidate(f"iv-{number}") for number in range(3)]
    world.registry.drain()
    await candidates[0].vanish()
    again = await world.candidate("iv-0")
    assert again.status == 101
    for candidate in (again, *candidates[1:]):
        assert len(world.registry) > 0
        await candidate.end()
        await candidate.closed()
    with trio.fail_after(5):
        await world.registry.empty()
