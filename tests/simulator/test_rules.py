"""What a setup may hold, for each model, and how frames are read."""

import base64
import json
from typing import Any

from hypothesis import given, strategies as st
import pytest

from preppald.simulator.endings import Ending, HangUp
from preppald.simulator.protojson import camel_case, read, snake_case
from preppald.simulator.rules import Compression, Setup, check_setup
from tests.simulator.caller import setup_message

EXTENDED = "models/gemini-3.8-live-extended-thinking"
FLASH = "models/gemini-3.1-flash-live-preview"
NATIVE = "models/gemini-2.5-flash-native-audio-preview-12-2025"


def check(**fields: Any) -> Setup:
    kind, setup = read(json.dumps(setup_message(**fields)).encode())
    assert kind == "setup"
    return check_setup(setup, version="v1beta", context_tokens=131_072)


def refusal(**fields: Any) -> tuple[int, str]:
    with pytest.raises(HangUp) as caught:
        check(**fields)
    return caught.value.code, caught.value.reason


def generation(**config: Any) -> dict[str, Any]:
    return {"generationConfig": {"responseModalities": ["AUDIO"]} | config}


def voice(name: str) -> dict[str, Any]:
    return generation(speechConfig={"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": name}}})


def tool(**function: Any) -> dict[str, Any]:
    return {"tools": [{"functionDeclarations": [{"name": "f"} | function]}]}


def detection(**config: Any) -> dict[str, Any]:
    return {"realtimeInputConfig": {"automaticActivityDetection": config}}


INVALID = "Request contains an invalid argument."


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"model": "models/gemini-1.0"}, "models/gemini-1.0 is not found for API version v1beta, or is not"),
        ({"model": None}, "models/ is not found"),
        (generation(thinkingConfig={}), "Thinking level is not supported for this model"),
        ({"model": EXTENDED}, "Thinking level must be specified for this model"),
        (
            {"model": EXTENDED, **generation(thinkingConfig={"thinkingLevel": "MINIMAL"})},
            "Thinking level MINIMAL is not supported",
        ),
        (
            {"model": FLASH, **generation(thinkingConfig={"thinkingLevel": "XHIGH"})},
            "Thinking level XHIGH is not supported",
        ),
        (
            {"model": NATIVE, **generation(thinkingConfig={"thinkingLevel": "LOW"})},
            "Thinking level is not supported for this model",
        ),
        (
            generation(responseModalities=["TEXT"]),
            "The requested combination of response modalities (TEXT) is not",
        ),
        (
            generation(responseModalities=["AUDIO", "TEXT"]),
            "The requested combination of response modalities (AUDIO, T",
        ),
        (
            {"model": NATIVE, **generation(responseModalities=["TEXT"])},
            "Text output is not supported for native audio",
        ),
        ({"model": NATIVE, **voice("alloy")}, "No matching speaker voice found for name: alloy"),
        ({"proactivity": {}}, "Invalid JSON payload received. Unknown name \"proactivity\" at 'setup'"),
        (generation(enableAffectiveDialog=True), INVALID),
        (
            {"bogusField": 1},
            "Invalid JSON payload received. Unknown name \"bogusField\" at 'setup': Cannot find field.",
        ),
        (
            generation(topW=1),
            "Invalid JSON payload received. Unknown name \"topW\" at 'setup.generation_config'",
        ),
        ({"explicitVadSignal": True}, 'Invalid JSON payload received. Unknown name "explicitVadSignal"'),
        (generation(responseModalities=["SMELL"]), INVALID),
        (generation(temperature="hot"), INVALID),
        (generation(temperature=True), INVALID),
        (generation(seed=True), INVALID),
        (generation(seed="1" * 30), INVALID),
        ({"tools": {}}, INVALID),
        ({"sessionResumption": []}, INVALID),
        (
            {
                "model": EXTENDED,
                **generation(thinkingConfig={"thinkingLevel": "LOW"}),
                **tool(behavior="BLOCKING"),
            },
            INVALID,
        ),
        (tool(name=""), INVALID),
        (detection(silenceDurationMs=-1), INVALID),
        (detection(prefixPaddingMs=-1), INVALID),
        ({"contextWindowCompression": {"triggerTokens": 10, "slidingWindow": {"targetTokens": 10}}}, INVALID),
        ({"contextWindowCompression": {"triggerTokens": "200000"}}, INVALID),
    ],
    ids=str,
)
def test_setups_that_are_refused(fields: dict[str, Any], reason: str) -> None:
    """The real service's own words, as a prefix."""
    assert refusal(**fields)[1].startswith(reason)


