"""The clock of the hot path: one task polls all sockets, and decides how long a chunk may wait for company.

The problem. An interview brings 50 messages a second from its browser, 375 from the old page, and 25 and more from
Gemini. Decoding one and passing it on takes 20 µs. Waking a Trio task takes 20 µs as well, 50 where Trio has to arm
its socket, and a sleep of its own 55 (all measured on the reference machine). With a task a message, most of a core
would wake tasks.

Polling. One task, ``run``, polls for all of them. A task that waits for a socket leaves a *look* with the
``Poller``: a function that reads what is here, decodes it and passes it on at once, to the other end's socket, without
waiting for anything. Only where a look cannot finish its work (an error, the end, a mode that changes) is the task
woken that left it. So the way of a chunk is one step of ``run``, from the one socket to the other.

Sending. The look sends, by one write, as long as the kernel takes all of it. The rest waits for
the writer of that connection, a task of its own; until then nothing else goes directly.

Steps. ``run`` sleeps in epoll while nothing happens, so a chunk that comes alone goes on at once. After a step it
pauses, for STEP_SECONDS, a millisecond, at least; all that came meanwhile is one step's. An idle daemon makes no step.
A step costs 60 µs for its sleep and as much again because the processor's caches and predictors have been somebody
else's meanwhile (a first look takes 39 µs where a later one takes 10; measured), so under load it is LONG_STEP_SECONDS.

The round. While the loop has room, each step polls every socket. While it lags, a socket is polled once a round, of
``round_seconds``, in the turn of its sector: what came for it until then is one read, one message to Gemini, one
write. A core holds twice as many interviews by that, and a chunk waits half a round. How long the round is follows
from the measured load: the share of the time in which the looks worked, or kept a step from beginning when it was
due. Up to EASY of that, the round is the shortest step; from BUSY on, the longest one, up to ROOM; from CROWDED on, it
is SLOWEST_ROUND_SECONDS; in between it grows geometrically, and the way there is smoothed, for a longer round itself
lowers the load. The sectors keep steps short: to poll all sockets once a round at one moment would make bursts (p99
70 ms instead of 25).

Errands. A look may leave something to a sleeping task (text for the journal), and each interview's watchdog looks once a
second. The ticker does it for that task at the end of a step, for a wake-up costs more than the deed.

Gathering. Pieces of less than 20 ms are not worth a message each: 375 a second become 50. A browser that sends such
pieces is not polled but looked at every GATHER_SECONDS, or once a round where that is longer, in one of PHASES.

Stalls. Any other work of the loop (a slow disk is another thread's affair) delays a step; missed ones are not made
up for. The next step finds all that came, each connection has one read of bounded size, and so the others wait no
longer than they must. Nothing here can be starved: a step looks at each readable socket once before any has a second
turn. A look that raises ends its own wait, and reaches no other.

Time. The clock is Trio's, so that under a virtual one all this is deterministic: there no look takes time, the load is
zero, and the round is a step. It is read once a step, and each look is told the time.
"""

from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import NewType

import trio

from preppald.net.poll import Look, Poll
from preppald.net.poller import SECTORS, Poller
from preppald.net.timer import Timer

Phase = NewType("Phase", int)

# The shortest sleep of epoll, and a twentieth of a delay that a listener would notice.
STEP_SECONDS = 0.001
# The longest while each step polls all sockets: a chunk waits for half of it, and the promise is 1.5 ms in the median.
LONG_STEP_SECONDS = 0.002
# Longer still would be heard, for the promise is 50 ms in all; and no interviews are gained by it, measured.
SLOWEST_ROUND_SECONDS = 0.034
# As much audio as a well-made page puts into one message.
GATHER_SECONDS = 0.020
PHASES = 8
# The load up to which the step is the shortest, and that from which it is the longest: 20 interviews, and 150.
EASY, BUSY = 0.08, 0.25
# The load up to which each step polls all sockets, and that from which the round is the longest; what is left of the
# core by then is for bursts.
ROOM, CROWDED = 0.65, 0.92
# How often the load is judged: often enough that a burst finds the round stretched, and over enough steps to mean it.
JUDGED_EACH_SECONDS = 0.050
# How much of the way to the round that fits the load is made at each judgement: most of it in a quarter of a second.
SMOOTHING = 0.25
# A round that is longer than a step by less than this is a step's: the way there would have no end.
NEARLY = 1.1
# A step that slept and begins late by less than this was not kept from it: epoll rounds up to the millisecond.
SLACK_SECONDS = 0.0015


