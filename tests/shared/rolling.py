"""Releases of preppald, each in a folder of its own, and hosts that share a PostgreSQL and change from one to another.

An earlier one comes from this repository's history where that is here: a clone may be shallow. The next one is these
sources with another version and with tables that have more, which it uses.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
import json
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
from typing import Any

import trio

import preppald
from preppald.shared import migrations
from tests.processes.host import Host, host
from tests.shared.server import Server
from tests.shared.talks import PATIENCE_SECONDS, SCENARIO, SETTINGS, until

ROOT = Path(preppald.__file__).parent.parent
# The first whose stop gives interviews up to other hosts. To be moved when a change needs a newer one beside it.
EARLIER = "da05874486c8a55504f8c72d83fc47700cdb852f"
# Nearly none, so that talks are given up.
DRAIN = "200ms"
# Added to the modules of a release, at their ends.
STEP = """
STEPS = (*STEPS, Step({oldest_reader}, {sql!r}))
"""
MORE = """
ALTER TABLE preppald.instance ADD COLUMN build text;
ALTER TABLE preppald.interview ADD COLUMN claimed_at timestamptz;
CREATE INDEX interview_claimed ON preppald.interview (claimed_at) WHERE phase = 'live';
CREATE TABLE preppald.notice (number bigint PRIMARY KEY, words text);
"""
MORE_USED = """
PRESENT = PRESENT.replace("SET name", "SET build = %(version)s, name")
CLAIM = CLAIM.replace("SET owner = mine.id,", "SET claimed_at = clock_timestamp(), owner = mine.id,")
assert "build" in PRESENT and "claimed_at" in CLAIM
"""
OTHERWISE = "ALTER TABLE preppald.late ADD COLUMN why text;"


@dataclass(frozen=True)
class Release:
    """``folder``: with the package in it. ``version``: as it tells the other hosts."""

    folder: Path
    version: str

    @property
    def settings(self) -> Mapping[str, str]:
        """Return what makes Python run this one, wherever it is started."""
        return {"PYTHONPATH": str(self.folder), "PYTHONSAFEPATH": "1"}

    async def told(self, url: str, *arguments: str) -> list[dict[str, Any]]:
        """Return the answer of a command of this release, which lists something as JSON."""
        done = await trio.run_process(
            [sys.executable, "-m", "preppald", *arguments],
            env={**self.settings, "PREPPALD_SHARED_JOURNAL": url, "PREPPALD_STATE_DIR": str(self.folder)},
            capture_stdout=True,
        )
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found


def earlier(folder: Path, ref: str = "") -> Release:
    """Return an earlier build: of the commit that is asked for or ``EARLIER``; without the history, these sources."""
    ref = ref or os.environ.get("EARLIER", "") or EARLIER
    git = ["git", "-C", str(ROOT)]
    there = (
        shutil.which("git")
        and not subprocess.run(
            [*git, "cat-file", "-e", f"{ref}^{{commit}}"], check=False, capture_output=True
        ).returncode
    )
    if not there:
        return these(folder, "0.0.1")
    folder.mkdir()
    archive = subprocess.run([*git, "archive", ref, "preppald"], check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)
    return _called(folder, f"0.0.1+{ref[:7]}")


def these(folder: Path, version: str) -> Release:
    """Return these sources as a release."""
    shutil.copytree(ROOT / "preppald", folder / "preppald")
    return _called(folder, version)


def following(folder: Path) -> Release:
    """Return the next release: its tables have more columns, an index and a table, and it writes to them."""
    it = these(folder, "0.2.0")
    _add(it, "shared/migrations.py", STEP.format(oldest_reader=1, sql=MORE))
    _add(it, "shared/statements.py", MORE_USED)
    return it


def incompatible(folder: Path) -> Release:
    """Return a release whose tables those before it may not use."""
    it = these(folder, "1.0.0")
    _add(it, "shared/migrations.py", STEP.format(oldest_reader=1, sql=MORE))
    _add(it, "shared/migrations.py", STEP.format(oldest_reader=len(migrations.STEPS) + 2, sql=OTHERWISE))
    return it


def _called(folder: Path, version: str) -> Release:
    (folder / "preppald" / "__init__.py").write_text(f'__version__ = "{version}"\n')
    # Once, and not by each of the hosts that start at one moment.
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(folder)], check=True)
    return Release(folder, version)


def _add(it: Release, module: str, source: str) -> None:
    with (it.folder / "preppald" / module).open("a") as file:
        file.write(source)


@asynccontextmanager
async def fleet(directory: Path, server: Server, *names: str) -> AsyncIterator[list[Host]]:
    """Hosts with one Gemini and one backend, each with a disk of its own; none is started."""
    shared = {**SETTINGS, "PREPPALD_SHARED_JOURNAL": server.url, "PREPPALD_DRAIN": DRAIN}
    async with AsyncExitStack() as stack:
        found: list[Host] = []
        for name in names:
            (directory / name).mkdir()
            found.append(await stack.enter_async_context(host(directory / name, shared, SCENARIO)))
            shared["PREPPALD_GEMINI_URL"] = f"ws://127.0.0.1:{found[0].gemini_port}"
            shared["NEXT_PUBLIC_API_URL"] = f"http://127.0.0.1:{found[0].backend_port}"
            shared = dict(shared)
        yield found


async def begun(release: Release, *hosts: Host) -> None:
    """Start hosts with a release, until they are at work."""
    for it in hosts:
        await start(it, release)
    for it in hosts:
        await at_work(it)


async def start(it: Host, release: Release) -> None:
    """Begin to start a host's daemon as of a release."""
    it.settings = {**it.settings, **release.settings}
    await it.start()


async def at_work(it: Host) -> None:
    """Return when a host that starts takes interviews, and has its place in the shared journal."""
    for event in ("daemon.ready", "shared.whole"):
        await until(event, lambda event=event: it.lines(event))  # type: ignore[misc]


async def stopped(it: Host) -> int:
    """Stop a host, which drains and gives up; return its exit status."""
    it.signal(signal.SIGTERM)
    return await exited(it)


async def exited(it: Host) -> int:
    """Return the exit status of a host's daemon, when it has ended."""
    assert it.process is not None
    with trio.fail_after(PATIENCE_SECONDS):
        status = await it.process.wait()
    it.process = None
    return status


async def changed(it: Host, release: Release) -> None:
    """Stop a host, which drains, and start it with another release: as an operator does."""
    assert await stopped(it) == 0
    await start(it, release)
    await at_work(it)
