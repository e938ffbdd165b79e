"""Finished recordings: WAV written here; FLAC and Opus by their own encoders, processes that are on most machines.

No codec is in the binary: an encoder is found on PATH, or a WAV is written. Sound passes through pipes, a second at a
time. A WAV's header is right from its first byte, for the length is known before the sound.
"""

from collections.abc import Iterable, Iterator
import contextlib
import os
from pathlib import Path
import shutil
import struct
import subprocess
import sys
import tempfile
from typing import IO, BinaryIO

from preppald.errors import EX_IOERR, EX_UNAVAILABLE, PreppaldError
from preppald.recording.render import CHANNELS, FRAME_BYTES, RATE_HZ
from preppald.recording.shelf import FILE_MODE

FORMATS = ("wav", "flac", "opus")
# RIFF, its size, WAVE; "fmt ", 16, the format; "data", its size.
HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
FORMAT_PCM = 1
# RIFF's sizes are 32 bits: 18 hours.
MAX_WAV_BYTES = 0xFFFF_FFFF - HEADER.size
# Of an output's name, in the name of its part: a file's name has 255 bytes at most.
PART_CHARS = 40
# Copied at a time: a second.
PIECE_BYTES = RATE_HZ * FRAME_BYTES
# Speech on two channels, of which one is silent most of the time: transparent, and a tenth of FLAC.
OPUS_KBIT = 64

_RAW = ("--force-raw-format", "--endian=little", "--sign=signed")
_PCM = ("-f", "s16le", "-ar", str(RATE_HZ), "-ac", str(CHANNELS))
_OPUS_RAW = ("--raw", "--raw-bits", "16", "--raw-rate", str(RATE_HZ), "--raw-chan", str(CHANNELS))
# The first that is installed is taken. Encoders write a file, not a pipe: only then does its header hold its length.
ENCODERS: dict[str, list[list[str]]] = {
    "flac": [
        ["flac", "--silent", "--force", *_RAW, f"--channels={CHANNELS}", "--bps=16", f"--sample-rate={RATE_HZ}", "-o", "FILE", "-"],
        ["ffmpeg", "-v", "error", "-nostdin", "-y", *_PCM, "-i", "pipe:0", "-f", "flac", "FILE"],
    ],
    "opus": [
        ["opusenc", "--quiet", *_OPUS_RAW, "--bitrate", str(OPUS_KBIT), "-", "FILE"],
        ["ffmpeg", "-v", "error", "-nostdin", "-y", *_PCM, "-i", "pipe:0", "-c:a", "libopus", "-b:a", f"{OPUS_KBIT}k", "-f", "ogg", "FILE"],
    ],
}  # fmt: skip
DECODERS = [
    ["flac", "--silent", "--decode", *_RAW, "--stdout", "FILE"],
    ["ffmpeg", "-v", "error", "-nostdin", "-i", "FILE", *_PCM, "pipe:1"],
]
# An encoder with all its input is done in a moment; a slower one is stuck.
CODEC_SECONDS = 60.0


class FileError(PreppaldError):
    """Raised for a file that cannot be written or read; the text names the file and the reason."""

    exit_status = EX_IOERR


class NoCodec(PreppaldError):
    """Raised where no program for a format is installed."""

    exit_status = EX_UNAVAILABLE


def encoder(form: str) -> str | None:
    """Return the program that would write this format, if one is installed."""
    found = _first(ENCODERS[form])
    return None if found is None else found[0]


def kept_format() -> str:
    """Return the format of finished recordings: without loss, and small where that is possible."""
    return "flac" if encoder("flac") else "wav"


@contextlib.contextmanager
def replacing(output: Path) -> Iterator[Path]:
    """Yield a file to write, readable by its owner only, that takes the place of ``output`` when it is whole.

    Until then what was there stays as it was, also behind a link. Into a pipe or a device it is copied.

    Raises:
        FileError: it cannot be put there.
    """
    with contextlib.ExitStack() as failing:
        try:
            if output.exists() and not output.is_file():
                directory = failing.enter_context(tempfile.TemporaryDirectory(prefix="preppald-"))
                target = os.open(output, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY)
                stream = failing.enter_context(os.fdopen(target, "wb"))
                part = Path(directory) / "output"
            else:
                output = Path(os.path.realpath(output))  # which no circle of links ends
                descriptor, name = tempfile.mkstemp(".part", f"{output.name[:PART_CHARS]}.", output.parent)
                os.close(descriptor)
                stream, part = None, Path(name)
                failing.callback(part.unlink, missing_ok=True)
        except OSError as error:
            raise _unwritable(output, error) from error
        yield part
        try:
            if stream is None:
                part.rename(output)
            else:
                with part.open("rb") as source:
                    shutil.copyfileobj(source, stream)
                stream.flush()
        except OSError as error:
            raise _unwritable(output, error) from error


def write(file: Path, form: str, frames: int, blocks: Iterable[bytes]) -> None:
    """Write a file, readable by its owner only. ``blocks``: stereo s16le, 16 kHz; ``frames``: their length in all.

    It is the caller's own: what was in it is lost (see ``replacing``).

    Raises:
        FileError: the file cannot be written, or the encoder failed; no file is left then.
        NoCodec: no program here writes this format.
    """
    # Before anything is touched.
    command = None if form == "wav" else _encoder(form)
    try:
        with contextlib.ExitStack() as failing:
            failing.callback(file.unlink, missing_ok=True)
            with os.fdopen(
                os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE), "wb"
            ) as stream:
                if command is None:
                    _write_wav(stream, file, frames, blocks)
            if command is not None:
                _encode(file, command, blocks)
            failing.pop_all()
    except OSError as error:
        raise _unwritable(file, error) from error


