"""An instance that died, and the one beside it that takes its interviews over."""

import hashlib
from pathlib import Path
import shutil

import pytest
import trio

from preppald.core.endings import CANDIDATE_GONE
from preppald.core.interview import Interview, Phase
from preppald.core.turns import SEQ_LEAP, Fragment, Speaker
from preppald.errors import JournalError
from preppald.interview.registry import ADOPT_SECONDS
from preppald.journal import Journal, OnDisk
from preppald.simulator import Scenario
from preppald.simulator.scenario import Reply
from tests.candidates import Candidate
from tests.durable import running
from tests.world import WALL_MS, World

SCENARIO = Scenario(reply=(Reply(text="Where were we?", seconds=0.5),))
GRACE_SECONDS = 60.0


def at(state_dir: Path, instance: str) -> OnDisk:
    return OnDisk(state_dir, instance, reserve_bytes=0)


def begin(journal: Journal, token: str) -> None:
    """What an instance has on record of an interview that it runs."""
    digest = hashlib.sha256(token.encode()).hexdigest()
    journal.begin(Interview("iv-1", "user-1", 1, digest, "gemini-3.8-live", WALL_MS, WALL_MS + 3_600_000))
    journal.add_fragments("iv-1", 1, [Fragment(1, 1, Speaker.AI, "Hello.", WALL_MS, turn_complete=True)])


async def died(state_dir: Path, token: str) -> None:
    """Another instance began an interview, said something, and is no more."""
    async with running(at(state_dir, "a")) as journal:
        begin(journal, token)


async def knock(world: World, token: str) -> int:
    candidate = Candidate(world.connection())
    status = await candidate.open("/iv-1", token)
    await candidate.vanish()
    return status


@pytest.fixture
async def world(tmp_path: Path, nursery: trio.Nursery) -> World:
    return await World({}, SCENARIO, at(tmp_path, "b")).start(nursery)


async def test_who_comes_back_is_in_the_same_interview_at_once(
    autojump_clock: object, tmp_path: Path, world: World
) -> None:
    """Though nobody had looked yet, and the token has expired meanwhile."""
    token = world.token()
    await died(tmp_path, token)
    world.wall_offset_ms += 400_000
    candidate = await world.candidate(token=token, since=0)
    started = (await candidate.until("session_started")).session_started
    assert started.resumed
    await candidate.until("transcript_update")
    assert candidate.text("AI") == "Hello."
    await candidate.end()
    await candidate.closed()
    await world.outbox.drained(trio.current_time() + 10)
    (lines,) = [posted for posted in world.backend.received("iv-1") if not isinstance(posted, str)]
    assert lines[0] == ("AI", "Hello.")


async def test_what_was_said_is_delivered_when_nobody_comes_back(
    autojump_clock: object, tmp_path: Path, world: World, nursery: trio.Nursery
) -> None:
    """Found by the next look, and ended like any other whose candidate stays away."""
    nursery.start_soon(world.registry.adopt)
    await trio.sleep(1)
    await died(tmp_path, world.token())
    await trio.sleep(ADOPT_SECONDS + GRACE_SECONDS + 5)
    assert world.backend.received("iv-1") == [[("AI", "Hello.")]]
    known = await world.journal.interview("iv-1")
    assert known is not None
    assert known.ending == CANDIDATE_GONE.name


async def test_what_another_one_runs_is_busy(autojump_clock: object, tmp_path: Path, world: World) -> None:
    """It did not answer for it, and its lock is held: it is just starting, or stuck. Come back in a moment."""
    token = world.token()
    async with running(at(tmp_path, "a")) as journal:
        begin(journal, token)
        await journal.flush()
        assert await knock(world, token) == 503
        assert not world.registry


async def test_who_drains_takes_nothing_over(
    autojump_clock: object, tmp_path: Path, world: World, nursery: trio.Nursery
) -> None:
    """It would never be done."""
    token = world.token()
    await died(tmp_path, token)
    world.registry.drain()
    assert await knock(world, token) == 503
    nursery.start_soon(world.registry.adopt)
    await trio.sleep(ADOPT_SECONDS * 2)
    assert not world.registry
    async with running(at(tmp_path, "a")) as journal:
        assert len(journal.live()) == 1
    world.registry.undrain()
    await trio.sleep(ADOPT_SECONDS * 2)
    assert len(world.registry) == 1, "a drain that is undone takes over again"


async def test_what_cannot_be_read_back_at_once_is_tried_again(
    autojump_clock: object,
    tmp_path: Path,
    world: World,
    nursery: trio.Nursery,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rows are here, and then the disk has a bad moment: the interview is not left to the next start."""

    async def unreadable(*_: object, **__: object) -> list[Fragment]:
        await trio.lowlevel.checkpoint()
        raise JournalError("x.db cannot be read")

    await died(tmp_path, world.token())
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "fragments", unreadable)
        nursery.start_soon(world.registry.adopt)
        await trio.sleep(1)
        assert not world.registry
        assert world.events("interviews.not_resumed")
    await trio.sleep(ADOPT_SECONDS)
    assert len(world.registry) == 1
    (live,) = world.journal.live()
    assert live.phase is Phase.LIVE


async def test_no_number_is_used_again_after_two_kills(autojump_clock: object, tmp_path: Path) -> None:
    """D11: though nothing that the second process said got to the disk, the third goes on above its numbers."""
    state = tmp_path / "life-0"
    async with running(at(state, "a")) as journal:
        begin(journal, "token")
    for life in (1, 2, 3):
        async with trio.open_nursery() as process:
            world = await World({}, SCENARIO, at(state, "a")).start(process)
            (live,) = world.journal.live()
            assert live.seq_floor == 1 + life * SEQ_LEAP
            # As a kill would leave it now.
            state = Path(shutil.copytree(state, tmp_path / f"life-{life}"))
            process.cancel_scope.cancel()
