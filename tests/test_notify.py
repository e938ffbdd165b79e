"""What systemd is told, and the sockets it hands down."""

from collections.abc import Iterator
import os
from pathlib import Path
import select
import signal
import socket
import subprocess
import sys

import httpx
import pytest
import trio
import trio.testing

from preppald.daemon.systemd import PATIENCE_SECONDS, STATUS_SECONDS, Supervisor, to_journal
from preppald.errors import StartError
from tests.world import SECRET

# A real process on a busy machine.
PROCESS_SECONDS = 30.0
PATIENCE_LINE = f"EXTEND_TIMEOUT_USEC={PATIENCE_SECONDS * 1_000_000:.0f}"


class Systemd:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0", 1))
        self._socket.settimeout(0)

    def heard(self) -> list[str]:
        """The lines of the next message; none when there is no message."""
        try:
            return self._socket.recv(4096).decode().split("\n")
        except BlockingIOError:
            return []

    def wait_for(self, line: str) -> None:
        while select.select([self._socket], [], [], PROCESS_SECONDS)[0]:
            if line in self.heard():
                return
        raise AssertionError(f"systemd never heard {line}")

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def address(tmp_path: Path) -> str:
    return str(tmp_path / "notify")


@pytest.fixture
def systemd(address: str) -> Iterator[Systemd]:
    heard = Systemd(address)
    yield heard
    heard.close()


def test_readiness_reload_and_stop_are_told(systemd: Systemd, address: str) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": address}, 1)
    supervisor.ready()
    assert systemd.heard() == ["READY=1"]
    supervisor.reloading()
    reloading, began = systemd.heard()
    assert reloading == "RELOADING=1"
    assert began.removeprefix("MONOTONIC_USEC=").isdecimal()
    supervisor.stopping()
    assert systemd.heard() == ["STOPPING=1", PATIENCE_LINE]


def test_an_abstract_address_is_reached() -> None:
    name = f"@preppald-test-{os.getpid()}"
    systemd = Systemd(name)
    Supervisor({"NOTIFY_SOCKET": name}, 1).ready()
    assert systemd.heard() == ["READY=1"]
    systemd.close()


async def test_without_systemd_nothing_happens() -> None:
    supervisor = Supervisor({}, 1)
    supervisor.ready()
    supervisor.stopping()
    await supervisor.attend(lambda: "never asked for")
    assert supervisor.sockets() == ([], [])


def test_a_systemd_that_has_gone_is_no_failure(address: str) -> None:
    Supervisor({"NOTIFY_SOCKET": address}, 1).ready()


def test_a_full_queue_does_not_hold_up_the_loop(systemd: Systemd, address: str) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": address}, 1)
    for _ in range(10_000):  # net.unix.max_dgram_qlen is 10 to 512
        supervisor.ready()
    assert systemd.heard() == ["READY=1"]


