"""Whole interviews over memory streams: a minute of talk takes a moment, an hour about a second."""

import trio

from preppald.simulator import Scenario
from tests.world import World


async def test_an_interview_reaches_both_sides(nursery: trio.Nursery, autojump_clock: object) -> None:
    """Voice and both transcripts go to the candidate, IN_PROGRESS and the transcript to the backend."""
    world = await World({}, Scenario(speech=("I fixed a race.",))).start(nursery)
    candidate = await world.candidate()
    await candidate.heard_out()
    await candidate.speak(3)
    await candidate.heard_out()
    await candidate.end()
    assert await candidate.closed() == (1000, "Interview ended by user")
    assert candidate.kinds()[0] == "session_started"
    assert candidate.kinds()[-1] == "session_ended"
    assert candidate.text("USER") == "I fixed a race."
    await world.outbox.drained(trio.current_time() + 10)
    status, transcript = world.backend.received("iv-1")
    assert status == "IN_PROGRESS"
    assert not isinstance(transcript, str)
    assert [speaker for speaker, _ in transcript] == ["AI", "USER", "AI"]
