"""Makes one WebSocket connection to the daemon, or says why it could not.

The token travels as a subprotocol, which keeps it out of URLs, and so out of the logs of everything between.
A redirect is never followed.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
import contextlib
from dataclasses import dataclass, field
import ipaddress
import logging
import random
import ssl
from urllib.parse import urlencode, urlsplit

import trio
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidProxy,
    InvalidStatus,
    InvalidURI,
    ProxyError,
)
from websockets.trio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from preppald import __version__
from preppald.candidate.endings import Ending

SUBPROTOCOL = "preppal.v1"
TOKEN_PREFIX = "token."  # noqa: S105 - the prefix, not a token

# For a distant daemon behind TLS; the daemon dials Gemini only after its answer.
CONNECT_SECONDS = 10.0
# The daemon pings every 15 s by itself; ours notice a daemon that is gone within 25 s.
PING_SECONDS = 15.0
PONG_SECONDS = 10.0
# The wait for the other side's close frame.
CLOSE_SECONDS = 2.0
# A reply's audio comes in parts of 2 kB; one second of it in one part is 48 kB.
MAX_MESSAGE_BYTES = 1024 * 1024
MAX_WAITING_MESSAGES = 16

# Reconnecting: 0.25, 0.5, 1 … 8 s, each shortened by up to half so that a thousand candidates of a restarted
# daemon do not come back in the same instant. A minute is also the daemon's default grace.
FIRST_DELAY_SECONDS = 0.25
LONGEST_DELAY_SECONDS = 8.0
RECONNECT_SECONDS = 60.0
# A connection that breaks sooner than this does not earn another minute.
LASTING_SECONDS = 10.0

# An error page of a proxy is not a sentence.
MAX_REASON_CHARS = 200

# The library would log events that our own endings report, and headers with the token in them.
_MUTE = logging.getLogger("preppald.candidate.link")
_MUTE.setLevel(logging.CRITICAL + 1)

# Nothing listens, no such name, no answer in time, a broken TLS handshake, a connection cut during it.
_UNREACHABLE_ERRORS = (
    OSError,
    trio.BrokenResourceError,
    ConnectionClosed,
    InvalidMessage,
    InvalidProxy,
    ProxyError,
)
_CONNECT_ERRORS = (*_UNREACHABLE_ERRORS, InvalidHandshake, InvalidURI)

OpenStream = Callable[[], Awaitable[trio.abc.Stream]]


@dataclass(frozen=True, slots=True)
class Address:
    """The daemon to call. ``url``: ws:// or wss://, a path in it is a prefix. ``open_stream`` replaces the dialling.

    ``trust``: the authorities to trust; None: the system's.
    """

    url: str
    interview_id: str
    token: str = field(repr=False)
    open_stream: OpenStream | None = None
    trust: ssl.SSLContext | None = None

    def with_since(self, since: int, *, opus: bool = False) -> str:
        """Return the URL of the interview; ``since``: the last transcript fragment that is known, 0 for none.

        ``opus``: ask for it.
        """
        query = urlencode(
            {"turns": 1, **({"since": since} if since else {}), **({"codec": "opus"} if opus else {})}
        )
        return f"{self.url.rstrip('/')}/{self.interview_id}?{query}"

    @property
    def is_loopback(self) -> bool:
        host = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


class LinkError(Exception):
    """Raised where no connection was made. ``passing``: another try may succeed. ``status``: HTTP, 0 for none."""

    def __init__(self, ending: Ending, reason: str, *, passing: bool, status: int = 0) -> None:
        super().__init__(reason)
        self.ending = ending
        self.passing = passing
        self.status = status


class _Connect(connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        """Never follow: the token is for the daemon that was named."""
        return exc


@contextlib.asynccontextmanager
async def linked(address: Address, *, since: int = 0, opus: bool = False) -> AsyncIterator[ClientConnection]:
    """Yield a connection after its handshake; it is closed at the end. ``opus``: ask for it.

    Raises:
        LinkError: no connection was made.
    """
    opened = False
    try:
        stream = None if address.open_stream is None else await address.open_stream()
        async with _Connect(
            address.with_since(since, opus=opus),
            stream=stream,
            ssl=address.trust if address.url.startswith("wss:") else None,
            subprotocols=[Subprotocol(SUBPROTOCOL), Subprotocol(TOKEN_PREFIX + address.token)],
            compression=None,  # PCM does not get smaller
            proxy=None if address.is_loopback else True,
            user_agent_header=f"preppald-call/{__version__}",
            open_timeout=CONNECT_SECONDS,
            ping_interval=PING_SECONDS,
            ping_timeout=PONG_SECONDS,
            close_timeout=CLOSE_SECONDS,
            max_size=MAX_MESSAGE_BYTES,
            logger=_MUTE,
            max_queue=MAX_WAITING_MESSAGES,
        ) as connection:
            if connection.subprotocol != SUBPROTOCOL:
                raise LinkError(
                    Ending.PROTOCOL, f"It does not speak {SUBPROTOCOL}: is that a preppald?", passing=False
                )
            opened = True
            yield connection
    except _CONNECT_ERRORS as error:
        if opened:
            raise
        raise _explained(error) from error


def _explained(error: Exception) -> LinkError:
    if isinstance(error, InvalidStatus):
        return _refusal(error)
    if isinstance(error, _UNREACHABLE_ERRORS):
        return LinkError(Ending.UNREACHABLE, _cause(error), passing=not isinstance(error, InvalidProxy))
    return LinkError(Ending.PROTOCOL, _cause(error), passing=False)


def _refusal(error: InvalidStatus) -> LinkError:
    response = error.response
    text = one_line((response.body or b"").decode("utf-8", "replace"))[:MAX_REASON_CHARS]
    where = response.headers.get("Location")
    if where is not None:
        text = f"it redirects to {one_line(where)[:MAX_REASON_CHARS]}, which is not followed"
    status = response.status_code
    return LinkError(
        Ending.REFUSED,
        f"HTTP {status}: {text or response.reason_phrase}",
        passing=status >= 500,
        status=status,
    )


def _cause(error: BaseException) -> str:
    """Return the innermost cause as a sentence, which is the operating system's."""
    if isinstance(error, TimeoutError) and error.errno is None:
        return f"It did not answer within {CONNECT_SECONDS:.0f} s."
    if isinstance(error, InvalidMessage) and isinstance(error.__cause__, EOFError):
        return "It hung up without an answer."
    while (cause := error.__cause__) is not None:
        error = cause
    if isinstance(error, BaseExceptionGroup):
        return _cause(error.exceptions[0])
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return one_line(text)[:MAX_REASON_CHARS].rstrip(".") + "."


def one_line(text: str) -> str:
    """Return one line without control characters: text from elsewhere must not steer a terminal."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


class Backoff:
    """Times the tries after a lost connection; all of one loss's tries fit into ``RECONNECT_SECONDS``."""

    def __init__(self, randomness: random.Random) -> None:
        self._randomness = randomness
        self._give_up_at: float | None = None
        self._delay = FIRST_DELAY_SECONDS

    def lose(self, now: float, *, lasted: float) -> None:
        """Note the loss of a connection that had ``lasted`` seconds. A short one counts as no success."""
        if self._give_up_at is None or lasted >= LASTING_SECONDS:
            self._give_up_at = now + RECONNECT_SECONDS
            self._delay = FIRST_DELAY_SECONDS

    def delay(self, now: float) -> float | None:
        """Return the seconds to wait before the next try; None when time is up, or if there never was a connection."""
        if self._give_up_at is None or now >= self._give_up_at:
            return None
        delay = self._delay * self._randomness.uniform(0.5, 1.0)
        self._delay = min(2 * self._delay, LONGEST_DELAY_SECONDS)
        return min(delay, self._give_up_at - now)