def test_refusals_have_the_codes_of_the_real_service() -> None:
    assert refusal(model="models/nothing")[0] == 1008
    assert refusal(bogus=1)[0] == 1007


@pytest.mark.parametrize(
    "fields",
    [
        {"model": EXTENDED, **generation(thinkingConfig={"thinkingLevel": "HIGH"})},
        {"model": FLASH, **generation(thinkingConfig={"thinkingLevel": "MINIMAL"})},
        {"model": NATIVE, **generation(thinkingConfig={"thinkingBudget": 0}, enableAffectiveDialog=True)},
        {"model": NATIVE, "proactivity": {"proactiveAudio": True}},
        {"model": NATIVE, **voice("Kore")},
        voice("alloy"),  # 3.8 was seen to take any name, and speak with its own voice
        {"generationConfig": None},
        {"systemInstruction": None},
        {"safetySettings": [{}], "labels": {"a": "b"}},
        {"sessionResumption": {"handle": None}},
    ],
    ids=str,
)
def test_setups_that_are_accepted(fields: dict[str, Any]) -> None:
    check(**fields)


def test_what_a_setup_asks_for() -> None:
    """Every field that the simulator heeds."""
    setup = check(
        systemInstruction={"parts": [{"text": "12345678"}]},
        realtimeInputConfig={
            "automaticActivityDetection": {
                "startOfSpeechSensitivity": "START_SENSITIVITY_LOW",
                "endOfSpeechSensitivity": "END_SENSITIVITY_LOW",
                "prefixPaddingMs": "100",
                "silenceDurationMs": 800,
            },
            "activityHandling": "NO_INTERRUPTION",
        },
        sessionResumption={"handle": "h"},
        inputAudioTranscription=None,
        historyConfig={"initialHistoryInClientContent": True},
        **tool(behavior="BLOCKING"),
    )
    assert setup.vad is not None
    assert (setup.vad.prefix_padding_ms, setup.vad.silence_duration_ms) == (100, 800)
    assert setup.vad.start_threshold > 2 * setup.vad.end_threshold
    assert (setup.interrupts, setup.initial_history, setup.handle) == (False, True, "h")
    assert (setup.transcribe_input, setup.transcribe_output) == (False, True)
    assert setup.compression == Compression(80_000, 40_000)
    assert setup.blocking == {"f": True}
    assert setup.instruction_chars == 8


def test_defaults_of_a_setup() -> None:
    setup = check(sessionResumption=None, contextWindowCompression={}, **detection(disabled=True), **tool())
    assert setup.vad is None
    assert setup.resumption is False
    assert setup.compression == Compression(104_857, 52_428)
    assert setup.blocking == {"f": False}
    assert check(model=FLASH, **tool()).blocking == {"f": True}
    assert check(contextWindowCompression=None).compression is None


PYTHON_SDK = """{"setup": {"model": "models/gemini-3.8-live", "generationConfig": {"responseModalities": ["AUDIO"],
"temperature": 0.7, "mediaResolution": "MEDIA_RESOLUTION_LOW", "speechConfig": {"voice_config":
{"prebuilt_voice_config": {"voice_name": "Kore"}}, "language_code": "en-US"}}, "systemInstruction": {"parts": [{"text":
"You are an interviewer."}], "role": "user"}, "tools": [{"functionDeclarations": [{"description": "d", "name":
"end_interview", "parameters": {"properties": {"r": {"type": "STRING"}}, "type": "OBJECT"}, "behavior":
"NON_BLOCKING"}]}], "sessionResumption": {}, "inputAudioTranscription": {}, "outputAudioTranscription": {},
"realtimeInputConfig": {"automatic_activity_detection": {"disabled": false, "start_of_speech_sensitivity":
"START_SENSITIVITY_LOW", "end_of_speech_sensitivity": "END_SENSITIVITY_LOW", "prefix_padding_ms": 20,
"silence_duration_ms": 500}, "activity_handling": "START_OF_ACTIVITY_INTERRUPTS", "turn_coverage":
"TURN_INCLUDES_ONLY_ACTIVITY"}, "contextWindowCompression": {"trigger_tokens": 25600, "sliding_window":
{"target_tokens": 12800}}, "historyConfig": {"initial_history_in_client_content": true}}}"""


