"""The fleet of the chaos rounds: three hosts of two instances, a primary and its synchronous standby, HAProxy that sticks to
nothing, Gemini, the backend, and candidates.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
import json
import os
from pathlib import Path
import random
import shutil
import signal
import subprocess
import sys
import time

import msgspec
import trio

from preppald.core import tokens as auth
from preppald.core.turns import Fragment
from preppald.shared.archive import SharedArchive
from preppald.simulator import serve_backend, serve_gemini
from preppald.simulator.backend_scenario import BackendScenario
from tests.processes.host import WORKER_SECRET, Backend
from tests.shared.chaos_verdict import Evidence
from tests.shared.namespaces import HERE, Namespace, namespaces
from tests.shared.server import FAST, Server, as_user, programs, room
from tests.simulation.gemini import Gemini
from tests.simulation.tab import Character, Tab
from tests.world import SECRET

HOSTS, INSTANCES = 3, "ab"
PUBLIC, PEER, ADMIN = 8787, 8887, 8987
DATABASES = (5432, 5433)
BALANCER, GEMINI, BACKEND = 8000, 8001, 8002
# Of a talk, from its beginning; the fault comes in the middle of it.
TALK_SECONDS = 40.0
# From a primary's death to the promotion: somebody has to notice it.
AWAY_SECONDS = 3.0
# The balancer has looked twice at each host by then.
CHECKED_SECONDS = 2.0
# Six daemons start at once, and on a machine that has other work that is a minute.
READY_SECONDS = 150.0


@dataclass
class Instance:
    """A daemon of a host."""

    host: int
    name: str
    place: Namespace
    directory: Path
    offset: int
    url: str
    process: trio.Process | None = None
    starts: int = 0

    @property
    def address(self) -> str:
        return f"{self.place.address}:{PUBLIC + self.offset}"

    @property
    def peer_address(self) -> str:
        return f"{self.place.address}:{PEER + self.offset}"

    async def start(self) -> None:
        here = self.directory
        runtime = here / "run" / self.name
        runtime.mkdir(parents=True, exist_ok=True)
        env = {
            "PATH": os.environ["PATH"],
            "JWT_SECRET": SECRET,
            "WORKER_SHARED_SECRET": WORKER_SECRET,
            "GEMINI_API_KEY": "key-for-tests",
            "PREPPALD_INSTANCE": self.name,
            "PREPPALD_LISTEN": self.address,
            "PREPPALD_ADMIN_LISTEN": f"127.0.0.1:{ADMIN + self.offset}",
            "PREPPALD_PEER_LISTEN": self.peer_address,
            "PREPPALD_STATE_DIR": str(here / "state"),
            "RUNTIME_DIRECTORY": str(runtime),
            "PREPPALD_GEMINI_URL": f"ws://{HERE}:{GEMINI}",
            "NEXT_PUBLIC_API_URL": f"http://{HERE}:{BACKEND}",
            "PREPPALD_SHARED_JOURNAL": self.url,
            "PREPPALD_SESSION_LIMIT": "180s",
            "PREPPALD_RECONNECT_GRACE": "60s",
            "PREPPALD_DRAIN": "2s",
            "PREPPALD_VAD_SILENCE": "100ms",
            "PREPPALD_TRUSTED_PROXIES": HERE,
        }
        self.starts += 1
        with (here / f"log-{self.name}-{self.starts}").open("wb") as log:
            command = self.place.inside(sys.executable, "-m", "preppald", "serve")
            self.process = await trio.lowlevel.open_process(
                command, env=env, stdin=subprocess.DEVNULL, stderr=log
            )

    async def ready(self) -> None:
        log = self.directory / f"log-{self.name}-{self.starts}"
        with trio.fail_after(READY_SECONDS):
            while b'"daemon.ready"' not in log.read_bytes():  # noqa: ASYNC110, ASYNC240 - another process writes it
                await trio.sleep(0.05)

    async def end(self, how: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            await self.process.wait()
            self.process = None


class Databases:
    """A primary and its synchronous standby, which change places."""

    def __init__(self, directory: Path) -> None:
        settings = [it for it in FAST if not it.startswith("max_connections")]
        settings += ["listen_addresses=*", "max_connections=100"]
        self.primary, self.standby = (
            Server(directory / name, port, settings)
            for name, port in zip(("one", "two"), DATABASES, strict=True)
        )

    @property
    def url(self) -> str:
        return f"postgresql://postgres@{HERE}:{DATABASES[0]},{HERE}:{DATABASES[1]}/postgres?sslmode=disable"

    def create(self) -> None:
        self.primary.create()
        with (self.primary.directory / "pg_hba.conf").open("a") as rules:
            rules.write("host all all 10.77.0.0/24 trust\n")
        self.primary.start()
        self.make_standby()

    def make_standby(self) -> None:
        """Copy the primary, and have it wait for the copy."""
        if self.standby.directory.exists():
            shutil.rmtree(self.standby.directory)
        self.standby.copy_of(self.primary, "standby")
        self.standby.start()
        self._wait_for("standby")

    def fail_over(self) -> None:
        """Lose the primary; the standby takes its place, and waits for nobody."""
        self.primary.stop(signal.SIGKILL)
        time.sleep(AWAY_SECONDS)
        self.standby.promote()
        self.primary, self.standby = self.standby, self.primary
        self._wait_for("")

    def stop(self) -> None:
        for server in (self.primary, self.standby):
            server.stop(signal.SIGKILL)

    def _wait_for(self, names: str) -> None:
        self.primary.sql(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
        self.primary.sql("SELECT pg_reload_conf()")


class Fleet:
    """Everything that runs. ``notes``: the candidates', with when."""

    def __init__(
        self, places: Sequence[Namespace], directory: Path, databases: Databases, chance: random.Random
    ) -> None:
        self.databases = databases
        self.directory = directory
        self.gemini = Gemini(chance, lambda _event, _keys: None)
        self.backend = Backend(BackendScenario(secret=WORKER_SECRET, honours_idempotency_key=True))
        self.notes: list[tuple[float, str, dict[str, object]]] = []
        self.instances = [
            Instance(number, name, place, directory / f"host-{number}", offset, databases.url)
            for number, place in enumerate(places)
            for offset, name in enumerate(INSTANCES)
        ]

    def of_host(self, number: int) -> list[Instance]:
        return [it for it in self.instances if it.host == number]

    def waited(self) -> dict[int, float]:
        """Return the seconds that each instance, and this process, was ready to run and had no core, by process id."""
        running = [it.process.pid for it in self.instances if it.process is not None]
        files = {pid: Path(f"/proc/{pid}/schedstat") for pid in (os.getpid(), *running)}
        return {pid: int(it.read_text("ascii").split()[1]) / 1e9 for pid, it in files.items()}

    def balance(self) -> subprocess.Popen[bytes]:
        """Start HAProxy before all instances: any of them gets any connection."""
        servers = "\n".join(
            f"\tserver i{number} {it.address} check" for number, it in enumerate(self.instances)
        )
        file = self.directory / "haproxy.cfg"
        file.write_text(
            "defaults\n\tmode tcp\n\ttimeout connect 1s\n\ttimeout client 1h\n\ttimeout server 1h\n\tretries 1\n"
            "\toption redispatch\n"
            f"frontend candidates\n\tbind {HERE}:{BALANCER}\n\tdefault_backend all\n"
            "backend all\n\tbalance random\n\toption httpchk GET /health\n"
            f"\tdefault-server inter 500ms fall 2 rise 1 on-marked-down shutdown-sessions\n{servers}\n"
        )
        return subprocess.Popen(
            ["haproxy", "-db", "-f", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def note(self, event: str, keys: dict[str, object]) -> None:
        self.notes.append((trio.current_time(), event, keys))

    def tab(self, name: str, number: int, chance: random.Random) -> Tab:
        character = Character(
            comes_at=0.3 * number,
            pause=4.0,
            ends_at=TALK_SECONDS,
            vanishes_at=None,
            drops_at=(),
            doubles_at=None,
        )
        connect = partial(trio.open_tcp_stream, HERE, BALANCER)
        return Tab(name, partial(_token, name), connect, character, chance, self.note, hurry=1.0)

    def owners(self) -> dict[str, str]:
        """Return the peer address of each live interview's owner."""
        found = self.databases.primary.sql(
            "SELECT interview_id, o.address FROM preppald.interview i JOIN preppald.instance o ON o.id = i.owner "
            "WHERE phase = 'live'"
        )
        return dict(line.split("|") for line in found.splitlines())

    def evidence(self, tab: Tab, struck: float, unsafe: float) -> Evidence:
        """Ask the shared journal and the backend for an interview."""
        name, archive = tab.interview_id, SharedArchive(self.databases.url)
        held = [it for own in archive.sessions(name) for it in archive.fragments(name, own.epoch)]
        late = self.databases.primary.sql(
            f"SELECT coalesce(json_agg(f), '[]') FROM preppald.late, json_array_elements(fragments::json) f "
            f"WHERE interview_id = '{name}'"
        )
        found = self.backend.interviews.get(name)
        return Evidence(
            interview_id=name,
            shown={seq: words for seq, (words, _) in tab.shown.items()},
            held=held,
            late=msgspec.json.decode(late, type=list[Fragment]),
            posted=[it.content for it in found.transcript] if found and found.transcript else None,
            transcripts=found.submissions if found else 0,
            status=found.status if found else "",
            struck={seq: struck - at for seq, (_, at) in tab.shown.items()},
            unsafe=unsafe,
        )

    def keep(self, directory: Path, judged: Sequence[Evidence], began: float) -> None:
        """Write down what is known of a round: the daemons' logs, the shared journal, and the candidates' side."""
        directory.mkdir(parents=True)
        for log in (
            *self.directory.glob("host-*/log-*"),
            *self.databases.primary.directory.parent.glob("*.log"),
        ):
            shutil.copy(log, directory / f"{log.parent.name}-{log.name}")
        url = f"postgresql://postgres@127.0.0.1:{self.databases.primary.port}/postgres"
        dump = as_user(programs() / "pg_dump", "--schema=preppald", "--inserts", "-d", url)
        with (directory / "journal.sql").open("wb") as file:
            subprocess.run(dump, stdout=file, check=False)
        notes = [{"at": began + at, "event": event, **keys} for at, event, keys in self.notes]
        (directory / "notes").write_text("".join(f"{json.dumps(it)}\n" for it in notes))
        (directory / "evidence").write_bytes(b"\n".join(msgspec.json.encode(it) for it in judged))


def _token(name: str) -> str:
    return auth.sign(SECRET, user_id=name, interview_id=name, now=time.time_ns() // 10**9)


@asynccontextmanager
async def fleet_of(directory: Path, seed: int) -> AsyncIterator[Fleet]:
    """Yield a fleet that runs; everything of it is killed in the end."""
    with ExitStack() as stack:
        places = stack.enter_context(namespaces(HOSTS))
        databases = Databases(stack.enter_context(room()))
        stack.callback(databases.stop)
        databases.create()
        fleet = Fleet(places, directory, databases, random.Random(f"gemini {seed}"))
        async with trio.open_nursery() as services:
            await services.start(partial(serve_gemini, (HERE, GEMINI), fleet.gemini))
            await services.start(partial(serve_backend, (HERE, BACKEND), fleet.backend))
            try:
                for it in fleet.instances:
                    await it.start()
                for it in fleet.instances:
                    await it.ready()
                balancer = fleet.balance()
                stack.callback(balancer.wait)
                stack.callback(balancer.kill)
                await trio.sleep(CHECKED_SECONDS)
                yield fleet
            finally:
                with trio.CancelScope(shield=True):
                    for it in fleet.instances:
                        await it.end(signal.SIGKILL)
            services.cancel_scope.cancel()
