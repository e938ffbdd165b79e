"""The turns as they really were: the candidate's words by the replies between them, and what was heard of the replies."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.candidates import TICK_SECONDS
from tests.truth.player import Player

# Less of an answer on one side of a reply is no turn: it began just before the reply did.
LEAST_SECONDS = 0.5
# Pieces that are nearer together are of one word, or of two without a pause.
NEAR_SECONDS = 0.05


@dataclass(frozen=True)
class Turn:
    """From when to when it was, on Trio's clock. ``language``: of the candidate's turns."""

    begin: float
    end: float
    language: str = ""

    def common(self, other: "Turn") -> float:
        """Return for how many seconds both were; less than 0: how far apart they are."""
        return min(self.end, other.end) - max(self.begin, other.begin)


def candidates(player: Player) -> list[Turn]:
    """Return the candidate's turns: a word is in the turn that the next reply after its arrival answers.

    Where the line was still holding a part of a word when the reply began, that part is in the next turn.
    """
    begins = [it.begin for it in player.replies]
    found: dict[int, Turn] = {}
    for begin, end, language in _pieces(player):
        sent = player.sent_at((begin + end) / 2)
        if sent is None:
            continue  # lost on the line
        number = bisect_right(begins, sent)
        first = found.get(number)
        found[number] = Turn(begin if first is None else first.begin, end, language)
    turns: list[Turn] = []
    for it in (found[number] for number in sorted(found)):
        last = turns[-1] if turns else None
        if last is not None and _one(last, it):
            turns[-1] = Turn(last.begin, it.end, it.language)
        else:
            turns.append(it)
    return turns


def interviewers(player: Player) -> list[Turn]:
    """Return the interviewer's turns: what was heard of them."""
    return [Turn(it.begin, it.end) for it in player.replies]


def matched(told: Sequence[Turn], truths: Sequence[Turn]) -> tuple[list[tuple[Turn, Turn]], int]:
    """Return the exported turns, each with the truth of it, and how many are of nothing.

    What Gemini wrote nothing down of is no turn: a rotation in the middle of a short answer loses its words.
    """
    pairs, left = [], list(truths)
    for it in told:
        truth = max(left, key=it.common, default=None)
        if truth is not None and it.common(truth) > 0:
            left.remove(truth)
            pairs.append((it, truth))
    return pairs, len(told) - len(pairs)


def _one(before: Turn, after: Turn) -> bool:
    """Return whether these two are one, whose begin or end a reply has cut off by accident."""
    short = min(before.end - before.begin, after.end - after.begin) < LEAST_SECONDS
    return short and after.begin - before.end < NEAR_SECONDS


def _pieces(player: Player) -> Iterator[tuple[float, float, str]]:
    """Yield the words in pieces of 20 ms at most."""
    for word in player.words:
        begin = word.begin
        while begin < word.end:
            end = min(begin + TICK_SECONDS, word.end)
            yield begin, end, word.language
            begin = end
