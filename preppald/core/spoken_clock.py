"""When the candidate's sound was spoken: by its place in the stream, and not by its arrival.

A microphone does not stop for the network: what a line held back comes late and all at once, and was spoken evenly
before. So a place in the sound was spoken by the least delay of all that has come from there on, which is its own, or
that of the sound behind it that was held back less. Where sound is missing, nothing behind the gap comes earlier, and
the gap stays. ``recording.timeline`` places a recording by the same rule.

Sound that comes faster than any microphone makes it, as a test's may, was spoken when it came; a recording has no room
for all of it, and lacks what is too much. It is told from sound that a line, or a page that lost its daemon, held back
before any other came: that was spoken since the interview began.
"""

from bisect import bisect_left

# A line may stall for 25 s before it is given up. A microphone's clock is off by some 3 ms in that time.
LOOKAHEAD_SECONDS = 30.0
# Delays that differ by less are the same: what comes evenly is one entry.
GRAIN_SECONDS = 0.001
# A line's least delay falls by so much at most, where another way is found; what falls more is no microphone's sound.
FALL_SECONDS = 0.25
# Each piece of 20 ms with a delay of its own.
MOST_MARKS = round(LOOKAHEAD_SECONDS / 0.02)


class SpokenClock:
    """One interview's. Places are seconds of sound since the first of it; times are monotonic seconds.

    ``earliest``: the interview's begin, before which no sound of it was spoken; where it is not known, the first sound's.
    """

    __slots__ = ("_earliest", "_fast_to", "_least", "_marks")

    def __init__(self, earliest: float = float("inf")) -> None:
        self._earliest = earliest
        # The least delay so far; and up to which place the sound came too fast, and keeps the delays that it has.
        self._least = float("inf")
        self._fast_to = 0.0
        # (place, delay): sound up to this place came with this delay at least, and all behind it with more, unless the sound
        # came too fast.
        self._marks: list[tuple[float, float]] = []

    def __len__(self) -> int:
        """Return how many delays are remembered."""
        return len(self._marks)

    def came(self, place: float, now: float) -> None:
        """Note that the sound up to ``place`` is here."""
        delay = now - place
        marks = self._marks
        if not marks:
            self._least = delay
        elif delay < self._least - FALL_SECONDS and delay < self._earliest:
            self._fast_to, self._least = marks[-1][0], delay
        known = (place, delay)
        while marks:
            to, least = marks[-1]
            if least <= delay or to <= self._fast_to:
                if 0.0 <= delay - least < GRAIN_SECONDS:
                    known = (place, least)
                    marks.pop()
                break
            marks.pop()
        marks.append(known)
        to, least = marks[0]
        if to + least < now - LOOKAHEAD_SECONDS or len(marks) > MOST_MARKS:
            del marks[0]

    def at(self, place: float) -> float:
        """Return when the sound at ``place`` was spoken, as far as can be told by now: later sound may say earlier.

        Sound has come before this is asked.
        """
        marks = self._marks
        number = bisect_left(marks, (place, 0.0))
        return place + marks[min(number, len(marks) - 1)][1]
