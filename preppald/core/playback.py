"""The candidate's playback, estimated: the interviewer's voice comes faster than it plays."""

from preppald.core.frames import BYTES_PER_SAMPLE


class Playback:
    """A queue that plays in real time, in any one unit of time: seconds, or samples.

    ``until``: the time at which the queue has been heard to its end.
    """

    __slots__ = ("until",)

    def __init__(self) -> None:
        self.until = 0.0

    def queue(self, length: float, now: float) -> float:
        """Note that audio of this length was sent; return the time at which its playback begins."""
        begins = max(self.until, now)
        self.until = begins + length
        return begins

    def stop(self, now: float) -> float:
        """Drop the rest, which is never heard; return its length."""
        unheard = max(0.0, self.until - now)
        self.until = now
        return unheard


class Samples:
    """Cuts a stream of 16-bit PCM, which Gemini may have cut anywhere, into whole samples."""

    __slots__ = ("_odd_byte",)

    def __init__(self) -> None:
        self._odd_byte = b""

    def whole(self, pcm: bytes) -> bytes:
        """Return the whole samples there are; half of one waits for the next piece."""
        if self._odd_byte:
            pcm = self._odd_byte + pcm
            self._odd_byte = b""
        if len(pcm) % BYTES_PER_SAMPLE:
            self._odd_byte, pcm = pcm[-1:], pcm[:-1]
        return pcm
