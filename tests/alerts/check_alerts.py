"""A drill for each alert: its cause is done to a real daemon, Prometheus's rules fire on what the daemon shows, and the
remedy of docs/alerts.md clears them. As root, for a disk of its own that can be full; `.ci/extra/60-alerts` runs it.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
import json
import os
from pathlib import Path
import resource
import signal
import subprocess
import sys

import msgspec
import pytest
import trio

from preppald.core.interview import Phase
from preppald.journal import files
from preppald.simulator import Scenario
from preppald.simulator.faults import Close, Http
from preppald.simulator.scenario import Timing
from tests.alerts.prometheus import RULES, Case, Scrape, judge
from tests.candidates import Candidate
from tests.certificates import Certificates
from tests.processes.host import WORKER_SECRET, Host, host

# A wrong secret is tried once a minute.
PATIENCE_SECONDS = 90.0
LOOK_SECONDS = 0.1
CALM = Scenario()
BAD_KEY = Scenario(fault=(Close(row="bad-key", at="setup", connection="all"),))
NO_MONEY = Scenario(fault=(Close(row="credits-depleted", at="setup", connection="all"),))
NO_GEMINI = Scenario(fault=(Http(status=503, connection="all"),))
SLOW = Scenario(timing=Timing(reply_delay=4.0))
# Room for the journal, and its reserve, which it gives back when the disk is full.
DISK_BYTES = 96 << 20


@dataclass
class Drill:
    """One daemon, and what Prometheus saw of it so far. ``settings`` go into its env file, which a reload reads."""

    here: Host
    folder: Path
    nursery: trio.Nursery
    seen: list[Scrape] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)

    def write(self, **settings: str) -> None:
        """Write the env file anew."""
        file = self.folder / "preppald.env"
        file.touch(0o600)
        file.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))

    async def reload(self, **settings: str) -> None:
        before = len(self.here.lines("daemon.reloaded"))
        self.write(**settings)
        self.here.signal(signal.SIGHUP)
        with trio.fail_after(PATIENCE_SECONDS):
            while len(self.here.lines("daemon.reloaded")) == before:  # noqa: ASYNC110 - another process writes it
                await trio.sleep(LOOK_SECONDS)

    async def restart(self) -> None:
        await self.here.start()
        await self.here.ready()

    async def page(self) -> str | None:
        try:
            async with await trio.open_tcp_stream("127.0.0.1", self.here.admin_port) as stream:
                await stream.send_all(
                    f"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:{self.here.admin_port}\r\n\r\n".encode()
                )
                answer = b"".join([part async for part in stream])
        except OSError:
            return None
        assert answer.startswith(b"HTTP/1.1 200 ")
        return answer.partition(b"\r\n\r\n")[2].decode()

    async def look(self) -> None:
        """Scrape: first while all is well, then while something is wrong, then after the remedy."""
        self.seen.append(Scrape.of(await self.page()))

    async def until(self, name: str, least: float, most: float | None = None) -> None:
        """Wait until a series is in this range; without ``most``, at this value exactly or above."""
        with trio.fail_after(PATIENCE_SECONDS):
            while True:
                found = Scrape.of(await self.page()).samples
                values = [value for (series, _), value in found.items() if series == name]
                if values and least <= sum(values) and (most is None or sum(values) <= most):
                    return
                await trio.sleep(LOOK_SECONDS)

    async def candidate(self, *, begun: bool = True) -> Candidate:
        """Return a new candidate; ``begun``: in an interview that has begun."""
        candidate = Candidate(await self.here.connect())
        self.candidates.append(candidate)
        name = f"iv-{len(self.candidates)}"
        await candidate.open(f"/{name}", self.here.token(name))
        self.nursery.start_soon(candidate.run)
        if begun:
            await candidate.until("session_started")
        return candidate

    async def interview(self) -> None:
        """Hold an interview from its greeting to its end."""
        candidate = await self.candidate()
        await candidate.greeted()
        await candidate.end()
        await candidate.closed()

    def database(self, statement: str) -> None:
        """Change the journal of a daemon that does not run."""
        with closing(files.writable(self.here.state_dir / "preppald.db")) as connection:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            assert connection.execute(statement).rowcount > 0

    def command(self, *words: str) -> str:
        """Run a command of the operator's; return what it printed."""
        ran = subprocess.run(
            [sys.executable, "-m", "preppald", *words],
            env={"PREPPALD_STATE_DIR": str(self.here.state_dir), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )
        return ran.stdout + ran.stderr


@asynccontextmanager
async def drilled(
    folder: Path, *fires: str, env: dict[str, str] | None = None, **settings: str
) -> AsyncIterator[Drill]:
    """A daemon that runs, all well; at the end promtool judges the three scrapes that the drill made."""
    named = {"PREPPALD_ENV_FILE": str(folder / "preppald.env"), **(env or {})}
    async with host(folder, named, CALM) as here, trio.open_nursery() as candidates:
        drill = Drill(here, folder, candidates)
        drill.write(**settings)
        await drill.restart()
        try:
            yield drill
        finally:
            with trio.CancelScope(shield=True):
                for candidate in drill.candidates:
                    await trio.aclose_forcefully(candidate.stream)
        candidates.cancel_scope.cancel()
    quiet, wrong, cleared = drill.seen
    judge(folder, Case(fires, quiet, wrong, cleared))


# ------------------------------------------------------------------ is it there


async def test_a_daemon_that_was_killed(tmp_path: Path) -> None:
    async with drilled(tmp_path, "PreppaldDown") as drill:
        await drill.look()
        await drill.here.kill()
        await drill.look()
        await drill.restart()
        await drill.look()


async def test_no_seat_is_left(tmp_path: Path) -> None:
    fires = ("PreppaldTakesNoInterviews", "PreppaldNearlyFull")
    async with drilled(tmp_path, *fires, PREPPALD_MAX_SESSIONS="2") as drill:
        await drill.look()
        await drill.candidate()
        await drill.candidate()
        assert (await drill.candidate(begun=False)).status == 503
        await drill.look()
        await drill.reload(PREPPALD_MAX_SESSIONS="20")
        await drill.candidate()
        await drill.look()


async def test_one_side_will_not_stop(tmp_path: Path) -> None:
    async with drilled(tmp_path, "PreppaldDrainsForLong") as drill:
        candidate = await drill.candidate()
        await candidate.greeted()
        await drill.look()
        drill.here.signal(signal.SIGTERM)
        await drill.here.logged("daemon.draining")
        await trio.sleep(1.2)  # signals within a second are one stop
        await drill.look()
        drill.here.signal(signal.SIGTERM)
        assert await drill.here.ended() == 0
        await drill.restart()
        assert drill.here.backend.interviews["iv-1"].transcript is not None
        await drill.look()


async def test_a_reload_with_a_fault(tmp_path: Path) -> None:
    async with drilled(tmp_path, "PreppaldReloadRefused") as drill:
        await drill.look()
        drill.write(PREPPALD_CLOSE_CODES="wrong")
        drill.here.signal(signal.SIGHUP)
        await drill.here.logged("reload.refused")
        await drill.look()
        await drill.reload(PREPPALD_CLOSE_CODES="distinct")
        await drill.look()


async def test_a_certificate_that_ends_this_week(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    async with drilled(tmp_path, "PreppaldCertificateEnds", env=certificates.env) as drill:
        await drill.look()
        certificates.renew(ends_in_days=5)
        await drill.reload()
        await drill.look()
        certificates.renew(ends_in_days=90)
        await drill.reload()
        await drill.look()


# ------------------------------------------------------------------ Gemini


async def test_geminis_key_was_revoked(tmp_path: Path) -> None:
    async with drilled(tmp_path, "PreppaldGeminiRefusesTheKey") as drill:
        await drill.look()
        drill.here.gemini.scenario = BAD_KEY
        await (await drill.candidate(begun=False)).closed()
        await drill.look()
        await drill.reload(GEMINI_API_KEY="scenario:default")
        await drill.candidate()
        await drill.look()


async def test_the_money_is_used_up(tmp_path: Path) -> None:
    async with drilled(tmp_path, "PreppaldGeminiWantsMoney") as drill:
        await drill.look()
        drill.here.gemini.scenario = NO_MONEY
        await (await drill.candidate(begun=False)).closed()
        await drill.look()
        drill.here.gemini.scenario = CALM
        await trio.sleep(20)  # one interview tries each 20 s
        await drill.candidate()
        await drill.look()


async def test_gemini_cannot_be_reached(tmp_path: Path) -> None:
    fires = ("PreppaldGeminiUnreachable", "PreppaldInterviewsFail")
    async with drilled(tmp_path, *fires) as drill:
        await drill.interview()
        await drill.look()
        drill.here.gemini.scenario = NO_GEMINI
        failing = [await drill.candidate(begun=False) for _ in range(4)]
        for candidate in failing:
            await candidate.closed()
        await drill.look()
        drill.here.gemini.scenario = CALM
        await drill.interview()
        await drill.look()


async def test_replies_are_slow(tmp_path: Path) -> None:
    async def answer(drill: Drill) -> None:
        candidate = await drill.candidate()
        await candidate.greeted()
        await candidate.speak(1, pause=9)
        await candidate.end()
        await candidate.closed()

    count = "preppald_reply_delay_from_voice_seconds_count"
    async with drilled(tmp_path, "PreppaldRepliesSlow") as drill:
        await drill.look()
        drill.here.gemini.scenario = SLOW
        async with trio.open_nursery() as answering:
            for _ in range(6):
                answering.start_soon(answer, drill)
        await drill.until(count, 6)
        await drill.look()
        drill.here.gemini.scenario = CALM
        async with trio.open_nursery() as answering:
            for _ in range(6):
                answering.start_soon(answer, drill)
        await drill.until(count, 12)
        await drill.look()


async def test_a_bug_ends_an_interview(tmp_path: Path) -> None:
    """The daemon reads a module before its own, which puts a bug into the watchdog while a file is there."""
    bug = tmp_path / "bug"
    (tmp_path / "sitecustomize.py").write_text(
        f"import os, sys\nsys.path.insert(0, {str(Path.cwd())!r})\n"
        "from preppald.interview.dialogue import Dialogue\n"
        "look = Dialogue.look\n"
        "def looked(self, now):\n"
        f"    if os.path.exists({str(bug)!r}):\n"
        "        raise RuntimeError('a bug')\n"
        "    look(self, now)\n"
        "Dialogue.look = looked\n"
    )
    async with drilled(tmp_path, "PreppaldBug", env={"PYTHONPATH": str(tmp_path)}) as drill:
        candidate = await drill.candidate()
        await drill.look()
        bug.touch()
        assert (await candidate.closed())[0] == 1011
        await drill.here.logged("session.crashed")
        await drill.look()
        bug.unlink()
        await drill.interview()
        await drill.look()


# ------------------------------------------------------------------ the backend


async def test_the_backend_is_down_since_an_hour(tmp_path: Path) -> None:
    """The daemon that is started again has a clock that is an hour further."""
    later = tmp_path / "later"
    (tmp_path / "sitecustomize.py").write_text(
        f"import os, time\nif os.path.exists({str(later)!r}):\n"
        "    time_ns = time.time_ns\n    time.time_ns = lambda: time_ns() + 3600 * 10**9\n"
    )
    async with drilled(tmp_path, "PreppaldDeliveriesLate", env={"PYTHONPATH": str(tmp_path)}) as drill:
        await drill.look()
        drill.here.backend.down = True
        await drill.interview()
        await drill.here.kill()
        later.touch()
        await drill.restart()
        await drill.until("preppald_outbox_oldest_seconds", 3600)
        assert "iv-1" in drill.command("outbox", "list")
        await drill.look()
        drill.here.backend.down = False
        await drill.until("preppald_outbox_oldest_seconds", 0, 0)
        assert drill.here.backend.interviews["iv-1"].transcript is not None
        await drill.look()


async def test_the_backend_has_another_secret(tmp_path: Path) -> None:
    another = WORKER_SECRET[::-1]
    async with drilled(tmp_path, "PreppaldBackendRefusesTheSecret") as drill:
        await drill.look()
        backend = drill.here.backend
        backend.scenario = msgspec.structs.replace(backend.scenario, secret=another)
        for _ in range(3):  # one interview's refusal could be about that interview
            await drill.interview()
        await drill.until("preppald_outbox_paused", 1)
        await drill.look()
        await drill.reload(WORKER_SHARED_SECRET=another)
        await drill.candidate()  # its status is the probe; the older deliveries follow
        await drill.until("preppald_outbox_paused", 0, 0)
        await drill.look()


async def test_the_backend_refuses_a_transcript(tmp_path: Path) -> None:
    async with drilled(tmp_path, "PreppaldDeliveriesRefused") as drill:
        await drill.look()
        drill.here.backend.refuse("interview.submitTranscript", status=400)
        await drill.interview()
        await drill.until("preppald_outbox_dead", 1)
        await drill.look()
        drill.command("outbox", "retry", "--all-dead")
        await drill.until("preppald_outbox_dead", 0, 0)
        await drill.look()


# ------------------------------------------------------------------ the disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own for the state directory."""
    state = tmp_path / "state"
    state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(state)], check=True)
    yield state
    subprocess.run(["umount", "--lazy", str(state)], check=True)


