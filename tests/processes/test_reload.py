"""SIGHUP: a daemon that runs takes new secrets and settings, and no interview notices."""

from pathlib import Path
import signal
import subprocess
import sys

import trio

from tests.processes.daemon import daemon
from tests.world import SECRET

ROTATED = "another-secret-for-tests-of-32-bytes"


def write(file: Path, *lines: str, mode: int = 0o600) -> None:
    file.write_text("\n".join(lines) + "\n")
    file.chmod(mode)


async def test_secrets_and_settings_are_read_again_while_an_interview_runs(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    """Tokens of the new secret are taken, those of the old one as long as it is named; the interview goes on."""
    env_file, secret_file = tmp_path / "preppald.env", tmp_path / "secret"
    write(secret_file, SECRET)
    write(env_file, "# interviews", "PREPPALD_CLOSE_CODES=plain")
    named = {"JWT_SECRET": "", "JWT_SECRET_FILE": str(secret_file), "PREPPALD_ENV_FILE": str(env_file)}
    async with daemon(tmp_path, named) as running:
        candidate = await running.candidate(nursery)
        await candidate.until("session_started")

        write(secret_file, ROTATED)
        write(
            env_file,
            f'PREPPALD_JWT_SECRET_PREVIOUS="{SECRET}"',
            "PREPPALD_CLOSE_CODES=distinct",
            "PREPPALD_VOICE=Kore",
        )
        write(env_file, env_file.read_text().strip(), "PREPPALD_LOG_LEVEL=debug")
        running.process.send_signal(signal.SIGHUP)
        told = await running.logged("daemon.reloaded")
        assert told["changed"] == [
            "JWT_SECRET",
            "PREPPALD_JWT_SECRET_PREVIOUS",
            "PREPPALD_VOICE",
            "PREPPALD_CLOSE_CODES",
        ]
        assert told["need_restart"] == ["PREPPALD_LOG_LEVEL"]
        assert (await running.candidate(nursery, "iv-2", SECRET)).status == 101
        later = await running.candidate(nursery, "iv-3", ROTATED)
        await later.until("session_started")
        await later.end()
        assert (await later.closed())[0] == 4001

        write(env_file, "PREPPALD_CLOSE_CODES=wrong", "PREPPALD_VIOCE=Kore")
        running.process.send_signal(signal.SIGHUP)
        refused = await running.logged("reload.refused")
        assert "PREPPALD_CLOSE_CODES: 'wrong' is not one of plain, distinct" in str(refused["faults"])
        assert "PREPPALD_VIOCE" in str(refused["faults"])

        write(env_file, "")
        running.process.send_signal(signal.SIGHUP)
        await running.logged("daemon.reloaded", times=2)
        assert (await running.candidate(nursery, "iv-4", SECRET)).status == 401

        await candidate.end()
        assert await candidate.closed() == (1000, "Interview ended by user")
        assert ROTATED not in running.log.read_text()


def test_an_env_file_that_everybody_may_read_is_refused(tmp_path: Path) -> None:
    """It may hold secrets. Exit status 78, and a sentence that says what to do."""
    env_file = tmp_path / "preppald.env"
    write(env_file, f"JWT_SECRET={SECRET}", mode=0o644)
    found = subprocess.run(
        [sys.executable, "-m", "preppald", "serve"],
        env={"PREPPALD_ENV_FILE": str(env_file)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 78
    assert "PREPPALD_ENV_FILE: " in found.stderr
    assert "chmod o-r" in found.stderr
    assert SECRET not in found.stderr
