"""Both sides stand in the recording where they were in time: whole interviews with signals that are known."""

from pathlib import Path

import pytest
import trio

from preppald.recording.recorder import WRITE_SECONDS
from preppald.recording.shelf import Shelf
from preppald.simulator.scenario import GoAway, Limits, Reply, Scenario
from tests.candidates import RATE_HZ, Candidate
from tests.recording.ears import Heard, listen, stretches
from tests.world import World

# A ticker's tick, the tolerance for jitter, and a millisecond or two of the tests' own streams.
NEAR_SECONDS = 0.08
GREETING_SECONDS = 8.0
GREETING = (Reply(text="Hello, tell me about yourself.", seconds=GREETING_SECONDS),)


async def begun(
    nursery: trio.Nursery, tmp_path: Path, scenario: Scenario, **settings: str
) -> tuple[World, Candidate]:
    """An interview that is recorded from the clock's time 0 on."""
    settings = {"PREPPALD_RECORD": "on", "PREPPALD_STATE_DIR": str(tmp_path), **settings}
    world = await World(settings, scenario).start(nursery)
    return world, await world.candidate()


async def ended(candidate: Candidate, tmp_path: Path) -> Heard:
    await candidate.end()
    await candidate.closed()
    await trio.sleep(2 * WRITE_SECONDS)
    return listen(tmp_path)


def arrived(candidate: Candidate, kind: str, nth: int = 0) -> float:
    """When a message of this kind came."""
    found = [
        at
        for at, message in zip(candidate.arrivals, candidate.messages, strict=True)
        if message.WhichOneof("payload") == kind
    ]
    return found[nth]


def near(*expected: float) -> tuple[object, ...]:
    return tuple(pytest.approx(at, abs=NEAR_SECONDS) for at in expected)


async def test_a_tone_at_second_three_is_at_second_three(
    nursery: trio.Nursery, autojump_clock: object, tmp_path: Path
) -> None:
    """Left: one tone of a second, to the very sample as long as it was; and nothing else."""
    _world, candidate = await begun(nursery, tmp_path, Scenario(reply=GREETING))
    began = trio.current_time()
    await candidate.keep_silent(3.0 - began)
    await candidate.speak(1.0, pause=1.0)
    heard = await ended(candidate, tmp_path)
    assert stretches(heard.left) == [near(3.0, 4.0)]
    loud = [at for at, sample in enumerate(heard.left) if sample]
    assert loud[-1] - loud[0] == pytest.approx(RATE_HZ, abs=3)


async def test_an_answer_plays_from_when_it_was_sent_until_the_candidate_speaks_over_it(
    nursery: trio.Nursery, autojump_clock: object, tmp_path: Path
) -> None:
    """Eight seconds are sent within two; the candidate speaks at the fourth: half of them were heard, no more."""
    _world, candidate = await begun(nursery, tmp_path, Scenario(reply=GREETING))
    await candidate.until("audio_response")
    sent = arrived(candidate, "audio_response")
    await candidate.keep_silent(sent + GREETING_SECONDS / 2 - trio.current_time())
    await candidate.speak(2.0, pause=0.2)
    cut = arrived(candidate, "interrupted")
    assert cut < sent + GREETING_SECONDS - 2
    heard = await ended(candidate, tmp_path)
    assert stretches(heard.right)[0] == near(sent, cut)
    # Between the barge-in and the reply to it: silence, to the last sample.
    assert not any(heard.right[round((cut + NEAR_SECONDS) * RATE_HZ) : round((cut + 1) * RATE_HZ)])


async def test_an_answer_is_heard_out_in_its_own_time(
    nursery: trio.Nursery, autojump_clock: object, tmp_path: Path
) -> None:
    """Nobody speaks over it: as long as it is, though it was sent in a quarter of the time."""
    _world, candidate = await begun(nursery, tmp_path, Scenario(reply=GREETING))
    await candidate.until("audio_response")
    sent = arrived(candidate, "audio_response")
    await candidate.keep_silent(GREETING_SECONDS + 2)
    heard = await ended(candidate, tmp_path)
    assert stretches(heard.right) == [near(sent, sent + GREETING_SECONDS)]


async def test_while_the_browser_is_away_nothing_is_heard(
    nursery: trio.Nursery, autojump_clock: object, tmp_path: Path
) -> None:
    """The rest of an answer is lost with the connection; who comes back is heard where they are by then."""
    world, candidate = await begun(nursery, tmp_path, Scenario(reply=GREETING))
    await candidate.until("audio_response")
    sent = arrived(candidate, "audio_response")
    await candidate.keep_silent(3.0)
    gone = trio.current_time()
    await candidate.vanish()
    await trio.sleep(10)
    candidate = await world.candidate(since=0)
    back = trio.current_time()
    await candidate.keep_silent(1.0)
    await candidate.speak(1.5)
    await candidate.heard_out()
    heard = await ended(candidate, tmp_path)
    first, *later = stretches(heard.right)
    assert first == near(sent, gone)
    assert later[0][0] > back
    assert stretches(heard.left) == [near(back + 1.0, back + 2.5)]


async def test_another_tab_hears_nothing_of_what_the_first_was_sent(
    nursery: trio.Nursery, autojump_clock: object, tmp_path: Path
) -> None:
    """It takes the seat while an answer plays: the rest of it plays nowhere."""
    world, candidate = await begun(nursery, tmp_path, Scenario(reply=GREETING))
    await candidate.until("audio_response")
    sent = arrived(candidate, "audio_response")
    await candidate.keep_silent(4.0)
    replaced = trio.current_time()
    second = await world.candidate(since=0)
    assert (await candidate.closed())[0] == 4409
    await second.keep_silent(3.0)
    heard = await ended(second, tmp_path)
    assert stretches(heard.right) == [near(sent, replaced)]


async def test_a_change_of_geminis_connection_leaves_no_trace(
    nursery: trio.Nursery, autojump_clock: object, tmp_path: Path
) -> None:
    """The candidate's sound goes on while Gemini is changed, and the places after it are right."""
    scenario = Scenario(limits=Limits(connection=60), go_away=GoAway(before=10))
    world, candidate = await begun(nursery, tmp_path, scenario)
    await candidate.heard_out()
    await candidate.keep_silent(60)
    assert world.dials == 2
    spoke = trio.current_time()
    await candidate.speak(2.0)
    await candidate.heard_out()
    heard = await ended(candidate, tmp_path)
    assert stretches(heard.left) == [near(spoke, spoke + 2.0)]


async def test_nothing_is_recorded_unless_somebody_asks(
    nursery: trio.Nursery, autojump_clock: object, tmp_path: Path
) -> None:
    """It is off by default, and this is what off means."""
    _world, candidate = await begun(nursery, tmp_path, Scenario(reply=GREETING), PREPPALD_RECORD="off")
    await candidate.heard_out()
    await candidate.end()
    await candidate.closed()
    await trio.sleep(2 * WRITE_SECONDS)
    assert Shelf(tmp_path).all() == []
