"""The env file is read as systemd reads it: against its own reader, in its own library, and a table of its answers.

``python -m tests.test_env_file`` writes the table anew, on a machine that has systemd.
"""

import ctypes
from functools import cache
import json
import os
from pathlib import Path
import sys
import tempfile

from hypothesis import HealthCheck, example, given, settings, strategies as st
import pytest

from preppald.config import secret_files
from preppald.config.env_file import NAME, EnvFileError, parse
from preppald.config.load import load
from preppald.errors import ConfigError
from tests.world import SETTINGS

TABLE = Path(__file__).with_name("env_files.json")
# Set where the library has to be there: in CI, on Debian 12 and 13.
REQUIRED = "TESTS_NEED_SYSTEMD"
LIBRARIES = ("/usr/lib/*-linux-gnu/systemd/libsystemd-shared-*.so", "/usr/lib/systemd/libsystemd-shared-*.so")

# Each stands for a kind: every one was read otherwise by somebody.
ODD = [
    "A=b\n",
    "A = b\n",
    "  A=b  \n",
    "A=b # c\n",
    "A= \n",
    "A=\n",
    "A\n",
    "=b\n",
    "1A=b\n",
    "A-B=c\n",
    "export A=b\n",
    "A=b\nA=c\n",
    "A=b",
    "A=b\r\nB=c\r\n",
    "A=b\rB=c",
    "# c\n; d\nA=b\n",
    "# c \\\nA=b\n",
    'A="b"\n',
    "A='b'\n",
    'A="b" c\n',
    'A="b" # c\n',
    'A="b"c"d"\n',
    'A="b\n',
    "A='b\nB=c\n",
    'A="b\nc"\n',
    'A="b\\"c\\\\d\\$e\\`f"\n',
    'A="b\\nc\\qd"\n',
    "A='b\\'c'\n",
    "A=b\\nc\\ d\\\\\n",
    "A=b\\\nc\n",
    'A="b\\\nc"\n',
    "A=b\\",
    "A=b\u0085c\u2028d\n",
    "\ufeffA=b\n",
    "A=b\0c\n",
    "A=b\ufffec\n",
]


def libraries() -> list[Path]:
    return [file for pattern in LIBRARIES for file in sorted(Path("/").glob(pattern[1:]))]


@cache
def _load_env_file() -> "ctypes._NamedFuncPointer":
    found = libraries()
    if not found:
        if os.environ.get(REQUIRED):
            pytest.fail(f"{REQUIRED} is set, and there is no libsystemd-shared")
        pytest.skip("there is no libsystemd-shared here: its answers are in env_files.json")
    function = ctypes.CDLL(str(found[-1])).load_env_file
    function.argtypes = [
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.POINTER(ctypes.POINTER(ctypes.c_char_p)),
    ]
    function.restype = ctypes.c_int
    return function


def by_systemd(data: bytes) -> dict[str, str] | None:
    """What a service would get: None where systemd refuses the file; invalid names it drops, with a line in its log."""
    function = _load_env_file()
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        lines = ctypes.POINTER(ctypes.c_char_p)()
        if function(None, file.name.encode(), ctypes.byref(lines)) < 0:
            return None
    found: dict[str, str] = {}
    if ctypes.cast(lines, ctypes.c_void_p).value is None:
        return found
    index = 0
    while (line := lines[index]) is not None:
        name, _, value = line.decode().partition("=")
        if NAME.fullmatch(name):
            found[name] = value
        index += 1
    return found


def by_us(data: bytes) -> dict[str, str] | None:
    """None for a refusal."""
    try:
        return parse(data)
    except EnvFileError:
        return None


# ------------------------------------------------------------------ against the library

TOKENS = [
    "A",
    "B_1",
    "é",
    "x",
    "=",
    '"',
    "'",
    "\\",
    "\n",
    "\r",
    " ",
    "\t",
    "#",
    ";",
    "$",
    "`",
    "-",
    "export ",
]
RARE = ["\u0085", "\u2028", "\xa0", "\ufeff", "\0", "\ufffe", "\x0b", "\x1b"]
NAMES = st.sampled_from(["A", "JWT_SECRET", "_x", "B1"])
VALUES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0") | st.sampled_from("='#;$` \"\\\n\r")
).filter(lambda text: not any(0xFDD0 <= ord(char) <= 0xFDEF or ord(char) & 0xFFFE == 0xFFFE for char in text))
many = settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@many
@given(st.lists(st.sampled_from(TOKENS) | st.sampled_from(TOKENS + RARE), max_size=40).map("".join))
@example("A=b\\ \n")
@example('A="b"  c  \n')
def test_the_same_values_or_a_refusal(text: str) -> None:
    ours = by_us(text.encode())
    if ours is not None:
        assert ours == by_systemd(text.encode())


@many
@given(st.binary(max_size=60))
def test_any_bytes(data: bytes) -> None:
    ours = by_us(data)
    if ours is not None:
        assert ours == by_systemd(data)


def in_double_quotes(value: str) -> str:
    return '"' + "".join(f"\\{char}" if char in '"\\`$' else char for char in value) + '"'


def bare(value: str) -> str:
    return "".join(f"\\{char}" for char in value)


