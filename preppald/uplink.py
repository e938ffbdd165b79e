"""What is on its way to Gemini: the candidate's audio, joined, bounded, and kept while Gemini is away."""

from array import array
from collections import deque
from dataclasses import dataclass

import trio

from preppald.core.frames import BYTES_PER_SAMPLE, INPUT_SAMPLE_RATE_HZ

BYTES_PER_SECOND = INPUT_SAMPLE_RATE_HZ * BYTES_PER_SAMPLE
# What a rotation or a short outage needs. Older speech would only answer a question that has gone by.
KEPT_BYTES = 5 * BYTES_PER_SECOND
# At most what one message carries after a gap; 1 s is far below any limit of Gemini's.
MESSAGE_BYTES = BYTES_PER_SECOND
# Whether somebody speaks just now is judged by the last half second, in slices of a syllable's length.
RECENT_BYTES = BYTES_PER_SECOND // 2
SLICE_BYTES = RECENT_BYTES // 10
# Root mean square of 16-bit samples: a quiet room is below 100, speech at arm's length above 1000.
LOUD = 500
# Every fourth sample tells a slice's energy well enough.
STRIDE = 4
# More than a watchdog ever has waiting at once.
PROMPTS = 4


@dataclass(frozen=True, slots=True)
class Note:
    """Text that the interviewer is to know, and not to answer."""

    text: str


class Uplink:
    """PCM s16le mono 16 kHz. One task puts, one takes; when it is full the oldest goes, and is counted."""

    def __init__(self) -> None:
        self.dropped_bytes = 0
        self.taken_bytes = 0
        self.fed_at = trio.current_time()
        self._pcm = bytearray()
        self._put_bytes = 0
        self._recent = b""
        self._prompts: deque[str | Note] = deque(maxlen=PROMPTS)
        self._changed = trio.lowlevel.ParkingLot()
        self._open = False

    def put(self, pcm: bytes) -> None:
        """Adds audio; an odd byte waits for its other half."""
        self._pcm += pcm
        self._put_bytes += len(pcm)
        self._recent = (self._recent + pcm)[-RECENT_BYTES:]
        excess = len(self._pcm) - KEPT_BYTES
        if excess > 0:
            excess += excess % BYTES_PER_SAMPLE
            del self._pcm[:excess]
            self.dropped_bytes += excess
        if self._open:
            self._changed.unpark()

    def loud(self) -> bool:
        """Whether the last half second sounds like speech. Gemini's own word for it comes late, or never."""
        start = (self._put_bytes - len(self._recent)) % BYTES_PER_SAMPLE
        for at in range(start, len(self._recent) - SLICE_BYTES + 1, SLICE_BYTES):
            samples = array("h", self._recent[at : at + SLICE_BYTES])[::STRIDE]
            if sum(sample * sample for sample in samples) > LOUD * LOUD * len(samples):
                return True
        return False

    def put_silence(self, seconds: float) -> None:
        """Gemini needs to hear that nothing is said."""
        self.put(bytes(int(seconds * INPUT_SAMPLE_RATE_HZ) * BYTES_PER_SAMPLE))

    def prompt(self, text: str | Note) -> None:
        """Text that makes the interviewer speak, or a note that does not; it goes before the audio."""
        self._prompts.append(text)
        if self._open:
            self._changed.unpark()

    def open(self) -> None:
        """Gemini is there: what was kept flows, and all that follows."""
        self._open = True
        self._changed.unpark()

    def shut(self) -> None:
        """Gemini is away: audio is kept; prompts were meant for the moment."""
        self._open = False
        self._prompts.clear()

    async def take(self) -> bytes | str | Note:
        """Waits for an open way and for something to send: a prompt, or whole samples up to one message."""
        while not self._open or not (self._prompts or len(self._pcm) >= BYTES_PER_SAMPLE):
            await self._changed.park()
        if self._prompts:
            return self._prompts.popleft()
        size = min(len(self._pcm) & ~1, MESSAGE_BYTES)
        taken = bytes(self._pcm[:size])
        del self._pcm[:size]
        self.taken_bytes += size
        return taken

    def give_back(self, pcm: bytes) -> None:
        """What could not be sent goes first next time."""
        self._pcm[:0] = pcm
        self.taken_bytes -= len(pcm)
