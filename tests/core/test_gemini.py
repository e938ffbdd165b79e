"""Gemini's JSON: every field that counts, in every shape in which it was seen, and all that is none."""

import base64
import contextlib
import json
from typing import Any

from hypothesis import given, strategies as st
import msgspec
import pytest

from preppald.core import gemini, gemini_frames
from preppald.core.events import (
    AtWork,
    AudioSpoken,
    GeminiEvent,
    GoingAway,
    HandleGiven,
    MemberSkipped,
    ReplyGenerated,
    ReplyInterrupted,
    ReplyRejected,
    SetupCompleted,
    SpeechBegan,
    SpeechEnded,
    TextHeard,
    TextSpoken,
    TokensUsed,
    ToolCall,
    ToolCalled,
    TurnCompleted,
    UtteranceCompleted,
    WaitingForInput,
)
from preppald.core.interview import Usage
from preppald.errors import RemoteProtocolError


def decoded(frame: object) -> list[GeminiEvent]:
    return gemini_frames.decode(json.dumps(frame).encode())


def content(**fields: object) -> list[GeminiEvent]:
    return decoded({"serverContent": fields})


def pcm_part(pcm: bytes, mime_type: str = "audio/pcm;rate=24000") -> dict[str, Any]:
    return {"inlineData": {"mimeType": mime_type, "data": base64.b64encode(pcm).decode()}}


# ------------------------------------------------------------------ from Gemini


@pytest.mark.parametrize(
    ("frame", "events"),
    [
        ({"setupComplete": {}}, [SetupCompleted()]),
        ({"setupComplete": {"sessionId": "s"}}, [SetupCompleted()]),
        ({"serverContent": {}}, []),
        ({"serverContent": {"modelTurn": {}}}, []),
        ({"serverContent": {"modelTurn": {"parts": [pcm_part(b"ab")]}}}, [AudioSpoken(b"ab")]),
        ({"serverContent": {"modelTurn": {"parts": [pcm_part(b"a", "audio/pcm")]}}}, [AudioSpoken(b"a")]),
        ({"serverContent": {"modelTurn": {"parts": [pcm_part(b"")]}}}, []),
        ({"serverContent": {"modelTurn": {"parts": [{"text": "Hello "}]}}}, [AtWork()]),
        ({"serverContent": {"modelTurn": {"parts": [{"text": "Plan", "thought": True}]}}}, [AtWork()]),
        ({"serverContent": {"outputTranscription": {"text": " Hi"}}}, [TextSpoken(" Hi")]),
        ({"serverContent": {"outputTranscription": {}}}, []),
        ({"serverContent": {"outputTranscription": {"text": "x", "finished": True}}}, [TextSpoken("x")]),
        ({"serverContent": {"inputTranscription": {"text": "I "}}}, [TextHeard("I ")]),
        ({"serverContent": {"inputTranscription": {}}}, []),
        ({"serverContent": {"interimInputTranscription": {"text": "I"}}}, []),
        ({"serverContent": {"interrupted": True}}, [ReplyInterrupted()]),
        ({"serverContent": {"interrupted": False}}, []),
        ({"serverContent": {"generationComplete": True}}, [ReplyGenerated()]),
        ({"serverContent": {"turnComplete": True}}, [TurnCompleted()]),
        ({"serverContent": {"turnComplete": True, "turnCompleteReason": "NEW"}}, [TurnCompleted()]),
        ({"serverContent": {"turnComplete": True, "interactionStatus": "IDLE"}}, [TurnCompleted()]),
        (
            {"serverContent": {"turnComplete": True, "interactionStatus": "REQUIRES_ACTION"}},
            [TurnCompleted()],
        ),
        (
            {"serverContent": {"turnComplete": True, "interactionStatus": "IN_PROGRESS"}},
            [UtteranceCompleted()],
        ),
        ({"serverContent": {"interactionStatus": "IN_PROGRESS"}}, []),
        ({"serverContent": {"waitingForInput": True, "interactionStatus": "IDLE"}}, [WaitingForInput()]),
        (
            {"serverContent": {"waitingForInput": True, "turnComplete": True}},
            [TurnCompleted(), WaitingForInput()],
        ),
        ({"serverContent": {"turnCompleteReason": "NEED_MORE_INPUT"}}, [WaitingForInput()]),
        (
            {"serverContent": {"turnComplete": True, "turnCompleteReason": "RESPONSE_REJECTED"}},
            [ReplyRejected("response_rejected"), TurnCompleted()],
        ),
        ({"voiceActivity": {"type": "ACTIVITY_START", "audioOffset": "6.040s"}}, [SpeechBegan(6.04)]),
        ({"voiceActivity": {"type": "ACTIVITY_START", "audioOffset": "soon"}}, [SpeechBegan()]),
        ({"voiceActivity": {"type": "ACTIVITY_END", "audioOffset": "7s"}}, [SpeechEnded(7.0)]),
        ({"voiceActivity": {"type": "ACTIVITY_END"}}, [SpeechEnded()]),
        ({"voiceActivity": {"type": "ACTIVITY_OF_TOMORROW"}}, []),
        ({"sessionResumptionUpdate": {"newHandle": "h", "resumable": True}}, [HandleGiven("h")]),
        ({"sessionResumptionUpdate": {"newHandle": "h"}}, []),
        ({"sessionResumptionUpdate": {"resumable": True}}, []),
        ({"sessionResumptionUpdate": {}}, []),
        ({"goAway": {"timeLeft": "50s"}}, [GoingAway(50.0)]),
        ({"goAway": {"timeLeft": "9.500s"}}, [GoingAway(9.5)]),
        ({"goAway": {"timeLeft": "0s"}}, [GoingAway(0.0)]),
        ({"goAway": {}}, [GoingAway(None)]),
        ({"goAway": {"timeLeft": "soon"}}, [GoingAway(None)]),
        ({"goAway": {"timeLeft": "sss"}}, [GoingAway(None)]),
        ({"goAway": {"timeLeft": "infs"}}, [GoingAway(None)]),
        ({"goAway": {"timeLeft": "nans"}}, [GoingAway(None)]),
        ({"goAway": {"timeLeft": "-5s"}}, [GoingAway(None)]),
        (
            {"toolCall": {"functionCalls": [{"id": "1", "name": "f", "args": {}}]}},
            [AtWork(), ToolCalled((ToolCall("1", "f"),))],
        ),
        ({"toolCall": {}}, []),
        ({"toolCallCancellation": {"ids": ["1"]}}, []),
        ({"usageMetadata": {}}, [TokensUsed(Usage())]),
        ({"messageOfTomorrow": {"deep": [1, {"x": None}]}}, []),
        ({}, []),
    ],
)
def test_every_message_says_what_it_says_and_no_more(frame: object, events: list[GeminiEvent]) -> None:
    """The whole table of the server's messages; absent means the default, and what is unknown is skipped."""
    assert decoded(frame) == events


