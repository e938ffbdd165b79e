"""How a setting's text becomes a value, and what is said of one that is none."""

from collections.abc import Callable
from typing import Any

from hypothesis import given, strategies as st
import pytest

from preppald.config import addresses, values as parse
from preppald.config.addresses import Address
from preppald.config.values import Invalid

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


def test_a_retention_is_a_duration_or_as_short_as_can_be() -> None:
    read = parse.retention(most=3600)
    assert (read("30m"), read("0"), read("delivered")) == (1800, 0, "delivered")
    assert parse.written(read("delivered")) == "delivered"
    for raw, why in (("soon", "is not a duration like 90s, 15m or 1h"), ("2h", "is not between 0s and 1h")):
        with pytest.raises(Invalid, match=f'{why}, nor "delivered"'):
            read(raw)


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
    addresses.address,
    addresses.websocket_endpoint,
    addresses.http_url,
    addresses.origins,
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
