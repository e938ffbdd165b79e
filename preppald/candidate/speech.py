"""A WAV file as a recorder would send it: 20 ms frames of 16 kHz mono PCM."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
import math
from operator import mul
from pathlib import Path
import sys

from preppald.audio.resample import Resampler
from preppald.candidate.wav import SAMPLE_BYTES, WavReader

RATE_HZ = 16_000
FRAME_SECONDS = 0.020  # as well-made clients send: 50 messages a second
FRAME_SAMPLES = 320
FRAME_BYTES = FRAME_SAMPLES * SAMPLE_BYTES
SILENCE = bytes(FRAME_BYTES)

FULL_SCALE = 32_768
# Speech at a normal distance lies between -30 and -15 dBFS; a quiet room is below -55.
VOICED_DBFS = -45.0
SILENT_DBFS = -96.0  # below one step of a 16-bit sample

SAMPLE_ANSWER = Path(__file__).with_name("answer.wav")


@dataclass(frozen=True, slots=True)
class Frame:
    """20 ms of speech. ``level``: root mean square in dB below full scale."""

    pcm: bytes
    level: float

    @property
    def voiced(self) -> bool:
        """True where somebody speaks in it."""
        return self.level >= VOICED_DBFS


class Speech:
    """One file that can be said several times. Opening it checks its header.

    ``seconds``: its length, None when only its end will tell. ``position``: the part already spoken, seconds.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reader = WavReader(path)
        self._resampler = Resampler(self._reader.rate, RATE_HZ)
        frames = self._reader.frames
        self.seconds = None if frames is None else frames / self._reader.rate
        self._frames_said = 0
        self._begun = False

    @property
    def position(self) -> float:
        said = self._frames_said * FRAME_SECONDS
        return said if self.seconds is None else min(said, self.seconds)

    def frames(self) -> Iterator[Frame]:
        """Yield the file from its beginning; the last frame is filled up with silence.

        Raises:
            BadWavError: the file ends too early, or is not there any more.
        """
        if self._begun:
            self._reader.close()
            self._reader = WavReader(self._path)
        self._begun = True
        self._frames_said = 0
        for samples in self._cut(self._reader):
            self._frames_said += 1
            yield Frame(_little_endian(samples), level_dbfs(samples))

    def close(self) -> None:
        self._reader.close()

    def _cut(self, reader: WavReader) -> "Iterator[array[int]]":
        """Yield the samples at 16 kHz, cut into frames of 320."""
        self._resampler.restart()
        kept = array("h")
        for piece in reader.pieces():
            kept.extend(self._resampler.feed(piece))
            whole = len(kept) - len(kept) % FRAME_SAMPLES
            for start in range(0, whole, FRAME_SAMPLES):
                yield kept[start : start + FRAME_SAMPLES]
            del kept[:whole]
        kept.extend(self._resampler.finish())
        kept.extend([0] * (-len(kept) % FRAME_SAMPLES))
        for start in range(0, len(kept), FRAME_SAMPLES):
            yield kept[start : start + FRAME_SAMPLES]


def level_dbfs(samples: "array[int]") -> float:
    """Return the root mean square of ``samples`` in dB below full scale, at least ``SILENT_DBFS``."""
    power = sum(map(mul, samples, samples)) / len(samples)
    return 10 * math.log10(power / FULL_SCALE**2) if power >= 1 else SILENT_DBFS


def _little_endian(samples: "array[int]") -> bytes:
    if sys.byteorder == "big":  # pragma: no cover
        samples.byteswap()
    return samples.tobytes()