def test_usage_is_read_by_modality() -> None:
    """Modalities with no tokens are left out by Gemini; the totals complete them."""
    usage = {
        "promptTokenCount": 130,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 30},
            {"modality": "AUDIO", "tokenCount": 100},
        ],
        "responseTokenCount": 55,
        "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 50}],
        "thoughtsTokenCount": 5,
        "cachedContentTokenCount": 7,
        "totalTokenCount": 190,
        "trafficType": "ON_DEMAND",
    }
    (event,) = decoded({"usageMetadata": usage})
    assert event == TokensUsed(
        Usage(prompt_audio=100, prompt_text=30, response_audio=55, thoughts=5, cached=7)
    )
    assert isinstance(event, TokensUsed)
    assert event.usage.total == 190


@pytest.mark.parametrize("count", [-1, 2**63, 10**400])
def test_a_count_that_is_none_counts_nothing(count: int) -> None:
    """Counters only go up, and databases have 63 bits: such a number would have ended the interview."""
    usage = {
        "thoughtsTokenCount": count,
        "cachedContentTokenCount": count,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": count}],
        "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": count}],
    }
    assert decoded({"usageMetadata": usage}) == [TokensUsed(Usage())]


def test_in_a_frame_with_everything_content_comes_first_and_flags_last() -> None:
    """3.x bundles audio, text and turnComplete; none of it may be lost, and the turn must not close too early."""
    events = decoded(
        {
            "goAway": {"timeLeft": "10s"},
            "usageMetadata": {"thoughtsTokenCount": 1},
            "sessionResumptionUpdate": {"newHandle": "h", "resumable": True},
            "voiceActivity": {"type": "ACTIVITY_START"},
            "serverContent": {
                "turnComplete": True,
                "generationComplete": True,
                "interrupted": True,
                "outputTranscription": {"text": "there"},
                "modelTurn": {"role": "model", "parts": [{"text": "Plan"}, pcm_part(b"ab"), pcm_part(b"cd")]},
                "inputTranscription": {"text": "Me"},
            },
        }
    )
    assert events == [
        SpeechBegan(),
        TextHeard("Me"),
        AtWork(),
        AudioSpoken(b"ab"),
        AudioSpoken(b"cd"),
        TextSpoken("there"),
        ReplyInterrupted(),
        ReplyGenerated(),
        TurnCompleted(),
        TokensUsed(Usage(thoughts=1)),
        HandleGiven("h"),
        GoingAway(10.0),
    ]


