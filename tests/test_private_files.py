"""Files that hold secrets, and what is said of one that cannot."""

import os
from pathlib import Path
import threading

import pytest

from preppald.config import reading
from preppald.config.secret_files import secret_file
from preppald.config.values import Invalid, brief
from preppald.core.brief import TEMPLATE_CHARS


def test_a_secret_file_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("0123456789\n")
    file.chmod(0o600)
    assert secret_file(file) == "0123456789"


@pytest.mark.parametrize(
    ("content", "mode", "words"),
    [
        (b"x", 0o644, "may be read by everybody on this machine: chmod o-r it"),
        (b"x" * 20_000, 0o600, "is larger than 16384 bytes"),
        (b"\xff\xfe", 0o600, "is not text"),
    ],
)
def test_a_file_that_cannot_be_a_secret_is_refused(
    tmp_path: Path, content: bytes, mode: int, words: str
) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    file.chmod(mode)
    with pytest.raises(Invalid, match=words):
        secret_file(file)


def test_a_pipe_is_not_read_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen before: a named pipe without a writer held up the start for ever, and at a reload every interview."""
    monkeypatch.setattr(reading, "PIPE_SECONDS", 0.1)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    with pytest.raises(Invalid, match="cannot be read: it is a pipe without an end within"):
        secret_file(pipe)


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    """As of PREPPALD_ENV_FILE=<(a command)."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    writing = threading.Thread(target=pipe.write_text, args=("0123456789\n",))
    writing.start()
    assert secret_file(pipe) == "0123456789"
    writing.join()


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_a_device_is_no_file(device: str) -> None:
    with pytest.raises(Invalid, match="is a device"):
        secret_file(Path(device))
    with pytest.raises(Invalid, match="cannot be read: it is a device"):
        brief(device)


def test_a_brief_is_read_no_further_than_it_may_be_long(tmp_path: Path) -> None:
    file = tmp_path / "brief"
    for letter in "aé€😀":
        file.write_text(letter * TEMPLATE_CHARS, "utf-8")
        assert brief(str(file)).template == letter * TEMPLATE_CHARS
        file.write_text(letter * 10_000_000, "utf-8")
        with pytest.raises(Invalid, match="is longer than 20000 characters"):
            brief(str(file))


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="No such file or directory"):
        secret_file(tmp_path / "nowhere")
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    with pytest.raises(Invalid, match="Is a directory"):
        secret_file(folder)
