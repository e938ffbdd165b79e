"""Conversations with the simulator over memory streams, on Trio's autojump clock."""

import json
import re
from typing import Any

import pytest
import trio
import trio.testing
from trio.testing import MockClock
from websockets.frames import Opcode

from preppald.core.verification import Flag, judge
from preppald.simulator import GeminiSimulator, Scenario, hearing, load_scenario
from preppald.simulator.scenario import GoAway, Limits, ToolCall
from tests.simulator.caller import Caller, Json, audio, call, pcm_of, quiet, said, voice
from tests.verification.rig import WORDS, answer as sample


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


@pytest.mark.parametrize("manual", [False, True])
async def test_recordings_that_are_known_are_transcribed_in_their_own_words(
    nursery: trio.Nursery, autojump_clock: MockClock, *, manual: bool
) -> None:
    """The sample answer in chunks, as a page sends it, in a quiet room and after a voice that nobody knows."""
    caller = await (await call(GeminiSimulator(), nursery)).set_up(
        realtimeInputConfig={"automaticActivityDetection": {"disabled": manual}}
    )

    async def say(pcm: bytes) -> str:
        if manual:
            await caller.send({"realtimeInput": {"activityStart": {}}})
        for start in range(0, len(pcm), 640):
            await caller.send(audio(pcm[start : start + 640]))
        if manual:
            await caller.send({"realtimeInput": {"activityEnd": {}}})
        return said(await caller.until("turnComplete"), "inputTranscription")

    assert await say(quiet(2.0) + sample() + quiet(1.0)) == WORDS
    assert re.fullmatch(r"\(2\.[0-9] s of speech\)", await say(voice(2.0) + quiet(0.0 if manual else 1.0)))
    assert re.fullmatch(
        r"\(1[67]\.[0-9] s of speech\)", await say(voice(16.5) + quiet(0.0 if manual else 1.0))
    )
    assert await say(sample() + quiet(1.0)) == WORDS


