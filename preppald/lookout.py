"""One task that sees which of many sockets have something to read, and looks at each of those.

A task that Trio wakes for its socket costs 50 µs on the reference machine before it has read a byte, a good part
of it to be armed anew each time. So the sockets are in epolls of our own, where they stay, and Trio watches those:
the first that has something costs as much as ever, all others of the same moment a look each. And while the
metronome ticks, which has been woken anyway, they are asked at each of its steps, and nobody is woken at all.

While the loop is behind, a socket is looked at once a tick only, in a phase of its own: what came for it until then
is one read and one send. A core holds a sixth more interviews by it, measured.
"""

from contextlib import suppress
from dataclasses import dataclass, field
import select
from typing import Protocol

import trio

from preppald.metronome import Metronome, Phase
from preppald.watch import Look, Watch


class Readable(Protocol):
    """A socket, Trio's or Python's."""

    def fileno(self) -> int: ...


@dataclass(slots=True)
class _Sector:
    """The sockets of one phase."""

    epoll: select.epoll = field(default_factory=select.epoll)
    watches: dict[int, Watch] = field(default_factory=dict)

    def look(self) -> None:
        """One look at each socket that has something."""
        if not self.watches:
            return
        for number, _ in self.epoll.poll(0, len(self.watches)):
            # A look may have ended the wait of another.
            watch = self.watches.get(number)
            if watch is not None and watch.ends():
                self.forget(number)

    def add(self, number: int, watch: Watch) -> None:
        self.watches[number] = watch
        self.epoll.register(number, select.EPOLLIN)

    def forget(self, number: int) -> None:
        watch = self.watches.pop(number, None)
        if watch is None:
            return
        watch.end()
        # Closed already, it has left by itself; and so have all after ``run``.
        with suppress(OSError, ValueError):
            self.epoll.unregister(number)


class Lookout:
    """``run`` is one task of the daemon. Waits of sockets that are not watched are never needed: see ``Line``."""

    def __init__(self, metronome: Metronome) -> None:
        self._metronome = metronome
        metronome.beside = self._step
        self._sectors = [_Sector() for _ in range(metronome.phases)]
        # Tells which sectors have something.
        self._epoll = select.epoll()
        self._by_epoll = {sector.epoll.fileno(): sector for sector in self._sectors}
        for number in self._by_epoll:
            self._epoll.register(number, select.EPOLLIN)

    async def until(self, readable: Readable, look: Look) -> None:
        """Looks whenever there is something to read, or the peer is gone, until a look asks for its task.

        A look that leaves something unread is taken again. What it raises is raised here. Who closes the socket
        meanwhile says so first, by ``release``.
        """
        number = readable.fileno()
        if number < 0:
            return
        self._forget(number)  # of a socket that was closed without a word: its number is another's now
        watch = Watch(look)
        sector = min(self._sectors, key=lambda sector: len(sector.watches))
        sector.add(number, watch)
        try:
            await watch.wait()
        finally:
            if sector.watches.get(number) is watch:
                sector.forget(number)

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
            for sector in self._sectors:
                sector.epoll.close()

    def _step(self, phase: Phase) -> None:
        if self._metronome.behind:
            self._sectors[phase].look()
        else:
            self._look()

    def _look(self) -> None:
        """One look at each socket that has something: everybody has a turn before anybody has another."""
        for number, _ in self._epoll.poll(0, len(self._sectors)):
            self._by_epoll[number].look()

    def _forget(self, number: int) -> None:
        for sector in self._sectors:
            sector.forget(number)
