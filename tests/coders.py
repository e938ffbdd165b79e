"""The system's Opus for tests, and the voices that are committed here."""

from array import array
import os
from pathlib import Path
import wave

import pytest

from preppald import simulator
from preppald.audio import opus
from preppald.audio.resample import Resampler
from preppald.candidate.speech import SAMPLE_ANSWER

REQUIRED = "TESTS_NEED_OPUS"
REPLIES = Path(simulator.__file__).parent / "replies"
VOICES = (SAMPLE_ANSWER, *sorted(REPLIES.glob("*.wav")))


def the_library() -> opus.Library:
    """Return libopus; skip the test where the system has none and nobody asked for it."""
    found = opus.library()
    if found is None:
        if os.environ.get(REQUIRED):
            pytest.fail(f"{REQUIRED} is set, and there is no libopus here")
        pytest.skip("needs libopus.so.0 (Debian: libopus0)")
    return found


def voice(path: Path, rate_hz: int) -> bytes:
    """Return a committed voice as PCM s16le mono of this rate."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        own_rate = file.getframerate()
        pcm: bytes = file.readframes(file.getnframes())
    if own_rate == rate_hz:
        return pcm
    resampler = Resampler(own_rate, rate_hz)
    made = resampler.feed(array("h", pcm))
    made += resampler.finish()
    return made.tobytes()
