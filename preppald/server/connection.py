"""One connection at the public port: a page, a refusal, or a seat in an interview.

A straight line: read the request, decide about it, hand it over or join the interview, upgrade, serve.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus

import msgspec
import trio

from preppald.browser.connection import Browser
from preppald.core.endings import ALREADY_ENDED
from preppald.core.tokens import Claims
from preppald.errors import RETRY_AFTER_SECONDS, Refusal
from preppald.interview.no_seat import AlreadyEnded, NoSeat
from preppald.interview.registry import Registry
from preppald.interview.services import Services
from preppald.interview.session import Session
from preppald.net.stream import give_up_when_unacknowledged, keep_little_in_the_kernel
from preppald.net.tls import Identity
from preppald.server import answers, http as http1
from preppald.server.admission import HEALTH, READY, Admit, Page, Refuse, Rules, admit, decide, interview_at
from preppald.server.goodbyes import Goodbyes
from preppald.server.handover import Handed, Handover
from preppald.server.http import Answer, Exchange
from preppald.server.limits import Limits, Visit
from preppald.server.refusals import Refusals
from preppald.server.relay import Relays
from preppald.server.request import SUBPROTOCOL, SUBPROTOCOL_2, Request
from preppald.server.seating import Seats, Way
from preppald.server.tls import PlainHttp, secured
from preppald.server.waiting import CandidateLeft, WaitingRoom
from preppald.telemetry.health import Health

# How long an answer waits that says "too many": a client that asks again at once is slowed to this.
SLOW_DOWN_SECONDS = 1.0
# Connections that are told at one time that there is no room; the rest are closed without a word.
TURNED_AWAY_AT_ONCE = 64
NOT_PLAIN = "This port speaks TLS: connect with wss:// or https://"
# A page from another origin may read this, to learn if a refused connection is worth another try.
READ_BY_ANY_PAGE = {"Access-Control-Allow-Origin": "*"}
# A page whose handshake failed although the server is ready knows by this that something between has interfered: a server
# that speaks preppal.v2 would have told it why.
SPOKEN_HERE = {
    **READ_BY_ANY_PAGE,
    "Access-Control-Expose-Headers": "Preppal-Protocols",
    "Preppal-Protocols": f"{SUBPROTOCOL}, {SUBPROTOCOL_2}",
}
# Answers a plain request at a path that is not the daemon's own, by method and path; None where it has no such page.
Pages = Callable[[str, str], Awaitable[Answer | None]]


class Server:
    """Serves the public port's connections. ``pages``: the demo's.

    ``peers``: other instances on this host that may hold the interview which is asked for.
    ``identity``: the certificate for connections that come from now on; None: they are not encrypted.
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
        self.relays = Relays(services.ticker.poller)
        self._services = services
        self._registry = registry
        self._pages = pages
        self.seats = Seats(registry, peers, services.log)
        self._limits = Limits(services)
        self._refusals = Refusals(services.metrics, services.log)
        self._goodbyes = Goodbyes()
        self._turning_away = 0

    @property
    def connections(self) -> int:
        """How many there are now."""
        return self._limits.connections

    async def take(self, stream: trio.abc.Stream, received: bytes) -> None:
        """Serve a connection that another instance accepted, with the bytes that it read."""
        await self.handle(stream, received=received)

    async def carried(self, stream: trio.abc.Stream, request: Request, claims: Claims) -> None:
        """Serve a connection that another host carries here, with the claims that it checked; no error leaves it."""
        async with http1.contained(stream, self._services.log):
            exchange = Exchange(request, b"", b"")
            try:
                # Its address was counted where it came in.
                with self._limits.visit("") as visit:
                    visit.interview_id, visit.user_id = claims.interview_id, claims.user_id
                    browser = await self._admit(admit(request, claims), stream, exchange, visit, Way.CARRIED)
                    if browser is not None:
                        await browser.gone.wait()
            except Refusal as refusal:
                known = Visit("", proxied=False, interview_id=claims.interview_id, user_id=claims.user_id)
                await self._refuse(refusal, known, stream, exchange)

    async def accepted(self, stream: trio.abc.Stream) -> None:
        """Serve a connection that came to the public port."""
        await self.handle(stream, identity=self.identity)

    async def handle(
        self,
        stream: trio.abc.Stream,
        peer: str = "",
        received: bytes = b"",
        identity: Identity | None = None,
    ) -> None:
        """Serve one connection to its end; no error leaves it.

        ``peer``: its address, where the stream is no socket. ``received``: see ``take``. ``identity``: the connection
        begins with a TLS handshake.
        """
        async with http1.contained(stream, self._services.log):
            peer = _settled(stream) if isinstance(stream, trio.SocketStream) else peer
            try:
                with self._limits.visit(peer) as visit:
                    # Counted before the TLS handshake: one that never ends must not be free of charge.
                    serve = partial(self._serve, visit=visit, received=received)
                    await self._secured(stream, identity, serve)
            except Refusal as refusal:
                self._refusals.note(refusal, Visit(peer, proxied=False))
                await self._no_room(stream, refusal, identity)

    async def _secured(
        self,
        stream: trio.abc.Stream,
        identity: Identity | None,
        serve: Callable[[trio.abc.Stream], Awaitable[None]],
    ) -> None:
        """Serve the connection inside its TLS, if the handshake succeeds."""
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
        if self._turning_away >= TURNED_AWAY_AT_ONCE:
            return
        self._turning_away += 1
        try:
            if identity is None:
                await _slow_down(refusal)
            else:  # the answer costs a handshake: never more than so many a second
                await trio.sleep(SLOW_DOWN_SECONDS)
            answer = partial(http1.turn_away, reply=http1.refused(refusal))
            await self._secured(stream, identity, answer)
        finally:
            self._turning_away -= 1

    async def _serve(self, stream: trio.abc.Stream, visit: Visit, received: bytes) -> None:
        # The hour is waited for here, so that what the request took, 3 to 5 KiB, is let go before.
        if (browser := await self._let_in(stream, visit, received)) is not None:
            await browser.gone.wait()

    async def _let_in(self, stream: trio.abc.Stream, visit: Visit, received: bytes) -> Browser | None:
        """Answer the connection's request; return the browser that has a seat now, if one has."""
        exchange: Exchange | None = None
        try:
            exchange = await http1.read(stream, received)
            if exchange is not None:
                return await self._answer(stream, exchange, visit, Way.HANDED if received else Way.DIRECT)
        except Refusal as refusal:
            await self._refuse(refusal, visit, stream, exchange)
        return None

    async def _refuse(
        self, refusal: Refusal, visit: Visit, stream: trio.abc.Stream, exchange: Exchange | None
    ) -> None:
        self._refusals.note(refusal, visit)
        await _slow_down(refusal)
        if exchange is None or not await self._goodbyes.say(stream, exchange, refusal):
            await http1.answer(stream, http1.refused(refusal), to=exchange)

    async def _answer(
        self, stream: trio.abc.Stream, exchange: Exchange, visit: Visit, way: Way
    ) -> Browser | None:
        """Answer a request; return the browser that has a seat now, if one has.

        Raises:
            Refusal: nothing has been sent; the refusal is the answer.
        """
        request = exchange.request
        visit.interview_id = interview_at(request.path)
        self._limits.identify(visit, request.headers("x-forwarded-for"))
        config = self._services.config
        rules = Rules(config.token_rules, config.allowed_origins, self._limits.token_wait(visit))
        match decide(request, self._services.now_ms() / 1000, rules):
            case Page(otherwise):
                page = await self._page(request.method, request.path)
                if page is None:
                    raise otherwise
                await http1.answer(stream, page, to=exchange)
                return None
            case Refuse(refusal, guessed):
                if guessed:
                    self._limits.note_failure(visit)
                raise refusal
            case Admit() as admitted:
                visit.interview_id, visit.user_id = admitted.claims.interview_id, admitted.claims.user_id
                return await self._admit(admitted, stream, exchange, visit, way)

    async def _admit(
        self,
        admitted: Admit,
        stream: trio.abc.Stream,
        exchange: Exchange,
        visit: Visit,
        way: Way,
    ) -> Browser | None:
        # Before anybody has a seat: a probe must not leave an interview behind that nobody is in.
        room = WaitingRoom(self._services, stream, http1.handshake(exchange))
        try:
            match await self.seats.seat(admitted, stream, exchange, room, way):
                case Handed(near):
                    self._limits.seated(visit)
                    if near is not None:
                        await self.relays.carry(stream, near)
                case Session() as session:
                    if (browser := await room.let_in()) is not None:
                        self._limits.seated(visit)
                        return await _attached(session, browser, admitted, bytes(room.early))
                case carried:
                    self._limits.seated(visit)
                    owner = carried.owner.incarnation
                    await self.relays.carry(stream, carried.link, owner=owner, early=exchange.early)
        except CandidateLeft:
            await room.see_off()
        except AlreadyEnded:
            self._services.metrics.connections_refused.labels("already ended").inc()
            if (browser := await room.let_in()) is not None:
                await _dismissed(browser)
        except NoSeat as error:
            refusal = answers.refusal(error)
            refusal.detail = admitted.claims.untimely
            if room.browser is None:
                raise refusal from error
            self._refusals.note(refusal, visit)
            await room.refuse(refusal)
        return None

    async def _page(self, method: str, path: str) -> Answer | None:
        if path == HEALTH:
            return Answer(HTTPStatus.OK, b'{"status":"ok"}', http1.JSON)
        if path == READY:
            return readiness(self._registry, self._services.gemini.health)
        return None if self._pages is None else await self._pages(method, path)


