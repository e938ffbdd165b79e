"""Hears the candidate's voice itself: Gemini's own notice comes late, or never.

Every tenth of a second the audio that came is summed up, one sample in sixteen, of their high bytes only; the sum
becomes a level, and the level is voice or not. Until then a piece costs a slice of twenty bytes. The theory is that of
minimum statistics: speech pauses several times a second, so the lowest level of late is the room's, and a level well
above the room's is voice.
"""

from collections.abc import Sequence
import zlib

# PCM s16le mono 16 kHz. At every sixteenth sample: a thousand a second tell a tenth of a second's level to 8 %.
BYTES_PER_SECOND = 32_000
STRIDE_BYTES = 32
BLOCK_BYTES = 3_200
# The magnitude that a sample's high byte stands for, in units of 128, at the middle of its 256 values: 1, 3, 5, ….
_MAGNITUDE = bytes(min(255, 2 * high + 1 if high < 128 else 2 * (255 - high) + 1) for high in range(256))
# As many bytes add up to less than Adler-32's modulus, 65 521.
SUMMED_BYTES = 256
# Levels are mean magnitudes above the least possible one, in units of 128: 0.02 for a quiet room's RMS of 100, about
# 12 for speech at arm's length.
# The room before anything is known of it; noise above this is taken for voice until it has proved to be none.
FIRST_FLOOR = 1.0
# Voice stands this much clear of the room: measured on the samples of this project with white and pink noise, this
# finds speech at a signal-to-noise ratio of 0 dB, and takes less than 2 % of a noise's blocks for voice.
CLEAR_RATIO = 1.35
CLEAR_LEVEL = 0.4
# How fast the floor follows, in each tenth of a second: down in half a second, up in ten.
FALL = 0.2
RISE = 0.01
# Of a room that is new it is learned in two seconds.
FIRST_RISE = 0.1
RISE_DECAY = 0.97
# Within speech at 0 dB the longest stretch without a clear block was 1.1 s.
BRIDGE_SECONDS = 1.2
# Clear blocks of a stretch from which on it is voice at all: noise has one or two at a time.
LEAST_SECONDS = 0.29
# Voice: so long from its first block to its last, and so much of it clear. A cough is shorter, a noise is thinner.
VOICE_SECONDS = 1.0
CLEAR_SECONDS = 0.5
# Times are sums of pieces: what ends within this of a block's end ends with it.
NEARLY_SECONDS = 0.001
# A word's end fades: what follows within this is of the same voice, though too soft to begin one.
TAIL_SECONDS = 0.25
# A level that stays within this ratio for so long is a machine's.
STEADY_RATIO = 2.2
STEADY_SECONDS = 10.0
# The state of ``Ear`` before a stretch: heard_at, counted_at, spoke, any_voice.
_Heard = tuple[float | None, float | None, bool, bool]


