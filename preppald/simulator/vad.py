"""Voice-activity detection by energy, on audio time.

Rule 1: time is counted in samples heard, never on a clock; audio sent ten times too fast gives the same
events at the same offsets.
Rule 2: nothing here knows about sockets or JSON.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from operator import mul

FRAME_MS = 20
FRAMES_PER_SECOND = 1000 // FRAME_MS
BYTES_PER_SAMPLE = 2

# Every fourth sample tells a 20 ms frame's energy well enough, and an hour of audio in a quarter of the time.
ENERGY_STRIDE = 4

# Recorded on 3.8-live (2026-09-29, no prefixPaddingMs given): speech at 60 ms, ACTIVITY_START at 240 ms.
DEFAULT_PREFIX_PADDING_MS = 180
# Recorded on 3.8-live (2026-09-29): 500 ms, when the setup asked for it; the same is our default.
DEFAULT_SILENCE_DURATION_MS = 500
# Recorded on 3.8-live (2026-09-29): speech until 5.250 s, silenceDurationMs 500, ACTIVITY_END at 6.040 s, which
# is 280 ms more from the end of the last voiced frame.
END_LAG_MS = 280

# Root mean square of a 16-bit frame. A quiet room is below 100, speech at arm's length above 1000.
THRESHOLD_HIGH_SENSITIVITY = 350
THRESHOLD_LOW_SENSITIVITY = 700


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    offset: float
    """Seconds of audio since the stream began."""


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    offset: float
    seconds: float
    """How long the utterance was, from the first to the last voiced frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VadSettings:
    start_threshold: float = THRESHOLD_HIGH_SENSITIVITY
    end_threshold: float = THRESHOLD_HIGH_SENSITIVITY
    prefix_padding_ms: int = DEFAULT_PREFIX_PADDING_MS
    silence_duration_ms: int = DEFAULT_SILENCE_DURATION_MS


def loudness(frame: bytes) -> float:
    """Return the root mean square of a frame of s16le PCM, estimated from every fourth sample; 0 for no samples."""
    if not any(frame):
        return 0.0
    samples = array("h", frame)[::ENERGY_STRIDE]
    return float((sum(map(mul, samples, samples)) / len(samples)) ** 0.5)


class Ear:
    """Hears s16le mono PCM in chunks of any length and reports the starts and ends of speech."""

    def __init__(self, settings: VadSettings) -> None:
        self.settings = settings
        self.heard = 0.0
        """Seconds of audio so far."""
        self._rest = b""
        self._voiced_ms = 0
        self._silent_ms = 0
        self._onset: float | None = None
        self._last_voice = 0.0
        self.speaking = False

    def feed(self, pcm: bytes, rate: int) -> Iterator[SpeechStarted | SpeechEnded]:
        """Take `pcm` at `rate` samples a second. An incomplete frame (an odd byte, too) waits for the next chunk."""
        frame_bytes = rate // FRAMES_PER_SECOND * BYTES_PER_SAMPLE
        pcm = self._rest + pcm
        whole = len(pcm) // frame_bytes * frame_bytes
        self._rest = pcm[whole:]
        for start in range(0, whole, frame_bytes):
            yield from self._frame(loudness(pcm[start : start + frame_bytes]))

    def flush(self) -> Iterator[SpeechEnded]:
        """End an utterance under way: the microphone was closed."""
        self._rest = b""
        if self.speaking:
            yield self._end()
        self._voiced_ms = 0

    def _frame(self, level: float) -> Iterator[SpeechStarted | SpeechEnded]:
        self.heard += FRAME_MS / 1000
        if self.speaking:
            yield from self._while_speaking(level)
        else:
            yield from self._while_quiet(level)

    def _while_quiet(self, level: float) -> Iterator[SpeechStarted]:
        if level < self.settings.start_threshold:
            # A leak instead of a reset: the gaps inside a word must not hide the word.
            self._voiced_ms = max(0, self._voiced_ms - FRAME_MS)
            return
        if self._voiced_ms == 0:
            self._onset = self.heard - FRAME_MS / 1000
        self._voiced_ms += FRAME_MS
        self._last_voice = self.heard
        if self._voiced_ms >= self.settings.prefix_padding_ms:
            self.speaking = True
            self._silent_ms = 0
            yield SpeechStarted(round(self.heard, 3))

    def _while_speaking(self, level: float) -> Iterator[SpeechEnded]:
        if level >= self.settings.end_threshold:
            self._silent_ms = 0
            self._last_voice = self.heard
            return
        self._silent_ms += FRAME_MS
        if self._silent_ms >= self.settings.silence_duration_ms + END_LAG_MS:
            yield self._end()

    def _end(self) -> SpeechEnded:
        onset = self._onset if self._onset is not None else self._last_voice
        self.speaking = False
        self._voiced_ms = 0
        self._onset = None
        return SpeechEnded(round(self.heard, 3), round(self._last_voice - onset, 3))
