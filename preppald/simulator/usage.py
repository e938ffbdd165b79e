"""usageMetadata and the context window: counts the tokens of each turn, and drops old turns."""

from typing import Any

from preppald.simulator.endings import hang_up
from preppald.simulator.memory import CHARS_PER_TOKEN, TOKENS_PER_AUDIO_SECOND, Memory
from preppald.simulator.rules import Compression


class Meter:
    """Counts one connection's tokens. The prompt of every turn is the whole context, read again."""

    def __init__(self, memory: Memory, compression: Compression | None, context_tokens: int) -> None:
        self._memory = memory
        self._compression = compression
        self._window = context_tokens
        self._text = 0.0
        self._audio = 0.0

    def heard_audio(self, seconds: float) -> None:
        self._audio += seconds * TOKENS_PER_AUDIO_SECOND

    def read_text(self, text: str) -> None:
        self._text += len(text) / CHARS_PER_TOKEN

    def turn(self, spoken_seconds: float) -> dict[str, Any]:
        """End the turn and return its usageMetadata. Raise HangUp when the context is exhausted."""
        memory = self._memory
        prompt = round(memory.context_tokens + self._text + self._audio)
        spoken = round(spoken_seconds * TOKENS_PER_AUDIO_SECOND)
        details = [
            {"modality": "TEXT", "tokenCount": prompt - round(self._audio)},
            {"modality": "AUDIO", "tokenCount": round(self._audio)},
        ]
        memory.context_tokens = prompt + spoken
        self._text = self._audio = 0.0
        self._compress()
        return {
            "promptTokenCount": prompt,
            "responseTokenCount": spoken,
            "totalTokenCount": prompt + spoken,
            "promptTokensDetails": [detail for detail in details if detail["tokenCount"]],
            "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": spoken}] if spoken else [],
        }

    def _compress(self) -> None:
        memory = self._memory
        if self._compression is not None and memory.context_tokens > self._compression.trigger_tokens:
            memory.context_tokens = self._compression.target_tokens
        if memory.context_tokens > self._window:
            raise hang_up("invalid-argument")  # the answer seen with an exhausted context
