"""Gemini's end: dial, set up, read, write, close.

The only importer of trio_websocket, and a guard around it: whatever leaves it ends one connection, as an
``UpstreamError`` with its true cause. TCP and TLS are done here, because trio-websocket turns a certificate
failure into a timeout a minute later.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
import socket
import ssl

import trio
from trio_websocket import ConnectionClosed, ConnectionRejected, WebSocketConnection, wrap_client_stream

from preppald.core import closes, gemini
from preppald.core.closes import Cause
from preppald.core.events import GeminiEvent, SetupCompleted
from preppald.errors import PreppaldError, RemoteProtocolError, leaf
from preppald.parse import Endpoint

# Name resolution, TCP, TLS and the upgrade together. Seen: tens of milliseconds.
CONNECT_SECONDS = 10.0
# Seen: 50 to 500 ms.
SETUP_SECONDS = 10.0
# Gemini owes us nothing after a close frame, and a candidate waits for what comes next.
CLOSE_SECONDS = 1.0
# A second of 24 kHz PCM in base64 is 64 KiB; trio-websocket's own limit of 1 MiB was met by others.
MAX_MESSAGE_BYTES = 16 * 1024 * 1024
# Frames that wait for the reader: two would do, a few more save wake-ups in a burst of parts.
MESSAGE_QUEUE = 16
# A quarter of a second of speech a read: Gemini sends at four times real time.
RECEIVE_BYTES = 64 * 1024
NORMAL_CLOSE = 1000
# How long Gemini may be quiet before it is asked for a sign of life.
QUIET_SECONDS = 30.0
# Its pongs were seen to take 8 to 30 s.
PONG_SECONDS = 60.0
# Audio flows all the time: TCP notices a dead path within this, where its own patience is a quarter of an hour.
UNACKNOWLEDGED_MS = 20_000

Stream = trio.abc.Stream
Dial = Callable[[], Awaitable[Stream]]


class UpstreamError(PreppaldError):
    """A connection to Gemini failed or ended. ``code``: the close code or HTTP status, where there was one."""

    def __init__(self, cause: Cause, *, code: int | None = None, detail: str = "") -> None:
        shown = "" if code is None else f" (code {code})"
        super().__init__(f"{cause.words}{shown}{f': {detail}' if detail else ''}")
        self.cause = cause
        self.code = code

    @property
    def is_close(self) -> bool:
        """Whether Gemini itself closed, with a frame."""
        return self.code is not None and self.code >= NORMAL_CLOSE


def dialler(endpoint: Endpoint, tls: ssl.SSLContext | None = None) -> Dial:
    """How to reach Gemini over the network; ``tls`` defaults to the system's certificates."""

    async def dial() -> Stream:
        try:
            tcp = await trio.open_tcp_stream(endpoint.host, endpoint.port)
        except OSError as error:
            cause = closes.DNS if isinstance(error, socket.gaierror) else closes.REFUSED
            raise UpstreamError(cause, detail=f"{endpoint.host}:{endpoint.port}") from error
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
        if not endpoint.secure:
            return tcp
        context = tls or ssl.create_default_context()
        encrypted = trio.SSLStream(tcp, context, server_hostname=endpoint.host, https_compatible=True)
        try:
            await encrypted.do_handshake()
        except trio.BrokenResourceError as error:
            await trio.aclose_forcefully(encrypted)
            raise UpstreamError(closes.TLS, detail=_tls_words(error)) from error
        except BaseException:
            await trio.aclose_forcefully(encrypted)
            raise
        return encrypted

    return dial


@dataclass(slots=True)
class Upstream:
    """One connection to Gemini, set up. ``generation`` counts an interview's connections, from 1.

    ``sending_since``: when a send began that has not ended yet, for whoever watches for stalls.
    ``heard_at``: when Gemini last sent anything.
    """

    generation: int
    _socket: WebSocketConnection
    _stream: Stream
    _key: str = field(repr=False)
    malformed: int = 0
    sending_since: float | None = None
    heard_at: float = 0.0
    _dropped: Cause | None = None

    async def receive(self) -> list[GeminiEvent]:
        """The events of the next frame; often none. A frame that cannot be read is counted and skipped.

        Raises:
            UpstreamError: the connection ended.
        """
        while True:
            try:
                frame = await self._socket.get_message()
            except ConnectionClosed as closed:
                raise self._ended(closed) from closed
            self.heard_at = trio.current_time()
            try:
                return gemini.decode(frame)
            except RemoteProtocolError:
                self.malformed += 1

    async def send(self, message: str) -> None:
        """Sends one text frame. A send that is cancelled leaves half a frame behind: ``abort`` then.

        Raises:
            UpstreamError: the connection ended.
        """
        self.sending_since = trio.current_time()
        try:
            await self._socket.send_message(message)
        except ConnectionClosed as closed:
            raise self._ended(closed) from closed
        finally:
            self.sending_since = None

    async def keep_alive(self) -> None:
        """Pings when nothing was heard for a while, and hangs up on a Gemini that does not answer that either.

        Silence alone proves nothing: during a long answer, and while a candidate thinks, Gemini sends nothing.
        """
        while True:
            await trio.sleep_until(self.heard_at + QUIET_SECONDS)
            # The same sum as above: a difference may round to less, for ever where time is virtual.
            if trio.current_time() < self.heard_at + QUIET_SECONDS:
                continue
            try:
                with trio.fail_after(PONG_SECONDS):
                    await self._socket.ping()
            except trio.TooSlowError:
                await self.abort(closes.SILENT)
                return
            except ConnectionClosed:
                return  # the reader sees the end too, and it says why
            self.heard_at = trio.current_time()

    async def abort(self, cause: Cause) -> None:
        """Drops the connection without a word; readers and writers see it end for this cause."""
        self._dropped = cause
        await trio.aclose_forcefully(self._stream)

    def _ended(self, closed: ConnectionClosed) -> UpstreamError:
        """trio-websocket gives no reason where its reader died, or we hung up ourselves."""
        if self._dropped is not None:
            return UpstreamError(self._dropped)
        if closed.reason is None:
            return UpstreamError(closes.NETWORK)
        code, reason = closed.reason.code, closed.reason.reason or ""
        # Gemini's own words, or a proxy's, which may put them together from what it was sent.
        detail = reason.replace(self._key, "(key)")
        return UpstreamError(closes.of_close(code, reason), code=code, detail=detail)


