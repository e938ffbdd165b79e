"""Files that hold secrets, and what is said of one that cannot."""

from pathlib import Path

import pytest

from preppald.config.secret_files import secret_file
from preppald.config.values import Invalid


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


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="No such file or directory"):
        secret_file(tmp_path / "nowhere")
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    with pytest.raises(Invalid, match="Is a directory"):
        secret_file(folder)
