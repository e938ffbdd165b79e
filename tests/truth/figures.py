"""Interviews side by side in every condition, and how far what is exported of them is off."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
import itertools
from pathlib import Path

import trio

from tests.processes.daemon import Daemon
from tests.truth.rig import Off, compared, interview, running
from tests.truth.scenes import CONDITIONS
from tests.truth.script import VOICES, Answer, answer

LIMIT_MS = 100
# Speech is held back for no longer by a machine that has enough time; after so many tries it is taken as it is.
LATE_SECONDS = 0.25
TRIES = 3
ROTATIONS = "rotations"


def script(count: int) -> list[Answer]:
    """Return so many answers, in all languages by turns."""
    languages = list(VOICES)
    return [answer(languages[number % 3], number // 3 + number) for number in range(count)]


async def measured(folder: Path, *, answers: int, interviews: int, seed: int) -> list[Off]:
    """Hold so many interviews of so many answers in each condition, all at a time, and compare what is exported."""
    said = script(answers)
    found: list[Off] = []
    async with (
        running(folder / "steady", said, rotates=False) as steady,
        running(folder / ROTATIONS, said, rotates=True) as rotating,
        trio.open_nursery() as nursery,
    ):
        for condition in CONDITIONS:
            here = rotating if condition == ROTATIONS else steady
            for number in range(interviews):
                name = f"{condition}-{number}"
                nursery.start_soon(_one, found, here, name, said, seed)
    return found


async def _one(found: list[Off], here: Daemon, name: str, said: Sequence[Answer], seed: int) -> None:
    """Hold an interview; once more where the machine stood still, which is another condition."""
    condition = name.partition("-")[0]
    for number in itertools.count(1):
        told = f"{name}-{number}"
        player = await interview(here, told, said, condition, seed)
        if player.late <= LATE_SECONDS or number == TRIES:
            found += await compared(here.log.parent, told, player, condition)
            return
        print(f"{told}: the machine stood still for {player.late:.2f} s")  # noqa: T201 - for who reads the figures


def rank(values: Iterable[float], percent: int) -> float:
    """Return the value at the nearest rank of these, without their signs."""
    ordered = sorted(map(abs, values))
    return ordered[-(-len(ordered) * percent // 100) - 1]


def table(found: Sequence[Off]) -> str:
    """Return p50, p99 and the greatest, in milliseconds, by condition, what was measured, and language."""
    rows: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    lost: dict[str, int] = defaultdict(int)
    for it in found:
        if it.ms is None:
            lost[it.condition] += 1
        else:
            rows[it.condition, it.what, it.language].append(it.ms)
    lines = [
        "| condition | time | language | number | p50 | p99 | longest |",
        "|---|---|---|---|---|---|---|",
    ]
    for (condition, what, language), values in sorted(rows.items(), key=_place):
        numbers = " | ".join(f"{rank(values, percent):.0f}" for percent in (50, 99, 100))
        lines.append(f"| {condition} | {what} | {language or 'any'} | {len(values)} | {numbers} |")
    return "\n".join([*lines, *(f"not found in {name}: {count}" for name, count in sorted(lost.items()))])


def _place(row: tuple[tuple[str, str, str], list[float]]) -> tuple[int, str, str]:
    condition, what, language = row[0]
    return CONDITIONS.index(condition), what, language
