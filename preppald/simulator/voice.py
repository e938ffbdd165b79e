"""The interviewer's voice: short recordings with their words.

Output audio is PCM, signed 16-bit little-endian, mono, 24 kHz, as Gemini Live sends it.
The recordings in `replies/` were made with espeak-ng by `replies/make.sh`.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
import math
import re
import wave

SAMPLE_RATE_HZ = 24_000
BYTES_PER_SAMPLE = 2
BYTES_PER_SECOND = SAMPLE_RATE_HZ * BYTES_PER_SAMPLE

# A line without a recording is hummed: 0.36 s a word is a calm speaker's 165 words a minute.
SECONDS_PER_WORD = 0.36
HUM_HZ = 220
# A quarter of full scale: clearly not silence, and not a fright in headphones.
HUM_AMPLITUDE = 8_000

# Recorded on 3.8-live: output transcription comes in groups of two or three words.
WORDS_PER_DELTA = 3
_SENTENCE = re.compile("[^.!?\u3002\uff01\uff1f]+[.!?\u3002\uff01\uff1f]*")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the interviewer's."""

    text: str
    pcm: bytes

    @property
    def seconds(self) -> float:
        return len(self.pcm) / BYTES_PER_SECOND


@cache
def recordings() -> dict[str, Line]:
    """Return the committed lines by name, in their order: the greeting, the questions, the closing."""
    folder = resources.files(__package__) / "replies"
    lines = {}
    for entry in (folder / "lines.txt").read_text("utf-8").splitlines():
        if entry and not entry.startswith("#"):
            name, text = entry.split("|", 1)
            with (folder / f"{name}.wav").open("rb") as file, wave.open(file) as recording:
                lines[name] = Line(text, recording.readframes(recording.getnframes()))
    return lines


def hum(seconds: float) -> bytes:
    """Return a soft tone of that length, for lines that nobody recorded."""
    period = [
        round(HUM_AMPLITUDE * math.sin(2 * math.pi * HUM_HZ * index / SAMPLE_RATE_HZ))
        for index in range(SAMPLE_RATE_HZ // 20)  # 11 whole periods: no click where they join
    ]
    samples = array("h", period * (math.ceil(seconds * 20) or 1))
    return samples.tobytes()[: round(seconds * SAMPLE_RATE_HZ) * BYTES_PER_SAMPLE]


@cache
def spoken(text: str, recording: str | None, seconds: float | None) -> Line:
    """Return a scenario's line: its text over a recording, or hummed for `seconds` (default: by its words)."""
    if recording is not None:
        recorded = recordings()[recording]
        return Line(text or recorded.text, recorded.pcm)
    return Line(text, hum(seconds if seconds is not None else SECONDS_PER_WORD * len(text.split())))


def line_of_turn(lines: Sequence[Line], turn: int) -> Line:
    """Return the line of the `turn`-th reply (from 1) of a session: all lines once, then the rest without the first.

    The first line is the greeting, which nobody says twice.
    """
    index = turn - 1
    if index >= len(lines) > 1:
        index = 1 + (index - 1) % (len(lines) - 1)
    return lines[index % len(lines)]


def deltas(text: str, words_per_delta: int = WORDS_PER_DELTA) -> list[str]:
    """Return `text` in groups of words with their leading spaces: joined, they are the text again."""
    words = text.split(" ")
    groups = [words[start : start + words_per_delta] for start in range(0, len(words), words_per_delta)]
    return [(" " if number else "") + " ".join(group) for number, group in enumerate(groups)]


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, without the blanks between them."""
    return [sentence for part in _SENTENCE.findall(text) if (sentence := part.strip())]
