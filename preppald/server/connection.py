"""One connection at the public port: a health page, a refusal, or a seat in an interview."""

from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
import re
import socket

import trio

from preppald.browser.connection import Browser
from preppald.core import tokens as auth
from preppald.core.endings import ALREADY_ENDED
from preppald.core.tokens import Claims
from preppald.errors import RETRY_AFTER_SECONDS, Refusal, TokenError
from preppald.interview.admission import AlreadyEnded, NoSeat
from preppald.interview.registry import Registry
from preppald.interview.services import Services
from preppald.interview.session import Session
from preppald.net.tls import Identity
from preppald.server import answers, http as http1
from preppald.server.handover import Handed, Handover
from preppald.server.http import Answer, Exchange
from preppald.server.limits import Limits, Visit
from preppald.server.relay import Relays
from preppald.server.tls import PlainHttp, secured

SESSION_PATH = re.compile(r"/ws|/(?:ws/)?([A-Za-z0-9_-]{1,64})")
MAX_PATH_CHARS = 128
MAX_HEADERS = 64
TOKEN_SUBPROTOCOL = "token."  # noqa: S105 - the prefix of a subprotocol that carries one
# A peer that acknowledges nothing, or takes nothing, for this long is gone, also where nobody minds it any more.
UNACKNOWLEDGED_MS = 20_000
# How long an answer waits that says "too many": one that asks again at once is slowed to this.
SLOW_DOWN_SECONDS = 1.0
# Connections that are told at one time that there is no room; the rest are closed without a word.
TURNED_AWAY_AT_ONCE = 64
NOT_PLAIN = "This port speaks TLS: connect with wss:// or https://"
# A page from another origin learns whether a refused connection is worth another try.
READ_BY_ANY_PAGE = {"Access-Control-Allow-Origin": "*"}
# What else a server may answer, by path: the demo's pages.
Pages = Callable[[str, str], Awaitable[Answer | None]]


