"""TLS between a polled socket and its reader: what a peer may do is served, what it may not ends its connection only.

The peers are our own other end, OpenSSL's s_server and s_client, and ssl objects driven by hand.
"""

from array import array
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
import fcntl
from functools import partial
from pathlib import Path
import shutil
import socket
import ssl
import subprocess
import termios

import pytest
import trio
import trio.testing
import trustme

from preppald.config.addresses import websocket_endpoint
from preppald.gemini.connection import dialler
from preppald.net.records import PIECE_OUT_BYTES, RECORD_BYTES, Records, Resumption
from preppald.net.stream import Stream
from tests.certificates import Certificates

# More than a pair of sockets holds, and many records.
MUCH = 4 * 1024 * 1024
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
NAME = "gemini.example"
Pair = tuple[Records, Records]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_RENEGOTIATION
    authority.issue_cert(NAME).configure_cert(context)
    return context


def client_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def shake_hands(client: Records, server: Records) -> None:
    done = {client: False, server: False}
    while not all(done.values()):
        for ours, theirs in ((client, server), (server, client)):
            done[ours] = done[ours] or ours.handshake()
            if output := ours.output():
                theirs.feed(output)
    assert client.decrypt() == b""  # the tickets


@pytest.fixture(params=VERSIONS, ids=["1.2", "1.3"])
def pair(request: pytest.FixtureRequest, authority: trustme.CA) -> Pair:
    """Both ends in memory after their handshake: the client's and the server's."""
    context = client_context(authority)
    context.maximum_version = request.param
    client = Records(context, server_hostname=NAME)
    server = Records(server_context(authority))
    shake_hands(client, server)
    return client, server


# ------------------------------------------------------------------ records, in memory