async def test_both_ears_say_the_same(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """So a check of a simulated interview finds no defect that no scenario made: of the sample, and of other voices."""
    caller = await (await call(GeminiSimulator(), nursery)).set_up()
    for turn in ([sample()], [voice(3.0)], [voice(3.0), voice(1.0)], [sample(), voice(2.0)]):
        sound = [pcm + quiet(2.0) for pcm in turn]
        live = ""
        for pcm in sound:
            await caller.send(audio(pcm))
            live += " " + said(await caller.until("turnComplete"), "inputTranscription")
        verdict = judge(live, hearing.heard(b"".join(sound)).text, voice_seconds=3.0)
        assert verdict.flag is Flag.OK
        assert verdict.confidence > 0.7


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


GREET = {"realtimeInput": {"text": "Greet them."}}
UTTERANCE = voice(1.0) + quiet(1.0)


async def start(nursery: trio.Nursery, scenario: Scenario | None = None, **setup: Any) -> Caller:
    return await (await call(GeminiSimulator(scenario), nursery)).set_up(**setup)


def contents(frames: list[Json]) -> list[str]:
    return [key for frame in frames for key in frame.get("serverContent", {})]


async def test_no_interruption(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """With NO_INTERRUPTION a reply is heard to its end; what was said meanwhile gets one answer."""
    caller = await start(nursery, realtimeInputConfig={"activityHandling": "NO_INTERRUPTION"})
    await caller.send(GREET)
    await caller.until("modelTurn")
    for _ in range(2):
        await caller.send(audio(UTTERANCE))
    frames = await caller.until("turnComplete")
    assert "interrupted" not in contents(frames)
    assert "generationComplete" in contents(frames)
    assert said(await caller.until("turnComplete")) == "Tell me about a difficult problem you solved."
    await caller.receive()
    with trio.move_on_after(60) as patience:
        await caller.receive()
    assert patience.cancelled_caught


async def test_barge_in_during_playback(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Everything was sent, but not yet played: interrupted comes after generationComplete."""
    caller = await start(nursery)
    await caller.send(GREET)
    await caller.until("generationComplete")
    await caller.send(audio(voice(0.5)))
    assert contents(await caller.until("turnComplete")) == [
        "interrupted",
        "turnComplete",
        "interactionStatus",
    ]


async def test_speech_before_the_reply_begins(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A reply that is still being thought of is given up without a word; there is one answer to both."""
    caller = await start(nursery)
    await caller.send(audio(UTTERANCE))
    await caller.until("voiceActivity")
    await caller.until("voiceActivity")
    await caller.send(audio(UTTERANCE))
    frames = await caller.until("turnComplete")
    assert "interrupted" not in contents(frames)
    assert said(frames, "inputTranscription") == "(1.0 s of speech)"


async def test_client_content_interrupts_only_when_complete(
    nursery: trio.Nursery, autojump_clock: MockClock
) -> None:
    """Measured on 3.8-live: turnComplete false never interrupts, true does at once."""
    caller = await start(nursery)
    await caller.send(GREET)
    await caller.until("modelTurn")
    turns = [{"role": "user", "parts": [{"text": "By the way"}]}]
    await caller.send({"clientContent": {"turns": turns}})
    assert "interrupted" not in contents(await caller.until("turnComplete"))
    await caller.send(GREET)
    await caller.until("modelTurn")
    await caller.send({"clientContent": {"turns": turns, "turnComplete": True}})
    assert "interrupted" in contents(await caller.until("turnComplete"))
    assert "generationComplete" in contents(await caller.until("turnComplete"))


async def test_manual_activity(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Without automatic detection the client says when it speaks; loud audio outside means nothing."""
    caller = await start(nursery, realtimeInputConfig={"automaticActivityDetection": {"disabled": True}})
    await caller.send(audio(UTTERANCE))
    await caller.send({"realtimeInput": {"activityEnd": {}}})
    await caller.send({"realtimeInput": {"audioStreamEnd": True}})
    await caller.send({"realtimeInput": {"activityStart": {}}})
    await caller.send(audio(voice(1.5)))
    await caller.send({"realtimeInput": {"activityEnd": {}}})
    frames = await caller.until("turnComplete")
    assert said(frames, "inputTranscription") == "(1.5 s of speech)"
    assert not any("voiceActivity" in frame for frame in frames)


async def test_audio_stream_end(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A microphone that closes ends the utterance at once."""
    caller = await start(nursery)
    await caller.send(audio(voice(1.0)))
    await caller.send({"realtimeInput": {"audioStreamEnd": True}})
    assert said(await caller.until("turnComplete"), "inputTranscription") == "(1.0 s of speech)"


async def test_the_older_native_model(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """2.5: no voiceActivity, input transcription as deltas, no output transcription unless asked for."""
    model = "models/gemini-2.5-flash-native-audio-preview-12-2025"
    speech = "I have built bridges for six years."
    scenario = Scenario(speech=(speech,))
    caller = await start(nursery, scenario, model=model, outputAudioTranscription=None)
    await caller.send(audio(UTTERANCE))
    frames = await caller.until("turnComplete")
    assert not any("voiceActivity" in frame for frame in frames)
    assert contents(frames).count("inputTranscription") == 3
    assert said(frames, "inputTranscription") == speech
    assert said(frames) == ""


async def test_nothing_is_sent_unasked(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Without transcription and resumption in the setup there is none."""
    caller = await start(nursery, inputAudioTranscription=None, sessionResumption=None)
    await caller.send(audio(UTTERANCE))
    frames = await caller.until("turnComplete")
    assert said(frames, "inputTranscription") == ""
    assert not any("sessionResumptionUpdate" in frame for frame in frames)


async def test_initial_history(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """clientContent up to turnComplete is swallowed, realtimeInput waits for it."""
    caller = await start(
        nursery,
        model="models/gemini-3.1-flash-live-preview",
        historyConfig={"initialHistoryInClientContent": True},
    )
    await caller.send(GREET)
    await caller.send({"clientContent": {"turns": [{"role": "user", "parts": [{"text": "Hi"}]}]}})
    with trio.move_on_after(60) as patience:
        await caller.receive()
    assert patience.cancelled_caught
    await caller.send({"clientContent": {"turns": [], "turnComplete": True}})
    assert said(await caller.until("turnComplete")).startswith("Hello")
    await caller.send({"clientContent": {"turns": [], "turnComplete": True}})
    assert (await caller.closed()).code == 1007


async def test_media_chunks(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """3.8 takes them and ignores them, older models close."""
    chunk = {"realtimeInput": {"mediaChunks": [audio(UTTERANCE)["realtimeInput"]["audio"]]}}
    caller = await start(nursery)
    await caller.send(chunk)
    await caller.send({"contextUpdate": {"tools": {"tools": []}}})
    with trio.move_on_after(60) as patience:
        await caller.receive()
    assert patience.cancelled_caught
    caller = await start(nursery, model="models/gemini-3.1-flash-live-preview")
    await caller.send(chunk)
    assert (await caller.closed()).code == 1007


@pytest.mark.parametrize(
    "message",
    [
        {"setup": {"model": "models/gemini-3.8-live"}},
        {"realtimeInput": {"activityStart": {}}},
        audio(quiet(0.1), "audio/opus"),
        audio(quiet(0.1), "audio/pcm;rate=4"),
        audio(quiet(0.1), "audio/pcm;rate=fast"),
        {"toolResponse": {"functionResponses": [{"name": "f", "response": {}}]}},
        "{",
    ],
    ids=str,
)
async def test_messages_that_end_a_session(
    nursery: trio.Nursery, autojump_clock: MockClock, message: Json | str
) -> None:
    """1007 Request contains an invalid argument."""
    caller = await start(nursery)
    await caller.send(message)
    closed = await caller.closed()
    assert (closed.code, closed.reason) == (1007, "Request contains an invalid argument.")


async def test_mime_types(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Any declared rate is heard right; none means 16 kHz; frames may be binary."""
    caller = await start(nursery)
    await caller.send(
        audio(voice(1.0, rate=48_000) + quiet(1.0, rate=48_000), "audio/pcm; channels=1; rate=48000")
    )
    assert said(await caller.until("turnComplete"), "inputTranscription") == "(1.0 s of speech)"
    await caller.send(json.dumps(audio(UTTERANCE, "audio/pcm")).encode())
    assert said(await caller.until("turnComplete"), "inputTranscription") == "(1.0 s of speech)"


async def test_the_first_message_must_be_a_setup(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Anything else is 1007; nothing at all ends after a minute."""
    caller = await call(GeminiSimulator(), nursery)
    await caller.send(GREET)
    assert (await caller.closed()).code == 1007
    silent = await call(GeminiSimulator(), nursery)
    assert (await silent.closed()).code == 1008


async def test_usage_and_compression(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """The prompt grows by what was said, and falls to the target when it passes the trigger."""
    window = {"triggerTokens": 200, "slidingWindow": {"targetTokens": 100}}
    caller = await start(
        nursery, contextWindowCompression=window, systemInstruction={"parts": [{"text": "x" * 400}]}
    )
    prompts = []
    for _ in range(5):
        await caller.send(audio(voice(2.0) + quiet(1.0)))
        usage = (await caller.until("turnComplete"))[-1]["usageMetadata"]
        prompts.append(usage["promptTokenCount"])
        assert usage["totalTokenCount"] == usage["promptTokenCount"] + usage["responseTokenCount"]
    assert prompts == [150, 150, 150, 248, 150]


async def test_the_window_is_finite(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Without compression an exhausted context ends with 1007."""
    scenario = Scenario(limits=Limits(context_tokens=150))
    caller = await start(nursery, scenario, contextWindowCompression=None)
    await caller.send(GREET)
    await caller.until("turnComplete")
    await caller.send(audio(voice(2.0) + quiet(1.0)))
    assert (await caller.closed()).code == 1007


async def test_idle(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """No input for 170 s: The operation was aborted."""
    caller = await start(nursery)
    await trio.sleep(100)
    await caller.send(audio(quiet(0.1)))
    assert (await caller.closed()).reason == "The operation was aborted."
    assert trio.current_time() == pytest.approx(270, abs=1)


@pytest.mark.parametrize(
    ("go_away", "bodies"),
    [
        (GoAway(), [{"timeLeft": "50s"}]),
        (GoAway(before=9.5, time_left="fractional"), [{"timeLeft": "9.500s"}]),
        (GoAway(time_left="absent", times=2), [{}, {}]),
        (GoAway(times=0), []),
    ],
    ids=["seconds", "fractional", "absent twice", "none"],
)
async def test_go_away(
    nursery: trio.Nursery, autojump_clock: MockClock, go_away: GoAway, bodies: list[Json]
) -> None:
    """In time, in each of its forms; who ignores it is closed with 1008 at the cap."""
    scenario = Scenario(go_away=go_away, limits=Limits(connection=120))
    caller = await start(nursery, scenario)
    began = trio.current_time()
    frames = []
    for body in bodies:
        frames.append(await caller.receive())
        assert frames[-1] == {"goAway": body}
    closed = await caller.closed()
    assert closed.code == 1008
    assert trio.current_time() - began == pytest.approx(120)
    assert closed.reason.startswith("Connection aborted because the client failed")


CALLING = Scenario(tool_call=(ToolCall(name="end_interview"), ToolCall(name="undeclared")))


async def call_tool(nursery: trio.Nursery, behavior: str) -> tuple[Caller, str]:
    tool = {"functionDeclarations": [{"name": "end_interview", "behavior": behavior}]}
    caller = await start(nursery, CALLING, tools=[tool])
    await caller.send(GREET)
    calls = (await caller.until("toolCall"))[-1]["toolCall"]["functionCalls"]
    assert [call["name"] for call in calls] == ["end_interview"]
    return caller, calls[0]["id"]


def answer(call_id: str, **more: str) -> Json:
    return {"toolResponse": {"functionResponses": [{"id": call_id, "name": "f", "response": {}, **more}]}}


async def test_a_blocking_tool(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """The reply waits for the answer, but not for ever."""
    caller, call_id = await call_tool(nursery, "BLOCKING")
    await trio.sleep(5)
    await caller.send(answer(call_id))
    frames = await caller.until("turnComplete")
    assert said(frames).startswith("Hello")
    caller, call_id = await call_tool(nursery, "BLOCKING")
    asked = trio.current_time()
    await caller.until("modelTurn")
    assert trio.current_time() - asked == pytest.approx(60, abs=1)


@pytest.mark.parametrize(
    ("scheduling", "interrupted", "answers"), [("SILENT", 0, 1), ("WHEN_IDLE", 0, 2), ("INTERRUPT", 1, 2)]
)
async def test_a_non_blocking_tool(
    nursery: trio.Nursery, autojump_clock: MockClock, scheduling: str, interrupted: int, answers: int
) -> None:
    """The reply goes on; what its answer does is for its scheduling to say."""
    caller, call_id = await call_tool(nursery, "NON_BLOCKING")
    await caller.send(answer(call_id, scheduling=scheduling))
    frames = []
    with trio.move_on_after(30):
        while True:
            frames.append(await caller.receive())
    assert contents(frames).count("interrupted") == interrupted
    assert contents(frames).count("turnComplete") == answers


async def test_a_cancelled_tool(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A barge-in withdraws the call; answering it afterwards ends the session."""
    caller, call_id = await call_tool(nursery, "BLOCKING")
    await caller.send(audio(voice(0.5)))
    assert (await caller.until("toolCallCancellation"))[-1] == {"toolCallCancellation": {"ids": [call_id]}}
    await caller.send(answer(call_id))
    closed = await caller.closed()
    assert (closed.code, closed.reason) == (1008, "Requested entity was not found.")


@pytest.mark.slow
async def test_an_hour(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """Sixty minutes over seven connections, each resumed before its end; nobody is greeted twice."""
    simulator = GeminiSimulator()
    caller = await (await call(simulator, nursery)).set_up()
    await caller.send(GREET)
    heard = ""
    while trio.current_time() < 3600:
        frames = await caller.until("turnComplete")
        heard += said(frames) + "\n"
        handle = (await caller.receive())["sessionResumptionUpdate"]["newHandle"]
        if any("goAway" in frame for frame in frames):
            await caller.leave()
            caller = await (await call(simulator, nursery)).set_up(sessionResumption={"handle": handle})
        await trio.sleep(20)
        await caller.send(audio(UTTERANCE))
    assert simulator.accepted == 7
    assert heard.count("Hello and welcome") == 1
    assert heard.count("\n") > 100


async def test_frames_on_the_wire(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """BINARY and compact by default; text, pretty-printed and full of unknown things when asked."""
    caller = await start(nursery)
    assert caller.opcodes == {Opcode.BINARY}
    assert caller.raw == [b'{"setupComplete":{}}']
    odd = await start(nursery, load_scenario("odd-frames"))
    await odd.send(GREET)
    over = (await odd.until("turnComplete"))[-1]
    assert odd.opcodes == {Opcode.TEXT}
    assert odd.raw[0].startswith(b'{\n  "setupComplete"')
    assert odd.raw[0].endswith(b"}\n")
    assert over["messageOfTomorrow"] == {"enabled": True}
    assert over["serverContent"]["turnCompleteReason"] == "REASON_OF_TOMORROW"


async def test_fragmented_messages(nursery: trio.Nursery, autojump_clock: MockClock) -> None:
    """A client may split a message over frames."""
    caller = await start(nursery)
    message = json.dumps(GREET).encode()
    caller.protocol.send_text(message[:9], fin=False)
    caller.protocol.send_continuation(message[9:], fin=True)
    await caller.flush()
    assert said(await caller.until("turnComplete")).startswith("Hello")
