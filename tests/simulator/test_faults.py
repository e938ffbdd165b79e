"""What a scenario makes go wrong, seen from the client."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from preppald.simulator import GeminiSimulator, Scenario, load_scenario, scenario_names
from preppald.simulator.endings import CLOSE_FRAMES
from preppald.simulator.faults import FLAWS, Close, Drop, Fault, Flaw, Flawed, Http, Moment, Send, Silence
from preppald.simulator.scenario import Limits, Manners, Timing
from tests.simulator.caller import (
    Caller,
    Closed,
    Json,
    audio,
    call,
    pcm_of,
    quiet,
    said,
    setup_message,
    voice,
)

GREET = {"realtimeInput": {"text": "Greet them."}}


def failing(*faults: Fault, **scenario: Any) -> GeminiSimulator:
    return GeminiSimulator(Scenario(fault=faults, **scenario))


async def close_before_setup(caller: Caller) -> Closed:
    await caller.send(setup_message())
    return await caller.closed()


@pytest.mark.parametrize("row", CLOSE_FRAMES)
@pytest.mark.parametrize("at", ["setup", "ready", "generating"])
async def test_every_close(
    nursery: trio.Nursery, autojump_clock: MockClock, row: str, at: Literal["setup", "ready", "generating"]
) -> None:
    """Each row of the close table, before setupComplete, after it, and mid-turn; the reason cut at 123 bytes."""
    caller = await call(failing(Close(row=row, at=at)), nursery)
    await caller.send(setup_message())
    if at != "setup":
        assert "setupComplete" in await caller.receive()
    if at == "generating":
        await caller.send(GREET)
    closed = await caller.closed()
    expected = CLOSE_FRAMES[row]
    assert closed.code == expected.code
    assert len(closed.reason.encode()) <= 123
    assert closed.reason == expected.reason.format(model="models/gemini-3.8-live", version="v1beta")[:123]


async def test_what_was_said_comes_before_the_close(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Frames queued before the end are still written."""
    caller = await call(failing(Close(at="ready", code=1013, reason="later")), nursery)
    await caller.send(setup_message())
    assert await caller.receive() == {"setupComplete": {}}
    assert (await caller.closed()).reason == "later"


MOMENTS: list[tuple[Moment, str]] = [
    ("generation-complete", "generationComplete"),
    ("turn-complete", "turnComplete"),
    ("speech", "voiceActivity"),
    ("utterance", "inputTranscription"),
]


@pytest.mark.parametrize(("at", "last"), MOMENTS)
async def test_moments(nursery: trio.Nursery, autojump_clock: MockClock, at: Moment, last: str) -> None:
    """A fault strikes right after what its moment is named for."""
    caller = await (await call(failing(Close(at=at, turn="all", after=0.001)), nursery)).set_up()
    await caller.send(audio(voice(1.0) + quiet(1.0)))
    await caller.until(last)
    assert (await caller.closed()).code == 1011