async def test_the_status_is_told_when_it_changes(
    systemd: Systemd, address: str, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    words = "no interviews"
    supervisor = Supervisor({"NOTIFY_SOCKET": address}, 1)
    nursery.start_soon(supervisor.attend, lambda: words)
    await trio.sleep(STATUS_SECONDS / 2)
    assert systemd.heard() == ["STATUS=no interviews"]
    await trio.sleep(STATUS_SECONDS)
    assert systemd.heard() == []
    words = "37 interviews, 2 waiting to reconnect"
    await trio.sleep(STATUS_SECONDS)
    assert systemd.heard() == ["STATUS=37 interviews, 2 waiting to reconnect"]
    nursery.cancel_scope.cancel()


async def test_the_watchdog_is_fed_three_times_in_its_time(
    systemd: Systemd, address: str, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    """Also when WATCHDOG_PID is not ours: the one-file binary's parent is the process that systemd knows."""
    env = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "999999"}
    supervisor = Supervisor(env, 1)
    nursery.start_soon(supervisor.attend, lambda: "well")
    await trio.sleep(2.5)
    assert systemd.heard() == ["WATCHDOG=1", "STATUS=well"]
    assert systemd.heard() == ["WATCHDOG=1"]
    assert systemd.heard() == ["WATCHDOG=1"]
    assert systemd.heard() == []
    nursery.cancel_scope.cancel()


async def test_a_drain_asks_for_time_as_long_as_the_loop_lives(
    systemd: Systemd, address: str, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    supervisor = Supervisor({"NOTIFY_SOCKET": address}, 1)
    supervisor.stopping()
    nursery.start_soon(supervisor.attend, lambda: "Draining")
    await trio.sleep(STATUS_SECONDS * 1.5)
    assert systemd.heard() == ["STOPPING=1", PATIENCE_LINE]
    assert systemd.heard() == [PATIENCE_LINE, "STATUS=Draining"]
    assert systemd.heard() == [PATIENCE_LINE]
    nursery.cancel_scope.cancel()


def handed_down(monkeypatch: pytest.MonkeyPatch, *fds: int) -> None:
    """File descriptors cannot be 3 and following in a test process: those are taken."""
    assert list(fds) == list(range(fds[0], fds[0] + len(fds)))
    monkeypatch.setattr("preppald.daemon.systemd.FIRST_FD", fds[0])


def test_sockets_go_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    public, admin = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    first = 200
    os.dup2(public.fileno(), first)
    os.dup2(admin.fileno(), first + 1)
    handed_down(monkeypatch, first, first + 1)
    env = {"LISTEN_FDS": "2", "LISTEN_PID": "7", "LISTEN_FDNAMES": "preppald.socket:admin"}
    given_public, given_admin = Supervisor(env, 7).sockets()
    assert [found.getsockname() for found in given_public] == [public.getsockname()]
    assert [found.getsockname() for found in given_admin] == [admin.getsockname()]
    assert not given_public[0].get_inheritable()
    for found in (public, admin, *given_public, *given_admin):
        found.close()


def test_sockets_without_names_are_for_browsers(monkeypatch: pytest.MonkeyPatch) -> None:
    public = socket.create_server(("127.0.0.1", 0))
    handed_down(monkeypatch, os.dup(public.fileno()))
    given_public, given_admin = Supervisor({"LISTEN_FDS": "1", "LISTEN_PID": "7"}, 7).sockets()
    assert (len(given_public), given_admin) == (1, [])
    public.close()
    given_public[0].close()


def test_sockets_for_another_process_are_left_alone() -> None:
    assert Supervisor({"LISTEN_FDS": "1", "LISTEN_PID": "8"}, 7).sockets() == ([], [])
    assert Supervisor({"LISTEN_FDS": "many", "LISTEN_PID": "7"}, 7).sockets() == ([], [])


def test_what_is_no_listening_tcp_socket_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    connected, other = socket.socketpair()
    idle = socket.socket()
    for wrong in (datagram, connected, idle):
        handed_down(monkeypatch, os.dup(wrong.fileno()))
        with pytest.raises(StartError, match="does not listen for TCP"):
            Supervisor({"LISTEN_FDS": "1", "LISTEN_PID": "7"}, 7).sockets()
        wrong.close()
    other.close()
    with (tmp_path / "file").open("w") as file:
        handed_down(monkeypatch, file.fileno())
        with pytest.raises(StartError, match="is no socket"):
            Supervisor({"LISTEN_FDS": "1", "LISTEN_PID": "7"}, 7).sockets()


def test_the_daemon_tells_systemd_and_serves_its_socket(
    systemd: Systemd, address: str, tmp_path: Path
) -> None:
    """A real process: ready, reloaded, stopped, on a socket that was opened before it."""
    public = socket.create_server(("127.0.0.1", 0))
    # What systemd does between fork and exec: LISTEN_PID is the pid of the process that is to be.
    start = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3); os.environ['LISTEN_PID'] = str(os.getpid());"
        "os.execv(sys.executable, [sys.executable, '-m', 'preppald', 'serve'])"
    )
    env = os.environ | {
        "LISTEN_FDS": "1",
        "NOTIFY_SOCKET": address,
        "JWT_SECRET": SECRET,
        "GEMINI_API_KEY": "key-for-tests",
        "PREPPALD_BACKEND": "none",
        "PREPPALD_STATE_DIR": str(tmp_path / "state"),
        "PREPPALD_ADMIN_LISTEN": "127.0.0.1:0",
    }
    with subprocess.Popen(
        [sys.executable, "-c", start, str(public.fileno())], env=env, pass_fds=[public.fileno()]
    ) as daemon:
        try:
            systemd.wait_for("READY=1")
            host, port = public.getsockname()
            assert httpx.get(f"http://{host}:{port}/ready").status_code == 200
            daemon.send_signal(signal.SIGHUP)
            systemd.wait_for("READY=1")
            daemon.send_signal(signal.SIGTERM)
            systemd.wait_for("STOPPING=1")
            assert daemon.wait(PROCESS_SECONDS) == 0
        finally:
            daemon.kill()
    public.close()


def test_the_journal_is_known_by_its_socket(tmp_path: Path) -> None:
    """Not by the variable alone: a daemon's child, or a redirection, has it too."""
    with (tmp_path / "log").open("w") as stream:
        written = os.fstat(stream.fileno())
        assert to_journal({"JOURNAL_STREAM": f"{written.st_dev}:{written.st_ino}"}, stream)
        assert not to_journal({"JOURNAL_STREAM": f"{written.st_dev}:{written.st_ino + 1}"}, stream)
        assert not to_journal({}, stream)
    assert not to_journal({"JOURNAL_STREAM": "1:2"}, stream)  # closed
