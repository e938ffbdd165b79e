"""The daemon's messages to Gemini Live, as JSON in UTF-8, and where they go.

Protocol: BidiGenerateContent, v1beta unless the URL names another version.
"""

from collections.abc import Iterable, Sequence
import re
from typing import Literal

import msgspec

from preppald.core.events import ToolCall

DEFAULT_VERSION = "v1beta"
_VERSION = re.compile(r"v[0-9]+(?:alpha|beta)?[0-9]*")
KEY_HEADER = "x-goog-api-key"

_AUDIO_HEAD = b'{"realtimeInput":{"audio":{"mimeType":"audio/pcm;rate=16000","data":'
_AUDIO_TAIL = b"}}}"
# Bytes become base64 in quotes.
_encode = msgspec.json.Encoder().encode


def versioned(prefix: str) -> tuple[str, str]:
    """Return a URL's path without the API version at its end, and that version: v1beta where it names none."""
    head, _, last = prefix.rpartition("/")
    return (head, last) if _VERSION.fullmatch(last) else (prefix, DEFAULT_VERSION)


def path(prefix: str) -> str:
    """Return the path of the Live service behind a URL's own path, which may end with an API version."""
    head, version = versioned(prefix)
    return f"{head}/ws/google.ai.generativelanguage.{version}.GenerativeService.BidiGenerateContent"


def audio(pcm: bytes | bytearray | memoryview) -> bytes:
    """Return PCM (s16le mono 16 kHz) as one realtimeInput. Written by hand: the hot path has no other message."""
    return b"".join((_AUDIO_HEAD, _encode(pcm), _AUDIO_TAIL))


def prompt(text: str) -> bytes:
    """Return the message with a text that Gemini answers at once."""
    return _json({"realtimeInput": {"text": text}})


def note(text: str) -> bytes:
    """Return the message with a text for Gemini's next turn: without turnComplete it neither answers nor falls silent.

    For models that take client content in mid-session only; see ``core.models``.
    """
    return _json(
        {"clientContent": {"turns": [{"role": "user", "parts": [{"text": text}]}], "turnComplete": False}}
    )


def unknown_tools(calls: Iterable[ToolCall]) -> bytes:
    """Answer function calls that no setup declared: a model that waits for an answer would wait for ever."""
    responses = [
        {"id": call.id, "name": call.name, "response": {"error": "there is no such function"}}
        for call in calls
    ]
    return _json({"toolResponse": {"functionResponses": responses}})


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the first message. ``instruction``: the interviewer's whole brief and the interview's context.

    ``thinking``: a level for models that want one. ``language_codes`` (BCP-47) and ``vocabulary`` help to hear the
    candidate, with models that take them. The rest is voice activity detection: sensitivities, and
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
    language_codes: Sequence[str] = ()
    vocabulary: Sequence[str] = ()


# Optional fields of the setup, without which an interview goes as well: their names on the wire.
LANGUAGE_CODES = "languageCodes"
VOCABULARY = "customVocabulary"


# Half of the window would be 64k; a smaller target keeps the answers quick, and below 16k
# sessions were seen to fail with 1007 after trimming.
COMPRESSION_TRIGGER_TOKENS = 80_000
COMPRESSION_TARGET_TOKENS = 40_000


def setup(options: Setup, handle: str | None = None) -> bytes:
    """Return the setup message; with a handle it resumes that session."""
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
                "inputAudioTranscription": _transcription(options),
                "outputAudioTranscription": {},
                "contextWindowCompression": {
                    "triggerTokens": str(COMPRESSION_TRIGGER_TOKENS),
                    "slidingWindow": {"targetTokens": str(COMPRESSION_TARGET_TOKENS)},
                },
                "sessionResumption": {"handle": handle} if handle else {},
            }
        }
    )


def _transcription(options: Setup) -> dict[str, Sequence[str]]:
    hints = {LANGUAGE_CODES: options.language_codes, VOCABULARY: options.vocabulary}
    return {name: value for name, value in hints.items() if value}


def _thinking(level: str) -> dict[str, dict[str, str]]:
    """Return the thinking configuration, empty unless a level is set: most models refuse the field."""
    return {"thinkingConfig": {"thinkingLevel": level.upper()}} if level else {}


def _json(message: object) -> bytes:
    return msgspec.json.encode(message)
