"""Relays a connection's plain bytes to another instance, where the connection itself cannot be handed over.

The keys of a TLS connection are in this process. So the other instance gets one end of a socket pair, and this process
copies bytes between the pair and the browser.
"""

from contextlib import suppress
import socket

import trio

# A tick's audio is 700 bytes, and an answer of Gemini's comes in parts of a few KiB.
RECEIVE_BYTES = 16 * 1024
_LOST = (trio.BrokenResourceError, trio.ClosedResourceError)


def pair() -> tuple[trio.SocketStream, trio.SocketStream]:
    """Return the end that stays here, and the end for the other instance."""
    ours, theirs = trio.socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    return trio.SocketStream(ours), trio.SocketStream(theirs)


class Relays:
    """Counts the relayed connections. ``carried``: how many there are now."""

    def __init__(self) -> None:
        self.carried = 0
        self._fewer = trio.lowlevel.ParkingLot()

    async def carry(self, browser: trio.abc.Stream, instance: trio.SocketStream) -> None:
        """Copy bytes both ways until the instance hangs up. It sees the browser go as it would on a socket.

        Backpressure: the next chunk is read only after the last was sent, so at most 16 KiB wait in each direction.
        """
        self.carried += 1
        try:
            async with instance, trio.open_nursery() as ways:
                ways.start_soon(_up, browser, instance)
                await _down(instance, browser)
                ways.cancel_scope.cancel()
        finally:
            self.carried -= 1
            self._fewer.unpark_all()

    async def none(self) -> None:
        """Return when no connection is relayed any more."""
        while self.carried:
            await self._fewer.park()


async def _up(browser: trio.abc.Stream, instance: trio.SocketStream) -> None:
    with suppress(*_LOST):
        await _copied(browser, instance)
    with suppress(*_LOST):
        await instance.send_eof()


async def _down(instance: trio.SocketStream, browser: trio.abc.Stream) -> None:
    with suppress(*_LOST):
        await _copied(instance, browser)


async def _copied(source: trio.abc.ReceiveStream, sink: trio.abc.SendStream) -> None:
    while data := await source.receive_some(RECEIVE_BYTES):
        await sink.send_all(data)
