"""A pause to think that the candidate asks for: nobody urges, nothing is heard, and the first word is not lost."""

from array import array

import trio

from preppald.core import interviewer
from preppald.core.ear import Ear
from preppald.core.hold import HOLD_SECONDS, REQUESTS_A_MINUTE, WARNING_SECONDS, Hold
from preppald.pb.interview_pb2 import ClientToServerMessage, Hold as HoldMessage, Notice
from preppald.simulator.faults import Fault, Flawed
from preppald.simulator.scenario import GoAway, Limits, Reply, Scenario
from tests.candidates import Candidate, silence, tone
from tests.overheard import Overheard, keep_silent, overhear, speak, stream
from tests.world import World

AS_EVER, NOTICE = Limits(), GoAway()
LINES = (Reply(text="Hello there.", seconds=1.0), Reply(text="Tell me more.", seconds=2.0))


async def begin(
    nursery: trio.Nursery,
    *faults: Fault,
    limits: Limits = AS_EVER,
    go_away: GoAway = NOTICE,
) -> tuple[World, Overheard, Candidate]:
    scenario = Scenario(reply=LINES, fault=faults, limits=limits, go_away=go_away, speech=("I was at sea.",))
    world = World({}, scenario)
    heard = overhear(world, scenario)
    await world.start(nursery)
    candidate = await world.candidate()
    await candidate.greeted()
    await keep_silent(candidate, 1)
    return world, heard, candidate


async def hold(candidate: Candidate, *, on: bool = True) -> None:
    await candidate.send(ClientToServerMessage(hold=HoldMessage(on=on)).SerializeToString())
    await trio.sleep(0.1)


def states(candidate: Candidate) -> list[tuple[bool, int]]:
    """What the page was told of the pause, with the seconds that it still lasts."""
    found = [m.hold_state for m in candidate.messages if m.WhichOneof("payload") == "hold_state"]
    return [(state.on, round(state.remaining_ms / 1000)) for state in found]


def loud_seconds(pcm: bytes) -> float:
    return sum(abs(sample) > 1000 for sample in array("h", pcm)) / 16_000


async def test_the_page_is_told_at_the_start_before_the_end_and_at_the_end(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Three minutes; nobody urges meanwhile, and none of it counts as silence of both."""
    world, heard, candidate = await begin(nursery)
    await hold(candidate)
    await keep_silent(candidate, HOLD_SECONDS + 100)
    assert [on for on, _ in states(candidate)] == [True, True, False]
    assert states(candidate)[0][1] == HOLD_SECONDS
    assert WARNING_SECONDS - 2 <= states(candidate)[1][1] <= WARNING_SECONDS
    assert [text for _, text in heard.prompts] == [interviewer.GREETING]
    assert not [m for m in candidate.messages if m.notice.kind == Notice.STILL_THERE]
    assert world.events("interviewer.silent") == []


async def test_the_voice_ends_it_and_its_beginning_is_sent(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    _world, heard, candidate = await begin(nursery)
    await hold(candidate)
    await keep_silent(candidate, 30)
    before = len(heard.all_audio)
    await speak(candidate, 2)
    await keep_silent(candidate, 8)
    assert [on for on, _ in states(candidate)] == [True, False]
    assert loud_seconds(heard.all_audio[before:]) > 0.99 * loud_seconds(tone(2))
    assert candidate.text("USER") == "I was at sea."
    assert candidate.text("AI").endswith("Tell me more.")


async def test_a_cough_does_not_end_it_and_is_not_sent(nursery: trio.Nursery, autojump_clock: object) -> None:
    _world, heard, candidate = await begin(nursery)
    await hold(candidate)
    await keep_silent(candidate, 5)
    await stream(candidate, tone(0.2), chunk=0.02)
    await keep_silent(candidate, 5)
    assert [on for on, _ in states(candidate)] == [True]
    assert loud_seconds(heard.all_audio) == 0


async def test_gemini_hears_silence_meanwhile(nursery: trio.Nursery, autojump_clock: object) -> None:
    """In real time: where nothing came it would end the session."""
    _world, heard, candidate = await begin(nursery)
    await hold(candidate)
    before = len(heard.all_audio)
    await keep_silent(candidate, 100)
    assert 95 < (len(heard.all_audio) - before) / 32_000 < 105


async def test_a_second_one_changes_nothing_and_a_press_ends_it(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    _world, _heard, candidate = await begin(nursery)
    await hold(candidate)
    await keep_silent(candidate, 60)
    await hold(candidate)
    await hold(candidate, on=False)
    await hold(candidate, on=False)
    assert [on for on, _ in states(candidate)] == [True, True, False, False]
    assert states(candidate)[1][1] in {119, 120}


async def test_what_was_said_before_it_is_not_nudged_for(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """ "Let me think", a press, and a model that does not answer that."""
    world, heard, candidate = await begin(nursery, Flawed(flaw="no-answer", turn=2))
    await speak(candidate, 2)
    await hold(candidate)
    await keep_silent(candidate, 60)
    assert world.events("interviewer.silent") == []
    assert len(heard.prompts) == 1


async def test_a_reply_under_way_is_played_out(nursery: trio.Nursery, autojump_clock: object) -> None:
    _world, _heard, candidate = await begin(nursery)
    await speak(candidate, 2, pause=2.2)
    await hold(candidate)
    await keep_silent(candidate, 5)
    assert candidate.text("AI").endswith("Tell me more.")
    assert "interrupted" not in candidate.kinds()
    assert [on for on, _ in states(candidate)] == [True]


async def test_it_is_kept_over_a_reconnect_and_a_change_of_connection(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    world, heard, candidate = await begin(nursery, limits=Limits(connection=60), go_away=GoAway(before=20))
    await hold(candidate)
    await keep_silent(candidate, 70)
    assert len(heard.setups) == 2
    assert len(heard.prompts) == 1
    await candidate.vanish()
    await trio.sleep(5)
    again = await world.candidate()
    await again.until("hold_state")
    assert states(again)[0][0]
    await again.end()
    assert await again.closed() == (1000, "Interview ended by user")


def test_ten_a_minute_at_most() -> None:
    """More are answered, and change nothing."""
    pause = Hold(Ear())
    for _ in range(REQUESTS_A_MINUTE // 2):
        pause.ask(0.0, on=True)
        pause.ask(0.0, on=False)
    (shown,) = pause.ask(0.0, on=True)
    assert not pause.on
    assert shown == pause.shown(0.0)
    pause.ask(6.0, on=True)
    assert pause.on


def test_half_a_sample_stays_with_its_other_half() -> None:
    """All that is dropped is whole samples."""
    ear = Ear()
    pause = Hold(ear)
    pause.ask(0.0, on=True)
    sent = 0
    for number in range(300):
        pause.hear(silence(0.02)[:639], number * 0.02)
        sent += 639
    pause.ask(6.0, on=False)
    assert (sent - len(pause.release())) % 2 == 0
