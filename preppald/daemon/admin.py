"""The operator's port: metrics, the health pages again, and the operator's page with its actions.

Rule 1: it answers for its own names only. A page of anybody's, whose name is made to lead here (DNS rebinding), gets 421.
Rule 2: metrics and health are for whoever reaches the port; the page, what it shows and its actions need the secret.
Rule 3: connections, bodies and waits are bounded, and nothing here waits for an interview or is waited for by one.
"""

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
import importlib.resources
from pathlib import Path
import re

import msgspec
import trio

from preppald.daemon.acting import Acting, Caller, Unacted
from preppald.daemon.live import Live, Unknown
from preppald.daemon.operators import Operators
from preppald.errors import Refusal
from preppald.interview.registry import Registry
from preppald.interview.services import Services
from preppald.server import http as http1
from preppald.server.admission import READING
from preppald.server.connection import readiness
from preppald.server.http import Answer, Exchange
from preppald.server.limits import customer, plain
from preppald.server.request import Request
from preppald.telemetry.metrics import CONTENT_TYPE

# Scrapers, and the tabs of a few operators, six connections each.
MAX_CONNECTIONS = 64
# Pages that watch, each for as long as it is open.
MAX_WATCHERS = 8
# The secret, or an order with its reason.
BODY_BYTES = 4096
BODY_SECONDS = 5.0
# A watcher that takes nothing for so long has gone.
SEND_SECONDS = 10.0
# For whoever reaches the port.
FOR_ALL = frozenset({"/metrics", "/health", "/ready"})
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
_INTERVIEW = re.compile(r"/interviews/([A-Za-z0-9_-]{1,64})(?:/([0-9]{1,2}))?")
NOT_FOUND = (
    "Not found; /metrics, /health and /ready are here, and with PREPPALD_ADMIN_SECRET the operator's page"
)
NO_STORE = {"Cache-Control": "no-store"}
SECURITY_HEADERS = {
    **NO_STORE,
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of an action. ``interview`` and ``reason``: of an interview that is to end."""

    interview: str = ""
    reason: str = ""


class Admin:
    """The port of one daemon."""

    def __init__(self, services: Services, registry: Registry, acting: Acting) -> None:
        self._services = services
        self._registry = registry
        self._acting = acting
        self._live = Live(services, registry, acting)
        self._operators = Operators(services.current, services.log)
        self._files = _files()
        self._connections = 0
        self._watchers = 0

    async def handle(self, stream: trio.abc.Stream) -> None:
        """Serve one connection; no error leaves it."""
        async with http1.contained(stream, self._services.log):
            if self._connections >= MAX_CONNECTIONS:
                return
            self._connections += 1
            try:
                await self._serve(stream)
            finally:
                self._connections -= 1

    async def _serve(self, stream: trio.abc.Stream) -> None:
        exchange: Exchange | None = None
        here, peer = _ends(stream)
        try:
            exchange = await http1.read(stream)
            if exchange is None:
                return
            self._check_host(exchange.request, here)
            if exchange.request.path == "/live" and exchange.request.method != "POST":
                await self._watch(stream, exchange.request, peer)
                return
            await http1.answer(stream, await self._page(stream, exchange, peer), to=exchange)
        except Refusal as refusal:
            await http1.answer(stream, http1.refused(refusal), to=exchange)

    def _check_host(self, request: Request, here: str) -> None:
        """Raise unless the request's Host is a name of this port: a browser cannot be made to send another.

        None at all is a health check's, by HTTP/1.0: every browser sends one.
        """
        if request.path in FOR_ALL and not request.headers("host"):
            return
        named = _HOST.fullmatch(request.header("host"))
        name = "" if named is None else named["name"].strip("[]").lower()
        config = self._services.config
        own = {*LOCAL_NAMES, here, config.admin_listen.host, *config.admin_hosts}
        if not name or name not in {it.lower() for it in own}:
            raise Refusal(
                HTTPStatus.MISDIRECTED_REQUEST,
                "the host",
                "This port does not answer for that Host; PREPPALD_ADMIN_HOSTS names those that it answers for, "
                "beside localhost and its own address",
            )

    # -------------------------------------------------------------- pages

    async def _page(self, stream: trio.abc.Stream, exchange: Exchange, peer: str) -> Answer:
        request = exchange.request
        if request.method == "POST":
            return await self._post(stream, exchange, peer)
        if request.method not in READING:
            raise _not_allowed(*READING)
        match request.path:
            case "/metrics":
                return Answer(HTTPStatus.OK, self._services.metrics.exposition(), CONTENT_TYPE)
            case "/health":
                return Answer(HTTPStatus.OK, b'{"status":"ok"}', http1.JSON)
            case "/ready":
                return readiness(self._registry, self._services.gemini.health)
            case path:
                return await self._shown(request, path, peer) or http1.text(HTTPStatus.NOT_FOUND, NOT_FOUND)

    async def _shown(self, request: Request, path: str, peer: str) -> Answer | None:
        """Return a file of the operator's page, or what it shows; None where there is none."""
        if path in self._files:
            if not self._operators.on:
                return None
            content_type, body = self._files[path]
            return Answer(HTTPStatus.OK, body, content_type, SECURITY_HEADERS)
        if path == "/now":
            self._operators.check(request, peer)
            return _json(await self._live.snapshot())
        if named := _INTERVIEW.fullmatch(path):
            self._operators.check(request, peer)
            try:
                return _json(await self._live.interview(named[1], int(named[2] or 0)))
            except Unknown as error:
                return http1.text(HTTPStatus.NOT_FOUND, str(error))
        return None

    async def _watch(self, stream: trio.abc.Stream, request: Request, peer: str) -> None:
        """Send the daemon's state, again and again, as server-sent events."""
        if request.method != "GET":
            raise _not_allowed("GET")
        self._operators.check(request, peer)
        if self._watchers >= MAX_WATCHERS:
            raise Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE, "the watchers", f"{MAX_WATCHERS} pages watch already"
            )
        self._watchers += 1
        try:
            if not await _sent(stream, EVENTS):
                return
            while await _sent(stream, b"data: " + await self._live.snapshot() + b"\n\n"):
                await trio.sleep(self._live.seconds)
                self._operators.check(request, peer)
        except Refusal:
            await _sent(stream, b"event: signed-out\ndata:\n\n")
        finally:
            self._watchers -= 1

    # -------------------------------------------------------------- actions

    async def _post(self, stream: trio.abc.Stream, exchange: Exchange, peer: str) -> Answer:
        request = exchange.request
        actions: Mapping[str, Callable[[Order], Awaitable[object]]] = {
            "/end": self._end,
            "/drain": self._drain,
            "/undrain": self._undrain,
        }
        if request.path == "/sign-in":
            cookie = self._operators.sign_in(request, await _body(stream, exchange), peer)
            return Answer(HTTPStatus.NO_CONTENT, b"", headers={**NO_STORE, "Set-Cookie": cookie})
        if request.path not in {"/sign-out", *actions}:
            raise _not_allowed(*READING)
        self._operators.check(request, peer)
        if request.path == "/sign-out":
            return Answer(
                HTTPStatus.NO_CONTENT,
                b"",
                headers={**NO_STORE, "Set-Cookie": self._operators.sign_out(request)},
            )
        try:
            order = msgspec.json.decode(await _body(stream, exchange) or b"{}", type=Order)
            return _json(msgspec.json.encode(await actions[request.path](order)))
        # msgspec leaves what is no UTF-8 to Python.
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, "an order", f"Not an order: {error}") from error
        except Unacted as error:
            return http1.text(HTTPStatus.CONFLICT, str(error))

    async def _end(self, order: Order) -> object:
        return await self._acting.end(order.interview, order.reason, CALLER)

    async def _drain(self, _order: Order) -> object:
        return await self._acting.drain(CALLER)

    async def _undrain(self, _order: Order) -> object:
        return await self._acting.undrain(CALLER)


