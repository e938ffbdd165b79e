"""A file as 20 ms frames."""

from array import array
from pathlib import Path

import pytest

from preppald.candidate.speech import FRAME_BYTES, SAMPLE_ANSWER, SILENT_DBFS, Speech, level_dbfs

from .conftest import sine, write_wav


def test_16_khz_is_sent_as_it_is_and_the_last_frame_is_filled_up(tmp_path: Path) -> None:
    samples = sine(300, 0.5)[:-10]
    speech = Speech(write_wav(tmp_path / "a.wav", samples))
    frames = list(speech.frames())
    speech.close()
    assert b"".join(frame.pcm for frame in frames) == samples.tobytes() + bytes(20)
    assert {len(frame.pcm) for frame in frames} == {FRAME_BYTES}
    assert speech.position == speech.seconds == len(samples) / 16_000


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_other_rates_last_as_long(tmp_path: Path, rate: int) -> None:
    speech = Speech(write_wav(tmp_path / "a.wav", sine(300, 0.5, rate=rate), rate=rate))
    assert len(list(speech.frames())) == 25
    speech.close()


def test_it_can_be_said_again(two_seconds: Path) -> None:
    speech = Speech(two_seconds)
    frames = speech.frames()
    next(frames)
    next(frames)
    assert speech.position == pytest.approx(0.04)
    again = list(speech.frames())
    assert len(again) == 100
    speech.close()


def test_voice_is_told_from_silence() -> None:
    assert level_dbfs(sine(300, 0.02)) == pytest.approx(-9.2, abs=0.3)
    assert level_dbfs(array("h", bytes(640))) == SILENT_DBFS


def test_the_sample_answer_is_seven_seconds_of_speech() -> None:
    speech = Speech(SAMPLE_ANSWER)
    voiced = [frame.voiced for frame in speech.frames()]
    speech.close()
    assert speech.seconds is not None
    assert 6 < speech.seconds < 8
    assert voiced[0] is voiced[-1] is False
    assert sum(voiced) / len(voiced) > 0.7
    assert SAMPLE_ANSWER.stat().st_size < 250_000
