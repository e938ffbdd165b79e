"""An HTTP proxy in a few lines: it opens the tunnels that a test allows, each to a port of this machine."""

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import trio

BROKEN = (trio.BrokenResourceError, trio.ClosedResourceError)


@dataclass
class ForwardProxy:
    """``hosts``: the port that answers for "host:port". ``credentials``: "user:password" that it asks for.

    ``answer``: bytes in place of a tunnel; b"" hangs up. ``seen``: the first lines of all requests.
    """

    hosts: Mapping[str, int] = field(default_factory=dict)
    credentials: str = ""
    answer: bytes | None = None
    seen: list[str] = field(default_factory=list)
    tunnels: list[trio.abc.Stream] = field(default_factory=list)
    port: int = 0

    @property
    def setting(self) -> str:
        before = f"{self.credentials}@" if self.credentials else ""
        return f"http://{before}127.0.0.1:{self.port}"

    async def serve(self, stream: trio.abc.Stream) -> None:
        head = b""
        with suppress(*BROKEN):
            while b"\r\n\r\n" not in head:
                data = await stream.receive_some()
                if not data:
                    return
                head += data
            line, *headers = head.decode().rstrip("\r\n").split("\r\n")
            self.seen.append(line)
            method, target, _ = line.split(" ")
            wanted = f"Basic {base64.b64encode(self.credentials.encode()).decode()}"
            if self.answer is not None:
                await stream.send_all(self.answer)
            elif self.credentials and f"proxy-authorization: {wanted}".lower() not in [
                header.lower() for header in headers
            ]:
                await stream.send_all(
                    b'HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n'
                )
            elif method != "CONNECT" or target not in self.hosts:
                await stream.send_all(b"HTTP/1.1 403 Not there\r\nContent-Length: 5\r\n\r\nsorry")
            else:
                await self._carry(stream, self.hosts[target])

    async def _carry(self, stream: trio.abc.Stream, port: int) -> None:
        async with await trio.open_tcp_stream("127.0.0.1", port) as beyond:
            self.tunnels.append(beyond)
            await stream.send_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
            async with trio.open_nursery() as ways:
                ways.start_soon(_copy, stream, beyond)
                await _copy(beyond, stream)
                ways.cancel_scope.cancel()


async def _copy(source: trio.abc.Stream, sink: trio.abc.Stream) -> None:
    with suppress(*BROKEN):
        while data := await source.receive_some():
            await sink.send_all(data)


@asynccontextmanager
async def proxying(proxy: ForwardProxy) -> AsyncIterator[ForwardProxy]:
    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, proxy.serve, 0, host="127.0.0.1")
        listeners = await nursery.start(serve)
        proxy.port = listeners[0].socket.getsockname()[1]
        yield proxy
        nursery.cancel_scope.cancel()
