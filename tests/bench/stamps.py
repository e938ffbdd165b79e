"""Audio that says when it was sent: a stamp at the head of each chunk, and a filler that must arrive unchanged.

The checker takes the stream as it comes, however its chunks were joined or split on the way, and accounts for
every byte: what is out of order, lost or changed is a fault, what arrives has a latency.
"""

from array import array
import struct

# Who speaks, the chunk's number, and the monotonic clock in nanoseconds.
HEAD = struct.Struct("<IIQ")


def _filler(size: int) -> bytes:
    return bytes(index * 7 % 251 for index in range(size))


class Stamper:
    """Writes the next chunk into ``buffer`` at ``offset``, where it has its place for good."""

    def __init__(self, speaker: int, size: int, buffer: bytearray, offset: int = 0) -> None:
        self.sent_bytes = 0
        self._speaker = speaker
        self._number = 0
        self._size = size
        self._buffer = buffer
        self._offset = offset
        buffer[offset : offset + size] = _filler(size)

    def stamp(self, now_ns: int) -> None:
        HEAD.pack_into(self._buffer, self._offset, self._speaker, self._number, now_ns)
        self._number += 1
        self.sent_bytes += self._size


class Checker:
    """Takes one speaker's stream. ``latencies``: where the nanoseconds of each whole chunk are put.

    A stream with a fault is not looked into any further: one fault is enough to fail a run.
    """

    def __init__(self, size: int, latencies: "array[int]") -> None:
        self.latencies = latencies
        self.taken_bytes = 0
        self.first_ns = 0
        self.speaker: int | None = None
        self.fault: str | None = None
        self._size = size
        self._rest = _filler(size)[HEAD.size :]
        self._number = 0
        self._pending = b""

    def take(self, pcm: bytes, now_ns: int) -> None:
        if self.taken_bytes == 0:
            self.first_ns = now_ns
        self.taken_bytes += len(pcm)
        if self.fault is not None:
            return
        if self._pending:
            pcm = self._pending + pcm
        at, size, rest, number = 0, self._size, self._rest, self._number
        while at + size <= len(pcm):
            speaker, seen, sent_ns = HEAD.unpack_from(pcm, at)
            if seen != number or self.speaker not in (None, speaker):
                self.fault = f"chunk {seen} of {speaker} in place of {number} of {self.speaker}"
                return
            if pcm[at + HEAD.size : at + size] != rest:
                self.fault = f"chunk {seen} has changed on the way"
                return
            self.speaker = speaker
            self.latencies.append(now_ns - sent_ns)
            number += 1
            at += size
        self._number = number
        self._pending = pcm[at:]
