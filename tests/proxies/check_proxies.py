"""What stands before preppald in the field: nginx, Caddy and HAProxy with the configurations of systemd/proxy/."""

from collections.abc import AsyncIterator
from functools import partial
import json
from pathlib import Path
import signal
import sys
import time

import pytest
import trio
from websockets.utils import accept_key

from preppald.core import tokens as auth
from tests.candidates import Candidate
from tests.certificates import Certificates
from tests.ports import free_port, free_ports
from tests.processes.daemon import Daemon, daemon
from tests.proxies.programs import PROGRAMS, Proxy, proxy
from tests.world import SECRET

# Longer than any proxy's default patience with a connection that is silent, of which a minute is the longest.
SILENCE_SECONDS = 70.0
KEY = "AAAAAAAAAAAAAAAAAAAAAA=="
# HAProxy asks every two seconds, and believes it at the second time.
DRAIN_SEEN_SECONDS = 5.0
# Only the proxy itself: candidates here come from other addresses of the loopback network.
TRUSTED = {"PREPPALD_TRUSTED_PROXIES": "127.0.0.1"}


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with daemon(tmp_path, {**TRUSTED, "PREPPALD_MAX_CONNECTIONS_PER_ADDRESS": "1"}) as running:
        yield running


@pytest.fixture(params=PROGRAMS)
async def before(
    request: pytest.FixtureRequest, tmp_path: Path, running: Daemon, certificates: Certificates
) -> AsyncIterator[Proxy]:
    port = free_port()
    async with proxy(
        request.param, tmp_path / "proxy", port=port, behind=running.port, certificates=certificates
    ) as found:
        yield found


async def connected(
    before: Proxy, certificates: Certificates, source: str = "127.0.0.2"
) -> trio.SSLStream[trio.SocketStream]:
    tcp = await trio.open_tcp_stream("127.0.0.1", before.port, local_address=source)
    before.opened.append(tcp)
    stream = trio.SSLStream(tcp, certificates.trust, server_hostname="127.0.0.1", https_compatible=True)
    await stream.do_handshake()
    return stream


