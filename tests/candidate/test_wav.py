"""WAV files: what is read, what is refused and how it is said, what is written."""

from array import array
import contextlib
from contextlib import closing
import os
from pathlib import Path
import struct
import threading
import wave

from hypothesis import given, settings, strategies as st
from hypothesis.strategies import DrawFn
import pytest

from preppald.candidate import wav
from preppald.candidate.wav import BadWavError, CannotWriteError, WavReader, WavWriter

from .conftest import sine, write_wav

PCM_GUID = bytes.fromhex("0100000000001000800000aa00389b71")


def chunk(name: bytes, body: bytes, *, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(body) if size is None else size) + body + bytes(len(body) % 2)


def fmt(
    tag: int = 1, channels: int = 1, rate: int = 16_000, bits: int = 16, block: int | None = None
) -> bytes:
    block = channels * bits // 8 if block is None else block
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits))


def riff(*chunks: bytes, form: bytes = b"WAVE", name: bytes = b"RIFF") -> bytes:
    body = form + b"".join(chunks)
    return name + struct.pack("<I", len(body)) + body


def read(path: Path, piece_frames: int = 4_096) -> list[int]:
    with closing(WavReader(path)) as reader:
        return [sample for piece in reader.pieces(piece_frames) for sample in piece]


SAMPLES = array("h", range(-100, 100)).tobytes()


