"""Transcription fragments, and turns as their sum.

Rule 1: a fragment is the only record; turns are a fold over fragments, so that memory, the
        journal and a replay after a restart can never disagree.
Rule 2: a fragment names its turn and is never revised; joining is concatenation.
"""

from collections.abc import Iterable
import enum

import msgspec

# Ends the text of a turn that the candidate spoke over, wherever people or models read it.
CUT_MARK = " [interrupted]"


class Speaker(enum.StrEnum):
    """The speakers, by the values that browsers and the backend read."""

    USER = "USER"
    AI = "AI"


class Fragment(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A piece of transcript, as it came from Gemini.

    ``seq`` counts up within the interview, from 1. ``turn`` is the number of the turn it belongs to.
    ``text`` is never shown in a repr; it may be empty when the fragment only closes its turn. ``at_ms`` is the wall clock in
    milliseconds. ``heard`` is set when the candidate cut the turn: how many of the turn's characters
    had been played by then.
    """

    seq: int
    turn: int
    speaker: Speaker
    text: str
    at_ms: int
    turn_complete: bool = False
    heard: int | None = None

    def __repr__(self) -> str:
        return f"Fragment({self.seq}, turn {self.turn}, {self.speaker}, {len(self.text)} characters)"


class Turn(msgspec.Struct, frozen=True, gc=False):
    """One speaker's words until the other spoke. ``started_ms`` is the wall clock in milliseconds.

    ``text`` is never shown in a repr.
    """

    number: int
    speaker: Speaker
    text: str
    started_ms: int
    complete: bool = False
    heard: int | None = None

    def __repr__(self) -> str:
        return f"Turn({self.number}, {self.speaker}, {len(self.text)} characters)"

    @property
    def cut(self) -> bool:
        """True where the candidate spoke over the turn."""
        return self.heard is not None

    @property
    def spoken(self) -> str:
        """The text that was really heard; a cut turn ends with ``CUT_MARK``."""
        if self.heard is None:
            return self.text
        return self.text[: self.heard].rstrip() + CUT_MARK

    def grown(self, fragment: Fragment) -> "Turn":
        """Return the turn with one more fragment of its own."""
        return Turn(
            self.number,
            self.speaker,
            self.text + fragment.text,
            self.started_ms,
            self.complete or fragment.turn_complete,
            self.heard if fragment.heard is None else fragment.heard,
        )


def begun(fragment: Fragment) -> Turn:
    """Return the turn that this first fragment opens."""
    return Turn(
        number=fragment.turn,
        speaker=fragment.speaker,
        text=fragment.text,
        started_ms=fragment.at_ms,
        complete=fragment.turn_complete,
        heard=fragment.heard,
    )


def fold(fragments: Iterable[Fragment]) -> dict[int, Turn]:
    """Return all turns by number, from the fragments in the order of their ``seq``."""
    turns: dict[int, Turn] = {}
    for fragment in fragments:
        known = turns.get(fragment.turn)
        turns[fragment.turn] = begun(fragment) if known is None else known.grown(fragment)
    return turns


def in_order(turns: Iterable[Turn]) -> list[Turn]:
    """Return the transcript: the turns of which something was heard, in the order in which they began."""
    said = [turn for turn in turns if turn.text.strip() and turn.heard != 0]
    return sorted(said, key=lambda turn: (turn.started_ms, turn.number))
