"""The client's messages, field by field, as ai.google.dev/api/live and the official SDKs know them (Nov 2026).

A message is a dict from its lowerCamelCase field names to field types. The fields that the Developer API refuses
(`explicitVadSignal`, `transparent`) are absent. This is data; protojson.py checks values against it.
"""

from dataclasses import dataclass
from typing import Literal

Scalar = Literal["string", "bool", "int", "number", "bytes", "any"]


@dataclass(frozen=True, slots=True)
class Enum:
    values: frozenset[str]


@dataclass(frozen=True, slots=True)
class Repeated:
    item: "Field"


@dataclass(frozen=True, slots=True)
class Message:
    fields: "dict[str, Field]"


Field = Scalar | Enum | Repeated | Message


def _enum(*values: str) -> Enum:
    return Enum(frozenset(values))


_BLOB = Message({"mimeType": "string", "data": "bytes", "displayName": "string"})
_PART = Message({"text": "string", "inlineData": _BLOB, "thought": "bool", "functionResponse": "any"})
_CONTENT = Message({"role": "string", "parts": Repeated(_PART)})
_EMPTY = Message({})

_FUNCTION = Message(
    {
        "name": "string",
        "description": "string",
        "parameters": "any",
        "parametersJsonSchema": "any",
        "response": "any",
        "responseJsonSchema": "any",
        "behavior": _enum("UNSPECIFIED", "BLOCKING", "NON_BLOCKING"),
    }
)
_TOOL = Message(
    {
        "functionDeclarations": Repeated(_FUNCTION),
        "googleSearch": "any",
        "googleSearchRetrieval": "any",
        "codeExecution": "any",
        "urlContext": "any",
    }
)

_VOICE = Message({"prebuiltVoiceConfig": Message({"voiceName": "string"}), "replicatedVoiceConfig": "any"})
_GENERATION = Message(
    {
        "responseModalities": Repeated(_enum("MODALITY_UNSPECIFIED", "TEXT", "IMAGE", "AUDIO", "VIDEO")),
        "temperature": "number",
        "topP": "number",
        "topK": "number",
        "maxOutputTokens": "int",
        "seed": "int",
        "candidateCount": "int",
        "presencePenalty": "number",
        "frequencyPenalty": "number",
        "speechConfig": Message(
            {"voiceConfig": _VOICE, "languageCode": "string", "multiSpeakerVoiceConfig": "any"}
        ),
        "thinkingConfig": Message(
            {
                "includeThoughts": "bool",
                "thinkingBudget": "int",
                "thinkingLevel": _enum(
                    "THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH"
                ),
            }
        ),
        "mediaResolution": _enum(
            "MEDIA_RESOLUTION_UNSPECIFIED",
            "MEDIA_RESOLUTION_LOW",
            "MEDIA_RESOLUTION_MEDIUM",
            "MEDIA_RESOLUTION_HIGH",
        ),
        "enableAffectiveDialog": "bool",
        "translationConfig": "any",
    }
)
_REALTIME_CONFIG = Message(
    {
        "automaticActivityDetection": Message(
            {
                "disabled": "bool",
                "startOfSpeechSensitivity": _enum(
                    "START_SENSITIVITY_UNSPECIFIED", "START_SENSITIVITY_HIGH", "START_SENSITIVITY_LOW"
                ),
                "endOfSpeechSensitivity": _enum(
                    "END_SENSITIVITY_UNSPECIFIED", "END_SENSITIVITY_HIGH", "END_SENSITIVITY_LOW"
                ),
                "prefixPaddingMs": "int",
                "silenceDurationMs": "int",
            }
        ),
        "activityHandling": _enum(
            "ACTIVITY_HANDLING_UNSPECIFIED", "START_OF_ACTIVITY_INTERRUPTS", "NO_INTERRUPTION"
        ),
        "turnCoverage": _enum(
            "TURN_COVERAGE_UNSPECIFIED",
            "TURN_INCLUDES_ONLY_ACTIVITY",
            "TURN_INCLUDES_ALL_INPUT",
            "TURN_INCLUDES_AUDIO_ACTIVITY_AND_ALL_VIDEO",
        ),
        "interimTranscriptTimestampEnabled": "bool",
    }
)
_TRANSCRIPTION = Message(
    {
        "languageCodes": Repeated("string"),
        "customVocabulary": Repeated("string"),
        "wordTimestamp": "bool",
        "diarization": "bool",
        "mode": _enum("MODE_UNSPECIFIED", "VERBATIM", "SMART"),
        "sourceText": "any",
        "languageAuto": "any",
        "languageHints": "any",
        "adaptationPhrases": Repeated("string"),
    }
)

SETUP = Message(
    {
        "model": "string",
        "generationConfig": _GENERATION,
        "systemInstruction": _CONTENT,
        "tools": Repeated(_TOOL),
        "realtimeInputConfig": _REALTIME_CONFIG,
        "sessionResumption": Message({"handle": "string"}),
        "contextWindowCompression": Message(
            {"triggerTokens": "int", "slidingWindow": Message({"targetTokens": "int"})}
        ),
        "inputAudioTranscription": _TRANSCRIPTION,
        "outputAudioTranscription": _TRANSCRIPTION,
        "proactivity": Message({"proactiveAudio": "bool", "proactiveVideo": "bool"}),
        "historyConfig": Message({"initialHistoryInClientContent": "bool"}),
        "avatarConfig": "any",
        "safetySettings": "any",
        "labels": "any",
    }
)

CLIENT_MESSAGE = Message(
    {
        "setup": SETUP,
        "clientContent": Message({"turns": Repeated(_CONTENT), "turnComplete": "bool"}),
        "realtimeInput": Message(
            {
                "audio": _BLOB,
                "video": _BLOB,
                "text": "string",
                "audioStreamEnd": "bool",
                "activityStart": _EMPTY,
                "activityEnd": _EMPTY,
                "mediaChunks": Repeated(_BLOB),
            }
        ),
        "toolResponse": Message(
            {
                "functionResponses": Repeated(
                    Message(
                        {
                            "id": "string",
                            "name": "string",
                            "response": "any",
                            "scheduling": _enum("SCHEDULING_UNSPECIFIED", "SILENT", "WHEN_IDLE", "INTERRUPT"),
                            "willContinue": "bool",
                        }
                    )
                )
            }
        ),
        "contextUpdate": Message(
            {"systemInstruction": _CONTENT, "tools": Message({"tools": Repeated(_TOOL)})}
        ),
    }
)
