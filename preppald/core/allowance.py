"""Bounds the sending of a browser: a microphone's worth, with room for a line that stalled. Counted once a read.

Past the bound the connection is throttled: nothing is read, and TCP holds the sender up. A sender that pushes on all
the same is no microphone, and is cut. The numbers are those of the busiest honest page: 375 messages of 86 bytes a
second, 92 on the wire with their frame's head, so 34 500 bytes.
"""

from preppald.core.bucket import Bucket

# Twice real time: a clock that is off, and a page that catches up, stay below it.
FRAMES_PER_SECOND = 750
BYTES_PER_SECOND = 64 * 1024
# Half a minute of real time, which may come at once: a line may stall for 25 s before it is given up, and a page
# that reconnects sends the 5 s that it kept.
BURST_FRAMES = 11_250
BURST_BYTES = 1024 * 1024
# Frames that carry nothing: pings, pongs, empty fragments. A library pings each 20 s, and answers our own each 15 s.
EMPTY_FRAMES_PER_SECOND = 2
BURST_EMPTY_FRAMES = 100
# Half a second of audio, added up before the buckets are asked: asking them costs more than reading the audio did.
GRAIN_BYTES = 16 * 1024
GRAIN_FRAMES = 200
# How long a sender may push against the throttle: 50 s of audio that are sent in one go are through by then.
PUSHING_SECONDS = 10.0


class Allowance:
    """One an interview, not one a connection: coming back does not fill it again.

    ``strained``: True after a read that left a debt, and for a second after that: only then ask ``throttled``.
    """

    __slots__ = (
        "_bytes",
        "_empty",
        "_frames",
        "_pushing_since",
        "_unspent_bytes",
        "_unspent_frames",
        "strained",
    )

    def __init__(self) -> None:
        self.strained = False
        self._frames = Bucket(FRAMES_PER_SECOND, BURST_FRAMES)
        self._bytes = Bucket(BYTES_PER_SECOND, BURST_BYTES)
        self._empty = Bucket(EMPTY_FRAMES_PER_SECOND, BURST_EMPTY_FRAMES)
        self._pushing_since: float | None = None
        self._unspent_bytes = self._unspent_frames = 0

    def spend(self, now: float, *, size: int, frames: int, empty: int) -> None:
        """Count one read: ``size`` bytes with so many frames, ``empty`` of which carry nothing."""
        self._unspent_bytes += size
        self._unspent_frames += frames
        if self._unspent_bytes >= GRAIN_BYTES or self._unspent_frames >= GRAIN_FRAMES:
            self._bytes.spend(self._unspent_bytes, now)
            self._frames.spend(self._unspent_frames, now)
            self._unspent_bytes = self._unspent_frames = 0
            self._strain()
        if empty:
            self._empty.spend(empty, now)

    def overdrawn(self, now: float) -> bool:
        """Return whether more came than may; unlike ``throttled``, this may be asked in the middle of a read."""
        return self._bytes.level(now) < 0

    def throttled(self, now: float) -> bool:
        """Return whether nothing may be read now."""
        if not self.strained:
            return False
        spent = self._bytes.level(now) < 0 or self._frames.level(now) < 0
        if spent:
            if self._pushing_since is None:
                self._pushing_since = now
        elif self._bytes.level(now) > BYTES_PER_SECOND and self._frames.level(now) > FRAMES_PER_SECOND:
            self._pushing_since = None  # it has let off for a second or so
        self._strain()
        return spent

    def _strain(self) -> None:
        in_debt = self._bytes.in_debt or self._frames.in_debt
        self.strained = in_debt or self._pushing_since is not None

    def fault(self, now: float) -> str | None:
        """Return the reason to cut this sender, in words for its developer; None while there is none."""
        if self._empty.level(now) < 0:
            return "Too many control frames"
        if self._pushing_since is not None and now - self._pushing_since > PUSHING_SECONDS:
            return "Sending faster than real time"
        return None
