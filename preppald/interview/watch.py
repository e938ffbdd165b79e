"""Looks at an interview once a second, by the ticker's task: its own is woken only to hang up on a connection."""

from math import floor

import trio

from preppald.core.watchdog import STEP_SECONDS, STOPPED_SECONDS
from preppald.interview.dialogue import Dialogue
from preppald.interview.parts import Parts
from preppald.net.ticker import Errand, Ticker

# All interviews are looked at in one of so many moments of a second: a look finds its code in the processor's caches,
# where the look before it left it.
MOMENTS = 8


class Watch:
    """One interview's. ``run`` is the session's watchdog task."""

    def __init__(self, ticker: Ticker, parts: Parts, dialogue: Dialogue) -> None:
        self._beat = Errand(ticker)
        self._parts = parts
        self._dialogue = dialogue
        self._looked_at = 0.0

    async def run(self) -> None:
        """Look for troubles that no event reports."""
        writer, seat = self._parts.writer, self._parts.seat
        self._looked_at = trio.current_time()
        self._beat.ask_at(_moment(self._looked_at + STEP_SECONDS))
        while True:
            await self._beat.until(self._look)
            if (gone := writer.mind(self._looked_at)) is not None:
                await writer.drop(gone)
            if seat.mind(self._looked_at):
                await seat.hang_up()

    def _look(self, now: float) -> bool:
        """Look; true where a connection has to be hung up on.

        After a stop of the whole process, what came meanwhile is read before anybody is judged silent.
        """
        before, self._looked_at = self._looked_at, now
        self._beat.ask_at(_moment(now + STEP_SECONDS))
        if now - before > STOPPED_SECONDS:
            return False
        self._dialogue.look(now)
        gone = self._parts.writer.mind(now)
        return self._parts.seat.mind(now) or gone is not None


def _moment(due: float) -> float:
    """Return the last moment until then."""
    return floor(due * MOMENTS) / MOMENTS
