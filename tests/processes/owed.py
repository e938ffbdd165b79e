"""A daemon that starts with thousands of deliveries owed: how soon a new interview's news is told, and how fast it pays.

python -m tests.processes.owed --owed 5000
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
import tempfile

import trio

from preppald.journal import OnDisk
from preppald.simulator import Scenario, store
from preppald.simulator.scenario import Reply
from tests.candidates import Candidate
from tests.durable import EPOCH_MS, finished, interview, running
from tests.processes.host import ANSWER_SECONDS, Host, host

SCENARIO = Scenario(reply=(Reply(text="Hello.", seconds=1.0),))
# A row at a time is slow, all in one transaction is more than the journal keeps in memory.
BATCH = 250
FRAGMENTS = 10
# Paid at the slowest rate that would be any use: ten a second.
SECONDS_EACH = 0.1
# Enough of them are left when the new interview begins.
STARTS_AT = 0.05


@dataclass(frozen=True, slots=True)
class Paid:
    """``told``: seconds from the candidate's handshake to IN_PROGRESS at the backend. ``each_second``: deliveries."""

    told: float
    owed_then: int
    each_second: float


async def fill(state_dir: Path, count: int) -> None:
    """Interviews that ended while the backend was away."""
    async with running(OnDisk(state_dir, "preppald", reserve_bytes=0)) as journal:
        for start in range(0, count, BATCH):
            for number in range(start, min(start + BATCH, count)):
                name = f"old-{number}"
                journal.begin(interview(name))
                owed = [finished(name, FRAGMENTS)]
                journal.end(name, 1, ending="user", cause=None, ended_ms=EPOCH_MS + 1, deliveries=owed)
            await journal.flush()


async def paid(directory: Path, count: int) -> Paid:
    """Start a daemon that owes ``count`` transcripts, begin an interview, and wait for the last delivery."""
    store.MAX_INTERVIEWS = max(store.MAX_INTERVIEWS, count + 1)  # the simulator forgets the oldest otherwise
    await fill(directory / "state", count)
    async with host(directory, {}, SCENARIO) as here, trio.open_nursery() as nursery:
        began = trio.current_time()
        await here.start()
        await here.ready()
        while len(here.backend.interviews) < count * STARTS_AT:  # noqa: ASYNC110 - another process posts
            await trio.sleep(0.01)
        candidate = Candidate(await here.connect())
        asked = trio.current_time()
        assert await candidate.open("/new", here.token("new")) == 101
        nursery.start_soon(candidate.run)
        with trio.fail_after(30):
            while "new" not in here.backend.interviews:  # noqa: ASYNC110 - another process posts
                await trio.sleep(0.005)
        told, owed_then = trio.current_time() - asked, count - len(here.backend.interviews) + 1
        with trio.fail_after(60 + count * SECONDS_EACH):
            while len(here.backend.interviews) < count + 1:  # noqa: ASYNC110 - another process posts
                await trio.sleep(0.05)
        each_second = count / (trio.current_time() - began)
        _check(here, count)
        await candidate.vanish()
    return Paid(told, owed_then, each_second)


def _check(here: Host, count: int) -> None:
    """Every transcript once, whole."""
    for number in range(count):
        stored = here.backend.interviews[f"old-{number}"]
        assert stored.status == "COMPLETED", number
        assert stored.submissions == 1, number
        assert len(stored.transcript) == FRAGMENTS // 5 + 1, (number, len(stored.transcript))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.processes.owed", description=__doc__.partition("\n")[0]
    )
    parser.add_argument(
        "--owed", type=int, default=5000, help="transcripts owed at the start (default %(default)s)"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        found = trio.run(paid, Path(directory), arguments.owed)
    print(  # noqa: T201 - a command
        f"{arguments.owed} owed: IN_PROGRESS told {found.told * 1000:.0f} ms after the handshake, with {found.owed_then} "
        f"still owed; {found.each_second:.0f} deliveries a second (the backend takes {ANSWER_SECONDS * 1000:.0f} ms each)"
    )


if __name__ == "__main__":
    main()
