"""kill -9 of a real process that writes a real file: what was flushed is there, whole and in order."""

import os
from pathlib import Path
import random
import signal
import subprocess
import sys

import pytest

from preppald.journal import OnDisk, Which
from tests.durable import EPOCH_MS, finished, running

# Prints the last seq of each interview that is durable, and the interviews whose ending is.
WRITER = """
import os, random, sys, trio
from pathlib import Path
from preppald.journal import Journal, OnDisk
from tests.durable import EPOCH_MS, Notes, finished, interview, said, wall_ms

async def main(state_dir, first, seed):
    rng = random.Random(seed)
    journal = Journal(OnDisk(state_dir, reserve_bytes=0), log=Notes(), now_ms=lambda: EPOCH_MS)
    async with trio.open_nursery() as nursery:
        await nursery.start(journal.run)
        for number in range(first, first + 1000):
            name = f"iv{number}"
            journal.begin(interview(name))
            seq = 1
            for _ in range(rng.randrange(1, 12)):
                count = rng.randrange(1, 300)
                journal.add_fragments(name, 1, said(count, first=seq))
                seq += count
                await journal.flush()
                os.write(1, f"said {name} {seq - 1}\\n".encode())
            journal.end(name, 1, ending="user", cause=None, ended_ms=EPOCH_MS, deliveries=[finished(name)])
            await journal.flush()
            os.write(1, f"ended {name}\\n".encode())

trio.run(main, Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
"""
KILLS = 5


def write_until_killed(state_dir: Path, number: int, lines: int) -> list[str]:
    """What a writer promised, in its own words; it is killed after so many lines."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, state_dir, str(number * 1000), str(number)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert writer.stdout is not None
    heard = [writer.stdout.readline() for _ in range(lines)]
    os.kill(writer.pid, signal.SIGKILL)
    heard += writer.communicate()[0].splitlines()
    assert writer.returncode == -signal.SIGKILL
    return heard


async def test_nothing_flushed_is_lost(tmp_path: Path) -> None:
    """Five processes on one file, each killed at a moment of its own; the next one goes on."""
    rng = random.Random(20261122)
    promised: dict[str, int] = {}
    ended: set[str] = set()
    for number in range(KILLS):
        for line in write_until_killed(tmp_path, number, rng.randrange(10, 60)):
            match line.split():
                case ["said", name, seq]:
                    promised[name] = int(seq)
                case ["ended", name]:
                    ended.add(name)
                case _:
                    pytest.fail(f"the writer said {line!r}")
    assert len(promised) > KILLS
    async with running(OnDisk(tmp_path, reserve_bytes=0), in_thread=None, now_ms=lambda: EPOCH_MS) as journal:
        known = {it.interview_id: it for it in await journal.interviews(Which(limit=10_000))}
        owed = {it.delivery.interview_id: it.delivery for it in (await journal.queue(10_000)).due}
        for name, last in promised.items():
            seqs = [fragment.seq for fragment in await journal.fragments(name, 1)]
            # At least what was promised, without a hole; what was on its way may be there too.
            assert seqs == list(range(1, len(seqs) + 1))
            assert len(seqs) >= last
            assert (known[name].ending is not None) == (name in owed)
        assert ended <= owed.keys()
        assert all(owed[name] == finished(name) for name in ended)
