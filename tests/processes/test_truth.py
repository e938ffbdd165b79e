"""Exported times of turns against the truth, in three languages, over rotations, cuts, bursts and reconnects."""

from array import array
from pathlib import Path

import pytest

from tests.candidates import RATE_HZ
from tests.truth.espeak import Speech
from tests.truth.figures import LIMIT_MS, measured, rank, table
from tests.truth.script import ANSWERS, answer

# Quieter is silence; the resampler rings.
LOUD = 150
# What is loud begins and ends so near to what espeak-ng says of the words; a vowel at the end fades.
NEAR_SECONDS = 0.04


def loud(speech: Speech) -> tuple[float, float]:
    """From when to when there is sound."""
    heard = [at for at, sample in enumerate(array("h", speech.pcm)) if abs(sample) > LOUD]
    return heard[0] / RATE_HZ, heard[-1] / RATE_HZ


@pytest.mark.parametrize("language", list(ANSWERS))
def test_the_truth_is_where_the_sound_is(language: str) -> None:
    """The times of espeak-ng's events are those of its samples."""
    for number in range(len(ANSWERS[language])):
        speech = answer(language, number).speech
        assert loud(speech) == pytest.approx((speech.begin, speech.end), abs=NEAR_SECONDS)


@pytest.mark.slow
async def test_exported_times_are_true(tmp_path: Path) -> None:
    """Of every turn in the transcript, and of every word in the recording: within 100 ms at p99, and none is missing."""
    found = await measured(tmp_path, answers=3, interviews=1, seed=1)
    lost = [it for it in found if it.ms is None]
    assert not lost, table(found)
    assert len({(it.condition, it.language) for it in found if it.language}) == 15
    for what in {it.what for it in found}:
        assert rank((it.ms for it in found if it.what == what and it.ms is not None), 99) <= LIMIT_MS, table(
            found
        )
