"""Conversations with the simulator over memory streams, on Trio's autojump clock."""

import trio
import trio.testing
from trio.testing import MockClock

from preppald.simulator import GeminiSimulator, Scenario
from tests.simulator.caller import audio, call, pcm_of, quiet, said, voice


async def test_the_greeting(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A realtime text is answered: audio and words, generationComplete, and turnComplete when it has been played."""
    caller = await (await call(GeminiSimulator(), nursery)).set_up()
    await caller.send({"realtimeInput": {"text": "Greet them."}})
    frames = await caller.until("generationComplete")
    generated = trio.current_time()
    assert said(frames) == "Hello and welcome. Please tell me a little about yourself."
    seconds = len(pcm_of(frames)) / 48_000
    (over,) = await caller.until("turnComplete")
    assert trio.current_time() - generated > seconds * 0.7
    assert over["serverContent"]["interactionStatus"] == "IDLE"
    assert over["usageMetadata"]["responseTokenCount"] == round(seconds * 25)
    update = (await caller.receive())["sessionResumptionUpdate"]
    assert update["resumable"] is True
    assert update["newHandle"]


async def test_a_spoken_turn(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Speech is announced, transcribed as a whole and answered; the transcription comes right before its end."""
    simulator = GeminiSimulator(Scenario(speech=("I build bridges.",)))
    caller = await (await call(simulator, nursery)).set_up()
    for pcm in (quiet(0.1), voice(2.0), quiet(1.0)):
        await caller.send(audio(pcm))
    frames = await caller.until("turnComplete")
    assert frames[0] == {"voiceActivity": {"type": "ACTIVITY_START", "audioOffset": "0.280s"}}
    assert frames[1] == {"serverContent": {"inputTranscription": {"text": "I build bridges."}}}
    assert frames[2]["voiceActivity"]["type"] == "ACTIVITY_END"
    assert said(frames).startswith("Hello")
    await caller.send(audio(voice(3.2) + quiet(1.0)))
    frames = await caller.until("turnComplete")
    assert said(frames, "inputTranscription") == "(3.2 s of speech)"
    assert said(frames) == "Tell me about a difficult problem you solved."


async def test_barge_in(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Speech over a reply stops it: interrupted, turnComplete, no generationComplete; then it is answered."""
    caller = await (await call(GeminiSimulator(), nursery)).set_up()
    await caller.send({"realtimeInput": {"text": "Greet them."}})
    await caller.until("modelTurn")
    await caller.send(audio(voice(1.0)))
    frames = await caller.until("turnComplete")
    assert any("interrupted" in frame.get("serverContent", {}) for frame in frames)
    assert not any("generationComplete" in frame.get("serverContent", {}) for frame in frames)
    await caller.send(audio(quiet(1.0)))
    frames = await caller.until("generationComplete")
    assert said(frames) == "Tell me about a difficult problem you solved."


async def test_resumption(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A handle continues the session: the questions go on where they were."""
    simulator = GeminiSimulator()
    caller = await (await call(simulator, nursery)).set_up()
    await caller.send({"realtimeInput": {"text": "Greet them."}})
    await caller.until("turnComplete")
    handle = (await caller.receive())["sessionResumptionUpdate"]["newHandle"]
    assert (await caller.leave()).code == 1000
    again = await (await call(simulator, nursery)).set_up(sessionResumption={"handle": handle})
    await again.send({"clientContent": {"turns": [], "turnComplete": True}})
    assert said(await again.until("turnComplete")) == "Tell me about a difficult problem you solved."
    await trio.testing.wait_all_tasks_blocked()
    assert (simulator.accepted, simulator.live) == (2, 1)
