"""Moving to another host, as docs/operating.md has it: nobody is cut off, and what was owed is delivered once."""

from dataclasses import replace
from functools import partial
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys

import trio

from preppald.simulator import Scenario
from tests.candidates import Candidate
from tests.processes.host import Host, host

PATIENCE_SECONDS = 60.0


async def command(state_dir: Path, *words: str) -> str:
    """What a command of the operator's printed; it succeeded."""
    run = partial(
        trio.run_process,
        [sys.executable, "-m", "preppald", *words],
        env={"PREPPALD_STATE_DIR": str(state_dir), "PATH": os.environ["PATH"]},
        capture_stdout=True,
        stderr=subprocess.STDOUT,
        check=False,
    )
    ran = await run()
    printed: str = ran.stdout.decode()
    assert ran.returncode == 0, printed
    return printed


async def seated(here: Host, name: str, nursery: trio.Nursery) -> Candidate:
    candidate = Candidate(await trio.open_tcp_stream("127.0.0.1", here.port))
    await candidate.open(f"/{name}", here.token(name))
    if candidate.status == 101:
        nursery.start_soon(candidate.run)
    return candidate


async def test_a_move_cuts_nobody_and_delivers_once(tmp_path: Path) -> None:
    """The first interview is owed when the move begins, the second runs until the old host is drained."""
    settings = {"PREPPALD_RECORD": "on"}
    async with host(tmp_path, settings, Scenario()) as old, trio.open_nursery() as nursery:
        await old.start()
        await old.ready()
        old.backend.down = True
        first = await seated(old, "iv-1", nursery)
        await first.greeted()
        await first.end()
        await first.closed()
        second = await seated(old, "iv-2", nursery)
        await second.greeted()

        async with trio.open_nursery() as leaving:
            leaving.start_soon(command, old.state_dir, "drain", "--wait", "1m")
            await old.logged("operator.acted")
            late = await seated(old, "iv-3", nursery)
            assert late.status == 503
            await trio.aclose_forcefully(late.stream)
            await second.end()
            assert (await second.closed())[0] == 1000
        old.signal(signal.SIGTERM)
        assert await old.ended() == 0
        copy = (await command(old.state_dir, "journal", "backup", str(tmp_path / "moves"))).split()[-1]

        new = replace(old, directory=tmp_path / "new", process=None, starts=0)
        new.state_dir.mkdir(parents=True)
        await command(new.state_dir, "journal", "restore", copy)
        if (old.state_dir / "recordings").exists():
            shutil.copytree(old.state_dir / "recordings", new.state_dir / "recordings")
        old.backend.down = False
        await new.start()
        try:
            await new.ready()
            with trio.fail_after(PATIENCE_SECONDS):
                while any(row[0] == "pending" for row in new.ask("SELECT state FROM outbox")):  # noqa: ASYNC110 - another process writes it
                    await trio.sleep(0.1)
            for name in ("iv-1", "iv-2"):
                assert old.backend.interviews[name].transcript is not None
                assert name in await command(new.state_dir, "interviews")
            posted = new.ask("SELECT key FROM outbox WHERE kind = 'transcript' AND state = 'done'")
            assert len(posted) == 2
            assert "iv-1" in await command(new.state_dir, "recording")
        finally:
            with trio.CancelScope(shield=True):
                await new.kill()
        for candidate in (first, second):
            await trio.aclose_forcefully(candidate.stream)
        nursery.cancel_scope.cancel()
