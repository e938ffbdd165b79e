"""A TCP proxy whose line can be cut, held and given back: between a daemon and its database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import socket

import trio

CHUNK_BYTES = 65536


class Proxy:
    """Passes everything on until told otherwise.

    ``held``: takes what comes, and passes nothing on: a network that swallows everything.
    """

    def __init__(self, target: int, nursery: trio.Nursery) -> None:
        self._target = target
        self._nursery = nursery
        self._streams: set[trio.SocketStream] = set()
        self.held = False
        self.port = 0

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        task_status.started()
        await trio.serve_listeners(self._serve, listeners)

    def cut(self) -> None:
        """Hang up on everybody."""
        for it in tuple(self._streams):
            it.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            it.socket.close()

    async def _serve(self, near: trio.SocketStream) -> None:
        try:
            far = await trio.open_tcp_stream("127.0.0.1", self._target)
        except BaseException:
            near.socket.close()
            raise
        self._streams |= {near, far}
        try:
            async with trio.open_nursery() as both:
                both.start_soon(self._pass, near, far, both.cancel_scope)
                both.start_soon(self._pass, far, near, both.cancel_scope)
        finally:
            self._streams -= {near, far}
            near.socket.close()
            far.socket.close()

    async def _pass(self, source: trio.SocketStream, sink: trio.SocketStream, done: trio.CancelScope) -> None:
        try:
            while data := await source.receive_some(CHUNK_BYTES):
                if not self.held:
                    await sink.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        done.cancel()


@asynccontextmanager
async def proxy(target: int) -> AsyncIterator[Proxy]:
    """Yield a proxy to a port of this machine."""
    async with trio.open_nursery() as nursery:
        it = Proxy(target, nursery)
        await nursery.start(it.run)
        yield it
        nursery.cancel_scope.cancel()