class Ear:
    """One interview's. All times monotonic, in seconds.

    ``heard_at``: when the last voice was heard, or None; ``began_at``: when its stretch began; ``counted_at``: when
    the last was heard that counts, and ``counted_until``: the same to the piece and not to the tenth of a second, with the
    fading end of its last word. ``spoke``: whether so much voice as an answer has was heard
    since ``reset``; ``any_voice``: whether any was; ``stirred``:
    whether anything was that may be voice. ``ever``: whether any voice was ever heard here.
    """

    def __init__(self) -> None:
        self.heard_at: float | None = None
        self.counted_at: float | None = None
        self.counted_until = 0.0
        self.began_at = 0.0
        self.spoke = False
        self.any_voice = False
        self.stirred = False
        self.ever = False
        # True where half a sample came last; and the part of the block under way that was heard.
        self._odd = 0
        self._bytes = 0
        # The block so far: one sample in sixteen, and each piece's bytes, which tell where in it voice began or ended. The
        # sound itself is let go at once: it would be 3 KiB an interview.
        self._heard = bytearray()
        self._sizes: list[int] = []
        # The floor before the stretch of voice under way, which raises it.
        self._room = FIRST_FLOOR
        # Since when the end of the last block was above the bar, if that was not clear.
        self._onset: float | None = None
        self._floor = FIRST_FLOOR
        self._rise = FIRST_RISE
        # The stretch of voice under way, as far as it counts: its begin, and how much of it was clear.
        self._counted_from = 0.0
        self._clear = 0.0
        self._counting = False
        # When the last clear block came, and how much of the stretch was clear in all.
        self._clear_at: float | None = None
        self._all_clear = 0.0
        self._before: _Heard = (None, None, False, False)
        # The bounds of a level that hardly varies, and for how long it has not.
        self._low = self._high = 0.0
        self._steady = 0.0

    def take(self, pcm: bytes) -> bool:
        """Take audio; return whether that makes a block, which is to be judged."""
        size = len(pcm)
        # From the block's first sample on every STRIDE_BYTES, whatever the pieces' sizes.
        self._heard += pcm[(1 - self._odd - self._bytes) % STRIDE_BYTES :: STRIDE_BYTES]
        self._sizes.append(size)
        self._bytes += size
        return self._bytes >= BLOCK_BYTES

    def hear(self, pcm: bytes, now: float, *, counts: bool = True) -> None:
        """Take audio that ended now, and judge it if that makes a block; ``counts`` as for ``judge``."""
        if self.take(pcm):
            self.judge(now, counts=counts)

    def speaking(self, now: float) -> bool:
        """Return whether the candidate speaks: voice was heard, and no pause since that ends a sentence."""
        return self.heard_at is not None and now - self.heard_at < BRIDGE_SECONDS

    @property
    def clear_seconds(self) -> float:
        """How much of the stretch of voice under way was clear, as far as it counts."""
        return self._clear if self._counting else 0.0

    def reset(self) -> None:
        """Count voice from now on; a stretch that is under way counts from here."""
        self.spoke = self.any_voice = self.stirred = self._counting = False
        self._before = (self.heard_at, self.counted_at, False, False)

    def judge(self, now: float, *, counts: bool) -> None:
        """Judge the audio taken, which ended now. ``counts``: not while the interviewer is heard: it may be an echo."""
        seconds = self._bytes / BYTES_PER_SECOND
        sizes, first = self._sizes, 1 - self._odd
        self._odd = (self._odd + self._bytes) & 1
        heard = bytes(self._heard.translate(_MAGNITUDE))
        self._heard.clear()
        self._sizes, self._bytes = [], 0
        level = _mean(heard)
        bar = self._floor * CLEAR_RATIO + CLEAR_LEVEL
        clear = level > bar
        edge = min(self._floor, self._room) * CLEAR_RATIO + CLEAR_LEVEL
        voiced = None
        if clear or _mean(heard[-(sizes[-1] // STRIDE_BYTES or 1) :]) > edge or self._fades(now):
            voiced = _voiced(sizes, heard, first, now - seconds, edge)
        self._floor += (level - self._floor) * (FALL if level < self._floor else self._rise)
        self._rise = max(RISE, self._rise * RISE_DECAY)
        if self._is_steady(level, seconds):
            self._floor = max(self._floor, (self._low + self._high) / 2)
            if clear or (self._clear_at is not None and self._clear_at > now - self._steady):
                self._forget()
        elif clear:
            began, ended = voiced or (now - seconds, now)
            self._note(now, seconds, (self._onset or began, ended), counts=counts)
        else:
            if voiced and counts and self._fades(now):
                self.counted_until = voiced[1]
            if not self.speaking(now):
                self._room = self._floor
        # A voice that begins at the end of a block does not make that one clear.
        self._onset = voiced[0] if voiced and not clear and voiced[1] > now - NEARLY_SECONDS else None

    def _fades(self, now: float) -> bool:
        return self._clear_at is not None and now - self._clear_at < TAIL_SECONDS

    def _note(self, now: float, seconds: float, voiced: tuple[float, float], *, counts: bool) -> None:
        """Take a clear block that ended now; ``voiced``: from when to when its pieces were clear."""
        began, ended = voiced
        fresh = self._clear_at is None or began - self._clear_at >= BRIDGE_SECONDS
        self._clear_at = now
        if fresh:
            self._before = (self.heard_at, self.counted_at, self.spoke, self.any_voice)
            self.began_at = began
            self._all_clear = 0.0
        if counts and (fresh or not self._counting):
            self._counted_from = now - seconds
            self._clear = 0.0
        self._counting = counts
        self._all_clear += seconds
        if self._all_clear >= LEAST_SECONDS:
            self.heard_at = now
            self.ever = True
        if counts:
            self.stirred = True
            self._clear += seconds
            if self._clear >= LEAST_SECONDS:
                self.counted_at = now
                self.counted_until = ended
                self.any_voice = True
            if self._clear >= CLEAR_SECONDS and now - self._counted_from >= VOICE_SECONDS:
                self.spoke = True

    def _is_steady(self, level: float, seconds: float) -> bool:
        low, high = min(self._low, level), max(self._high, level)
        if high > low * STEADY_RATIO + CLEAR_LEVEL:
            self._low = self._high = level
            self._steady = 0.0
        else:
            self._low, self._high = low, high
            self._steady += seconds
        return self._steady >= STEADY_SECONDS

    def _forget(self) -> None:
        """Forget a stretch taken for voice: it was a noise that went on."""
        self.heard_at, self.counted_at, self.spoke, self.any_voice = self._before
        self._clear_at = None
        self._counting = False


def _mean(heard: bytes) -> float:
    """Return the level of samples, given as magnitudes; 0 for none.

    The low half of an Adler-32 is one more than the sum of the bytes (RFC 1950): the fastest way to that sum.
    """
    if not heard:
        return 0.0
    if len(heard) <= SUMMED_BYTES:
        return ((zlib.adler32(heard) & 0xFFFF) - 1) / len(heard) - 1.0
    return sum(heard) / len(heard) - 1.0


def _voiced(
    sizes: Sequence[int], heard: bytes, first: int, at: float, bar: float
) -> tuple[float, float] | None:
    """Return from when to when pieces of a block are above the bar, None where none is; ``at``: when the block began.

    A turn's times are told to the piece, 20 ms where a page is well made, and not to the block. ``heard``: of every
    STRIDE_BYTES of the block the magnitude at its byte ``first``. ``sizes``: its pieces' bytes.
    """
    begin = end = None
    start = size = 0
    for piece in sizes:
        stop = -((first - size - piece) // STRIDE_BYTES)
        if _mean(heard[start:stop]) > bar:
            begin = at + size / BYTES_PER_SECOND
            break
        size, start = size + piece, stop
    if begin is None:
        return None
    size, stop = sum(sizes), len(heard)
    for piece in reversed(sizes):
        start = -((first - size + piece) // STRIDE_BYTES)
        if _mean(heard[start:stop]) > bar:
            end = at + size / BYTES_PER_SECOND
            break
        size, stop = size - piece, start
    return None if end is None else (begin, end)