async def _attached(session: Session, browser: Browser, admitted: Admit, early: bytes) -> Browser | None:
    since, knows_turns, opus = admitted.since, admitted.knows_turns, admitted.opus
    if session.attach(browser, since, knows_turns=knows_turns, opus=opus, early=early):
        return browser
    # The interview ended while this browser was being let in.
    await _dismissed(browser)
    return None


async def _dismissed(browser: Browser) -> None:
    """Close with a code: a page cannot read an HTTP status."""
    browser.close(ALREADY_ENDED)
    with trio.move_on_after(http1.ANSWER_SECONDS):
        await browser.write()


async def _slow_down(refusal: Refusal) -> None:
    if refusal.status is HTTPStatus.TOO_MANY_REQUESTS:
        await trio.sleep(SLOW_DOWN_SECONDS)


def readiness(registry: Registry, health: Health) -> Answer:
    """Return 200, with what degrades the service, or 503 with the reason."""
    if why := registry.unready():
        again = {**READ_BY_ANY_PAGE, "Retry-After": str(RETRY_AFTER_SECONDS)}
        return Answer(HTTPStatus.SERVICE_UNAVAILABLE, f"{why}\n".encode(), headers=again)
    state: dict[str, object] = {"status": "ready"}
    if health.words:
        state["degraded"] = health.words
    return Answer(HTTPStatus.OK, msgspec.json.encode(state), http1.JSON, SPOKEN_HERE)


def _settled(stream: trio.SocketStream) -> str:
    """Return the peer's address, after telling the kernel how much to keep for the peer, and when to give it up."""
    try:
        give_up_when_unacknowledged(stream)
        keep_little_in_the_kernel(stream)
        return str(stream.socket.getpeername()[0])
    except OSError:
        return ""  # it has gone already
