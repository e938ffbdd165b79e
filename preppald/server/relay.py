"""Relays a connection's plain bytes to another instance, where the connection itself cannot be handed over.

On one host that is so where we speak TLS with the browser: its keys are in this process. So the other instance gets one
end of a socket pair. An instance on another host gets a connection of its own (``elsewhere``). Either way ``net.splice``
passes the bytes on.
"""

from collections.abc import Collection
import socket

import trio

from preppald.net.poller import Poller
from preppald.net.splice import splice
from preppald.net.stream import Stream

# The incarnation of an instance on this host: it is known by its folder, and needs none.
NEAR = 0


def pair() -> tuple[trio.SocketStream, trio.SocketStream]:
    """Return the end that stays here, and the end for the other instance."""
    ours, theirs = trio.socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    return trio.SocketStream(ours), trio.SocketStream(theirs)


class Relays:
    """The relayed connections. ``poller``: whose task passes their bytes on."""

    def __init__(self, poller: Poller) -> None:
        self._poller = poller
        # By what ends each, and the incarnation of the instance at its other end.
        self._owners: dict[trio.CancelScope, int] = {}
        self._fewer = trio.lowlevel.ParkingLot()

    @property
    def carried(self) -> int:
        """How many there are now."""
        return len(self._owners)

    async def carry(
        self, browser: trio.abc.Stream, instance: trio.abc.Stream, *, owner: int = NEAR, early: bytes = b""
    ) -> None:
        """Pass bytes on both ways until the instance hangs up. It sees the browser go as it would on a socket.

        ``owner``: the instance's incarnation, on another host. ``early``: bytes of the browser that were read before.
        """
        link = Stream.over(instance)
        link.send(early)
        with trio.CancelScope() as scope:
            self._owners[scope] = owner
            try:
                async with link:
                    await splice(Stream.over(browser), link, self._poller)
            finally:
                del self._owners[scope]
                self._fewer.unpark_all()

    def hang_up_but(self, living: Collection[int]) -> None:
        """Hang up on instances of other hosts that do not live any more: their candidates dial again."""
        for scope, owner in self._owners.items():
            if owner != NEAR and owner not in living:
                scope.cancel()

    async def none(self) -> None:
        """Return when no connection is relayed any more."""
        while self._owners:
            await self._fewer.park()
