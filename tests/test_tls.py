"""TLS at the public port: which certificates are taken, who gets through the handshake, and who does not."""

from collections.abc import AsyncIterator
import contextlib
from functools import partial
import gc
import os
from pathlib import Path
import ssl
import weakref

from cryptography.hazmat.primitives import serialization
import pytest
import trio
import trustme

from preppald.commands.serve import wall_clock_ms
from preppald.config.load import load
from preppald.errors import ConfigError
from preppald.net import tls
from preppald.net.records import Records
from preppald.net.stream import Stream
from preppald.server import connection as the_server, http as http1, limits as door, tls as served_tls
from preppald.simulator import Scenario
from tests.candidates import Candidate
from tests.certificates import Certificates
from tests.world import SETTINGS, World

NOW_MS = wall_clock_ms()
DAY_MS = 86_400_000
GET_HEALTH = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


def fault(certificates: Certificates) -> str:
    with pytest.raises(ConfigError) as refusal:
        load({**SETTINGS, **certificates.env})
    (words,) = refusal.value.faults
    return words


# ------------------------------------------------------------------ the files


def test_a_certificate_with_its_key_is_taken(certificates: Certificates) -> None:
    load({**SETTINGS, **certificates.env})
    found = tls.identity(certificates.cert, certificates.key)
    assert found is not None
    assert found.expires.timestamp() * 1000 == pytest.approx(NOW_MS + 90 * DAY_MS, abs=DAY_MS / 24)
    assert found.warning(NOW_MS) == ""


def test_without_files_there_is_no_tls() -> None:
    assert tls.identity(None, None) is None


@pytest.mark.parametrize("missing", ["PREPPALD_TLS_CERT", "PREPPALD_TLS_KEY"])
def test_one_without_the_other_is_a_fault(certificates: Certificates, missing: str) -> None:
    with pytest.raises(ConfigError, match=f"^{missing}: is not set, but PREPPALD_TLS_"):
        load({**SETTINGS, **certificates.env, missing: ""})


def test_files_that_are_not_there_are_told_both(tmp_path: Path) -> None:
    env = {"PREPPALD_TLS_CERT": str(tmp_path / "a"), "PREPPALD_TLS_KEY": str(tmp_path / "b")}
    with pytest.raises(ConfigError) as refusal:
        load({**SETTINGS, **env})
    assert refusal.value.faults == (
        f"PREPPALD_TLS_CERT: {tmp_path}/a cannot be read: No such file or directory",
        f"PREPPALD_TLS_KEY: {tmp_path}/b cannot be read: No such file or directory",
    )


def test_a_key_that_everybody_may_read_is_refused(certificates: Certificates) -> None:
    certificates.key.chmod(0o644)
    assert fault(certificates).startswith(f"PREPPALD_TLS_KEY: {certificates.key} may be read by everybody")


def test_another_certificates_key_is_refused(certificates: Certificates) -> None:
    trustme.CA().issue_cert("a.example").private_key_pem.write_to_path(certificates.key)
    assert fault(certificates).startswith(f"PREPPALD_TLS_KEY: {certificates.key} is not the key of the first")


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked(certificates: Certificates) -> None:
    key = serialization.load_pem_private_key(certificates.key.read_bytes(), password=None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"passphrase"),
    )
    certificates.key.write_bytes(locked)
    assert "is encrypted with a passphrase" in fault(certificates)


@pytest.mark.parametrize(
    ("begins", "ends", "words"),
    [(-90, -1, "certificate has expired"), (1, 90, "certificate is not yet valid")],
    ids=["over", "not begun"],
)
def test_a_certificate_out_of_its_time_is_refused(
    certificates: Certificates, begins: float, ends: float, words: str
) -> None:
    certificates.renew(begins_in_days=begins, ends_in_days=ends)
    assert fault(certificates) == f"PREPPALD_TLS_CERT: {certificates.cert} is not fit: {words}"


def test_what_is_no_certificate_is_refused(certificates: Certificates) -> None:
    certificates.cert.write_text("certificate")
    assert "holds no certificate in PEM" in fault(certificates)
    certificates.cert.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert "is no PEM chain with its key" in fault(certificates)
    certificates.cert.write_bytes(bytes(tls.MAX_FILE_BYTES + 1))
    assert "is larger than" in fault(certificates)
    certificates.cert.unlink()
    os.mkfifo(certificates.cert)
    assert "is a pipe or a device" in fault(certificates)


