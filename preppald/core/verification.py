"""Judges two texts of one turn, the live transcription's and a second, better ear's: what is wrong with the first.

The two are aligned by words, by characters in scripts that set no blanks. Any two transcriptions differ in single words
all along; a defect is a stretch in which one text has words that the other has not. So of every stretch the words of one
text are counted against those of the other and against those that agree, and the stretch with the largest surplus is
judged by its size and its place (the largest sum of consecutive numbers, by Kadane's algorithm).

Where both texts are wrong alike nothing can be found.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
import difflib
import enum
import math
import unicodedata

from preppald.core.turns import unspaced
from preppald.core.writing import guessed

# A defect: so many words, or this share of a turn that is short; less is the usual difference of two ears.
DEFECT_WORDS = 5
DEFECT_SHARE = 0.25
# The surplus that is left of a defect where one of its words is missing from the other text, too; and the least, for in
# a turn of ten words two missing in a row are no sign of anything.
LOST_TO_NOISE = 1
LEAST_SURPLUS = 3
# A stretch with no more agreeing words before it is at the beginning of the turn, or at the end with no more after it.
EDGE_WORDS = 1
# Two texts of one turn agree in more than half of their words, even where half of one is missing.
UNRELATED_SHARE = 0.3
# In a turn of eleven words, and what noise adds, five may be most of it. There the agreeing words are counted against the
# shorter text's, and of the words beside a defect each counts: two are the most that noise puts at an edge.
SHORT_WORDS = 14
SHORT_EDGE_WORDS = 2
# One word in place of another, or in place of none, is no more than the usual difference of two ears.
LEAST_WORDS = 2
# Voice by our own ear without a word of it: a cough and a "hm" are shorter.
UNHEARD_SECONDS = 2.0
# Six minutes of a fast speaker. The alignment takes the square of it in time.
MOST_WORDS = 4_000


class Flag(enum.StrEnum):
    """The finding about the live transcription of one turn."""

    OK = "ok"
    START_MISSING = "start missing"
    END_MISSING = "end missing"
    WORDS_MISSING = "words missing"
    INVENTED = "invented"
    OTHER_LANGUAGE = "other language"
    UNHEARD = "unheard"


@dataclass(frozen=True, slots=True)
class Verdict:
    """``confidence``: in the live text, the share of words in which both agree, 0 to 1. ``second_is_better``: which to trust."""

    flag: Flag
    confidence: float

    @property
    def second_is_better(self) -> bool:
        return self.flag is not Flag.OK


def judge(live: str, second: str, voice_seconds: float) -> Verdict:
    """Return what is wrong with the live text of a turn. ``voice_seconds``: of voice in it, by our own ear.

    A turn of more than ``MOST_WORDS`` words is judged by that many.
    """
    ours, theirs = words(live)[:MOST_WORDS], words(second)[:MOST_WORDS]
    if not ours:
        missed = bool(theirs) and voice_seconds >= UNHEARD_SECONDS
        return Verdict(Flag.UNHEARD if missed else Flag.OK, 0.0 if theirs else 1.0)
    if not theirs:
        return Verdict(Flag.INVENTED if len(ours) >= LEAST_WORDS else Flag.OK, 0.0)
    steps = list(_aligned(ours, theirs))
    agreeing = steps.count(_Step.BOTH)
    share = round(2 * agreeing / (len(ours) + len(theirs)), 3)
    short = len(theirs) < SHORT_WORDS
    related = agreeing / min(len(ours), len(theirs)) if short else share
    unrelated = related < UNRELATED_SHARE
    flag = _unrelated(live, second, len(ours), len(theirs)) if unrelated else _flag(steps, len(theirs))
    return Verdict(flag, share)


def words(text: str) -> list[str]:
    """Return the words without marks and case; each character of a script without blanks is one."""
    found: list[str] = []
    for word in unicodedata.normalize("NFKC", text).casefold().split():
        run = ""
        for character in word:
            if unspaced(character):
                found += [run] if run else []
                found += [character] if character.isalnum() else []
                run = ""
            elif character.isalnum() or unicodedata.category(character)[0] == "M":
                run += character
        found += [run] if run else []
    return found


class _Step(enum.Enum):
    """One word of an alignment."""

    BOTH = enum.auto()
    OTHER_WORD = enum.auto()
    LIVE_ONLY = enum.auto()
    SECOND_ONLY = enum.auto()


def _aligned(ours: Sequence[str], theirs: Sequence[str]) -> Iterator[_Step]:
    matcher = difflib.SequenceMatcher(None, ours, theirs, autojunk=False)
    for tag, our_begin, our_end, their_begin, their_end in matcher.get_opcodes():
        if tag == "equal":
            yield from [_Step.BOTH] * (our_end - our_begin)
            continue
        # Words in place of words are other words for the same; only what one text has beyond that is missing or too much.
        ours_here, theirs_here = our_end - our_begin, their_end - their_begin
        pairs = min(ours_here, theirs_here)
        yield from [_Step.OTHER_WORD] * pairs
        yield from [_Step.LIVE_ONLY] * (ours_here - pairs)
        yield from [_Step.SECOND_ONLY] * (theirs_here - pairs)


def _flag(steps: Sequence[_Step], count: int) -> Flag:
    """Return the largest defect of an alignment. ``count``: the words of the second text."""
    bar = max(LEAST_SURPLUS, min(DEFECT_WORDS, math.ceil(count * DEFECT_SHARE)) - LOST_TO_NOISE)
    missing, begin, end = _largest(steps, _Step.SECOND_ONLY)
    invented, _, _ = _largest(steps, _Step.LIVE_ONLY)
    if max(missing, invented) < bar:
        return Flag.OK
    if invented > missing:
        return Flag.INVENTED
    # In a long turn a word of what is missing may agree with another by chance; in a short one any word says where it is.
    short = count < SHORT_WORDS
    telling = {*_Step} - {_Step.LIVE_ONLY} if short else {_Step.BOTH}
    before, after = (sum(it in telling for it in part) for part in (steps[:begin], steps[end:]))
    if min(before, after) > (SHORT_EDGE_WORDS if short else EDGE_WORDS):
        return Flag.WORDS_MISSING
    return Flag.START_MISSING if before <= after else Flag.END_MISSING


def _largest(steps: Sequence[_Step], side: _Step) -> tuple[int, int, int]:
    """Return the largest surplus of one side's words in a stretch, and from where to where that is."""
    best, surplus, begin = (0, 0, 0), 0, 0
    for at, step in enumerate(steps):
        surplus += 1 if step is side else -1
        if surplus <= 0:
            surplus, begin = 0, at + 1
        elif surplus > best[0]:
            best = surplus, begin, at + 1
    return best


def _unrelated(live: str, second: str, ours: int, theirs: int) -> Flag:
    """Return the flag of texts that have next to no word in common; ``ours`` and ``theirs``: how many words they have."""
    languages = {guessed(live), guessed(second)}
    if len(languages) > 1 and None not in languages:
        return Flag.OTHER_LANGUAGE
    if max(ours, theirs) < LEAST_WORDS:
        return Flag.OK
    return Flag.INVENTED if None not in languages or ours - theirs >= LEAST_SURPLUS else Flag.OTHER_LANGUAGE
