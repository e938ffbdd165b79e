"""Opens tunnels through an HTTP proxy (CONNECT, RFC 9110 §9.3.6), and knows which hosts are reached without it.

The variables are those of curl and many others: HTTPS_PROXY names the proxy for https:// and wss://, NO_PROXY the
hosts that need none. The password in a proxy's URL is shown nowhere: not in a log line, nor in an error, nor by
``check``.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
import ipaddress

import h11
import httpx
import trio

# The head of a proxy's answer; error pages come behind it and are not read.
MAX_ANSWER_BYTES = 16 * 1024
RECEIVE_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy. ``user`` and ``password`` are empty where it asks for none."""

    host: str
    port: int
    user: str = ""
    password: str = field(default="", repr=False)

    @property
    def where(self) -> str:
        """Its address, for people."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """Its URL without user and password."""
        return f"http://{self.where}"

    def __str__(self) -> str:
        user = f"{self.user}:(hidden)@" if self.user else ""
        return f"http://{user}{self.where}"


class ProxyRefused(Exception):
    """The proxy opened no tunnel. ``status``: its answer; None where that was no HTTP, or there was none."""

    def __init__(self, status: int | None) -> None:
        super().__init__(in_words(status))
        self.status = status


def in_words(status: int | None) -> str:
    """Return what a proxy's refusal means to an operator."""
    match status:
        case None:
            return "it does not answer like an HTTP proxy"
        case (
            HTTPStatus.PROXY_AUTHENTICATION_REQUIRED | HTTPStatus.UNAUTHORIZED
        ):  # tinyproxy says 401 to wrong ones
            return f"{status:d}: it wants a user and a password, or other ones, in HTTPS_PROXY"
        case HTTPStatus.FORBIDDEN:
            return "403: its rules do not allow this host"
        case _:
            return f"it answered {status}"


async def tunnel(stream: trio.abc.Stream, proxy: Proxy, host: str, port: int) -> None:
    """Ask the proxy at the stream's other end for a tunnel; the stream then leads to that host.

    Raises:
        ProxyRefused: there is none.
        trio.BrokenResourceError: the connection to the proxy broke.
    """
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    headers = [("Host", target)]
    if proxy.user:
        credentials = base64.b64encode(f"{proxy.user}:{proxy.password}".encode())
        headers.append(("Proxy-Authorization", f"Basic {credentials.decode('ascii')}"))
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_ANSWER_BYTES)
    asked = http.send(h11.Request(method="CONNECT", target=target, headers=headers))
    await stream.send_all(asked + http.send(h11.EndOfMessage()))
    status = await _answer(stream, http)
    # Behind the head of a 2xx is the tunnel, and there a server of TLS waits for us to speak first.
    if not 200 <= status < 300 or http.trailing_data[0]:
        raise ProxyRefused(status)


async def _answer(stream: trio.abc.Stream, http: h11.Connection) -> int:
    try:
        while True:
            event = http.next_event()
            if isinstance(event, h11.Response):
                return event.status_code
            if event is h11.NEED_DATA:
                http.receive_data(bytes(await stream.receive_some(RECEIVE_BYTES)))
            elif not isinstance(event, h11.InformationalResponse):
                raise ProxyRefused(None)
    except h11.RemoteProtocolError as error:
        raise ProxyRefused(None) from error


def for_httpx(proxy: Proxy | None) -> httpx.Proxy | None:
    """Return the proxy as httpx wants it."""
    if proxy is None:
        return None
    return httpx.Proxy(proxy.url, auth=(proxy.user, proxy.password) if proxy.user else None)


def bypassed(rules: Sequence[str], host: str, port: int) -> bool:
    """Return whether a host is reached without a proxy, by the rules of NO_PROXY.

    A rule is ``*``, a domain (with everything below it; a dot or ``*.`` before it changes nothing), an IP address or
    a network, each but ``*`` and a network perhaps with a port. This machine's own addresses need no rule.
    """
    host = host.rstrip(".").lower()
    address = _address(host)
    if host == "localhost" or host.endswith(".localhost") or (address is not None and address.is_loopback):
        return True
    return any(_fits(rule.strip().lower(), host, address, port) for rule in rules)


def _fits(
    rule: str, host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None, port: int
) -> bool:
    if rule == "*":
        return True
    if "/" in rule and address is not None:
        try:
            return address in ipaddress.ip_network(rule, strict=False)
        except ValueError:
            return False
    name, colon, number = rule.rpartition(":")
    if colon and number.isdigit() and (":" not in name or name.endswith("]")):
        if int(number) != port:
            return False
        rule = name
    rule = rule.strip("[]")
    if address is not None:
        return _address(rule) == address
    domain = rule.removeprefix("*").strip(".")
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
