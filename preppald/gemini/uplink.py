"""The way to Gemini: joins the candidate's audio, bounds it, and keeps it while Gemini is away."""

from collections.abc import Callable
from dataclasses import dataclass

import trio

from preppald.core import gemini
from preppald.core.closes import SILENT, STALLED, Cause
from preppald.core.events import ToolCall
from preppald.core.frames import BYTES_PER_SAMPLE, INPUT_SAMPLE_RATE_HZ
from preppald.core.text_answers import ANSWERS_A_MINUTE
from preppald.gemini.connection import Upstream, UpstreamError
from preppald.net.wakeup import Wakeup

BYTES_PER_SECOND = INPUT_SAMPLE_RATE_HZ * BYTES_PER_SAMPLE
# Enough for a rotation or a short outage. Older speech would only answer a question that has gone by.
KEPT_BYTES = 5 * BYTES_PER_SECOND
# The most that one message carries after a gap; 1 s is far below any limit of Gemini's.
MESSAGE_BYTES = BYTES_PER_SECOND
# More than a watchdog ever has waiting at once, beside all answers that may be typed meanwhile: none may get lost.
PROMPTS = 4 + ANSWERS_A_MINUTE
# Sound waits that long at most, while a first connection is tried for; a notice of older sound is none.
MOST_BEHIND_SECONDS = 15.0
# A silence is added each second while the candidate's page sends nothing.
SILENCES = 16
# Offsets are told to the millisecond.
NEARLY_SECONDS = 0.001
# A send that takes longer has lost its connection: half a frame cannot be taken back.
SEND_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Note:
    """Text that the interviewer is to know, and not to answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """The answer to function calls that no setup declared."""

    calls: tuple[ToolCall, ...]


Text = str | Note | ToolAnswer
Item = bytes | Text
# Sends an item if that needs no waiting; returns whether it did.
SendNow = Callable[[Item], bool]


def _never(_item: Item) -> bool:
    return False


class Uplink:
    """Holds PCM (s16le mono 16 kHz) and prompts. Any task may put; when it is full the oldest audio goes, counted.

    An item that can be sent at once is sent by the caller that puts it; one task takes the rest.
    """

    def __init__(self) -> None:
        self.dropped_bytes = 0
        self.taken_bytes = 0
        self.fed_at = trio.current_time()
        # Sent over earlier connections; and the silences added of late: all that was put before each one's end, its bytes.
        self._taken_before = 0
        # A tuple, as the prompts are: empty for nearly all of an interview, a deque would take 760 bytes of it.
        self._silences: tuple[tuple[int, int], ...] = ()
        self._pcm = bytearray()
        self._prompts: tuple[Text, ...] = ()
        self._changed = Wakeup()
        self._open = False
        self._kept_bytes = KEPT_BYTES
        self._send_now: SendNow = _never

    def feed(self, pcm: bytes, at: float) -> None:
        """Add the candidate's audio, which came ``at`` this time; an odd byte waits for its other half."""
        self.fed_at = at
        size = len(pcm)
        # It goes right through where nothing waits before it, and it needs no cutting.
        clear = self._open and not self._pcm and not self._prompts
        if clear and size <= MESSAGE_BYTES and size % BYTES_PER_SAMPLE == 0 and self._send_now(pcm):
            self.taken_bytes += size
        else:
            self.put(pcm)

    def put(self, pcm: bytes) -> None:
        """Add audio to all that waits, of which as much is sent as goes at once."""
        self._pcm += pcm
        excess = len(self._pcm) - self._kept_bytes
        if excess > 0:
            excess += excess % BYTES_PER_SAMPLE
            del self._pcm[:excess]
            self.dropped_bytes += excess
        self._offer()

    def put_early(self, pcm: bytes) -> None:
        """Add the candidate's audio from before the interview began: it answers nothing that could have gone by.

        So all of it is kept until Gemini is there for the first time, beside as much as is kept at any time.
        """
        if pcm:
            self._kept_bytes = KEPT_BYTES + len(pcm)
            self.put(pcm)

    def put_silence(self, seconds: float) -> None:
        """Add silence: Gemini needs to hear that nobody speaks."""
        silence = bytes(int(seconds * INPUT_SAMPLE_RATE_HZ) * BYTES_PER_SAMPLE)
        self._silences = (*self._silences, (self._put_bytes + len(silence), len(silence)))[-SILENCES:]
        self.put(silence)

    def behind(self, offset: float) -> float | None:
        """Return how much of the candidate's sound has come since this place, in seconds.

        ``offset``: in seconds of all that was sent over this connection. None for a place that was not sent, or long ago:
        then it is no offset of this connection's.
        """
        sent = (self.taken_bytes - self._taken_before) / BYTES_PER_SECOND
        if not -NEARLY_SECONDS <= sent - offset <= MOST_BEHIND_SECONDS:
            return None
        since = (sent - offset) * BYTES_PER_SECOND + len(self._pcm)
        place = self._put_bytes - since
        silent = sum(min(size, max(0.0, end - place)) for end, size in self._silences)
        return (since - silent) / BYTES_PER_SECOND

    @property
    def _put_bytes(self) -> int:
        """All that was put so far."""
        return self.taken_bytes + self.dropped_bytes + len(self._pcm)

    def prompt(self, text: Text) -> None:
        """Add a text that makes the interviewer speak, or a note that does not; texts go before the audio."""
        self._prompts = (*self._prompts, text)[-PROMPTS:]
        self._offer()

    def open(self, send_now: SendNow = _never) -> None:
        """Let the kept audio flow, and all that follows: Gemini is there."""
        self._open = True
        self._send_now = send_now
        self._taken_before = self.taken_bytes
        self._offer()

    def shut(self) -> None:
        """Keep audio from now on, for Gemini is away; drop the prompts, which were meant for the moment."""
        self._open = False
        self._send_now = _never
        self._kept_bytes = KEPT_BYTES
        self._prompts = ()

    async def take(self) -> Item:
        """Wait for an open way and an item, and return it: a prompt, or whole samples up to one message."""
        while True:
            if self._open and (item := self._next()) is not None:
                return item
            await self._changed.heard()

    def give_back(self, item: Item) -> None:
        """Put an item that could not be sent before all others."""
        if isinstance(item, bytes):
            self._pcm[:0] = item
            self.taken_bytes -= len(item)
        else:
            self._prompts = (item, *self._prompts)[:PROMPTS]

    def _next(self) -> Item | None:
        if self._prompts:
            first, self._prompts = self._prompts[0], self._prompts[1:]
            return first
        size = min(len(self._pcm) & ~1, MESSAGE_BYTES)
        if not size:
            return None
        taken = bytes(self._pcm[:size])
        del self._pcm[:size]
        self.taken_bytes += size
        return taken

    def _offer(self) -> None:
        """Send the items that go at once; the rest is for the task that takes."""
        while self._open and (item := self._next()) is not None:
            if not self._send_now(item):
                self.give_back(item)
                self._changed.ring()
                return


