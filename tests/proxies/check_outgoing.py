"""A proxy on the way out: an interview whose connections to Gemini go through Debian's tinyproxy."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
import socket
import ssl
import subprocess
import sys

import pytest
import trio
import trustme

from preppald.simulator import GeminiSimulator, serve_gemini
from tests.processes.daemon import Daemon, daemon
from tests.processes.host import free_ports

# A name that is not this machine's loopback: those are reached without a proxy.
HOST = socket.gethostname()
USER, PASSWORD = "operator", "CANARY-0123456789"
PATIENCE_SECONDS = 30.0
LOOK_SECONDS = 0.05


@dataclass
class Tinyproxy:
    """``start`` and ``stop`` it; ``written`` is its log."""

    folder: Path
    port: int
    process: trio.Process | None = None

    async def start(self) -> None:
        config = self.folder / "tinyproxy.conf"
        config.write_text(
            f"Port {self.port}\nListen 127.0.0.1\nTimeout 600\nMaxClients 100\nLogLevel Connect\n"
            f'LogFile "{self.folder}/tinyproxy.log"\nBasicAuth {USER} {PASSWORD}\n'
        )
        self.process = await trio.lowlevel.open_process(["tinyproxy", "-d", "-c", str(config)])
        with trio.fail_after(PATIENCE_SECONDS):
            while not await self._answers():  # noqa: ASYNC110 - another program tells nobody
                await trio.sleep(LOOK_SECONDS)

    async def stop(self) -> None:
        """Cut every tunnel."""
        if self.process is not None:
            self.process.kill()
            with trio.CancelScope(shield=True):
                await self.process.wait()

    @property
    def written(self) -> str:
        return (self.folder / "tinyproxy.log").read_text("utf-8", "replace")

    async def _answers(self) -> bool:
        try:
            async with await trio.open_tcp_stream("127.0.0.1", self.port):
                return True
        except OSError:
            return False


@pytest.fixture
async def tinyproxy(tmp_path: Path) -> AsyncIterator[Tinyproxy]:
    (port,) = free_ports(1)
    (tmp_path / "proxy").mkdir()
    running = Tinyproxy(tmp_path / "proxy", port)
    await running.start()
    yield running
    await running.stop()


@asynccontextmanager
async def behind(tinyproxy: Tinyproxy, tmp_path: Path, password: str = PASSWORD) -> AsyncIterator[Daemon]:
    """A daemon whose Gemini has a certificate for HOST, and is reached through the proxy."""
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
            "HTTPS_PROXY": f"http://{USER}:{password}@127.0.0.1:{tinyproxy.port}",
            "SSL_CERT_FILE": str(trusted),
        }
        async with daemon(tmp_path, settings) as running:
            yield running
        nursery.cancel_scope.cancel()


async def test_an_interview_goes_on_through_a_proxy_that_is_restarted(
    tinyproxy: Tinyproxy, tmp_path: Path, nursery: trio.Nursery
) -> None:
    """With a user and a password, which are in no log; the proxy dies in mid-interview, and comes back."""
    async with behind(tinyproxy, tmp_path) as running:
        candidate = await running.candidate(nursery)
        await candidate.until("session_started")
        await candidate.until("audio_response")
        assert f"CONNECT {HOST}:" in tinyproxy.written
        await tinyproxy.stop()
        await running.logged("upstream.failed")
        await tinyproxy.start()
        await running.logged("upstream.ready", times=2)
        await candidate.end()
        assert (await candidate.closed())[0] == 1000
        assert PASSWORD not in running.log.read_text("utf-8")


async def test_a_proxy_that_refuses_is_named_to_the_operator(
    tinyproxy: Tinyproxy, tmp_path: Path, nursery: trio.Nursery
) -> None:
    """A wrong password: one try, and the line says what to do. The candidate is told that it is not their fault."""
    async with behind(tinyproxy, tmp_path, password="WRONG-0123456789") as running:
        candidate = await running.candidate(nursery)
        await candidate.closed()
        assert candidate.close == (4002, "Failed to connect to AI service")
        log = running.log.read_text("utf-8")
        assert "401: it wants a user and a password, or other ones, in HTTPS_PROXY" in log
        assert "WRONG" not in log


async def test_check_names_it_too(tinyproxy: Tinyproxy, tmp_path: Path) -> None:
    env = {
        "JWT_SECRET": "a-secret-for-tests-of-32-bytes-or-more",
        "GEMINI_API_KEY": "key-for-tests",
        "PREPPALD_BACKEND": "none",
        "PREPPALD_STATE_DIR": str(tmp_path),
        "HTTPS_PROXY": f"http://127.0.0.1:{tinyproxy.port}",
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
