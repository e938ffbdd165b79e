"""How a setting's text becomes a value, and what is said of one that is none."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import given, strategies as st
import pytest

from preppald import parse
from preppald.parse import Address, Endpoint, Invalid

HOUR_AT_MOST = parse.duration(least=1, most=3600)


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [("90", 90), ("90s", 90), ("15m", 900), ("1h", 3600), ("2500ms", 2.5), ("1.5m", 90), ("1", 1)],
)
def test_a_duration_has_its_unit_or_is_seconds(raw: str, seconds: float) -> None:
    assert HOUR_AT_MOST(raw) == pytest.approx(seconds)


@pytest.mark.parametrize("raw", ["", "s", "-1s", "1 h", "1w", "1e3", "nan", "inf", "0x10", "1h30m", "1,5"])
def test_what_is_no_duration_is_told_an_example(raw: str) -> None:
    with pytest.raises(Invalid, match="is not a duration like 90s, 15m or 1h"):
        HOUR_AT_MOST(raw)


@pytest.mark.parametrize("raw", ["0", "0.9s", "61m", "2h", "9" * 400])
def test_a_duration_out_of_its_bounds_is_told_them(raw: str) -> None:
    with pytest.raises(Invalid, match="is not between 1s and 1h"):
        HOUR_AT_MOST(raw)


def test_several_durations_are_sorted_longest_first_and_may_be_none() -> None:
    read = parse.durations(least=1, most=3600)
    assert read("1m, 5m,30s,") == (300, 60, 30)
    assert read("") == ()
    with pytest.raises(Invalid):
        read("1m,x")


def test_an_optional_duration_says_none_by_being_negative() -> None:
    read = parse.optional_duration(least=0, most=10)
    assert read("") < 0
    assert read("0") == 0


@pytest.mark.parametrize(
    ("raw", "address", "written"),
    [
        ("127.0.0.1:8787", Address("127.0.0.1", 8787), "127.0.0.1:8787"),
        ("0.0.0.0:0", Address("0.0.0.0", 0), "0.0.0.0:0"),
        ("[::1]:80", Address("::1", 80), "[::1]:80"),
        ("::1:80", Address("::1", 80), "[::1]:80"),
        ("localhost:65535", Address("localhost", 65535), "localhost:65535"),
    ],
)
def test_an_address_is_host_and_port(raw: str, address: Address, written: str) -> None:
    assert parse.address(raw) == address
    assert str(address) == written


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "8787",
        ":8787",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:x",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:²",
        "127.0.0.1:" + "9" * 5000,
        "example.com:80",
        "999.0.0.1:80",
        "[]:80",
    ],
)
def test_what_is_no_address_is_refused(raw: str) -> None:
    """Names of other machines too: one can only listen on an address of one's own."""
    with pytest.raises(Invalid, match=r"host:port|address of this machine"):
        parse.address(raw)


@pytest.mark.parametrize(
    ("raw", "endpoint", "authority"),
    [
        ("wss://example.com", Endpoint(secure=True, host="example.com", port=443, path=""), "example.com"),
        (
            "wss://example.com:443/",
            Endpoint(secure=True, host="example.com", port=443, path=""),
            "example.com",
        ),
        (
            "ws://127.0.0.1:9000/gemini/",
            Endpoint(secure=False, host="127.0.0.1", port=9000, path="/gemini"),
            "127.0.0.1:9000",
        ),
        ("ws://[::1]", Endpoint(secure=False, host="::1", port=80, path=""), "[::1]"),
        (
            "wss://example.com:80/x",
            Endpoint(secure=True, host="example.com", port=80, path="/x"),
            "example.com:80",
        ),
    ],
)
def test_an_endpoint_knows_its_host_header(raw: str, endpoint: Endpoint, authority: str) -> None:
    assert parse.websocket_endpoint(raw) == endpoint
    assert endpoint.authority == authority
    assert parse.websocket_endpoint(str(endpoint)) == endpoint


@pytest.mark.parametrize(
    "raw",
    [
        "example.com",
        "https://example.com",
        "wss://",
        "wss://u:p@example.com",
        "wss://example.com?key=1",
        "wss://example.com#x",
        "wss://example.com:99999",
        "wss://[::1",
        "",
    ],
)
def test_what_is_no_endpoint_is_refused(raw: str) -> None:
    """With a key in it, it would end in a log."""
    with pytest.raises(Invalid):
        parse.websocket_endpoint(raw)


