"""A bug in any part of the goodbye costs that part: the transcript is delivered, and the candidate is told."""

from collections.abc import Callable

import msgspec
import pytest
import trio

from preppald.core.deliveries import DeliveryKind, TranscriptSubmission
from preppald.interview import goodbye
from preppald.interview.course import Course
from preppald.telemetry.metrics import Metrics
from tests.test_endings import GREETING, SCENARIO, begin, boom, last_words, received
from tests.test_traces import ON
from tests.world import World

Bug = Callable[[World, pytest.MonkeyPatch], None]
BUGS: dict[str, Bug] = {
    "the dialogue's close": lambda world, patch: patch.setattr(world.dialogue(), "close", boom),
    "the connection to Gemini": lambda world, patch: patch.setattr(world.parts().client, "stop", boom),
    "the conversation's end": lambda world, patch: patch.setattr(world.parts().conversation, "receive", boom),
    "the quality": lambda _world, patch: patch.setattr(goodbye, "quality", boom),
    "the presence": lambda _world, patch: patch.setattr(goodbye, "presence", boom),
    "the metrics of the talk": lambda _world, patch: patch.setattr(Metrics, "talked", boom),
    "the metrics of the end": lambda world, patch: patch.setattr(
        world.metrics.sessions_ended, "labels", boom
    ),
    "the numbers in the log": lambda world, patch: patch.setattr(world.parts().stats, "summary", boom),
    "the browser": lambda world, patch: patch.setattr(world.parts().seat, "say_goodbye", boom),
    "the trace": lambda _world, patch: patch.setattr(Course, "finish", boom),
}


@pytest.mark.parametrize("part", BUGS)
async def test_the_transcript_is_delivered_all_the_same(
    part: str, nursery: trio.Nursery, autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, and not after a restart; and nothing of it is live in the journal."""
    world = await World(ON, SCENARIO).start(nursery)
    candidate = await world.candidate()
    await candidate.heard_out()
    neighbour = await world.candidate("iv-2")
    BUGS[part](world, monkeypatch)
    await candidate.end()
    await candidate.closed()
    await trio.sleep(5)
    assert await received(world) == ["IN_PROGRESS", [GREETING]]
    assert [it.interview_id for it in world.journal.live()] == ["iv-2"]
    (line,) = world.events("goodbye.crashed")
    assert line["interview"] == "iv-1"
    if part != "the browser":
        assert last_words(candidate)
        assert candidate.close == (1000, "Interview ended by user")
    assert neighbour.close is None


async def test_an_end_on_a_clock_that_was_set_back_keeps_the_turns_times(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Turns have the interview's own time, and so has its end."""
    world, candidate = await begin(nursery, "plain")
    await candidate.speak(2.0)
    await candidate.heard_out()
    world.wall_offset_ms -= 60_000
    await candidate.end()
    await candidate.closed()
    await received(world)
    (posted,) = [it for it in world.backend.posts if it.kind is DeliveryKind.TRANSCRIPT]
    submission = msgspec.json.decode(posted.payload, type=TranscriptSubmission)
    times = [time or 0 for line in submission.lines for time in (line.begin_ms, line.end_ms)]
    assert times == sorted(times)
    assert times[-1] - times[0] > 2_000, "the answer's two seconds are among them"
    (line,) = world.events("session.ended")
    assert float(str(line["words_a_minute"])) > 0
