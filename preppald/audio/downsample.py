"""Converts 24 kHz to 16 kHz, fast enough in plain Python to render an hour's recording: 8 ms a second of speech.

The filter is that of ``audio.resample`` (44 samples to each side, 60 dB), computed by multiplying integers: samples
become the digits of one number, weights those of another, and the digits of the product are their convolution.
Python multiplies long numbers in C; a sum for each sample takes it fourteen times as long.

Every third input sample has the same place in the filter, so numbers are made of every third sample (three of them)
and of every third weight, and no more is computed than needed: two output samples for three of input.
"""

from array import array
from collections.abc import Sequence

from preppald.audio.resample import LOUDEST, QUIETEST, Resampler

RATE_IN_HZ, RATE_OUT_HZ = 24_000, 16_000
STEP, PHASES = 3, 2
# Input that must be known before and after the converted part: the filter's reach, in whole steps.
PAD = 48
# A digit has 32 bits: array("I") is read and written as one long number.
DIGIT_BITS = 32
DIGIT_BYTES = DIGIT_BITS // 8
# Weights are whole numbers in units of 2^-13: the rounding error is 70 dB down.
WEIGHT_BITS = 13
ONE = 1 << WEIGHT_BITS
# Digits are not negative: samples are raised by so much,
SAMPLE_BIAS = 1 << 15
# and sums by this. With 16-bit samples and 13-bit weights that add up to less than 2 (absolutely), it suffices.
SUM_BIAS = 1 << 30


def _kernels() -> tuple[int, list[list[int]]]:
    """Return the digits of a kernel, and for each phase three kernels, one for every third sample."""
    resampler = Resampler(RATE_IN_HZ, RATE_OUT_HZ)
    digits = 2 * PAD // STEP + 1
    kernels = []
    for phase in range(PHASES):
        weights = [round(weight * ONE) for weight in resampler.weights[phase]]
        middle = resampler.side - 1
        weights[middle] += ONE - sum(weights)  # a constant must stay the same constant
        first = phase * STEP // PHASES - middle + PAD
        thirds = [[0] * digits for _ in range(STEP)]
        for at, weight in enumerate(weights, first):
            thirds[at % STEP][at // STEP] = weight
        # The last weight is the first digit: that makes a product a convolution.
        kernels.append(
            [
                sum(weight << DIGIT_BITS * (digits - 1 - at) for at, weight in enumerate(third))
                for third in thirds
            ]
        )
    return digits, kernels


KERNEL_DIGITS, KERNELS = _kernels()


def downsampled(samples: Sequence[int]) -> "array[int]":
    """Return the input without its pads, at 16 kHz: two samples for each three. 16-bit samples, both ways.

    ``samples``: ``PAD`` samples of context, a multiple of 3 samples, ``PAD`` samples of context.
    """
    length = len(samples) - 2 * PAD
    if length < 0 or length % STEP:
        raise ValueError(f"{len(samples)} samples are not two pads and a multiple of {STEP}")
    made = array("h", bytes(2 * (length // STEP * PHASES)))
    raised = array("I", [sample + SAMPLE_BIAS for sample in samples])
    thirds = [int.from_bytes(raised[at::STEP].tobytes(), "little") for at in range(STEP)]
    digits = len(samples) // STEP + 1 + KERNEL_DIGITS
    bias = int.from_bytes(array("I", [SUM_BIAS]) * digits, "little")
    for phase, kernels in enumerate(KERNELS):
        product = bias + sum(third * kernel for third, kernel in zip(thirds, kernels, strict=True))
        sums = array("I", product.to_bytes((digits + 1) * DIGIT_BYTES, "little"))
        wanted = sums[KERNEL_DIGITS - 1 : KERNEL_DIGITS - 1 + length // STEP]
        made[phase::PHASES] = array("h", _samples(wanted))
    return made


def _samples(sums: "array[int]") -> list[int]:
    """Return sums without their biases, rounded to samples."""
    bias = SUM_BIAS // ONE + SAMPLE_BIAS
    half = ONE // 2
    found = [((one + half) >> WEIGHT_BITS) - bias for one in sums]
    if found and (min(found) < QUIETEST or max(found) > LOUDEST):
        return [max(QUIETEST, min(LOUDEST, one)) for one in found]
    return found