@many
@given(st.lists(st.tuples(NAMES, VALUES, st.sampled_from([in_double_quotes, bare])), max_size=5))
def test_what_is_written_properly_is_read(lines: list[tuple[str, str, object]]) -> None:
    """Any value in double quotes, and any that has no line end as it stands: none of it is refused."""
    text, wanted = "", {}
    for name, value, write in lines:
        if write is bare and ("\n" in value or "\r" in value):
            continue
        text += f"{name}={in_double_quotes(value) if write is in_double_quotes else bare(value)}\n"
        wanted[name] = value
    assert parse(text.encode()) == wanted
    assert by_systemd(text.encode()) == wanted


# ------------------------------------------------------------------ its answers, everywhere


def table() -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(TABLE.read_text("utf-8"))
    return found


@pytest.mark.parametrize("row", table(), ids=lambda row: ascii(row["file"]))
def test_the_odd_files(row: dict[str, object]) -> None:
    data = str(row["file"]).encode()
    ours = by_us(data)
    assert ours == row["ours"]
    assert ours in (None, row["systemd"])


def test_the_table_is_of_these_files() -> None:
    assert [row["file"] for row in table()] == ODD


def test_the_table_is_what_the_library_says() -> None:
    """On a systemd of another version, too."""
    for row in table():
        if row["ours"] is not None:
            assert by_systemd(str(row["file"]).encode()) == row["systemd"], row["file"]


# ------------------------------------------------------------------ what is said


def faults_of(tmp_path: Path, content: bytes) -> list[str]:
    file = tmp_path / "env"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(ConfigError) as raised:
        load({**SETTINGS, "PREPPALD_ENV_FILE": str(file)})
    return [fault.removeprefix(f"PREPPALD_ENV_FILE: {file}, ") for fault in raised.value.faults]


def test_every_fault_of_a_file_is_reported_at_once(tmp_path: Path) -> None:
    """Each with its line; the line itself may hold a secret."""
    content = (
        b"\xef\xbb\xbfA=b\n"
        b"my-secret-of-many-characters\n"
        b"export JWT_SECRET=s3cret\r\n"
        b'B="c" # s3cret\n'
        b"# note \\\n"
        b"C=\xff\n"
        b"D=good\n"
        b'E="s3cret\n'
    )
    faults = faults_of(tmp_path, content)
    assert faults == [
        "line 6: holds a byte that is no UTF-8",
        "line 1: begins with a byte order mark: save the file as UTF-8 without one",
        "line 2: is not NAME=value",
        "line 3: is not NAME=value: systemd knows no export",
        "line 4: a comment behind a value would be part of it: give it a line of its own",
        "line 5: a comment ends in a backslash, and versions of systemd differ about the next line",
        "line 8: a quote begins here and never ends",
    ]
    assert "s3cret" not in "".join(faults)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"A=b\0c\n", "line 1: holds a NUL, or what is no character"),
        (b"\r\n\r\nA=\xef\xbf\xbe", "line 3: holds a NUL, or what is no character"),
        (b"\rA", "line 2: is not NAME=value"),
        (b"A='", "line 1: a quote begins here and never ends"),
        (b"A=" + b"b" * 1_000_000, "is larger than 65536 bytes: not an env file"),
    ],
)
def test_a_fault_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    (fault,) = faults_of(tmp_path, content)
    assert words in fault


def test_a_comment_behind_the_key_is_no_key() -> None:
    with pytest.raises(ConfigError, match=r"GEMINI_API_KEY: \(hidden\) holds a blank"):
        load({**SETTINGS, "GEMINI_API_KEY": "key # of the project"})


def test_what_is_no_file_is_not_read() -> None:
    with pytest.raises(ValueError, match="/dev/zero is a device"):
        secret_files.env_file(Path("/dev/zero"))


def test_a_pipe_is_read_within_the_bound(tmp_path: Path) -> None:
    """``JWT_SECRET_FILE=<(pass show jwt)``: it has no size beforehand."""
    for size, good in ((100, True), (20_000, False)):
        reading, writing = os.pipe()
        try:
            os.write(writing, b"x" * size)
            os.close(writing)
            if good:
                assert secret_files.secret_file(Path(f"/dev/fd/{reading}")) == "x" * size
            else:
                with pytest.raises(ValueError, match="is larger than 16384 bytes"):
                    secret_files.secret_file(Path(f"/dev/fd/{reading}"))
        finally:
            os.close(reading)


def test_a_name_that_is_set_again_is_told_with_both_lines(tmp_path: Path) -> None:
    """A secret that was pasted below the old one; the values are told nowhere."""
    file = tmp_path / "env"
    file.write_text("A=old\n# c\nB=x\nA='new\nline'\nA=last\n")
    file.chmod(0o600)
    assert secret_files.repeated(file) == [
        f"{file}, line 4: sets A again: it counts, and line 1 does not",
        f"{file}, line 6: sets A again: it counts, and line 4 does not",
    ]
    assert secret_files.env_file(file) == {"A": "last", "B": "x"}
    assert secret_files.repeated(tmp_path / "none") == []


if __name__ == "__main__":
    rows = [{"file": it, "systemd": by_systemd(it.encode()), "ours": by_us(it.encode())} for it in ODD]
    TABLE.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    sys.stdout.write(f"{len(rows)} files, by {libraries()[-1].name}\n")
