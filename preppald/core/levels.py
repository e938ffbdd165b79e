"""How loud a stretch of sound is, cheaply: one sample in sixteen, and its high byte only.

A level is a mean magnitude above the least possible one, in units of 128: 0.02 for a quiet room's RMS of 100, about 12
for speech at arm's length. A block is a tenth of a second; a grain of it, 20 ms, is as close as a voice's begin and end
are told.
"""

import zlib

# PCM s16le mono 16 kHz. At every sixteenth sample: a thousand a second tell a tenth of a second's level to 8 %.
BYTES_PER_SECOND = 32_000
STRIDE_BYTES = 32
SAMPLES_PER_SECOND = BYTES_PER_SECOND // STRIDE_BYTES
BLOCK_SAMPLES = 100
GRAIN_SAMPLES = 20
# The magnitude that a sample's high byte stands for, in units of 128, at the middle of its 256 values: 1, 3, 5, ….
MAGNITUDE = bytes(min(255, 2 * high + 1 if high < 128 else 2 * (255 - high) + 1) for high in range(256))
# As many bytes add up to less than Adler-32's modulus, 65 521.
SUMMED_BYTES = 256
# Places are sums: what ends within this of a block's end ends with it.
NEARLY_SECONDS = 0.0001
# A last consonant is softer than voice, and follows a silence that is no longer than before a stop.
STOP_SECONDS = 0.1


def mean(heard: bytes) -> float:
    """Return the level of samples, given as magnitudes; 0 for none.

    The low half of an Adler-32 is one more than the sum of the bytes (RFC 1950): the fastest way to that sum.
    """
    if not heard:
        return 0.0
    if len(heard) <= SUMMED_BYTES:
        return ((zlib.adler32(heard) & 0xFFFF) - 1) / len(heard) - 1.0
    return sum(heard) / len(heard) - 1.0


def voiced(heard: bytes, at: float, bar: float) -> tuple[float, float] | None:
    """Return from where to where a block is above the bar, None where it nowhere is; ``at``: where it began.

    A turn's times are told to the grain, 20 ms, and not to the block. ``heard``: magnitudes.
    """
    grains = range(0, len(heard), GRAIN_SAMPLES)
    above = [start for start in grains if mean(heard[start : start + GRAIN_SAMPLES]) > bar]
    if not above:
        return None
    end = min(above[-1] + GRAIN_SAMPLES, len(heard))
    return at + above[0] / SAMPLES_PER_SECOND, at + end / SAMPLES_PER_SECOND


def onset(heard: bytes, at: float, bar: float) -> float | None:
    """Return from where on a block is above the bar, None where its end is not. ``heard``: magnitudes."""
    if mean(heard[-GRAIN_SAMPLES:]) <= bar:
        return None
    above = voiced(heard, at, bar)
    return above[0] if above and above[1] > at + len(heard) / SAMPLES_PER_SECOND - NEARLY_SECONDS else None


def faded(heard: bytes, at: float, bar: float, until: float) -> float:
    """Return where the voice that ended at ``until`` has faded by the end of this block, which begins ``at``."""
    for start in range(0, len(heard), GRAIN_SAMPLES):
        soft = heard[start : start + GRAIN_SAMPLES]
        begin = at + start / SAMPLES_PER_SECOND
        if mean(soft) > bar and begin - until <= STOP_SECONDS:
            until = begin + len(soft) / SAMPLES_PER_SECOND
    return until
