"""How a setting's text becomes a value: each reader takes the text and raises ``Invalid`` with what is allowed."""

from collections.abc import Callable
from dataclasses import dataclass
import ipaddress
from pathlib import Path
import re
import stat
from urllib.parse import urlsplit

_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|)")
_PORT = re.compile(r"[0-9]{1,5}")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
# A secret in a file is a line; a larger file is a mistake.
MAX_SECRET_FILE_BYTES = 16 * 1024


class Invalid(ValueError):
    """The text is no such value; the message says what is allowed."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A WebSocket origin; ``path`` is a prefix without a slash at its end."""

    secure: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """For the Host header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{'wss' if self.secure else 'ws'}://{self.authority}{self.path}"


def text(raw: str) -> str:
    return raw


def path(raw: str) -> Path:
    return Path(raw)


def name(raw: str) -> str:
    if not _NAME.fullmatch(raw):
        raise Invalid("must be 1 to 32 of A-Z a-z 0-9 _ -")
    return raw


def optional(read: Callable[[str], str]) -> Callable[[str], str]:
    """The same reader, with empty text for "not set"."""
    return lambda raw: read(raw) if raw else ""


def one_of(*allowed: str) -> Callable[[str], str]:
    def read(raw: str) -> str:
        if raw not in allowed:
            raise Invalid(f"is not one of {', '.join(allowed)}")
        return raw

    return read


def whole_number(*, least: int, most: int) -> Callable[[str], int]:
    def read(raw: str) -> int:
        if not (raw.isascii() and raw.isdigit() and least <= int(raw[:12]) <= most):
            raise Invalid(f"is not a whole number from {least} to {most}")
        return int(raw)

    return read


def duration(*, least: float, most: float) -> Callable[[str], float]:
    """Seconds, from "90", "90s", "15m", "1h" or "250ms"."""

    def read(raw: str) -> float:
        match = _DURATION.fullmatch(raw)
        if match is None:
            raise Invalid("is not a duration like 90s, 15m or 1h")
        seconds = float(match[1]) * _UNITS[match[2]]
        if not least <= seconds <= most:
            raise Invalid(f"is not between {as_duration(least)} and {as_duration(most)}")
        return seconds

    return read


def optional_duration(*, least: float, most: float) -> Callable[[str], float]:
    """A duration, or -1 for "not set"."""
    read = duration(least=least, most=most)
    return lambda raw: read(raw) if raw else -1.0


def durations(*, least: float, most: float) -> Callable[[str], tuple[float, ...]]:
    """Durations separated by commas, the longest first; none for empty text."""
    read = duration(least=least, most=most)
    return lambda raw: tuple(
        sorted((read(part.strip()) for part in raw.split(",") if part.strip()), reverse=True)
    )


def secret(least: int) -> Callable[[str], str]:
    """``least``: bytes."""

    def read(raw: str) -> str:
        if len(raw.encode()) < least:
            raise Invalid(f"is shorter than {least} bytes")
        if not raw.isprintable() or not raw.isascii():
            raise Invalid("holds a character that no secret should: use printable ASCII")
        return raw

    return read


def secret_file(file: Path) -> str:
    """The first line of a file that only its owner (and group) may read."""
    try:
        state = file.stat()
        if state.st_mode & stat.S_IROTH:
            raise Invalid(f"{file} may be read by everybody on this machine: chmod o-r it")
        if state.st_size > MAX_SECRET_FILE_BYTES:
            raise Invalid(f"{file} is larger than {MAX_SECRET_FILE_BYTES} bytes: not a secret")
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Invalid(f"{file} is not text") from error


def address(raw: str) -> Address:
    """``host:port``; an IPv6 host in brackets; port 0 lets the system choose."""
    host, colon, port = raw.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not _PORT.fullmatch(port) or int(port) > 65535:
        raise Invalid("is not host:port, like 127.0.0.1:8787 or [::1]:8787")
    if host != "localhost":
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise Invalid(
                "does not name an address of this machine: use an IP address or localhost"
            ) from None
    return Address(host, int(port))


def _split(raw: str, schemes: tuple[str, ...], example: str) -> tuple[str, str, int | None, str]:
    try:
        parts = urlsplit(raw)
        port = parts.port
    except ValueError:
        raise Invalid(f"is not a URL like {example}") from None
    if parts.scheme not in schemes or not parts.hostname:
        raise Invalid(f"is not a URL like {example}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise Invalid("must have no user, password, query or fragment")
    return parts.scheme, parts.hostname, port, parts.path.rstrip("/")


def http_url(raw: str) -> str:
    _split(raw, ("http", "https"), "https://app.example.com")
    return raw.rstrip("/")


def websocket_endpoint(raw: str) -> Endpoint:
    scheme, host, port, prefix = _split(raw, ("ws", "wss"), "wss://host or ws://127.0.0.1:9000")
    secure = scheme == "wss"
    return Endpoint(secure, host, port or (443 if secure else 80), prefix)


def origins(raw: str) -> tuple[str, ...]:
    """Exact origins: scheme and host, and the port where it is not the scheme's own."""
    found = tuple(part.strip() for part in raw.split(",") if part.strip())
    for origin in found:
        _, _, _, prefix = _split(origin, ("http", "https"), "https://app.example.com")
        if prefix or origin.endswith("/"):
            raise Invalid(f"{origin!r} has a path; an origin is scheme, host and port only")
    return found


def as_duration(seconds: float) -> str:
    """The shortest exact way to write it."""
    for unit in ("h", "m"):
        size = _UNITS[unit]
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def written(value: object) -> str:
    """A value as its setting's text would be."""
    if isinstance(value, float):
        return as_duration(value) if value >= 0 else ""
    if isinstance(value, tuple):
        return ",".join(written(item) for item in value)
    return str(value)
