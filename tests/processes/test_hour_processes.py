"""The hour in small, in real processes: `preppald simulate` and `preppald serve`, a hundred times as fast.

An hour becomes 36 s. A connection to Gemini is warned after two, and left at the next quiet moment.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
import json
from pathlib import Path
import re
import subprocess
import sys
import time

import httpx
import trio

from preppald.core import tokens as auth
from tests.candidates import Candidate
from tests.overheard import speak
from tests.ports import free_port
from tests.processes.daemon import PATIENCE_SECONDS, Daemon, daemon
from tests.world import SECRET

# 0.7 s of it are the reply's. In the rest the watchdog, which looks once a second, finds a quiet moment for sure.
PAUSE_SECONDS = 1.9
WORKER_SECRET = "another-secret-for-tests-of-32-bytes"
SCENARIO = """
[limits]
connection = 12
[go_away]
before = 10
[timing]
reply_delay = 0.1
[[fault]]
kind = "close"
row = "internal"
connection = 2
at = "turn-complete"
after = 0.1
[[fault]]
kind = "reset"
connection = 4
at = "turn-complete"
after = 0.1
[[fault]]
kind = "close"
row = "session-not-found"
connection = 5
resumed = true
at = "setup"
[[fault]]
kind = "close"
row = "deadline"
connection = 7
at = "turn-complete"
after = 0.1
"""


@asynccontextmanager
async def simulator(tmp_path: Path) -> AsyncIterator[tuple[int, int]]:
    """`preppald simulate`, listening; its two ports."""
    questions = "\n".join(
        f'[[reply]]\ntext = "Question {number}."\nseconds = 0.4' for number in range(1, 100)
    )
    file = tmp_path / "hour.toml"
    file.write_text(SCENARIO + questions)
    ports = free_port(), free_port()
    addresses = [f"127.0.0.1:{port}" for port in ports]
    process = await trio.lowlevel.open_process(
        [
            *(sys.executable, "-m", "preppald", "simulate", "--scenario", str(file)),
            *("--listen", addresses[0], "--backend-listen", addresses[1]),
        ],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for port in ports:
            await listening(port)
        yield ports
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


async def listening(port: int) -> None:
    with trio.fail_after(PATIENCE_SECONDS):
        while True:
            try:
                await (await trio.open_tcp_stream("127.0.0.1", port)).aclose()
            except OSError:
                await trio.sleep(0.05)
            else:
                return


async def join(running: Daemon, nursery: trio.Nursery, token: str, since: int | None) -> Candidate:
    candidate = Candidate(await trio.open_tcp_stream("127.0.0.1", running.port))
    running.candidates.append(candidate)
    query = "" if since is None else f"?since={since}"
    assert await candidate.open(f"/iv-1{query}", token) == 101
    nursery.start_soon(candidate.run)
    return candidate


def seqs(running: Daemon) -> list[int]:
    return [
        message.transcript_update.seq
        for candidate in running.candidates
        for message in candidate.messages
        if message.HasField("transcript_update")
    ]


async def test_an_hour_of_processes_really_lasts_an_hour(tmp_path: Path, nursery: trio.Nursery) -> None:
    """Rotations, three unexpected closes, a refused handle, two dropped lines: every turn once, one transcript."""
    async with simulator(tmp_path) as (gemini_port, backend_port):
        settings = {
            "PREPPALD_GEMINI_URL": f"ws://127.0.0.1:{gemini_port}",
            "PREPPALD_BACKEND": "trpc",
            "NEXT_PUBLIC_API_URL": f"http://127.0.0.1:{backend_port}",
            "WORKER_SHARED_SECRET": WORKER_SECRET,
            "PREPPALD_SESSION_LIMIT": "36s",
            "PREPPALD_VAD_SILENCE": "100ms",
        }
        async with daemon(tmp_path, settings) as running:
            token = auth.sign(
                SECRET, user_id="user-1", interview_id="iv-1", now=time.time_ns() // 10**9, lifetime=20
            )
            candidate = await join(running, nursery, token, None)
            await candidate.greeted()
            lengths: list[float] = []
            while not candidate.leaving:
                lengths.append(0.4 + len(lengths) * 0.1)
                await speak(candidate, lengths[-1], PAUSE_SECONDS)
                if len(lengths) in (5, 10):  # by the second one the token has expired
                    await candidate.vanish()
                    await trio.sleep(0.5)
                    candidate = await join(running, nursery, token, max(seqs(running)))
            await candidate.closed(PATIENCE_SECONDS)
            ended = await running.logged("session.ended")
            await running.logged("delivery.done", times=2)
            async with httpx.AsyncClient() as client:
                received = (await client.get(f"http://127.0.0.1:{backend_port}/received")).text

            assert candidate.close == (1000, "Session timeout (1 hour limit)")
            assert 36 <= float(str(ended["seconds"])) <= 38 + float(str(ended["credited_seconds"]))
            assert int(str(ended["rotations"])) >= 4
            causes = [line["cause"] for line in running.lines("upstream.failed")]
            assert causes[:4] == ["internal", "network", "unknown_handle", "connection_cap"]
            assert sum(line["prompted"] is True for line in running.lines("upstream.ready")[1:]) == 0
            assert seqs(running) == list(range(1, len(seqs(running)) + 1))
            (transcript,) = [
                call["body"]["json"]["transcript"]
                for call in json.loads(received)["calls"]
                if call["procedure"] == "interview.submitTranscript"
            ]
            said = [line for line in transcript if line["speaker"] == "USER"]
            assert all(re.fullmatch(r"\([0-9.]+ s of speech\)", line["content"]) for line in said)
            # Not by their lengths: where a core is missing two may come out as equally long.
            speakers = [line["speaker"] for line in transcript]
            assert all(one != next_one for one, next_one in pairwise(speakers)), "no answer twice"
            assert len(said) <= len(lengths), "no answer twice"
            assert len(said) >= len(lengths) - 1, "none lost, but what the deadline cut"
