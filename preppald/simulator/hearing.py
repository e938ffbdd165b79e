"""Knows sounds again: the recordings that come with preppald, whose words are known, wherever they are heard.

A recording that went through a microphone's wire is the same to the last bit, so a few milliseconds of it are looked up
in all recordings as bytes. Nothing is guessed: of a sound that is none of these the text is "(3.2 s of speech)". Live
transcription and the transcription model both write what is found here, so that their texts agree.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
import io
import itertools
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
# A pause that ends an utterance: the daemon's 1.2 s by default, and the service's own lag.
PAUSE_BYTES = round(1.48 * BYTES_PER_SECOND)
# An utterance that begins with so many unknown pieces, a quarter of a second, is a person's, and is not looked at further.
LEAST_PROBES = 5
# Twice the longest recording. A longer utterance is a person's; so much of one is kept.
LONGEST_BYTES = 15 * BYTES_PER_SECOND
# Kept of the silence before an utterance: its first sound is too soft for a voice.
LEAD_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Heard:
    """Holds the sounds of a file. ``words``: of the known sounds, in order; ``unknown``: seconds of each other utterance."""

    words: str
    unknown: tuple[float, ...]

    @property
    def text(self) -> str:
        return " ".join(filter(None, (self.words, *map(honest, self.unknown))))


def honest(seconds: float) -> str:
    """Return the text of speech whose words are not known."""
    return f"({seconds:.1f} s of speech)"


class Utterance:
    """Keeps the sound of what is being said. ``prefix_seconds``: of voice, before it is noticed to be one."""

    def __init__(self, prefix_seconds: float) -> None:
        self._lead = 2 * round((prefix_seconds + LEAD_SECONDS) * RATE_HZ)
        self._pcm = bytearray()
        self._too_long = False

    def add(self, pcm: bytes, rate: int, *, speaking: bool) -> None:
        """Take the next sound: s16le mono at ``rate`` samples a second. ``speaking``: an utterance was under way before."""
        if not speaking:
            del self._pcm[: -self._lead]
            self._too_long = False
        self._too_long |= rate != RATE_HZ or len(self._pcm) + len(pcm) > LONGEST_BYTES
        if self._too_long:
            self._pcm.clear()
        else:
            self._pcm += pcm

    def over(self, seconds: float) -> str:
        """Return the text of the utterance, which is over. ``seconds``: its length."""
        pcm, self._pcm = bytes(self._pcm), bytearray()
        found = None if self._too_long or not _begins_known(pcm) else heard(pcm)
        self._too_long = False
        return found.text if found is not None and found.words else honest(seconds)


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
    unknown: list[int] = []
    for at, probe in _probes(pcm):
        hit = _looked_up(probe)
        if hit is None:
            unknown.append(at)
        else:
            recording, place = hit
            found.setdefault(recording, []).append((at - place, place))
    said = sorted(
        (begins, _words(recording, first, last))
        for recording, hits in found.items()
        for begins, first, last in _times(hits)
    )
    return Heard(" ".join(words for _, words in said if words), tuple(_seconds(unknown)))


def _probes(pcm: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield pieces to look up, with their places; silence is passed over."""
    for at in range(0, len(pcm) - PROBE_BYTES, STEP_BYTES):
        probe = pcm[at : at + PROBE_BYTES]
        if max(map(abs, array("h", probe))) >= LOUD:
            yield at, probe


def _looked_up(probe: bytes) -> tuple[bytes, int] | None:
    """Return the recording that has this piece, and its place there; None where none has it."""
    for recording in known():
        place = recording.find(probe)
        if place >= 0 and place % 2 == 0:
            return recording, place
    return None


def _begins_known(pcm: bytes) -> bool:
    return any(_looked_up(probe) for _, probe in itertools.islice(_probes(pcm), LEAST_PROBES))


def _seconds(unknown: list[int]) -> Iterator[float]:
    """Yield the length of each utterance that unknown pieces, at these places, are of."""
    utterances: list[list[int]] = []
    for at in unknown:
        if utterances and at - utterances[-1][-1] < PAUSE_BYTES:
            utterances[-1].append(at)
        else:
            utterances.append([at])
    for pieces in utterances:
        if len(pieces) * STEP_BYTES >= UNKNOWN_SECONDS * BYTES_PER_SECOND:
            yield (pieces[-1] - pieces[0] + STEP_BYTES) / BYTES_PER_SECOND


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
