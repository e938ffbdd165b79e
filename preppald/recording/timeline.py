"""Places sound in a recording: the candidate's by its arrival, the interviewer's by its playback.

All times are microseconds since the interview began; all places and lengths are samples.
"""

from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from preppald.core.playback import Playback
from preppald.core.spoken_clock import LOOKAHEAD_SECONDS

MICROSECONDS = 1_000_000
# A network that stalls brings the speech of the stall all at once, up to half a minute of it: more is not accepted.
LOOKAHEAD_US = round(LOOKAHEAD_SECONDS * MICROSECONDS)
# A microphone's clock is not ours, and ticks are not regular: up to this, two pieces are one stretch of sound.
TOLERANCE_SECONDS = 0.05


@dataclass(slots=True)
class Span:
    """``length`` samples at place ``start`` are those of the piece ``number``, without its first ``skip``."""

    number: int
    start: int
    skip: int
    length: int


def spoken(came: Sequence[int], lengths: Sequence[int], rate_hz: int) -> Iterator[Span]:
    """Place the candidate's pieces, in order, none over another. ``came``: the arrival of each one's last sample.

    A microphone does not stop for the network: sound that came late, and all at once, was spoken evenly before. So a
    piece is placed by the smallest network delay among the pieces of the next 30 s. Where the line carried nothing, no
    later piece makes up for the time, and a gap stays. Sound faster than real time is cut to real time.
    """
    tolerance = round(TOLERANCE_SECONDS * rate_hz)
    cursor = said = 0
    for number, shift in enumerate(_least_shift(came, lengths, rate_hz)):
        length = lengths[number]
        gap = max(0, said + shift) - cursor
        said += length
        skip = 0
        if gap > tolerance:
            cursor += gap
        elif gap < -tolerance:
            skip = min(length, -gap)
        if length > skip:
            yield Span(number, cursor, skip, length - skip)
        cursor += length - skip


def _least_shift(came: Sequence[int], lengths: Sequence[int], rate_hz: int) -> "array[int]":
    """Return for each piece the smallest delay, against an even stream, among it and those within the look-ahead."""
    least = array("q", bytes(8 * len(came)))
    said = sum(lengths)
    # Times and shifts of later pieces, from the nearest to the farthest, each shift less than the one before.
    later: deque[tuple[int, int]] = deque()
    for number in range(len(came) - 1, -1, -1):
        shift = came[number] * rate_hz // MICROSECONDS - said
        said -= lengths[number]
        while later and later[0][1] >= shift:
            later.popleft()
        later.appendleft((came[number], shift))
        while later[-1][0] > came[number] + LOOKAHEAD_US:
            later.pop()
        least[number] = later[-1][1]
    return least


class Heard:
    """Places the interviewer's pieces as the candidate heard them: in sequence from their sending, until cut off."""

    def __init__(self, rate_hz: int) -> None:
        self.spans: list[Span] = []
        self._rate_hz = rate_hz
        self._playback = Playback()

    def sent(self, number: int, length: int, at_us: int) -> None:
        begins = self._playback.queue(length, at_us * self._rate_hz // MICROSECONDS)
        self.spans.append(Span(number, int(begins), 0, length))

    def cut(self, at_us: int) -> None:
        """Note that from here on nothing sent before is heard."""
        end = at_us * self._rate_hz // MICROSECONDS
        self._playback.stop(end)
        while self.spans and self.spans[-1].start + self.spans[-1].length > end:
            last = self.spans[-1]
            last.length = end - last.start
            if last.length > 0:
                return
            self.spans.pop()
