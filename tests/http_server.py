"""A real HTTP server in a few lines of raw bytes: it answers as told, well or badly."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
import json
import ssl
from typing import Any

import trio

Handler = Callable[[trio.abc.Stream], Awaitable[None]]


@dataclass
class Heard:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Server:
    """``answer``: raw bytes for each request, or a function that does as it likes with the connection.

    ``most``: the most connections that were open at once.
    """

    answer: bytes | Handler = b""
    heard: list[Heard] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    most: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, stream: trio.abc.Stream) -> None:
        self.connections += 1
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            while (request := await receive(stream)) is not None:
                self.heard.append(request)
                if callable(self.answer):
                    await self.answer(stream)
                    return
                await stream.send_all(self.answer)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client had enough
        finally:
            self.open -= 1
            await trio.aclose_forcefully(stream)


def response(status: int, body: bytes | dict[str, Any], *headers: str) -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(content)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + content


async def receive(stream: trio.abc.Stream) -> Heard | None:
    data = b""
    while b"\r\n\r\n" not in data:
        more = await stream.receive_some()
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", "0")):
        body += await stream.receive_some()
    method, path, _ = first.split(" ")
    return Heard(method, path, headers, body)


@asynccontextmanager
async def serving(
    answer: bytes | Handler = b"", *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    """A server on a port of the system's choice."""
    server = Server(answer)
    async with trio.open_nursery() as nursery:

        async def connection(stream: trio.SocketStream) -> None:
            wrapped = stream if tls is None else trio.SSLStream(stream, tls, server_side=True)
            await server.serve(wrapped)

        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        server.port = listeners[0].socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, connection, listeners)
        yield server
        nursery.cancel_scope.cancel()