def test_what_was_heard_is_told_before_the_end_of_speech() -> None:
    """Recorded on 3.8: the utterance's text comes with ACTIVITY_END, and belongs to it."""
    frame = {
        "voiceActivity": {"type": "ACTIVITY_END"},
        "serverContent": {"inputTranscription": {"text": "I am."}},
    }
    assert decoded(frame) == [TextHeard("I am."), SpeechEnded()]


def test_text_frames_and_odd_white_space_are_read_as_well() -> None:
    """The real service sends binary frames with a newline at their end; others send text."""
    assert gemini_frames.decode('\n{\n "setupComplete": { } }\n') == [SetupCompleted()]
    assert gemini_frames.decode(b'{"serverContent":{"outputTranscription":{"text":"\\ud83d\\ude00"}}}') == [
        TextSpoken("😀")
    ]


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"17",
        b'"setupComplete"',
        b"\xff\xfe\x00",
        b'{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"data":"a?b"}}]}}}',
        b'{"serverContent":{"modelTurn":{"parts":{}}}}',
        b'{"serverContent":[]}',
        b'{"serverContent":{"turnComplete":"yes"}}',
        b'{"serverContent":{"outputTranscription":{"text":7}}}',
        b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"setupComplete":{}} trailing',
    ],
)
def test_a_frame_that_is_no_message_is_refused_without_its_text(frame: bytes) -> None:
    """It is dropped and counted by the caller; what was in it may be somebody's words."""
    with pytest.raises(RemoteProtocolError, match=r"cannot be read \(\w+\)$"):
        gemini_frames.decode(frame)


@pytest.mark.parametrize(
    ("frame", "events"),
    [
        ('{"serverContent":{"interrupted":null,"outputTranscription":{"text":"Hi"}}}', [TextSpoken("Hi")]),
        ('{"serverContent":{"modelTurn":{"parts":null},"turnComplete":true}}', [TurnCompleted()]),
        (
            '{"serverContent":{"modelTurn":{"parts":[null,{"inlineData":{"data":"-_8"}}]}}}',
            [AudioSpoken(b"\xfb\xff")],
        ),
        ('{"serverContent":{"turnComplete":"true"}}', [TurnCompleted()]),
        ('{"usageMetadata":{"promptTokenCount":"100"}}', [TokensUsed(Usage(prompt_audio=100))]),
        ('{"usageMetadata":{"promptTokenCount":100.0}}', [TokensUsed(Usage(prompt_audio=100))]),
        ('{"serverContent":{"outputTranscription":{"text":"a\\ud83d"}}}', [TextSpoken("a\ufffd")]),
        ('{"serverContent":{"inputTranscription":{"text":"\\ude00b"}}}', [TextHeard("\ufffdb")]),
        (
            '{"serverContent":{"inputTranscription":{"text":"\\ud83d\\ude00","x":null},"interrupted":null}}',
            [TextHeard("😀")],
        ),
        ('{"serverContent":{"outputTranscription":{"text":"a\nb"}}}', [TextSpoken("a\nb")]),
        ('\ufeff{"serverContent":{"turnComplete":true}}', [TurnCompleted()]),
        ('{"goAway":{"timeLeft":{"seconds":50}}}', [GoingAway(None), MemberSkipped("goAway.timeLeft")]),
        ('{"goAway":{"timeLeft":5}}', [GoingAway(None), MemberSkipped("goAway.timeLeft")]),
        (
            '{"usageMetadata":{"promptTokenCount":[]},"serverContent":{"turnComplete":true}}',
            [TurnCompleted(), TokensUsed(Usage()), MemberSkipped("usageMetadata.promptTokenCount")],
        ),
        (
            '{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"data":"a?b"}},{"inlineData":{"data":"YWI="}}]}}}',
            [AudioSpoken(b"ab"), MemberSkipped("serverContent.modelTurn.parts.inlineData.data")],
        ),
        ('{"serverContent":7,"goAway":{}}', [GoingAway(None), MemberSkipped("serverContent")]),
        (
            '{"usageMetadata":{"thoughtsTokenCount":NaN},"serverContent":{"turnComplete":true}}',
            [TurnCompleted(), TokensUsed(Usage()), MemberSkipped("usageMetadata.thoughtsTokenCount")],
        ),
        (
            '{"usageMetadata":{"promptTokenCount":%s},"serverContent":{"turnComplete":-Infinity}}'
            % ("9" * 5000),
            [
                TokensUsed(Usage()),
                MemberSkipped("serverContent.turnComplete"),
                MemberSkipped("usageMetadata.promptTokenCount"),
            ],
        ),
        (
            '{"toolCall":{"functionCalls":[{"name":"rate","args":{"score":NaN}}]}}',
            [AtWork(), ToolCalled((ToolCall("", "rate"),))],
        ),
        (
            '{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"data":"YWJj\\r\\nYWJj\\n"}}]}}}',
            [AudioSpoken(b"abcabc")],
        ),
    ],
)
def test_one_odd_member_costs_no_other(frame: str, events: list[GeminiEvent]) -> None:
    """Nulls and quoted numbers are ProtoJSON; half a character is U+FFFD; what is left out is named."""
    assert gemini_frames.decode(frame) == gemini_frames.decode(frame.encode()) == events


