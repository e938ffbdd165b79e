"""How well defects are told: 400 turns with one and 400 without, for each of ten seeds."""

from collections import Counter
from pathlib import Path
import re

import pytest

from preppald.core.verification import Flag, judge
from tests.verification.defects import Case, cases

SEEDS = range(1, 11)
TURNS = 400
FOUND_SHARE = 0.99
FALSE_SHARE = 0.01
PAGE = Path(__file__).parents[2] / "docs" / "verification.md"


def told(case: Case) -> Flag:
    return judge(case.live, case.second, case.seconds).flag


def confusion(seed: int) -> Counter[tuple[Flag, Flag]]:
    """Count turns by the right flag and the flag that they got."""
    return Counter((case.flag, told(case)) for case in cases(seed, TURNS))


@pytest.mark.parametrize("seed", SEEDS)
def test_defects_are_told_and_clean_turns_are_left_alone(seed: int) -> None:
    """At least 99 % of the defects with the right kind, at most 1 % of the clean turns flagged."""
    found = confusion(seed)
    right = sum(count for (true, got), count in found.items() if true is got and true is not Flag.OK)
    wrong = sum(count for (true, got), count in found.items() if true is Flag.OK and got is not Flag.OK)
    assert right >= FOUND_SHARE * TURNS, found
    assert wrong <= FALSE_SHARE * TURNS, found


def table() -> str:
    """Return the table in docs: all seeds together."""
    found = sum((confusion(seed) for seed in SEEDS), Counter[tuple[Flag, Flag]]())
    flags = list(Flag)
    lines = [
        f"| really | {' | '.join(flags)} |",
        f"|---|{'---|' * len(flags)}",
        *(f"| {true} | {' | '.join(str(found[true, got] or '') for got in flags)} |" for true in flags),
    ]
    return "\n".join(re.sub(" +", " ", line) for line in lines)


@pytest.mark.slow
def test_the_table_in_docs_is_this_one() -> None:
    assert table() in PAGE.read_text()


if __name__ == "__main__":
    print(table())  # noqa: T201 - a command
