"""One connection to Gemini: set it up, read, write, close."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import trio

from preppald.config.addresses import Endpoint
from preppald.core import closes, gemini_frames
from preppald.core.closes import Cause
from preppald.core.events import GeminiEvent, MemberSkipped, SetupCompleted
from preppald.errors import RemoteProtocolError
from preppald.gemini.dial import Dial, UpstreamError, dialled, dialler, upgraded
from preppald.net.framing import Message
from preppald.net.poller import Poller
from preppald.net.websocket import NORMAL_CLOSE, WebSocket, WebSocketClosed

__all__ = ["Dial", "Upstream", "UpstreamError", "connected", "dialler"]

# Name resolution, TCP, TLS and the upgrade together. Seen: tens of milliseconds.
CONNECT_SECONDS = 10.0
# Seen: 50 to 500 ms.
SETUP_SECONDS = 10.0
# Gemini owes us nothing after a close frame, and a candidate waits for the next connection.
CLOSE_SECONDS = 1.0
# The silence after which Gemini is asked for a sign of life.
QUIET_SECONDS = 30.0
# Gemini's pongs were seen to take 8 to 30 s.
PONG_SECONDS = 60.0
# Called with the events of one read, and with Trio's time of it.
Hear = Callable[[Sequence[GeminiEvent], float], None]


class Upstream:
    """One connection to Gemini: a WebSocket with a setup at its beginning, and a watch for a peer that is gone.

    ``generation`` counts an interview's connections, from 1.
    """

    __slots__ = ("_behind_setup", "_dropped", "_key", "_pinged_at", "_websocket", "generation", "post_now")

    def __init__(self, generation: int, websocket: WebSocket, key: str) -> None:
        self.generation = generation
        # Sends one text message, as UTF-8, if it goes at once; returns whether it was sent. The hot path saves a call.
        self.post_now = websocket.post_now
        self._websocket = websocket
        self._key = key
        self._behind_setup: list[GeminiEvent] = []
        self._dropped: Cause | None = None
        self._pinged_at = 0.0

    @property
    def sending_since(self) -> float | None:
        """Return when the send began that has not ended yet, for a watchdog."""
        return self._websocket.sending_since

    # -------------------------------------------------------------- in

    async def receive(self) -> list[GeminiEvent]:
        """Return the events of all messages that one read brings; a MemberSkipped for each that cannot be read.

        Raises:
            UpstreamError: the connection ended.
        """
        if self._behind_setup:
            events, self._behind_setup = self._behind_setup, []
            return events
        messages: list[Message] = []
        try:
            while not messages:
                messages = await self._websocket.receive()
            return self._events(messages)
        except WebSocketClosed as closed:
            raise self._ended(closed) from closed

    async def listen(self, hear: Hear, poller: Poller) -> None:
        """Report all that Gemini says from now on, mostly from the poller's task.

        Raises:
            UpstreamError: the connection ended; it never returns.
        """
        while True:
            hear(await self.receive(), trio.current_time())
            await self._websocket.poll(poller, partial(self._look, hear))

    def _look(self, hear: Hear, now: float) -> bool:
        """Report what is here already; true where ``receive`` must see to it."""
        messages = self._websocket.receive_now(now)
        if messages:
            hear(_decoded(messages[0]) if len(messages) == 1 else self._events(messages), now)
        return messages is None or self._websocket.ended

    def _events(self, messages: Sequence[Message]) -> list[GeminiEvent]:
        return [event for message in messages for event in _decoded(message)]

    # -------------------------------------------------------------- out

    async def send(self, message: bytes) -> None:
        """Send one text message, as UTF-8. A send that is cancelled leaves half a frame behind: ``abort`` then.

        Raises:
            UpstreamError: the connection ended.
        """
        try:
            if not self._websocket.open:
                raise self._websocket.closed()
            self._websocket.post(message.decode())
            await self._websocket.flush()
        except WebSocketClosed as closed:
            raise self._ended(closed) from closed

    # -------------------------------------------------------------- its life

    async def set_up(self, setup: bytes) -> None:
        """Send the setup and wait until Gemini has accepted it; events behind that in the same read are kept.

        Raises:
            UpstreamError: the connection ended.
        """
        await self.send(setup)
        while True:
            events = await self.receive()
            for place, event in enumerate(events):
                if isinstance(event, SetupCompleted):
                    self._behind_setup = events[place + 1 :]
                    return

    def mind(self, now: float) -> bool:
        """Ping when nothing was heard for a while; return whether that was not answered either: then ``abort``.

        For the watchdog, once a second. Silence alone proves nothing: during a long answer, and while a candidate thinks,
        Gemini sends nothing. Where the kernel does not take the ping, it goes before the next message.
        """
        websocket = self._websocket
        if now - websocket.heard_at < QUIET_SECONDS:
            return False
        if self._pinged_at <= websocket.heard_at:
            self._pinged_at = now
            websocket.ping()
        return now - self._pinged_at >= PONG_SECONDS

    async def close(self) -> None:
        """Say goodbye, and return when Gemini has answered or is gone. Not while another task receives."""
        try:
            self._websocket.close(NORMAL_CLOSE)
            await self._websocket.flush()
            while True:
                await self._websocket.receive()
        except WebSocketClosed:
            pass

    async def abort(self, cause: Cause) -> None:
        """Drop the connection without a word; tasks that read or write see it end for this cause."""
        self._dropped = cause
        await self._websocket.hang_up()

    def _ended(self, closed: WebSocketClosed) -> UpstreamError:
        if self._dropped is not None:
            return UpstreamError(self._dropped)
        detail = closes.without_key(closed.reason, self._key)
        return UpstreamError(closes.of_close(closed.code, closed.reason), code=closed.code, detail=detail)


def _decoded(message: Message) -> list[GeminiEvent]:
    try:
        return gemini_frames.decode(message)
    except RemoteProtocolError:
        return [MemberSkipped("frame")]


@asynccontextmanager
async def connected(
    dial: Dial, where: Endpoint, key: str, setup: bytes, *, generation: int, by: float | None = None
) -> AsyncIterator[Upstream]:
    """Yield a connection on which Gemini accepted ``setup``; close it, within a bound, on the way out.

    ``by``: when the caller's patience ends, if that is sooner than ours.

    Raises:
        UpstreamError: the connection could not be made; or it ended, and the body did not notice by itself.
    """
    connect_by = _sooner(CONNECT_SECONDS, by)
    stream = await dialled(dial, connect_by)
    try:
        upstream = Upstream(generation, await upgraded(stream, where, key, connect_by), key)
        await _set_up(upstream, setup, _sooner(SETUP_SECONDS, by))
        setup = b""  # kilobytes that nobody needs any more
        yield upstream
        with trio.move_on_after(CLOSE_SECONDS, shield=True):
            await upstream.close()
    finally:
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(stream)


def _sooner(seconds: float, by: float | None) -> float:
    ours = trio.current_time() + seconds
    return ours if by is None else min(ours, by)


async def _set_up(upstream: Upstream, setup: bytes, by: float) -> None:
    try:
        with trio.fail_at(by):
            await upstream.set_up(setup)
    except trio.TooSlowError as error:
        raise UpstreamError(closes.SETUP_TIMED_OUT, detail="no setupComplete in time") from error
