"""How a setting's text becomes a value: each reader takes the text and raises ``Invalid`` with what is allowed."""

from collections.abc import Callable
from dataclasses import dataclass
import ipaddress
from pathlib import Path
import re
import stat
from urllib.parse import urlsplit

from preppald.core.brief import DEFAULT_BRIEF, Brief, TemplateError
from preppald.core.prices import Prices, parse as parse_prices

_UNITS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|)")
_PORT = re.compile(r"[0-9]{1,5}")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")
_SIZE = re.compile(r"([0-9]{1,15})([KMGT]?)")
_SIZE_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_MODEL = re.compile(r"(?:models/)?[a-z0-9][a-z0-9.-]{0,99}")
_LINE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)")
# A secret in a file is a line; a larger file is a mistake.
MAX_SECRET_FILE_BYTES = 16 * 1024
# The whole configuration is 3 KiB with all comments.
MAX_ENV_FILE_BYTES = 64 * 1024

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


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

    @property
    def http(self) -> str:
        """The same origin for plain requests."""
        return f"{'https' if self.secure else 'http'}://{self.authority}{self.path}"

    def __str__(self) -> str:
        return f"{'wss' if self.secure else 'ws'}://{self.authority}{self.path}"


def text(raw: str) -> str:
    return raw


def path(raw: str) -> Path:
    return Path(raw)


def optional_path(raw: str) -> Path | None:
    return Path(raw) if raw else None


def brief(raw: str) -> Brief:
    """The template in a file, checked; the built-in one where none is named."""
    if not raw:
        return DEFAULT_BRIEF
    try:
        return Brief(Path(raw).read_text("utf-8"), raw)
    except OSError as error:
        raise Invalid(f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Invalid("is not UTF-8 text") from error
    except TemplateError as error:
        raise Invalid(str(error)) from error


def model_name(raw: str) -> str:
    """It becomes a part of a URL's path."""
    if _MODEL.fullmatch(raw) is None:
        raise Invalid("is not a model's name, like gemini-3.5-flash-lite")
    return raw.removeprefix("models/")


def price_table(raw: str) -> Prices:
    try:
        return parse_prices(raw)
    except ValueError as error:
        raise Invalid(str(error)) from error


def optional_size(raw: str) -> int | None:
    """Bytes, from "536870912", "512M" or "2G"; None for "not set"."""
    if not raw:
        return None
    match = _SIZE.fullmatch(raw)
    if match is None or not int(match[1]):
        raise Invalid("is not a size like 512M or 2G")
    return int(match[1]) * _SIZE_UNITS[match[2]]


def networks(raw: str) -> tuple[Network, ...]:
    """Addresses and networks separated by commas; "none" for no one."""
    if raw in {"", "none"}:
        return ()
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in raw.split(","))
    except ValueError:
        raise Invalid(
            "is not a list of addresses or networks like 10.0.0.0/8,2001:db8::1, nor none"
        ) from None


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
    """Seconds, from "90", "90s", "15m", "1h", "30d" or "250ms"."""

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
    """Durations separated by commas, the longest first; "none" for none at all."""
    read = duration(least=least, most=most)

    def read_all(raw: str) -> tuple[float, ...]:
        parts = () if raw == "none" else filter(None, map(str.strip, raw.split(",")))
        return tuple(sorted(map(read, parts), reverse=True))

    return read_all


def secret(least: int) -> Callable[[str], str]:
    """``least``: bytes."""

    def read(raw: str) -> str:
        if not raw.isprintable() or not raw.isascii():
            raise Invalid("holds a character that no secret should: use printable ASCII")
        if len(raw) < least:
            raise Invalid(f"is shorter than {least} bytes")
        return raw

    return read


def secret_file(file: Path) -> str:
    """The first line of a file that only its owner (and group) may read."""
    return _private_text(file, MAX_SECRET_FILE_BYTES, "not a secret").strip()


def env_file(file: Path) -> dict[str, str]:
    """``NAME=value`` lines, as systemd's EnvironmentFile= has them: values bare or in quotes, # and ; for comments."""
    found: dict[str, str] = {}
    text = _private_text(file, MAX_ENV_FILE_BYTES, "not an env file")
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if not line or line[0] in "#;":
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            # The line may hold a secret: its number has to do.
            raise Invalid(f"{file}, line {number}: is not NAME=value")
        value = match[2].strip()
        quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'"
        found[match[1]] = value[1:-1] if quoted else value
    return found


def _private_text(file: Path, most_bytes: int, what_else: str) -> str:
    try:
        state = file.stat()
        if state.st_mode & stat.S_IROTH:
            raise Invalid(f"{file} may be read by everybody on this machine: chmod o-r it")
        if state.st_size > most_bytes:
            raise Invalid(f"{file} is larger than {most_bytes} bytes: {what_else}")
        return file.read_text(encoding="utf-8")
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


def _default_port(scheme: str) -> int:
    return 443 if scheme in {"https", "wss"} else 80


def http_url(raw: str) -> str:
    _split(raw, ("http", "https"), "https://app.example.com")
    return raw.rstrip("/")


def websocket_endpoint(raw: str) -> Endpoint:
    scheme, host, port, prefix = _split(raw, ("ws", "wss"), "wss://host or ws://127.0.0.1:9000")
    return Endpoint(scheme == "wss", host, port or _default_port(scheme), prefix)


def origins(raw: str) -> tuple[str, ...]:
    """Origins as browsers send them: small letters, and the port only where it is not the scheme's own."""
    found = []
    for origin in filter(None, map(str.strip, raw.split(","))):
        scheme, host, port, prefix = _split(origin, ("http", "https"), "https://app.example.com")
        which = "" if origin == raw else f"holds {origin!r}, which "
        if prefix or origin.endswith("/"):
            raise Invalid(f"{which}has a path; an origin is scheme, host and port only")
        if not host.isascii():
            raise Invalid(f"{which}is not how browsers send it: write the host as xn--…")
        found.append(Endpoint(scheme == "https", host, port or _default_port(scheme), "").http)
    return tuple(found)


def as_duration(seconds: float) -> str:
    """The shortest exact way to write it."""
    for unit in ("d", "h", "m"):
        size = _UNITS[unit]
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def written(value: object) -> str:
    """A value as its setting's text would be."""
    if isinstance(value, float):
        return as_duration(value) if value >= 0 else ""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ",".join(written(item) for item in value)
    return str(value)
