"""Transcription fragments, and turns as their sum.

Rule 1: a fragment is the only record; turns are a fold over fragments, so that memory, the
        journal and a replay after a restart can never disagree.
Rule 2: a fragment names its turn and is never revised; joining is concatenation.
"""

from collections.abc import Collection, Iterable, Sequence
import enum
import unicodedata

import msgspec

# Ends the text of a turn that the candidate spoke over, wherever people or models read it.
CUT_MARK = " [interrupted]"
# Latin marks, and Arabic, Urdu and Indic ones; those of Chinese and Japanese need no blank behind them.
SENTENCE_ENDS = frozenset(".!?…\u061f\u06d4\u0964")

# Stands where a part of a transcript could not be read from the disk, wherever people read it.
UNREADABLE = " [unreadable]"
# A process that goes on with an interview numbers its fragments from a leap above the last number on disk: the one
# before may have shown fragments that never got there, and a page ignores a number that it has shown. An interview
# has a few thousand.
SEQ_LEAP = 100_000


class Speaker(enum.StrEnum):
    """The speakers, by the values that browsers and the backend read."""

    USER = "USER"
    AI = "AI"


class Fragment(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A piece of transcript, as it came from Gemini.

    ``seq`` counts up within the interview, from 1. ``turn`` is the number of the turn it belongs to.
    ``text`` is never shown in a repr; it may be empty when the fragment only closes its turn. ``at_ms`` is the wall clock in
    milliseconds. ``heard`` is set when the candidate cut the turn: how many of the turn's characters
    had been played by then. ``late``: its turn was complete already, and others may have come since.

    ``begin_ms`` and ``end_ms`` are when the turn's voice began and ended, ``sound_ms`` when the candidate began to hear
    the reply: wall clock in milliseconds, each on the fragment with which it became known, else None. ``answer``: the
    number of the typed answer that this is.
    """

    seq: int
    turn: int
    speaker: Speaker
    text: str
    at_ms: int
    turn_complete: bool = False
    heard: int | None = None
    # Fields are added at the end only: rows of older versions are read, too.
    late: bool = False
    begin_ms: int | None = None
    end_ms: int | None = None
    sound_ms: int | None = None
    answer: int | None = None

    def __repr__(self) -> str:
        return f"Fragment({self.seq}, turn {self.turn}, {self.speaker}, {len(self.text)} characters)"


class Turn(msgspec.Struct, frozen=True, gc=False):
    """One speaker's words until the other spoke. ``started_ms`` is the wall clock in milliseconds.

    ``begin_ms``, ``end_ms`` and ``sound_ms`` are as in ``Fragment``; None in transcripts of versions without them.
    ``text`` is never shown in a repr. ``unreadable``: a part of it is missing, where ``UNREADABLE`` stands. ``answers``:
    the numbers of the typed answers in it; ``typed``: from which character to which each of them is in the text.
    """

    number: int
    speaker: Speaker
    text: str
    started_ms: int
    complete: bool = False
    heard: int | None = None
    begin_ms: int | None = None
    end_ms: int | None = None
    sound_ms: int | None = None
    unreadable: bool = False
    answers: tuple[int, ...] = ()
    typed: tuple[tuple[int, int], ...] = ()

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

    @property
    def voiced(self) -> str:
        """The text without what was typed."""
        if not self.typed:
            return self.text
        ends = [0, *(edge for stretch in self.typed for edge in stretch), len(self.text)]
        return "".join(self.text[since:until] for since, until in zip(ends[::2], ends[1::2], strict=True))

    def grown(self, fragment: Fragment) -> "Turn":
        """Return the turn with one more fragment of its own."""
        return Turn(
            self.number,
            self.speaker,
            self.text + fragment.text,
            self.started_ms,
            self.complete or fragment.turn_complete,
            self.heard if fragment.heard is None else fragment.heard,
            self.begin_ms if fragment.begin_ms is None else fragment.begin_ms,
            self.end_ms if fragment.end_ms is None else fragment.end_ms,
            self.sound_ms if fragment.sound_ms is None else fragment.sound_ms,
            self.unreadable or fragment.text == UNREADABLE,
            self.answers if fragment.answer is None else (*self.answers, fragment.answer),
            self.typed if fragment.answer is None else (*self.typed, _stretch(fragment, len(self.text))),
        )


class CutReply(msgspec.Struct, frozen=True, gc=False):
    """How much of a reply was heard before the candidate spoke over it: of its sound, and of its turn's text."""

    turn: int
    heard_ms: int
    heard_chars: int


def begun(fragment: Fragment) -> Turn:
    """Return the turn that this first fragment opens."""
    return Turn(
        number=fragment.turn,
        speaker=fragment.speaker,
        text=fragment.text,
        started_ms=fragment.at_ms,
        complete=fragment.turn_complete,
        heard=fragment.heard,
        begin_ms=fragment.begin_ms,
        end_ms=fragment.end_ms,
        sound_ms=fragment.sound_ms,
        unreadable=fragment.text == UNREADABLE,
        answers=() if fragment.answer is None else (fragment.answer,),
        typed=() if fragment.answer is None else (_stretch(fragment, 0),),
    )


def _stretch(fragment: Fragment, begin: int) -> tuple[int, int]:
    return begin, begin + len(fragment.text)


def joined(before: str, utterance: str) -> str:
    """Return an utterance as it goes on behind other words of its turn: as the language joins sentences, with a blank.

    There is none where one of the two brings it, where the script sets none, and before a closing mark.
    """
    if not before or not utterance or before[-1].isspace() or utterance[0].isspace():
        return utterance
    if unspaced(before[-1]) or unicodedata.category(utterance[0]) in {"Po", "Pe", "Pf"}:
        return utterance
    return " " + utterance


def sentence_ends(before: str, after: str) -> bool:
    """Return whether a sentence ends between these two, though no blank says so: "three years." and "Then"."""
    return before[-1:] in SENTENCE_ENDS and after[:1].isalpha() and not after[:1].islower()


def unspaced(character: str) -> bool:
    """Return whether this is a letter or a stop of a script that sets no blanks.

    Those are the full-width ones, apart from Korean.
    """
    wide = unicodedata.east_asian_width(character) in {"W", "F"}
    written = unicodedata.category(character)[0] in "LP"
    return wide and written and not unicodedata.name(character, "").startswith("HANGUL")


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


def with_holes(fragments: Sequence[Fragment], lost_to: int = 0) -> list[Fragment]:
    """Put a fragment ``UNREADABLE`` wherever numbers are missing.

    ``fragments``: in the order of ``seq``, from the interview's first. Numbers count up by one, or by one and whole
    leaps where another process went on. ``lost_to``: the highest number that is known to have existed.
    """
    found: list[Fragment] = []
    new_turn = 1 + max((it.turn for it in fragments), default=0)
    cut = {it.turn for it in fragments if it.heard is not None}
    for fragment in fragments:
        last = found[-1] if found else None
        if (fragment.seq - 1 - (last.seq if last else 0)) % SEQ_LEAP:
            found.append(_hole(last, fragment, cut, new_turn))
        found.append(fragment)
    if found and lost_to > found[-1].seq:
        found.append(_hole(found[-1], None, cut, new_turn))
    return found


def _hole(last: Fragment | None, following: Fragment | None, cut: Collection[int], new_turn: int) -> Fragment:
    """Return a mark in the turn before the hole; where there is none, or only a part of it was heard, in the one after it."""
    if last is not None and last.turn not in cut:
        return Fragment(last.seq + 1, last.turn, last.speaker, UNREADABLE, last.at_ms)
    if following is not None:
        return Fragment(following.seq - 1, following.turn, following.speaker, UNREADABLE, following.at_ms)
    if last is None:
        raise ValueError("a hole is before or after something")
    return Fragment(last.seq + 1, new_turn, last.speaker, UNREADABLE, last.at_ms + 1)