def test_an_application_has_an_origin_and_perhaps_a_path() -> None:
    assert parse.http_url("https://app.example.com/") == "https://app.example.com"
    assert parse.http_url("http://127.0.0.1:3000/base/") == "http://127.0.0.1:3000/base"
    with pytest.raises(Invalid):
        parse.http_url("ftp://app.example.com")


def test_origins_are_scheme_host_and_port_only() -> None:
    """They are compared letter by letter with what a browser sends."""
    assert parse.origins("") == ()
    assert parse.origins("https://a.example, http://localhost:3000,") == (
        "https://a.example",
        "http://localhost:3000",
    )
    # As a browser would write what an operator wrote.
    assert parse.origins(
        "HTTPS://App.Example:443,http://a.example:80,https://a.example:8443,http://[::1]:80"
    ) == (
        "https://app.example",
        "http://a.example",
        "https://a.example:8443",
        "http://[::1]",
    )
    for bad in (
        "https://a.example/",
        "https://a.example/x",
        "a.example",
        "*",
        "null",
        "https://bücher.example",
    ):
        with pytest.raises(Invalid):
            parse.origins(bad)


@pytest.mark.parametrize(
    ("read", "good", "bad"),
    [
        (parse.one_of("json", "console"), "json", "JSON"),
        (parse.whole_number(least=1, most=100_000), "100000", "100001"),
        (parse.whole_number(least=1, most=100_000), "1", "0"),
        (parse.whole_number(least=1, most=100_000), "7", "9" * 5000),
        (parse.whole_number(least=1, most=100_000), "7", "²"),
        (parse.whole_number(least=1, most=100_000), "7", "1.5"),
        (parse.name, "node-1", "node 1"),
        (parse.name, "x" * 32, "x" * 33),
        (parse.name, "a", "../a"),
        (parse.secret(4), "abcd", "abc"),
        (parse.secret(4), "abcd", "ab\tcd"),
        (parse.secret(4), "abcd", "pässword"),
        (parse.optional(parse.secret(4)), "", "abc"),
    ],
)
def test_readers_take_the_good_and_refuse_the_bad(read: Callable[[str], Any], good: str, bad: str) -> None:
    assert str(read(good)) == good
    with pytest.raises(Invalid):
        read(bad)


READERS = [
    parse.address,
    parse.websocket_endpoint,
    parse.http_url,
    parse.origins,
    parse.name,
    HOUR_AT_MOST,
    parse.durations(least=1, most=60),
    parse.whole_number(least=1, most=9),
    parse.secret(1),
]


@given(st.text(max_size=40) | st.from_regex(r"\A(wss?|https?)://[^\s]{0,20}\Z"))
def test_any_text_is_a_value_or_invalid(raw: str) -> None:
    """A reader that raises anything else would hide all the other faults behind a traceback."""
    for read in READERS:
        try:
            read(raw)
        except Invalid:
            continue


# ------------------------------------------------------------------ secrets in files


def test_a_secret_file_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("0123456789\n")
    file.chmod(0o600)
    assert parse.secret_file(file) == "0123456789"


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
        parse.secret_file(file)


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="No such file or directory"):
        parse.secret_file(tmp_path / "nowhere")
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    with pytest.raises(Invalid, match="Is a directory"):
        parse.secret_file(folder)


# ------------------------------------------------------------------ written again


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3600.0, "1h"),
        (5400.0, "90m"),
        (90.0, "90s"),
        (0.3, "0.3s"),
        (0.0, "0s"),
        (-1.0, ""),
        ((300.0, 60.0), "5m,1m"),
        ((), ""),
        (Address("::1", 1), "[::1]:1"),
        (500, "500"),
    ],
)
def test_a_value_is_shown_as_its_setting_would_be_written(value: object, text: str) -> None:
    assert parse.written(value) == text


@given(st.floats(1, 3600, allow_nan=False))
def test_a_duration_that_is_shown_reads_as_itself(seconds: float) -> None:
    assert HOUR_AT_MOST(parse.as_duration(seconds)) == pytest.approx(seconds, rel=1e-4)
