"""Asks the instances of other hosts: does one live, has it an interview, does it take a connection.

Rule 1: an answer that does not come in time is none. Nobody is waited for longer than ASK_SECONDS.
Rule 2: where the shared journal has a certificate for a peer, no other one is spoken to.
"""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
import os
import re
import ssl

import msgspec
import trio

from preppald.errors import RemoteProtocolError
from preppald.net.pinned import Pinned
from preppald.net.splice import between_hosts
from preppald.net.stream import Stream
from preppald.shared import hello
from preppald.shared.hello import KEY_BYTES, NONCE_BYTES, Asking, Question, Reply, Want
from preppald.shared.membership import Membership
from preppald.shared.protocol import Peer, Presence, Shared, Unreachable, Written
from preppald.telemetry.interfaces import Log

# Connect, handshake and hello: five round trips within one network.
ASK_SECONDS = 2.0
# How often the others, and this instance's own row, are looked at.
LEARN_SECONDS = 5.0
# Before there is a key nobody can be asked: it is fetched as soon as the shared journal answers.
KEYLESS_SECONDS = 0.5
# Peers that are asked at one time whether they have an interview.
MAX_ASKED = 64
KEY = "peer"
_PORT = re.compile("[0-9]{1,5}")
NOTHING = msgspec.Raw(b"null")

Dial = Callable[[str, int], Awaitable[trio.abc.Stream]]


async def dial(host: str, port: int) -> trio.abc.Stream:
    """Return a TCP connection to another host."""
    stream = await trio.open_tcp_stream(host, port)
    between_hosts(stream)
    return stream