async def test_the_disk_is_full(tmp_path: Path, disk: Path) -> None:
    filler = disk / "filler"

    async def talk(candidate: Candidate) -> None:
        while True:
            await candidate.speak(0.5)

    async with drilled(tmp_path, "PreppaldJournalNotWritable") as drill:
        candidate = await drill.candidate()
        await candidate.greeted()
        await drill.look()
        drill.nursery.start_soon(talk, candidate)
        with trio.fail_after(PATIENCE_SECONDS), filler.open("wb", buffering=0) as file:
            while "preppald_journal_faulty 1.0" not in str(await drill.page()):
                try:
                    while True:  # the reserve that is given back, too
                        file.write(bytes(1 << 16))
                except OSError:
                    await trio.sleep(LOOK_SECONDS)
        assert await drill.page()
        await drill.look()
        filler.unlink()
        await drill.until("preppald_journal_faulty", 0, 0)
        await drill.look()


async def test_recordings_have_no_room(tmp_path: Path, disk: Path) -> None:
    async with drilled(tmp_path, "PreppaldRecordingsLost", PREPPALD_RECORD="on") as drill:
        await drill.look()
        candidate = await drill.candidate()
        await candidate.greeted()
        await candidate.speak(1)
        await drill.look()
        await trio.run_process(["mount", "-o", "remount,size=2g", str(disk)])
        await drill.interview()
        await drill.here.logged("recording.goes_on")
        await drill.look()


