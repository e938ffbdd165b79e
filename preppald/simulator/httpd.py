"""One HTTP/1.1 connection on a Trio stream: h11 parses, a handler answers, request after request."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
import http

import h11
import trio

# A client that is slower with a request, or idle longer between two, is let go (Trio's seconds).
REQUEST_SECONDS = 60.0
# An answer that the client does not take is dropped after this.
SEND_SECONDS = 10.0
RECEIVE_BYTES = 65_536
# The transcript of an hour's interview is well under one megabyte.
MAX_BODY_BYTES = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


class Drop(Exception):
    """Raised by a handler: close the connection without an answer."""


Handler = Callable[[Request], Awaitable[Answer]]


async def serve_http(stream: trio.abc.Stream, handler: Handler) -> None:
    """Serve one connection until it ends, and close it."""
    connection = h11.Connection(h11.SERVER)
    try:
        while True:
            request: Request | Answer | None = None
            with trio.move_on_after(REQUEST_SECONDS):
                request = await _read_request(stream, connection)
            if request is None:
                return
            answer = request if isinstance(request, Answer) else await handler(request)
            await _send_answer(stream, connection, answer)
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                return
            connection.start_next_cycle()
    except (Drop, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
        return
    finally:
        await trio.aclose_forcefully(stream)


async def _read_request(stream: trio.abc.Stream, connection: h11.Connection) -> Request | Answer | None:
    """Return the next request; an Answer to anything else; None when the client is gone."""
    head: h11.Request | None = None
    body = bytearray()
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            return Answer(error.error_status_hint, str(error).encode(), "text/plain")
        if event is h11.NEED_DATA:
            if connection.they_are_waiting_for_100_continue:
                await stream.send_all(
                    connection.send(h11.InformationalResponse(status_code=100, headers=[], reason=b"")) or b""
                )
            connection.receive_data(bytes(await stream.receive_some(RECEIVE_BYTES)))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_BODY_BYTES:
                return Answer(413, b"too large", "text/plain")
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
            return Request(head.method.decode(), head.target.decode("ascii"), headers, bytes(body))
        else:  # ConnectionClosed
            return None


async def _send_answer(stream: trio.abc.Stream, connection: h11.Connection, answer: Answer) -> None:
    headers = {
        "Content-Type": answer.content_type,
        "Content-Length": str(len(answer.body)),
        **answer.headers,
    }
    response = h11.Response(
        status_code=answer.status,
        headers=list(headers.items()),
        reason=http.HTTPStatus(answer.status).phrase.encode(),
    )
    data = b"".join(
        connection.send(event) or b"" for event in (response, h11.Data(data=answer.body), h11.EndOfMessage())
    )
    with trio.fail_after(SEND_SECONDS):
        await stream.send_all(data)
