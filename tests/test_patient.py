"""The patient interviewer in whole interviews: who thinks is left to think, who is stuck is brought back."""

import msgspec
import pytest
import trio

from preppald.core import interviewer
from preppald.core.turns import fold
from preppald.core.watchdog import STILL_THERE_SECONDS, TAKE_UPS_A_MINUTE
from preppald.pb.interview_pb2 import Notice
from preppald.simulator.faults import Fault, Flaw, Flawed, Send
from preppald.simulator.scenario import GoAway, Limits, Reply, Scenario, Timing, ToolCall
from tests.candidates import Candidate, silence, tone
from tests.overheard import Overheard, keep_silent, overhear, speak, stream
from tests.world import World

# A model that tells of no voice activity.
QUIET_MODEL = "gemini-2.5-flash-native-audio-latest"
LINE = "Thank you. And now tell me about the hardest project that you ever had to finish."


async def begin(
    nursery: trio.Nursery,
    *faults: Fault,
    model: str = "gemini-3.8-live",
    limits: Limits = Limits(),  # noqa: B008 - frozen
    go_away: GoAway = GoAway(),  # noqa: B008 - frozen
    timing: Timing = Timing(),  # noqa: B008 - frozen
    tools: tuple[ToolCall, ...] = (),
) -> tuple[World, Overheard, Candidate]:
    lines = (Reply(text="Hello there.", seconds=1.0), Reply(text=LINE, seconds=4.0))
    scenario = Scenario(
        fault=faults, limits=limits, go_away=go_away, timing=timing, reply=lines, tool_call=tools
    )
    world = World({"PREPPALD_GEMINI_MODEL": model}, scenario)
    heard = overhear(world, scenario)
    await world.start(nursery)
    candidate = await world.candidate()
    await candidate.greeted()
    return world, heard, candidate


def speech(seconds: int) -> bytes:
    """Sound that varies as speech does; a pause ends no answer."""
    return (tone(0.7) + silence(0.3)) * seconds


def prompts(heard: Overheard) -> list[str]:
    return [text for _, text in heard.prompts]


def stages(world: World) -> list[object]:
    return [line["stage"] for line in world.events("interviewer.silent")]


def notices(candidate: Candidate, kind: Notice.Kind) -> list[str]:
    return [message.notice.message for message in candidate.messages if message.notice.kind == kind]


def flawed(flaw: Flaw, turn: int = 2) -> Flawed:
    return Flawed(connection="all", flaw=flaw, turn=turn)


def at_turn_complete(after: float, **content: object) -> Send:
    return Send(at="turn-complete", turn=1, after=after, json=msgspec.json.encode(content).decode())


