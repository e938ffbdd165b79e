"""24 kHz to 16 kHz by long numbers: the very filter of the resampler."""

from array import array
import random

import pytest

from preppald.audio.downsample import DIGIT_BITS, KERNELS, ONE, PAD, SAMPLE_BIAS, SUM_BIAS, downsampled
from preppald.audio.resample import LOUDEST, QUIETEST, Resampler
from tests.candidate.conftest import sine

# Weights are rounded to 13 bits, sums to whole samples: about 60 dB below the loudest noise.
CLOSE = 32


def padded(samples: "array[int]") -> "array[int]":
    pad = array("h", bytes(2 * PAD))
    return pad + samples + pad


def test_it_is_the_resamplers_filter() -> None:
    """Noise of full scale comes out as the slow way has it."""
    chance = random.Random(1)
    samples = array("h", (chance.randrange(QUIETEST, LOUDEST) for _ in range(2400)))
    resampler = Resampler(24_000, 16_000)
    slow = resampler.feed(samples) + resampler.finish()
    fast = downsampled(padded(samples))
    assert len(fast) == len(slow) == 1600
    assert max(abs(a - b) for a, b in zip(slow, fast, strict=True)) <= CLOSE


@pytest.mark.parametrize("level", [0, 1, -1, LOUDEST, QUIETEST])
def test_a_constant_stays_what_it_is(level: int) -> None:
    """Also at the very ends of what a sample can be."""
    made = downsampled(array("h", [level] * (300 + 2 * PAD)))
    assert set(made) == {level}


def test_pieces_fit_together() -> None:
    """Piece by piece, with what is known on both sides, is the same as all at once."""
    samples = padded(sine(440, 0.1, rate=24_000))
    whole = downsampled(samples)
    half = 1200
    assert downsampled(samples[: half + 2 * PAD]) + downsampled(samples[half:]) == whole


def test_no_sum_reaches_another_digit() -> None:
    """The worst samples there are: each as far as can be, with the sign of its weight."""
    for kernels in KERNELS:
        weights = []
        for kernel in kernels:
            left = kernel
            while left:
                digit = (left + (1 << DIGIT_BITS - 1)) % (1 << DIGIT_BITS) - (1 << DIGIT_BITS - 1)
                weights.append(digit)
                left = (left - digit) >> DIGIT_BITS
        assert sum(weights) == ONE
        up = sum(weight for weight in weights if weight > 0) * (2 * SAMPLE_BIAS - 1)
        down = sum(weight for weight in weights if weight < 0) * (2 * SAMPLE_BIAS - 1)
        assert SUM_BIAS + down >= 0
        assert SUM_BIAS + up < 1 << DIGIT_BITS


def test_other_lengths_are_refused() -> None:
    """The pads and the steps are a contract."""
    with pytest.raises(ValueError, match="100 samples are not two pads and a multiple of 3"):
        downsampled(array("h", bytes(200)))
