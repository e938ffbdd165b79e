"""PostgreSQL for tests: Debian's own, in a directory of its own, as a user that is not root."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
import os
from pathlib import Path
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from tests.ports import free_port

USER = "postgres"
PATIENCE_SECONDS = 30.0
# Of a test's database: nothing is waited for on the disk that the test does not ask for.
FAST = ("fsync=off", "full_page_writes=off", "max_connections=60", "wal_level=replica", "max_wal_senders=4")


def programs() -> Path:
    """Return the folder of PostgreSQL's programs."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda it: int(it.parts[4]))
    assert found, "no PostgreSQL is installed: apt-get install postgresql"
    return found[-1].parent


def as_user(*command: str | Path) -> list[str]:
    """Return a command as it is run by a plain user: PostgreSQL refuses root."""
    words = [str(it) for it in command]
    if os.geteuid():
        return words
    user = pwd.getpwnam(USER)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *words]


@dataclass
class Server:
    """``directory``: of its data. The process is this test's child."""

    directory: Path
    port: int
    settings: Sequence[str] = FAST
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def create(self) -> None:
        self.directory.mkdir(parents=True)
        if not os.geteuid():
            shutil.chown(self.directory, USER, pwd.getpwnam(USER).pw_gid)
        run(
            programs() / "initdb",
            "-D",
            self.directory,
            "-U",
            USER,
            "-A",
            "trust",
            "-N",
            "-E",
            "UTF8",
            "--locale=C",
        )

    def copy_of(self, primary: "Server", slot: str) -> None:
        """Make this a standby of another one that runs."""
        self.directory.mkdir(parents=True)
        if not os.geteuid():
            shutil.chown(self.directory, USER, pwd.getpwnam(USER).pw_gid)
        self.directory.chmod(0o700)
        source = f"host=127.0.0.1 port={primary.port} user={USER} application_name={slot}"
        run(
            programs() / "pg_basebackup",
            "-D",
            self.directory,
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
            "-d",
            source,
        )

    def start(self) -> None:
        options = [word for it in self.settings for word in ("-c", it)]
        where = ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        command = [
            str(programs() / "postgres"),
            "-D",
            str(self.directory),
            "-p",
            str(self.port),
            *where,
            *options,
        ]
        log = (self.directory.parent / f"{self.directory.name}.log").open("ab")
        with log:
            self.process = subprocess.Popen(as_user(*command), stdout=log, stderr=log, start_new_session=True)
        until = time.monotonic() + PATIENCE_SECONDS
        ready = (programs() / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port))
        while subprocess.run(as_user(*ready), check=False).returncode:
            assert time.monotonic() < until, f"PostgreSQL did not start: see {log.name}"
            assert self.process.poll() is None, f"PostgreSQL ended: see {log.name}"
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT in order, SIGKILL the whole session of processes at once."""
        if self.process is None:
            return
        if how is signal.SIGKILL:
            os.killpg(self.process.pid, how)
        else:
            self.process.send_signal(how)
        self.process.wait(PATIENCE_SECONDS)
        self.process = None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all of its processes: SIGSTOP, SIGCONT."""
        assert self.process is not None
        for child in descendants(self.process.pid):
            with suppress(ProcessLookupError):  # a connection's, which has ended since they were listed
                os.kill(child, number)

    def promote(self) -> None:
        run(programs() / "pg_ctl", "promote", "-D", self.directory, "-w")

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Return psql's plain answer."""
        url = f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"
        command = (
            programs() / "psql",
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            url,
            "-c",
            statement,
        )
        return subprocess.run(as_user(*command), check=True, capture_output=True, text=True).stdout.strip()


def run(*command: str | Path) -> None:
    done = subprocess.run(as_user(*command), check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def descendants(pid: int) -> list[int]:
    """Return the processes of a server: PostgreSQL gives each of them a session of its own."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    except (FileNotFoundError, ProcessLookupError):  # it has ended since it was listed
        return []
    return [pid, *(it for child in children for it in descendants(int(child)))]


@contextmanager
def room() -> Iterator[Path]:
    """Yield a folder that another user may enter: pytest's own are closed to everybody."""
    with tempfile.TemporaryDirectory(prefix="preppald-postgres-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def running(*settings: str) -> Iterator[Server]:
    """Yield a server that runs; killed at the end."""
    with room() as directory:
        server = Server(directory / "data", free_port(), (*FAST, *settings))
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.stop(signal.SIGKILL)


@contextmanager
def pooled(server: Server) -> Iterator[int]:
    """Yield the port of a PgBouncer in transaction mode before a server."""
    with room() as directory:
        port = free_port()
        users = directory / "users.txt"
        users.write_text(f'"{USER}" ""\n')
        configuration = directory / "pgbouncer.ini"
        configuration.write_text(
            f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {users}\n"
            "pool_mode = transaction\ndefault_pool_size = 2\nmax_client_conn = 100\nserver_idle_timeout = 1\n"
        )
        process = subprocess.Popen(
            as_user("/usr/sbin/pgbouncer", "-q", configuration),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until = time.monotonic() + PATIENCE_SECONDS
            while not _listens(port):
                assert time.monotonic() < until, "PgBouncer did not start"
                time.sleep(0.05)
            yield port
        finally:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as it:
        return it.connect_ex(("127.0.0.1", port)) == 0