async def test_who_speaks_aloud_is_not_told_to_have_finished(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """L1. An answer of 26 s of which two seconds are transcribed; eight seconds after its end it is stuck."""
    words = at_turn_complete(3, serverContent={"inputTranscription": {"text": "I was at"}})
    world, heard, candidate = await begin(nursery, words, flawed("no-answer"), model=QUIET_MODEL)
    await stream(candidate, silence(1) + speech(26))
    await keep_silent(candidate, 7)
    assert prompts(heard) == [interviewer.GREETING]
    await keep_silent(candidate, 3)
    assert prompts(heard) == [interviewer.GREETING, interviewer.NUDGE]
    assert stages(world) == ["nudge"]


async def test_no_prompt_after_a_change_cuts_into_speech(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """L2. goAway in the middle of an answer, of which two words are transcribed."""
    words = at_turn_complete(12, serverContent={"inputTranscription": {"text": "I was"}})
    _world, heard, candidate = await begin(
        nursery, words, limits=Limits(connection=28), go_away=GoAway(before=9), model=QUIET_MODEL
    )
    await stream(candidate, silence(10) + speech(25))
    assert len(heard.setups) == 2
    assert prompts(heard) == [interviewer.GREETING]
    await keep_silent(candidate, 8)
    assert prompts(heard) == [interviewer.GREETING], "Gemini answered by itself"
    assert candidate.text("AI").endswith(LINE)


async def test_a_model_that_chose_to_wait_is_left_to_wait(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """L3. "Let me think about that for a minute.", and a minute of silence."""
    world, heard, candidate = await begin(nursery, flawed("waits"))
    await speak(candidate, 2)
    await keep_silent(candidate, 90)
    assert stages(world) == []
    assert prompts(heard) == [interviewer.GREETING]
    await speak(candidate, 2)
    await keep_silent(candidate, 6)
    assert candidate.text("AI").endswith(LINE)


async def test_a_cough_asks_for_nothing(nursery: trio.Nursery, autojump_clock: object) -> None:
    """L4. Gemini noticed that somebody began and stopped; no word came."""
    began = at_turn_complete(2.0, voiceActivity={"type": "ACTIVITY_START"})
    ended = at_turn_complete(2.4, voiceActivity={"type": "ACTIVITY_END"})
    world, heard, candidate = await begin(nursery, began, ended, flawed("no-answer"))
    await stream(candidate, silence(2) + tone(0.2))
    await keep_silent(candidate, 90)
    assert stages(world) == []
    assert prompts(heard) == [interviewer.GREETING]


async def test_a_model_that_shows_its_thoughts_is_left_to_think(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """L5. A thought a second for fourteen seconds, then the reply."""
    world, _heard, candidate = await begin(nursery, flawed("thoughts"), timing=Timing(thinking=14))
    await speak(candidate, 2)
    await keep_silent(candidate, 25)
    assert stages(world) == []
    assert candidate.text("AI").endswith(LINE)
    assert "Weighing" not in candidate.text("AI")


async def test_a_reply_that_stalls_is_noticed_and_asked_on(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """L6. What was sent is heard out; eight seconds later the interviewer is asked to go on."""
    world, heard, candidate = await begin(nursery, flawed("stall"))
    await speak(candidate, 2)
    await keep_silent(candidate, 14)
    assert stages(world) == ["nudge"]
    assert prompts(heard)[1:] == [interviewer.NUDGE]
    await keep_silent(candidate, 10)
    assert candidate.text("AI").endswith(LINE), "after the nudge the whole reply came"


async def test_a_reply_that_stalls_for_good_is_sought_elsewhere(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """The nudge interrupts what stalled, and is not answered: over the next connection it goes on."""
    world, heard, candidate = await begin(
        nursery, Flawed(flaw="stall", turn=2), Flawed(flaw="no-answer", turn=3), model=QUIET_MODEL
    )
    await speak(candidate, 2)
    await keep_silent(candidate, 18)
    assert stages(world)[:2] == ["nudge", "rotate"]
    assert len(heard.setups) == 2
    assert heard.prompts[-1] == (2, interviewer.CONTINUE)


async def test_an_answer_to_a_reply_whose_turn_never_ended_is_awaited(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """L7. Words after a reply that was heard out are an answer, though Gemini never said that the reply was over."""
    world, heard, candidate = await begin(
        nursery, flawed("no-turn-complete"), flawed("no-answer", 3), model=QUIET_MODEL
    )
    await speak(candidate, 2)
    await keep_silent(candidate, 60)
    assert stages(world) == [], "a candidate who thinks"
    assert candidate.text("AI").endswith(LINE)
    await speak(candidate, 2)
    await keep_silent(candidate, 4)
    assert stages(world) == []
    await keep_silent(candidate, 5)
    assert stages(world) == ["nudge"]
    assert prompts(heard) == [interviewer.GREETING, interviewer.NUDGE]
    await candidate.end()
    await candidate.closed()
    await trio.sleep(1)
    transcript = world.backend.received("iv-1")[-1]
    assert isinstance(transcript, list)
    speakers = [line[0] for line in transcript]
    assert speakers == ["AI", "USER", "AI", "USER", "AI"], "each answer is a turn of its own"


async def test_a_function_called_in_the_middle_of_a_reply_is_answered_and_the_reply_goes_on(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """L8. Nobody declared it; unanswered it holds the reply up for a minute here, and for ever elsewhere."""
    world, _heard, candidate = await begin(
        nursery, tools=(ToolCall(name="score", turn=2, undeclared=True, halfway=True),)
    )
    await speak(candidate, 2)
    await keep_silent(candidate, 6)
    assert candidate.text("AI").endswith(LINE)
    assert [line["calls"] for line in world.events("upstream.tool_called")] == [1]
    assert stages(world) == []


async def test_a_reply_that_stalls_behind_a_function_all_the_same_is_asked_on(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """L8. The answer that there is no such function does not help: the ladder, as for any reply that stalls."""
    call = ToolCall(name="score", turn=2, undeclared=True, halfway=True)
    world, heard, candidate = await begin(nursery, flawed("stall"), tools=(call,))
    await speak(candidate, 2)
    await keep_silent(candidate, 25)
    assert stages(world) == ["nudge"]
    assert prompts(heard) == [interviewer.GREETING, interviewer.NUDGE]
    assert candidate.text("AI").endswith(LINE)
    (answer,) = heard.tool_answers
    assert "score" in str(answer)


async def test_a_reply_that_a_noise_cut_is_taken_up(nursery: trio.Nursery, autojump_clock: object) -> None:
    """Once, with the words up to which it was heard; it is counted."""
    world, heard, candidate = await begin(nursery, flawed("cough"))
    await speak(candidate, 2)
    await keep_silent(candidate, 10)
    (taken_up,) = prompts(heard)[1:]
    assert "A noise interrupted you" in taken_up
    assert "Thank you" in taken_up
    assert stages(world) == ["take_up"]
    await keep_silent(candidate, 5)
    await candidate.end()
    await candidate.closed()
    (ended,) = world.events("session.ended")
    assert ended["false_interruptions"] == 1


async def test_in_a_noisy_room_a_reply_is_not_taken_up_for_ever(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Every reply is cut: twice a minute at most."""
    faults = [flawed("cough", turn) for turn in range(2, 30)]
    world, _heard, candidate = await begin(nursery, *faults)
    await speak(candidate, 2)
    await keep_silent(candidate, 50)
    assert stages(world) == ["take_up"] * TAKE_UPS_A_MINUTE


async def test_an_interruption_that_was_meant_is_left(nursery: trio.Nursery, autojump_clock: object) -> None:
    """The candidate goes on speaking: that is answered, and nothing is taken up."""
    world, heard, candidate = await begin(nursery)
    await speak(candidate, 2, pause=1.5)
    await candidate.until(
        lambda message: message.WhichOneof("payload") == "audio_response", seen=len(candidate.messages)
    )
    await keep_silent(candidate, 0.5)
    await speak(candidate, 3, pause=12)
    assert candidate.kinds().count("interrupted") == 1
    assert stages(world) == []
    assert prompts(heard) == [interviewer.GREETING]


async def test_where_neither_speaks_for_minutes_the_candidate_is_asked(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """By voice once, on the page once a minute; a word ends it, and only the deadline ends the interview."""
    world, heard, candidate = await begin(nursery)
    await keep_silent(candidate, STILL_THERE_SECONDS - 2)
    assert notices(candidate, Notice.STILL_THERE) == []
    await keep_silent(candidate, 130)
    assert len(notices(candidate, Notice.STILL_THERE)) == 3
    assert prompts(heard) == [interviewer.GREETING, interviewer.STILL_THERE]
    assert stages(world) == ["still_there"]
    await speak(candidate, 2)
    await keep_silent(candidate, 120)
    assert len(notices(candidate, Notice.STILL_THERE)) == 3
    assert candidate.close is None


async def test_a_candidate_who_is_away_is_not_asked(nursery: trio.Nursery, autojump_clock: object) -> None:
    world, heard, candidate = await begin(nursery)
    await keep_silent(candidate, STILL_THERE_SECONDS - 10)
    await candidate.vanish()
    await trio.sleep(30)
    assert stages(world) == []
    assert prompts(heard) == [interviewer.GREETING]


@pytest.mark.parametrize("flaw", ["waits", "thoughts", "stall", "cough"])
async def test_the_interview_goes_on_after_any_of_them(
    nursery: trio.Nursery, autojump_clock: object, flaw: Flaw
) -> None:
    world, _heard, candidate = await begin(nursery, flawed(flaw))
    for _ in range(3):
        await speak(candidate, 2)
        await keep_silent(candidate, 25)
    assert candidate.close is None
    await candidate.end()
    assert await candidate.closed() == (1000, "Interview ended by user")
    assert not world.events("session.crashed")


async def test_the_delay_of_a_reply_is_measured_from_the_voice_too(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Gemini notices the end of an answer after its silence: the candidate has waited for longer than that."""
    world, _heard, candidate = await begin(nursery)
    await keep_silent(candidate, 1)
    await speak(candidate, 2)
    await keep_silent(candidate, 6)
    value = world.metrics.registry.get_sample_value
    assert value("preppald_reply_delay_from_voice_seconds_count") == 1
    from_voice = value("preppald_reply_delay_from_voice_seconds_sum") or 0.0
    from_notice = value("preppald_reply_delay_seconds_sum") or 0.0
    assert from_notice + 1.0 < from_voice < from_notice + 2.0
    await candidate.end()
    await candidate.closed()
    (ended,) = world.events("session.ended")
    assert ended["reply_from_voice_seconds"] == pytest.approx(from_voice, abs=0.01)
    assert ended["reply_from_notice_seconds"] == pytest.approx(from_notice, abs=0.01)
    assert ended["reply_from_voice_longest_seconds"] == ended["reply_from_voice_seconds"]
    turns = list(fold(await world.journal.fragments("iv-1", 1, since=0)).values())
    answer, reply = turns[1:3]
    assert answer.end_ms is not None
    assert reply.sound_ms is not None
    assert (reply.sound_ms - answer.end_ms) / 1000 == pytest.approx(from_voice, abs=0.05), (
        "as the transcript has it"
    )
