"""Gemini Live's JSON: events out of what it sends, and the messages that it is sent.

Protocol: BidiGenerateContent, v1beta. The server sends one JSON object a frame, as binary or text; every key
that is present counts, whatever the documentation says about "one of". Unknown keys are skipped.
"""

from collections.abc import Iterator
from typing import Literal

import msgspec

from preppald.core.events import (
    AudioSpoken,
    GeminiEvent,
    GoingAway,
    HandleGiven,
    ReplyGenerated,
    ReplyInterrupted,
    SetupCompleted,
    SpeechBegan,
    SpeechEnded,
    TextHeard,
    TextSpoken,
    TokensUsed,
    TurnCompleted,
    UtteranceCompleted,
)
from preppald.core.interview import Usage
from preppald.errors import RemoteProtocolError

PATH = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
KEY_HEADER = "x-goog-api-key"
# A day of audio is three million tokens; a count above this is none.
MAX_TOKENS = 10**9


class _Message(msgspec.Struct, rename="camel"):
    """Base of everything received: wire names are camelCase, unknown fields are skipped."""


class _Blob(_Message):
    # msgspec reads base64 into bytes in the same pass. Always PCM s16le mono 24 kHz on Live.
    data: bytes = b""


class _Part(_Message):
    inline_data: _Blob | None = None
    text: str = ""
    thought: bool = False


class _ModelTurn(_Message):
    parts: list[_Part] = []


class _Transcription(_Message):
    text: str = ""


class _ServerContent(_Message):
    model_turn: _ModelTurn | None = None
    input_transcription: _Transcription | None = None
    output_transcription: _Transcription | None = None
    interrupted: bool = False
    generation_complete: bool = False
    turn_complete: bool = False
    # IN_PROGRESS or IDLE beside turn_complete, from models that speak more than once to one question; else absent.
    interaction_status: str = ""


class _ModalityCount(_Message):
    modality: str = ""
    token_count: int = 0


class _Usage(_Message):
    thoughts_token_count: int = 0
    cached_content_token_count: int = 0
    prompt_tokens_details: list[_ModalityCount] = []
    response_tokens_details: list[_ModalityCount] = []


class _GoAway(_Message):
    time_left: str = ""


class _ResumptionUpdate(_Message):
    new_handle: str = ""
    resumable: bool = False


class _VoiceActivity(_Message):
    type: str = ""


class _SetupComplete(_Message):
    pass


class _ServerMessage(_Message):
    setup_complete: _SetupComplete | None = None
    server_content: _ServerContent | None = None
    usage_metadata: _Usage | None = None
    session_resumption_update: _ResumptionUpdate | None = None
    go_away: _GoAway | None = None
    voice_activity: _VoiceActivity | None = None


_decoder = msgspec.json.Decoder(_ServerMessage)


def decode(frame: bytes | str) -> list[GeminiEvent]:
    """The events in one frame: content first, flags last. Often none.

    Raises:
        RemoteProtocolError: the frame is not a message of this protocol; drop it and go on.
    """
    try:
        message = _decoder.decode(frame)
        return list(_events(message))
    except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError) as error:
        raise RemoteProtocolError(
            f"Gemini sent a frame that cannot be read ({type(error).__name__})"
        ) from error


def _events(message: _ServerMessage) -> Iterator[GeminiEvent]:
    if message.setup_complete is not None:
        yield SetupCompleted()
    if message.voice_activity is not None and message.voice_activity.type == "ACTIVITY_START":
        yield SpeechBegan()
    if message.server_content is not None:
        yield from _content(message.server_content)
    if message.voice_activity is not None and message.voice_activity.type == "ACTIVITY_END":
        yield SpeechEnded()
    if message.usage_metadata is not None:
        yield TokensUsed(_usage(message.usage_metadata))
    update = message.session_resumption_update
    if update is not None and update.resumable and update.new_handle:
        yield HandleGiven(update.new_handle)
    if message.go_away is not None:
        yield GoingAway(_seconds(message.go_away.time_left))


def _content(content: _ServerContent) -> Iterator[GeminiEvent]:
    if content.input_transcription is not None and content.input_transcription.text:
        yield TextHeard(content.input_transcription.text)
    if content.model_turn is not None:
        for part in content.model_turn.parts:
            if part.inline_data is not None and part.inline_data.data:
                yield AudioSpoken(part.inline_data.data)
            if part.text and not part.thought:
                yield TextSpoken(part.text)
    if content.output_transcription is not None and content.output_transcription.text:
        yield TextSpoken(content.output_transcription.text)
    if content.interrupted:
        yield ReplyInterrupted()
    if content.generation_complete:
        yield ReplyGenerated()
    if content.turn_complete:
        yield UtteranceCompleted() if content.interaction_status == "IN_PROGRESS" else TurnCompleted()


