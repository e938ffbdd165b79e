"""Whatever a client sends, it costs that client its connection at most: ten interviews beside it notice nothing."""

from collections.abc import Awaitable, Callable

import pytest
import trio

from preppald.simulator import Scenario
from tests.candidates import Candidate
from tests.hostile_inputs import AFTER, BEFORE, CLOSED, END, LIVES, Hostile
from tests.world import World

HEALTHY = 10
SCENARIO = Scenario(speech=("I fixed a race.",))
OUTCOMES = dict[str, str]


async def _send(
    stream: trio.abc.HalfCloseableStream, hostile: Hostile, interview_id: str, token: str
) -> None:
    try:
        for step in hostile.steps:
            if isinstance(step, bytes):
                # The token last: it may hold the letters ID.
                await stream.send_all(
                    step.replace(b"ID", interview_id.encode()).replace(b"TOKEN", token.encode())
                )
            elif step == END:
                await stream.send_eof()
            elif isinstance(step, float):
                await trio.sleep(step)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # it was cut short


async def _before(world: World, interview_id: str, hostile: Hostile) -> str:
    """What a connection that sends this gets: an HTTP status, or nothing."""
    stream = world.connection()
    answer = b""
    async with trio.open_nursery() as nursery:
        token = world.token(interview_id, user_id=interview_id)
        nursery.start_soon(_send, stream, hostile, interview_id, token)
        while not answer.startswith(b"HTTP/1.1 101") and (data := await stream.receive_some()):
            answer += data
        nursery.cancel_scope.cancel()
    await trio.aclose_forcefully(stream)
    assert b"permessage" not in answer
    return answer.split(b" ")[1].decode() if answer else CLOSED


async def _after(world: World, interview_id: str, hostile: Hostile) -> str:
    """How a connection ends that was let in and then sends this; or that it does not end."""
    token = world.token(interview_id, user_id=interview_id)
    candidate = await world.candidate(interview_id, token=token)
    await candidate.until("session_started")
    await _send(candidate.stream, hostile, interview_id, token)  # type: ignore[arg-type]  # memory streams half-close
    if hostile.outcome == LIVES:
        await trio.sleep(5)
        if candidate.close is None:
            await candidate.end()
            await candidate.until("session_ended")
            return LIVES
    code, reason = await candidate.closed()
    return f"{code} {reason}"


async def _healthy(world: World, interview_id: str) -> Candidate:
    candidate = await world.candidate(interview_id, token=world.token(interview_id, user_id=interview_id))
    await candidate.heard_out()
    for _ in SCENARIO.speech:
        await candidate.speak(2)
        await candidate.heard_out()
    await candidate.end()
    assert await candidate.closed() == (1000, "Interview ended by user")
    return candidate


async def _beside_healthy(
    world: World, inputs: tuple[Hostile, ...], attempt: Callable[[World, str, Hostile], Awaitable[str]]
) -> OUTCOMES:
    """All the inputs at once, each on its own connection, while the healthy interviews are held."""
    outcomes: OUTCOMES = {}
    healthy: list[Candidate] = []

    async def try_one(number: int, hostile: Hostile) -> None:
        outcomes[hostile.name] = await attempt(world, f"hostile-{number}", hostile)

    async def hold_one(number: int) -> None:
        healthy.append(await _healthy(world, f"healthy-{number}"))

    alone = await _healthy(world, "alone")
    async with trio.open_nursery() as nursery:
        for number in range(HEALTHY):
            nursery.start_soon(hold_one, number)
        for number, hostile in enumerate(inputs):
            nursery.start_soon(try_one, number, hostile)
    for candidate in healthy:
        assert candidate.kinds() == alone.kinds()
        assert candidate.text("AI") == alone.text("AI")
        assert candidate.text("USER") == alone.text("USER") == "".join(SCENARIO.speech)
        assert candidate.audio == alone.audio
    assert len(healthy) == HEALTHY
    assert not [line for line in world.log_lines.entries if "crashed" in str(line["event"])]
    return outcomes


async def test_no_handshake_disturbs_the_interviews(nursery: trio.Nursery, autojump_clock: object) -> None:
    """Each hostile request has the answer that the table says, and no crash; ten interviews go on beside it."""
    world = await World({}, SCENARIO).start(nursery)
    outcomes = await _beside_healthy(world, BEFORE, _before)
    assert outcomes == {hostile.name: hostile.outcome for hostile in BEFORE}


@pytest.mark.slow
async def test_no_message_disturbs_the_interviews(nursery: trio.Nursery, autojump_clock: object) -> None:
    """Each hostile stream of frames ends as the table says, or not at all; ten interviews go on beside it."""
    world = await World({}, SCENARIO).start(nursery)
    outcomes = await _beside_healthy(world, AFTER, _after)
    expected = {hostile.name: hostile.outcome for hostile in AFTER}
    assert {name: found[: len(expected[name])] for name, found in outcomes.items()} == expected


def test_the_tables_are_long_and_name_each_input_once() -> None:
    """A name is how a row is found again."""
    names = [hostile.name for hostile in (*BEFORE, *AFTER)]
    assert len(names) == len(set(names)) >= 60
