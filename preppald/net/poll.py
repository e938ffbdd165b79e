"""Polls for a sleeping task.

Waking a Trio task costs 20 µs and most polls need nothing from it, so one task (``ticker``) polls for many.
"""

from collections.abc import Callable

from preppald.net.wakeup import Sleep

# Takes what is here, at Trio's time as the poll's own step found it; true when the task that waits must go on.
Look = Callable[[float], bool]


class Poll(Sleep):
    """One wait. ``ends`` is for the task that polls, ``wait`` for the one that sleeps.

    ``end`` lets that one go on, as there is nothing to look at any more.
    """

    __slots__ = ("_error", "look")

    def __init__(self, look: Look) -> None:
        super().__init__()
        self.look = look
        self._error: Exception | None = None

    def ends(self, now: float) -> bool:
        """Look once; return whether that was the last time."""
        try:
            if not self.look(now):
                return False
        except Exception as error:  # noqa: BLE001 - it belongs to the waiting task, and ends no other
            self.fail(error)
        self.end()
        return True

    def fail(self, error: Exception) -> None:
        """Have this raised in the waiting task, once it goes on."""
        self._error = error

    async def wait(self) -> None:
        """Return after the last look. An error of that look is raised here."""
        await self.sleep()
        if self._error is not None:
            raise self._error
