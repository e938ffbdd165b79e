"""A bell: wakes the one task that listens, and is remembered when nobody does."""

import trio


class Wakeup:
    def __init__(self) -> None:
        self._rung = trio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def heard(self, seconds: float | None = None) -> bool:
        """Waits for a ring, at most so many seconds; whether it rang. One wait answers all rings before it."""
        if seconds is None:
            await self._rung.wait()
        else:
            with trio.move_on_after(max(seconds, 0.0)):
                await self._rung.wait()
        rang = self._rung.is_set()
        if rang:
            self._rung = trio.Event()
        return rang
