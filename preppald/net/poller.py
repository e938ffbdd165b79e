"""One task that sees which of many sockets have something to read, and looks at each of those.

A task that Trio wakes for its socket costs 50 µs on the reference machine before it has read a byte, a good part
of it to be armed anew each time. So the sockets are in epolls of our own, where they stay, and Trio polls those:
the first that has something costs as much as ever, all others of the same moment a look each. And while the
ticker ticks, which has been woken anyway, they are asked at each of its steps, and nobody is woken at all.

While the loop is behind, a socket is looked at once a tick only, in a phase of its own: what came for it until then
is one read and one send. A core holds a sixth more interviews by it, measured.
"""

from contextlib import suppress
from dataclasses import dataclass, field
import select
from typing import Protocol

import trio

from preppald.net.poll import Look, Poll
from preppald.net.ticker import Phase, Ticker


class Readable(Protocol):
    """A socket, Trio's or Python's."""

    def fileno(self) -> int: ...


@dataclass(slots=True)
class _Sector:
    """The sockets of one phase."""

    epoll: select.epoll = field(default_factory=select.epoll)
    polls: dict[int, Poll] = field(default_factory=dict)

    def look(self) -> None:
        """One look at each socket that has something."""
        if not self.polls:
            return
        for number, _ in self.epoll.poll(0, len(self.polls)):
            # A look may have ended the wait of another.
            poll = self.polls.get(number)
            if poll is not None and poll.ends():
                self.forget(number)

    def add(self, number: int, poll: Poll) -> None:
        self.polls[number] = poll
        self.epoll.register(number, select.EPOLLIN)

    def forget(self, number: int) -> None:
        poll = self.polls.pop(number, None)
        if poll is None:
            return
        poll.end()
        # Closed already, it has left by itself; and so have all after ``run``.
        with suppress(OSError, ValueError):
            self.epoll.unregister(number)


class Poller:
    """``run`` is one task of the daemon. Waits of sockets that are not watched are never needed: see ``Stream``."""

    def __init__(self, ticker: Ticker) -> None:
        self._metronome = ticker
        ticker.beside = self._step
        self._sectors = [_Sector() for _ in range(ticker.phases)]
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
        poll = Poll(look)
        sector = min(self._sectors, key=lambda sector: len(sector.polls))
        sector.add(number, poll)
        try:
            await poll.wait()
        finally:
            if sector.polls.get(number) is poll:
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
