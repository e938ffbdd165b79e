"""The Containerfile: env file, volume, health check, read-only root, any user, memory limit, logs on stdout, PID 1."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest
import trio

from preppald.simulator.run import run_simulator
from tests.candidates import Candidate
from tests.container.containers import Group, Image, build, healthy, limited, started
from tests.ports import free_port, free_ports
from tests.processes.daemon import Daemon, many_descriptors
from tests.world import SECRET

# Nobody's in the image's /etc/passwd.
USER = "12345:54321"
LIMIT_BYTES = 120 * 2**20
# More than fit into LIMIT_BYTES.
CANDIDATES = 700
AT_ONCE = 8
PATIENCE_SECONDS = 30.0


@pytest.fixture(scope="module")
def image() -> Image:
    return build(Path(__file__).parents[2] / "build" / "container")


@dataclass
class Container(Daemon):
    """``first``: the id, on this machine, of its process 1."""

    first: int = 0

    def find_first(self) -> None:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        (first,) = children.read_text().split()
        self.first = int(first)

    def of_first(self, file: str) -> str:
        return Path(f"/proc/{self.first}/{file}").read_text()


@pytest.fixture
async def gemini_port(nursery: trio.Nursery) -> int:
    simulated = await nursery.start(
        partial(run_simulator, gemini_listen=("127.0.0.1", 0), backend_listen=None)
    )
    return int(simulated.gemini_port)


@pytest.fixture
def volume() -> Iterator[Path]:
    """As a runtime makes one: with the mode of the image's folder, and nothing above it that hides it."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o1777)
        yield Path(name)


@asynccontextmanager
async def container(
    image: Image, volume: Path, gemini_port: int, tmp_path: Path, group: Group | None = None
) -> AsyncIterator[Container]:
    port, admin_port = free_ports(2)
    env = {
        "JWT_SECRET": SECRET,
        "GEMINI_API_KEY": "key-for-tests",
        "PREPPALD_BACKEND": "none",
        "PREPPALD_LISTEN": f"127.0.0.1:{port}",
        "PREPPALD_ADMIN_LISTEN": f"127.0.0.1:{admin_port}",
        "PREPPALD_GEMINI_URL": f"ws://127.0.0.1:{gemini_port}",
    }
    command, env = started(image, volume=volume, env=env, user=USER, group=group)
    log = tmp_path / "stdout"
    with log.open("wb") as stdout, (tmp_path / "stderr").open("wb") as stderr:
        process = await trio.lowlevel.open_process(
            command, env=env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr
        )
    running = Container(process, log, port, admin_port)
    try:
        try:
            await running.logged("daemon.ready")
        except BaseException:
            sys.stdout.write((tmp_path / "stderr").read_text() + log.read_text())
            raise
        running.find_first()
        yield running
    finally:
        # When process 1 is gone, so is every other, and its locks: which unshare waits for.
        if running.first and process.poll() is None:
            os.kill(running.first, signal.SIGKILL)
        with trio.CancelScope(shield=True):
            with trio.move_on_after(PATIENCE_SECONDS if running.first else 0):
                await process.wait()
            process.kill()
            await process.wait()
            for candidate in running.candidates:
                await trio.aclose_forcefully(candidate.stream)


async def test_a_container_holds_an_interview_and_stops_as_a_daemon(
    image: Image, volume: Path, gemini_port: int, tmp_path: Path, nursery: trio.Nursery
) -> None:
    """As a user that nobody knows, on a root that is read only; one stop lets the interview finish."""
    async with container(image, volume, gemini_port, tmp_path) as running:
        # The command is process 1 itself: no shell is left that would keep signals from it.
        status = running.of_first("status")
        assert f"NSpid:\t{running.first}\t1\n" in status
        assert "Uid:\t12345\t12345\t12345\t12345\n" in status
        assert running.of_first("cmdline").split("\0")[:2] == ["/usr/bin/preppald", "serve"]
        mounts = [line.split() for line in running.of_first("mounts").splitlines()]
        assert [options.split(",")[0] for _, where, _, options, *_ in mounts if where == "/"] == ["ro"]
        assert image.volumes == ["/var/lib/preppald"]
        assert {file.stat().st_uid for file in os.scandir(volume)} == {12345}
        env = {"PREPPALD_ADMIN_LISTEN": f"127.0.0.1:{running.admin_port}"}
        assert healthy(image, running.first, env)
        nobody = free_port()
        assert not healthy(image, running.first, {"PREPPALD_ADMIN_LISTEN": f"127.0.0.1:{nobody}"})

        candidate = await running.candidate(nursery)
        await candidate.until("session_started")
        os.kill(running.first, signal.SIGTERM)  # as a runtime stops it
        await running.logged("daemon.draining")
        assert healthy(image, running.first, env)
        await trio.sleep(2)
        assert candidate.close is None
        await candidate.end()
        assert (await candidate.closed())[0] == 1000
        with trio.fail_after(PATIENCE_SECONDS):
            assert await running.process.wait() == 0
        assert running.lines("daemon.stopped")
        assert (tmp_path / "stderr").read_text() == ""


async def test_a_container_that_is_killed_goes_on_from_its_volume(
    image: Image, volume: Path, gemini_port: int, tmp_path: Path, nursery: trio.Nursery
) -> None:
    (tmp_path / "second").mkdir()
    async with container(image, volume, gemini_port, tmp_path) as running:
        candidate = await running.candidate(nursery)
        await candidate.until("session_started")
        await candidate.until("audio_response")
        await trio.sleep(1)  # the journal's beat
    async with container(image, volume, gemini_port, tmp_path / "second") as again:
        assert again.lines("daemon.ready")[0]["recovered"] == 1


async def test_a_memory_limit_is_honoured_before_the_kernel_enforces_it(
    image: Image, volume: Path, gemini_port: int, tmp_path: Path, nursery: trio.Nursery
) -> None:
    """More candidates than fit: those that come too late get 503, nobody is killed, and nobody loses an interview."""
    many_descriptors()
    with limited(f"preppald-test-{os.getpid()}", LIMIT_BYTES) as group:
        async with container(image, volume, gemini_port, tmp_path, group) as running:
            admitted: list[Candidate] = []
            refused: list[Candidate] = []
            limit = trio.CapacityLimiter(AT_ONCE)

            async def come(number: int) -> None:
                async with limit:
                    if len(refused) >= AT_ONCE:
                        return
                    candidate = await running.candidate(nursery, f"iv-{number}")
                    (admitted if candidate.status == 101 else refused).append(candidate)
                    if candidate.status == 101:
                        await candidate.until("session_started")

            async with trio.open_nursery() as arrivals:
                for number in range(CANDIDATES):
                    arrivals.start_soon(come, number)
            sys.stdout.write(f"{len(admitted)} interviews, {group.used / 2**20:.0f} MiB used\n")
            assert {candidate.status for candidate in refused} == {503}
            assert len(admitted) >= 20
            assert b"503" in (await running.get("/ready")).splitlines()[0]
            await trio.sleep(5)  # they go on
            assert group.killed == 0
            assert all(candidate.close is None for candidate in admitted)
            assert group.used < LIMIT_BYTES


@pytest.fixture(scope="module", autouse=True)
def _tools() -> None:
    for tool in ("unshare", "nsenter", "chroot"):
        assert shutil.which(tool), f"{tool} is not here"
    assert os.getuid() == 0, "only root can make namespaces and groups"