def _usage(usage: _Usage) -> Usage:
    prompt = {count.modality: _count(count.token_count) for count in usage.prompt_tokens_details}
    response = {count.modality: _count(count.token_count) for count in usage.response_tokens_details}
    return Usage(
        prompt_audio=prompt.get("AUDIO", 0),
        prompt_text=prompt.get("TEXT", 0),
        response_audio=response.get("AUDIO", 0),
        response_text=response.get("TEXT", 0),
        thoughts=_count(usage.thoughts_token_count),
        cached=_count(usage.cached_content_token_count),
    )


def _count(tokens: int) -> int:
    """Neither a counter nor a database takes every number that JSON can write."""
    return tokens if 0 <= tokens <= MAX_TOKENS else 0


def _seconds(duration: str) -> float | None:
    """A protobuf Duration as text: ``50s``, ``9.500s``; None where it is absent or no such thing."""
    if not duration.endswith("s"):
        return None
    try:
        seconds = float(duration[:-1])
    except ValueError:
        return None
    # Eleven days; refuses inf and nan too.
    return seconds if 0 <= seconds < 1e6 else None


# ------------------------------------------------------------------ to Gemini

_AUDIO_HEAD = b'{"realtimeInput":{"audio":{"mimeType":"audio/pcm;rate=16000","data":'
_AUDIO_TAIL = b"}}}"


def audio(pcm: bytes | bytearray | memoryview) -> str:
    """PCM s16le mono 16 kHz as one realtimeInput. Written by hand: it is the hot path's only message."""
    return (_AUDIO_HEAD + msgspec.json.encode(pcm) + _AUDIO_TAIL).decode("ascii")


def prompt(text: str) -> str:
    """Text that Gemini answers at once."""
    return _json({"realtimeInput": {"text": text}})


def note(text: str) -> str:
    """Text that Gemini reads with its next turn: without turnComplete it neither answers nor stops speaking.

    For models that take client content in mid-session only; see ``core.models``.
    """
    return _json(
        {"clientContent": {"turns": [{"role": "user", "parts": [{"text": text}]}], "turnComplete": False}}
    )


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What the first message says. ``instruction``: the interviewer's whole brief and the interview's context.

    ``thinking``: a level for models that want one. The rest is voice activity detection: sensitivities, and
    durations in milliseconds.
    """

    model: str
    voice: str
    instruction: str
    start_sensitivity: Literal["low", "high"]
    end_sensitivity: Literal["low", "high"]
    silence_ms: int
    prefix_padding_ms: int
    thinking: str = ""


# Half of what the window holds would be 64k; a smaller target keeps the answers quick, and below 16k
# sessions were seen to fail with 1007 after trimming.
COMPRESSION_TRIGGER_TOKENS = 80_000
COMPRESSION_TARGET_TOKENS = 40_000


def setup(options: Setup, handle: str | None = None) -> str:
    """The setup message; with a handle it resumes that session."""
    return _json(
        {
            "setup": {
                "model": f"models/{options.model.removeprefix('models/')}",
                "generationConfig": {
                    "responseModalities": ["AUDIO"],
                    "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": options.voice}}},
                    **_thinking(options.thinking),
                },
                "systemInstruction": {"parts": [{"text": options.instruction}]},
                "realtimeInputConfig": {
                    "automaticActivityDetection": {
                        "startOfSpeechSensitivity": f"START_SENSITIVITY_{options.start_sensitivity.upper()}",
                        "endOfSpeechSensitivity": f"END_SENSITIVITY_{options.end_sensitivity.upper()}",
                        "silenceDurationMs": options.silence_ms,
                        "prefixPaddingMs": options.prefix_padding_ms,
                    },
                    "turnCoverage": "TURN_INCLUDES_ONLY_ACTIVITY",
                },
                "inputAudioTranscription": {},
                "outputAudioTranscription": {},
                "contextWindowCompression": {
                    "triggerTokens": str(COMPRESSION_TRIGGER_TOKENS),
                    "slidingWindow": {"targetTokens": str(COMPRESSION_TARGET_TOKENS)},
                },
                "sessionResumption": {"handle": handle} if handle else {},
            }
        }
    )


def _thinking(level: str) -> dict[str, dict[str, str]]:
    """Absent unless it is wanted: most models refuse it."""
    return {"thinkingConfig": {"thinkingLevel": level.upper()}} if level else {}


def _json(message: object) -> str:
    return msgspec.json.encode(message).decode()
