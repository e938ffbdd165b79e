"""Real daemons that share a state directory: what one leaves when it is killed or stopped, the other takes over."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
import signal

import trio

from preppald.journal.archive import Archive
from preppald.journal.reader import Which
from preppald.simulator import Scenario
from preppald.simulator.scenario import Reply
from tests.candidates import Candidate
from tests.ports import free_ports
from tests.processes.host import PATIENCE_SECONDS, Host, host

SETTINGS = {"PREPPALD_RECONNECT_GRACE": "2s", "PREPPALD_DRAIN": "30s"}
SCENARIO = Scenario(reply=(Reply(text="The first question.", seconds=0.5),))


@asynccontextmanager
async def sides(directory: Path) -> AsyncIterator[tuple[Host, Host]]:
    """Two daemons that run, with the same state directory, Gemini and backend."""
    async with host(directory, {**SETTINGS, "PREPPALD_INSTANCE": "a"}, SCENARIO) as a:
        port, admin_port = free_ports(2)
        b = replace(
            a, settings={**SETTINGS, "PREPPALD_INSTANCE": "b"}, port=port, admin_port=admin_port, starts=100
        )
        try:
            for side in (a, b):
                await side.start()
                await side.ready()
            yield a, b
        finally:
            with trio.CancelScope(shield=True):
                if b.process is not None:
                    await b.kill()


async def candidate(
    side: Host, nursery: trio.Nursery, interview_id: str, since: int | None = None
) -> Candidate:
    found = Candidate(await side.connect())
    query = "" if since is None else f"?since={since}"
    await found.open(f"/{interview_id}{query}", side.token(interview_id))
    nursery.start_soon(_attend, found)
    return found


async def _attend(one: Candidate) -> None:
    async with one.stream:
        await one.run()


async def settled(side: Host, interview_id: str) -> list[str]:
    """The transcript that the backend has, once it has one."""
    with trio.fail_after(PATIENCE_SECONDS):
        while not (stored := side.backend.interviews.get(interview_id)) or not stored.transcript:  # noqa: ASYNC110 - another process posts it
            await trio.sleep(0.05)
    return [entry.content for entry in stored.transcript]


async def test_a_killed_ones_interviews_go_on_or_are_delivered(tmp_path: Path) -> None:
    """Who comes back is in the same interview; who does not has a transcript; and each has one only."""
    async with sides(tmp_path) as (a, b), trio.open_nursery() as nursery:
        stays = await candidate(a, nursery, "stays")
        leaves = await candidate(a, nursery, "leaves")
        for each in (stays, leaves):
            await each.greeted()
        await trio.sleep(0.5)  # what was said is on disk
        await a.kill()
        again = await candidate(b, nursery, "stays", since=0)
        started = (await again.until("session_started")).session_started
        assert started.resumed
        assert again.text("AI") == "The first question."
        (adopted,) = b.lines("journal.adopted")
        assert (adopted["interviews"], adopted["live"]) == (2, 2)
        assert await settled(b, "leaves") == ["The first question."]
        await again.end()
        await again.closed()
        assert await settled(b, "stays") == ["The first question."]
        # It comes back to a database in order, in which nothing of this is left.
        await a.start()
        await a.ready()
        assert a.lines("daemon.ready")[0]["recovered"] == 0
        late = await candidate(a, nursery, "leaves")
        assert await late.closed() == (4410, "Interview already ended")
        nursery.cancel_scope.cancel()
    found = Archive(a.state_dir).interviews(Which())
    assert sorted((it.interview.interview_id, it.instance, it.interview.ending) for it in found) == [
        ("leaves", "b", "candidate_gone"),
        ("stays", "b", "user_ended"),
    ]
    assert all(stored.submissions == 1 for stored in a.backend.interviews.values())


async def test_what_a_stopped_one_owed_is_delivered(tmp_path: Path) -> None:
    """The backend was down while it stopped: the other one has it as soon as the backend is back."""
    async with sides(tmp_path) as (a, b), trio.open_nursery() as nursery:
        only = await candidate(a, nursery, "owed")
        await only.greeted()
        a.backend.down = True
        await only.end()
        await only.closed()
        a.signal(signal.SIGTERM)
        assert await a.ended() == 0
        late = await candidate(b, nursery, "owed")
        assert await late.closed() == (4410, "Interview already ended")
        await b.logged("journal.adopted")
        assert "owed" not in {name for name, it in a.backend.interviews.items() if it.transcript}
        a.backend.down = False
        assert await settled(b, "owed") == ["The first question."]
        nursery.cancel_scope.cancel()