# The page has a secret and no users.
CALLER = Caller("page")


def _files() -> dict[str, tuple[str, bytes]]:
    """Return the page's files by their paths, with their content types."""
    web = importlib.resources.files("preppald") / "web"
    found = {
        f"/{file.name}": (CONTENT_TYPES[Path(file.name).suffix], file.read_bytes())
        for file in (*(web / "operator").iterdir(), web / "style.css")
        if Path(file.name).suffix in CONTENT_TYPES
    }
    found["/"] = found.pop("/index.html")
    return found


def _ends(stream: trio.abc.Stream) -> tuple[str, str]:
    """Return both ends of a connection: our address, which is a name of this port, and whom the peer is counted as."""
    if not isinstance(stream, trio.SocketStream):
        return "", ""
    try:
        here, peer = str(stream.socket.getsockname()[0]), str(stream.socket.getpeername()[0])
    except OSError:
        return "", ""  # it has gone already
    return str(plain(here) or ""), customer(peer)


def _json(body: bytes) -> Answer:
    return Answer(HTTPStatus.OK, body, http1.JSON, SECURITY_HEADERS)


def _not_allowed(*methods: str) -> Refusal:
    allowed = ", ".join(methods)
    return Refusal(
        HTTPStatus.METHOD_NOT_ALLOWED,
        "method",
        f"Only {allowed} is possible here",
        headers={"Allow": allowed},
    )


async def _body(stream: trio.abc.Stream, exchange: Exchange) -> bytes:
    """Return the body of a request, of at most BODY_BYTES.

    Raises:
        Refusal: it is longer, has no length, or did not come in time.
    """
    length = exchange.request.header("content-length")
    if exchange.request.headers("transfer-encoding") or not (length.isascii() and length.isdigit()):
        raise Refusal(HTTPStatus.LENGTH_REQUIRED, "a body", "The body needs a Content-Length")
    if int(length) > BODY_BYTES:  # of 20 digits at most: h11 takes no more
        raise Refusal(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "a body", f"The body has more than {BODY_BYTES} bytes"
        )
    body = exchange.early
    with trio.move_on_after(BODY_SECONDS):
        while len(body) < int(length) and (data := await stream.receive_some(BODY_BYTES)):
            body += data
    if len(body) < int(length):
        raise Refusal(HTTPStatus.REQUEST_TIMEOUT, "a body", "The body did not come in time")
    return body[: int(length)]


async def _sent(stream: trio.abc.Stream, data: bytes) -> bool:
    """Send, within a bound; return False where the other end takes nothing."""
    with trio.move_on_after(SEND_SECONDS):
        await stream.send_all(data)
        return True
    return False