def round_for(load: float) -> float:
    """Return how many seconds a round should take at this load, the share of time in which the loop is busy."""
    if load <= ROOM:
        return _between(STEP_SECONDS, LONG_STEP_SECONDS, (load - EASY) / (BUSY - EASY))
    return _between(LONG_STEP_SECONDS, SLOWEST_ROUND_SECONDS, (load - ROOM) / (CROWDED - ROOM))


def _between(shortest: float, longest: float, way: float) -> float:
    return shortest * float((longest / shortest) ** min(max(way, 0.0), 1.0))


@dataclass(slots=True)
class Ticker:
    """``run`` is one task of the daemon. Tasks wait at its ``poller`` for sockets, or for ticks by ``until``.

    ``round_seconds``: the time in which each socket is polled once.
    """

    poller: Poller = field(default_factory=Poller)
    round_seconds: float = STEP_SECONDS
    _waits: list[dict[Poll, None]] = field(init=False)
    _members: list[int] = field(init=False)
    _asked: "list[Errand]" = field(default_factory=list)
    # By time, and then in order.
    _later: "list[tuple[float, int, Errand]]" = field(default_factory=list)
    _number: "count[int]" = field(default_factory=count)
    _timer: Timer = field(default_factory=Timer)
    _asleep: trio.CancelScope | None = None
    _gather_due: float = 0.0
    _phase: int = 0
    _sector: int = 0
    _sectors_due: float = 0.0
    _judged_at: float = 0.0
    _busy_seconds: float = 0.0

    def __post_init__(self) -> None:
        self._waits = [{} for _ in range(PHASES)]
        self._members = [0] * PHASES

    # -------------------------------------------------------------- gathering

    @property
    def members(self) -> int:
        """Return how many joined and have not left."""
        return sum(self._members)

    def join(self) -> Phase:
        """Return the phase with the fewest members; give it back with ``leave``."""
        phase = self._members.index(min(self._members))
        self._members[phase] += 1
        return Phase(phase)

    def leave(self, phase: Phase) -> None:
        """Give a phase back."""
        self._members[phase] -= 1

    async def until(self, phase: Phase, look: Look) -> None:
        """Look every GATHER_SECONDS, or once a round where that is longer, until a look asks for its task.

        An error of the look is raised here.
        """
        polls = self._waits[phase]
        poll = Poll(look)
        polls[poll] = None
        if self._asleep is not None:
            self._asleep.cancel()
        try:
            await poll.wait()
        finally:
            polls.pop(poll, None)

    def ask(self, errand: "Errand") -> None:
        """Have an errand done at the end of this step; of the next, where none is under way."""
        self._asked.append(errand)
        if self._asleep is not None:
            self._asleep.cancel()

    def ask_at(self, due: float, errand: "Errand") -> None:
        """Have an errand done at this time of Trio's, or at the end of the step under way then."""
        heappush(self._later, (due, next(self._number), errand))
        if self._asleep is not None:
            self._asleep.deadline = self._later[0][0]

    # -------------------------------------------------------------- the task

    async def run(self) -> None:
        """Poll for ever; sleep while there is nothing to poll for."""
        try:
            due = self._judged_at = trio.current_time()
            found = 0
            slack = SLACK_SECONDS
            while True:
                if not found and not self._asked and not any(self._waits):
                    await self._sleep()
                    due = trio.current_time()
                else:
                    # A step that is overdue begins at once, and yet after each other task has had its turn.
                    due += self._step_seconds()
                    now = trio.current_time()
                    slack = SLACK_SECONDS if due > now else 0.0
                    due = max(due, now)
                    await self._timer.until(due)
                found = self._step(due, slack)
        finally:
            self.poller.close()
            self._timer.close()

    def _step_seconds(self) -> float:
        return max(min(self.round_seconds, LONG_STEP_SECONDS), self.round_seconds / SECTORS)

    async def _sleep(self) -> None:
        with trio.CancelScope() as self._asleep:
            if self._later:
                self._asleep.deadline = self._later[0][0]
            await trio.lowlevel.wait_readable(self.poller.fileno())
        self._asleep = None
        # Ticks that went by while nobody gathered are nobody's; the phases keep their places.
        slot = max(GATHER_SECONDS, self.round_seconds) / PHASES
        missed = max(0, int((trio.current_time() - self._gather_due) / slot) + 1)
        self._gather_due += missed * slot
        self._phase = (self._phase + missed) % PHASES

    def _step(self, due: float, slack: float) -> int:
        """Do what is due; return how many sockets had something. Lateness above ``slack`` is other tasks' work."""
        began = trio.current_time()
        self._sectors_due += SECTORS * self._step_seconds() / self.round_seconds
        if self._sectors_due >= SECTORS:
            self._sectors_due = 0.0
            found = self.poller.look_at_all(began)
        else:
            found = 0
            while self._sectors_due >= 1:
                self._sectors_due -= 1
                self._sector = (self._sector + 1) % SECTORS
                found += self.poller.look_at(self._sector, began)
            # Sockets of other sectors may have something, and only a step would see it.
            found = max(found, 1)
        self._gather(began)
        self._run_errands(began)
        ended = trio.current_time()
        late = began - due
        self._busy_seconds += ended - began + (late if late > slack else 0.0)
        if ended - self._judged_at >= JUDGED_EACH_SECONDS:
            self._judge(ended)
        return found

    def _run_errands(self, now: float) -> None:
        while self._later and self._later[0][0] <= now:
            heappop(self._later)[-1].ask()
        asked, self._asked = self._asked, []
        for errand in asked:
            errand.run(now)

    def _gather(self, now: float) -> None:
        """Look for all phases that are due, and at most once for each."""
        tick = max(GATHER_SECONDS, self.round_seconds)
        self._gather_due = max(self._gather_due, now - tick)
        while self._gather_due <= now:
            self._gather_due += tick / PHASES
            self._phase = (self._phase + 1) % PHASES
            polls = self._waits[self._phase]
            for poll in list(polls):
                if poll.ends(now):
                    polls.pop(poll, None)

    def _judge(self, now: float) -> None:
        """Bring the round nearer to what fits the load since the last judgement."""
        load = self._busy_seconds / (now - self._judged_at)
        self._busy_seconds, self._judged_at = 0.0, now
        self.round_seconds *= (round_for(load) / self.round_seconds) ** SMOOTHING
        if self.round_seconds < STEP_SECONDS * NEARLY:
            self.round_seconds = STEP_SECONDS


class Errand:
    """Something that one task has the ticker do soon after anybody asked for it, while the task itself sleeps."""

    def __init__(self, ticker: Ticker) -> None:
        self._ticker = ticker
        self._poll: Poll | None = None
        self._due = False

    def ask(self) -> None:
        """Ask for it; asked again before it is done, it is done once."""
        if not self._due:
            self._due = True
            self._ticker.ask(self)

    def ask_at(self, due: float) -> None:
        """Ask for it at this time of Trio's."""
        self._ticker.ask_at(due, self)

    def run(self, now: float) -> None:
        """Do it, where the task waits for that; else it stays due. For the ticker."""
        poll = self._poll
        if poll is None:
            return
        self._due = False
        if poll.ends(now):
            self._poll = None

    async def until(self, look: Look) -> None:
        """Have ``look`` called each time it was asked for, until it returns true. An error of the look is raised here."""
        self._poll = poll = Poll(look)
        if self._due:  # while nobody waited
            self._ticker.ask(self)
        try:
            await poll.wait()
        finally:
            self._poll = None
