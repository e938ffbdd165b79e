"""One connection at the public port: a health page, a refusal, or a seat in an interview."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
import re

import trio

from preppald import auth, http1
from preppald.auth import Claims
from preppald.core.endings import ALREADY_ENDED
from preppald.downstream import Browser
from preppald.errors import TokenError
from preppald.http1 import Answer, Exchange
from preppald.registry import RETRY_AFTER_SECONDS, AlreadyEnded, Refusal, Registry
from preppald.services import Services

SESSION_PATH = re.compile(r"/ws|/(?:ws/)?([A-Za-z0-9_-]{1,64})")
MAX_PATH_CHARS = 128
MAX_HEADERS = 64
TOKEN_SUBPROTOCOL = "token."  # noqa: S105 - the prefix of a subprotocol that carries one
# What else a server may answer, by path: the demo's pages.
Pages = Callable[[str, str], Awaitable[Answer | None]]


class Server:
    """Handles the public port's connections. ``pages``: asked for paths that are not the daemon's own."""

    def __init__(self, services: Services, registry: Registry, pages: Pages | None = None) -> None:
        self._services = services
        self._registry = registry
        self._pages = pages

    async def handle(self, stream: trio.abc.Stream) -> None:
        """One connection from its first byte to its last. Nothing that it does leaves this function."""
        try:
            async with stream:
                await self._serve(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the peer went away
        except Exception:
            self._services.log.exception("connection.crashed")

    async def _serve(self, stream: trio.abc.Stream) -> None:
        exchange = await http1.read(stream)
        if exchange is None:
            return
        try:
            claims = await self._admitted(exchange)
            if isinstance(claims, Answer):
                await http1.answer(stream, claims)
                return
            session = await self._registry.session_for(claims)
        except AlreadyEnded:
            await self._turn_away(stream, exchange)
            return
        except Refusal as refusal:
            await http1.answer(stream, self._refused(refusal))
            return
        if await http1.upgrade(stream, exchange):
            browser = Browser(stream, exchange.protocol)
            session.attach(browser, _whole(exchange.query.get("since")))
            await browser.gone.wait()

    async def _admitted(self, exchange: Exchange) -> Claims | Answer:
        """The claims of a connection that may have a session, or the answer to any other request.

        Raises:
            Refusal: it asks for a session, and may not have one.
        """
        path = exchange.path
        if len(path) > MAX_PATH_CHARS or len(exchange.request.headers) > MAX_HEADERS:
            raise Refusal(HTTPStatus.BAD_REQUEST, "too long", "The request's path or headers are too long")
        if not exchange.wants_upgrade and (page := await self._page(path, exchange.request.method)):
            return page
        named = SESSION_PATH.fullmatch(path)
        if named is None:
            return http1.text(HTTPStatus.NOT_FOUND, "Not found")
        if not exchange.wants_upgrade:
            return http1.text(HTTPStatus.UPGRADE_REQUIRED, "Connect with a WebSocket", Upgrade="websocket")
        # Before anybody has a seat: a probe must not leave an interview behind that nobody is in.
        if fault := http1.handshake(exchange):
            return fault
        self._check_origin(exchange.header("Origin"))
        claims = self._claims(exchange)
        if named[1] is not None and named[1] != claims.interview_id:
            raise Refusal(HTTPStatus.FORBIDDEN, "another interview", "The token is for another interview")
        return claims

    async def _page(self, path: str, method: str) -> Answer | None:
        if path == "/health":
            return Answer(HTTPStatus.OK, b'{"status":"ok"}', http1.JSON)
        if path == "/ready":
            return readiness(self._registry)
        return None if self._pages is None else await self._pages(method, path)

    def _check_origin(self, origin: str) -> None:
        allowed = self._services.config.allowed_origins
        if allowed and origin not in allowed:
            raise Refusal(HTTPStatus.FORBIDDEN, "origin", "This page may not connect here")

    def _claims(self, exchange: Exchange) -> Claims:
        token = _token(exchange)
        if not token:
            raise Refusal(HTTPStatus.UNAUTHORIZED, "no token", "Missing JWT token")
        try:
            return auth.verify(token, self._services.config.token_rules, now=self._services.now_ms() / 1000)
        except TokenError as error:
            self._services.log.info("token.refused", why=str(error))
            raise Refusal(HTTPStatus.UNAUTHORIZED, "bad token", "Invalid or expired token") from error

    def _refused(self, refusal: Refusal) -> Answer:
        self._services.metrics.connections_refused.labels(refusal.why).inc()
        headers = {}
        if refusal.status is HTTPStatus.SERVICE_UNAVAILABLE:
            headers["Retry_After"] = str(RETRY_AFTER_SECONDS)
        return http1.text(refusal.status, str(refusal), **headers)

    async def _turn_away(self, stream: trio.abc.Stream, exchange: Exchange) -> None:
        """Accepts only to close with a code that the page can read."""
        self._services.metrics.connections_refused.labels("already ended").inc()
        if not await http1.upgrade(stream, exchange):
            return
        browser = Browser(stream, exchange.protocol)
        browser.close(ALREADY_ENDED)
        await browser.write()


def readiness(registry: Registry) -> Answer:
    """200, or 503 with the reason."""
    if why := registry.unready():
        return http1.text(HTTPStatus.SERVICE_UNAVAILABLE, why, Retry_After=str(RETRY_AFTER_SECONDS))
    return Answer(HTTPStatus.OK, b'{"status":"ready"}', http1.JSON)


def _token(exchange: Exchange) -> str:
    """From the query, the Authorization header, or a subprotocol; the latter two keep it out of URLs."""
    if token := exchange.query.get("token"):
        return token
    scheme, _, token = exchange.header("Authorization").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    for offered in exchange.header("Sec-WebSocket-Protocol").split(","):
        if offered.strip().startswith(TOKEN_SUBPROTOCOL):
            return offered.strip().removeprefix(TOKEN_SUBPROTOCOL)
    return ""


def _whole(text: str | None) -> int | None:
    """A seq in a query; anything else is as if it were not there."""
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,15}", text) else None
