"""The device under test: a real process, or several on one port, pinned to cores, looked at from outside."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
import os
from pathlib import Path
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

from tests.bench.load import SECRET
from tests.bench.ways import Encryption
from tests.ports import free_ports

# A start that takes longer has failed.
READY_SECONDS = 20.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
HOST = "127.0.0.1"
# Gemini's, as its certificate has it.
NAME = "localhost"
# What production would refuse is not what a benchmark wants to find.
MANY = "5000"
# A process that has used up its share waits for the rest of this: less than a tick, or latency would be measured.
QUOTA_PERIOD_US = 10_000
# How much more of a core a process gets for each step of its priority.
A_STEP_OF_NICE = 1.25


@dataclass(frozen=True, slots=True)
class Bridge:
    """Something that carries interviews. ``command``: how it is started, after the interpreter.

    ``ready_page``: whether it says by itself when it is ready; otherwise it is when its port is open.
    ``interpreter``: where it is not the device's Python.
    """

    name: str
    command: tuple[str, ...]
    ready_page: bool
    interpreter: str | None = None


PREPPALD = Bridge("preppald", ("-m", "preppald", "serve"), ready_page=True)
NAIVE = Bridge("naive", ("-m", "tests.bench.naive"), ready_page=False)
NODE = Bridge("node", (str(Path(__file__).parent / "node/bridge.mjs"),), ready_page=False, interpreter="node")
BRIDGES = {bridge.name: bridge for bridge in (PREPPALD, NODE, NAIVE)}


def node_is_installed() -> bool:
    """Whether the bridge on Node can be started."""
    return shutil.which("node") is not None and Path(NODE.command[0]).with_name("node_modules").is_dir()


@dataclass(slots=True)
class Device:
    """A running bridge. ``ready_seconds``: from its start to the first answer of ``/ready``, or the open port."""

    pids: Sequence[int]
    address: tuple[str, int]
    metrics: Sequence[str]
    ready_seconds: float

    def cpu_seconds(self) -> float:
        """User and system time of all its threads."""
        return sum(_cpu_seconds(pid) for pid in self.pids)

    def pss_kib(self) -> int:
        """Memory that would be free without it: its own, and its share of what it shares."""
        return sum(_kib(Path(f"/proc/{pid}/smaps_rollup").read_text(), "Pss:") for pid in self.pids)

    def rss_kib(self) -> int:
        return sum(_kib(Path(f"/proc/{pid}/status").read_text(), "VmRSS:") for pid in self.pids)

    def scrape(self) -> None:
        """What a Prometheus does every 15 seconds. The naive bridge has no metrics."""
        for page in self.metrics:
            with suppress(OSError):
                urllib.request.urlopen(page, timeout=5).read()


@contextmanager
def running(
    bridge: Bridge,
    *,
    python: str,
    tree: Path,
    cores: Sequence[int],
    share: float | None,
    nice: int,
    gemini_port: int,
    encrypted: Encryption,
    log: Path | None,
) -> Iterator[Device]:
    """Starts one instance of the bridge a core, and stops them at the end. ``tree``: where its sources are.

    Several share one listening socket, as systemd's have it. ``share``: of its core, what each may use at most.
    """
    with ExitStack() as ends:
        state, runtime = (ends.enter_context(tempfile.TemporaryDirectory()) for _ in range(2))
        output = ends.enter_context((log or Path(os.devnull)).open("ab"))
        port, *admins = free_ports(1 + len(cores))
        environment = {
            "PATH": os.environ["PATH"],
            "JWT_SECRET": SECRET,
            "GEMINI_API_KEY": "key-for-benchmarks",
            "PREPPALD_BACKEND": "none",
            "PREPPALD_GEMINI_URL": f"{encrypted.scheme}://{NAME}:{gemini_port}",
            "PREPPALD_LISTEN": f"{HOST}:{port}",
            "PREPPALD_STATE_DIR": state,
            "PREPPALD_MAX_SESSIONS": MANY,
            "PREPPALD_MAX_CONNECTIONS": MANY,
            "PREPPALD_MAX_CONNECTIONS_PER_ADDRESS": MANY,
            **encrypted.environment,
            # What else is to be measured: PREPPALD_RECORD=on python -m tests.bench …
            **{name: value for name, value in os.environ.items() if name.startswith("PREPPALD_")},
        }
        command = [bridge.interpreter or python, *bridge.command]
        shared: tuple[int, ...] = ()
        if len(cores) > 1:
            listening = ends.enter_context(socket.create_server((HOST, port), backlog=1024))
            shared = (listening.fileno(),)
            # The protocol wants descriptor 3 and the process's own number, which is known to itself first.
            handing = f'export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@" 3<&{shared[0]}'
            command = ["/bin/sh", "-c", handing, "sh", *command]
        began = time.monotonic()
        pids = []
        for number, (core, admin) in enumerate(zip(cores, admins, strict=True)):
            own = {"PREPPALD_ADMIN_LISTEN": f"{HOST}:{admin}"}
            if shared:
                directory = Path(runtime, str(number))
                directory.mkdir()
                own |= {"PREPPALD_INSTANCE": str(number), "RUNTIME_DIRECTORY": str(directory)}
            process = subprocess.Popen(
                command,
                cwd=tree,
                env=environment | own,
                pass_fds=shared,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            ends.callback(_kill, process)
            pids.append(process.pid)
            os.sched_setaffinity(process.pid, {core})
            if nice:
                prioritise(process.pid, nice)
            # The operator's port is plain, and answers when the daemon is ready.
            where = admin if shared or encrypted.browsers is not None else port
            _await_ready(process, where if bridge.ready_page else port, page=bridge.ready_page)
            if share is not None:
                ends.enter_context(limited(process.pid, share, nice))
        ready = time.monotonic() - began
        yield Device(pids, (HOST, port), [f"http://{HOST}:{admin}/metrics" for admin in admins], ready)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    # Interviews that still run are not worth a drain here.
    process.kill()
    process.wait()


@contextmanager
def limited(pid: int, share: float, nice: int) -> Iterator[None]:
    """Lets a process use no more than this share of a core, by a control group (version 1 or 2; root only).

    Within a group of its own its priority is nobody's concern, so the group gets the weight instead (sched(7)).
    """
    root = Path("/sys/fs/cgroup/cpu")
    old = root.is_dir()
    group = (root if old else root.parent) / f"preppald-bench-{pid}"
    quota = round(QUOTA_PERIOD_US * share)
    try:
        group.mkdir()
        if old:
            (group / "cpu.cfs_period_us").write_text(str(QUOTA_PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(quota))
            (group / "cpu.shares").write_text(str(round(1024 * A_STEP_OF_NICE**-nice)))
        else:
            (group / "cpu.max").write_text(f"{quota} {QUOTA_PERIOD_US}")
            (group / "cpu.weight").write_text(str(min(10_000, round(100 * A_STEP_OF_NICE**-nice))))
        (group / "cgroup.procs").write_text(str(pid))
    except OSError as error:
        sys.exit(f"{group} cannot limit a process to a share of a core: {error}")
    try:
        yield
    finally:
        # Back out of it, for only an empty group can go.
        (group.parent / "cgroup.procs").write_text(str(pid))
        group.rmdir()


def prioritise(pid: int, nice: int) -> None:
    """Ahead of whatever else runs on the machine (root only); where sessions are scheduled as groups, those too."""
    os.setpriority(os.PRIO_PROCESS, pid, nice)
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(nice))


def listener() -> socket.socket:
    """Where the fake Gemini is reached."""
    return socket.create_server((HOST, 0), backlog=1024)


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


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def _kib(text: str, name: str) -> int:
    line = next(line for line in text.splitlines() if line.startswith(name))
    return int(line.split()[1])
