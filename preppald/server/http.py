"""One HTTP request a connection: read within limits, answered, or turned into a WebSocket.

The parser is that of the WebSocket library, which takes GET only and no bodies: all that is needed here.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
import http
from urllib.parse import parse_qsl

import trio
from websockets.datastructures import Headers, MultipleValuesError
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from preppald.telemetry.logs import Logger

# From the first byte to the last of a request; a browser needs milliseconds.
REQUEST_SECONDS = 5.0
# The parser takes 128 lines of 8 KiB, which is a megabyte. A browser with cookies sends 2 KiB.
REQUEST_BYTES = 32 * 1024
END_OF_HEAD = b"\r\n\r\n"
RECEIVE_BYTES = 16 * 1024
# An answer that is not taken within this is for nobody.
ANSWER_SECONDS = 5.0
# How long a connection that is turned away may take to say what it wants, so that it reads the answer.
TURN_AWAY_SECONDS = 1.0
# A browser's message: 20 ms of audio are 640 bytes, a second is 32 000.
MAX_MESSAGE_BYTES = 64 * 1024
SUBPROTOCOL = Subprotocol("preppal.v1")
JSON = "application/json"
TEXT = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer; the connection is closed after it."""

    status: http.HTTPStatus
    body: bytes
    content_type: str = TEXT
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Exchange:
    """A request and the protocol object that can still answer it, or upgrade.

    ``early``: what came right behind the request. ``received``: all of it as it came.
    """

    request: Request
    protocol: ServerProtocol
    path: str
    query: Mapping[str, str]
    early: bytes = b""
    received: bytes = b""
    acceptance: Response | None = None

    @property
    def wants_upgrade(self) -> bool:
        return "websocket" in self.header("Upgrade").lower()

    def header(self, name: str) -> str:
        """The header's value; empty where there is none, or more than one."""
        try:
            return self.request.headers.get(name, "")
        except MultipleValuesError:
            return ""

    def headers(self, name: str) -> list[str]:
        """All of that name, in their order."""
        return self.request.headers.get_all(name)


def text(status: http.HTTPStatus, words: str, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, f"{words}\n".encode(), headers=named)


@asynccontextmanager
async def contained(stream: trio.abc.Stream, log: Logger) -> AsyncIterator[None]:
    """A connection from its first byte to its last: closed at the end, and nothing that it does leaves it."""
    try:
        async with stream:
            yield
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # the peer went away
    except Exception:  # the end of the line for a bug: it costs one connection, and no other its interview
        log.exception("connection.crashed")


async def read(stream: trio.abc.Stream, received: bytes = b"") -> Exchange | None:
    """The one request, or None when none came in time, or none that is HTTP; then that is answered already.

    ``received``: what somebody else has read of it.
    """
    protocol = ServerProtocol(max_size=MAX_MESSAGE_BYTES, select_subprotocol=_select)
    data = received
    tail = b""
    with trio.move_on_after(REQUEST_SECONDS):
        while protocol.handshake_exc is None and len(received) < REQUEST_BYTES:
            if not data:
                data = bytes(await stream.receive_some(RECEIVE_BYTES))
                received += data
            if not data:
                return None
            head, early, tail = _cut(tail, data)
            data = b""
            protocol.receive_data(head)
            for event in protocol.events_received():
                if isinstance(event, Request):
                    return _exchange(event, protocol, early, received)
        await _send(stream, _raw(text(http.HTTPStatus.BAD_REQUEST, "Not a request that is served here")))
        return None
    await _send(stream, _raw(text(http.HTTPStatus.REQUEST_TIMEOUT, "The request did not come in time")))
    return None


def _cut(tail: bytes, data: bytes) -> tuple[bytes, bytes, bytes]:
    """What of the data is still the request's head, what comes behind it, and the new tail of what was seen.

    A frame that is parsed before the answer would itself be answered before it.
    """
    seen = tail + data
    at = seen.find(END_OF_HEAD)
    end = len(data) if at < 0 else at + len(END_OF_HEAD) - len(tail)
    return data[:end], data[end:], seen[-len(END_OF_HEAD) + 1 :]


def _exchange(request: Request, protocol: ServerProtocol, early: bytes, received: bytes) -> Exchange:
    """The path is taken as it stands: with another host in front of it, or with escapes, it is no path of ours."""
    path, _, query = request.path.partition("?")
    try:
        return Exchange(request, protocol, path, dict(parse_qsl(query, max_num_fields=8)), early, received)
    except ValueError:
        return Exchange(request, protocol, "", {}, early, received)


def _select(_protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Ours where it is offered; a client that offers none, or others, is served as well."""
    return SUBPROTOCOL if SUBPROTOCOL in offered else None


async def answer(stream: trio.abc.Stream, reply: Answer) -> None:
    """Sends the answer, within a bound."""
    await _send(stream, _raw(reply))


async def turn_away(stream: trio.abc.Stream, reply: Answer) -> None:
    """Answers whatever is asked: closed on an unread request, the connection would take the answer with it."""
    with trio.move_on_after(TURN_AWAY_SECONDS):
        await stream.receive_some(RECEIVE_BYTES)
    await answer(stream, reply)


def handshake(exchange: Exchange) -> Answer | None:
    """What is wrong with a request for a WebSocket, if anything. Nothing is sent yet: see ``upgrade``."""
    response = exchange.protocol.accept(exchange.request)
    if response.status_code == http.HTTPStatus.SWITCHING_PROTOCOLS:
        exchange.acceptance = response
        return None
    return Answer(http.HTTPStatus(response.status_code), bytes(response.body))


async def upgrade(stream: trio.abc.Stream, exchange: Exchange) -> bool:
    """Answers 101, after a ``handshake`` that found no fault; whether the answer was taken."""
    assert exchange.acceptance is not None  # noqa: S101 - nobody is admitted without a handshake
    exchange.protocol.send_response(exchange.acceptance)
    sent = await _send(stream, b"".join(exchange.protocol.data_to_send()))
    if sent and exchange.early:
        exchange.protocol.receive_data(exchange.early)
    return sent


def _raw(reply: Answer) -> bytes:
    headers = Headers()
    headers["Content-Type"] = reply.content_type
    headers["Content-Length"] = str(len(reply.body))
    headers["Connection"] = "close"
    for name, value in reply.headers.items():
        headers[name] = value
    head = f"HTTP/1.1 {reply.status.value} {reply.status.phrase}\r\n".encode()
    return head + headers.serialize() + reply.body


async def _send(stream: trio.abc.Stream, data: bytes) -> bool:
    with trio.move_on_after(ANSWER_SECONDS):
        await stream.send_all(data)
        return True
    return False
