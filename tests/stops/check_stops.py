"""One stop of the one-file binary, or of the wheel's command, is one stop, whatever passes it on: an init that signals the group, or a terminal.

Each round lets a candidate in, stops the daemon once, and finds the interview alive longer than copies of the signal
can take. ROUNDS in the environment: how many of each kind (4 by default).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
import os
from pathlib import Path
import signal
import subprocess
import sys

import pytest
import trio

from preppald.net.stops import SAME_STOP_SECONDS
from preppald.simulator.run import run_simulator
from tests.processes.daemon import Daemon
from tests.world import SECRET

# The one-file binary is two processes, of which the outer one passes signals on.
COMMANDS = {
    "binary": [str(Path(__file__).parents[2] / "build" / "binary" / "preppald")],
    "wheel": [sys.executable, "-m", "preppald"],
}
ROUNDS = int(os.environ.get("ROUNDS", "4"))
AT_ONCE = 4
# How a stop reaches the processes: the words before the command, the signal, and if it goes to the whole group.
INITS = {
    "dumb-init": (["dumb-init"], signal.SIGTERM, False),
    "tini -g": (["tini", "-s", "-g", "--"], signal.SIGTERM, False),
    "a terminal's Ctrl-C": ([], signal.SIGINT, True),
    "systemctl kill": ([], signal.SIGTERM, True),
}


@asynccontextmanager
async def under(init: list[str], command: str, folder: Path, gemini_port: int) -> AsyncIterator[Daemon]:
    folder.mkdir()  # noqa: ASYNC240 - one call of the system
    log = folder / "log"
    env = {
        "JWT_SECRET": SECRET,
        "GEMINI_API_KEY": "key-for-tests",
        "PREPPALD_BACKEND": "none",
        "PREPPALD_LISTEN": "127.0.0.1:0",
        "PREPPALD_ADMIN_LISTEN": "127.0.0.1:0",
        "PREPPALD_STATE_DIR": str(folder / "state"),
        "PREPPALD_GEMINI_URL": f"ws://127.0.0.1:{gemini_port}",
        "PATH": os.environ["PATH"],
    }
    with log.open("wb") as file:
        process = await trio.lowlevel.open_process(
            [*init, *COMMANDS[command], "serve"],
            env=env,
            stdin=subprocess.DEVNULL,
            stderr=file,
            start_new_session=True,
        )
    running = Daemon(process, log)
    try:
        running.port = int(str((await running.logged("daemon.ready"))["listen"]).rpartition(":")[2])
        yield running
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        with trio.CancelScope(shield=True):
            await process.wait()
            for candidate in running.candidates:
                await trio.aclose_forcefully(candidate.stream)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("init", INITS)
async def test_one_stop_is_one_stop(tmp_path: Path, nursery: trio.Nursery, init: str, command: str) -> None:
    before, number, to_group = INITS[init]
    simulated = await nursery.start(
        partial(run_simulator, gemini_listen=("127.0.0.1", 0), backend_listen=None)
    )
    limit = trio.CapacityLimiter(AT_ONCE)
    done = 0

    async def one(index: int) -> None:
        nonlocal done
        async with limit, under(before, command, tmp_path / str(index), simulated.gemini_port) as running:
            candidate = await running.candidate(nursery)
            await candidate.until("session_started")
            if to_group:
                os.killpg(running.process.pid, number)
            else:
                running.process.send_signal(number)
            await running.logged("daemon.draining")
            await trio.sleep(1.5 * SAME_STOP_SECONDS)
            assert candidate.close is None, running.log.read_text("utf-8")
            await candidate.end()
            assert (await candidate.closed())[0] == 1000
            with trio.fail_after(30):
                await running.process.wait()
            assert not running.lines("daemon.ending_interviews")
            assert running.lines("daemon.stopped")
            done += 1

    async with trio.open_nursery() as rounds:
        for index in range(ROUNDS):
            rounds.start_soon(one, index)
    assert done == ROUNDS


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_second_stop_still_ends_now(tmp_path: Path, nursery: trio.Nursery, command: str) -> None:
    simulated = await nursery.start(
        partial(run_simulator, gemini_listen=("127.0.0.1", 0), backend_listen=None)
    )
    async with under(["dumb-init"], command, tmp_path / "daemon", simulated.gemini_port) as running:
        candidate = await running.candidate(nursery)
        await candidate.until("session_started")
        running.process.send_signal(signal.SIGTERM)
        await running.logged("daemon.draining")
        await trio.sleep(1.5 * SAME_STOP_SECONDS)
        running.process.send_signal(signal.SIGTERM)
        await candidate.closed()
        assert await running.logged("daemon.ending_interviews")