async def test_a_fault_strikes_its_own_connection_and_turn(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """The second connection of a key, in its second reply; another key's count is its own."""
    simulator = failing(Close(at="generating", connection=2, turn=2))
    first = await (await call(simulator, nursery, "a")).set_up()
    other = await (await call(simulator, nursery, "b")).set_up()
    second = await (await call(simulator, nursery, "a")).set_up()
    for caller in (first, other, second):
        for _ in range(2):
            await caller.send(GREET)
            if caller is second and "turn 1" in caller.notes:
                assert (await caller.closed()).code == 1011
            else:
                await caller.until("turnComplete")
                caller.notes.add("turn 1")


async def test_a_fault_strikes_its_own_model(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """The sick one of two, in each of its connections."""
    simulator = failing(Close(connection="all", at="setup", model="gemini-2.5-flash-native-audio-latest"))
    for _ in range(2):
        sick = await call(simulator, nursery)
        await sick.send(setup_message(model="models/gemini-2.5-flash-native-audio-latest"))
        assert (await sick.closed()).code == 1011
        await (await call(simulator, nursery)).set_up()


async def test_reset(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """No close frame: 1006."""
    caller = await (await call(failing(Drop(at="generating", after=0.1)), nursery)).set_up()
    await caller.send(GREET)
    assert (await caller.closed()).code == 1006


async def test_silence(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Half open: nothing comes, not a pong nor an answer to our close; it ends when we hang up."""
    simulator = failing(Silence(at="setup"))
    caller = await call(simulator, nursery)
    await caller.send(setup_message())
    with trio.move_on_after(600) as patience:
        caller.protocol.send_ping(b"there?")
        await caller.flush()
        await caller.receive()
    assert patience.cancelled_caught
    await caller.stream.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert simulator.live == 0


async def test_silence_does_not_last_for_ever(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A client that waits is dropped after an hour."""
    caller = await call(failing(Silence(at="ready")), nursery)
    await caller.send(setup_message())
    assert (await caller.closed()).code == 1006
    assert trio.current_time() > 3600


@pytest.mark.parametrize("status", [401, 403, 429, 503])
async def test_refused_upgrades(
    nursery: trio.Nursery,
    autojump_clock: MockClock,
    status: Literal[401, 403, 429, 503],
) -> None:
    """An HTTP status instead of 101, once; with Retry-After when asked."""
    simulator = failing(Http(status=status, retry_after=9, body="no\n"))
    caller = await _dial(simulator, nursery)
    assert await caller.open() == status
    assert caller.response is not None
    assert caller.response.headers["Retry-After"] == "9"
    assert await (await _dial(simulator, nursery)).open() == 101


async def test_an_upgrade_that_hangs(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """No answer at all, until the client gives up."""
    simulator = GeminiSimulator(load_scenario("upgrade-hangs"))
    caller = await _dial(simulator, nursery)
    with trio.move_on_after(60) as patience:
        await caller.open()
    assert patience.cancelled_caught


async def _dial(simulator: GeminiSimulator, nursery: trio.Nursery) -> Caller:
    here, there = trio.testing.memory_stream_pair()
    nursery.start_soon(simulator.handle_stream, there)
    await trio.lowlevel.checkpoint()
    return Caller(here)


async def _reply(simulator: GeminiSimulator, nursery: trio.Nursery) -> tuple[Caller, list[Json]]:
    caller = await (await call(simulator, nursery)).set_up()
    await caller.send(audio(voice(1.0) + quiet(1.0)))
    return caller, await caller.until("turnComplete")


def _contents(frames: Sequence[Json]) -> list[str]:
    return [key for frame in frames for key in frame.get("serverContent", {})]


@pytest.mark.parametrize("flaw", ["premature-turn-complete", "no-generation-complete"])
async def test_turns_without_generation_complete(
    nursery: trio.Nursery,
    autojump_clock: MockClock,
    flaw: Literal["premature-turn-complete", "no-generation-complete"],
) -> None:
    """turnComplete comes without generationComplete; premature, with half of the audio."""
    _, frames = await _reply(failing(Flawed(flaw=flaw)), nursery)
    assert "generationComplete" not in _contents(frames)
    assert (len(pcm_of(frames)) < 100_000) is (flaw == "premature-turn-complete")
    _, frames = await _reply(GeminiSimulator(), nursery)
    assert "generationComplete" in _contents(frames)


async def test_late_audio(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """The last part comes after generationComplete, and nothing is missing."""
    _, frames = await _reply(failing(Flawed(flaw="late-audio")), nursery)
    contents = _contents(frames)
    assert "modelTurn" in contents[contents.index("generationComplete") :]
    assert len(pcm_of(frames)) == len(pcm_of((await _reply(GeminiSimulator(), nursery))[1]))


async def test_late_input_transcription(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """The candidate's words come after the reply's turnComplete."""
    caller, frames = await _reply(failing(Flawed(flaw="late-input-transcription")), nursery)
    assert said(frames, "inputTranscription") == ""
    assert said([await caller.receive()], "inputTranscription") == "(1.0 s of speech)"


def test_every_flaw_is_explained() -> None:
    """The help of `preppald simulate` lists them."""
    assert set(FLAWS) == set(get_args(Flaw))
    assert all(FLAWS.values())


async def test_late_text(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Half of the text comes behind turnComplete, and none is missing."""
    caller, frames = await _reply(failing(Flawed(flaw="late-text")), nursery)
    whole = said((await _reply(GeminiSimulator(), nursery))[1])
    early = said(frames)
    late = said([await caller.receive() for _ in range(3)])
    assert 0 < len(early) < len(whole)
    assert late
    assert whole.startswith(early + late)


async def test_text_only(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """All of the text, reasoning without its mark, and not a sound."""
    _, frames = await _reply(failing(Flawed(flaw="text-only")), nursery)
    assert said(frames) == said((await _reply(GeminiSimulator(), nursery))[1])
    assert pcm_of(frames) == b""
    assert "generationComplete" in _contents(frames)
    assert any("**Assessing**" in str(frame) and "thought" not in str(frame) for frame in frames)


async def test_whole_utterances(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Each sentence by itself between two voice activities, without the blanks."""
    speech = ("I was at Acme. Then I moved.",)
    simulator = GeminiSimulator(Scenario(speech=speech, fault=(Flawed(flaw="whole-utterances"),)))
    _, frames = await _reply(simulator, nursery)
    kinds = [frame["voiceActivity"]["type"] for frame in frames if "voiceActivity" in frame]
    assert kinds == ["ACTIVITY_START", "ACTIVITY_END"] * 2
    assert said(frames, "inputTranscription") == "I was at Acme.Then I moved."


async def test_odd_members(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Nulls, quoted numbers, control characters and half characters; such a frame begins with a byte order mark."""
    _, frames = await _reply(failing(Flawed(flaw="odd-members")), nursery)
    contents = [frame["serverContent"] for frame in frames if "serverContent" in frame]
    assert any(content.get("interrupted", "") is None for content in contents)
    usage = next(frame["usageMetadata"] for frame in frames if "usageMetadata" in frame)
    assert usage["promptTokenCount"].isdecimal()
    text = said(frames)
    assert "\x00\x1b\ud83d" in text


async def test_no_answer(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """The first prompt is not answered, the second is."""
    flaw: Flaw = "no-answer"
    caller = await (await call(failing(Flawed(flaw=flaw)), nursery)).set_up()
    await caller.send(GREET)
    with trio.move_on_after(30) as patience:
        await caller.receive()
    assert patience.cancelled_caught
    await caller.send(GREET)
    assert said(await caller.until("turnComplete")).startswith("Hello")


async def test_any_frame(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A scenario may send what it likes, such as `interrupted` with no generation."""
    caller = await call(failing(Send(at="ready", json='{"serverContent":{"interrupted":true}}')), nursery)
    await caller.set_up()
    assert await caller.receive() == {"serverContent": {"interrupted": True}}


async def test_poisoned_resume(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A resumed connection transcribes and never generates."""
    simulator = GeminiSimulator(load_scenario("poisoned-resume"))
    caller, _ = await _reply(simulator, nursery)
    handle = (await caller.receive())["sessionResumptionUpdate"]["newHandle"]
    await caller.leave()
    again = await (await call(simulator, nursery)).set_up(sessionResumption={"handle": handle})
    await again.send(audio(voice(1.0) + quiet(1.0)))
    await again.until("inputTranscription")
    assert "voiceActivity" in await again.receive()
    assert "goAway" in await again.receive()


async def test_a_slow_reader(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A client's sends wait when the simulator reads slowly and the pipe is full."""
    here, there = trio.testing.lockstep_stream_pair()
    simulator = GeminiSimulator(Scenario(timing=Timing(read_delay=3.0)))
    nursery.start_soon(simulator.handle_stream, there)
    caller = Caller(here)
    assert await caller.open() == 101
    await caller.set_up()
    await caller.send(audio(quiet(0.1)))  # read before the delay was set
    before = trio.current_time()
    await caller.send(audio(quiet(0.1)))
    assert trio.current_time() - before == pytest.approx(3.0)


async def test_a_client_that_never_reads(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """It is dropped after ten seconds; nothing piles up."""
    here, there = trio.testing.lockstep_stream_pair()
    simulator = GeminiSimulator()
    nursery.start_soon(simulator.handle_stream, there)
    caller = Caller(here)
    await caller.open()
    await caller.set_up()
    await caller.send(GREET)
    await trio.sleep(20)
    assert simulator.live == 0


async def test_a_client_that_never_reads_its_refusal(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """It is nobody's bug: the connection is given up."""
    told: list[str] = []
    here, there = trio.testing.lockstep_stream_pair()
    simulator = GeminiSimulator(log=lambda event, _keys: told.append(event))
    nursery.start_soon(simulator.handle_stream, there)
    await here.send_all(b"GET /elsewhere HTTP/1.1\r\nHost: x\r\n\r\n")
    await trio.sleep(20)
    assert told == ["gemini.refused", "gemini.gone"]
    assert simulator.live == 0


async def test_late_pongs(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Pongs come as late as the scenario says; the conversation does not wait for them."""
    caller = await (await call(GeminiSimulator(Scenario(timing=Timing(pong_delay=12.0))), nursery)).set_up()
    asked = trio.current_time()
    caller.protocol.send_ping(b"?")
    await caller.send(GREET)
    await caller.until("turnComplete")
    with trio.move_on_after(30):
        await caller.receive()
        await caller.receive()
    assert [round(pong - asked, 1) for pong in caller.pongs] == [12.0]


async def test_a_pong_too_late(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A connection that is closed meanwhile gets no pong."""
    simulator = failing(Close(at="ready", after=5.0), timing=Timing(pong_delay=8.0))
    caller = await (await call(simulator, nursery)).set_up()
    caller.protocol.send_ping(b"?")
    await caller.flush()
    assert (await caller.closed()).code == 1011
    assert caller.pongs == []


async def test_early_messages(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """What comes before setupComplete waits, or ends the connection, as the scenario says."""
    patient = await call(GeminiSimulator(), nursery)
    await patient.send(setup_message())
    await patient.send(GREET)
    assert said(await patient.until("turnComplete")).startswith("Hello")
    strict = GeminiSimulator(Scenario(manners=Manners(early_messages="reject")))
    hasty = await call(strict, nursery)
    await hasty.send(setup_message())
    await hasty.send(GREET)
    assert (await hasty.closed()).code == 1007
    await (await call(strict, nursery)).set_up()


async def test_resuming_while_open(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Refused with 1011 when the scenario says so, and accepted once the old connection is closed."""
    simulator = GeminiSimulator(Scenario(manners=Manners(resume_while_open="reject")))
    caller, _ = await _reply(simulator, nursery)
    handle = (await caller.receive())["sessionResumptionUpdate"]["newHandle"]
    again = await call(simulator, nursery)
    await again.send(setup_message(sessionResumption={"handle": handle}))
    assert (await again.closed()).code == 1011
    await caller.leave()
    await (await call(simulator, nursery)).set_up(sessionResumption={"handle": handle})


@pytest.mark.parametrize(
    ("setup", "wait", "reason"),
    [
        ({"handle": "made-up"}, 0, "BidiGenerateContent session not found"),
        ({}, 7300, "BidiGenerateContent session not found"),
        ({"model": "models/gemini-3.1-flash-live-preview"}, 0, "Request contains an invalid argument."),
    ],
    ids=["unknown", "expired", "another model"],
)
async def test_handles_that_are_not_accepted(
    nursery: trio.Nursery, autojump_clock: MockClock, setup: Json, wait: float, reason: str
) -> None:
    """Unknown and expired handles are 1008, another model is 1007."""
    simulator = GeminiSimulator()
    caller, _ = await _reply(simulator, nursery)
    handle = (await caller.receive())["sessionResumptionUpdate"]["newHandle"]
    await caller.leave()
    await trio.sleep(wait)
    again = await call(simulator, nursery)
    model = {"model": setup["model"]} if "model" in setup else {}
    await again.send(setup_message(sessionResumption={"handle": setup.get("handle", handle)}, **model))
    assert (await again.closed()).reason == reason


async def test_scenarios_by_key(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """One simulator serves each key its own scenario; an unknown name is a bad key."""
    simulator = GeminiSimulator()
    assert (await close_before_setup(await call(simulator, nursery, "scenario:quota#alice"))).code == 1011
    await (await call(simulator, nursery, "ordinary")).set_up()
    stranger = await call(simulator, nursery, "scenario:nobody-knows")
    assert (await stranger.closed()).reason.startswith("API key not valid")


@pytest.mark.parametrize("name", scenario_names())
async def test_every_ready_made_scenario(nursery: trio.Nursery, autojump_clock: MockClock, name: str) -> None:
    """Each one can be lived through: within a few attempts it ends or answers, and no connection is left."""
    bugs: list[Any] = []
    simulator = GeminiSimulator(
        load_scenario(name), log=lambda event, keys: bugs.append(keys) if event == "gemini.bug" else None
    )
    for _ in range(4):
        caller = await _dial(simulator, nursery)
        with trio.move_on_after(60):
            if await caller.open() == 101:
                await _talk(caller)
        await trio.aclose_forcefully(caller.stream)
    await trio.testing.wait_all_tasks_blocked()
    assert simulator.live == 0
    assert bugs == []


async def _talk(caller: Caller) -> None:
    try:
        await caller.set_up(tools=[{"functionDeclarations": [{"name": "end_interview"}]}])
        for _ in range(4):
            await caller.send(audio(voice(0.5) + quiet(1.0)))
            await caller.until("turnComplete")
    except Closed:
        return


async def test_limits_without_compression(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Fifteen minutes, over all connections; then the session cannot be resumed any more."""
    simulator = GeminiSimulator(Scenario(limits=Limits(connection=600, session=900)))
    caller = await (await call(simulator, nursery)).set_up(contextWindowCompression=None)
    await caller.send(GREET)
    for begin in (0, 150, 300, 450):
        await trio.sleep_until(begin)
        await caller.send(audio(quiet(0.1)))
    await trio.sleep_until(540)
    await _handle(caller)
    await caller.send(GREET)
    handle = await _handle(caller)
    await caller.leave()
    again = await (await call(simulator, nursery)).set_up(
        contextWindowCompression=None, sessionResumption={"handle": handle}
    )
    began, last = trio.current_time(), ""
    while trio.current_time() < began + 300:
        await again.send(GREET)
        last = await _handle(again)
        await trio.sleep(60)
    closed = await again.closed()
    assert (closed.code, closed.reason[:18]) == (1008, "Connection aborted")
    assert trio.current_time() == pytest.approx(900, abs=15)
    late = await call(simulator, nursery)
    await late.send(setup_message(contextWindowCompression=None, sessionResumption={"handle": last}))
    assert (await late.closed()).code == 1008


async def _handle(caller: Caller) -> str:
    """The next resumption handle."""
    while True:
        update = (await caller.receive()).get("sessionResumptionUpdate", {})
        if "newHandle" in update:
            return str(update["newHandle"])
