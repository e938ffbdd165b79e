"""Hears the candidate's voice itself: Gemini's own notice comes late, or never.

Each tenth of a second of audio is summed up; the sum is a level, and a level well above the room's is voice.

A piece costs a slice of twenty bytes as it comes. It is judged when anybody asks for anything heard here, which the
watchdog does once a second: ten judgements in a row cost a fifth of what they cost one by one, for only the first
of them finds the processor's caches full of other things.

A voice's begin and end are places in the sound, which a line that stalls does not move; ``spoken_clock`` says when a
place was spoken. Only what is waited for goes by arrival.
"""

from collections import deque
from dataclasses import dataclass
import zlib

from preppald.core.levels import (
    BLOCK_SAMPLES,
    GRAIN_SAMPLES,
    MAGNITUDE,
    SAMPLES_PER_SECOND,
    STOP_SECONDS,
    STRIDE_BYTES,
    faded,
    onset,
    voiced,
)
from preppald.core.room import CLEAR_LEVEL, CLEAR_RATIO, Room
from preppald.core.spoken_clock import SpokenClock

# The most blocks that wait to be judged: they come to a kilobyte.
BLOCKS = 16
# Within speech at 0 dB the longest stretch without a clear block was 1.1 s.
BRIDGE_SECONDS = 1.2
# Clear blocks of a stretch from which on it is voice at all: noise has one or two at a time.
LEAST_SECONDS = 0.29
# Voice: so long from its first block to its last, and so much of it clear. A cough is shorter, a noise is thinner.
VOICE_SECONDS = 1.0
CLEAR_SECONDS = 0.5
# The stretches of voice that are remembered: Gemini's notice may be of the last but one, where much sound came at once.
STRETCHES = 4
# A word's end fades, and its last consonants are softer than voice: what follows within this may be of the same voice.
TAIL_SECONDS = 0.5
# The state of ``Ear`` before a stretch: heard_at, counted_at, spoke, any_voice.
_Heard = tuple[float | None, float | None, bool, bool]
# Audio to be judged: when it had come, whether it counts, and how many samples there were by then.
_Block = tuple[float, bool, int]


@dataclass(slots=True)
class Stretch:
    """Voice without a pause that ends a sentence, however short. ``began``, ``until``: places, with the fading end of its
    last word; ``clear``: how much of it was clear, in seconds. ``alone``: the interviewer was not heard when it began.
    """

    began: float
    until: float
    clear: float
    alone: bool