def test_the_python_sdk_setup() -> None:
    """Recorded from google-genai 3.4.0: snake_case and camelCase mixed."""
    _, setup = read(PYTHON_SDK.encode())
    checked = check_setup(setup, version="v1", context_tokens=131_072)
    assert checked.compression == Compression(25_600, 12_800)
    assert checked.initial_history is True
    assert checked.vad is not None
    assert checked.vad.prefix_padding_ms == 20


@pytest.mark.parametrize(
    ("frame", "kind"),
    [
        (
            '{"realtime_input": {"audio": {"data": "AAH7__4=", "mime_type": "audio/pcm;rate=16000"}}}',
            "realtimeInput",
        ),
        ('{"realtime_input": {"audioStreamEnd": true}}', "realtimeInput"),
        ('{"realtime_input": {"activityStart": {}}}', "realtimeInput"),
        (
            '{"realtime_input": {"mediaChunks": [{"data": "AAE=", "mime_type": "audio/pcm"}]}}',
            "realtimeInput",
        ),
        (
            '{"tool_response": {"functionResponses": [{"scheduling": "WHEN_IDLE", "id": "1", "response": {}}]}}',
            "toolResponse",
        ),
        (
            '{"contextUpdate": {"systemInstruction": {"parts": [{"text": "new SI"}], "role": "user"}}}',
            "contextUpdate",
        ),
        (
            '{"client_content": {"turns": [{"parts": [{"text": "Go."}], "role": "user"}], "turnComplete": true}}',
            "clientContent",
        ),
    ],
    ids=lambda value: value[:30],
)
def test_the_python_sdk_messages(frame: str, kind: str) -> None:
    """Recorded from google-genai 3.4.0."""
    assert read(frame.encode())[0] == kind


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"\xff\xfe",
        b"{}",
        b'{"setup":{},"realtimeInput":{}}',
        b'{"foo":{}}',
        b'{"realtimeInput":{"text":7}}',
        b'{"realtimeInput":{"audioStreamEnd":"yes"}}',
        b'{"realtimeInput":{"audio":{"data":"A"}}}',
        b'{"realtimeInput":{"audio":{"data":"A*BC"}}}',
        '{"realtimeInput":{"audio":{"data":"äääA"}}}'.encode(),
        b'{"realtimeInput":{"audio":{"data":7}}}',
        b"[" * 100_000,
    ],
    ids=lambda frame: repr(frame[:40]),
)
def test_frames_that_are_refused(frame: bytes) -> None:
    with pytest.raises(HangUp) as caught:
        read(frame)
    assert caught.value.code == 1007


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_a_refusal(frame: bytes) -> None:
    try:
        kind, message = read(frame)
    except Ending:
        return
    assert isinstance(message, dict)
    assert kind


@given(st.binary(), st.booleans(), st.booleans())
def test_base64_in_any_alphabet(data: bytes, url_safe: bool, padded: bool) -> None:  # noqa: FBT001
    """Standard and URL-safe, with and without padding."""
    encoded = (base64.urlsafe_b64encode if url_safe else base64.b64encode)(data).decode()
    frame = {"realtimeInput": {"audio": {"data": encoded if padded else encoded.rstrip("=")}}}
    assert read(json.dumps(frame).encode())[1]["audio"]["data"] == data


def test_names_both_ways() -> None:
    assert camel_case("initial_history_in_client_content") == "initialHistoryInClientContent"
    assert snake_case("initialHistoryInClientContent") == "initial_history_in_client_content"
