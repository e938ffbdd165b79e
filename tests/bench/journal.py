"""What the journal costs: 500 sessions that say five fragments a second, in turns with and without a journal.

    python -m tests.bench.journal [--sessions N] [--seconds N] [--pairs N] [--state-dir DIR]

Prints the share of one core that the journal takes (all of this process, less the same talk without a
journal), and how late a tick on the same loop is, with and without it: that is the audio's latency. The loop
ticks as often as the ticker makes it, because a wake of an idle process costs several times as much. Each
figure is the median of its pairs: the machine's other work comes and goes. On two idle cores, 2026-11-23: 2.9 % of
a core (2.7 to 3.1), a tick late by 1.29 ms p99 without the journal and by 1.28 with it.
"""

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
import sys
import tempfile
import time

import trio

from preppald.core.turns import Fragment, Speaker
from preppald.journal import Journal, OnDisk
from preppald.journal.writer import SETTLE_SECONDS
from preppald.net import ticker
from tests.durable import Notes, interview

FRAGMENTS_PER_SECOND = 5
TICK_SECONDS = ticker.GATHER_SECONDS / ticker.PHASES
TICKS_PER_FRAGMENT = round(1 / FRAGMENTS_PER_SECOND / TICK_SECONDS)
TEXT = "and then we moved the whole thing over to a queue, which " * 2 + "took a good while to get right"


def now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


def name(number: int) -> str:
    return f"interview-{number:04}-0123456789abcdef"


def said(sessions: int, seconds: float) -> int:
    """How many fragments a talk of this length has."""
    whole, rest = divmod(round(seconds / TICK_SECONDS), TICKS_PER_FRAGMENT)
    return whole * sessions + sum(number % TICKS_PER_FRAGMENT < rest for number in range(sessions))


async def talk(
    journal: Journal | None,
    sessions: int,
    seconds: float,
    *,
    epoch: int,
    name: Callable[[int], str] = name,
) -> tuple[float, list[float]]:
    """CPU seconds used, and by how much each tick was late, in seconds, sorted."""
    late: list[float] = []
    if journal is not None:
        for number in range(sessions):
            journal.begin(interview(name(number), epoch=epoch))
        await journal.flush()
    # The sessions are spread over the ticks, as the ticker spreads them.
    began, cpu = trio.current_time(), time.process_time()
    for tick in range(round(seconds / TICK_SECONDS)):
        due = began + tick * TICK_SECONDS
        await trio.sleep_until(due)
        late.append(trio.current_time() - due)
        seq = tick // TICKS_PER_FRAGMENT + 1
        at_ms = now_ms()
        for number in range(tick % TICKS_PER_FRAGMENT, sessions, TICKS_PER_FRAGMENT):
            words = [Fragment(seq, seq // 9, Speaker.AI, TEXT, at_ms)]
            if journal is not None:
                journal.add_fragments(name(number), epoch, words)
    if journal is not None:
        # What is still to be done for these words counts, too.
        await trio.sleep(SETTLE_SECONDS + 1)
    return time.process_time() - cpu, sorted(late)


def put(line: str) -> None:
    sys.stdout.write(line + "\n")


async def main(sessions: int, seconds: float, pairs: int, state_dir: Path) -> None:
    journal = Journal(OnDisk(state_dir), log=Notes(), now_ms=now_ms)
    costs: list[float] = []
    late: dict[str, list[list[float]]] = {"without": [], "with": []}
    expected = said(sessions, seconds)
    async with trio.open_nursery() as nursery:
        await nursery.start(journal.run)
        for pair in range(1, pairs + 1):
            idle_cpu, idle_late = await talk(None, sessions, seconds, epoch=pair)
            busy_cpu, busy_late = await talk(journal, sessions, seconds, epoch=pair)
            await journal.flush()
            kept = 0
            for number in range(sessions):
                kept += len(await journal.fragments(name(number), pair))
            assert kept == expected
            costs.append((busy_cpu - idle_cpu) / seconds)
            late["without"].append(idle_late)
            late["with"].append(busy_late)
        nursery.cancel_scope.cancel()
    put(
        f"{sessions} sessions, {expected / seconds:.0f} fragments/s of {len(TEXT)} characters, {pairs} times {seconds:.0f} s"
    )
    put(f"the journal: {median(costs):.1%} of a core ({', '.join(f'{cost:.1%}' for cost in sorted(costs))})")
    for which, runs in late.items():
        p50, p99, most = (
            median(run[int((len(run) - 1) * share)] for run in runs) for share in (0.5, 0.99, 1)
        )
        put(
            f"a tick {which:>7} it is late by {p50 * 1000:.2f} ms p50, {p99 * 1000:.2f} ms p99, {most * 1000:.2f} ms max"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--state-dir", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        trio.run(main, given.sessions, given.seconds, given.pairs, given.state_dir or Path(scratch) / "state")
