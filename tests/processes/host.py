"""A host for real daemons that are killed: fixed ports, one state directory, a simulated Gemini and backend beside it.

The services live in this process and go on while daemons come and go. What is on disk after a kill is read as an
operator would read it: from outside.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from functools import partial
import json
from pathlib import Path
import signal
import socket
import struct
import subprocess
import sys
import time
from typing import Any, Literal

import msgspec
import trio

from preppald.core import tokens as auth
from preppald.core.turns import Fragment
from preppald.journal import Which, files, reader
from preppald.simulator import BackendSimulator, GeminiSimulator, Scenario, serve_backend, serve_gemini
from preppald.simulator.backend_scenario import BackendFault, BackendScenario
from preppald.simulator.httpd import Answer, Drop, Request
from preppald.simulator.recording import Recorder
from tests.ports import free_ports
from tests.world import SECRET

WORKER_SECRET = "another-secret-for-tests-of-32-bytes"
# A process on a busy machine.
PATIENCE_SECONDS = 30.0
LOOK_SECONDS = 0.01
# socket(7), of which Python has no name: the time of arrival comes with what is read.
SO_TIMESTAMPNS = 35
TIMESPEC = struct.Struct("qq")
RECEIVE_BYTES = 65536
# How long the backend takes: long enough to be killed meanwhile.
ANSWER_SECONDS = 0.05


class Backend(BackendSimulator):
    """Answers slowly enough to be caught at it; ``asked`` is set, and replaced, at each call. ``down``: not at all."""

    def __init__(self, scenario: BackendScenario) -> None:
        super().__init__(scenario)
        self.asked = trio.Event()
        self.down = False
        self._refusals: list[BackendFault] = []

    def refuse(self, procedure: str, *, status: Literal[400, 500, 503]) -> None:
        """Refuse the next call of this procedure."""
        self._refusals.append(BackendFault(kind="status", status=status, procedure=procedure))

    def _next_fault(self, procedure: str) -> BackendFault | None:
        if self._refusals and self._refusals[0].procedure == procedure:
            return self._refusals.pop(0)
        return super()._next_fault(procedure)

    async def _answer(self, request: Request) -> Answer:
        self.asked.set()
        self.asked = trio.Event()
        await trio.sleep(ANSWER_SECONDS)
        if self.down:
            raise Drop
        return await super()._answer(request)


@dataclass
class Host:
    """``deaths``: between which two times each daemon died, on Trio's clock; ``births``: when they were seen ready."""

    directory: Path
    settings: Mapping[str, str]
    backend: Backend
    gemini: GeminiSimulator
    port: int
    admin_port: int
    gemini_port: int
    backend_port: int
    process: trio.Process | None = None
    starts: int = 0
    deaths: list[tuple[float, float]] = field(default_factory=list)
    births: list[float] = field(default_factory=list)

    @property
    def state_dir(self) -> Path:
        return self.directory / "state"

    @property
    def log(self) -> Path:
        """Of the present process, or of the last."""
        return self.directory / f"log-{self.starts}"

    # -------------------------------------------------------------- the daemon

    async def start(self) -> trio.Process:
        """Begins to start; see ``ready``."""
        env = {
            "JWT_SECRET": SECRET,
            "WORKER_SHARED_SECRET": WORKER_SECRET,
            "GEMINI_API_KEY": "key-for-tests",
            "PREPPALD_LISTEN": f"127.0.0.1:{self.port}",
            "PREPPALD_ADMIN_LISTEN": f"127.0.0.1:{self.admin_port}",
            "PREPPALD_STATE_DIR": str(self.state_dir),
            "PREPPALD_GEMINI_URL": f"ws://127.0.0.1:{self.gemini_port}",
            "NEXT_PUBLIC_API_URL": f"http://127.0.0.1:{self.backend_port}",
            # Of use where a test shares a journal.
            "PREPPALD_PEER_LISTEN": "127.0.0.1:0",
            **self.settings,
        }
        self.starts += 1
        with self.log.open("wb") as file:
            self.process = await trio.lowlevel.open_process(
                [sys.executable, "-m", "preppald", "serve"], env=env, stdin=subprocess.DEVNULL, stderr=file
            )
        return self.process

    async def ready(self) -> None:
        await self.logged("daemon.ready")
        self.births.append(trio.current_time())

    async def has_database(self) -> None:
        """Until the process that is starting holds the lock, which is just before it recovers."""
        assert self.process is not None
        lock = self.state_dir / "preppald.lock"
        with trio.move_on_after(PATIENCE_SECONDS):
            while not lock.exists() or lock.read_text("ascii").partition("\n")[0] != str(self.process.pid):  # noqa: ASYNC110 - another process writes it
                await trio.sleep(LOOK_SECONDS)

    async def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        alive = trio.current_time()
        self.process.kill()
        await self.process.wait()
        self.deaths.append((alive, trio.current_time()))
        self.process = None

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    async def ended(self) -> int:
        """The exit status, once it ended by itself."""
        assert self.process is not None
        with trio.fail_after(PATIENCE_SECONDS):
            status = await self.process.wait()
        self.process = None
        return status

    # -------------------------------------------------------------- looked at from outside

    def lines(self, event: str) -> list[Mapping[str, Any]]:
        """The log's lines of this name, of the present process or of the last."""
        text = self.log.read_bytes()
        try:
            found = [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]
        except ValueError as error:  # a traceback
            raise AssertionError(text.decode("utf-8", "replace")[-4000:]) from error
        return [line for line in found if line["event"] == event]

    async def logged(self, event: str) -> Mapping[str, Any]:
        """The event's line, when it is there."""
        assert self.process is not None
        with trio.fail_after(PATIENCE_SECONDS):
            while not (found := self.lines(event)):
                assert self.process.poll() is None, self.log.read_text("utf-8")[-4000:]
                await trio.sleep(LOOK_SECONDS)
        return found[-1]

    def said(self) -> dict[str, list[Fragment]]:
        """What the database has of each interview; of those begun again, the last: the others ended without a word."""
        file = self.state_dir / "preppald.db"
        if not file.exists():
            return {}
        with closing(files.read_only(file)) as connection:
            return {
                it.interview_id: reader.fragments(connection, it.interview_id, it.epoch)
                for it in reader.interviews(connection, Which())
            }

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        """The database's answer."""
        file = self.state_dir / "preppald.db"
        if not file.exists():
            return []
        with closing(files.read_only(file)) as connection:
            return connection.execute(query).fetchall()

    # -------------------------------------------------------------- candidates

    async def connect(self) -> "Stamped":
        return Stamped(await trio.open_tcp_stream("127.0.0.1", self.port))

    def token(self, interview_id: str) -> str:
        now = time.time_ns() // 10**9
        return auth.sign(SECRET, user_id=interview_id, interview_id=interview_id, now=now)