@asynccontextmanager
async def connected(
    dial: Dial, where: Endpoint, key: str, setup: str, *, generation: int, by: float | None = None
) -> AsyncIterator[Upstream]:
    """A connection on which Gemini accepted ``setup``; closed, within a bound, on the way out.

    ``by``: when the caller's patience ends, if that is sooner than ours.

    Raises:
        UpstreamError: it cannot be had; or it ended, and the body did not notice by itself.
    """
    ended: Exception | None = None
    connect_by = _sooner(CONNECT_SECONDS, by)
    stream = await _dialled(dial, connect_by)
    try:
        # This nursery is trio-websocket's: its reader may fail without taking more along than this connection.
        async with trio.open_nursery() as guard:
            try:
                connection = await _upgraded(guard, stream, where, key, connect_by)
                upstream = Upstream(generation, connection, stream, key)
                await _set_up(upstream, setup, _sooner(SETUP_SECONDS, by))
                guard.start_soon(upstream.keep_alive)
                yield upstream
                with trio.move_on_after(CLOSE_SECONDS, shield=True):
                    await connection.aclose(NORMAL_CLOSE)
            except Exception as error:  # noqa: BLE001 - raised again below, outside of trio-websocket's group
                ended = error
            guard.cancel_scope.cancel()
    except* UpstreamError as group:
        ended = ended or leaf(group)
    except* ConnectionRejected as group:
        status = leaf(group).status_code
        ended = ended or UpstreamError(closes.of_http_status(status), code=status)
    except* Exception as group:  # noqa: BLE001 - whatever leaves trio-websocket ends this connection, no more
        ended = ended or UpstreamError(closes.PROTOCOL, detail=type(leaf(group)).__name__)
    finally:
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(stream)
    if ended is not None:
        raise ended


def _sooner(seconds: float, by: float | None) -> float:
    ours = trio.current_time() + seconds
    return ours if by is None else min(ours, by)


async def _dialled(dial: Dial, by: float) -> Stream:
    try:
        with trio.fail_at(by):
            return await dial()
    except trio.TooSlowError as error:
        raise UpstreamError(closes.TIMED_OUT, detail="no connection in time") from error


async def _upgraded(
    guard: trio.Nursery, stream: Stream, where: Endpoint, key: str, by: float
) -> WebSocketConnection:
    reader = _Reader(guard)
    try:
        with trio.fail_at(by):
            connection = await wrap_client_stream(
                reader,  # type: ignore[arg-type]  # it says Nursery, and needs its start_soon
                stream,  # type: ignore[arg-type]  # it says SocketStream, and needs no more than Stream
                where.authority,
                where.path + gemini.PATH,
                extra_headers=[(gemini.KEY_HEADER.encode(), key.encode())],
                message_queue_size=MESSAGE_QUEUE,
                max_message_size=MAX_MESSAGE_BYTES,
                receive_buffer_size=RECEIVE_BYTES,
            )
            reader.upgraded = True
            return connection
    except trio.TooSlowError as error:
        raise UpstreamError(closes.TIMED_OUT, detail="no upgrade in time") from error


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


async def _set_up(upstream: Upstream, setup: str, by: float) -> None:
    try:
        with trio.fail_at(by):
            await upstream.send(setup)
            while not any(isinstance(event, SetupCompleted) for event in await upstream.receive()):
                pass
    except trio.TooSlowError as error:
        raise UpstreamError(closes.TIMED_OUT, detail="no setupComplete in time") from error


def _tls_words(error: BaseException) -> str:
    cause = error.__cause__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return cause.verify_message
    return type(cause or error).__name__
