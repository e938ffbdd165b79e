"""Lets one task wake another. Two shapes, and both remember: a wake-up is never lost between two waits."""

from collections.abc import Callable

import trio


class Wakeup:
    """Wakes the one task that listens, and is remembered when nobody does."""

    def __init__(self) -> None:
        self._rung = trio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def heard(self, seconds: float | None = None) -> bool:
        """Wait for a ring, at most so many seconds; return whether it rang. One wait answers all rings before it."""
        if seconds is None:
            await self._rung.wait()
        else:
            with trio.move_on_after(max(seconds, 0.0)):
                await self._rung.wait()
        rang = self._rung.is_set()
        if rang:
            self._rung = trio.Event()
        return rang


class Changes:
    """Wakes any number of tasks, each of which waits for a condition of its own. The condition is the memory."""

    def __init__(self) -> None:
        self._next = trio.Event()

    def announce(self) -> None:
        """Let every waiting task test its condition again."""
        self._next.set()
        self._next = trio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when the condition holds; tested now, and after each announcement."""
        while not condition():
            await self._next.wait()
