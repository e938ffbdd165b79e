"""Turns a setting's text into a value: each reader takes the text and raises ``Invalid`` with the allowed values."""

from collections.abc import Callable
from pathlib import Path
import re
from typing import Literal

from preppald.config.reading import beginning
from preppald.core.brief import DEFAULT_BRIEF, TEMPLATE_CHARS, Brief, TemplateError
from preppald.core.prices import Prices, parse as parse_prices
from preppald.core.vocabulary import MAX_TERM_CHARS, MAX_TERMS

UNIT_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|)")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
_SIZE = re.compile(r"([0-9]{1,15})([KMGT]?)")
_SIZE_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
# Gemini has had as many for Live at a time.
MAX_MODELS = 8
# Of the longest template, all of it in characters of four bytes.
MAX_TEMPLATE_BYTES = 4 * TEMPLATE_CHARS
_MODEL = re.compile(r"(?:models/)?[a-z0-9][a-z0-9.-]{0,99}")


class Invalid(ValueError):
    """Raised for a text that is no such value; the message says what is allowed."""


def text(raw: str) -> str:
    return raw


def path(raw: str) -> Path:
    return Path(raw)


def optional_path(raw: str) -> Path | None:
    return Path(raw) if raw else None


def brief(raw: str) -> Brief:
    """Return the checked template of a file; the built-in one where no file is named."""
    if not raw:
        return DEFAULT_BRIEF
    try:
        data = beginning(Path(raw), MAX_TEMPLATE_BYTES + 1)
        if len(data) > MAX_TEMPLATE_BYTES:
            raise Invalid(f"is longer than {TEMPLATE_CHARS} characters")
        return Brief(data.decode("utf-8"), raw)
    except OSError as error:
        raise Invalid(f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Invalid("is not UTF-8 text") from error
    except TemplateError as error:
        raise Invalid(str(error)) from error


def model_name(raw: str) -> str:
    """Return the model's name, which becomes a part of a URL's path."""
    if _MODEL.fullmatch(raw) is None:
        raise Invalid("is not a model's name, like gemini-3.5-flash-lite")
    return raw.removeprefix("models/")


def model_names(raw: str) -> tuple[str, ...]:
    """Return the names, separated by commas, each of them once."""
    found = tuple(filter(None, (part.strip() for part in raw.split(","))))
    if len(set(found)) < len(found):
        raise Invalid("names a model twice")
    if len(found) > MAX_MODELS:
        raise Invalid(f"names {len(found)} models; {MAX_MODELS} at most")
    return found


def price_table(raw: str) -> Prices:
    try:
        return parse_prices(raw)
    except ValueError as error:
        raise Invalid(str(error)) from error


def optional_size(raw: str) -> int | None:
    """Return bytes, from "536870912", "512M" or "2G"; None for "not set"."""
    if not raw:
        return None
    match = _SIZE.fullmatch(raw)
    if match is None or not int(match[1]):
        raise Invalid("is not a size like 512M or 2G")
    return int(match[1]) * _SIZE_UNITS[match[2]]


def terms(raw: str) -> tuple[str, ...]:
    """Return the terms, separated by commas: so many, and so long, as Gemini takes."""
    found = tuple(filter(None, (" ".join(part.split()) for part in raw.split(","))))
    if len(found) > MAX_TERMS:
        raise Invalid(f"names {len(found)} terms; {MAX_TERMS} at most")
    if too_long := [term for term in found if len(term) > MAX_TERM_CHARS]:
        raise Invalid(f"holds {too_long[0]!r}, which is longer than {MAX_TERM_CHARS} characters")
    return found


def name(raw: str) -> str:
    if not _NAME.fullmatch(raw):
        raise Invalid("must be 1 to 32 of A-Z a-z 0-9 _ -")
    return raw


def optional(read: Callable[[str], str]) -> Callable[[str], str]:
    """Return the same reader, with empty text for "not set"."""
    return lambda raw: read(raw) if raw else ""


def fitting(*allowed: str) -> Callable[[str], str]:
    """Read one of these, or nothing: load.py then takes what fits the backend's wire."""
    read = one_of(*allowed)
    return lambda raw: read(raw) if raw else ""


def one_of(*allowed: str) -> Callable[[str], str]:
    def read(raw: str) -> str:
        if raw not in allowed:
            raise Invalid(f"is not one of {', '.join(allowed)}")
        return raw

    return read


def whole_number(*, least: int, most: int) -> Callable[[str], int]:
    def read(raw: str) -> int:
        # Bounded before int() has it: Python refuses to read thousands of digits.
        if not (re.fullmatch(r"[0-9]{1,12}", raw) and least <= int(raw) <= most):
            raise Invalid(f"is not a whole number from {least} to {most}")
        return int(raw)

    return read


def duration(*, least: float, most: float) -> Callable[[str], float]:
    """Return seconds, from "90", "90s", "15m", "1h", "30d" or "250ms"."""

    def read(raw: str) -> float:
        match = _DURATION.fullmatch(raw)
        if match is None:
            raise Invalid("is not a duration like 90s, 15m or 1h")
        seconds = float(match[1]) * UNIT_SECONDS[match[2]]
        if not least <= seconds <= most:
            raise Invalid(f"is not between {as_duration(least)} and {as_duration(most)}")
        return seconds

    return read


def retention(*, most: float) -> Callable[[str], float | Literal["delivered"]]:
    """Return seconds, or "delivered" as it stands."""
    read_seconds = duration(least=0, most=most)

    def read(raw: str) -> float | Literal["delivered"]:
        if raw == "delivered":
            return "delivered"
        try:
            return read_seconds(raw)
        except Invalid as error:
            raise Invalid(f'{error}, nor "delivered"') from error

    return read


def optional_duration(*, least: float, most: float) -> Callable[[str], float]:
    """Return a duration, or -1 for "not set"."""
    read = duration(least=least, most=most)
    return lambda raw: read(raw) if raw else -1.0


def durations(*, least: float, most: float) -> Callable[[str], tuple[float, ...]]:
    """Return durations separated by commas, the longest first; "none" for none at all."""
    read = duration(least=least, most=most)

    def read_all(raw: str) -> tuple[float, ...]:
        parts = () if raw == "none" else filter(None, map(str.strip, raw.split(",")))
        return tuple(sorted(map(read, parts), reverse=True))

    return read_all


def secret(least: int) -> Callable[[str], str]:
    """Return a reader of secrets. ``least``: bytes."""

    def read(raw: str) -> str:
        if not raw.isprintable() or not raw.isascii():
            raise Invalid("holds a character that no secret should: use printable ASCII")
        if len(raw) < least:
            raise Invalid(
                f"is shorter than {least} bytes: make one with `openssl rand -hex 32`, and set the same where the other side "
                "reads it"
            )
        return raw

    return read


def api_key(raw: str) -> str:
    """Return a key for Gemini. A blank in it is a comment, or half of another line."""
    if " " in raw:
        raise Invalid("holds a blank, as no key does: a comment needs a line of its own")
    return secret(1)(raw)


def as_duration(seconds: float) -> str:
    """Return the shortest exact way to write a duration."""
    for unit in ("d", "h", "m"):
        size = UNIT_SECONDS[unit]
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def written(value: object) -> str:
    """Return a value as its setting's text would be."""
    if isinstance(value, float):
        return as_duration(value) if value >= 0 else ""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(written(item) for item in value)
    return str(value)
