"""WAV files in pieces: never more than a piece in memory.

``WavReader`` gives mono 16-bit samples from any uncompressed 16-bit file of one or two channels.
``WavWriter`` writes mono 16-bit PCM whose header is right whenever it is closed, and usable before that.
"""

from array import array
from collections.abc import Iterator
import contextlib
import os
from pathlib import Path
import stat
import struct
import sys
from typing import BinaryIO

from preppald.errors import EX_DATAERR, EX_IOERR, PreppaldError

SAMPLE_BYTES = 2
# The rates of telephones and studios; anything beyond is a broken header.
MIN_RATE_HZ = 8_000
MAX_RATE_HZ = 192_000
# 85 ms at 48 kHz: large enough to read well, small enough to forget.
PIECE_FRAMES = 4_096

FORMAT_PCM = 0x0001
FORMAT_EXTENSIBLE = 0xFFFE
FORMAT_NAMES = {
    0x0002: "MS ADPCM compression",
    0x0003: "floating point samples",
    0x0006: "A-law compression",
    0x0007: "µ-law compression",
    0x0011: "IMA ADPCM compression",
    0x0031: "GSM 6.10 compression",
    0x0055: "MP3 compression",
}
# The last 14 bytes of an extensible format's GUID, whose first two are a plain format tag.
EXTENSIBLE_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")
# RIFF, its size, WAVE; "fmt ", 16, the format; "data", its size.
HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
# Programs that write into a pipe cannot know the size, and write this instead: "until the end".
UNKNOWN_SIZE = 0xFFFF_FFFF
# RIFF's sizes are 32 bits: 24 hours at 24 kHz.
MAX_DATA_BYTES = 0xFFFF_FFFF - HEADER.size


class BadWavError(PreppaldError):
    """Raised for a file that cannot be spoken; the text names the file and the reason."""

    exit_status = EX_DATAERR


class CannotWriteError(PreppaldError):
    """Raised for a file that cannot be written; the text names the file and the reason."""

    exit_status = EX_IOERR


