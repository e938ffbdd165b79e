"""A proxy on the way out: an interview whose connections to Gemini go through Debian's tinyproxy, and its squid."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
import re
import socket
import ssl
import subprocess
import sys
import tempfile

import pytest
import trio
import trustme

from preppald.simulator import GeminiSimulator, serve_gemini
from tests.ports import free_port
from tests.processes.daemon import Daemon, daemon

# A name that is not this machine's loopback: those are reached without a proxy.
HOST = socket.gethostname()
USER, PASSWORD = "operator", "CANARY-0123456789"
PATIENCE_SECONDS = 30.0
# Well below the daemon's patience with a connection.
SLOW_SECONDS = 3.0
# Squid's user may not look into a virtual environment of root's.
SYSTEM_PYTHON = "/usr/bin/python3"
LOOK_SECONDS = 0.05


@dataclass
class Outgoing:
    """A proxy that a test starts and stops. ``folder``: its own; ``run``: the command; ``log``: the file it writes."""

    folder: Path
    port: int
    run: list[str]
    log: Path
    process: trio.Process | None = None

    async def start(self) -> None:
        self.process = await trio.lowlevel.open_process(
            self.run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        with trio.fail_after(PATIENCE_SECONDS):
            while not await self._answers():  # noqa: ASYNC110 - another program tells nobody
                await trio.sleep(LOOK_SECONDS)

    async def stop(self) -> None:
        """Cut every tunnel."""
        if self.process is not None:
            self.process.kill()
            await self.process.wait()

    @property
    def written(self) -> str:
        return self.log.read_text("utf-8", "replace")

    async def _answers(self) -> bool:
        try:
            async with await trio.open_tcp_stream("127.0.0.1", self.port):
                return True
        except OSError:
            return False


def tinyproxy(folder: Path, port: int, password: str) -> Outgoing:
    config = folder / "tinyproxy.conf"
    asked = f"BasicAuth {USER} {password}\n" if password else ""
    config.write_text(
        f"Port {port}\nListen 127.0.0.1\nTimeout 600\nMaxClients 100\nLogLevel Connect\n"
        f'LogFile "{folder}/tinyproxy.log"\n{asked}'
    )
    return Outgoing(folder, port, ["tinyproxy", "-d", "-c", str(config)], folder / "tinyproxy.log")


def squid(
    folder: Path, port: int, password: str, *, seconds: float = 0.0, rules: str = "allow all"
) -> Outgoing:
    """``seconds``: the time that it takes to look a password up. ``rules``: who gets through, of those it knows."""
    asked = ""
    if password:
        # Squid asks a program, line by line.
        helper = folder / "helper"
        helper.write_text(
            f"#!{SYSTEM_PYTHON}\nimport sys, time\nfor line in sys.stdin:\n    time.sleep({seconds})\n"
            f"    print('OK' if line.split() == ['{USER}', '{password}'] else 'ERR', flush=True)\n"
        )
        helper.chmod(0o755)
        asked = (
            f"auth_param basic program {helper}\nauth_param basic children 1\n"
            "acl known proxy_auth REQUIRED\nhttp_access deny !known\n"
        )
    config = folder / "squid.conf"
    config.write_text(
        f"http_port 127.0.0.1:{port}\npid_filename none\ncache deny all\ncache_mem 1 MB\n"
        f"access_log none\ncache_log {folder}/squid.log\ndebug_options 11,2\nstrip_query_terms off\n"
        f"pinger_enable off\ncoredump_dir {folder}\n{asked}http_access {rules}\nhttp_access deny all\n"
    )
    return Outgoing(folder, port, ["squid", "-N", "-f", str(config)], folder / "squid.log")


PROGRAMS = {"tinyproxy": tinyproxy, "squid": squid}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that squid's own user may write to, which pytest's are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


@pytest.fixture(params=[*PROGRAMS])
async def outgoing(request: pytest.FixtureRequest, folder: Path) -> AsyncIterator[Outgoing]:
    """Each of them, with a password."""
    async with running(PROGRAMS[request.param](folder, free_port(), PASSWORD)) as proxy:
        yield proxy


@asynccontextmanager
async def running(proxy: Outgoing) -> AsyncIterator[Outgoing]:
    await proxy.start()
    try:
        yield proxy
    finally:
        with trio.move_on_after(PATIENCE_SECONDS, shield=True):
            await proxy.stop()


@asynccontextmanager
async def behind(outgoing: Outgoing, tmp_path: Path, password: str = PASSWORD) -> AsyncIterator[Daemon]:
    """A daemon whose Gemini has a certificate for HOST, and is reached through the proxy."""
    who = f"{USER}:{password}@" if password else ""
    authority = trustme.CA()
    trusted = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(trusted)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(HOST).configure_cert(context)
    async with trio.open_nursery() as nursery:
        serve = partial(serve_gemini, ("0.0.0.0", 0), GeminiSimulator(), tls=context)
        port = await nursery.start(serve)
        settings = {
            "PREPPALD_GEMINI_URL": f"wss://{HOST}:{port}",
            "HTTPS_PROXY": f"http://{who}127.0.0.1:{outgoing.port}",
            "SSL_CERT_FILE": str(trusted),
        }
        async with daemon(tmp_path, settings) as running:
            yield running
        nursery.cancel_scope.cancel()


async def test_an_interview_goes_on_through_a_proxy_that_is_restarted(
    outgoing: Outgoing, tmp_path: Path, nursery: trio.Nursery
) -> None:
    """With a user and a password, which are in no log; the proxy dies in mid-interview, and comes back."""
    async with behind(outgoing, tmp_path) as running:
        candidate = await running.candidate(nursery)
        await candidate.until("session_started")
        await candidate.until("audio_response")
        assert f"CONNECT {HOST}:" in outgoing.written
        await outgoing.stop()
        await running.logged("upstream.failed")
        await outgoing.start()
        await running.logged("upstream.ready", times=2)
        await candidate.end()
        assert (await candidate.closed())[0] == 1000
        assert PASSWORD not in running.log.read_text("utf-8")


async def test_a_proxy_that_refuses_is_named_to_the_operator(
    outgoing: Outgoing, tmp_path: Path, nursery: trio.Nursery
) -> None:
    """A wrong password: one try, and the line says what to do. The candidate is told that it is not their fault."""
    async with behind(outgoing, tmp_path, password="WRONG-0123456789") as running:
        candidate = await running.candidate(nursery)
        await candidate.closed()
        assert candidate.close == (4002, "Failed to connect to AI service")
        await running.logged("upstream.failed")
        log = running.log.read_text("utf-8")
        # Tinyproxy says 401 to a wrong password.
        assert re.search("40[17]: it wants a user and a password, or other ones, in HTTPS_PROXY", log)
        assert "WRONG" not in log


@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_proxy_that_asks_for_no_password(
    program: str, folder: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async with (
        running(PROGRAMS[program](folder, free_port(), "")) as proxy,
        behind(proxy, tmp_path, password="") as daemon_there,
    ):
        candidate = await daemon_there.candidate(nursery)
        await candidate.until("audio_response")
        await candidate.end()
        assert (await candidate.closed())[0] == 1000


async def test_a_proxy_whose_rules_forbid_the_host(
    folder: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    """One try, and the operator reads that it is not the password."""
    forbids = squid(folder, free_port(), PASSWORD, rules="deny all")
    async with running(forbids) as proxy, behind(proxy, tmp_path) as daemon_there:
        candidate = await daemon_there.candidate(nursery)
        await candidate.closed()
        assert candidate.close == (4002, "Failed to connect to AI service")
        # The candidate may read it before the log is on disk.
        assert "403: its rules do not allow this host" in str(await daemon_there.logged("upstream.failed"))


async def test_a_slow_proxy_delays_an_interview_and_no_more(
    folder: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    slow = squid(folder, free_port(), PASSWORD, seconds=SLOW_SECONDS)
    async with running(slow) as proxy, behind(proxy, tmp_path) as daemon_there:
        began = trio.current_time()
        candidate = await daemon_there.candidate(nursery)
        await candidate.until("audio_response")
        assert trio.current_time() - began > SLOW_SECONDS
        await candidate.end()
        assert (await candidate.closed())[0] == 1000
        assert not daemon_there.lines("upstream.failed")


async def test_check_names_it_too(outgoing: Outgoing, tmp_path: Path) -> None:
    env = {
        "JWT_SECRET": "a-secret-for-tests-of-32-bytes-or-more",
        "GEMINI_API_KEY": "key-for-tests",
        "PREPPALD_BACKEND": "none",
        "PREPPALD_STATE_DIR": str(tmp_path),
        "HTTPS_PROXY": f"http://127.0.0.1:{outgoing.port}",
    }
    done = await trio.run_process(
        [sys.executable, "-m", "preppald", "check", "--online"],
        env=env,
        capture_stdout=True,
        stderr=subprocess.STDOUT,
        check=False,
    )
    assert done.returncode == 69
    assert b"the proxy of HTTPS_PROXY refuses" in done.stdout
