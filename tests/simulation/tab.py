"""A candidate with a browser: talks, loses the line, comes back with the same token, and remembers what was shown."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
import random

import trio
from websockets.exceptions import InvalidState

from preppald.pb.interview_pb2 import TranscriptUpdate
from tests.candidates import Candidate, tone

# One utterance, sent in two messages: that the daemon joins small ones is tested elsewhere.
UTTERANCE = tone(0.5)
OPEN_SECONDS = 15.0
SEND_SECONDS = 15.0
# Pages give up on a server that is away for longer.
AWAY_SECONDS = 150.0
# Closes after which a page comes back: the connection's end, and no word about the interview.
PASSING_CLOSES = frozenset({1001, 1006, 1011, 1012})

Connect = Callable[[], Awaitable[trio.abc.Stream]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Character:
    """When a candidate comes, how it talks and how it goes. Seconds since it came."""

    comes_at: float
    pause: float
    ends_at: float | None  # presses end; None: stays until the time is up
    vanishes_at: float | None  # and never comes back
    drops_at: tuple[float, ...]  # closes the tab and comes back
    doubles_at: float | None  # opens the interview in a second tab


@dataclass
class Tab:
    """One candidate, who comes back within ``hurry`` seconds. ``shown``: each fragment it ever got, by seq, with when; ``faults``: what it must not see."""

    interview_id: str
    token: Callable[[], str]
    connect: Connect
    character: Character
    chance: random.Random
    note: Callable[[str, dict[str, object]], None]
    hurry: float = 4.0
    clock_of: Callable[[trio.abc.Stream], Callable[[], float]] = lambda _stream: trio.current_time
    shown: dict[int, tuple[str, float]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    last_close: int = 0
    finished_at: float = float("inf")
    _last_seq: int = 0
    _gone: bool = False

    @property
    def finished(self) -> bool:
        return self.finished_at < float("inf")

    async def attend(self) -> None:
        """The candidate's whole evening."""
        await trio.sleep(self.character.comes_at)
        began, token = trio.current_time(), self.token()
        async with trio.open_nursery() as clock:
            clock.start_soon(self._go, began)
            async with trio.open_nursery() as tabs:
                if self.character.doubles_at is not None:
                    tabs.start_soon(self._double, token, began + self.character.doubles_at)
                await self._sit(token, began)
            clock.cancel_scope.cancel()
        self.finished_at = trio.current_time()

    async def _go(self, began: float) -> None:
        if self.character.vanishes_at is not None:
            await trio.sleep_until(began + self.character.vanishes_at)
            self._gone = True

    async def _double(self, token: str, at: float) -> None:
        await trio.sleep_until(at)
        if not self._gone:
            await self._connection(token, trio.current_time())

    async def _sit(self, token: str, began: float) -> None:
        seen_at = trio.current_time()
        while not self._gone and trio.current_time() < seen_at + AWAY_SECONDS:
            code = await self._connection(token, began)
            if code == 0:
                return
            if code == 101:
                seen_at = trio.current_time()
            await trio.sleep(self.chance.uniform(0.05, 1.0) * self.hurry)

    async def _connection(self, token: str, began: float) -> int:
        """One connection to its end: 0 when nothing is to come after it, else the status that the upgrade got."""
        try:
            stream = await self.connect()
        except OSError:
            return 502
        try:
            return await self._converse(Candidate(stream, clock=self.clock_of(stream)), token, began)
        finally:
            await trio.aclose_forcefully(stream)

    async def _converse(self, candidate: Candidate, token: str, began: float) -> int:
        try:
            query = "?turns=1" + (f"&since={self._last_seq}" if self._last_seq else "")
            with trio.fail_after(OPEN_SECONDS):
                await candidate.open(f"/{self.interview_id}{query}", token)
        except (trio.TooSlowError, trio.BrokenResourceError, AssertionError):
            return 504
        self.note("tab.answered", {"interview": self.interview_id, "status": candidate.status})
        if candidate.status == 101:
            await self._talk(candidate, began)
            if candidate.close is not None:
                self.last_close = candidate.close[0]
                self.note("tab.closed", {"interview": self.interview_id, "code": self.last_close})
        self._take(candidate)
        if candidate.status in {400, 401, 403, 404}:
            return 0
        over = candidate.close is not None and self.last_close not in PASSING_CLOSES
        return 0 if over else candidate.status

    async def _talk(self, candidate: Candidate, began: float) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._speak, candidate, began)
            nursery.start_soon(self._leave_at_times, candidate, began)
            await candidate.run()
            nursery.cancel_scope.cancel()

    async def _speak(self, candidate: Candidate, began: float) -> None:
        """Talks in turns, more or less; what cannot be sent in time has lost its connection."""
        try:
            while True:
                pause = self.character.pause * self.chance.uniform(0.3, 1.7)
                ends_at = self.character.ends_at
                if ends_at is not None and trio.current_time() + pause >= began + ends_at:
                    await trio.sleep_until(began + ends_at)
                    self.note("tab.ends", {"interview": self.interview_id})
                    with trio.fail_after(SEND_SECONDS):
                        await candidate.end()
                    return
                await trio.sleep(pause)
                with trio.fail_after(SEND_SECONDS):
                    await candidate.send_audio(UTTERANCE)
                    await candidate.send_audio(UTTERANCE)
        except (trio.TooSlowError, trio.BrokenResourceError, trio.ClosedResourceError, InvalidState):
            await candidate.vanish()

    async def _leave_at_times(self, candidate: Candidate, began: float) -> None:
        now = trio.current_time() - began
        leaves = [*self.character.drops_at, self.character.vanishes_at or 0.0]
        for at in sorted(moment for moment in leaves if moment > now):
            await trio.sleep_until(began + at)
            await candidate.vanish()

    def _take(self, candidate: Candidate) -> None:
        """What a connection showed; in it numbers only rise, and a number is never given to other words."""
        last = 0
        for message, at in zip(candidate.messages, candidate.arrivals, strict=True):
            if message.WhichOneof("payload") != "transcript_update":
                continue
            update = message.transcript_update
            if update.seq <= last:
                self.faults.append(f"{self.interview_id}: seq {update.seq} was shown after {last}")
            last = update.seq
            self._show(update, at)
        self._last_seq = max(self._last_seq, last)

    def _show(self, update: TranscriptUpdate, at: float) -> None:
        words = f"{update.speaker}:{update.text}"
        known = self.shown.setdefault(update.seq, (words, at))
        if known[0] != words:
            self.faults.append(
                f"{self.interview_id}: seq {update.seq} was shown as {known[0]!r} and as {words!r}"
            )