def read(file: Path) -> tuple[int, Iterator[bytes]]:
    """Return the frames of a finished recording, and its sound.

    Raises:
        FileError: the file is damaged, or the decoder failed.
        NoCodec: no program here reads this format.
    """
    frames = length(file)
    if frames is None:
        raise FileError(f"{file} is damaged: its length is not known")
    return frames, _read_wav(file) if file.suffix == ".wav" else _decode(file)


def copy(file: Path, output: Path) -> None:
    """Copy a finished recording as it is, readable by its owner only; into a file of the caller's own, as of ``write``.

    Raises:
        FileError: the copy cannot be written.
        OSError: the recording cannot be opened; FileNotFoundError where it has gone.
    """
    with file.open("rb") as source:
        try:
            descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
            with os.fdopen(descriptor, "wb") as target:
                shutil.copyfileobj(source, target)
        except OSError as error:
            raise _unwritable(output, error) from error


def length(file: Path) -> int | None:
    """Return a finished recording's frames, by its header; None where that is silent about them.

    Raises:
        FileError: the file cannot be read.
        FileNotFoundError: it has gone.
    """
    try:
        with file.open("rb") as stream:
            start = stream.read(HEADER.size)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise FileError(f"{file} cannot be read: {error.strerror}") from error
    if start[:4] == b"RIFF" and len(start) == HEADER.size:
        return int.from_bytes(start[-4:], "little") // FRAME_BYTES
    if start[:4] == b"fLaC" and len(start) >= 26:
        # STREAMINFO (RFC 9639 §8.2): after 18 bytes 36 bits from the middle of one.
        return int.from_bytes(start[21:26], "big") & 0xF_FFFF_FFFF
    return None


def _unwritable(file: Path, error: OSError) -> FileError:
    return FileError(f"{file} cannot be written: {error.strerror or error}")


def _write_wav(stream: BinaryIO, file: Path, frames: int, blocks: Iterable[bytes]) -> None:
    size = frames * FRAME_BYTES
    if size > MAX_WAV_BYTES:
        raise FileError(f"{file} would be larger than a WAV file can be: take flac or opus")
    stream.write(
        HEADER.pack(
            b"RIFF", HEADER.size - 8 + size, b"WAVE", b"fmt ", 16, FORMAT_PCM, CHANNELS, RATE_HZ,
            RATE_HZ * FRAME_BYTES, FRAME_BYTES, 16, b"data", size,
        )
    )  # fmt: skip
    stream.writelines(blocks)


def _read_wav(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        stream.seek(HEADER.size)
        while block := stream.read(PIECE_BYTES):
            yield block


def _encoder(form: str) -> list[str]:
    command = _first(ENCODERS[form])
    if command is None:
        raise NoCodec(f"no encoder for {form} is on PATH: install {_names(ENCODERS[form])}, or take wav")
    return command


def _encode(file: Path, command: list[str], blocks: Iterable[bytes]) -> None:
    with _running(command, file, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        try:
            with _pipe(process.stdin) as sound:
                for block in blocks:
                    sound.write(block)
        except BrokenPipeError:
            pass  # the decoder reports the reason
        _check(process, command[0], file)


def _decode(file: Path) -> Iterator[bytes]:
    command = _first(DECODERS)
    if command is None:
        raise NoCodec(f"no decoder for {file} is on PATH: install {_names(DECODERS)}")
    with _running(command, file, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        sound = _pipe(process.stdout)
        while block := sound.read(PIECE_BYTES):
            yield block
        _check(process, command[0], file)


@contextlib.contextmanager
def _running(
    command: list[str], file: Path, *, stdin: int, stdout: int
) -> Iterator["subprocess.Popen[bytes]"]:
    argv = [str(file.absolute()) if word == "FILE" else word for word in command]
    with subprocess.Popen(  # noqa: S603 - a fixed command with the path of a recording
        argv, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, env=_environment()
    ) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def _check(process: "subprocess.Popen[bytes]", name: str, file: Path) -> None:
    """Raise FileError when the program failed, with its own last words."""
    try:
        process.wait(CODEC_SECONDS)
    except subprocess.TimeoutExpired:
        raise FileError(f"{name} does not finish with {file}") from None
    if process.returncode:
        words = _pipe(process.stderr).read(4096).decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise FileError(f"{name} failed with {file} (status {process.returncode}): {words or 'no words'}")


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise AssertionError("a pipe was asked for")
    return stream


def _environment() -> dict[str, str]:
    """Return an environment for the system's programs: without the library path of a one-file binary."""
    env = dict(os.environ)
    if getattr(sys, "frozen", False):
        original = env.pop("LD_LIBRARY_PATH_ORIG", None)
        env.pop("LD_LIBRARY_PATH", None)
        return env if original is None else {**env, "LD_LIBRARY_PATH": original}
    return env


def _first(commands: list[list[str]]) -> list[str] | None:
    return next((command for command in commands if shutil.which(command[0])), None)


def _names(commands: list[list[str]]) -> str:
    return " or ".join(command[0] for command in commands)
