"""The notes of a recording: a file that is only ever appended to, and readable up to any end.

A line with the magic, a line of JSON (``Head``), then records: kind, size of the sound in bytes, time in microseconds
since the interview began (negative, where a clock was set back), the sound. A killed process leaves at most half a
record at the end. A process that takes the interview over begins another file.
"""

from array import array
from dataclasses import dataclass, field
import enum
import os
from pathlib import Path
import struct
from typing import BinaryIO

import msgspec

from preppald.core.frames import BYTES_PER_SAMPLE
from preppald.errors import EX_DATAERR, PreppaldError

MAGIC = b"preppald recording 1\n"
# One record at most is a second of the interviewer's audio and some; far more is damage.
LARGEST_BYTES = 16 * 1024 * 1024
# The line of JSON has four short fields.
HEAD_BYTES = 1024
RECORD = struct.Struct("<BIq")


class NotesError(PreppaldError):
    """Raised for a file of notes that cannot be read; the text names the file and the reason."""

    exit_status = EX_DATAERR


class NoteKind(enum.IntEnum):
    """The kinds of record."""

    CANDIDATE = 1  # sound that came from the candidate: s16le mono 16 kHz
    INTERVIEWER = 2  # sound that was sent to the candidate: s16le mono 24 kHz
    SILENCED = 3  # sound sent before this is not heard any more: spoken over, or nobody is there
    OVER = 4  # the interview is over: no other process goes on with it


class Head(msgspec.Struct, frozen=True, omit_defaults=True):
    """The interview of these notes. ``started_ms``: the wall clock at time 0, in milliseconds. ``block``: 0: ordinary."""

    interview_id: str
    epoch: int
    started_ms: int
    block: int = 0


def head(of: Head) -> bytes:
    return MAGIC + msgspec.json.encode(of) + b"\n"


def record(kind: NoteKind, at_us: int, pcm: bytes) -> bytes:
    return RECORD.pack(kind, len(pcm), at_us) + pcm


@dataclass(slots=True)
class Index:
    """The index of one file's records, 17 bytes of memory each: their kinds, times, and sounds' places and sizes."""

    kinds: bytearray = field(default_factory=bytearray)
    times: "array[int]" = field(default_factory=lambda: array("q"))
    places: "array[int]" = field(default_factory=lambda: array("q"))
    sizes: "array[int]" = field(default_factory=lambda: array("I"))

    def __len__(self) -> int:
        return len(self.kinds)

    @property
    def last_us(self) -> int:
        """The time of the last record; 0 for none."""
        return max(self.times, default=0)


def index(file: Path) -> Index:
    """Return the index of all whole records of a file; the record that a dying process cut off is left out.

    Raises:
        FileNotFoundError: it has gone: the recording was finished, or deleted.
        NotesError: the file holds no notes, or cannot be read.
    """
    found = Index()
    try:
        with file.open("rb") as stream:
            end = file.stat().st_size
            if end < len(MAGIC) + RECORD.size:
                return found  # the process died when it had only just begun the file
            _head(stream, file)
            place = stream.tell()
            while len(start := stream.read(RECORD.size)) == RECORD.size:
                kind, size, at_us = RECORD.unpack(start)
                place += RECORD.size
                if kind not in _KINDS or size > LARGEST_BYTES or place + size > end:
                    break
                if kind == NoteKind.OVER:
                    break  # the record comes after the goodbye, when nobody speaks any more
                found.kinds.append(kind)
                found.times.append(at_us)
                found.places.append(place)
                found.sizes.append(size - size % BYTES_PER_SAMPLE)
                place += size
                stream.seek(place)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise NotesError(f"{file} cannot be read: {error.strerror}") from error
    return found


def over(file: Path) -> bool:
    """Return whether the last record says that the interview is over. Raise OSError."""
    with file.open("rb") as stream:
        stream.seek(-min(RECORD.size, file.stat().st_size), os.SEEK_END)
        end = stream.read()
    return len(end) == RECORD.size and RECORD.unpack(end)[:2] == (NoteKind.OVER, 0)


_KINDS = frozenset(NoteKind)


def _head(stream: BinaryIO, file: Path) -> Head:
    if stream.readline(len(MAGIC)) != MAGIC:
        raise NotesError(f"{file} is not the notes of a recording, or is a newer preppald's")
    try:
        return msgspec.json.decode(stream.readline(HEAD_BYTES), type=Head)
    except msgspec.DecodeError as error:
        raise NotesError(f"{file} has a damaged beginning") from error
