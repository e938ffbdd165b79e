"""Real daemons on a real PostgreSQL: what a host had goes on at another one, whatever became of it.

Needs Debian's postgresql: run by .ci/extra/35-postgres.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
import shutil
import signal

import trio

from tests.candidates import Candidate
from tests.processes.host import Host, host
from tests.shared.server import Server
from tests.shared.talks import (
    SCENARIO,
    SETTINGS,
    Door,
    all_posted,
    ended,
    matches,
    more_said,
    posted,
    talking,
    until,
)

TALKS = 4
# From the death of a host to the seat at another. The design's bound is 15 s; a machine that has several times as much
# to do as it can may take longer.
SEATED_SECONDS = 25.0


@asynccontextmanager
async def two(directory: Path, server: Server, **settings: str) -> AsyncIterator[tuple[Host, Host]]:
    """Two hosts with one Gemini and one backend, each with a disk of its own."""
    (directory / "a").mkdir()
    (directory / "b").mkdir()
    shared = {**SETTINGS, "PREPPALD_SHARED_JOURNAL": server.url, **settings}
    async with host(directory / "a", shared, SCENARIO) as a:
        same = {
            **shared,
            "PREPPALD_GEMINI_URL": f"ws://127.0.0.1:{a.gemini_port}",
            "NEXT_PUBLIC_API_URL": f"http://127.0.0.1:{a.backend_port}",
        }
        async with host(directory / "b", same, SCENARIO) as b:
            for it in (a, b):
                await it.start()
            for it in (a, b):
                await it.ready()
                await it.logged("shared.whole")
            yield a, b


async def test_the_talks_of_a_host_that_is_gone_go_on_at_another(server: Server, tmp_path: Path) -> None:
    """kill -9 in the middle of talks, and the state directory removed."""
    async with two(tmp_path, server) as (a, b):
        door = Door([a])
        names = [f"iv-{number}" for number in range(TALKS)]
        async with talking(door, names) as tabs:
            await more_said(names, a)
            await a.kill()
            died = trio.current_time()
            shutil.rmtree(a.state_dir)
            door.hosts = [b, a]
            await until("all are seated", lambda: all(door.seats[it][-1] > died for it in names))
            took = {it: min(at for at in door.seats[it] if at > died) - died for it in names}
            assert max(took.values()) <= SEATED_SECONDS, took
            await more_said(names, b)
            await ended(door, names)
            await until("all have left", lambda: all(tab.finished for tab in tabs.values()))
        await until("all is posted", lambda: all(a.backend.interviews[it].submissions for it in names))
        for name, tab in tabs.items():
            await matches(server, a, name, tab, died)
        assert {it["interview"] for it in b.lines("interview.claimed")} == set(names)
        assert server.sql("SELECT count(*) FROM preppald.interview WHERE phase = 'live'") == "0"
        assert server.sql("SELECT coalesce(sum(live), 0) FROM preppald.person") == "0"


async def test_a_host_that_sleeps_and_wakes_posts_nothing(server: Server, tmp_path: Path) -> None:
    """SIGSTOP until another one has taken over; then it learns it, lets go, and is of use again."""
    async with two(tmp_path, server) as (a, b):
        first = Candidate(await a.connect())
        assert await first.open("/iv", a.token("iv")) == 101
        async with trio.open_nursery() as nursery:
            nursery.start_soon(first.run)
            await first.greeted()
            await trio.sleep(0.5)
            a.signal(signal.SIGSTOP)
            slept = trio.current_time()
            door = Door([b])
            async with talking(door, ["iv"]):
                await until("it is seated", lambda: door.seats.get("iv"))
                assert door.seats["iv"][0] - slept <= SEATED_SECONDS
                await trio.sleep(max(0.0, slept + 15 - trio.current_time()))
                a.signal(signal.SIGCONT)
                assert await first.closed() == (1012, "Service restart")
                assert "session_ended" not in first.kinds()
                await a.logged("instance.fenced")
                await until("it has joined anew", lambda: len(a.lines("instance.joined")) == 2)
                await more_said(["iv"], b)
                door.hosts = [a, b]
                await ended(door, ["iv"])
            await until("it is posted", lambda: a.backend.interviews["iv"].submissions)
            nursery.cancel_scope.cancel()
        await trio.aclose_forcefully(first.stream)
        assert posted(a, "iv")[0] == "question-0 is asked here"
        # Before it slept it had told that the interview is in progress, and afterwards nothing more.
        assert [it["kind"] for it in a.lines("delivery.done")] == ["status"]
        assert not a.said().get("iv")


async def test_a_host_that_is_upgraded_gives_its_talks_to_another(server: Server, tmp_path: Path) -> None:
    """Drained for a second, then stopped: nobody is cut for longer than one reconnect, and nothing is ended."""
    async with two(tmp_path, server, PREPPALD_DRAIN="1s") as (a, b):
        door = Door([a])
        names = [f"iv-{number}" for number in range(TALKS)]
        async with talking(door, names) as tabs:
            await more_said(names, a)
            door.hosts = [b]
            stopped = trio.current_time()
            a.signal(signal.SIGTERM)
            assert await a.ended() == 0
            assert {it["ending"] for it in a.lines("session.ended")} == {"moved"}
            assert [it["released"] for it in a.lines("interview.given_up")] == [True] * TALKS
            await until("all are seated", lambda: all(door.seats[it][-1] > stopped for it in names))
            await more_said(names, b)
            await ended(door, names)
            await until("all have left", lambda: all(tab.finished for tab in tabs.values()))
        await all_posted(server, a, tabs)
