"""Recordings through the real encoders: what goes in comes out, sample by sample where nothing may be lost."""

from array import array
from collections.abc import Callable, Iterator
import itertools
import math
from pathlib import Path
import shutil
import subprocess

import pytest

from preppald.recording import files
from preppald.recording.render import FRAME_BYTES, RATE_HZ

SECONDS = 3
Only = Callable[..., None]
LEFT_HZ, RIGHT_HZ = 440, 1000


def sound() -> Iterator[bytes]:
    """Two tones, one on each side."""
    for second in range(SECONDS):
        stereo = array("h", bytes(RATE_HZ * FRAME_BYTES))
        for side, hertz in ((0, LEFT_HZ), (1, RIGHT_HZ)):
            step = 2 * math.pi * hertz / RATE_HZ
            stereo[side::2] = array(
                "h",
                (round(8000 * math.sin(step * at)) for at in range(second * RATE_HZ, (second + 1) * RATE_HZ)),
            )
        yield stereo.tobytes()


@pytest.fixture
def only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Only:
    """A PATH with these programs and no others; one that is not installed is a failure."""

    def choose(*names: str) -> None:
        directory = tmp_path / "bin"
        directory.mkdir()
        for name in names:
            found = shutil.which(name)
            assert found is not None, f"{name} is not installed"
            (directory / name).symlink_to(found)
        monkeypatch.setenv("PATH", str(directory))

    return choose


@pytest.mark.parametrize("program", ["flac", "ffmpeg"])
def test_flac_loses_nothing(program: str, only: Only, tmp_path: Path) -> None:
    """Its header knows its length, and every sample comes back; for its owner only."""
    only(program)
    file = tmp_path / "iv-1.1.flac"
    assert files.kept_format() == "flac"
    files.write(file, "flac", SECONDS * RATE_HZ, sound())
    assert files.length(file) == SECONDS * RATE_HZ
    frames, blocks = files.read(file)
    assert (frames, b"".join(blocks)) == (SECONDS * RATE_HZ, b"".join(sound()))
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("encoder", "decoder"), [("opusenc", "opusdec"), ("ffmpeg", "ffmpeg")])
def test_opus_keeps_the_sides_apart(encoder: str, decoder: str, only: Only, tmp_path: Path) -> None:
    """As long as it was, each tone on its side."""
    only(*{encoder, decoder})
    file, wav = tmp_path / "iv-1.opus", tmp_path / "iv-1.wav"
    files.write(file, "opus", SECONDS * RATE_HZ, sound())
    assert file.stat().st_mode & 0o777 == 0o600
    command = {
        "opusdec": ["opusdec", "--quiet", "--rate", str(RATE_HZ), str(file), str(wav)],
        "ffmpeg": ["ffmpeg", "-v", "error", "-i", str(file), "-ar", str(RATE_HZ), str(wav)],
    }[decoder]
    subprocess.run(command, check=True)
    samples = array("h", wav.read_bytes()[-SECONDS * RATE_HZ * FRAME_BYTES :])
    assert len(samples) == 2 * SECONDS * RATE_HZ
    for side, hertz in ((0, LEFT_HZ), (1, RIGHT_HZ)):
        half = samples[side::2]
        crossings = sum(one < 0 <= two for one, two in itertools.pairwise(half))
        assert crossings / SECONDS == pytest.approx(hertz, rel=0.02)


def test_an_encoder_that_cannot_write_says_so(only: Only, tmp_path: Path) -> None:
    """In its own words, with the file's name."""
    only("flac")
    with pytest.raises(files.FileError, match="cannot be written: No such file or directory"):
        files.write(tmp_path / "nowhere" / "iv-1.flac", "flac", 1, sound())