class Server:
    """Handles the public port's connections. ``pages``: asked for paths that are not the daemon's own.

    ``peers``: other instances that may have what is asked for here.
    ``identity``: what connections that come from now on are encrypted with; None: they are not.
    """

    def __init__(
        self,
        services: Services,
        registry: Registry,
        pages: Pages | None = None,
        peers: Handover | None = None,
        identity: Identity | None = None,
    ) -> None:
        self.identity = identity
        self.relays = Relays()
        self._services = services
        self._registry = registry
        self._pages = pages
        self._peers = peers
        self._door = Limits(services)
        self._turning_away = 0

    @property
    def connections(self) -> int:
        """How many there are now."""
        return self._door.connections

    async def take(self, stream: trio.abc.Stream, received: bytes) -> None:
        """A connection that another instance accepted, and what it read of it."""
        await self.handle(stream, received=received)

    async def accepted(self, stream: trio.abc.Stream) -> None:
        """A connection that came to the public port."""
        await self.handle(stream, identity=self.identity)

    async def handle(
        self,
        stream: trio.abc.Stream,
        peer: str = "",
        received: bytes = b"",
        identity: Identity | None = None,
    ) -> None:
        """One connection, contained.

        ``peer``: its address, where the stream is no socket. ``received``: see ``take``. ``identity``: it begins
        with a TLS handshake.
        """
        async with http1.contained(stream, self._services.log):
            peer = _settled(stream) if isinstance(stream, trio.SocketStream) else peer
            try:
                with self._door.visit(peer) as visit:
                    # Counted before: a handshake that does not come about must not be for nothing.
                    serve = partial(self._serve, visit=visit, received=received)
                    await self._secured(stream, identity, serve)
            except Refusal as refusal:
                await self._no_room(stream, refusal, identity)

    async def _secured(
        self,
        stream: trio.abc.Stream,
        identity: Identity | None,
        serve: Callable[[trio.abc.Stream], Awaitable[None]],
    ) -> None:
        """Serves the connection as HTTP sees it, unless its handshake comes to nothing."""
        if identity is None:
            await serve(stream)
            return
        try:
            async with secured(stream, identity) as plain:
                if plain is not None:
                    await serve(plain)
        except PlainHttp:
            await http1.answer(stream, http1.text(HTTPStatus.BAD_REQUEST, NOT_PLAIN))

    async def _no_room(self, stream: trio.abc.Stream, refusal: Refusal, identity: Identity | None) -> None:
        reply = self._refused(refusal)
        if self._turning_away >= TURNED_AWAY_AT_ONCE:
            return
        self._turning_away += 1
        try:
            if identity is None:
                await self._slow_down(refusal)
            else:  # the answer costs a handshake: never more than so many a second
                await trio.sleep(SLOW_DOWN_SECONDS)
            await self._secured(stream, identity, partial(http1.turn_away, reply=reply))
        finally:
            self._turning_away -= 1

    async def _slow_down(self, refusal: Refusal) -> None:
        if refusal.status is HTTPStatus.TOO_MANY_REQUESTS:
            await trio.sleep(SLOW_DOWN_SECONDS)

    async def _serve(self, stream: trio.abc.Stream, visit: Visit, received: bytes) -> None:
        exchange = await http1.read(stream, received)
        if exchange is None:
            return
        try:
            self._door.identify(visit, exchange.headers("X-Forwarded-For"))
            claims = await self._admitted(exchange, visit)
            if isinstance(claims, Answer):
                await http1.answer(stream, claims)
                return
            session = await self._session(claims, stream, exchange, handed=bool(received))
            if isinstance(session, Handed):
                self._door.seated(visit)
                if session.near is not None:
                    await self.relays.carry(stream, session.near)
                return
        except AlreadyEnded:
            await self._turn_away(stream, exchange)
            return
        except NoSeat as error:
            await self._refuse(stream, answers.refusal(error))
            return
        except Refusal as refusal:
            await self._refuse(stream, refusal)
            return
        if await http1.upgrade(stream, exchange):
            self._door.seated(visit)
            browser = Browser(stream, exchange.protocol)
            if session.attach(browser, _whole(exchange.query.get("since"))):
                await browser.gone.wait()
            else:  # it ended while this browser was being let in
                browser.close(ALREADY_ENDED)
                await browser.write()

    async def _refuse(self, stream: trio.abc.Stream, refusal: Refusal) -> None:
        await self._slow_down(refusal)
        await http1.answer(stream, self._refused(refusal))

    async def _session(
        self, claims: Claims, stream: trio.abc.Stream, exchange: Exchange, *, handed: bool
    ) -> Session | Handed:
        """The session here, or what remains to be done for a connection that is another instance's now."""
        if self._peers is None:
            return await self._registry.session_for(claims)
        with self._peers.opening(claims.interview_id) as opening:
            opening.decided |= handed
            hand_over = partial(
                self._peers.hand_over, claims.interview_id, opening, stream, exchange.received
            )
            if handed_on := await hand_over():
                return handed_on
            try:
                return await self._registry.session_for(claims)
            except NoSeat as error:
                if isinstance(error, AlreadyEnded) or handed or self._registry.unready() is None:
                    raise
                refused = error
            # It could have begun here when the others were asked; a drain may have begun since.
            opening.decided = False
            if handed_on := await hand_over():
                return handed_on
            raise refused

    async def _admitted(self, exchange: Exchange, visit: Visit) -> Claims | Answer:
        """The claims of a connection that may have a session, or the answer to any other request.

        Raises:
            Refusal: it asks for a session, and may not have one.
        """
        path = exchange.path
        if len(path) > MAX_PATH_CHARS or len(list(exchange.request.headers.raw_items())) > MAX_HEADERS:
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
        claims = self._claims(exchange, visit)
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

    def _claims(self, exchange: Exchange, visit: Visit) -> Claims:
        token = _token(exchange)
        if not token:
            raise Refusal(HTTPStatus.UNAUTHORIZED, "no token", "Missing JWT token")
        self._door.check_failures(visit)
        try:
            return auth.verify(token, self._services.config.token_rules, now=self._services.now_ms() / 1000)
        except TokenError as error:
            self._door.note_failure(visit)
            self._services.log.info("token.refused", why=str(error))
            raise Refusal(HTTPStatus.UNAUTHORIZED, "bad token", "Invalid or expired token") from error

    def _refused(self, refusal: Refusal) -> Answer:
        self._services.metrics.connections_refused.labels(refusal.why).inc()
        headers = {}
        if refusal.retry_after is not None:
            headers["Retry_After"] = str(refusal.retry_after)
        return http1.text(refusal.status, str(refusal), **headers)

    async def _turn_away(self, stream: trio.abc.Stream, exchange: Exchange) -> None:
        """Accepts only to close with a code that the page can read."""
        self._services.metrics.connections_refused.labels("already ended").inc()
        if not await http1.upgrade(stream, exchange):
            return
        browser = Browser(stream, exchange.protocol)
        browser.close(ALREADY_ENDED)
        with trio.move_on_after(http1.ANSWER_SECONDS):
            await browser.write()


def readiness(registry: Registry) -> Answer:
    """200, or 503 with the reason."""
    if why := registry.unready():
        again = {**READ_BY_ANY_PAGE, "Retry-After": str(RETRY_AFTER_SECONDS)}
        return Answer(HTTPStatus.SERVICE_UNAVAILABLE, f"{why}\n".encode(), headers=again)
    return Answer(HTTPStatus.OK, b'{"status":"ready"}', http1.JSON, READ_BY_ANY_PAGE)


def _settled(stream: trio.SocketStream) -> str:
    """The peer's address, after the kernel was told when to give it up."""
    try:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
        return str(stream.socket.getpeername()[0])
    except OSError:
        return ""  # it has gone already


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
