"""A page from before preppal.v1: it ignores updates without text, and plays every reply to its end."""

import trio

from preppald.core.turns import CUT_MARK
from preppald.simulator import Scenario
from preppald.simulator.scenario import Reply
from tests.candidates import Candidate
from tests.world import World

LONG = Scenario(speech=("Wait.",), reply=(Reply(text="one two three four five six seven", seconds=20.0),))


async def interrupt(world: World, nursery: trio.Nursery, *, old: bool) -> Candidate:
    """Speak over the greeting, and end the interview."""
    candidate = Candidate(world.connection(), old=old)
    assert await candidate.open("/iv-1", world.token()) == 101
    nursery.start_soon(candidate.run)
    await candidate.until("audio_response")
    await trio.sleep(3)
    await candidate.speak(2)
    await trio.sleep(5)
    await candidate.end()
    await candidate.closed()
    return candidate


async def test_every_update_has_text_and_every_turn_its_end(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    world = await World({}, LONG).start(nursery)
    candidate = await interrupt(world, nursery, old=True)
    updates = [it.transcript_update for it in candidate.messages if it.HasField("transcript_update")]
    assert updates
    assert all(update.text for update in updates)
    ended = [update.speaker for update in updates if update.turn_complete]
    assert ended[:2] == ["AI", "USER"]


async def test_what_such_a_page_plays_counts_as_heard(nursery: trio.Nursery, autojump_clock: object) -> None:
    """Another page's transcript is cut where its playback was."""
    for old in (True, False):
        world = await World({}, LONG).start(nursery)
        candidate = await interrupt(world, nursery, old=old)
        await trio.sleep(1)  # the transcript is delivered
        (said,) = [it for it in world.backend.received("iv-1") if isinstance(it, list)]
        speaker, words = said[0]
        assert speaker == "AI"
        assert words.endswith(CUT_MARK) is not old
        assert words.startswith("one two")
        assert ("interrupted" in candidate.kinds()) is not old
