"""The daemon as it is run: a process of its own, with its log in a file and a simulated Gemini beside it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
import json
from pathlib import Path
import resource
import subprocess
import sys
import time

import trio

from preppald.core import tokens as auth
from preppald.simulator import GeminiSimulator, Scenario, serve_gemini
from tests.candidates import Candidate
from tests.world import SECRET

# A process on a busy machine.
PATIENCE_SECONDS = 30.0
LOOK_SECONDS = 0.05


def many_descriptors() -> None:
    """This process, and those that it starts, may have as many as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@dataclass
class Daemon:
    """``log``: the file with its lines."""

    process: trio.Process
    log: Path
    port: int = 0
    admin_port: int = 0
    candidates: list[Candidate] = field(default_factory=list)

    def lines(self, event: str) -> list[Mapping[str, object]]:
        text = self.log.read_text("utf-8")
        found = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
        return [line for line in found if line["event"] == event]

    async def logged(self, event: str, times: int = 1) -> Mapping[str, object]:
        """The event's line, once it has been written so often."""
        with trio.fail_after(PATIENCE_SECONDS):
            while len(found := self.lines(event)) < times:
                assert self.process.poll() is None, self.log.read_text("utf-8")
                await trio.sleep(LOOK_SECONDS)
        return found[-1]

    @property
    def resident_bytes(self) -> int:
        pages = Path(f"/proc/{self.process.pid}/statm").read_text("ascii").split()[1]
        return int(pages) * resource.getpagesize()

    @property
    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    async def get(self, path: str) -> bytes:
        """A page of the operator's port."""
        with trio.fail_after(PATIENCE_SECONDS):
            async with await trio.open_tcp_stream("127.0.0.1", self.admin_port) as stream:
                await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
                return b"".join([part async for part in stream])

    async def connections(self) -> int:
        text = (await self.get("/metrics")).decode()
        (line,) = [line for line in text.splitlines() if line.startswith("preppald_connections ")]
        return round(float(line.partition(" ")[2]))

    async def candidate(
        self,
        nursery: trio.Nursery,
        interview_id: str = "iv-1",
        secret: str = SECRET,
        *,
        stream: trio.abc.Stream | None = None,
    ) -> Candidate:
        """In an interview, and reading. A user of its own for each interview. ``stream``: to the port, where it is no usual one."""
        now = time.time_ns() // 10**9
        token = auth.sign(secret, user_id=interview_id, interview_id=interview_id, now=now)
        candidate = Candidate(stream or await trio.open_tcp_stream("127.0.0.1", self.port))
        self.candidates.append(candidate)
        await candidate.open(f"/{interview_id}", token)
        if candidate.status == 101:
            nursery.start_soon(candidate.run)
        return candidate


@asynccontextmanager
async def daemon(
    tmp_path: Path,
    settings: Mapping[str, str],
    *,
    stderr: int | None = None,
    scenario: Scenario | None = None,
    gemini: GeminiSimulator | None = None,
) -> AsyncIterator[Daemon]:
    """Running and ready; killed at the end.

    ``stderr``: another place for its lines than the file. ``scenario``: what its Gemini does. ``gemini``: another in its
    place, in this process.
    """
    log = tmp_path / "log"
    async with trio.open_nursery() as nursery:
        service = gemini or GeminiSimulator(scenario or Scenario())
        gemini_port: int = await nursery.start(partial(serve_gemini, ("127.0.0.1", 0), service))
        env = {
            "JWT_SECRET": SECRET,
            "GEMINI_API_KEY": "key-for-tests",
            "PREPPALD_BACKEND": "none",
            "PREPPALD_LISTEN": "127.0.0.1:0",
            "PREPPALD_ADMIN_LISTEN": "127.0.0.1:0",
            "PREPPALD_STATE_DIR": str(tmp_path / "state"),
            "PREPPALD_GEMINI_URL": f"ws://127.0.0.1:{gemini_port}",
            **settings,
        }
        with log.open("wb") as file:
            process = await trio.lowlevel.open_process(
                [sys.executable, "-m", "preppald", "serve"],
                env=env,
                stdin=subprocess.DEVNULL,
                stderr=file if stderr is None else stderr,
            )
        running = Daemon(process, log)
        try:
            if stderr is None:
                ready = await running.logged("daemon.ready")
                running.port = int(str(ready["listen"]).rpartition(":")[2])
                running.admin_port = int(str(ready["admin"]).rpartition(":")[2])
            yield running
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()
                for candidate in running.candidates:
                    await trio.aclose_forcefully(candidate.stream)
        nursery.cancel_scope.cancel()
