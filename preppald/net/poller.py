"""The sockets that one task polls, in epolls of our own, where they stay registered.

A task that Trio wakes for its socket costs 50 µs on the reference machine before it has read a byte, a good part of
that for arming the socket anew each time. Here a read costs its system call and the look. When to poll is the ticker's
affair: all sockets at each step, or each sector of them in its turn.
"""

from contextlib import suppress
from dataclasses import dataclass, field
import select
from typing import Protocol

from preppald.net.poll import Look, Poll

# How many parts the sockets are spread over, so that a loop that lags polls some at each step and none too seldom.
SECTORS = 8


class Readable(Protocol):
    """A socket, Trio's or Python's."""

    def fileno(self) -> int: ...


@dataclass(slots=True)
class _Sector:
    """Some of the sockets."""

    epoll: select.epoll = field(default_factory=select.epoll)
    polls: dict[int, Poll] = field(default_factory=dict)

    def look(self, now: float) -> int:
        """Look once at each socket that has something; return how many those were."""
        polls = self.polls
        if not polls:
            return 0
        ready = self.epoll.poll(0, len(polls))
        for number, _ in ready:
            # A look may have ended the wait of another.
            poll = polls.get(number)
            if poll is None:
                continue
            try:  # as ``poll.ends`` does, whose call a chunk can be spared
                if poll.look(now):
                    self.forget(number)
            except Exception as error:  # noqa: BLE001 - it belongs to the waiting task, and ends no other
                poll.fail(error)
                self.forget(number)
        return len(ready)

    def add(self, number: int, poll: Poll) -> None:
        self.polls[number] = poll
        self.epoll.register(number, select.EPOLLIN)

    def forget(self, number: int) -> None:
        poll = self.polls.pop(number, None)
        if poll is None:
            return
        poll.end()
        # A socket that is closed already has left by itself; and all have, after ``close``.
        with suppress(OSError, ValueError):
            self.epoll.unregister(number)


class Poller:
    """Where tasks wait for sockets. ``look_at`` and ``look_at_all`` are for the task that polls."""

    def __init__(self) -> None:
        self._sectors = [_Sector() for _ in range(SECTORS)]
        # Shows which sectors have something.
        self._epoll = select.epoll()
        self._by_epoll = {sector.epoll.fileno(): sector for sector in self._sectors}
        for number in self._by_epoll:
            self._epoll.register(number, select.EPOLLIN)

    def fileno(self) -> int:
        """Return a descriptor that is readable while any of the sockets is."""
        return self._epoll.fileno()

    def close(self) -> None:
        """Give the descriptors back; sockets that are still waited for are never looked at any more."""
        self._epoll.close()
        for sector in self._sectors:
            sector.epoll.close()

    async def until(self, readable: Readable, look: Look) -> None:
        """Look whenever there is something to read, or the peer is gone, until a look asks for its task.

        A look that leaves something unread is taken again. Its errors are raised here. Before a socket is closed
        under a wait, ``release`` has to end that.
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
        """End the wait, if there is one: the socket will be closed."""
        self._forget(readable.fileno())

    def look_at_all(self, now: float) -> int:
        """Look once at each socket that has something: each has a turn before any has another. Return how many."""
        return sum(self._by_epoll[number].look(now) for number, _ in self._epoll.poll(0, len(self._sectors)))

    def look_at(self, sector: int, now: float) -> int:
        """Look once at each socket of a sector that has something; return how many those were."""
        return self._sectors[sector].look(now)

    def _forget(self, number: int) -> None:
        for sector in self._sectors:
            sector.forget(number)
