"""What the journal costs: 500 sessions that say five fragments a second, for ten seconds.

    python -m tests.bench.journal [--sessions N] [--seconds N] [--state-dir DIR]

Prints the share of one core that the journal takes (all of this process, less the same talk without a
journal), and how late a tick on the same loop is, with and without it: that is the audio's latency. The loop
ticks as often as the metronome makes it, because a wake of an idle process costs several times as much.
"""

import argparse
from datetime import UTC, datetime
from pathlib import Path
import sys
import tempfile
import time

import trio

from preppald import metronome
from preppald.core.turns import Fragment, Speaker
from preppald.journal import Journal, OnDisk
from tests.durable import Notes, interview

FRAGMENTS_PER_SECOND = 5
TICK_SECONDS = metronome.TICK_SECONDS / metronome.PHASES
TEXT = "and then we moved the whole thing over to a queue, which " * 2 + "took a good while to get right"


def now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


async def talk(journal: Journal | None, sessions: int, seconds: float) -> tuple[float, list[float]]:
    """CPU seconds used, and by how much each tick was late, in seconds, sorted."""
    late: list[float] = []
    if journal is not None:
        for number in range(sessions):
            journal.begin(interview(f"interview-{number:04}-0123456789abcdef"))
        await journal.flush()
    # The sessions are spread over the ticks, as the metronome spreads them.
    ticks = round(seconds / TICK_SECONDS)
    ticks_per_fragment = round(1 / FRAGMENTS_PER_SECOND / TICK_SECONDS)
    began, cpu = trio.current_time(), time.process_time()
    for tick in range(ticks):
        due = began + tick * TICK_SECONDS
        await trio.sleep_until(due)
        late.append(trio.current_time() - due)
        seq = tick // ticks_per_fragment + 1
        at_ms = now_ms()
        for number in range(tick % ticks_per_fragment, sessions, ticks_per_fragment):
            said = [Fragment(seq, seq // 9, Speaker.AI, TEXT, at_ms)]
            if journal is not None:
                journal.add_fragments(f"interview-{number:04}-0123456789abcdef", 1, said)
    return time.process_time() - cpu, sorted(late)


def put(line: str) -> None:
    sys.stdout.write(line + "\n")


async def main(sessions: int, seconds: float, state_dir: Path) -> None:
    idle_cpu, idle_late = await talk(None, sessions, seconds)
    journal = Journal(OnDisk(state_dir), log=Notes(), now_ms=now_ms)
    async with trio.open_nursery() as nursery:
        await nursery.start(journal.run)
        busy_cpu, busy_late = await talk(journal, sessions, seconds)
        await journal.flush()
        kept = 0
        for number in range(sessions):
            kept += len(await journal.fragments(f"interview-{number:04}-0123456789abcdef", 1))
        nursery.cancel_scope.cancel()
    share = (busy_cpu - idle_cpu) / seconds
    put(f"{sessions} sessions, {kept / seconds:.0f} fragments/s of {len(TEXT)} characters, {seconds:.0f} s")
    put(f"the journal: {share:.1%} of a core")
    for name, late in (("without", idle_late), ("with", busy_late)):
        p50, p99 = (late[int(len(late) * share)] * 1000 for share in (0.5, 0.99))
        put(
            f"a tick {name:>7} it is late by {p50:.2f} ms p50, {p99:.2f} ms p99, {late[-1] * 1000:.2f} ms max"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--state-dir", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        trio.run(main, given.sessions, given.seconds, given.state_dir or Path(scratch) / "state")