class Ear:
    """One interview's. All times monotonic, in seconds. ``earliest``: as for ``SpokenClock``.

    Each of the public properties judges first what came, where that could change it.
    """

    __slots__ = (
        "_any_voice",
        "_before",
        "_blocks",
        "_came_at",
        "_clear",
        "_clear_until",
        "_counted_at",
        "_counted_from",
        "_counting",
        "_ever",
        "_floor_before",
        "_full",
        "_heard_at",
        "_heard_until",
        "_judged",
        "_next",
        "_onset",
        "_room",
        "_samples",
        "_spoke",
        "_spoken",
        "_stirred",
        "_stretches",
        "_unended",
    )

    def __init__(self, earliest: float = float("inf")) -> None:
        self._heard_at: float | None = None
        self._counted_at: float | None = None
        self._came_at = 0.0
        self._spoken = SpokenClock(earliest)
        # How many samples were judged: the place up to which that is, in milliseconds.
        self._judged = 0
        self._stretches: deque[Stretch] = deque(maxlen=STRETCHES)
        self._spoke = False
        self._any_voice = False
        self._stirred = False
        self._ever = False
        # The audio that is not judged: one sample in sixteen. The sound itself is let go at once: a second of it would be
        # 32 KB an interview.
        self._samples = bytearray()
        self._blocks: list[_Block] = []
        # How many samples there are at the end of the block under way.
        self._full = BLOCK_SAMPLES
        # The place of the next sample's high byte in the next piece.
        self._next = 1
        self._room = Room()
        # The room's level before the stretch of voice under way, which raises it; and where the last voice was heard.
        self._floor_before = self._room.floor
        self._heard_until = -BRIDGE_SECONDS
        # From where on the end of the last block was above the bar, if that was not clear.
        self._onset: float | None = None
        # The stretch of voice under way, as far as it counts: the place of its begin, and how much of it was clear.
        self._counted_from = 0.0
        self._clear = 0.0
        self._counting = False
        # The end of the last clear block.
        self._clear_until: float | None = None
        # That block's magnitudes, the place of its begin, and the bar for its grains, while the stretch may go on.
        self._unended: tuple[bytes, float, float] | None = None
        self._before: _Heard = (None, None, False, False)

    # -------------------------------------------------------------- what comes in

    def take(self, pcm: bytes) -> bool:
        """Take audio; return whether that makes a block, which is to be closed."""
        samples = self._samples
        # From the first sample on every STRIDE_BYTES, whatever the pieces' sizes.
        samples += pcm[self._next :: STRIDE_BYTES]
        if len(pcm) % STRIDE_BYTES:
            self._next = (self._next - len(pcm)) % STRIDE_BYTES
        return len(samples) >= self._full

    def close_block(self, now: float, *, counts: bool) -> None:
        """Note that the audio taken ended now. ``counts``: not while the interviewer is heard: it may be an echo."""
        samples = len(self._samples)
        self._blocks.append((now, counts, samples))
        self._full = samples + BLOCK_SAMPLES
        if len(self._blocks) >= BLOCKS:
            self._judge()

    def hear(self, pcm: bytes, now: float, *, counts: bool = True) -> None:
        """Take audio that ended now, whole blocks or not; ``counts`` as for ``close_block``."""
        if self.take(pcm):
            self.close_block(now, counts=counts)

    def reset(self) -> None:
        """Count voice from now on; a stretch that is under way counts from here."""
        self._judge()
        self._spoke = self._any_voice = self._stirred = self._counting = False
        self._before = (self._heard_at, self._counted_at, False, False)

    # -------------------------------------------------------------- what was heard

    @property
    def heard_at(self) -> float | None:
        """Return when the last voice came, or None."""
        self._judge()
        return self._heard_at

    @property
    def began_at(self) -> float:
        """Return when the last stretch of voice began to be spoken; 0 where there was none."""
        self._judge()
        return self._spoken.at(self._stretches[-1].began) if self._stretches else 0.0

    @property
    def came_at(self) -> float:
        """Return when the last stretch of voice began to come; 0 where there was none."""
        self._judge()
        return self._came_at

    @property
    def counted_at(self) -> float | None:
        """Return when the last voice came that counts, or None."""
        self._judge()
        return self._counted_at

    @property
    def spoke(self) -> bool:
        """Return whether so much voice as an answer has was heard since ``reset``."""
        self._judge()
        return self._spoke

    @property
    def any_voice(self) -> bool:
        """Return whether any voice was heard since ``reset``."""
        self._judge()
        return self._any_voice

    @property
    def stirred(self) -> bool:
        """Return whether anything was heard since ``reset`` that may be voice."""
        if not self._stirred:  # what is so stays so, and needs no judgement
            self._judge()
        return self._stirred

    @property
    def ever(self) -> bool:
        """Return whether any voice was ever heard here."""
        if not self._ever:  # as above
            self._judge()
        return self._ever

    @property
    def clear_seconds(self) -> float:
        """Return how much of the stretch of voice under way was clear, as far as it counts."""
        self._judge()
        return self._clear if self._counting else 0.0

    @property
    def place(self) -> float:
        """Return the place of the last sound that came: seconds of sound since the first."""
        return (self._judged + len(self._samples)) / SAMPLES_PER_SECOND

    @property
    def timed(self) -> bool:
        """Return whether it can be told when any of the sound was spoken: so much has come that it was judged."""
        self._judge()
        return self._judged > 0

    def spoken_at(self, place: float) -> float:
        """Return when the sound at this place was spoken, as far as can be told by now; only where it is ``timed``."""
        self._judge()
        return self._spoken.at(place)

    def voice_before(self, place: float, *, least: float = 0.0) -> Stretch | None:
        """Return the last stretch that began before this place; ``least``: with so much clear voice, in seconds."""
        self._judge()
        return next((it for it in reversed(self._stretches) if it.began < place and it.clear >= least), None)

    def speaking(self, now: float) -> bool:
        """Return whether the candidate speaks: voice was heard, and no pause since that ends a sentence."""
        if self._blocks:
            self._judge()
        return self._heard_at is not None and now - self._heard_at < BRIDGE_SECONDS

    # -------------------------------------------------------------- judging

    def _judge(self) -> None:
        """Judge the blocks that came, in their order."""
        if not self._blocks:
            return
        samples = bytes(self._samples.translate(MAGNITUDE))
        start = 0
        for now, counts, stop in self._blocks:
            while stop - start >= 2 * BLOCK_SAMPLES:  # a line had held it up: it was spoken evenly before
                end = start + BLOCK_SAMPLES
                at = now - (stop - end) / SAMPLES_PER_SECOND
                self._judge_block(samples[start:end], at, counts)
                start = end
            self._judge_block(samples[start:stop], now, counts)
            start = stop
        self._end_stretch()
        # Some more may be there, of the block under way.
        del self._samples[:start]
        self._full -= start
        self._blocks.clear()

    def _judge_block(self, heard: bytes, now: float, counts: bool) -> None:  # noqa: FBT001 - twice as fast as by name
        """Judge samples, given as magnitudes, that came now.

        Most blocks are as the one before, quiet or voice, and ask for a sum and two comparisons. The grains are looked at
        where a voice begins or ends.
        """
        count = len(heard)
        before = self._judged / SAMPLES_PER_SECOND
        self._judged += count
        place = self._judged / SAMPLES_PER_SECOND
        self._spoken.came(place, now)
        # As ``levels.mean`` of so few; a call less.
        level = ((zlib.adler32(heard) & 0xFFFF) - 1) / count - 1.0
        room = self._room
        clear = level > room.floor * CLEAR_RATIO + CLEAR_LEVEL
        edge = min(room.floor, self._floor_before) * CLEAR_RATIO + CLEAR_LEVEL
        if room.hear(level, count / SAMPLES_PER_SECOND):
            if clear or (self._clear_until is not None and self._clear_until > place - room.steady_seconds):
                self._forget()
        elif clear:
            self._note(heard, now, counts, edge)
        else:
            if self._clear_until is not None and place - self._clear_until < TAIL_SECONDS:
                self._fade(heard, before, edge)
            if place - self._heard_until >= BRIDGE_SECONDS:
                self._floor_before = room.floor
        # A voice that begins at the end of a block does not make that one clear. The grain there has no more than all of it.
        begins = not clear and level * count > edge * GRAIN_SAMPLES
        self._onset = onset(heard, before, edge) if begins else None

    def _note(self, heard: bytes, now: float, counts: bool, edge: float) -> None:  # noqa: FBT001 - as above
        """Take the voice in a clear block that came now."""
        seconds = len(heard) / SAMPLES_PER_SECOND
        before, place = (self._judged - len(heard)) / SAMPLES_PER_SECOND, self._judged / SAMPLES_PER_SECOND
        last = self._clear_until
        if last is not None and place - last < BRIDGE_SECONDS:
            self._go_on(heard, before, edge)
        else:
            began, ended = voiced(heard, before, edge) or (before, place)
            began = self._onset or began
            if last is not None and began - last < BRIDGE_SECONDS:
                self._go_on(heard, before, edge)
            else:
                self._before = (self._heard_at, self._counted_at, self._spoke, self._any_voice)
                self._came_at = now - (place - began)
                self._counting = False
                self._end_stretch()
                self._stretches.append(Stretch(began, ended, seconds, counts))
        self._clear_until = place
        if counts and not self._counting:
            self._counted_from = place - seconds
            self._clear = 0.0
        self._counting = counts
        if self._stretches[-1].clear >= LEAST_SECONDS:
            self._heard_at = now
            self._heard_until = place
            self._ever = True
        if counts:
            self._stirred = True
            self._clear = clear = self._clear + seconds
            if clear >= LEAST_SECONDS:
                self._counted_at = now
                self._any_voice = True
            if clear >= CLEAR_SECONDS and place - self._counted_from >= VOICE_SECONDS:
                self._spoke = True

    def _go_on(self, heard: bytes, before: float, edge: float) -> None:
        """Have the last stretch go on over a clear block; where it ends is looked up when nothing clear follows."""
        self._stretches[-1].clear += len(heard) / SAMPLES_PER_SECOND
        self._unended = (heard, before, edge)

    def _end_stretch(self) -> None:
        """Look up the grain with which the last stretch ends."""
        if self._unended is not None:
            heard, before, edge = self._unended
            above = voiced(heard, before, edge)
            self._stretches[-1].until = above[1] if above else before + len(heard) / SAMPLES_PER_SECOND
            self._unended = None

    def _fade(self, heard: bytes, before: float, edge: float) -> None:
        """Have the last stretch end where its last word has faded."""
        self._end_stretch()
        stretch = self._stretches[-1]
        if before - stretch.until <= STOP_SECONDS:
            stretch.until = faded(heard, before, edge, stretch.until)

    def _forget(self) -> None:
        """Forget a stretch taken for voice: it was a noise that went on."""
        self._heard_at, self._counted_at, self._spoke, self._any_voice = self._before
        if self._clear_until is not None:
            self._stretches.pop()
        self._clear_until = None
        self._unended = None
        self._counting = False
