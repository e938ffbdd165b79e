"""One HTTP request a connection: read within limits, answered, or turned into a WebSocket.

h11 reads it, for its bounds are ours to set and it knows every method. The handshake is that of ``websockets``.
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
import re
from urllib.parse import parse_qsl

import h11
import trio
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake
from websockets.http11 import Request as Handshake
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from preppald.errors import Refusal
from preppald.server.request import SUBPROTOCOL, SUBPROTOCOL_2, Request
from preppald.telemetry.logs import Logger

# From the first byte to the last of a request; a browser needs milliseconds.
REQUEST_SECONDS = 5.0
# All header lines together, or one of them. A browser sends 600 bytes, and one with an application's cookies 8 KiB.
REQUEST_BYTES = 32 * 1024
# h11 forgives more than this and waits for a whole head: noise is told from a request by its first line.
_REQUEST_LINE = re.compile(rb"[!-~]+ [!-~]+ HTTP/[0-9]\.[0-9]\r")
# A header over two lines: to be refused (RFC 9112 §5.2).
_FOLDED = re.compile(rb"\n[ \t]")
RECEIVE_BYTES = 16 * 1024
# Fields of a query. We know two; what an application or a proxy adds is passed over.
MAX_QUERY_FIELDS = 256
# An answer that is not taken within this is for nobody.
ANSWER_SECONDS = 5.0
# How long a connection that is turned away may take to say what it wants, so that it reads the answer; and how much
# of what it is still sending is thrown away, for the same reason.
TURN_AWAY_SECONDS = 1.0
TURN_AWAY_BYTES = 1024 * 1024
# A browser's message: 20 ms of audio are 640 bytes, a second is 32 000.
MAX_MESSAGE_BYTES = 64 * 1024
# Nothing else is shown to the library: no cookies, no token.
HANDSHAKE_HEADERS = ("connection", "upgrade", "sec-websocket-")
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer; the connection is closed after it."""

    status: HTTPStatus
    body: bytes
    content_type: str = TEXT
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request, and what came with it. ``early``: the bytes right behind it. ``received``: all of it as it came."""

    request: Request
    early: bytes
    received: bytes

    @property
    def goes_on(self) -> bool:
        """True where the client may still be sending: a body, or requests behind this one."""
        return self.request.method != "GET" or self.request.has_body or bool(self.early)


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A handshake without a fault: ``answer`` is the 101 to send, ``early`` what the client sent behind its request.

    ``subprotocol``: the one that was agreed on; None for a page from before preppal.v1. ``family``: the browser's.
    """

    answer: bytes
    early: bytes
    subprotocol: Subprotocol | None = None
    family: str = "other"


def text(status: HTTPStatus, words: str, **headers: str) -> Answer:
    """Return an answer of one line. ``headers``: with underscores for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, f"{words}\n".encode(), headers=named)


def refused(refusal: Refusal) -> Answer:
    """Return the answer that the client of a refused request reads."""
    headers = dict(refusal.headers)
    if refusal.retry_after is not None:
        headers["Retry-After"] = str(refusal.retry_after)
    return Answer(refusal.status, f"{refusal}\n".encode(), headers=headers)


@asynccontextmanager
async def contained(stream: trio.abc.Stream, log: Logger) -> AsyncIterator[None]:
    """Hold a connection from its first byte to its last: it is closed at the end, and none of its errors gets out."""
    try:
        async with stream:
            yield
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # the peer went away
    except Exception:  # the end of the line for a bug: it costs one connection, and no other its interview
        log.exception("connection.crashed")


async def read(stream: trio.abc.Stream, received: bytes = b"") -> Exchange | None:
    """Return the one request; None where the client hung up before it was whole.

    ``received``: the bytes that another instance has read of it.

    Raises:
        Refusal: it did not come in time, is too large, or is no HTTP.
    """
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=REQUEST_BYTES)
    data = received
    with trio.move_on_after(REQUEST_SECONDS):
        while True:
            if not data:
                data = bytes(await stream.receive_some(RECEIVE_BYTES))
                received += data
            if not data:
                return None
            if head := _parsed(parser, data, received):
                early = parser.trailing_data[0]
                raw = received[: len(received) - len(early)]
                if len(raw) > REQUEST_BYTES:
                    raise _too_large()
                if _FOLDED.search(raw):
                    raise _no_http()
                return Exchange(_request(head), early, received)
            data = b""
    raise Refusal(HTTPStatus.REQUEST_TIMEOUT, "no request", "The request did not come in time")


def _parsed(parser: h11.Connection, data: bytes, received: bytes) -> h11.Request | None:
    """Return the head of the request once it is whole. The parser's own words stay here: they quote the request."""
    line, ended, _ = received.partition(b"\n")
    if ended and not _REQUEST_LINE.fullmatch(line):
        raise _no_http()
    try:
        parser.receive_data(data)
        event = parser.next_event()
    except h11.RemoteProtocolError as error:
        if error.error_status_hint == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
            raise _too_large() from error
        raise _no_http() from error
    if not isinstance(event, h11.Request):
        return None
    if event.http_version not in {b"1.0", b"1.1"}:
        raise Refusal(HTTPStatus.BAD_REQUEST, "no HTTP", "Only HTTP/1.1 is spoken here")
    return event


