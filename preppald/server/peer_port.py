"""The peer port: where the instances of other hosts ask this one, and hand their candidates' connections over.

Rule 1: a peer that does not prove within HELLO_SECONDS that it has the hosts' key gets nothing but a random number.
Rule 2: at most MAX_HELLOS are under way; more are hung up on. A connection that was taken counts as one of the public
        port's from then on, by the same limits.
Rule 3: a connection is taken only for an interview that is live here.
"""

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
import os

import msgspec
import trio

from preppald.core.bucket import Bucket
from preppald.core.tokens import Claims
from preppald.errors import RemoteProtocolError
from preppald.net.splice import between_hosts
from preppald.net.stream import Stream
from preppald.net.tls import Identity
from preppald.server import http as http1
from preppald.server.forwarded import received
from preppald.server.request import Request
from preppald.server.tls import PlainHttp, secured
from preppald.shared import hello
from preppald.shared.hello import NONCE_BYTES, Answering, Question, Reply, Want
from preppald.shared.peers import Peers, message
from preppald.telemetry.logs import Logger

# From the first byte to the last, beside the TLS handshake: two round trips within one network.
HELLO_SECONDS = 2.0
# All candidates of one host that come back at one moment, while each hello takes milliseconds. 64 KiB each.
MAX_HELLOS = 512
# Lines about peers that are refused.
LINES_PER_SECOND, BURST_LINES = 1, 10

# Serves a candidate's connection, with the request and the claims that the other host has checked.
Take = Callable[[Stream, Request, Claims], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Taken:
    """A candidate's connection that another host carries here. ``carrier``: the name of its instance."""

    request: Request
    claims: Claims
    carrier: str


class PeerPort:
    """``holds``: whether an interview is live here. ``identity``: the certificate for connections from now on, if any."""

    def __init__(
        self,
        peers: Peers,
        *,
        holds: Callable[[str], bool],
        take: Take,
        identity: Callable[[], Identity | None],
        log: Logger,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._peers = peers
        self._holds = holds
        self._take = take
        self._identity = identity
        self._log = log
        self._random = random
        self._hellos = 0
        self._lines = Bucket(LINES_PER_SECOND, BURST_LINES)
        self._unlogged = 0

    async def handle(self, stream: trio.abc.Stream) -> None:
        """Serve one connection to its end; no error leaves it."""
        async with http1.contained(stream, self._log):
            if self._hellos >= MAX_HELLOS:
                self._refused(stream, "too many at a time")
                return
            between_hosts(stream)
            with ExitStack() as greeting:
                self._hellos += 1
                greeting.callback(self._greeted)
                try:
                    await self._secured(stream, greeting)
                except PlainHttp:
                    self._refused(stream, "plain HTTP, where TLS is spoken")

    def _greeted(self) -> None:
        self._hellos -= 1

    async def _secured(self, stream: trio.abc.Stream, greeting: ExitStack) -> None:
        identity = self._identity()
        if identity is None:
            await self._serve(Stream(stream), stream, greeting)
            return
        async with secured(stream, identity) as plain:
            if plain is not None:
                await self._serve(plain, stream, greeting)

    async def _serve(self, stream: Stream, tcp: trio.abc.Stream, greeting: ExitStack) -> None:
        key, me = self._peers.key, self._peers.me
        if key is None or not me:
            return  # nobody can prove anything yet
        why, asked = "no hello in time", None
        try:
            with trio.move_on_after(HELLO_SECONDS):
                asked = await self._hello(stream, Answering(key, self._random(NONCE_BYTES)), me)
        except (RemoteProtocolError, msgspec.DecodeError) as error:
            why = str(error)
        except trio.BrokenResourceError:
            why = "it hung up during the hello"
        greeting.close()
        if asked is None:
            self._refused(tcp, why)
        elif isinstance(asked, Taken):
            interview_id = asked.claims.interview_id
            self._log.info("connection.taken", interview=interview_id, carried_by=asked.carrier)
            await self._take(stream, asked.request, asked.claims)

    async def _hello(self, stream: Stream, answering: Answering, me: int) -> "Taken | Reply":
        """Answer a question; return the connection that it brings where that is taken, else the answer.

        Raises:
            RemoteProtocolError, msgspec.DecodeError: it is none of a host that has the key.
            trio.BrokenResourceError: the peer hung up.
        """
        await stream.send_all(answering.greeting)
        question = answering.read(*await message(stream, hello.MAX_QUESTION_BYTES))
        interview_id, taken = question.interview, None
        if question.want is Want.CARRY:
            taken = Taken(*received(question.request), question.name)
            interview_id = taken.claims.interview_id
        reply = self._reply(question, interview_id, me)
        await stream.send_all(answering.reply(reply))
        return taken if taken is not None and reply is Reply.YES else reply

    def _reply(self, question: Question, interview_id: str, me: int) -> Reply:
        if question.owner != me:
            return Reply.ANOTHER
        if question.want is Want.VOUCH or self._holds(interview_id):
            return Reply.YES
        return Reply.NO

    def _refused(self, stream: trio.abc.Stream, why: str) -> None:
        now = trio.current_time()
        if self._lines.level(now) < 1:
            self._unlogged += 1
            return
        self._lines.spend(1, now)
        unlogged, self._unlogged = self._unlogged, 0
        self._log.warning("peer.refused", address=_address(stream), cause=why, unlogged=unlogged)


def _address(stream: trio.abc.Stream) -> str:
    try:
        return str(stream.socket.getpeername()[0]) if isinstance(stream, trio.SocketStream) else ""
    except OSError:
        return ""  # it has gone already
