"""Judges one interview of a chaos round: what its candidate saw against the shared journal and the backend. Pure: no I/O."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
import re

from preppald.core.turns import Fragment, fold, in_order

# Gemini says each line once in a run.
LINE = re.compile(r"(?:question|answer)-\d+-\d+")
# The candidate's line is gone when the interview ends: the words of its last seconds it may not see.
UNSEEN_LINES = 2
# A word is shown at once, is on the disk after 80 ms, and in the database a tenth of a second later at the median. A process
# that is killed takes words that are not on the disk yet, and a disk those that are not in the database yet: of so many
# seconds, where both have their cores.
UNWRITTEN_SECONDS = 0.5
UNSENT_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known of one interview in the end.

    ``shown``: each fragment that the candidate got, as "SPEAKER:text", by its number. ``held``: the fragments in the
    shared journal; ``late``: those that came too late for its transcript. ``posted``: the lines at the backend, None where
    it has no transcript; ``transcripts``: how many it was sent. ``struck``: for each fragment how long
    after it was shown the fault came, in seconds; ``unsafe``: fragments that near to the fault may be gone with it.
    """

    interview_id: str
    shown: Mapping[int, str]
    held: Sequence[Fragment]
    late: Sequence[Fragment]
    posted: Sequence[str] | None
    transcripts: int
    status: str
    struck: Mapping[int, float] = field(default_factory=dict)
    unsafe: float = 0.0

    def lines_shown(self) -> list[str]:
        return _lines(self.shown[seq] for seq in sorted(self.shown))

    def lines_late(self) -> list[str]:
        """Return the lines that the candidate saw, and that are only among what came too late."""
        late = set(_lines(_marked(self.late))) - set(_lines(_marked(self.held)))
        return [it for it in self.lines_shown() if it in late]

    def lines_lost(self) -> list[str]:
        """Return the lines that the candidate saw, and that are nowhere."""
        kept = {*_lines(_marked(self.held)), *_lines(_marked(self.late))}
        return [it for it in self.lines_shown() if it not in kept]


def faults(it: Evidence) -> Iterator[str]:
    """Yield a sentence for each thing that must not be."""
    name = it.interview_id
    if not it.shown and not it.held:
        yield f"{name}: nobody said a word"
        return
    if it.posted is None:
        yield f"{name}: the backend has no transcript"
        return
    if not it.shown:
        yield f"{name}: the candidate saw no word"
    if it.transcripts != 1 or it.status != "COMPLETED":
        yield f"{name}: {it.transcripts} transcripts, {it.status}"
    yield from _kept(it)
    wanted = [turn.spoken.strip() for turn in in_order(fold(it.held).values())]
    if list(it.posted) != wanted:
        lacks = sum((Counter(wanted) - Counter(it.posted)).values())
        more = sum((Counter(it.posted) - Counter(wanted)).values())
        yield f"{name}: of {len(wanted)} turns in the database {lacks} were not posted, and {more} others were"
    posted = LINE.findall(" ".join(it.posted))
    if len(set(posted)) != len(posted):
        yield f"{name}: a line stands twice"
    unseen = set(posted) - set(it.lines_shown())
    if len(unseen) > UNSEEN_LINES:
        yield f"{name}: {len(unseen)} lines were posted that the candidate did not see"


def _kept(it: Evidence) -> Iterator[str]:
    """Every fragment that the candidate saw is in the shared journal, as it was seen."""
    held = dict(zip((one.seq for one in it.held), _marked(it.held), strict=True))
    late = {one.seq for one in it.late}
    others = sum(seq in held and held[seq] != words for seq, words in it.shown.items())
    if others:
        yield f"{it.interview_id}: {others} fragments were shown with other words than the database has"
    excused = {seq for seq, seconds in it.struck.items() if abs(seconds) < it.unsafe}
    nowhere = it.shown.keys() - held.keys() - late - excused
    if nowhere:
        first = min(nowhere)
        before = f", {it.struck[first]:.2f} s before the fault" if first in it.struck else ""
        yield f"{it.interview_id}: {len(nowhere)} fragments were shown and are nowhere, from number {first}{before}"


def _marked(fragments: Sequence[Fragment]) -> list[str]:
    return [f"{it.speaker.value}:{it.text}" for it in fragments]


def _lines(marked: Iterable[str]) -> list[str]:
    """Return the lines in fragments; one may be cut into several of them."""
    said: dict[str, list[str]] = {}
    for words in marked:
        speaker, _, text = words.partition(":")
        said.setdefault(speaker, []).append(text)
    return [line for parts in said.values() for line in LINE.findall("".join(parts))]
