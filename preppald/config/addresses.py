"""Reads addresses, URLs, origins and networks from the text of settings."""

import contextlib
from dataclasses import dataclass
import ipaddress
import re
from urllib.parse import unquote, urlsplit

from preppald.config.values import Invalid
from preppald.net.proxy import Proxy

_PORT = re.compile(r"[0-9]{1,5}")
# RFC 1123 knows no underscores, and yet a container's service may have one in its name.
_HOST = re.compile(r"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*")
MAX_HOST_CHARS = 253
# RFC 3986's path, without the comma: a comma means two URLs.
_PATH = re.compile(r"[A-Za-z0-9._~!$&'()*+;=:@%/-]*")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Address:
    """An address to listen at, or to connect to."""

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
        """The origin for the Host header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"

    @property
    def http(self) -> str:
        """The same origin for plain requests."""
        return self.http_at(self.path)

    def http_at(self, path: str) -> str:
        """Return the URL of another path at this origin, for plain requests."""
        return f"{'https' if self.secure else 'http'}://{self.authority}{path}"

    def __str__(self) -> str:
        return f"{'wss' if self.secure else 'ws'}://{self.authority}{self.path}"


def address(raw: str) -> Address:
    """Return the address in ``host:port``; an IPv6 host in brackets; port 0 lets the system choose."""
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


def optional_address(raw: str) -> Address | None:
    """Return the address to listen at; None for "not set"."""
    return address(raw) if raw else None


def far_address(raw: str) -> Address | None:
    """Return where others connect to: ``host:port``, with a host's name or an IP address; None for "not set"."""
    if not raw:
        return None
    host, _, port = raw.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or host_fault(host) or not _PORT.fullmatch(port) or not 0 < int(port) <= 65535:
        raise Invalid("is not host:port, like 10.0.0.5:8788 or host-a.internal:8788")
    where = Address(host, int(port))
    if unspecified(where):
        raise Invalid("is no address that anybody could connect to: name one of this machine's")
    return where


def unspecified(where: Address) -> bool:
    """Return whether this stands for every address of a machine: 0.0.0.0 or [::]."""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(where.host).is_unspecified
    return False


def address_list(raw: str) -> tuple[Address, ...]:
    """Addresses separated by commas, each once."""
    parts = [part.strip() for part in raw.split(",")]
    if len(parts) == 1:
        return (address(raw),)
    found: list[Address] = []
    for part in parts:
        try:
            found.append(address(part))
        except Invalid as error:
            raise Invalid(f"holds {part!r}, which {error}") from error
    if len({one for one in found if one.port}) < sum(one.port > 0 for one in found):
        raise Invalid("names an address twice")
    return tuple(found)


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
    if not _PATH.fullmatch(parts.path):
        raise Invalid(
            f"is not one URL like {example}: its path holds a character that must be written as %xx"
        )
    if fault := host_fault(parts.hostname):
        raise Invalid(f"is not a URL like {example}: {fault}")
    return parts.scheme, parts.hostname, port, parts.path.rstrip("/")


def host_fault(host: str) -> str:
    """Return what is wrong with a host, in words; empty for an IP address, or a name that could be resolved."""
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host)
        return ""
    try:
        name = host.removesuffix(".").encode("idna").decode("ascii")
    except UnicodeError:
        return "each part of its host between two dots has 1 to 63 characters"
    if not _HOST.fullmatch(name) or len(name) > MAX_HOST_CHARS:
        return "its host is no name; one URL has one host, without blanks or commas"
    if name.rpartition(".")[2].isdigit():
        return "its host is no IP address"
    return ""


def _default_port(scheme: str) -> int:
    return 443 if scheme in {"https", "wss"} else 80


def http_url(raw: str) -> str:
    _split(raw, ("http", "https"), "https://app.example.com")
    return raw.rstrip("/")


def proxy(raw: str) -> Proxy | None:
    """Return a proxy's address, perhaps with a user and a password; None for "not set". The scheme may be left out."""
    if not raw:
        return None
    example = "http://proxy.example.com:3128"
    try:
        parts = urlsplit(raw if "://" in raw else f"http://{raw}")
        port = parts.port
    except ValueError:
        raise Invalid(f"is not a URL like {example}") from None
    if parts.scheme != "http":
        raise Invalid(
            f"is not a proxy that is spoken to in plain HTTP, like {example}: no other kind is supported"
        )
    host = parts.hostname or ""
    if not host or host_fault(host) or parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise Invalid(f"is not a URL like {example}")
    return Proxy(host, port or 80, unquote(parts.username or ""), unquote(parts.password or ""))


def hosts(raw: str) -> tuple[str, ...]:
    """Hosts, domains, addresses or networks separated by commas, as NO_PROXY has them."""
    return tuple(filter(None, map(str.strip, raw.split(","))))


def websocket_endpoint(raw: str) -> Endpoint:
    scheme, host, port, prefix = _split(raw, ("ws", "wss"), "wss://host or ws://127.0.0.1:9000")
    return Endpoint(scheme == "wss", host, port or _default_port(scheme), prefix)


def origins(raw: str) -> tuple[str, ...]:
    """Return origins as browsers send them: small letters, and the port only where it is not the scheme's own."""
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


def networks(raw: str) -> tuple[Network, ...]:
    """Return the networks of a list separated by commas; "none" for an empty one."""
    if raw in {"", "none"}:
        return ()
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in raw.split(","))
    except ValueError:
        raise Invalid(
            "is not a list of addresses or networks like 10.0.0.0/8,2001:db8::1, nor none"
        ) from None
