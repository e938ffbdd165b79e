"""How a talk went, in numbers: computed from its turns and their times alone, so that any old interview has them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from preppald.core.presence import Presence
from preppald.core.timeline import Spoken
from preppald.core.turns import Speaker, unspaced

MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Service:
    """The daemon's own part in how a talk went: counts, and times in milliseconds.

    ``false_interruptions``: replies that broke off for no voice of the candidate's, and were taken up again.
    ``prompts``: interventions at a silent interviewer. ``gaps``: times without Gemini; ``gap_ms``: in all.
    ``credited_ms``: given back for that. ``dropped_ms``: of the candidate's sound, never sent. A process that goes on with
    another's interview counts from there; the credit is of all of them.
    """

    false_interruptions: int = 0
    prompts: int = 0
    gaps: int = 0
    gap_ms: int = 0
    gap_longest_ms: int = 0
    credited_ms: int = 0
    dropped_ms: int = 0
    rotations: int = 0
    restorations: int = 0


@dataclass(frozen=True, slots=True)
class Quality:
    """The numbers of one talk; times in milliseconds, None where there was nothing to measure.

    ``wait_…``: from the end of the candidate's voice to the first sound of the reply; the 50th and 99th percentile, as
    the nearest rank, and the longest of ``waits``. ``…_silence_ms``: the longest stretch without that side's voice.
    ``candidate_share``: of all speech, 0 to 1. ``words_a_minute``: of the candidate; of scripts without blanks characters.
    ``service``: what only the daemon saw; None where its counts were not kept. ``presence``: when both ends were there; None
    where that was not kept.
    """

    candidate_turns: int
    interviewer_turns: int
    interruptions: int
    waits: int
    wait_p50_ms: int | None
    wait_p99_ms: int | None
    wait_longest_ms: int | None
    candidate_ms: int
    interviewer_ms: int
    candidate_share: float | None
    candidate_silence_ms: int
    interviewer_silence_ms: int
    words_a_minute: float | None
    service: Service | None = None
    presence: Presence | None = None

    def summary(self) -> dict[str, float]:
        """Return the few numbers that a log line has room for; times in seconds."""
        found = {
            "wait_p50_seconds": _seconds(self.wait_p50_ms),
            "wait_p99_seconds": _seconds(self.wait_p99_ms),
            "candidate_share": self.candidate_share,
            "words_a_minute": self.words_a_minute,
        }
        return {name: value for name, value in found.items() if value is not None}


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else round(milliseconds / 1000, 2)


def quality(
    timeline: Sequence[Spoken],
    length_ms: int,
    service: Service | None = None,
    presence: Presence | None = None,
) -> Quality:
    """Return the numbers of a talk. ``timeline``: its turns in order. ``length_ms``: how long the interview lasted."""
    sides = {side: [it for it in timeline if it.turn.speaker is side] for side in Speaker}
    candidate, interviewer = sides[Speaker.USER], sides[Speaker.AI]
    waits = sorted(
        reply.begin_ms - answer.end_ms
        for answer, reply in pairwise(timeline)
        if answer.turn.speaker is Speaker.USER
        and reply.turn.speaker is Speaker.AI
        and reply.begin_ms >= answer.end_ms
    )
    candidate_ms, interviewer_ms = _covered(candidate), _covered(interviewer)
    both = candidate_ms + interviewer_ms
    # Words that were typed took none of the time in which the candidate spoke.
    words = sum(word_count(it.turn.voiced) for it in candidate)
    return Quality(
        candidate_turns=len(candidate),
        interviewer_turns=len(interviewer),
        interruptions=sum(it.turn.cut for it in interviewer),
        waits=len(waits),
        wait_p50_ms=_rank(waits, 50),
        wait_p99_ms=_rank(waits, 99),
        wait_longest_ms=waits[-1] if waits else None,
        candidate_ms=candidate_ms,
        interviewer_ms=interviewer_ms,
        candidate_share=round(candidate_ms / both, 3) if both else None,
        candidate_silence_ms=_longest_silence(candidate, length_ms),
        interviewer_silence_ms=_longest_silence(interviewer, length_ms),
        words_a_minute=round(words * MINUTE_MS / candidate_ms, 1) if candidate_ms else None,
        service=service,
        presence=presence,
    )


def word_count(text: str) -> int:
    """Count the words; each character of a script without blanks is one, its marks are none."""
    count = 0
    for word in text.split():
        wide = sum(unspaced(character) and character.isalpha() for character in word)
        narrow = any(character.isalnum() and not unspaced(character) for character in word)
        count += wide + narrow
    return count


def _rank(ordered: Sequence[int], percent: int) -> int | None:
    """Return the value at the nearest rank; None of nothing."""
    return ordered[-(-len(ordered) * percent // 100) - 1] if ordered else None


def _stretches(turns: Sequence[Spoken]) -> list[tuple[int, int]]:
    """Return the stretches of time in which these turns were heard, in order, none over another."""
    found: list[tuple[int, int]] = []
    for begin, end in sorted((it.begin_ms, it.end_ms) for it in turns):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((begin, end))
    return found


def _covered(turns: Sequence[Spoken]) -> int:
    return sum(end - begin for begin, end in _stretches(turns))


def _longest_silence(turns: Sequence[Spoken], length_ms: int) -> int:
    edges = [0, *(edge for stretch in _stretches(turns) for edge in stretch), length_ms]
    return max(0, *(after - before for before, after in zip(edges[::2], edges[1::2], strict=True)))
