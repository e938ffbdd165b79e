"""Knows sounds again: the recordings that come with preppald, whose words are known, wherever they are heard.

A recording that went through a microphone's wire is the same to the last bit, so a few milliseconds of it are looked up
in all recordings as bytes. Nothing is guessed: a sound that is none of these is said to be unknown.
"""

from array import array
from dataclasses import dataclass
from functools import cache
from importlib import resources
import io
import wave

from preppald.simulator.voice import recordings

RATE_HZ = 16_000
BYTES_PER_SECOND = 2 * RATE_HZ
# Looked up at a time: ten milliseconds, of which one in five is tried.
PROBE_BYTES = BYTES_PER_SECOND // 100
STEP_BYTES = BYTES_PER_SECOND // 20
# So many in a row are no accident: the same ten milliseconds come again in a vowel.
PROBES = 3
# A stall of the line leaves a gap, or takes a piece: up to this the words around it were still heard.
STALL_BYTES = BYTES_PER_SECOND // 2
# Quieter is silence: its bytes are everywhere.
LOUD = 500
# Sound that is not known, and is longer than a click.
UNKNOWN_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Heard:
    """Holds the sounds of a file, in order. ``words``: of the known sounds; ``unknown``: seconds of others."""

    words: str
    unknown: float


@cache
def known() -> dict[bytes, str]:
    """Return the recordings by their PCM (s16le mono 16 kHz), with their words."""
    folder = resources.files("preppald.candidate")
    found = {}
    for name in ("answer",):
        with (folder / f"{name}.wav").open("rb") as file, wave.open(file) as recording:
            found[recording.readframes(recording.getnframes())] = (
                (folder / f"{name}.txt").read_text("utf-8").strip()
            )
    for line in recordings().values():
        found[_slower(line.pcm)] = line.text
    return found


def _slower(pcm: bytes) -> bytes:
    """Return a reply at 16 kHz as a candidate would play it back: each third sample dropped."""
    samples = array("h", pcm)
    del samples[2::3]
    return samples.tobytes()


def pcm_of(file: bytes) -> bytes | None:
    """Return the sound of a WAV file, None where it is none of s16le mono 16 kHz."""
    try:
        with wave.open(io.BytesIO(file)) as recording:
            if recording.getparams()[:3] != (1, 2, RATE_HZ):
                return None
            pcm: bytes = recording.readframes(recording.getnframes())
            return pcm
    except (wave.Error, EOFError):
        return None


def heard(pcm: bytes) -> Heard:
    """Return what is in a sound; of a recording that was cut the words in the part that is there."""
    # By recording: where its beginning would be in this sound, and the place of it that was heard.
    found: dict[bytes, list[tuple[int, int]]] = {}
    unknown = 0
    for at in range(0, len(pcm) - PROBE_BYTES, STEP_BYTES):
        probe = pcm[at : at + PROBE_BYTES]
        if max(map(abs, array("h", probe))) < LOUD:
            continue
        for recording in known():
            place = recording.find(probe)
            if place >= 0 and place % 2 == 0:
                found.setdefault(recording, []).append((at - place, place))
                break
        else:
            unknown += 1
    said = sorted(
        (begins, _words(recording, first, last))
        for recording, hits in found.items()
        for begins, first, last in _times(hits)
    )
    seconds = unknown * STEP_BYTES / BYTES_PER_SECOND
    return Heard(
        " ".join(words for _, words in said if words), seconds if seconds >= UNKNOWN_SECONDS else 0.0
    )


def _times(hits: list[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """Return each time that a recording was heard: where it begins, and from which to which place of it.

    A stall of the line shifts all that comes after it; what is shifted by little is of the same time.
    """
    times: list[list[tuple[int, int]]] = []
    for hit in sorted(hits):
        if times and hit[0] - times[-1][-1][0] < STALL_BYTES:
            times[-1].append(hit)
        else:
            times.append([hit])
    return [
        (it[0][0], min(place for _, place in it), max(place for _, place in it))
        for it in times
        if len(it) >= PROBES
    ]


def _words(recording: bytes, first: int, last: int) -> str:
    """Return the words between two places, by their share of the letters: all, where all but a moment is there."""
    words = known()[recording].split()
    letters = sum(map(len, words))
    slack = BYTES_PER_SECOND // 4
    begin = 0.0 if first < slack else first / len(recording)
    end = 1.0 if last > len(recording) - 2 * slack else last / len(recording)
    found, before = [], 0
    for word in words:
        middle = (before + len(word) / 2) / letters
        before += len(word)
        if begin <= middle <= end:
            found.append(word)
    return " ".join(found)
