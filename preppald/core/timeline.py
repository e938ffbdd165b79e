"""When each turn was spoken, on the recording's clock: milliseconds since the interview began.

Turns of versions that kept no times, and turns that a kill left open, get the nearest times that are known.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from preppald.core.turns import Speaker, Turn

# An end that nobody noted is guessed from the text: people speak some 15 characters of Latin script a second.
CHARACTERS_PER_SECOND = 15


@dataclass(frozen=True, slots=True)
class Spoken:
    """A turn, and from when to when it was heard, in milliseconds since the interview began.

    Of a reply that was cut the end is the cut.
    """

    turn: Turn
    begin_ms: int
    end_ms: int

    @property
    def length_ms(self) -> int:
        return self.end_ms - self.begin_ms

    @property
    def unheard(self) -> str:
        """The text of a cut reply that the candidate did not hear; empty otherwise."""
        return "" if self.turn.heard is None else self.turn.text[self.turn.heard :].strip()


def spoken(turns: Sequence[Turn], started_ms: int, ended_ms: int | None = None) -> list[Spoken]:
    """Return the turns with their times, in the given order.

    ``turns``: a transcript in its order. ``started_ms`` and ``ended_ms``: of the interview, wall clock in milliseconds;
    no turn is outside them.
    """
    found = []
    for number, turn in enumerate(turns):
        begins = _begins(turn)
        ends = turn.end_ms
        if ends is None:
            following = min(
                (_begins(it) for it in turns[number + 1 :] if _begins(it) > begins), default=ended_ms
            )
            guess = begins + len(turn.text) * 1000 // CHARACTERS_PER_SECOND
            ends = guess if following is None else min(guess, following)
        if ended_ms is not None:
            begins, ends = min(begins, ended_ms), min(ends, ended_ms)
        begin = max(0, begins - started_ms)
        found.append(Spoken(turn, begin, max(begin, ends - started_ms)))
    return found


def _begins(turn: Turn) -> int:
    """Return when the turn was first heard, wall clock in milliseconds."""
    heard = turn.sound_ms if turn.speaker is Speaker.AI else None
    return heard or turn.begin_ms or turn.started_ms
