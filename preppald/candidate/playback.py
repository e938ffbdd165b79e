"""The interviewer's audio on a clock of its own, as a loudspeaker would have played it.

Audio arrives faster than it plays. A candidate needs to know the part heard by now: whether the greeting is over, the
words that an interruption cut off, the sound that belongs into a recording of the call.

Rule 1: time only moves in ``advance``; every other call is told the time and advances first.
Rule 2: time without audio is silence, so that a recording is as long as the call was.
"""

from collections import deque
from typing import Protocol

from preppald.candidate.wav import SAMPLE_BYTES

RATE_HZ = 24_000
# Nearly six minutes of speech ahead of its playback. A daemon that is further ahead is broken: the
# newest is dropped and counted.
MAX_WAITING_BYTES = 16 * 1024 * 1024
# Silence is written in pieces, however long a laptop slept.
SILENCE = bytes(65_536)


class Sink(Protocol):
    """The destination of played audio."""

    def write(self, pcm: bytes) -> None: ...


class Playback:
    """PCM, 16-bit little-endian mono at 24 kHz. Times are seconds on the caller's clock.

    ``received_bytes``: all audio that came. ``dropped_bytes``: audio that was never heard, because the candidate
    spoke over it or because too much was waiting.
    """

    def __init__(self, *, started: float, sink: Sink | None = None) -> None:
        self._started = started
        self._sink = sink
        self._played_samples = 0
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._odd_byte = b""  # half a sample, until its other half comes
        self.received_bytes = 0
        self.dropped_bytes = 0

    @property
    def waiting_seconds(self) -> float:
        """Return the seconds that are still to be played."""
        return self._waiting_bytes / (RATE_HZ * SAMPLE_BYTES)

    @property
    def playing(self) -> bool:
        return self._waiting_bytes > 0

    def receive(self, pcm: bytes, now: float) -> None:
        """Queue more audio behind the audio that waits."""
        self.advance(now)
        self.received_bytes += len(pcm)
        pcm = self._odd_byte + pcm
        whole = len(pcm) - len(pcm) % SAMPLE_BYTES
        pcm, self._odd_byte = pcm[:whole], pcm[whole:]
        if self._waiting_bytes + whole > MAX_WAITING_BYTES:
            self.dropped_bytes += whole
        elif whole:
            self._waiting.append(pcm)
            self._waiting_bytes += whole

    def interrupt(self, now: float) -> None:
        """Drop the rest, which is never heard: the candidate spoke over the interviewer."""
        self.advance(now)
        self.dropped_bytes += self._waiting_bytes
        self._waiting.clear()
        self._waiting_bytes = 0
        self._odd_byte = b""

    def advance(self, now: float) -> None:
        """Play up to ``now``."""
        due = int((now - self._started) * RATE_HZ)
        missing = (due - self._played_samples) * SAMPLE_BYTES
        self._played_samples = max(due, self._played_samples)
        while missing > 0 and self._waiting:
            pcm = self._waiting.popleft()
            if len(pcm) > missing:
                self._waiting.appendleft(pcm[missing:])
                pcm = pcm[:missing]
            self._waiting_bytes -= len(pcm)
            missing -= len(pcm)
            self._write(pcm)
        while missing > 0 and self._sink is not None:
            self._write(SILENCE[:missing])
            missing -= len(SILENCE)

    def _write(self, pcm: bytes) -> None:
        if self._sink is not None:
            self._sink.write(pcm)
