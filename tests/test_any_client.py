"""The whole server under generated clients: whatever they do, in whatever order, it ends every interview once."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, cast

from hypothesis import given, settings, strategies as st
import pytest
import trio
import trio.testing
from websockets.exceptions import InvalidState

from preppald.core import closes
from preppald.gemini.connection import UpstreamError
from preppald.simulator import Scenario
from tests.candidates import Candidate, tone
from tests.hostile_inputs import AFTER, BEFORE
from tests.world import World

INTERVIEWS = ("iv-1", "iv-2")
# All of a client's bytes that do not wait; floods have tests of their own.
FRAMES = [
    step
    for hostile in AFTER
    if "flood" not in hostile.name and "25 s" not in hostile.name
    for step in hostile.steps
    if isinstance(step, bytes)
]
REQUESTS = [step for hostile in BEFORE for step in hostile.steps if isinstance(step, bytes)]
GRACE_SECONDS = 60.0

interviews = st.sampled_from(INTERVIEWS)
seats = st.integers(0, 3)
actions = st.one_of(
    st.tuples(
        st.just("connect"),
        interviews,
        st.sampled_from(["good", "good", "good", "expired", "bad", "another's"]),
    ),
    st.tuples(st.just("request"), st.sampled_from(REQUESTS)),
    st.tuples(st.just("frame"), seats, st.sampled_from(FRAMES)),
    st.tuples(st.just("noise"), seats, st.binary(min_size=1, max_size=40)),
    st.tuples(st.just("speak"), seats, st.floats(0.02, 2)),
    st.tuples(st.just("end"), seats),
    st.tuples(st.just("vanish"), seats),
    st.tuples(st.just("half-close"), seats),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.01, 0.3, 2.0, 20.0, 70.0])),
    st.tuples(
        st.just("gemini fails"),
        st.sampled_from([closes.OVERLOADED, closes.DNS, closes.QUOTA, closes.BAD_KEY]),
    ),
)


class Crowd:
    """The clients of one run; an action on a seat that nobody has does nothing."""

    def __init__(self, world: World, nursery: trio.Nursery) -> None:
        self._world = world
        self._nursery = nursery
        self._clients: list[Candidate] = []
        self._raw: list[trio.abc.AsyncResource] = []

    async def connect(self, interview_id: str, kind: str) -> None:
        token = {
            "good": self._world.token(interview_id),
            "expired": self._world.token(interview_id, lifetime=-60),
            "bad": "eyJ.eyJ.",
            "another's": self._world.token(interview_id, user_id="somebody else"),
        }[kind]
        client = Candidate(self._world.connection())
        status = await client.open(f"/{interview_id}", token)
        assert status in {101, 401, 403, 429, 503}
        if status == 101:
            assert kind in {"good", "another's"}
            self._nursery.start_soon(client.run)
        self._clients.append(client)

    async def request(self, data: bytes) -> None:
        stream = self._world.connection()
        await stream.send_all(data)
        self._raw.append(stream)

    async def frame(self, seat: int, data: bytes) -> None:
        if client := self._at(seat):
            await client.stream.send_all(data)

    noise = frame

    async def speak(self, seat: int, seconds: float) -> None:
        if client := self._at(seat):
            await client.send_audio(tone(seconds))

    async def end(self, seat: int) -> None:
        if client := self._at(seat):
            await client.end()

    async def vanish(self, seat: int) -> None:
        if client := self._at(seat):
            await client.vanish()

    async def half_close(self, seat: int) -> None:
        if client := self._at(seat):
            await cast(trio.abc.HalfCloseableStream, client.stream).send_eof()

    async def wait(self, seconds: float) -> None:
        await trio.sleep(seconds)

    async def gemini_fails(self, cause: closes.Cause) -> None:
        self._world.dial_failures.append(UpstreamError(cause))

    async def leave(self) -> None:
        for client in self._clients:
            await client.vanish()
        for stream in self._raw:
            await trio.aclose_forcefully(stream)

    def _at(self, seat: int) -> Candidate | None:
        return self._clients[seat] if seat < len(self._clients) else None


async def play(script: list[tuple[Any, ...]]) -> None:
    async with trio.open_nursery() as nursery:
        world = await World({}, Scenario()).start(nursery)
        crowd = Crowd(world, nursery)
        for name, *arguments in [("connect", "iv-1", "good"), *script]:
            act: Callable[..., Awaitable[None]] = getattr(crowd, name.replace(" ", "_").replace("-", "_"))
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError, InvalidState):  # it had gone
                await act(*arguments)
            await trio.testing.wait_all_tasks_blocked()
        await crowd.leave()
        with trio.fail_after(GRACE_SECONDS + 60):
            await world.registry.empty()
            await trio.sleep(10)
        await world.outbox.drained(trio.current_time() + 30)
        assert world.server.connections == 0
        assert not [line for line in world.log_lines.entries if "crashed" in str(line["event"])]
        began = {str(line["interview"]) for line in world.events("session.ended")}
        for interview_id in began:
            ends = [post for post in world.backend.received(interview_id) if post != "IN_PROGRESS"]
            sessions = [line for line in world.events("session.ended") if line["interview"] == interview_id]
            assert all(line["ending"] != "bug" for line in sessions)
            assert len(sessions) <= len(ends) <= 2 * len(sessions)
        nursery.cancel_scope.cancel()


@given(st.lists(actions, max_size=25))
@settings(max_examples=30, deadline=None)
@pytest.mark.slow
def test_whatever_clients_do_every_interview_ends_once(script: list[tuple[Any, ...]]) -> None:
    """No crash, no bug, no connection that stays, no session that stays; the backend hears of each ending."""
    trio.run(partial(play, script), clock=trio.testing.MockClock(autojump_threshold=0))
