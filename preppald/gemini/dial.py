"""Reaches Gemini: name, TCP, TLS, upgrade; or fails with the true cause.

The only importer of trio_websocket, which shakes hands, and a guard around it: whatever leaves it ends one
connection, as an ``UpstreamError`` with its true cause. TCP and TLS are done here, because trio-websocket turns a
certificate failure into a timeout a minute later; after the handshake the stream is a ``WebSocket``'s.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
import errno
from http import HTTPStatus
import socket
import ssl

import trio
from trio_websocket import ConnectionRejected, wrap_client_stream

from preppald.config.addresses import Endpoint
from preppald.core import closes, gemini
from preppald.core.closes import Cause
from preppald.errors import PreppaldError, leaf
from preppald.net import tls
from preppald.net.proxy import Proxy, ProxyRefused, tunnel
from preppald.net.records import Records, Resumption
from preppald.net.stream import Stream, give_up_when_unacknowledged
from preppald.net.websocket import NORMAL_CLOSE, WebSocket, client_protocol

# A second of 24 kHz PCM in base64 is 64 KiB; trio-websocket's own limit of 1 MiB was met by others.
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
# A quarter of a second of speech a read; Gemini sends at four times real time, and the next read takes the rest.
READ_BYTES = 16 * 1024
# An answer's head is one packet.
HANDSHAKE_BYTES = 4096
UPGRADED = b"HTTP/1.1 101"
HEAD_END = b"\r\n\r\n"

# A proxy's answers that another try does not change.
FINAL = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
    }
)

Dial = Callable[[], Awaitable[trio.abc.Stream]]


class UpstreamError(PreppaldError):
    """A connection to Gemini failed or ended. ``code``: the close code or HTTP status, where there was one."""

    def __init__(self, cause: Cause, *, code: int | None = None, detail: str = "") -> None:
        shown = "" if code is None else f" (code {code})"
        super().__init__(f"{cause.words}{shown}{f': {detail}' if detail else ''}")
        self.cause = cause
        self.code = code

    @property
    def is_close(self) -> bool:
        """True where Gemini itself closed, with a frame."""
        return self.code is not None and self.code >= NORMAL_CLOSE


def dialler(endpoint: Endpoint, trust: ssl.SSLContext | None = None, proxy: Proxy | None = None) -> Dial:
    """Return how to reach Gemini over the network; ``trust``: authorities of its own.

    ``proxy``: the way to it, for an endpoint that is secure.
    The newest TLS session is kept, so that a rotation costs no certificate.
    """
    resumption = Resumption()

    async def dial() -> trio.abc.Stream:
        tcp = await _tcp(endpoint.host, endpoint.port) if proxy is None else await _tunnel(endpoint, proxy)
        give_up_when_unacknowledged(tcp)
        if not endpoint.secure:
            return Stream(tcp)
        records = Records(trust or tls.machines_own(), server_hostname=endpoint.host, resumption=resumption)
        stream = Stream(tcp, records)
        try:
            await stream.handshake()
        except (ssl.SSLError, trio.BrokenResourceError) as error:
            await stream.hang_up()  # noqa: ASYNC120 - shielded, and closes without waiting
            raise UpstreamError(closes.TLS, detail=_tls_words(error)) from error
        except BaseException:
            await stream.hang_up()  # noqa: ASYNC102 - shielded, and closes without waiting
            raise
        return stream

    return dial


async def _tcp(host: str, port: int) -> trio.SocketStream:
    try:
        return await trio.open_tcp_stream(host, port)
    except OSError as error:
        cause = closes.DNS if isinstance(error, socket.gaierror) else closes.REFUSED
        if _out_of_descriptors(error):
            cause = closes.DESCRIPTORS
        raise UpstreamError(cause, detail=f"{host}:{port}") from error


def _out_of_descriptors(error: BaseException | None) -> bool:
    """Return whether a socket could not even be made: Trio reports one error for all addresses that it tried."""
    if isinstance(error, BaseExceptionGroup):
        return any(map(_out_of_descriptors, error.exceptions))
    if isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}:
        return True
    return error is not None and _out_of_descriptors(error.__cause__)


async def _tunnel(endpoint: Endpoint, proxy: Proxy) -> trio.SocketStream:
    try:
        tcp = await _tcp(proxy.host, proxy.port)
    except UpstreamError as error:
        cause = error.cause if error.cause is closes.DESCRIPTORS else closes.PROXY
        raise UpstreamError(cause, detail=f"{proxy.where}: {error.cause.name}") from error
    try:
        await tunnel(tcp, proxy, endpoint.host, endpoint.port)
    except ProxyRefused as error:
        await trio.aclose_forcefully(tcp)
        cause = closes.PROXY_REFUSED if error.status in FINAL else closes.PROXY
        raise UpstreamError(cause, detail=f"{proxy.where}: {error}") from error
    except trio.BrokenResourceError as error:
        await trio.aclose_forcefully(tcp)
        raise UpstreamError(closes.PROXY, detail=f"{proxy.where}: it hung up") from error
    except BaseException:
        await trio.aclose_forcefully(tcp)
        raise
    return tcp


async def dialled(dial: Dial, by: float) -> trio.abc.Stream:
    """Return a stream to Gemini, by this time on Trio's clock.

    Raises:
        UpstreamError: there is none.
    """
    try:
        with trio.fail_at(by):
            return await dial()
    except trio.TooSlowError as error:
        raise UpstreamError(closes.TIMED_OUT, detail="no connection in time") from error


async def upgraded(stream: trio.abc.Stream, where: Endpoint, key: str, by: float) -> WebSocket:
    """Return the WebSocket on that stream: trio-websocket shakes hands, and sees no byte behind the answer.

    Raises:
        UpstreamError: there is none.
    """
    answered = _UntilAnswered(stream)
    refused: UpstreamError | None = None
    try:
        with trio.fail_at(by):
            async with trio.open_nursery() as guard:
                reader = _Reader(guard)
                await wrap_client_stream(
                    reader,  # type: ignore[arg-type]  # it says Nursery, and needs its start_soon
                    answered,  # type: ignore[arg-type]  # it says SocketStream, and needs no more than Stream
                    where.authority,
                    gemini.path(where.path),
                    extra_headers=[(gemini.KEY_HEADER.encode(), key.encode())],
                    receive_buffer_size=HANDSHAKE_BYTES,
                )
                reader.upgraded = True
                guard.cancel_scope.cancel()
    except* trio.TooSlowError:
        refused = UpstreamError(closes.TIMED_OUT, detail="no upgrade in time")
    except* UpstreamError as group:
        refused = leaf(group)
    except* ConnectionRejected as group:
        status = leaf(group).status_code
        refused = UpstreamError(closes.of_http_status(status), code=status)
    except* Exception as group:  # noqa: BLE001 - an error of trio-websocket ends this connection, no more
        refused = refused or UpstreamError(closes.PROTOCOL, detail=type(leaf(group)).__name__)
    if refused is not None:
        raise refused
    protocol = client_protocol(max_message_bytes=MAX_MESSAGE_BYTES)
    return WebSocket(stream, protocol, answered.behind, read_bytes=READ_BYTES)


class _UntilAnswered(trio.abc.Stream):
    """The stream as trio-websocket sees it: after an answer that upgrades nothing comes any more.

    ``behind``: bytes that came with that answer, and belong to the stream's next owner.
    """

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.behind = b""
        self._stream = stream
        self._head = bytearray()
        self._upgraded = False

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self._upgraded:
            await trio.sleep_forever()
        data = bytes(await self._stream.receive_some(max_bytes))
        seen = len(self._head)
        self._head += data
        end = self._head.find(HEAD_END)
        if end >= 0 and self._head.startswith(UPGRADED):
            self._upgraded = True
            end += len(HEAD_END)
            self.behind = bytes(self._head[end:])
            return data[: end - seen]
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()


@dataclass(slots=True)
class _Reader:
    """trio-websocket waits for ever for the upgrade of a peer that has hung up: its reader's end is the sign."""

    guard: trio.Nursery
    upgraded: bool = False

    def start_soon(self, read: Callable[[], Awaitable[None]]) -> None:
        self.guard.start_soon(self._run, read)

    async def _run(self, read: Callable[[], Awaitable[None]]) -> None:
        await read()
        if not self.upgraded:
            raise UpstreamError(closes.NETWORK, detail="it hung up before the upgrade")


def _tls_words(error: ssl.SSLError | trio.BrokenResourceError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return type(error).__name__
