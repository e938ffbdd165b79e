"""curl and Node's own WebSocket at the public port: what they make of our answers."""

from collections.abc import AsyncIterator
import json
from pathlib import Path
import time

import pytest
import trio

from preppald.core import tokens as auth
from tests.processes.daemon import Daemon, daemon
from tests.world import SECRET

# `node -e PROGRAM URL PROTOCOL...` prints what its WebSocket became.
PROGRAM = """
const [url, ...protocols] = process.argv.slice(1);
const socket = new WebSocket(url, protocols);
const tell = (what) => { console.log(JSON.stringify(what)); process.exit(); };
socket.onopen = () => tell({ open: true, protocol: socket.protocol });
socket.onerror = () => tell({ open: false });
"""


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with daemon(tmp_path, {}) as running:
        yield running


async def curl(running: Daemon, *options: str, path: str = "/health") -> tuple[int, str]:
    """Its own exit status, and all that it printed."""
    with trio.fail_after(60):
        done = await trio.run_process(
            ["curl", "--silent", "--show-error", *options, f"http://127.0.0.1:{running.port}{path}"],
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
    return done.returncode, (done.stdout + done.stderr).decode()


async def test_head_has_no_body(running: Daemon) -> None:
    """curl waits for one that is announced, and complains of one that it did not ask for."""
    status, printed = await curl(running, "--head")
    assert (status, printed.splitlines()[0]) == (0, "HTTP/1.1 200 OK")
    assert "Content-Length: 15" in printed


async def test_an_upload_reads_its_refusal(running: Daemon, tmp_path: Path) -> None:
    upload = tmp_path / "upload"
    upload.write_bytes(bytes(300_000))
    status, printed = await curl(running, "--include", "--data-binary", f"@{upload}", "--header", "Expect:")
    assert status == 0, printed
    assert printed.startswith("HTTP/1.1 405 ")
    assert "Allow: GET, HEAD" in printed


async def test_a_client_that_writes_all_before_it_reads_does_too(running: Daemon) -> None:
    """Closed on unread bytes, the connection would be reset, and the answer lost."""
    for _ in range(5):
        async with await trio.open_tcp_stream("127.0.0.1", running.port) as stream:
            await stream.send_all(b"POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n")
            for _ in range(30):
                await stream.send_all(bytes(10_000))
                await trio.sleep(0.005)
            with trio.fail_after(30):
                assert (await stream.receive_some()).startswith(b"HTTP/1.1 405 ")


async def test_cookies_over_the_bound_read_theirs(running: Daemon) -> None:
    for size, answer in ((30_000, "HTTP/1.1 200 "), (40_000, "HTTP/1.1 431 "), (90_000, "HTTP/1.1 431 ")):
        status, printed = await curl(running, "--include", "--header", f"Cookie: {'a' * size}")
        assert status == 0, printed
        assert printed.startswith(answer)


async def websocket(running: Daemon, *protocols: str) -> dict[str, object]:
    command = ["node", "--experimental-websocket", "-e", PROGRAM, f"ws://127.0.0.1:{running.port}/iv-1"]
    with trio.fail_after(60):
        done = await trio.run_process([*command, *protocols], capture_stdout=True, capture_stderr=True)
    told: dict[str, object] = json.loads(done.stdout)
    return told


async def test_a_browsers_websocket_opens_with_our_subprotocol_only(running: Daemon) -> None:
    """Node's is the browsers' by its specification: it drops a connection that chose none of what it offered."""
    token = auth.sign(SECRET, user_id="u", interview_id="iv-1", now=time.time_ns() // 10**9)
    assert await websocket(running, f"token.{token}") == {"open": False}
    assert (await running.logged("connection.refused"))["why"] == "subprotocol"
    assert not running.lines("session.started")
    assert await websocket(running, "preppal.v1", f"token.{token}") == {
        "open": True,
        "protocol": "preppal.v1",
    }
    assert await running.logged("session.started")
