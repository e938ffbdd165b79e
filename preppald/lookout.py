"""One task that sees which of many sockets have something to read, and looks at each of those.

A task that Trio wakes for its socket costs 50 µs on the reference machine before it has read a byte, a good part
of it to be armed anew each time. So the sockets are in an epoll of our own, where they stay, and Trio watches that
one: the first that has something costs as much as ever, all others of the same moment a look each. And while the
metronome ticks, which has been woken anyway, the epoll is asked at each of its steps, and nobody is woken at all.
"""

from contextlib import suppress
import select
from typing import Protocol

import trio

from preppald.metronome import Metronome
from preppald.watch import Look, Watch


class Readable(Protocol):
    """A socket, Trio's or Python's."""

    def fileno(self) -> int: ...


class Lookout:
    """``run`` is one task of the daemon. Waits of sockets that are not watched are never needed: see ``Line``."""

    def __init__(self, metronome: Metronome) -> None:
        self._metronome = metronome
        metronome.beside = self._look
        self._epoll = select.epoll()
        self._watches: dict[int, Watch] = {}

    async def until(self, readable: Readable, look: Look) -> None:
        """Looks whenever there is something to read, or the peer is gone, until a look asks for its task.

        A look that leaves something unread is taken again. What it raises is raised here. Who closes the socket
        meanwhile says so first, by ``release``.
        """
        number = readable.fileno()
        if number < 0:
            return
        self._forget(number)  # of a socket that was closed without a word: its number is another's now
        watch = self._watches[number] = Watch(look)
        self._epoll.register(number, select.EPOLLIN)
        try:
            await watch.wait()
        finally:
            if self._watches.get(number) is watch:
                self._forget(number)

    def release(self, readable: Readable) -> None:
        """Ends the wait, if there is one: the socket will be closed."""
        self._forget(readable.fileno())

    async def run(self) -> None:
        """Looks for ever; by itself where there is no tick to be looked at."""
        try:
            while True:
                await self._metronome.standstill()
                await trio.lowlevel.wait_readable(self._epoll.fileno())
                self._look()
        finally:
            self._metronome.beside = None
            self._epoll.close()

    def _look(self) -> None:
        """One look at each socket that has something: everybody has a turn before anybody has another."""
        if not self._watches:
            return
        for number, _ in self._epoll.poll(0, len(self._watches)):
            # A look may have ended the wait of another.
            watch = self._watches.get(number)
            if watch is not None and watch.ends():
                self._forget(number)

    def _forget(self, number: int) -> None:
        watch = self._watches.pop(number, None)
        if watch is None:
            return
        watch.end()
        # Closed already, it has left by itself; and so have all after ``run``.
        with suppress(OSError, ValueError):
            self._epoll.unregister(number)
