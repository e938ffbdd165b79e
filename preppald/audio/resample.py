"""Sample rates: a windowed-sinc polyphase resampler in plain Python.

Output sample ``i`` lies at input position ``i * rate_in / rate_out``: an input sample ``p`` and a fraction
beyond it. Its value is a weighted sum of the input samples around that position; the weights are a low-pass
filter (an ideal one, a sinc, under a Kaiser window), shifted by the fraction. There are only as many fractions
("phases") as ``rate_out`` divided by the greatest common divisor of both rates, so each phase's weights are
computed once.

Guarantees, for the lower rate's Nyquist frequency N (half of that rate; 8 kHz when the target is 16 kHz):

* flat within 0.1 dB up to 7/8 N (7 kHz); 60 dB down from N on, so nothing folds back into the speech;
* no delay: a click stays where it was; the sides of the input count as silence;
* ``n`` input samples give ``round(n * rate_out / rate_in)`` output samples, in whatever pieces they came;
* the same rate on both sides gives the very same samples.
"""

from array import array
from collections.abc import Sequence
import math
from operator import mul

STOPBAND_DB = 60.0
# The filter falls from 7/8 of the Nyquist frequency to the whole of it.
PASSBAND_SHARE = 7 / 8
# Rates with a common divisor below 16 would need thousands of phases (44 099 Hz: 16 000). The nearest of 1024
# is at most 1/2048 of an input sample off: noise about 60 dB below the signal, as quiet as the stop band.
MAX_PHASES = 1_024
# Kaiser's own formulas, from the wanted attenuation to the window's shape and length.
KAISER_BETA = 0.1102 * (STOPBAND_DB - 8.7)
KAISER_LENGTH = (STOPBAND_DB - 7.95) / 14.36

LOUDEST = 32_767
QUIETEST = -32_768


class Resampler:
    """A stream of samples at ``rate_in`` Hz becomes one at ``rate_out`` Hz. Holds a few hundred samples.

    ``weights``: for each phase those of ``2 * side`` samples; see the top.
    """

    def __init__(self, rate_in: int, rate_out: int) -> None:
        divisor = math.gcd(rate_in, rate_out)
        self._step = rate_in // divisor  # output sample i is i * step / fractions input samples in
        self._fractions = rate_out // divisor
        self._phases = min(self._fractions, MAX_PHASES)
        nyquist = min(1.0, rate_out / rate_in) / 2  # in cycles per input sample
        self._cutoff = nyquist * (1 + PASSBAND_SHARE) / 2
        self.side = math.ceil(KAISER_LENGTH / (nyquist * (1 - PASSBAND_SHARE)) / 2)  # taps on each side
        # All of them now: up to 0.2 s for any usual rate, which would be heard if it came between two samples.
        identical = self._step == self._fractions
        self.weights = [] if identical else [self._computed_weights(phase) for phase in range(self._phases)]
        self.restart()

    def restart(self) -> None:
        """Forget all input, keep the weights."""
        # Input still needed. The first output sample looks `side` samples back, into silence.
        self._window: list[int] = [0] * self.side
        self._window_start = -self.side  # the input position of the window's first sample
        self._seen = 0
        self._made = 0

    def feed(self, samples: Sequence[int]) -> "array[int]":
        """Take more input; return the output that is now certain."""
        self._seen += len(samples)
        if self._step == self._fractions:
            return array("h", samples)
        self._window.extend(samples)
        # Output i needs input up to position(i) + side.
        certain = (self._seen - self.side) * self._fractions
        return self._produce(-(-certain // self._step))

    def finish(self) -> "array[int]":
        """Return the rest of the output, once all input was fed."""
        if self._step == self._fractions:
            return array("h")
        self._window.extend([0] * (2 * self.side))
        return self._produce((2 * self._seen * self._fractions + self._step) // (2 * self._step))

    def _produce(self, until: int) -> "array[int]":
        """Return the output samples from the last one made up to, not including, number ``until``."""
        made = array("h")
        for number in range(self._made, until):
            position, fraction = divmod(number * self._step, self._fractions)
            weights = self.weights[fraction * self._phases // self._fractions]
            first = position - self.side + 1 - self._window_start
            value = round(sum(map(mul, self._window[first : first + len(weights)], weights)))
            made.append(max(QUIETEST, min(LOUDEST, value)))
        self._made = max(self._made, until)
        needless = self._made * self._step // self._fractions - self.side + 1 - self._window_start
        if needless > 0:
            del self._window[:needless]
            self._window_start += needless
        return made

    def _computed_weights(self, phase: int) -> list[float]:
        """Return the weights of the ``2 * side`` input samples around a position ``phase`` phases after a sample."""
        # When phases stand for several fractions each, a phase stands for the middle of them.
        exact = self._phases == self._fractions
        fraction = (phase + (0.0 if exact else 0.5)) / self._phases
        weights = [
            _sinc(2 * self._cutoff * distance) * _kaiser(distance / self.side)
            for distance in (tap - self.side + 1 - fraction for tap in range(2 * self.side))
        ]
        total = sum(weights)  # a constant must stay the same constant
        return [weight / total for weight in weights]


def _sinc(x: float) -> float:
    return 1.0 if x == 0 else math.sin(math.pi * x) / (math.pi * x)


def _kaiser(x: float) -> float:
    """Return the Kaiser window from -1 to 1."""
    return _bessel_i0(KAISER_BETA * math.sqrt(max(0.0, 1 - x * x))) / _bessel_i0(KAISER_BETA)


def _bessel_i0(x: float) -> float:
    """Return the modified Bessel function of order zero, by its power series, to nine digits."""
    total = term = 1.0
    order = 1
    while term > total * 1e-9:
        term *= (x / (2 * order)) ** 2
        total += term
        order += 1
    return total
