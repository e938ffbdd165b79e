"""Renders notes to sound: stereo, 16 kHz, 16 bits; the candidate on the left, the interviewer on the right.

The candidate's 16 kHz stay as they came; the interviewer's 24 kHz are converted, which only costs while the interviewer
speaks. The work goes second by second, so that only the index grows with the interview.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
import contextlib
from dataclasses import dataclass, field
import os
from pathlib import Path
from typing import BinaryIO

from preppald.audio import downsample
from preppald.core.frames import BYTES_PER_SAMPLE, INPUT_SAMPLE_RATE_HZ, OUTPUT_SAMPLE_RATE_HZ
from preppald.recording import notes
from preppald.recording.notes import NoteKind
from preppald.recording.timeline import MICROSECONDS, Heard, Span, spoken

RATE_HZ = INPUT_SAMPLE_RATE_HZ
CHANNELS = 2
FRAME_BYTES = CHANNELS * BYTES_PER_SAMPLE


@dataclass(slots=True)
class _Pieces:
    """The places of pieces of sound: the numbers of their files, their offsets, their lengths in samples."""

    files: "array[int]" = field(default_factory=lambda: array("H"))
    places: "array[int]" = field(default_factory=lambda: array("q"))
    lengths: "array[int]" = field(default_factory=lambda: array("I"))

    def add(self, file: int, place: int, length: int) -> int:
        """Add a piece; return its number."""
        self.files.append(file)
        self.places.append(place)
        self.lengths.append(length)
        return len(self.files) - 1


class Notes:
    """All notes of an interview, by however many processes; ``close`` it.

    ``frames``: how long its recording is, in samples of each channel. It can be read after its files were removed.

    Raises:
        FileNotFoundError: a file has gone: the recording was finished, or deleted.
        NotesError, OSError: one holds no notes, or cannot be read.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._candidate = _Pieces()
        self._interviewer = _Pieces()
        self._came = array("q")
        self._heard = Heard(OUTPUT_SAMPLE_RATE_HZ)
        last_us = 0
        for number, file in enumerate(files):
            index = notes.index(file)
            # A clock that was set back between two processes must not put one's sound over the other's.
            first_us = min(index.times, default=last_us)
            late_us = max(0, last_us - first_us)
            # Sound still queued when the process before was gone was not heard.
            self._heard.cut(last_us)
            for record in range(len(index)):
                self._add(index, record, number, late_us)
            last_us = max(last_us, index.last_us + late_us)
        self._heard.cut(last_us)
        self.frames = last_us * RATE_HZ // MICROSECONDS
        with contextlib.ExitStack() as failing:
            self._files: list[BinaryIO] = [failing.enter_context(file.open("rb")) for file in files]
            failing.pop_all()

    def _add(self, index: notes.Index, record: int, number: int, late_us: int) -> None:
        at_us = index.times[record] + late_us
        place, length = index.places[record], index.sizes[record] // BYTES_PER_SAMPLE
        match index.kinds[record]:
            case NoteKind.CANDIDATE:
                self._candidate.add(number, place, length)
                self._came.append(at_us)
            case NoteKind.INTERVIEWER:
                self._heard.sent(self._interviewer.add(number, place, length), length, at_us)
            case _:
                self._heard.cut(at_us)

    def close(self) -> None:
        for file in self._files:
            file.close()

    def candidate(self) -> Iterator[bytes]:
        """Yield the candidate's channel, a second at a time, s16le."""
        said = self._track(spoken(self._came, self._candidate.lengths, RATE_HZ), self._candidate, RATE_HZ)
        for left_frames in range(self.frames, 0, -RATE_HZ):
            yield next(said)[:left_frames].tobytes()

    def blocks(self) -> Iterator[bytes]:
        """Yield the recording, a second at a time, channels interleaved, s16le."""
        said = spoken(self._came, self._candidate.lengths, RATE_HZ)
        left = self._track(said, self._candidate, RATE_HZ)
        right = _converted(self._track(self._heard.spans, self._interviewer, OUTPUT_SAMPLE_RATE_HZ))
        left_frames = self.frames
        while left_frames > 0:
            stereo = array("h", bytes(RATE_HZ * FRAME_BYTES))
            stereo[0::2] = next(left)
            stereo[1::2] = next(right)
            yield stereo[: left_frames * CHANNELS].tobytes()
            left_frames -= RATE_HZ

    def _track(self, spans: Iterable[Span], pieces: _Pieces, rate_hz: int) -> "Iterator[array[int]]":
        """Yield one channel, a second at a time, for ever: silence where there is nothing."""
        todo = iter(spans)
        span = next(todo, None)
        at = 0
        while True:
            block = array("h", bytes(rate_hz * BYTES_PER_SAMPLE))
            while span is not None and span.start < at + rate_hz:
                # The rest, which does not fit into this second, goes into the next.
                length = min(span.length, at + rate_hz - span.start)
                samples = self._samples(pieces, span, length)
                begin = span.start - at
                block[begin : begin + len(samples)] = samples
                if length < span.length:
                    span = Span(span.number, span.start + length, span.skip + length, span.length - length)
                else:
                    span = next(todo, None)
            yield block
            at += rate_hz

    def _samples(self, pieces: _Pieces, span: Span, length: int) -> "array[int]":
        file = self._files[pieces.files[span.number]]
        place = pieces.places[span.number] + span.skip * BYTES_PER_SAMPLE
        data = os.pread(file.fileno(), length * BYTES_PER_SAMPLE, place)
        return array("h", data[: len(data) - len(data) % BYTES_PER_SAMPLE])


def _converted(track: "Iterator[array[int]]") -> "Iterator[array[int]]":
    """Yield a track of 24 kHz seconds as one of 16 kHz seconds. Silence costs nothing."""
    pad = downsample.PAD
    silence = array("h", bytes(RATE_HZ * BYTES_PER_SAMPLE))
    before, now = array("h", bytes(pad * BYTES_PER_SAMPLE)), next(track)
    for after in track:
        known = before + now + after[:pad]
        yield downsample.downsampled(known) if any(known) else silence
        before, now = now[-pad:], after