class UplinkWriter:
    """Connects the uplink to the present connection. ``run`` is its task, for the items that could not go at once."""

    __slots__ = ("_uplink", "upstream")

    def __init__(self, uplink: Uplink) -> None:
        self.upstream: Upstream | None = None
        self._uplink = uplink

    def attach(self, upstream: Upstream) -> None:
        """Take a connection: the kept audio flows, and all that follows."""
        self.upstream = upstream
        self._uplink.open(self._send_now)

    def detach(self) -> None:
        """Let go of the connection, which is gone; audio is kept for the next."""
        self.upstream = None
        self._uplink.shut()

    async def run(self) -> None:
        """Send until cancelled; audio that could not be sent waits for the next connection."""
        while True:
            item = await self._uplink.take()
            upstream = self.upstream
            if upstream is None:
                continue  # pragma: no cover - the uplink is shut in the same step that clears it
            try:
                await upstream.send(_message(item))
            except UpstreamError:
                # The reader sees the end too, and it knows the close frame. Until then nothing is sent.
                if self.upstream is upstream:
                    self._uplink.shut()
                if isinstance(item, bytes):  # prompts were meant for the moment
                    self._uplink.give_back(item)

    def mind(self, now: float) -> Cause | None:
        """Return why the connection is gone, if it takes nothing more or says nothing any more: then ``drop`` it."""
        upstream = self.upstream
        if upstream is None:
            return None
        since = upstream.sending_since
        if since is not None and now - since > SEND_SECONDS:
            return STALLED
        return SILENT if upstream.mind(now) else None

    async def drop(self, cause: Cause) -> None:
        """Hang up on a connection that is gone."""
        if self.upstream is not None:
            await self.upstream.abort(cause)

    def _send_now(self, item: Item) -> bool:
        upstream = self.upstream
        if upstream is None:
            return False
        return upstream.post_now(gemini.audio(item) if type(item) is bytes else _message(item))


def _message(item: Item) -> bytes:
    match item:
        case bytes():
            return gemini.audio(item)
        case str():
            return gemini.prompt(item)
        case Note():
            return gemini.note(item.text)
        case ToolAnswer():
            return gemini.unknown_tools(item.calls)
