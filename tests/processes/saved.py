"""A backup while interviews are written to, the host lost, the backup restored on an empty one: all is delivered once.

python -m tests.processes.saved --interviews 200
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
import json
from pathlib import Path
import shutil
import subprocess
import sys
import tempfile
import time

import trio

from preppald.core.turns import Speaker, fold, in_order
from preppald.simulator import Scenario
from preppald.simulator.scenario import Audio, Reply
from tests.candidates import Candidate
from tests.processes.host import Host, host

# Text comes with each fifth of a second of sound: the journal is written to all the time.
SCENARIO = Scenario(
    reply=(Reply(text=" ".join(f"word-{number}" for number in range(400)), seconds=120.0),),
    audio=Audio(part_ms=200),
)
# Short enough to wait for, long enough for the restored daemon to be looked at before the interviews end.
GRACE_SECONDS = 2.0
SETTINGS = {"PREPPALD_RECONNECT_GRACE": f"{GRACE_SECONDS:.0f}s", "PREPPALD_MAX_SESSIONS": "1000"}
# Handshakes at a time: the daemon bounds those of one address.
AT_ONCE = 4
TALKING_SECONDS = 2.0
SETTLED_SECONDS = 120.0
UNSETTLED = (
    "SELECT 1 FROM interview WHERE phase = 'live' UNION ALL SELECT 1 FROM outbox WHERE state = 'pending'"
)


@dataclass(frozen=True, slots=True)
class Saved:
    """``backup_seconds``: the command's. ``fragments``: in the backup. ``ended``: interviews over before it."""

    interviews: int
    ended: int
    fragments: int
    backup_seconds: float


async def saved(directory: Path, count: int) -> Saved:
    """Let candidates in, back up while all are spoken to, lose the host, restore, and hold the backend against it."""
    async with host(directory, SETTINGS, SCENARIO) as here, trio.open_nursery() as nursery:
        await here.start()
        await here.ready()
        names = [f"iv-{number}" for number in range(count)]
        candidates: dict[str, Candidate] = {}
        limit = trio.CapacityLimiter(AT_ONCE)
        async with trio.open_nursery() as arriving:
            for name in names:
                arriving.start_soon(_arrive, here, name, candidates, limit, nursery)
        for candidate in candidates.values():
            await candidate.until("transcript_update")
        await trio.sleep(TALKING_SECONDS)  # something of each was heard
        over = names[: count // 10]
        for name in over:
            await candidates[name].end()
        await trio.sleep(TALKING_SECONDS)
        began = time.monotonic()
        backup = Path(
            (await _command(here.state_dir, "journal", "backup", str(directory / "backups"))).strip()
        )
        took = time.monotonic() - began
        await here.kill()
        for candidate in candidates.values():
            await candidate.vanish()
        shutil.rmtree(here.state_dir)
        await _command(here.state_dir, "journal", "restore", str(backup))
        kept = _kept(here)
        fragments = sum(map(len, here.said().values()))
        await here.start()
        await here.ready()
        with trio.fail_after(GRACE_SECONDS + SETTLED_SECONDS):
            while here.ask(UNSETTLED):  # noqa: ASYNC110 - it is another process
                await trio.sleep(0.2)
        await here.kill()
        _check(here, names, kept)
    return Saved(count, len(over), fragments, took)


async def _arrive(
    here: Host,
    name: str,
    candidates: dict[str, Candidate],
    limit: trio.CapacityLimiter,
    nursery: trio.Nursery,
) -> None:
    async with limit:
        candidate = Candidate(await here.connect())
        assert await candidate.open(f"/{name}", here.token(name)) == 101
        nursery.start_soon(candidate.run)
        candidates[name] = candidate


async def _command(state_dir: Path, *words: str) -> str:
    done = await trio.run_process(
        [sys.executable, "-m", "preppald", *words],
        env={"PREPPALD_STATE_DIR": str(state_dir)},
        capture_stdout=True,
        stderr=subprocess.STDOUT if words[1] == "restore" else None,
    )
    return done.stdout.decode()


def _kept(here: Host) -> Mapping[str, list[str]]:
    """The transcripts in the restored journal, before any daemon has seen it."""
    return {
        name: [turn.spoken.strip() for turn in in_order(fold(said).values())]
        for name, said in here.said().items()
    }


def _check(here: Host, names: list[str], kept: Mapping[str, list[str]]) -> None:
    """Every interview is at the backend once, with the words of the backup and no others."""
    for name in names:
        stored = here.backend.interviews[name]
        assert stored.status == "COMPLETED", (name, stored.status)
        assert stored.submissions == 1, (name, stored.submissions)
        assert {it.speaker for it in stored.transcript} == {Speaker.AI}, name
        assert [it.content for it in stored.transcript] == kept[name], name
    keys = [key for (key,) in here.ask("SELECT key FROM outbox WHERE state = 'done'")]
    assert len(keys) == len(set(keys)) == 2 * len(names), len(keys)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.processes.saved", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--interviews", type=int, default=200, help="live at a time (default %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        found = trio.run(saved, Path(directory), arguments.interviews)
    print(json.dumps({name: getattr(found, name) for name in found.__slots__}))  # noqa: T201 - a command


if __name__ == "__main__":
    main()