def test_a_byte_that_is_no_utf8_costs_its_character_only() -> None:
    frame = b'{"serverContent":{"outputTranscription":{"text":"caf\xe9"}}}'
    assert gemini_frames.decode(frame) == [TextSpoken("caf\ufffd")]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a\x00b\x1b[31mc", "ab[31mc"),
        ("one\r\n\ttwo\x85\x7f", "one\n\ttwo"),
        ("\u200bहिन्दी\u200d 😀", "\u200bहिन्दी\u200d 😀"),
    ],
)
def test_control_characters_are_no_text(text: str, kept: str) -> None:
    """PostgreSQL refuses NUL and a terminal obeys ESC; joiners, which scripts need, are no controls."""
    assert content(outputTranscription={"text": text}) == [TextSpoken(kept)]
    assert content(inputTranscription={"text": text}) == [TextHeard(kept)]
    assert content(inputTranscription={"text": "\x00"}) == []


@pytest.mark.parametrize(
    ("usage", "total"),
    [
        ({"promptTokenCount": 5000, "responseTokenCount": 300}, 5300),
        ({"totalTokenCount": 5300}, 5300),
        ({"promptTokenCount": 522, "promptTokensDetails": [("TEXT", 332), ("AUDIO", 165)]}, 522),
        ({"promptTokensDetails": [("AUDIO", 100), ("AUDIO", 20)]}, 120),
        ({"promptTokenCount": 90, "promptTokensDetails": [("AUDIO", 100)]}, 100),
        ({"promptTokenCount": 30, "thoughtsTokenCount": 5, "totalTokenCount": 35}, 35),
        ({"promptTokensDetails": [("VIDEO", 7)], "totalTokenCount": -4}, 7),
    ],
)
def test_totals_count_and_details_divide_them(usage: dict[str, Any], total: int) -> None:
    """Without that a ceiling on tokens would never be reached by a server that sends totals only."""
    if "promptTokensDetails" in usage:
        pairs = usage["promptTokensDetails"]
        usage["promptTokensDetails"] = [{"modality": name, "tokenCount": count} for name, count in pairs]
    (event,) = decoded({"usageMetadata": usage})
    assert isinstance(event, TokensUsed)
    assert event.usage.total == total


def test_a_function_that_nobody_declared_is_answered_as_unknown() -> None:
    calls = [{"id": "1", "name": "f" * 1000, "args": {"x": 1}}, {"name": "g"}] * 10
    called = decoded({"toolCall": {"functionCalls": calls}})[1]
    assert isinstance(called, ToolCalled)
    responses = json.loads(gemini.unknown_tools(called.calls))["toolResponse"]["functionResponses"]
    assert len(responses) == gemini_frames.MAX_TOOL_CALLS
    no_such = {"error": "there is no such function"}
    assert responses[0] == {"id": "1", "name": "f" * gemini_frames.MAX_TOOL_CHARS, "response": no_such}
    assert responses[1] == {"id": "", "name": "g", "response": no_such}


