"""Learns how loud a candidate's room is, by minimum statistics: speech pauses several times a second, so the lowest level
of late is the room's.

A level that hardly varies is a machine's, however loud it is: no voice stays within a factor of two for ten seconds.
"""

# The room before anything is known of it; noise above this is taken for voice until it has proved to be none.
FIRST_FLOOR = 1.0
# How fast the floor follows, in each tenth of a second: down in half a second, up in ten.
FALL = 0.2
RISE = 0.01
# Of a room that is new it is learned in two seconds.
FIRST_RISE = 0.1
RISE_DECAY = 0.97
# Voice stands this much clear of the room: measured on the samples of this project with white and pink noise, this
# finds speech at a signal-to-noise ratio of 0 dB, and takes less than 2 % of a noise's blocks for voice.
CLEAR_RATIO = 1.35
CLEAR_LEVEL = 0.4
# A level that stays within this ratio for so long is a machine's.
STEADY_RATIO = 2.2
STEADY_SECONDS = 10.0


class Room:
    """One microphone's. ``floor``: the room's level; ``steady_seconds``: for how long the level has hardly varied."""

    __slots__ = ("_high", "_low", "_rise", "floor", "steady_seconds")

    def __init__(self) -> None:
        self.floor = FIRST_FLOOR
        self.steady_seconds = 0.0
        self._rise = FIRST_RISE
        # The bounds of a level that hardly varies.
        self._low = self._high = 0.0

    def hear(self, level: float, seconds: float) -> bool:
        """Take the level of the sound that came; return whether that is a machine's, which makes it the room's."""
        floor = self.floor
        self.floor = floor + (level - floor) * (FALL if level < floor else self._rise)
        if self._rise > RISE:
            self._rise = max(RISE, self._rise * RISE_DECAY)
        low, high = self._low, self._high
        if level > low * STEADY_RATIO + CLEAR_LEVEL or high > level * STEADY_RATIO + CLEAR_LEVEL:
            self._low = self._high = level
            self.steady_seconds = 0.0
            return False
        if level < low:
            self._low = level
        elif level > high:
            self._high = level
        self.steady_seconds += seconds
        if self.steady_seconds < STEADY_SECONDS:
            return False
        self.floor = max(self.floor, (self._low + self._high) / 2)
        return True