def test_a_certificate_that_ends_soon_is_told_in_time(certificates: Certificates) -> None:
    certificates.renew(ends_in_days=5.5)
    found = tls.identity(certificates.cert, certificates.key)
    assert found is not None
    assert found.warning(NOW_MS).startswith("PREPPALD_TLS_CERT: expires in 5 days (20")
    assert found.warning(NOW_MS - 9 * DAY_MS) == ""


def test_both_may_be_systemds_credentials(certificates: Certificates, tmp_path: Path) -> None:
    """LoadCredential=PREPPALD_TLS_KEY:/path; the variable comes before it."""
    held = tmp_path / "credentials"
    held.mkdir()
    for name, value in certificates.env.items():
        (held / name).write_bytes(Path(value).read_bytes())
        (held / name).chmod(0o400)
    found = load({**SETTINGS, "CREDENTIALS_DIRECTORY": str(held)})
    assert (found.tls_cert, found.tls_key) == (held / "PREPPALD_TLS_CERT", held / "PREPPALD_TLS_KEY")
    both = load({**SETTINGS, **certificates.env, "CREDENTIALS_DIRECTORY": str(held)})
    assert both.tls_key == certificates.key


# ------------------------------------------------------------------ the handshake, over real sockets


class Port:
    """A public port that speaks TLS."""

    def __init__(self, world: World, number: int, certificates: Certificates) -> None:
        self.world = world
        self.number = number
        self.certificates = certificates
        self.opened: list[trio.SocketStream] = []

    async def plain(self) -> trio.SocketStream:
        self.opened.append(await trio.open_tcp_stream("127.0.0.1", self.number))
        return self.opened[-1]

    async def secured(self, context: ssl.SSLContext | None = None) -> trio.SSLStream[trio.SocketStream]:
        context = context or self.certificates.trust
        context.set_alpn_protocols(["h2", "http/1.1"])
        stream = trio.SSLStream(
            await self.plain(), context, server_hostname="127.0.0.1", https_compatible=True
        )
        await stream.do_handshake()
        return stream

    async def empty(self) -> None:
        """When nobody is connected any more."""
        with trio.fail_after(5):
            while self.world.server.connections:  # noqa: ASYNC110 - nobody tells
                await trio.sleep(0.01)


@pytest.fixture
async def port(certificates: Certificates, nursery: trio.Nursery) -> AsyncIterator[Port]:
    world = await World({"PREPPALD_TRUSTED_PROXIES": "none"}, Scenario()).start(nursery)
    world.server.identity = tls.identity(certificates.cert, certificates.key)
    listeners = await nursery.start(
        partial(trio.serve_tcp, world.server.accepted, 0, host="127.0.0.1", handler_nursery=nursery)
    )
    port = Port(world, listeners[0].socket.getsockname()[1], certificates)
    yield port
    for stream in port.opened:
        await trio.aclose_forcefully(stream)
    nursery.cancel_scope.cancel()


async def said(stream: trio.abc.ReceiveStream) -> bytes:
    """All until the end."""
    with trio.fail_after(5):
        return b"".join([part async for part in stream])


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_an_interview_over_tls(port: Port, nursery: trio.Nursery, version: ssl.TLSVersion) -> None:
    trust = port.certificates.trust
    trust.maximum_version = version
    stream = await port.secured(trust)
    assert stream.version() == version.name.replace("_", ".")
    assert stream.selected_alpn_protocol() == "http/1.1"
    candidate = Candidate(stream)
    await candidate.open("/iv-1", port.world.token())
    nursery.start_soon(candidate.run)
    await candidate.until("session_started")
    await candidate.end()
    assert await candidate.closed() == (1000, "Interview ended by user")


@pytest.mark.parametrize("path", ["/health", "/ready"])
async def test_health_over_tls(port: Port, path: str) -> None:
    stream = await port.secured()
    await stream.send_all(GET_HEALTH.replace(b"/health", path.encode()))
    assert (await said(stream)).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_old_versions_are_not_spoken(port: Port) -> None:
    old = port.certificates.trust
    old.set_ciphers("ALL:@SECLEVEL=0")  # or our own OpenSSL would not even ask
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises(trio.BrokenResourceError):
        await port.secured(old)
    await port.empty()


