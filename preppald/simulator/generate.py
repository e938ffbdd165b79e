"""The models behind generateContent: texts in JSON by the request's schema, and the words of sounds that are known."""

import binascii
from collections import Counter
import re
from typing import Any

import msgspec

from preppald.simulator import hearing
from preppald.simulator.httpd import Answer
from preppald.simulator.rules import MODELS
from preppald.simulator.scenario import Generate

PATH = re.compile(r"(?:/.*)?/v1(?:beta|alpha)?/(models/[a-z0-9.-]+):generateContent")
# Of English text.
CHARS_PER_TOKEN = 4
# The real service's audio, as its documentation counts it.
AUDIO_TOKENS_PER_SECOND = 32
# Texts that a transcription model is made to mishear.
INVENTED = "and thank you all for watching, do not forget to come back tomorrow"
FOREIGN = "vielen Dank, das ist eine ganz andere Sprache, und niemand hier hat sie gesprochen"
# Keys whose calls are counted.
MAX_KEYS = 10_000
_NAMES = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class TextModels:
    """Counts the calls of each key, so that a scenario's first ones can fail."""

    def __init__(self) -> None:
        self._calls: Counter[str] = Counter()

    def answer(self, path: str, key: str, body: bytes, behaviour: Generate | None) -> Answer | None:
        """Return the answer to a POST; None for no answer at all. ``behaviour``: None where the key is no good."""
        match = PATH.fullmatch(path)
        if match is None:
            return failure(404, "Not Found")
        if not key:
            return failure(403, "Method doesn't allow unregistered callers.")
        if behaviour is None:
            return failure(400, "API key not valid. Please pass a valid API key.")
        if behaviour.hang:
            return None
        number, self._calls[key] = self._calls[key], self._calls[key] + 1
        if len(self._calls) > MAX_KEYS:
            self._calls.clear()
        status = behaviour.statuses[number] if number < len(behaviour.statuses) else 200
        if status != 200:
            return failure(status, "simulated")
        if match[1] in MODELS:
            return failure(400, f"{match[1]} is not supported for generateContent")
        return _generated(body, match[1], behaviour)


def failure(status: int, message: str) -> Answer:
    """Return an error as the service writes it."""
    error = {"code": status, "message": message, "status": _NAMES[status]}
    return Answer(status, msgspec.json.encode({"error": error}))


def _generated(body: bytes, model: str, behaviour: Generate) -> Answer:
    try:
        request = msgspec.json.decode(body, type=dict[str, Any])
        asked = _texts(request["contents"])
        schema = request.get("generationConfig", {}).get("responseJsonSchema")
    except (msgspec.MsgspecError, KeyError, TypeError, AttributeError):
        return failure(400, "Request contains an invalid argument.")
    instruction = _texts([request.get("systemInstruction", {})])
    prompt = max(1, len(instruction + asked) // CHARS_PER_TOKEN)
    try:
        sound = _sound(request["contents"])
    except (binascii.Error, TypeError, ValueError):
        return failure(400, "Request contains an invalid argument.")
    if behaviour.text is not None:
        text = behaviour.text
    elif sound is not None:
        text = _transcribed(sound, behaviour.mishear)
    else:
        text = _written(schema, len(asked))
    prompt += 0 if sound is None else round(len(sound) / hearing.BYTES_PER_SECOND * AUDIO_TOKENS_PER_SECOND)
    response = max(1, len(text) // CHARS_PER_TOKEN)
    return Answer(
        200,
        msgspec.json.encode(
            {
                "candidates": [
                    {
                        "content": {"role": "model", "parts": [{"text": text}]},
                        "finishReason": behaviour.finish_reason,
                        "index": 0,
                    }
                ],
                "usageMetadata": {
                    "promptTokenCount": prompt,
                    "candidatesTokenCount": response,
                    "totalTokenCount": prompt + response,
                },
                "modelVersion": model.removeprefix("models/"),
            }
        ),
    )


def _texts(contents: list[dict[str, Any]]) -> str:
    return " ".join(part.get("text", "") for content in contents for part in content.get("parts", ()))


def _sound(contents: list[dict[str, Any]]) -> bytes | None:
    """Return the PCM that is inline in a request, None where there is none.

    Raises:
        ValueError: it is no WAV file that a transcription model here takes.
    """
    for content in contents:
        for part in content.get("parts", ()):
            data = part.get("inlineData")
            if data is None:
                continue
            pcm = hearing.pcm_of(binascii.a2b_base64(data["data"], strict_mode=True))
            if data.get("mimeType") != "audio/wav" or pcm is None:
                raise ValueError("no WAV of 16 kHz")
            return pcm
    return None


def _transcribed(pcm: bytes, mishear: str) -> str:
    """Return the true words of the sounds that are known, or what a scenario makes of them."""
    found = hearing.heard(pcm)
    words = found.words.split()
    part = max(5, len(words) // 3)
    match mishear:
        case "start":
            words = words[part:]
        case "cut":
            words = words[:-part]
        case "invent":
            words += INVENTED.split()
        case "language":
            words = FOREIGN.split() if words else []
        case _:
            pass
    return " ".join([*words, *map(hearing.honest, found.unknown)])


def _written(schema: dict[str, Any] | None, chars: int) -> str:
    if schema is None:
        return f"(simulated answer to {chars} characters)"
    fields = schema.get("properties", {})
    return msgspec.json.encode({name: f"({name}, simulated)" for name in fields}).decode()
