"""One tick for all sessions, so that reads are batched.

A sleep of its own would cost each session 55 µs a wake on the reference machine, being woken by the tick 20, being
looked at by it one. So at each tick the ticker looks, and wakes only who needs a task's patience.
The sessions are spread over phases: looking at all of them at once makes bursts (p99 70 ms instead of 25).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NewType

import trio

from preppald.net.poll import Look, Poll

Phase = NewType("Phase", int)

# Audio arrives in 20 ms chunks from well-made clients: a shorter tick would find nothing new.
TICK_SECONDS = 0.020
PHASES = 8
# A loop that is behind looks less often, and finds more: a tick's cost is per look, hardly per byte.
# Longer still would be heard, for the promise is 50 ms in all; and no sessions are gained by it, measured.
SLOWEST_TICK_SECONDS = 0.034
# Steps between two changes of the tick: a quarter of a second, in which no single hiccup counts.
STEPS_A_VERDICT = 100
# By how much the tick changes, and the shares of late steps that make it longer or shorter.
STRETCH = 1.25
MANY_LATE, FEW_LATE = 0.30, 0.05


@dataclass(slots=True)
class Ticker:
    """``run`` is one task of the daemon; a session asks for a phase once and has its ticks.

    ``beside``: what else is done at each step, of this phase, that being cheaper than to be woken for it.
    """

    tick_seconds: float = TICK_SECONDS
    phases: int = PHASES
    beside: Callable[[Phase], object] | None = None
    _watches: list[dict[Poll, None]] = field(init=False)
    _members: list[int] = field(init=False)
    _wanted: trio.Event = field(init=False)
    _still: trio.Event = field(init=False)
    _steps: int = 0
    _late: int = 0

    def __post_init__(self) -> None:
        self._watches = [{} for _ in range(self.phases)]
        self._members = [0] * self.phases
        self._wanted = trio.Event()
        self._still = trio.Event()
        self._still.set()

    @property
    def behind(self) -> bool:
        """Whether the loop lags so much that the tick is as long as it may be."""
        return self.tick_seconds >= SLOWEST_TICK_SECONDS

    def join(self) -> Phase:
        """The phase with the fewest members; give it back with ``leave``."""
        phase = self._members.index(min(self._members))
        self._members[phase] += 1
        return Phase(phase)

    def leave(self, phase: Phase) -> None:
        self._members[phase] -= 1

    async def until(self, phase: Phase, look: Look) -> None:
        """Looks at each tick, from the ticker's task, until there is something to see to: then it returns.

        What ``look`` raises is raised here.
        """
        polls = self._watches[phase]
        poll = Poll(look)
        polls[poll] = None
        self._wanted.set()
        try:
            await poll.wait()
        finally:
            polls.pop(poll, None)

    async def standstill(self) -> None:
        """Waits until there are no ticks, if there are any now."""
        await self._still.wait()

    async def run(self) -> None:
        """Ticks for ever; stands still while nobody waits, so that an idle daemon sleeps."""
        due = trio.current_time()
        phase = Phase(0)
        while True:
            if not any(self._watches):
                self._wanted = trio.Event()
                self._still.set()
                await self._wanted.wait()
                due = trio.current_time()
            if self._still.is_set():
                self._still = trio.Event()
            step = self.tick_seconds / self.phases
            due += step
            now = trio.current_time()
            self._judge(late=now > due)
            # After a stall the missed ticks are not made up for: one catches up with all there is.
            due = max(due, now)
            await trio.sleep_until(due)
            phase = Phase((phase + 1) % self.phases)
            self._beat(self._watches[phase])
            if self.beside is not None:
                self.beside(phase)

    def _beat(self, polls: dict[Poll, None]) -> None:
        for poll in list(polls):
            if poll.ends():
                polls.pop(poll, None)

    def _judge(self, *, late: bool) -> None:
        """Lengthens the tick while the loop lags, and shortens it again when there is time."""
        self._steps += 1
        self._late += late
        if self._steps < STEPS_A_VERDICT:
            return
        share = self._late / self._steps
        self._steps = self._late = 0
        if share > MANY_LATE:
            self.tick_seconds = min(self.tick_seconds * STRETCH, SLOWEST_TICK_SECONDS)
        elif share < FEW_LATE:
            self.tick_seconds = max(self.tick_seconds / STRETCH, TICK_SECONDS)
