"""A demo whose daemon can be killed and started again, at the same address and on the same disk, for check-returns.mjs.

    python -m tests.web.standing FOLDER [NAME=VALUE …]

A line "kill" on standard input is kill -9, "start" the next start; each is answered by a line. Gemini is simulated
beside the daemon and stays; FOLDER/scenario.toml is its scenario where there is one, and FOLDER/gemini.jsonl has all
that it was sent, as soon as standard input ends. The settings are preppald's own.
"""

from functools import partial
import json
import os
from pathlib import Path
import subprocess
import sys

import trio

from preppald.commands.demo import DemoPages
from preppald.commands.serve import wall_clock_ms
from preppald.config.load import load
from preppald.daemon.run import Running, StopSwitch, run_daemon
from preppald.simulator import Running as Simulated, load_scenario, run_simulator
from preppald.telemetry import logs
from tests.ports import free_ports
from tests.world import SECRET


def say(line: str) -> None:
    """Answer on standard output."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def serve(settings: dict[str, str]) -> None:
    """Be the daemon, with the demo's page."""
    config = load(settings)
    log, _ = logs.configure("console", "warning")
    async with trio.open_nursery() as nursery:
        daemon = partial(
            run_daemon,
            config,
            log=log,
            now_ms=wall_clock_ms,
            switch=StopSwitch(),
            pages=partial(DemoPages, config),
        )
        running: Running = await nursery.start(daemon)
        say(f"http://{running.listen}")


async def keep(folder: Path, settings: list[str]) -> None:
    """Start daemons and kill them, as standard input says, until it ends."""
    async with trio.open_nursery() as nursery:
        simulator = partial(
            run_simulator,
            gemini_listen=("127.0.0.1", 0),
            backend_listen=None,
            scenario=load_scenario(
                scenario if (scenario := folder / "scenario.toml").exists() else "interview"
            ),
            record=folder / "gemini.jsonl",
        )
        simulated: Simulated = await nursery.start(simulator)
        port, admin_port = free_ports(2)
        given = {
            "JWT_SECRET": SECRET,
            "GEMINI_API_KEY": "simulated",
            "PREPPALD_BACKEND": "none",
            "PREPPALD_GEMINI_URL": f"ws://127.0.0.1:{simulated.gemini_port}",
            "PREPPALD_LISTEN": f"127.0.0.1:{port}",
            "PREPPALD_ADMIN_LISTEN": f"127.0.0.1:{admin_port}",
            "PREPPALD_STATE_DIR": str(folder / "state"),
            **dict(setting.split("=", 1) for setting in settings),
        }
        command = [sys.executable, "-m", "tests.web.standing", "--serve", json.dumps(given)]
        daemon: subprocess.Popen[bytes] | None = None
        try:
            while order := (await trio.to_thread.run_sync(sys.stdin.readline)).strip():
                if order == "start":
                    daemon = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: ASYNC220 - returns at once
                    assert daemon.stdout is not None
                    ready = await trio.to_thread.run_sync(daemon.stdout.readline)
                    say(ready.decode().strip())
                elif daemon is not None:
                    daemon.kill()
                    await trio.to_thread.run_sync(daemon.wait)
                    say("killed")
        finally:
            if daemon is not None:
                daemon.kill()
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        os.environ.clear()
        trio.run(serve, json.loads(sys.argv[2]))
    else:
        trio.run(keep, Path(sys.argv[1]), sys.argv[2:])
