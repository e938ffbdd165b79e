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
from preppald.errors import RETRY_AFTER_SECONDS, Refusal
from preppald.interview.admission import AlreadyEnded, NoSeat
from preppald.interview.registry import Registry
from preppald.interview.services import Services
from preppald.interview.session import Session
from preppald.net.stream import give_up_when_unacknowledged, keep_little_in_the_kernel
from preppald.net.tls import Identity
from preppald.server import answers, http as http1
from preppald.server.admission import HEALTH, READY, Admit, Page, Refuse, Rules, decide, interview_at
from preppald.server.goodbyes import Goodbyes
from preppald.server.handover import Handed, Handover
from preppald.server.http import Answer, Exchange, Upgrade
from preppald.server.limits import Limits, Visit
from preppald.server.refusals import Refusals
from preppald.server.relay import Relays
from preppald.server.request import SUBPROTOCOL, SUBPROTOCOL_2
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
        self.relays = Relays()
        self._services = services
        self._registry = registry
        self._pages = pages
        self._peers = peers or Handover(
            None, holds=registry.holds, ready=lambda: registry.unready() is None, log=services.log
        )
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
        exchange: Exchange | None = None
        try:
            exchange = await http1.read(stream, received)
            if exchange is not None:
                await self._answer(stream, exchange, visit, handed=bool(received))
        except Refusal as refusal:
            self._refusals.note(refusal, visit)
            await _slow_down(refusal)
            if exchange is None or not await self._goodbyes.say(stream, exchange, refusal):
                await http1.answer(stream, http1.refused(refusal), to=exchange)

    async def _answer(
        self, stream: trio.abc.Stream, exchange: Exchange, visit: Visit, *, handed: bool
    ) -> None:
        """Answer a request. ``handed``: another instance handed it over.

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
            case Refuse(refusal, guessed):
                if guessed:
                    self._limits.note_failure(visit)
                raise refusal
            case Admit() as admitted:
                visit.interview_id, visit.user_id = admitted.claims.interview_id, admitted.claims.user_id
                # Before anybody has a seat: a probe must not leave an interview behind that nobody is in.
                upgrade = http1.handshake(exchange)
                await self._admit(admitted, upgrade, stream, exchange, visit, handed=handed)

    async def _admit(
        self,
        admitted: Admit,
        upgrade: Upgrade,
        stream: trio.abc.Stream,
        exchange: Exchange,
        visit: Visit,
        *,
        handed: bool,
    ) -> None:
        room = WaitingRoom(self._services, stream, upgrade)
        try:
            match await self._seat(admitted, stream, exchange, room, handed=handed):
                case Handed(near):
                    self._limits.seated(visit)
                    if near is not None:
                        await self.relays.carry(stream, near)
                case Session() as session:
                    if (browser := await room.let_in()) is not None:
                        self._limits.seated(visit)
                        await _served(session, browser, admitted, bytes(room.early))
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

    async def _seat(
        self,
        admitted: Admit,
        stream: trio.abc.Stream,
        exchange: Exchange,
        room: WaitingRoom,
        *,
        handed: bool,
    ) -> Session | Handed:
        """Return the session here, or how a connection goes on that another instance has now.

        Raises:
            NoSeat: neither this instance nor another can take it, or the interview is over.
        """
        interview_id = admitted.claims.interview_id
        with self._peers.opening(interview_id) as opening:
            opening.decided |= handed
            hand_over = partial(self._peers.hand_over, interview_id, opening, stream, exchange.received)
            if elsewhere := await hand_over():
                return elsewhere
            try:
                return await self._registry.session_for(admitted.claims, admitted.block, room.waiting)
            except NoSeat as error:
                if isinstance(error, AlreadyEnded) or handed or self._registry.unready() is None:
                    raise
                if room.browser is not None:  # it has had its answer: there is nothing left to hand over
                    raise
                # It could have begun here when the others were asked; a drain may have begun since: ask once more.
                opening.decided = False
                if elsewhere := await hand_over():  # noqa: ASYNC120 - cancelled, the connection is gone anyway
                    return elsewhere
                raise

    async def _page(self, method: str, path: str) -> Answer | None:
        if path == HEALTH:
            return Answer(HTTPStatus.OK, b'{"status":"ok"}', http1.JSON)
        if path == READY:
            return readiness(self._registry, self._services.gemini.health)
        return None if self._pages is None else await self._pages(method, path)


async def _served(session: Session, browser: Browser, admitted: Admit, early: bytes) -> None:
    if session.attach(
        browser, admitted.since, knows_turns=admitted.knows_turns, opus=admitted.opus, early=early
    ):
        await browser.gone.wait()
    else:  # the interview ended while this browser was being let in
        await _dismissed(browser)


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
