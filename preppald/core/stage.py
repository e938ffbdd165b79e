"""The watchdog's interventions by name."""

import enum


class Stage(enum.StrEnum):
    """The watchdog's interventions; each is counted."""

    GREET_AGAIN = "greet_again"
    NUDGE = "nudge"
    ROTATE = "rotate"
    FRESH = "fresh"
    TELL = "tell"
    GIVE_UP = "give_up"
    TAKE_UP = "take_up"
    STILL_THERE = "still_there"
