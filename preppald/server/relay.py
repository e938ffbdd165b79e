"""Carries a connection's plain bytes for another instance, where the connection itself cannot be handed over.

TLS has its keys in this process: the other instance gets one end of a pair of sockets, and this one sits between.
"""

from contextlib import suppress
import socket

import trio

# A tick's audio is 700 bytes, and an answer of Gemini's comes in parts of a few KiB.
RECEIVE_BYTES = 16 * 1024
_LOST = (trio.BrokenResourceError, trio.ClosedResourceError)


def pair() -> tuple[trio.SocketStream, trio.SocketStream]:
    """The end that stays here, and the one for the other instance."""
    ours, theirs = trio.socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    return trio.SocketStream(ours), trio.SocketStream(theirs)


class Relays:
    """``carried``: how many connections there are now."""

    def __init__(self) -> None:
        self.carried = 0
        self._fewer = trio.lowlevel.ParkingLot()

    async def carry(self, browser: trio.abc.Stream, instance: trio.SocketStream) -> None:
        """Both ways, until the instance hangs up; that the browser has gone it learns like from a socket.

        What one does not take the other is not asked for: nothing piles up here but one receive each way.
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
        """Returns when there is none any more."""
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