async def test_plain_http_is_told_what_is_spoken(port: Port) -> None:
    """A health check that was not told of TLS finds out by itself."""
    async with await port.plain() as stream:
        await stream.send_all(GET_HEALTH)
        answer = await said(stream)
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answer.endswith(b"connect with wss:// or https://\n")
    await port.empty()


@pytest.mark.parametrize("sent", [b"", b"\x16", b"\x16\x03\x01\x02\x00", bytes(300)])
async def test_a_handshake_that_does_not_come_about_has_a_bound(
    port: Port, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    """Half a hello, or nothing, or what is none."""
    monkeypatch.setattr(served_tls, "HANDSHAKE_SECONDS", 0.1)
    async with await port.plain() as stream:
        if sent:
            await stream.send_all(sent)
        with contextlib.suppress(trio.BrokenResourceError):  # reset: what it sent was never read
            assert await said(stream) == b""
    await port.empty()


@pytest.mark.parametrize("ending", ["no handshake", "plain http", "an answer"])
async def test_what_a_connection_held_is_free_when_it_ends(
    port: Port, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    """OpenSSL holds 60 KB for each, of which the garbage collector knows nothing: it must not be left to it."""
    made: list[weakref.ref[object]] = []

    class Remembered(Stream):
        def __init__(self, transport: trio.abc.Stream, records: Records) -> None:
            super().__init__(transport, records)
            made.append(weakref.ref(self))

    monkeypatch.setattr(served_tls, "Stream", Remembered)
    monkeypatch.setattr(served_tls, "HANDSHAKE_SECONDS", 5 if ending.startswith("a") else 0.1)
    gc.collect()
    gc.disable()
    try:
        if ending == "an answer":
            stream = await port.secured()
            await stream.send_all(GET_HEALTH)
            await said(stream)
        else:
            await (await port.plain()).send_all(GET_HEALTH if ending == "plain http" else b"\x16")
        with trio.move_on_after(5):
            while not made or made[0]() is not None:  # noqa: ASYNC110 - nobody tells
                await trio.sleep(0.01)
        assert [found() for found in made] == [None]
    finally:
        gc.enable()


async def test_a_request_after_the_handshake_has_one_too(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http1, "REQUEST_SECONDS", 0.1)
    stream = await port.secured()
    assert (await said(stream)).startswith(b"HTTP/1.1 408 ")
    await port.empty()


async def test_half_open_handshakes_count_like_others(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    """They fill the room for handshakes, not that for interviews; who comes then is told, over TLS, a second later."""
    monkeypatch.setattr(door, "MAX_HANDSHAKES", 3)
    monkeypatch.setattr(the_server, "SLOW_DOWN_SECONDS", 0.05)
    silent = [await port.plain() for _ in range(3)]
    with trio.fail_after(5):
        while port.world.server.connections < 3:  # noqa: ASYNC110 - nobody tells
            await trio.sleep(0.01)
    refused = await port.secured()
    await refused.send_all(GET_HEALTH)
    answer = await said(refused)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: " in answer
    for stream in silent:
        await stream.aclose()
    await port.empty()
    served = await port.secured()
    await served.send_all(GET_HEALTH)
    assert (await said(served)).startswith(b"HTTP/1.1 200 ")


async def test_a_renewed_certificate_is_shown_to_who_comes_next(port: Port, nursery: trio.Nursery) -> None:
    first = Candidate(await port.secured())
    await first.open("/iv-1", port.world.token())
    nursery.start_soon(first.run)
    await first.until("session_started")
    port.certificates.renew()
    port.world.server.identity = tls.identity(port.certificates.cert, port.certificates.key)
    later = await port.secured()
    assert later.getpeercert(binary_form=True) == port.certificates.shown
    assert first.stream.getpeercert(binary_form=True) != port.certificates.shown  # type: ignore[attr-defined]
    await first.end()
    assert await first.closed() == (1000, "Interview ended by user")


async def test_a_broken_protocol_is_told_over_tls_too(port: Port, nursery: trio.Nursery) -> None:
    """Text frames are none of the contract's; the close and its reason arrive though more is on its way."""
    candidate = Candidate(await port.secured())
    await candidate.open("/iv-1", port.world.token())
    nursery.start_soon(candidate.run)
    await candidate.until("session_started")
    for _ in range(10):
        await candidate.send_text("x")
    assert (await candidate.closed())[0] == 1008
