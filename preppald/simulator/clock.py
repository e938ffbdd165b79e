"""Simulated time: the simulator's only clock.

Every duration in a scenario is in simulated seconds. They pass `speed` times as fast as Trio's clock, so a
ten-minute connection takes ten seconds at speed 60, and no time at all under Trio's autojump clock.
Bounds that protect the simulator itself (a peer that never reads, say) are Trio's own seconds instead.
"""

from dataclasses import dataclass

import trio


@dataclass(frozen=True, slots=True)
class Clock:
    speed: float = 1.0

    def now(self) -> float:
        """Return the simulated seconds since some arbitrary moment."""
        return trio.current_time() * self.speed

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(max(0.0, seconds) / self.speed)

    async def sleep_until(self, moment: float) -> None:
        await self.sleep(moment - self.now())
