"""A look at something on behalf of a task that waits: most looks need nothing of the task, and waking it is dear.

Whoever looks is one task for many: at each tick (``ticker``), or where there is something to read (``poller``).
"""

from collections.abc import Callable

import trio

# Sees to what came; true when the task that waits must go on.
Look = Callable[[], bool]


class Poll:
    """One wait. ``ends`` is for whoever looks, ``wait`` for the task."""

    __slots__ = ("_error", "_look", "_over")

    def __init__(self, look: Look) -> None:
        self._look = look
        self._over = trio.Event()
        self._error: Exception | None = None

    def ends(self) -> bool:
        """Looks; whether that was the last time."""
        try:
            if not self._look():
                return False
        except Exception as error:  # noqa: BLE001 - it is the waiting task's, and ends no other
            self._error = error
        self._over.set()
        return True

    def end(self) -> None:
        """There is nothing to look at any more."""
        self._over.set()

    async def wait(self) -> None:
        """Returns after the last look. What it raised is raised here."""
        await self._over.wait()
        if self._error is not None:
            raise self._error
