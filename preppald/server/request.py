"""One HTTP request at the public port, as data: read by ``http``, judged by ``admission``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

WEBSOCKET = "websocket"
# The client contract's own; the answer echoes the newest that is offered. The second differs from the first in that
# refusals are told within the WebSocket, for a page cannot read an HTTP answer, and that Received is sent.
SUBPROTOCOL = "preppal.v1"
SUBPROTOCOL_2 = "preppal.v2"
# Signs in a User-Agent, the first that is there: Chrome names Safari, too, and what is made of Chrome names Chrome.
FAMILIES = (
    ("Firefox/", "firefox"),
    ("FxiOS/", "firefox"),
    ("Chrome/", "chrome"),
    ("CriOS/", "chrome"),
    ("Safari/", "safari"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """``path`` is taken as the client wrote it: one with a host before it, or with escapes, is no path of ours.

    ``query``: the last of several fields with one name counts; ``repeated`` names those. ``fields``: the headers in their order, with their
    names in small letters. ``version``: "1.1" or "1.0".
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    repeated: frozenset[str] = frozenset()
    fields: Sequence[tuple[str, str]] = ()
    version: str = "1.1"

    def headers(self, name: str) -> list[str]:
        """Return every header of this name (small letters), in order."""
        return [value for known, value in self.fields if known == name]

    def header(self, name: str) -> str:
        """Return the header's value; empty where there is none, or more than one."""
        found = self.headers(name)
        return found[0] if len(found) == 1 else ""

    @property
    def subprotocols(self) -> list[str]:
        """The WebSocket subprotocols that are offered, which may come in several headers (RFC 6455 §11.3.4)."""
        offered = ",".join(self.headers("sec-websocket-protocol")).split(",")
        return [name.strip() for name in offered if name.strip()]

    @property
    def browser_family(self) -> str:
        """The browser's family: chrome, with all that is made of it, firefox, safari, or other."""
        agent = self.header("user-agent")
        return next((family for sign, family in FAMILIES if sign in agent), "other")

    @property
    def wants_upgrade(self) -> bool:
        """True where a WebSocket is asked for."""
        return WEBSOCKET in self.header("upgrade").lower()

    @property
    def has_body(self) -> bool:
        """True where bytes that belong to the request follow its head."""
        return bool(self.headers("transfer-encoding")) or self.header("content-length") not in {"", "0"}