def token_for(interview: str) -> str:
    return auth.sign(SECRET, user_id="user-1", interview_id=interview, now=time.time_ns() // 10**9)


async def said(stream: trio.abc.Stream, request: str) -> bytes:
    with trio.fail_after(10):
        await stream.send_all(f"{request}\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        return b"".join([part async for part in stream])


async def test_a_whole_call(before: Proxy, certificates: Certificates) -> None:
    command = [sys.executable, "-m", "preppald", "call", "--sample", "--speed", "3", "--json"]
    with trio.fail_after(120):
        done = await trio.run_process(
            [*command, "--ca", str(certificates.ca), "--url", f"wss://127.0.0.1:{before.port}"],
            env={"JWT_SECRET": SECRET},
            capture_stdout=True,
            check=False,
        )
    told = json.loads(done.stdout)
    assert (done.returncode, told["ending"], told["reconnects"]) == (0, "user", 0), told
    assert min(told["turns"].values()) >= 1


async def test_a_token_is_in_no_log(
    before: Proxy, running: Daemon, certificates: Certificates, nursery: trio.Nursery
) -> None:
    """In the query, where old clients have it; as a subprotocol; as Authorization; and where nothing comes of it."""
    token = token_for("iv-1")
    forms: tuple[tuple[str, str | None, dict[str, str]], ...] = (
        (f"/ws/iv-1?token={token}", None, {}),
        ("/ws/iv-1", token, {}),
        ("/ws/iv-1", None, {"Authorization": f"Bearer {token}"}),
    )
    for path, subprotocol, headers in forms:
        candidate = Candidate(await connected(before, certificates))
        assert await candidate.open(path, subprotocol, **headers) == 101
        nursery.start_soon(candidate.run)
        await candidate.until("session_started")
        await candidate.vanish()
        await none_connected(running)
    for request in (
        f"GET /ws/iv-1?token={token} HTTP/1.1",
        f"GET /other?token={token} HTTP/1.1",
        f"{token} x",
    ):
        await said(await connected(before, certificates), request)
    # An error's line holds the request, too.
    running.process.kill()
    await running.process.wait()
    gone = Candidate(await connected(before, certificates))
    assert await gone.open(f"/ws/iv-1?token={token}", token, Authorization=f"Bearer {token}") in {502, 503}
    await trio.sleep(1)  # a log may be written late
    written = before.written() + running.log.read_text()
    assert "/ws/iv-1" in before.written()
    for part in token.split("."):
        assert not [line for line in written.splitlines() if part in line]


async def none_connected(running: Daemon) -> None:
    with trio.fail_after(10):
        while await running.connections():  # noqa: ASYNC110 - another process has them
            await trio.sleep(0.05)


async def test_the_browsers_own_address_counts(
    before: Proxy, running: Daemon, certificates: Certificates, nursery: trio.Nursery
) -> None:
    """One connection an address: another of the same is refused, whatever it says of itself; others are not."""
    first = Candidate(await connected(before, certificates, "127.0.0.2"))
    assert await first.open("/iv-1", token_for("iv-1")) == 101
    claims: tuple[dict[str, str], ...] = ({}, {"X-Forwarded-For": "203.0.113.9"})
    for claimed in claims:
        second = Candidate(await connected(before, certificates, "127.0.0.2"))
        assert await second.open("/iv-2", token_for("iv-2"), **claimed) == 429
    other = Candidate(await connected(before, certificates, "127.0.0.3"))
    assert await other.open("/iv-2", token_for("iv-2")) == 101


@pytest.mark.parametrize("path", ["/metrics", "/health", "/admin", "/", "/../metrics", "/%6detrics"])
async def test_only_interviews_and_readiness_are_to_be_had(
    before: Proxy, certificates: Certificates, path: str
) -> None:
    answer = await said(await connected(before, certificates), f"GET {path} HTTP/1.1")
    # 426: what is no page of the daemon's may be an interview's name.
    assert answer.split(b" ")[1] in {b"400", b"404", b"426"}
    assert b"preppald_" not in answer
    assert b'"status"' not in answer


async def test_readiness_can_be_asked(before: Proxy, certificates: Certificates) -> None:
    answer = await said(await connected(before, certificates), "GET /ready HTTP/1.1")
    assert answer.split(b" ")[1] == b"200"


async def test_a_long_silence_cuts_no_tunnel(
    tmp_path: Path, certificates: Certificates, nursery: trio.Nursery
) -> None:
    """Without preppald's pings, which would hide it: behind the proxies is something that upgrades and is silent."""

    async def silent(stream: trio.SocketStream) -> None:
        async with stream:
            request = bytes(await stream.receive_some())
            if b"/ready" in request:
                await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return
            await stream.send_all(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                + f"Sec-WebSocket-Accept: {accept_key(KEY)}\r\n\r\n".encode()  # HAProxy looks at it
            )
            await stream.send_all(bytes(await stream.receive_some()))

    listeners = await nursery.start(
        partial(trio.serve_tcp, silent, 0, host="127.0.0.1", handler_nursery=nursery)
    )
    behind = listeners[0].socket.getsockname()[1]

    async def wait_through(name: str, port: int) -> None:
        async with proxy(
            name, tmp_path / name, port=port, behind=behind, certificates=certificates
        ) as before:
            stream = await connected(before, certificates)
            await stream.send_all(
                b"GET /ws/iv HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\n" + f"Sec-WebSocket-Key: {KEY}\r\n\r\n".encode()
            )
            with trio.fail_after(10):
                assert b" 101 " in await stream.receive_some()
            with trio.move_on_after(SILENCE_SECONDS):
                pytest.fail(f"{name} said {await stream.receive_some()!r} after a silence")
            await stream.send_all(b"still here")
            with trio.fail_after(10):
                assert await stream.receive_some() == b"still here"

    async with trio.open_nursery() as all_of_them:
        for name, port in zip(PROGRAMS, free_ports(len(PROGRAMS)), strict=True):
            all_of_them.start_soon(wait_through, name, port)
    nursery.cancel_scope.cancel()


async def test_who_drains_takes_back_whom_it_has(
    before: Proxy, running: Daemon, certificates: Certificates, nursery: trio.Nursery
) -> None:
    """HAProxy's check finds it not ready, and asks it all the same: there is nobody else."""
    first = Candidate(await connected(before, certificates))
    assert await first.open("/iv-1", token_for("iv-1")) == 101
    nursery.start_soon(first.run)
    await first.until("session_started")
    running.process.send_signal(signal.SIGTERM)
    await running.logged("daemon.draining")
    await trio.sleep(DRAIN_SEEN_SECONDS)
    answer = await said(await connected(before, certificates, "127.0.0.3"), "GET /ready HTTP/1.1")
    assert answer.split(b" ")[1] == b"503"
    assert answer.endswith(b"draining\n")
    await first.vanish()
    await none_connected(running)
    back = Candidate(await connected(before, certificates))
    assert await back.open("/iv-1", token_for("iv-1")) == 101
    nursery.start_soon(back.run)
    assert (await back.until("session_started")).session_started.resumed
