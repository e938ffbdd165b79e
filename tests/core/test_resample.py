"""The resampler: what its docstring promises, measured."""

from array import array
from collections.abc import Sequence
import functools
import math
from operator import mul

from hypothesis import given, settings, strategies as st
import pytest

from preppald.audio.resample import Resampler
from tests.candidate.conftest import sine

TARGET = 16_000
AMPLITUDE = 16_000


@functools.cache
def resampler_of(rate: int) -> Resampler:
    """Weights take longer than samples: each rate's are computed once."""
    return Resampler(rate, TARGET)


def resampled(samples: Sequence[int], rate: int) -> "array[int]":
    resampler = resampler_of(rate)
    resampler.restart()
    return resampler.feed(samples) + resampler.finish()


def gain_db(frequency: float, rate: int, *, seconds: float = 0.1) -> float:
    """What is left of a sine, without the edges."""
    out = resampled(sine(frequency, seconds, rate=rate, amplitude=AMPLITUDE), rate)
    middle = out[len(out) // 5 : -len(out) // 5]
    power = sum(map(mul, middle, middle)) / len(middle)
    return 10 * math.log10(max(power, 1e-6) / (AMPLITUDE**2 / 2))


# 160 phases for 44.1 kHz, one for the others.
@pytest.mark.parametrize("rate", [32_000, 44_100, 48_000, 192_000])
def test_the_pass_band_is_flat_up_to_7_khz(rate: int) -> None:
    for frequency in (200, 1_000, 2_500, 4_000, 5_500, 6_500, 7_000):
        assert abs(gain_db(frequency, rate)) < 0.1


@pytest.mark.parametrize("rate", [32_000, 44_100, 48_000, 192_000])
def test_what_would_fold_back_is_60_db_down(rate: int) -> None:
    for frequency in (8_150, 9_000, 10_000, 10_900, 13_000, 15_900, 23_000, 60_000, 95_000):
        if frequency < rate / 2:
            assert gain_db(frequency, rate) < -60


def test_a_lower_rate_is_flat_and_gets_no_mirror_images() -> None:
    """8 kHz to 16: up to 3.5 kHz all is there, above 4 kHz nothing is."""
    for frequency in (200, 1_000, 2_000, 3_500):
        assert abs(gain_db(frequency, 8_000)) < 0.1
    tone = sine(3_000, 0.1, rate=8_000, amplitude=AMPLITUDE)
    out = resampled(tone, 8_000)[320:-320]
    wanted = sine(3_000, 0.1, rate=TARGET, amplitude=AMPLITUDE)[320:-320]
    assert max(abs(a - b) for a, b in zip(out, wanted, strict=True)) < AMPLITUDE / 1000


def test_rates_with_no_common_divisor_share_phases_and_stay_as_quiet() -> None:
    assert abs(gain_db(6_900, 17_123)) < 0.1
    assert gain_db(8_300, 17_123) < -55


def test_there_is_no_delay() -> None:
    """A click stays where it was."""
    samples = array("h", bytes(2 * 4_800))
    samples[2_400] = 30_000
    out = resampled(samples, 48_000)
    assert max(range(len(out)), key=lambda index: out[index]) == 800


def test_a_constant_stays_that_constant() -> None:
    out = resampled(array("h", [1_000] * 4_410), 44_100)
    assert set(out[100:-100]) == {1_000}


def test_the_loudest_input_does_not_wrap_around() -> None:
    square = array("h", ([32_767] * 50 + [-32_768] * 50) * 20)
    out = resampled(square, 44_100)
    assert max(out) == 32_767
    assert min(out) == -32_768


@given(st.lists(st.integers(-32_768, 32_767), max_size=500))
def test_16_khz_passes_unchanged(samples: list[int]) -> None:
    assert resampled(samples, TARGET).tolist() == samples


@settings(deadline=None)  # the first example of a rate computes its weights
@given(
    st.sampled_from([8_000, 12_000, 24_000, 44_100, 48_000, 96_000]),
    st.lists(st.lists(st.integers(-32_768, 32_767), max_size=400), max_size=5),
)
def test_length_is_exact_and_pieces_do_not_matter(rate: int, pieces: list[list[int]]) -> None:
    """However it comes: ``round(n * 16000 / rate)`` samples, always the same ones, also the second time."""
    whole = [sample for piece in pieces for sample in piece]
    at_once = resampled(whole, rate)
    resampler = resampler_of(rate)
    resampler.restart()
    out = array("h")
    for piece in pieces:
        out.extend(resampler.feed(piece))
    out.extend(resampler.finish())
    assert out == at_once
    assert len(out) == math.floor(len(whole) * TARGET / rate + 0.5)