def test_all_records_of_a_read_are_one_plaintext(pair: Pair) -> None:
    client, server = pair
    much = bytes(range(256)) * (5 * RECORD_BYTES // 256)
    server.feed(client.encrypt(b"one") + client.encrypt(much) + client.encrypt(b"three"))
    assert server.decrypt() == b"one" + much + b"three"
    assert server.decrypt() == b""


def test_what_is_sent_at_once_is_one_record(pair: Pair) -> None:
    client, _ = pair
    assert len(client.encrypt(bytes(1000))) < 1000 + 64
    assert client.encrypt(b"") == b""


def test_a_long_message_goes_in_pieces(pair: Pair) -> None:
    """OpenSSL's buffers never shrink, so none of them ever holds all of it."""
    client, server = pair
    setup = bytes(range(256)) * 200
    wire = client.encrypt(setup)
    sizes, at = [], 0
    while at < len(wire):  # a record's head: its type, two bytes of version, two of length
        sizes.append(int.from_bytes(wire[at + 3 : at + 5], "big"))
        at += 5 + sizes[-1]
    assert len(sizes) == -(-len(setup) // PIECE_OUT_BYTES)
    assert max(sizes) < PIECE_OUT_BYTES + 64
    assert server.take(wire) == setup
    assert server.take(client.encrypt(b"short")) == b"short"
    assert not server.ended
    assert server.take(b"") == b""
    assert server.ended


def test_half_a_record_waits_for_its_rest(pair: Pair) -> None:
    client, server = pair
    wire = client.encrypt(b"whole") + client.encrypt(b"again")
    heard = []
    for at in range(len(wire)):
        server.feed(wire[at : at + 1])
        heard.append(server.decrypt())
    assert [plain for plain in heard if plain] == [b"whole", b"again"]
    assert heard[-1] == b"again"


def test_records_of_one_byte_are_joined(pair: Pair) -> None:
    client, server = pair
    server.feed(b"".join(client.encrypt(b"x") for _ in range(1000)))
    assert server.decrypt() == b"x" * 1000


def test_the_peers_goodbye_comes_behind_its_last_words(pair: Pair) -> None:
    client, server = pair
    wire = client.encrypt(b"last words")
    client.close()
    server.feed(wire + client.output())
    assert server.decrypt() == b"last words"
    assert server.ended
    with pytest.raises(ssl.SSLError):
        client.encrypt(b"after its end")


def test_an_end_without_a_goodbye_is_an_end(pair: Pair) -> None:
    """As with HTTPS; a WebSocket whose close frame is missing is reported as broken."""
    client, server = pair
    server.feed(client.encrypt(b"cut off")[:-1])
    server.feed(b"")
    assert server.decrypt() == b""
    assert server.ended


def test_a_record_that_was_changed_is_refused_with_an_alert(pair: Pair) -> None:
    client, server = pair
    wire = bytearray(client.encrypt(b"audio"))
    wire[-1] ^= 1
    server.feed(wire)
    with pytest.raises(ssl.SSLError):
        server.decrypt()
    assert server.output()


# ------------------------------------------------------------------ sessions


@pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
def test_a_session_is_taken_up_and_a_changed_certificate_makes_a_new_one(
    authority: trustme.CA, version: ssl.TLSVersion
) -> None:
    context = client_context(authority)
    context.maximum_version = version
    resumption = Resumption()
    served = server_context(authority)

    def connect(server: ssl.SSLContext) -> bool:
        ours = Records(context, server_hostname=NAME, resumption=resumption)
        theirs = Records(server)
        shake_hands(ours, theirs)
        ours.feed(theirs.encrypt(b"HTTP/1.1 101"))
        assert ours.decrypt() == b"HTTP/1.1 101"
        return ours.resumed

    assert [connect(served), connect(served)] == [False, True]
    kept = resumption.session
    assert connect(served)
    assert resumption.session is kept  # to ask for another one would cost memory that is never given back
    renewed = server_context(authority)
    assert [connect(renewed), connect(renewed)] == [False, True]
    assert resumption.session is not kept


# ------------------------------------------------------------------ streams, over real sockets


@asynccontextmanager
async def connected(
    authority: trustme.CA, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> AsyncIterator[tuple[Stream, Stream]]:
    """A client's and a server's stream after their handshake."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        near = socket.create_connection(listening.getsockname())
        far = listening.accept()[0]
    context = client_context(authority)
    context.maximum_version = version
    client, server = (
        Stream(trio.SocketStream(trio.socket.from_stdlib_socket(end)), records)
        for end, records in (
            (near, Records(context, server_hostname=NAME)),
            (far, Records(server_context(authority))),
        )
    )
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.handshake)
            await client.handshake()
        try:
            yield client, server
        finally:
            await client.hang_up()  # noqa: ASYNC102 - shielded, and closes without waiting
            await server.hang_up()  # noqa: ASYNC102 - as above


@pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
async def test_all_arrives_in_order_however_full_the_line(
    authority: trustme.CA, version: ssl.TLSVersion
) -> None:
    async with connected(authority, version) as (client, server):
        assert client.tls_version == version.name.replace("_", ".")
        pieces = [bytes((number,)) * (MUCH // 8) for number in range(8)]
        received = bytearray()

        async def read() -> None:
            while len(received) < MUCH:
                received.extend(await server.receive(RECORD_BYTES))

        async with trio.open_nursery() as nursery:
            for piece in pieces:
                client.send(piece)
            assert client.unsent
            nursery.start_soon(client.flush)
            nursery.start_soon(read)
        assert received == b"".join(pieces)
        assert client.idle


async def test_what_is_here_is_received_at_once(authority: trustme.CA) -> None:
    async with connected(authority) as (client, server):
        assert client.receive_now(RECORD_BYTES) is None  # at most the tickets
        assert server.send(b"at once")
        assert client.socket is not None
        plain = None
        while plain is None:
            await trio.lowlevel.wait_readable(client.socket)
            plain = client.receive_now(RECORD_BYTES)
        assert plain == b"at once"
        assert client.received > len(plain)


async def test_a_goodbye_is_an_end_that_shows(authority: trustme.CA) -> None:
    async with connected(authority) as (client, server):
        server.send(b"last words")
        await server.send_eof()
        assert await client.receive(RECORD_BYTES) == b"last words"
        assert await client.receive(RECORD_BYTES) == b""
        assert client.at_end


async def test_what_is_no_record_breaks_the_connection_and_it_stays_broken(authority: trustme.CA) -> None:
    async with connected(authority) as (client, server):
        assert server.socket is not None
        await server.socket.send(b"GET / HTTP/1.1\r\n\r\n")
        for _ in range(2):
            with pytest.raises(trio.BrokenResourceError, match="TLS failed"):
                await client.receive(RECORD_BYTES)
        with pytest.raises(trio.BrokenResourceError, match="TLS failed"):
            client.receive_now(RECORD_BYTES)


# ------------------------------------------------------------------ against OpenSSL's own programs


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@pytest.fixture
def openssl() -> str:
    found = shutil.which("openssl")
    assert found is not None, "the openssl program is missing: apt-get install openssl"
    return found


@pytest.fixture
def s_server(openssl: str, certificates: Certificates, request: pytest.FixtureRequest) -> Iterator[int]:
    """OpenSSL's server, which obeys its standard input: the port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = [openssl, "s_server", "-accept", f"127.0.0.1:{port}", "-cert", str(certificates.cert)]
    process = subprocess.Popen(
        [*command, "-key", str(certificates.key)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    request.node.server = process
    assert process.stdout is not None
    while b"ACCEPT" not in process.stdout.readline():
        assert process.poll() is None
    yield port
    process.kill()
    process.communicate()


async def test_key_updates_of_a_server_go_unnoticed(
    s_server: int, certificates: Certificates, request: pytest.FixtureRequest
) -> None:
    """K asks for ours as well; its answer is sent though nobody writes."""
    process: subprocess.Popen[bytes] = request.node.server
    assert process.stdin is not None
    where = websocket_endpoint(f"wss://localhost:{s_server}")
    stream = await dialler(where, certificates.trust)()
    assert isinstance(stream, Stream)
    with trio.fail_after(20):
        for word in (b"before\n", b"after\n"):
            process.stdin.write(word)
            process.stdin.flush()
            heard = b""
            while not heard.endswith(word):
                heard += await stream.receive(RECORD_BYTES)
            process.stdin.write(b"K\n")
            process.stdin.flush()
            await _read_by_openssl(process.stdin.fileno())
        stream.send(b"ours\n")
        assert process.stdout is not None
        line = b""
        while b"ours" not in line:
            line = await trio.to_thread.run_sync(process.stdout.readline)
    await stream.hang_up()


async def _read_by_openssl(pipe: int) -> None:
    """Wait until what was written is read: OpenSSL's programs take a command only at the beginning of a read."""
    unread = array("i", [1])
    while unread[0]:
        await trio.sleep(0.01)  # noqa: ASYNC110 - it is another process
        fcntl.ioctl(pipe, termios.FIONREAD, unread)


@asynccontextmanager
async def s_client(
    openssl: str, certificates: Certificates, *options: str
) -> AsyncIterator[tuple[Stream, trio.Process]]:
    """OpenSSL's client at a stream of ours, after the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.load_cert_chain(certificates.cert, certificates.key)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    command = [
        openssl,
        "s_client",
        "-connect",
        f"127.0.0.1:{port}",
        "-CAfile",
        str(certificates.ca),
        *options,
    ]
    with trio.fail_after(30):
        async with listener, trio.open_nursery() as nursery:
            begin = partial(trio.run_process, command, stdin=subprocess.PIPE, check=False)
            process = await nursery.start(
                partial(begin, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            )
            stream = Stream(await listener.accept(), Records(context))
            await stream.handshake()
            try:
                yield stream, process
            finally:
                await stream.hang_up()  # noqa: ASYNC102 - shielded, and closes without waiting
                nursery.cancel_scope.cancel()


async def said(stream: Stream, word: bytes) -> bytes:
    heard = b""
    while not heard.endswith(word):
        part = await stream.receive(RECORD_BYTES)
        assert part, f"the end came after {heard!r}"
        heard += part
    return heard


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_openssls_client_is_served_and_its_goodbye_heard(
    openssl: str, certificates: Certificates, version: str
) -> None:
    async with s_client(openssl, certificates, version) as (stream, process):
        assert process.stdin is not None
        await process.stdin.send_all(b"hello\n")
        await said(stream, b"hello\n")
        await process.stdin.send_all(b"Q\n")
        assert await stream.receive(RECORD_BYTES) == b""
        assert stream.at_end


async def test_key_updates_of_a_client_go_unnoticed(openssl: str, certificates: Certificates) -> None:
    async with s_client(openssl, certificates, "-tls1_3") as (stream, process):
        assert isinstance(process.stdin, trio.lowlevel.FdStream)
        for command in (b"K\n", b"k\n"):
            await process.stdin.send_all(b"hello\n")
            await said(stream, b"hello\n")
            await process.stdin.send_all(command)
            await _read_by_openssl(process.stdin.fileno())
        await process.stdin.send_all(b"hello\n")
        await said(stream, b"hello\n")


async def test_a_new_handshake_in_mid_connection_is_refused(openssl: str, certificates: Certificates) -> None:
    """TLS 1.2 knows renegotiation; it costs us a signature each time, so nobody gets one."""
    async with s_client(openssl, certificates, "-tls1_2") as (stream, process):
        assert process.stdin is not None
        await process.stdin.send_all(b"hello\n")
        await said(stream, b"hello\n")
        await process.stdin.send_all(b"R\n")
        # The client takes our refusal for the end.
        heard = None
        try:
            heard = await stream.receive(RECORD_BYTES)
        except trio.BrokenResourceError:
            heard = b""
        assert heard == b""
