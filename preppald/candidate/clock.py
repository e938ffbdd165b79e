"""The candidate's clock: Trio's, but faster."""

import trio


class Clock:
    """Begins at zero; ``speed`` of its seconds make a real one. So do all waits that are measured on it."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self._began = trio.current_time()

    def now(self) -> float:
        return (trio.current_time() - self._began) * self.speed

    async def sleep_until(self, time: float) -> None:
        await trio.sleep_until(self._began + time / self.speed)
