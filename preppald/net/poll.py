"""Polls for a sleeping task.

Waking a Trio task costs 20 µs and most polls need nothing from it, so one task (``ticker``) polls for many.
"""

from collections.abc import Callable

import trio

# Takes what is here, at Trio's time as the poll's own step found it; true when the task that waits must go on.
Look = Callable[[float], bool]


class Poll:
    """One wait. ``ends`` is for the task that polls, ``wait`` for the one that sleeps."""

    __slots__ = ("_error", "_look", "_over")

    def __init__(self, look: Look) -> None:
        self._look = look
        self._over = trio.Event()
        self._error: Exception | None = None

    def ends(self, now: float) -> bool:
        """Look once; return whether that was the last time."""
        try:
            if not self._look(now):
                return False
        except Exception as error:  # noqa: BLE001 - it belongs to the waiting task, and ends no other
            self._error = error
        self._over.set()
        return True

    def end(self) -> None:
        """Let the waiting task go on: there is nothing to look at any more."""
        self._over.set()

    async def wait(self) -> None:
        """Return after the last look. An error of that look is raised here."""
        await self._over.wait()
        if self._error is not None:
            raise self._error
