"""A finished recording, or one that goes on, as somebody hears it: where there is sound on each side."""

from array import array
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from preppald.recording.render import RATE_HZ, Notes
from preppald.recording.shelf import Shelf

# Quieter is silence; filters ring.
LOUD = 200
# Two sounds with less between them are one: speech and tones go through zero.
PAUSE_SECONDS = 0.15


@dataclass
class Heard:
    """Each side's samples at 16 kHz."""

    left: "array[int]"
    right: "array[int]"

    @property
    def seconds(self) -> float:
        return len(self.left) / RATE_HZ


def stretches(samples: "array[int]") -> list[tuple[Any, Any]]:
    """From when to when there is sound, in seconds; of any type, to be compared with what is near."""
    pause = round(PAUSE_SECONDS * RATE_HZ)
    found: list[list[int]] = []
    for at, sample in enumerate(samples):
        if abs(sample) < LOUD:
            continue
        if found and at - found[-1][1] < pause:
            found[-1][1] = at
        else:
            found.append([at, at])
    return [(first / RATE_HZ, last / RATE_HZ) for first, last in found]


def split(stereo: bytes) -> Heard:
    samples = array("h", stereo)
    return Heard(samples[0::2], samples[1::2])


def listen(state_dir: Path, interview_id: str = "iv-1") -> Heard:
    """To the notes, as they are just now."""
    (recording,) = Shelf(state_dir).of(interview_id)
    notes = Notes(recording.notes)
    try:
        heard = split(b"".join(notes.blocks()))
    finally:
        notes.close()
    assert len(heard.left) == notes.frames
    return heard
