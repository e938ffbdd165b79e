"""Real sockets by the thousand, descriptors that run out, a log that nobody reads: the daemon lives, and recovers."""

from collections import Counter
import fcntl
import json
import os
from pathlib import Path
import resource
import socket

import trio

from tests.processes.daemon import PATIENCE_SECONDS, Daemon, daemon, many_descriptors

MIB = 2**20
CROWD = 1000
HALF_A_REQUEST = b"GET /iv-1 HTTP/1.1\r\nHost: localhost\r\n"


async def crowd(port: int, count: int, says: bytes, outcomes: Counter[str]) -> None:
    """So many connections that say this and no more; what each was told, once all are gone."""

    async def one() -> None:
        try:
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                await stream.send_all(says)
                answer = await stream.receive_some()
        except (OSError, trio.BrokenResourceError):
            answer = b""
        outcomes[answer.split(b" ")[1].decode() if answer else "closed"] += 1

    async with trio.open_nursery() as nursery:
        for _ in range(count):
            nursery.start_soon(one)


async def until_alone(running: Daemon, connections: int) -> None:
    with trio.fail_after(PATIENCE_SECONDS):
        while await running.connections() > connections:  # noqa: ASYNC110 - another process has no events
            await trio.sleep(0.1)


async def test_two_thousand_idle_and_half_open_sockets_are_swept(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    """Each is refused or given up within seconds, the memory is back where it was, and an interview goes on."""
    many_descriptors()
    async with daemon(tmp_path, {}) as running:
        candidate = await running.candidate(nursery)
        await candidate.until("session_started")
        await crowd(running.port, 50, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", Counter())
        base = running.resident_bytes
        idle: Counter[str] = Counter()
        half_open: Counter[str] = Counter()
        with trio.fail_after(PATIENCE_SECONDS):
            async with trio.open_nursery() as crowds:
                crowds.start_soon(crowd, running.port, CROWD, b"", idle)
                crowds.start_soon(crowd, running.port, CROWD, HALF_A_REQUEST, half_open)
        for outcomes in (idle, half_open):
            assert outcomes.total() == CROWD
            assert set(outcomes) <= {"408", "503", "closed"}
        assert (idle + half_open)["408"] <= 600
        await until_alone(running, 1)
        assert running.resident_bytes < base + 24 * MIB
        seen = len(candidate.messages)
        await candidate.send_audio(bytes(640))
        await candidate.end()
        assert await candidate.closed() == (1000, "Interview ended by user")
        assert len(candidate.messages) > seen
        assert not running.lines("connection.crashed")


async def test_without_descriptors_it_waits_quietly_and_recovers(tmp_path: Path) -> None:
    """No crash, no busy loop, and a line in ten seconds instead of a traceback ten times a second."""
    many_descriptors()
    async with daemon(tmp_path, {}) as running:
        resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, (48, 48))
        sockets = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(200)]
        before = running.cpu_seconds
        await trio.sleep(2)
        assert running.cpu_seconds - before < 0.5
        (line,) = running.lines("connections.not_accepted")
        assert "Too many open files" in str(line["cause"])
        assert "LimitNOFILE" in str(line["what_to_do"])
        assert running.log.stat().st_size < 4096
        for held in sockets:
            held.close()
        assert b"200 OK" in await running.get("/health")
        await until_alone(running, 0)
        outcomes: Counter[str] = Counter()
        await crowd(running.port, 1, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n", outcomes)
        assert outcomes == {"200": 1}


async def test_a_log_that_nobody_reads_stops_nothing(tmp_path: Path, nursery: trio.Nursery) -> None:
    """The pipe is full after a few dozen lines; hundreds more are asked for, and the door answers all the same."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    try:
        async with daemon(tmp_path, {}, stderr=writing) as running:
            os.close(writing)
            said = b""
            with trio.fail_after(PATIENCE_SECONDS):
                while b"daemon.ready" not in said or not said.endswith(b"\n"):
                    await trio.lowlevel.wait_readable(reading)
                    said += os.read(reading, 4096)
            lines = [json.loads(line) for line in said.splitlines()]
            (ready,) = [line for line in lines if line["event"] == "daemon.ready"]
            running.port = int(ready["listen"].rpartition(":")[2])
            says = (
                b"GET /iv-1?token=bad HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            outcomes: Counter[str] = Counter()
            with trio.fail_after(PATIENCE_SECONDS):
                for _ in range(10):
                    await crowd(running.port, 50, says, outcomes)
            assert outcomes == {"401": 500}
            candidate = await running.candidate(nursery)
            await candidate.until("session_started", seconds=PATIENCE_SECONDS)
    finally:
        os.close(reading)


async def test_a_daemon_above_its_memory_mark_takes_no_interview(
    tmp_path: Path, nursery: trio.Nursery
) -> None:
    """/ready tells a load balancer, 503 a browser."""
    async with daemon(tmp_path, {"PREPPALD_MEMORY_LIMIT": "1M"}) as running:
        assert b"short of memory" in await running.get("/ready")
        candidate = await running.candidate(nursery)
        assert candidate.status == 503