def _no_http() -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "no HTTP", "Not a request that is served here")


def _too_large() -> Refusal:
    words = f"The request's headers are larger than {REQUEST_BYTES // 1024} KiB: mostly cookies that belong elsewhere"
    return Refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too long", words)


def _request(head: h11.Request) -> Request:
    path, _, query = head.target.decode("ascii").partition("?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
    except ValueError as error:
        words = f"The request's query has more than {MAX_QUERY_FIELDS} fields"
        raise Refusal(HTTPStatus.REQUEST_URI_TOO_LONG, "too long", words) from error
    return Request(
        method=head.method.decode("ascii"),
        path=path,
        query=dict(pairs),
        repeated=frozenset(name for name, count in Counter(name for name, _ in pairs).items() if count > 1),
        fields=[(name.decode("ascii"), value.decode("latin-1")) for name, value in head.headers],
        version=head.http_version.decode("ascii"),
    )


def handshake(exchange: Exchange) -> Upgrade:
    """Return the answer to a request for a WebSocket; nothing is sent yet.

    Raises:
        Refusal: the request is no handshake (RFC 6455 §4.2.1).
    """
    about_it = [item for item in exchange.request.fields if item[0].startswith(HANDSHAKE_HEADERS)]
    try:
        asked = Handshake(exchange.request.path, Headers(about_it))
    except InvalidHandshake as error:  # a control character within a value
        raise Refusal(HTTPStatus.BAD_REQUEST, "no handshake", "A header's value is not valid") from error
    choosing = ServerProtocol(select_subprotocol=_select)
    response = choosing.accept(asked)
    del (
        choosing.select_subprotocol
    )  # it is bound to its own object, which only the garbage collector would free
    if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
        words = bytes(response.body or b"").decode().strip()
        raise Refusal(HTTPStatus(response.status_code), "no handshake", words)
    family = exchange.request.browser_family
    return Upgrade(response.serialize(), exchange.early, choosing.subprotocol, family)


async def upgrade(stream: trio.abc.Stream, agreed: Upgrade) -> ServerProtocol | None:
    """Send the 101 and return the WebSocket's protocol; None where the client did not take the answer."""
    if not await _send(stream, agreed.answer):
        return None
    protocol = ServerProtocol(state=State.OPEN, max_size=MAX_MESSAGE_BYTES)
    protocol.subprotocol = agreed.subprotocol
    return protocol


def _select(_protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    known = (name for name in (SUBPROTOCOL_2, SUBPROTOCOL) if name in offered)
    return next(map(Subprotocol, known), None)


async def answer(stream: trio.abc.Stream, reply: Answer, *, to: Exchange | None = None) -> None:
    """Send the answer, within a bound. ``to``: what it answers; None where that was not read, or not to its end."""
    headers = Headers({"Content-Type": reply.content_type, "Content-Length": str(len(reply.body))})
    headers["Connection"] = "close"
    for name, value in reply.headers.items():
        headers[name] = value
    head = f"HTTP/1.1 {reply.status.value} {reply.status.phrase}\r\n".encode() + headers.serialize()
    if to is not None and to.request.method == "HEAD":
        await _send(stream, head)
    elif await _send(stream, head + reply.body) and (to is None or to.goes_on):
        await _discard(stream)


async def turn_away(stream: trio.abc.Stream, reply: Answer) -> None:
    """Answer whatever is asked: closed on an unread request, the connection would take the answer with it."""
    with trio.move_on_after(TURN_AWAY_SECONDS):
        await stream.receive_some(RECEIVE_BYTES)
    await answer(stream, reply)


async def _discard(stream: trio.abc.Stream) -> None:
    """Throw away what the client is still sending, for a moment: a reset would overtake our answer."""
    with trio.move_on_after(TURN_AWAY_SECONDS):
        if isinstance(stream, trio.abc.HalfCloseableStream):  # TLS has no half
            await stream.send_eof()
        left = TURN_AWAY_BYTES
        while left > 0 and (data := await stream.receive_some(RECEIVE_BYTES)):
            left -= len(data)


async def _send(stream: trio.abc.Stream, data: bytes) -> bool:
    with trio.move_on_after(ANSWER_SECONDS):
        await stream.send_all(data)
        return True
    return False
