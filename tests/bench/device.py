"""The device under test: a real process, pinned to one core, looked at from outside."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
import os
from pathlib import Path
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from tests.bench.load import SECRET

# A start that takes longer has failed.
READY_SECONDS = 20.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
HOST = "127.0.0.1"
# What production would refuse is not what a benchmark wants to find.
MANY = "5000"


@dataclass(frozen=True, slots=True)
class Bridge:
    """Something that carries interviews. ``command``: how it is started, after the interpreter.

    ``ready_page``: whether it says by itself when it is ready; otherwise it is when its port is open.
    """

    name: str
    command: tuple[str, ...]
    ready_page: bool


PREPPALD = Bridge("preppald", ("-m", "preppald", "serve"), ready_page=True)
NAIVE = Bridge("naive", ("-m", "tests.bench.naive"), ready_page=False)
BRIDGES = {bridge.name: bridge for bridge in (PREPPALD, NAIVE)}


@dataclass(slots=True)
class Device:
    """A running bridge. ``ready_seconds``: from its start to the first answer of ``/ready``, or the open port."""

    pid: int
    address: tuple[str, int]
    metrics: str
    ready_seconds: float

    def cpu_seconds(self) -> float:
        """User and system time of all its threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND

    def pss_kib(self) -> int:
        """Memory that would be free without it: its own, and its share of what it shares."""
        return _kib(Path(f"/proc/{self.pid}/smaps_rollup").read_text(), "Pss:")

    def rss_kib(self) -> int:
        return _kib(Path(f"/proc/{self.pid}/status").read_text(), "VmRSS:")

    def scrape(self) -> None:
        """What a Prometheus does every 15 seconds. The naive bridge has no metrics."""
        with suppress(OSError):
            urllib.request.urlopen(self.metrics, timeout=5).read()


@contextmanager
def running(
    bridge: Bridge, *, python: str, tree: Path, core: int, nice: int, gemini_port: int, log: Path | None
) -> Iterator[Device]:
    """Starts the bridge on one core, and stops it at the end. ``tree``: where its sources are."""
    port, admin = _free_ports(2)
    with tempfile.TemporaryDirectory() as state, (log or Path(os.devnull)).open("ab") as output:
        environment = {
            "PATH": os.environ["PATH"],
            "JWT_SECRET": SECRET,
            "GEMINI_API_KEY": "key-for-benchmarks",
            "PREPPALD_BACKEND": "none",
            "PREPPALD_GEMINI_URL": f"ws://{HOST}:{gemini_port}",
            "PREPPALD_LISTEN": f"{HOST}:{port}",
            "PREPPALD_ADMIN_LISTEN": f"{HOST}:{admin}",
            "PREPPALD_STATE_DIR": state,
            "PREPPALD_MAX_SESSIONS": MANY,
            "PREPPALD_MAX_CONNECTIONS": MANY,
            "PREPPALD_MAX_CONNECTIONS_PER_ADDRESS": MANY,
        }
        began = time.monotonic()
        process = subprocess.Popen(
            [python, *bridge.command],
            cwd=tree,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            os.sched_setaffinity(process.pid, {core})
            if nice:
                prioritise(process.pid, nice)
            _await_ready(process, port, page=bridge.ready_page)
            ready = time.monotonic() - began
            yield Device(process.pid, (HOST, port), f"http://{HOST}:{admin}/metrics", ready)
        finally:
            # Interviews that still run are not worth a drain here.
            process.kill()
            process.wait()


def prioritise(pid: int, nice: int) -> None:
    """Ahead of whatever else runs on the machine (root only); where sessions are scheduled as groups, those too."""
    os.setpriority(os.PRIO_PROCESS, pid, nice)
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(nice))


def listener() -> socket.socket:
    """Where the fake Gemini is reached."""
    return socket.create_server((HOST, 0), backlog=1024)


def _free_ports(count: int) -> list[int]:
    held = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def _await_ready(process: "subprocess.Popen[bytes]", port: int, *, page: bool) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            sys.exit(f"the device under test stopped with status {process.returncode}; --log FILE shows why")
        try:
            if page:
                urllib.request.urlopen(f"http://{HOST}:{port}/ready", timeout=1).read()
            else:
                socket.create_connection((HOST, port)).close()
        except OSError:
            time.sleep(0.005)
        else:
            return
    sys.exit("the device under test is not ready")


def _kib(text: str, name: str) -> int:
    line = next(line for line in text.splitlines() if line.startswith(name))
    return int(line.split()[1])