class Stamped(trio.abc.Stream):
    """A connection that knows when its bytes arrived, from the kernel: the test may be late in reading them."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._arrived = trio.current_time()
        stream.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)

    def arrived_at(self) -> float:
        """Return when the last bytes that were read had arrived, on Trio's clock."""
        return self._arrived

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        try:
            data, notes, _, _ = await self._stream.socket.recvmsg(
                max_bytes or RECEIVE_BYTES, socket.CMSG_SPACE(TIMESPEC.size)
            )
        except OSError as error:
            raise trio.BrokenResourceError from error
        for level, kind, note in notes:
            if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                seconds, nanoseconds = TIMESPEC.unpack(note)
                ago = time.time_ns() / 1e9 - (seconds + nanoseconds / 1e9)
                self._arrived = trio.current_time() - ago
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()


@asynccontextmanager
async def host(
    directory: Path,
    settings: Mapping[str, str],
    scenario: Scenario,
    recorder: Recorder | None = None,
    application: BackendScenario | None = None,
) -> AsyncIterator[Host]:
    """A host on which no daemon runs yet; one that runs in the end is killed. ``recorder``: hears what Gemini gets."""
    application = application or BackendScenario(honours_idempotency_key=True)
    backend = Backend(msgspec.structs.replace(application, secret=WORKER_SECRET))
    gemini = GeminiSimulator(scenario, recorder=recorder)
    async with trio.open_nursery() as nursery:
        gemini_port = await nursery.start(partial(serve_gemini, ("127.0.0.1", 0), gemini))
        backend_port = await nursery.start(partial(serve_backend, ("127.0.0.1", 0), backend))
        port, admin_port = free_ports(2)
        here = Host(directory, settings, backend, gemini, port, admin_port, gemini_port, backend_port)
        try:
            yield here
        finally:
            with trio.CancelScope(shield=True):
                if here.process is not None:
                    await here.kill()
        nursery.cancel_scope.cancel()
