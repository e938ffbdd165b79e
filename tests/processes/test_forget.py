"""A candidate is forgotten on a host with two daemons: afterwards `grep -r` finds neither an id nor a word."""

from collections.abc import Mapping
from contextlib import closing
import json
import os
from pathlib import Path
import sqlite3
import subprocess
import sys

import trio

from preppald.journal import files
from preppald.simulator import Scenario
from preppald.simulator.scenario import Reply
from tests.processes.daemon import PATIENCE_SECONDS, Daemon, daemon

# Two candidates' words: the simulated Gemini of each daemon has its own.
ADAS, BOBS = "Mein Leuchtturm heisst Quastenflosser.", "Meiner heisst anders, und er bleibt."
ADA = "iv-of-ada-lovelace"


def scenario(words: str) -> Scenario:
    return Scenario(speech=(words,), reply=(Reply(text="Tell me more.", seconds=0.3),))


def preppald(state: Path, *words: str) -> tuple[int, str]:
    """A command of another process, as an operator types it."""
    done = subprocess.run(
        [sys.executable, "-m", "preppald", *words],
        env={**os.environ, "PREPPALD_STATE_DIR": str(state)},
        capture_output=True,
        timeout=PATIENCE_SECONDS * 2,
        check=False,
        text=True,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def grep(state: Path, *needles: str) -> str:
    """The files with one of these words in them, or in their name."""
    patterns = [part for needle in needles for part in ("-e", needle)]
    inside = subprocess.run(["grep", "-rlaF", *patterns, state], capture_output=True, check=False, text=True)
    names = [str(it) for it in state.rglob("*") if any(needle in it.name for needle in needles)]
    return inside.stdout + "\n".join(names)


async def command(state: Path, *words: str) -> str:
    """What it printed; it must succeed."""
    status, said = await trio.to_thread.run_sync(preppald, state, *words)
    assert status == 0, said
    return said


async def interviewed(of: Daemon, nursery: trio.Nursery, interview_id: str) -> None:
    """A candidate who hears the greeting, speaks, and hears a reply."""
    candidate = await of.candidate(nursery, interview_id)
    with trio.fail_after(PATIENCE_SECONDS):
        await candidate.heard_out()
        await candidate.speak(2)
        await candidate.heard_out()


async def recorded(state: Path, *names: str) -> None:
    with trio.fail_after(PATIENCE_SECONDS * 2):
        while not all(any((state / "recordings").glob(f"{name}.1.*")) for name in names):  # noqa: ASYNC110 - another's
            await trio.sleep(0.2)


async def test_a_user_is_forgotten_beside_two_daemons(tmp_path: Path) -> None:
    """Each has an interview of hers and one of his; all are recorded; a damaged file of one was set aside."""
    state = tmp_path / "state"
    shared: Mapping[str, str] = {"PREPPALD_STATE_DIR": str(state), "PREPPALD_RECORD": "on"}
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    async with (
        daemon(tmp_path / "a", {**shared, "PREPPALD_INSTANCE": "a"}, scenario=scenario(ADAS)) as first,
        daemon(tmp_path / "b", {**shared, "PREPPALD_INSTANCE": "b"}, scenario=scenario(BOBS)) as other,
        trio.open_nursery() as nursery,
    ):
        await interviewed(first, nursery, ADA)
        await interviewed(other, nursery, "iv-of-bob")
        status = json.loads(await command(state, "status", "--json"))
        assert [[it["interview"] for it in each["interviews"]] for each in status["instances"]] == [
            [ADA],
            ["iv-of-bob"],
        ]
        refused, why = await trio.to_thread.run_sync(preppald, state, "forget", "--user", ADA)
        assert (refused, "end it first" in why) == (69, True)
        for name in (ADA, "iv-of-bob"):
            await command(state, "end", name, "--reason", "the test is over")
        await recorded(state, ADA, "iv-of-bob")
        aside = state / "a.db.corrupt-20261129T101500.000000Z"
        with closing(files.read_only(state / "a.db")) as source, closing(sqlite3.connect(aside)) as copy:
            source.backup(copy)
        aside.write_bytes(aside.read_bytes()[:100] + b"\xff" * 400 + aside.read_bytes()[500:])
        assert len(grep(state, ADA, ADAS).splitlines()) >= 3

        said = await command(state, "forget", "--user", ADA)
        assert f"forgotten: 1 interviews: {ADA}" in said
        assert "recordings: 1" in said
        assert "set aside: a.db.corrupt" in said
        assert grep(state, ADA, ADAS, "Leuchtturm") == "", "while both daemons run"
        assert BOBS in await command(state, "transcript", "iv-of-bob")
        assert (await command(state, "audit", "--user", ADA)).count("forget") == 1
        for each in (first, other):
            assert not each.lines("journal.moved_on")
            assert not each.lines("journal.fault")
        await interviewed(first, nursery, "iv-of-carol")
        nursery.cancel_scope.cancel()
    assert grep(state, ADA) == "", "the interview of carol has the same simulated words"