class Peers:
    """``key``: of the hello; None before the shared journal gave it. ``others``: the living, as they were last seen.

    ``certificate``: this instance's own of the moment, as in ``Presence``. ``living``: told all incarnations that live.
    ``random``: so many random bytes.
    """

    def __init__(
        self,
        shared: Shared,
        membership: Membership,
        *,
        log: Log,
        certificate: Callable[[], str] = lambda: "",
        living: Callable[[Collection[int]], None] = lambda _living: None,
        reach: Dial = dial,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.key: bytes | None = None
        self.others: tuple[Peer, ...] = ()
        self._shared = shared
        self._membership = membership
        self._log = log
        self._certificate = certificate
        self._living = living
        self._reach = reach
        self._random = random
        # The content of this instance's row, as far as this process wrote it.
        self._told: tuple[int, Presence] | None = None

    @property
    def me(self) -> int:
        """Return this instance's incarnation; 0 while it has none."""
        return self._membership.incarnation

    # -------------------------------------------------------------- learning

    async def run(self) -> None:
        """Learn who the others are, and say where this one is, until cancelled."""
        while True:
            await self.learn()
            await trio.sleep(KEYLESS_SECONDS if self.key is None else LEARN_SECONDS)

    async def learn(self) -> None:
        """Ask the shared journal once; without an answer everything stays as it was known."""
        if not self.me:
            return
        key = await self._shared.secret(KEY, self._random(KEY_BYTES))
        if isinstance(key, Unreachable):
            return
        self.key = key
        await self._tell()
        found = await self._shared.standings()
        if not isinstance(found, Unreachable):
            living = [it.peer for it in found if not it.peer.lost]
            self.others = tuple(it for it in living if it.incarnation != self.me)
            self._living({it.incarnation for it in living})

    async def _tell(self) -> None:
        presence = replace(self._membership.presence, certificate=self._certificate())
        if self._told == (self.me, presence):
            return
        me = self.me
        # Of a later incarnation, too, from its first moment on.
        self._membership.presence = presence
        if isinstance(await self._shared.present(me, presence), Written):
            self._told = me, presence

    # -------------------------------------------------------------- asking

    async def vouch(self, peer: Peer) -> bool:
        """Return whether this incarnation lives: an instance that is only cut off from the shared journal says so."""
        stream = await self._asked(peer, Want.VOUCH)
        return stream is not None

    async def holder(self, interview_id: str) -> Peer | None:
        """Return the first of the others that has this interview; None where none says so."""
        found: list[Peer] = []
        async with trio.open_nursery() as asking:

            async def ask(peer: Peer) -> None:
                if await self._asked(peer, Want.HOLD, interview_id) is not None:
                    found.append(peer)
                    asking.cancel_scope.cancel()

            for peer in self.others[:MAX_ASKED]:
                asking.start_soon(ask, peer)
        return found[0] if found else None

    async def carry(self, peer: Peer, interview_id: str, request: msgspec.Raw) -> Stream | None:
        """Return a connection to the session of this interview; None where the peer does not answer, or has it not.

        ``request``: the candidate's, in the words of ``server.forwarded``.
        """
        return await self._asked(peer, Want.CARRY, interview_id, request)

    async def _asked(
        self, peer: Peer, want: Want, interview_id: str = "", request: msgspec.Raw = NOTHING
    ) -> Stream | None:
        """Return the connection of a peer that says yes, which is of use to CARRY only; None for every other answer."""
        key = self.key
        if key is None or not self.me:
            return None
        question = Question(
            want=want,
            owner=peer.incarnation,
            asker=self.me,
            name=self._membership.presence.name,
            nonce=self._random(NONCE_BYTES),
            interview=interview_id,
            request=request,
        )
        why = "no answer in time"
        stream: Stream | None = None
        reply: Reply | None = None
        try:
            with trio.move_on_after(ASK_SECONDS):
                stream = await self._connected(peer)
                reply = await _answered(stream, Asking(key, question))
        except (OSError, ssl.SSLError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
            why = str(error) or type(error).__name__
        except RemoteProtocolError as error:
            why = str(error)
        finally:
            if stream is not None and (reply is not Reply.YES or want is not Want.CARRY):
                await stream.hang_up()  # noqa: ASYNC102 - shielded, and closes without waiting
        if reply is None:
            self._log.warning("peer.unreachable", peer=peer.name, address=peer.address, cause=why)
        return stream if reply is Reply.YES else None

    async def _connected(self, peer: Peer) -> Stream:
        """Return a connection to the peer port, by TLS where the peer has a certificate.

        Raises:
            OSError, ssl.SSLError, trio.BrokenResourceError: there is none.
        """
        host, _, port = peer.address.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not _PORT.fullmatch(port):
            raise OSError("it has no peer port")
        try:
            pinned = Pinned(peer.certificate, host) if peer.certificate else None
            tcp = await self._reach(host, int(port))
        except ValueError as error:
            # Of the resolver and of TLS: no host can have that name, which another host's settings gave it.
            raise OSError(f"its address cannot be used ({error})") from error
        stream = Stream(tcp, pinned)
        try:
            await stream.handshake()
        except BaseException:
            await stream.hang_up()  # noqa: ASYNC102 - shielded, and closes without waiting
            raise
        return stream


async def _answered(stream: Stream, asking: Asking) -> Reply:
    await stream.send_all(asking.ask(await exactly(stream, hello.GREETING_BYTES)))
    return asking.read(*await message(stream, hello.MAX_ANSWER_BYTES))


async def message(stream: Stream, most: int) -> tuple[bytes, bytes]:
    """Return a message of the hello, of at most so many bytes, and its HMAC.

    Raises:
        RemoteProtocolError: it is longer.
        trio.BrokenResourceError: the peer hung up before its end.
    """
    size = hello.length(await exactly(stream, hello.LENGTH.size), most)
    return await exactly(stream, size), await exactly(stream, hello.MAC_BYTES)


async def exactly(stream: Stream, size: int) -> bytes:
    """Return so many bytes, and take none behind them.

    Raises:
        trio.BrokenResourceError: the peer hung up before the last of them.
    """
    data = b""
    while len(data) < size:
        some = await stream.receive_some(size - len(data))
        if not some:
            raise trio.BrokenResourceError("the peer hung up during the hello")
        data += some
    return data