async def test_a_row_is_damaged(tmp_path: Path) -> None:
    async with drilled(tmp_path, "PreppaldJournalDamaged") as drill:
        await drill.candidate()
        await drill.interview()
        await drill.look()
        await drill.here.kill()
        drill.database(f"UPDATE interview SET deadline_ms = 7 WHERE phase = '{Phase.LIVE.value}'")
        await drill.restart()
        await drill.look()
        assert "iv-1" in drill.command("journal", "check")
        await drill.here.kill()
        await drill.restart()
        await drill.look()


async def test_an_earlier_database_cannot_be_read(tmp_path: Path) -> None:
    async with drilled(tmp_path, "PreppaldJournalLeft") as drill:
        await drill.interview()
        await drill.look()
        drill.here.signal(signal.SIGTERM)
        await drill.here.ended()
        first = drill.here.state_dir / "preppald.db"
        first.rename(first.with_name("preppald.2.db"))
        first.write_bytes(b"x" * 5000)
        await drill.restart()
        await drill.look()
        said = drill.command("journal", "check")
        assert "preppald.db" in said
        first.rename(tmp_path / "preppald.db")
        await drill.here.kill()
        await drill.restart()
        await drill.look()


# ------------------------------------------------------------------ the process


async def test_the_loop_lags(tmp_path: Path) -> None:
    """Somebody else has the core: the process does not run for most of the time."""
    async with drilled(tmp_path, "PreppaldLoopLags") as drill:
        await trio.sleep(2)
        await drill.look()
        for _ in range(6):
            drill.here.signal(signal.SIGSTOP)
            await trio.sleep(0.6)
            drill.here.signal(signal.SIGCONT)
            await trio.sleep(0.1)
        await drill.look()
        await trio.sleep(2)
        await drill.look()


def descriptors(pid: int) -> int:
    """Return how many file descriptors a process has."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def test_few_descriptors_are_left(tmp_path: Path) -> None:
    async with drilled(tmp_path, "PreppaldFewDescriptors") as drill:
        await drill.look()
        assert drill.here.process is not None
        pid = drill.here.process.pid
        _, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors(pid) + 20, most))
        held = [await trio.open_tcp_stream("127.0.0.1", drill.here.port) for _ in range(16)]
        await trio.sleep(0.5)
        await drill.look()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, most))
        for stream in held:
            await stream.aclose()
        await trio.sleep(0.5)
        await drill.look()


# ------------------------------------------------------------------ all of them


def test_promtool_accepts_the_rules_and_the_queries_of_the_dashboard(tmp_path: Path) -> None:
    subprocess.run(["promtool", "check", "rules", str(RULES)], check=True)
    dashboard = json.loads((RULES.parent / "grafana.json").read_text("utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    file = tmp_path / "queries.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    subprocess.run(["promtool", "check", "rules", str(file)], check=True)
    assert len(queries) > 40
