"""Limits connections, in all and from each address, and the wrong tokens that an address may show.

The counters are bounded themselves, and nothing here waits. An address is the browser's: behind a trusted proxy, the
one in X-Forwarded-For. An IPv6 network of 64 bits counts as one address, because one customer has all of it. A
connection for which a trusted proxy names no address is not counted by address.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
import ipaddress
import math

import trio

from preppald.config.settings import Config
from preppald.core.bucket import Bucket
from preppald.errors import Refusal
from preppald.interview.services import Services

# After a restart all browsers come back within a second or two, and each handshake takes milliseconds. 32 KiB each.
MAX_HANDSHAKES = 512
# Addresses that are remembered, about 300 bytes each; the least recent are forgotten first.
MAX_ADDRESSES = 4096
# Connections from one address, whatever they ask for: three times a school whose candidates all come back.
ARRIVALS_PER_SECOND = 10
BURST_ARRIVALS = 200
# Proxies in a row that an X-Forwarded-For may name.
MAX_HOPS = 16
IPV6_CUSTOMER_BITS = 64


class Buckets:
    """Holds one bucket for each address, for a bounded number of addresses."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._of)

    def spend(self, address: str, *, rate: float, burst: float) -> None:
        """Count one more from this address. A rate or burst that changed since the last time starts a new bucket."""
        bucket = self._of.pop(address, None)
        if bucket is None or (bucket.rate, bucket.burst) != (rate, burst):
            bucket = Bucket(rate, burst)
        bucket.spend(1, trio.current_time())
        self._of[address] = bucket
        while len(self._of) > MAX_ADDRESSES:
            self._of.popitem(last=False)

    def wait(self, address: str) -> float:
        """Return the seconds until there is room for another."""
        bucket = self._of.get(address)
        return 0.0 if bucket is None else bucket.seconds_until(1, trio.current_time())


@dataclass(slots=True)
class Visit:
    """One connection. ``address`` is "" where there is none to count by; ``proxied``: a trusted proxy brought it.

    ``interview_id`` and ``user_id``: what it asks for, as soon as that is known; for the log.
    """

    address: str
    proxied: bool
    in_handshake: bool = True
    interview_id: str = ""
    user_id: str = ""


class Limits:
    """Counts connections from accept to close. ``services`` holds the limits, which a reload may change."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._connections = 0
        self._handshakes = 0
        self._by_address: Counter[str] = Counter()
        self._arrivals = Buckets()
        self._failures = Buckets()

    @property
    def connections(self) -> int:
        return self._connections

    # -------------------------------------------------------------- connections

    @contextmanager
    def visit(self, peer: str) -> Iterator[Visit]:
        """Count a connection while the block runs. ``peer``: the address at the socket's other end.

        Raises:
            Refusal: there is no room for another.
        """
        if self._connections >= self._config.max_connections or self._handshakes >= MAX_HANDSHAKES:
            raise _full("the connections", "Too many connections")
        proxied = self._trusted(peer)
        visit = Visit("", proxied)
        if not proxied:
            self._count(visit, peer)
        self._connections += 1
        self._handshakes += 1
        try:
            yield visit
        finally:
            self.seated(visit)
            self._connections -= 1
            if visit.address:
                self._by_address[visit.address] -= 1
                if not self._by_address[visit.address]:
                    del self._by_address[visit.address]

    def identify(self, visit: Visit, forwarded: Sequence[str]) -> None:
        """Count the connection by the browser's address, once its request is read.

        ``forwarded``: the X-Forwarded-For headers, which are believed from a trusted proxy only.

        Raises:
            Refusal: this address has too many connections, or opens them too often.
        """
        if visit.proxied:
            self._count(visit, self._client(forwarded))

    def seated(self, visit: Visit) -> None:
        """Note that the handshake is over."""
        if visit.in_handshake:
            visit.in_handshake = False
            self._handshakes -= 1

    def _count(self, visit: Visit, address: str) -> None:
        address = customer(address)
        if not address:
            return
        if wait := self._arrivals.wait(address):
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too often",
                "Too many connections a second from this address",
                math.ceil(wait),
            )
        self._arrivals.spend(address, rate=ARRIVALS_PER_SECOND, burst=BURST_ARRIVALS)
        if self._by_address[address] >= self._config.max_connections_per_address:
            raise Refusal(
                HTTPStatus.TOO_MANY_REQUESTS, "the address", "Too many connections from this address"
            )
        self._by_address[address] += 1
        visit.address = address

    # -------------------------------------------------------------- tokens

    def token_wait(self, visit: Visit) -> float:
        """Return the seconds before this address may try another token; 0 unless too many of its tokens were wrong."""
        return self._failures.wait(visit.address)

    def note_failure(self, visit: Visit) -> None:
        """Count a wrong token against the address of this connection."""
        if visit.address:
            allowed = self._config.max_bad_tokens
            self._failures.spend(visit.address, rate=allowed / 60, burst=allowed)

    # -------------------------------------------------------------- addresses

    @property
    def _config(self) -> Config:
        return self._services.config

    def _trusted(self, address: str) -> bool:
        parsed = plain(address)
        return parsed is not None and any(parsed in network for network in self._config.trusted_proxies)

    def _client(self, forwarded: Sequence[str]) -> str:
        """Return the last hop that is no trusted proxy: the client itself may have written those before it."""
        hops = [_without_port(hop.strip()) for hop in ",".join(forwarded).split(",")]
        for hop in reversed(hops[-MAX_HOPS:]):
            if not self._trusted(hop):
                return hop
        return ""


def customer(address: str) -> str:
    """Return the unit that is counted: an IPv4 address or an IPv6 network; empty for a text that is neither."""
    parsed = plain(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, IPV6_CUSTOMER_BITS), strict=False))
    return "" if parsed is None else str(parsed)


def plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address without its zone, and an IPv4 address that IPv6 carries as such; None for no address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return mapped or parsed


def _without_port(hop: str) -> str:
    """Strip the port: some proxies write 192.0.2.1:5000 and [2001:db8::1]:5000."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _full(why: str, words: str) -> Refusal:
    return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, why, words)
