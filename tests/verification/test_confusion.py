"""How well defects are told: 400 turns with one and 400 without, for each of ten seeds, and as many short turns."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
import random
import re

import pytest

from preppald.core.verification import Flag, judge, words
from tests.verification.defects import LEFT, Case, cases, lost, short_cases

SEEDS = range(1, 11)
TURNS = 400
FOUND_SHARE = 0.99
FALSE_SHARE = 0.01
# Turns of one size; their sizes; and the words that they lack at their start.
SIZED = 1000
LENGTHS = (4, 6, 8, 11)
LACKING = (1, 2, 3, 4, 5)
PAGE = Path(__file__).parents[2] / "docs" / "verification.md"


def told(case: Case) -> Flag:
    return judge(case.live, case.second, case.seconds).flag


def confusion(seed: int, make: Callable[[int, int], list[Case]] = cases) -> Counter[tuple[Flag, Flag]]:
    """Count turns by the right flag and the flag that they got."""
    return Counter((case.flag, told(case)) for case in make(seed, TURNS))


@pytest.mark.parametrize("make", [cases, short_cases])
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.slow
def test_defects_are_told_and_clean_turns_are_left_alone(
    seed: int, make: Callable[[int, int], list[Case]]
) -> None:
    """At least 99 % of the defects with the right kind, at most 1 % of the clean turns flagged."""
    found = confusion(seed, make)
    right = sum(count for (true, got), count in found.items() if true is got and true is not Flag.OK)
    wrong = sum(count for (true, got), count in found.items() if true is Flag.OK and got is not Flag.OK)
    assert right >= FOUND_SHARE * TURNS, found
    assert wrong <= FALSE_SHARE * TURNS, found


# ------------------------------------------------------------------ the limits


def flagged(turn: int, words: int) -> float:
    """The share of turns of so many words that are flagged for what they lack at the start."""
    chance = random.Random(100 * turn + words)
    return sum(told(lost(turn, words, chance)) is Flag.START_MISSING for _ in range(SIZED)) / SIZED


@pytest.mark.parametrize(("turn", "quarter", "at_least"), [(4, 1, 0.1), (8, 2, 0.01)])
def test_a_quarter_of_a_short_turn_is_lost_to_noise_alone(turn: int, quarter: int, at_least: float) -> None:
    """So no rule whatever tells such a defect from a clean turn: one that found it would flag as many clean ones."""
    chance = random.Random(turn)
    clean = (lost(turn, 0, chance) for _ in range(10 * SIZED))
    gone = sum(len(words(it.second)) - len(words(it.live)) >= quarter for it in clean)
    assert gone > at_least * 10 * SIZED


def test_more_words_are_told_better() -> None:
    """Two never, three mostly, five always."""
    assert flagged(8, 2) < 0.1
    assert 0.9 < flagged(8, 3) < FOUND_SHARE
    assert flagged(8, 5) > FOUND_SHARE


# ------------------------------------------------------------------ the tables


def table(make: Callable[[int, int], list[Case]] = cases) -> str:
    """Return the table in docs: all seeds together."""
    found = sum((confusion(seed, make) for seed in SEEDS), Counter[tuple[Flag, Flag]]())
    flags = list(Flag)
    lines = [
        f"| really | {' | '.join(flags)} |",
        f"|---|{'---|' * len(flags)}",
        *(
            f"| {true} | {' | '.join(str(found[true, got] or '') for got in flags)} |"
            for true in flags
            if any(found[true, got] for got in flags)
        ),
    ]
    return "\n".join(re.sub(" +", " ", line) for line in lines)


def sizes() -> str:
    """Return the table of what is told of short turns by the number of words that they lack."""
    lines = [
        f"| words of the turn | {' | '.join(f'{count} missing' for count in LACKING)} |",
        f"|---|{'---|' * len(LACKING)}",
    ]
    for turn in LENGTHS:
        shares = (f"{flagged(turn, count):.0%}" if count <= turn - LEFT else "" for count in LACKING)
        lines.append(f"| {turn} | {' | '.join(shares)} |")
    return "\n".join(re.sub(" +", " ", line) for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("make", [table, partial(table, short_cases), sizes])
def test_the_tables_in_docs_are_these(make: Callable[[], str]) -> None:
    assert make() in PAGE.read_text()


if __name__ == "__main__":
    print(table(), table(short_cases), sizes(), sep="\n\n")  # noqa: T201 - a command