def test_a_null_is_like_nothing() -> None:
    """Some proxies write defaults out."""
    assert decoded({"serverContent": None, "goAway": None, "setupComplete": None}) == []


@given(st.one_of(st.binary(), st.text()))
def test_any_bytes_are_events_or_refused(frame: bytes | str) -> None:
    """Nothing else ever leaves the decoder."""
    with contextlib.suppress(RemoteProtocolError):
        assert isinstance(gemini_frames.decode(frame), list)


KEYS = [
    "setupComplete",
    "serverContent",
    "modelTurn",
    "parts",
    "inlineData",
    "data",
    "text",
    "thought",
    "goAway",
    "timeLeft",
    "usageMetadata",
    "promptTokensDetails",
    "modality",
    "tokenCount",
    "voiceActivity",
    "type",
    "turnComplete",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=4))
def test_any_json_with_known_keys_is_events_or_refused(frame: dict[str, object]) -> None:
    """Right names, wrong shapes."""
    with contextlib.suppress(RemoteProtocolError):
        assert isinstance(gemini_frames.decode(json.dumps(frame)), list)


@given(st.binary(max_size=2000))
def test_audio_comes_out_as_it_was_sent(pcm: bytes) -> None:
    assert content(modelTurn={"parts": [pcm_part(pcm)]}) == ([AudioSpoken(pcm)] if pcm else [])


def test_no_words_and_no_handle_show_in_a_repr() -> None:
    """A repr ends in tracebacks, and those in logs."""
    secret = "CANARY"
    events = [TextSpoken(secret), TextHeard(secret), HandleGiven(secret), AudioSpoken(secret.encode())]
    assert secret not in repr(events)


# ------------------------------------------------------------------ to Gemini


@given(st.binary(max_size=2000))
def test_audio_is_one_realtime_input_of_pcm_at_16_khz(pcm: bytes) -> None:
    """Written by hand for speed: it must be the same JSON."""
    message = json.loads(gemini.audio(pcm))
    blob = {"mimeType": "audio/pcm;rate=16000", "data": base64.b64encode(pcm).decode()}
    assert message == {"realtimeInput": {"audio": blob}}
    assert gemini.audio(memoryview(pcm)) == gemini.audio(bytearray(pcm)) == gemini.audio(pcm)


def test_a_prompt_is_realtime_text() -> None:
    assert json.loads(gemini.prompt('Say "hi"\n😀')) == {"realtimeInput": {"text": 'Say "hi"\n😀'}}


OPTIONS = gemini.Setup(
    model="gemini-3.8-live",
    voice="Puck",
    instruction="Ask.",
    start_sensitivity="low",
    end_sensitivity="high",
    silence_ms=1200,
    prefix_padding_ms=300,
)


def test_the_setup_asks_for_all_that_an_hour_needs() -> None:
    """Audio only, both transcriptions, compression and resumption; int64 as strings, as ProtoJSON has them."""
    setup = json.loads(gemini.setup(OPTIONS))["setup"]
    assert setup == {
        "model": "models/gemini-3.8-live",
        "generationConfig": {
            "responseModalities": ["AUDIO"],
            "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Puck"}}},
        },
        "systemInstruction": {"parts": [{"text": "Ask."}]},
        "realtimeInputConfig": {
            "automaticActivityDetection": {
                "startOfSpeechSensitivity": "START_SENSITIVITY_LOW",
                "endOfSpeechSensitivity": "END_SENSITIVITY_HIGH",
                "silenceDurationMs": 1200,
                "prefixPaddingMs": 300,
            },
            "turnCoverage": "TURN_INCLUDES_ONLY_ACTIVITY",
        },
        "inputAudioTranscription": {},
        "outputAudioTranscription": {},
        "contextWindowCompression": {
            "triggerTokens": "80000",
            "slidingWindow": {"targetTokens": "40000"},
        },
        "sessionResumption": {},
    }


def test_with_a_handle_the_setup_resumes() -> None:
    assert json.loads(gemini.setup(OPTIONS, "h-1"))["setup"]["sessionResumption"] == {"handle": "h-1"}
    assert json.loads(gemini.setup(OPTIONS, ""))["setup"]["sessionResumption"] == {}


def test_a_model_may_be_named_with_its_prefix() -> None:
    """Google's own documentation writes it both ways."""
    named = msgspec.structs.replace(OPTIONS, model="models/gemini-3.8-live")
    assert gemini.setup(named) == gemini.setup(OPTIONS)