@pytest.mark.parametrize(
    "content",
    [
        riff(fmt(), chunk(b"data", SAMPLES)),
        riff(chunk(b"LIST", b"odd"), fmt(), chunk(b"fact", bytes(4)), chunk(b"data", SAMPLES), b"trailer"),
        riff(
            chunk(b"fmt ", struct.pack("<HHIIHHHHI", 0xFFFE, 1, 16_000, 32_000, 2, 16, 22, 16, 4) + PCM_GUID),
            chunk(b"data", SAMPLES),
        ),
        riff(fmt(), chunk(b"data", SAMPLES, size=wav.UNKNOWN_SIZE)),  # written into a pipe
        riff(fmt(), chunk(b"data", SAMPLES + b"\x01")),  # half a sample too much
    ],
    ids=["plain", "other chunks", "extensible", "unknown size", "half a sample"],
)
def test_what_is_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "answer.wav"
    path.write_bytes(content)
    assert read(path) == list(range(-100, 100))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "it is empty"),
        (b"RIFF", "it is not a WAV file"),
        (b"ID3\x03 this is an MP3 file", "it is not a WAV file"),
        (riff(form=b"AVI "), "it is not a WAV file"),
        (riff(fmt(), name=b"RIFX"), "it is RIFX, and only plain RIFF files are read"),
        (riff(fmt(), name=b"RF64"), "it is RF64, and only plain RIFF files are read"),
        (riff(fmt(tag=3, bits=32)), "it holds floating point samples, not 16-bit PCM"),
        (riff(fmt(tag=0x55)), "it holds MP3 compression, not 16-bit PCM"),
        (riff(fmt(tag=7, bits=8)), "it holds µ-law compression, not 16-bit PCM"),
        (riff(fmt(tag=0x1234)), "it holds format 0x1234, not 16-bit PCM"),
        (riff(fmt(bits=24)), "its samples have 24 bits, not 16"),
        (riff(fmt(bits=8)), "its samples have 8 bits, not 16"),
        (riff(fmt(channels=6)), "it has 6 channels, not one or two"),
        (riff(fmt(channels=0, block=0)), "it has 0 channels, not one or two"),
        (riff(fmt(rate=4_000)), "its sample rate is 4000 Hz, not 8000 to 192000"),
        (riff(fmt(rate=384_000)), "its sample rate is 384000 Hz, not 8000 to 192000"),
        (riff(fmt(block=3)), "its header contradicts itself: 3 bytes a frame"),
        (riff(chunk(b"fmt ", bytes(8))), "its format chunk has 8 bytes"),
        (riff(fmt())[:30], "it ends within its header"),
        (riff(fmt()), "it has no samples (no data chunk)"),
        (riff(fmt(), chunk(b"LIST", b"", size=10_000)), "it has no samples (no data chunk)"),
        (riff(chunk(b"data", SAMPLES)), "it does not say its format (no fmt chunk before the samples)"),
        (riff(fmt(), chunk(b"data", b"")), "it holds no samples"),
        (riff(fmt(), chunk(b"data", b"\x01")), "it holds no samples"),
        (
            riff(fmt(), chunk(b"data", SAMPLES, size=1_000)),
            "it is truncated: 400 of 1000 bytes of samples are there",
        ),
    ],
)
def test_what_is_refused_and_how_it_is_said(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "answer.wav"
    path.write_bytes(content)
    with pytest.raises(BadWavError) as caught:
        WavReader(path)
    assert str(caught.value) == f"{path} cannot be used: {complaint}"
    assert caught.value.exit_status == 65


def test_a_file_that_is_not_there_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(BadWavError, match="cannot be read: No such file or directory"):
        WavReader(tmp_path / "nothing.wav")
    with pytest.raises(BadWavError, match="cannot be read: Is a directory"):
        WavReader(tmp_path)


def test_a_disk_that_fails(monkeypatch: pytest.MonkeyPatch, two_seconds: Path) -> None:
    def failing(size: int) -> bytes:
        raise OSError(5, "Input/output error")

    with closing(WavReader(two_seconds)) as reader:
        monkeypatch.setattr(reader, "_file", type("File", (), {"read": staticmethod(failing), "close": id}))
        with pytest.raises(BadWavError, match="cannot be read: Input/output error"):
            next(reader.pieces())
        monkeypatch.undo()


def test_a_file_that_shrinks_while_it_is_read(two_seconds: Path) -> None:
    with closing(WavReader(two_seconds)) as reader:
        pieces = reader.pieces(1_000)
        next(pieces)
        os.truncate(two_seconds, 20_000)
        with pytest.raises(BadWavError, match="it is truncated: it ends before its samples do"):
            list(pieces)


@pytest.mark.parametrize("size", [None, wav.UNKNOWN_SIZE, 1_000_000])
def test_a_pipe_is_read_to_its_end(tmp_path: Path, size: int | None) -> None:
    """Its size cannot be checked beforehand: too little is noticed when it ends."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = riff(chunk(b"LIST", bytes(100_000)), fmt(), chunk(b"data", SAMPLES, size=size))
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    try:
        with closing(WavReader(pipe)) as reader:
            assert (reader.frames is None) == (size == wav.UNKNOWN_SIZE)
            pieces = reader.pieces()
            if size == 1_000_000:
                with pytest.raises(BadWavError, match="truncated"):
                    next(pieces)
            else:
                assert next(pieces).tolist() == list(range(-100, 100))
    finally:
        writer.join()


@st.composite
def samples_of(draw: DrawFn, channels: int) -> "array[int]":
    frames = draw(st.integers(1, 300))
    size = 2 * channels * frames
    return array("h", draw(st.binary(min_size=size, max_size=size)))


@settings(deadline=None)
@given(st.data(), st.integers(1, 2), st.integers(1, 100))
def test_any_file_is_read_in_pieces_and_mixed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, channels: int, piece_frames: int
) -> None:
    samples = data.draw(samples_of(channels))
    path = write_wav(tmp_path_factory.getbasetemp() / "any.wav", samples, channels=channels)
    mixed = [sum(samples[i : i + channels]) // channels for i in range(0, len(samples), channels)]
    with closing(WavReader(path)) as reader:
        pieces = list(reader.pieces(piece_frames))
        assert reader.frames == len(mixed)
    assert [sample for piece in pieces for sample in piece] == mixed
    assert max(map(len, pieces)) <= piece_frames


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"", riff(fmt()), riff(fmt())[:20]]))
def test_no_content_whatever_ends_in_a_traceback(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, beginning: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.wav"
    path.write_bytes(beginning + content)
    with contextlib.suppress(BadWavError):
        read(path)


# ------------------------------------------------------------ writing


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "reply.wav"
    writer = WavWriter(path, 24_000)
    writer.write(SAMPLES)
    writer.write(SAMPLES)
    writer.close()
    writer.close()
    with wave.open(str(path)) as file:
        assert file.getparams()[:4] == (1, 2, 24_000, 400)
        assert file.readframes(1_000) == 2 * SAMPLES
    assert path.stat().st_size == int.from_bytes(path.read_bytes()[4:8], "little") + 8


def test_a_file_that_was_never_closed_still_plays(tmp_path: Path) -> None:
    """The process was killed: the header says "until the end"."""
    path = tmp_path / "reply.wav"
    writer = WavWriter(path, 24_000)
    writer.write(SAMPLES)
    copy = tmp_path / "copy.wav"
    writer._file.flush()
    copy.write_bytes(path.read_bytes())
    writer.close()
    assert read(copy) == list(range(-100, 100))


def test_a_pipe_is_written_as_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    writer = WavWriter(pipe, 24_000)
    writer.write(SAMPLES)
    writer.close()
    reader.join()
    assert got[0].endswith(SAMPLES)


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(CannotWriteError, match="cannot be written: No such file or directory") as caught:
        WavWriter(tmp_path / "no" / "reply.wav", 24_000)
    assert caught.value.exit_status == 74


def test_beyond_four_gigabytes_nothing_more_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wav, "MAX_DATA_BYTES", 500)
    path = tmp_path / "reply.wav"
    writer = WavWriter(path, 24_000)
    for _ in range(3):
        writer.write(SAMPLES)
    writer.close()
    with wave.open(str(path)) as file:
        assert file.getnframes() == 250


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "long.wav", sine(300, 10, rate=8_000), rate=8_000)
    with closing(WavReader(path)) as reader:
        assert max(map(len, reader.pieces())) == wav.PIECE_FRAMES
