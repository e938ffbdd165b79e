"""The candidate's machine: a microphone that never stops, a line that can stall or break, and a loudspeaker.

The microphone runs on the clock: its n-th sample is of n / 16 000 seconds after it was switched on, whenever the line
takes it. So the time of every word is known, and so is what was heard of every reply.
"""

from collections.abc import Awaitable, Callable
import contextlib
from dataclasses import dataclass, field

import trio

from preppald.pb.interview_pb2 import ServerToClientMessage
from tests.candidates import RATE_HZ, TICK_SECONDS, Candidate
from tests.truth.script import Answer

TICK_BYTES = 2 * round(RATE_HZ * TICK_SECONDS)
REPLY_BYTES_PER_SECOND = 48_000
# Sound that a page keeps while it has no line: HELD_MS of the client's uplink.js.
HELD_TICKS = round(5.0 / TICK_SECONDS)
# Sound that was sent into a line that had broken already.
LOST_TICKS = round(0.12 / TICK_SECONDS)
# A reply takes less, with all that may go wrong here.
PATIENCE_SECONDS = 30.0

# Opens a connection to the daemon; ``since``: the last update that is known.
Connect = Callable[[int], Awaitable[Candidate]]


@dataclass
class Reply:
    """From when to when it was heard, on Trio's clock; ``over``: no more of it comes."""

    begin: float
    end: float
    over: bool = False


@dataclass(frozen=True)
class Word:
    """From when to when it was said, on Trio's clock."""

    begin: float
    end: float
    language: str


@dataclass
class Player:
    """``run`` is its task. ``words`` and ``replies``: what was said and what was heard, in order; ``sounds``: each word's.

    ``late``: how late the task was at most, in seconds. A machine that stands still stalls every line, and all at a time.
    """

    connect: Connect
    words: list[Word] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.late = 0.0
        self.sounds: list[bytes] = []
        self.candidate: Candidate | None = None
        self._since = 0
        self._speech = bytearray()
        # Numbers and sounds of the ticks that were not sent; and for each tick when it was sent.
        self._held: list[tuple[int, bytes]] = []
        self._sent: list[float | None] = []
        self._losing = 0
        self._stalled = self._over = False
        self._taken = 0
        self._switched_on = 0.0
        self._news = trio.Event()

    async def run(self) -> None:
        """Take down 20 ms after 20 ms; a task that is late catches up."""
        self._switched_on = trio.current_time()
        while not self._over:
            due = self._switched_on + (len(self._sent) + 1) * TICK_SECONDS
            await trio.sleep_until(due)
            self.late = max(self.late, trio.current_time() - due)
            piece = bytes(self._speech[:TICK_BYTES])
            del self._speech[:TICK_BYTES]
            self._held.append((len(self._sent), piece + bytes(TICK_BYTES - len(piece))))
            self._sent.append(None)
            await self._send()
            self._listen()

    def sent_at(self, at: float) -> float | None:
        """Return when the sound that was said then was sent; None where it was lost."""
        return self._sent[int((at - self._switched_on) / TICK_SECONDS)]

    # -------------------------------------------------------------- the line

    async def join(self) -> None:
        """Connect, and send what was kept."""
        self.candidate = await self.connect(self._since)
        self._taken = 0

    def stall(self) -> None:
        """The line takes nothing from here on: what is sent waits in it."""
        self._stalled = True

    def flow(self) -> None:
        """The line takes everything again, all that waits at once."""
        self._stalled = False

    async def drop(self) -> None:
        """The line breaks: the next sound is sent into the void, and from then on it is kept."""
        candidate, self.candidate = self.candidate, None
        assert candidate is not None
        await candidate.vanish()
        self._losing = LOST_TICKS
        if self.replies:
            self.replies[-1].end = min(self.replies[-1].end, trio.current_time())
            self.replies[-1].over = True

    async def leave(self) -> None:
        """Press "end", which silences the interviewer, and see the goodbye through."""
        assert self.candidate is not None
        self._over = True
        for reply in self.replies:
            reply.end = min(reply.end, trio.current_time())
        await self.candidate.end()
        await self.candidate.closed()

    async def _send(self) -> None:
        if self._losing:
            self._losing -= 1
            self._held.clear()
        elif self.candidate is None:
            del self._held[:-HELD_TICKS]
        elif not (self._stalled or self._over):
            candidate, held, self._held = self.candidate, self._held, []
            with contextlib.suppress(
                trio.ClosedResourceError
            ):  # the line broke in the middle of it: the rest is lost
                for number, piece in held:
                    await candidate.send_audio(piece)
                    self._sent[number] = trio.current_time()

    # -------------------------------------------------------------- the loudspeaker

    def _listen(self) -> None:
        if self.candidate is None:
            return
        messages, arrivals = self.candidate.messages, self.candidate.arrivals
        for number in range(self._taken, len(messages)):
            self._take(messages[number], arrivals[number])
        if self._taken < len(messages):
            self._taken = len(messages)
            self._news.set()
            self._news = trio.Event()

    def _take(self, message: ServerToClientMessage, at: float) -> None:
        match message.WhichOneof("payload"):
            case "audio_response":
                seconds = len(message.audio_response.audio_content) / REPLY_BYTES_PER_SECOND
                last = self.replies[-1] if self.replies else None
                if last is None or last.over:
                    begin = at if last is None else max(at, last.end)
                    self.replies.append(Reply(begin, begin + seconds))
                else:
                    last.end = max(last.end, at) + seconds
            case "interrupted":
                self.replies[-1].end = min(self.replies[-1].end, at)
                self.replies[-1].over = True
            case "transcript_update":
                update = message.transcript_update
                self._since = max(self._since, update.seq)
                if update.speaker == "AI" and update.turn_complete:
                    self.replies[-1].over = True
            case _:
                pass

    # -------------------------------------------------------------- the talk

    def speak(self, answer: Answer) -> tuple[float, float]:
        """Begin to say this with the next 20 ms, or behind what is being said; return from when to when that takes."""
        left = len(self._speech) / 2 / RATE_HZ
        begins = self._switched_on + len(self._sent) * TICK_SECONDS + left
        self._speech += answer.speech.pcm
        for begin, end in answer.speech.words:
            self.words.append(Word(begins + begin, begins + end, answer.language))
            self.sounds.append(answer.speech.pcm[2 * round(begin * RATE_HZ) : 2 * round(end * RATE_HZ)])
        return begins + answer.speech.begin, begins + answer.speech.end

    async def reply(self, since: float) -> Reply:
        """Return the first reply that begins after that time, once it does."""
        with trio.fail_after(PATIENCE_SECONDS):
            while not self.replies or self.replies[-1].begin < since:
                await self._news.wait()
        return next(it for it in self.replies if it.begin >= since)

    async def heard_out(self, since: float, *, pause: float = 0.5) -> None:
        """Return when that reply has been heard, and a little later."""
        reply = await self.reply(since)
        while (until := reply.end + pause) > trio.current_time():  # more of it may come  # noqa: ASYNC110
            await trio.sleep_until(until)