class WavReader:
    """A WAV file, open at its first sample.

    ``rate``: Hz. ``frames``: samples per channel, or None when the header does not know (a pipe).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file: BinaryIO = path.open("rb")
        except OSError as error:
            raise BadWavError(f"{path} cannot be read: {error.strerror or error}") from error
        try:
            data_bytes = self._find_samples()
        except BaseException:
            self._file.close()
            raise
        self._left_bytes = data_bytes
        self.frames = None if data_bytes is None else data_bytes // self._frame_bytes

    def pieces(self, piece_frames: int = PIECE_FRAMES) -> Iterator["array[int]"]:
        """Yield the samples from here on, both channels mixed, at most ``piece_frames`` at a time.

        Raises:
            BadWavError: the file ends before its samples do.
        """
        while piece := self._read_samples(piece_frames):
            yield piece if self._channels == 1 else _mixed(piece)

    def close(self) -> None:
        self._file.close()

    def _find_samples(self) -> int | None:
        """Read the chunks up to the samples; return the samples' size in bytes, None when unknown."""
        self._expect_riff()
        format_seen = False
        while True:
            header = self._header_bytes(8, "it has no samples (no data chunk)")
            name, size = header[:4], int.from_bytes(header[4:], "little")
            if name == b"data":
                break
            if name == b"fmt ":
                self._read_format(size)
                format_seen = True
            else:
                self._skip(size)
            self._skip(size % 2)  # chunks begin at even offsets
        if not format_seen:
            raise self._bad("it does not say its format (no fmt chunk before the samples)")
        return self._checked_size(size)

    def _expect_riff(self) -> None:
        form = self._read(12)
        if not form:
            raise self._bad("it is empty")
        if form[:4] in {b"RIFX", b"RF64", b"BW64"}:
            raise self._bad(f"it is {form[:4].decode()}, and only plain RIFF files are read")
        if len(form) < 12 or form[:4] != b"RIFF" or form[8:] != b"WAVE":
            raise self._bad("it is not a WAV file")

    def _read_format(self, size: int) -> None:
        if not 16 <= size <= 1024:
            raise self._bad(f"its format chunk has {size} bytes")
        body = self._header_bytes(size, "it ends within its header")
        tag, self._channels, self.rate, _, block_bytes, bits = struct.unpack_from("<HHIIHH", body)
        if tag == FORMAT_EXTENSIBLE and body[26:40] == EXTENSIBLE_GUID_TAIL:
            (tag,) = struct.unpack_from("<H", body, 24)
        if tag != FORMAT_PCM:
            raise self._bad(f"it holds {FORMAT_NAMES.get(tag, f'format {tag:#06x}')}, not 16-bit PCM")
        if bits != 8 * SAMPLE_BYTES:
            raise self._bad(f"its samples have {bits} bits, not 16")
        if self._channels not in {1, 2}:
            raise self._bad(f"it has {self._channels} channels, not one or two")
        if not MIN_RATE_HZ <= self.rate <= MAX_RATE_HZ:
            raise self._bad(f"its sample rate is {self.rate} Hz, not {MIN_RATE_HZ} to {MAX_RATE_HZ}")
        self._frame_bytes: int = SAMPLE_BYTES * self._channels
        if block_bytes != self._frame_bytes:
            raise self._bad(f"its header contradicts itself: {block_bytes} bytes a frame")

    def _checked_size(self, declared: int) -> int | None:
        """Return the size of the samples in whole frames. A regular file must really be as long as its header says."""
        details = os.fstat(self._file.fileno())
        if stat.S_ISREG(details.st_mode):
            held = details.st_size - self._file.tell()
            if declared == UNKNOWN_SIZE:
                declared = held
            if held < declared:
                raise self._bad(f"it is truncated: {held} of {declared} bytes of samples are there")
        elif declared == UNKNOWN_SIZE:
            return None
        whole = declared - declared % self._frame_bytes
        if whole == 0:
            raise self._bad("it holds no samples")
        return whole

    def _read_samples(self, piece_frames: int) -> "array[int]":
        wanted = piece_frames * self._frame_bytes
        if self._left_bytes is not None:
            wanted = min(wanted, self._left_bytes)
        raw = self._read(wanted)
        if self._left_bytes is not None:
            if len(raw) < wanted:
                raise self._bad("it is truncated: it ends before its samples do")
            self._left_bytes -= wanted
        samples = array("h")
        samples.frombytes(raw[: len(raw) - len(raw) % self._frame_bytes])
        if sys.byteorder == "big":  # pragma: no cover
            samples.byteswap()
        return samples

    def _header_bytes(self, size: int, complaint: str) -> bytes:
        read = self._read(size)
        if len(read) < size:
            raise self._bad(complaint)
        return read

    def _skip(self, size: int) -> None:
        """Read over ``size`` bytes; a pipe cannot seek."""
        while size > 0 and (read := self._read(min(size, 65_536))):
            size -= len(read)

    def _read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:
            raise BadWavError(f"{self.path} cannot be read: {error.strerror or error}") from error

    def _bad(self, complaint: str) -> BadWavError:
        return BadWavError(f"{self.path} cannot be used: {complaint}")


def _mixed(stereo: "array[int]") -> "array[int]":
    """Return the mean of left and right, which are interleaved."""
    return array("h", [(left + right) >> 1 for left, right in zip(stereo[::2], stereo[1::2], strict=True)])


class WavWriter:
    """A mono 16-bit WAV file that grows. ``rate``: Hz.

    Until it is closed its header says "until the end", so that a file left by a killed process still plays.
    Beyond 4 GiB (24 hours at 24 kHz) nothing more is kept.
    """

    def __init__(self, path: Path, rate: int) -> None:
        self._path = path
        self._rate = rate
        self._bytes = 0
        with self._complaining():
            self._file = path.open("wb")
            self._file.write(self._header(UNKNOWN_SIZE))

    def write(self, pcm: bytes) -> None:
        """Add PCM, 16-bit little-endian."""
        pcm = pcm[: MAX_DATA_BYTES - self._bytes]
        with self._complaining():
            self._file.write(pcm)
        self._bytes += len(pcm)

    def close(self) -> None:
        """Write the true sizes and close, whatever happens."""
        if self._file.closed:
            return
        with self._complaining(), contextlib.closing(self._file):
            if self._file.seekable():
                self._file.seek(0)
                self._file.write(self._header(self._bytes))

    def _header(self, data_bytes: int) -> bytes:
        return HEADER.pack(
            b"RIFF",
            min(data_bytes + HEADER.size - 8, UNKNOWN_SIZE),
            b"WAVE",
            b"fmt ",
            16,
            FORMAT_PCM,
            1,
            self._rate,
            self._rate * SAMPLE_BYTES,
            SAMPLE_BYTES,
            8 * SAMPLE_BYTES,
            b"data",
            data_bytes,
        )

    @contextlib.contextmanager
    def _complaining(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CannotWriteError(f"{self._path} cannot be written: {error.strerror or error}") from error
