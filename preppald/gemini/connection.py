"""One connection to Gemini: set it up, read, write, close."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import trio

from preppald.config.addresses import Endpoint
from preppald.core import closes, gemini
from preppald.core.closes import Cause
from preppald.core.events import GeminiEvent, SetupCompleted, Unreadable
from preppald.errors import RemoteProtocolError
from preppald.gemini.dial import Dial, Stream, UpstreamError, dialled, dialler, upgraded
from preppald.net.framing import Message
from preppald.net.poller import Poller
from preppald.net.websocket import WebSocket, WebSocketClosed

__all__ = ["Dial", "Upstream", "UpstreamError", "connected", "dialler"]

# Name resolution, TCP, TLS and the upgrade together. Seen: tens of milliseconds.
CONNECT_SECONDS = 10.0
# Seen: 50 to 500 ms.
SETUP_SECONDS = 10.0
# Gemini owes us nothing after a close frame, and a candidate waits for what comes next.
CLOSE_SECONDS = 1.0
# How long Gemini may be quiet before it is asked for a sign of life.
QUIET_SECONDS = 30.0
# Its pongs were seen to take 8 to 30 s.
PONG_SECONDS = 60.0
# Who is told what Gemini says.
Hear = Callable[[Sequence[GeminiEvent]], None]


@dataclass(slots=True)
class Upstream:
    """One connection to Gemini, set up. ``generation`` counts an interview's connections, from 1."""

    generation: int
    _conduit: WebSocket
    _stream: Stream
    _key: str = field(repr=False)
    _behind_setup: list[GeminiEvent] = field(default_factory=list)
    _dropped: Cause | None = None
    _lookout: Poller | None = None

    @property
    def sending_since(self) -> float | None:
        """When a send began that has not ended yet, for whoever watches for stalls."""
        return self._conduit.sending_since

    async def receive(self) -> list[GeminiEvent]:
        """The events of all frames that one read brings; often none. For what cannot be read there is an Unreadable.

        Raises:
            UpstreamError: the connection ended.
        """
        if self._behind_setup:
            events, self._behind_setup = self._behind_setup, []
            return events
        try:
            return self._events(await self._conduit.receive())
        except WebSocketClosed as closed:
            raise self._ended(closed) from closed

    async def listen(self, hear: Hear, poller: Poller) -> None:
        """Tells all that Gemini says from now on, mostly from the poller's task.

        Raises:
            UpstreamError: the connection ended; it never returns.
        """
        self._lookout = poller
        while True:
            hear(await self.receive())
            if self._conduit.readable is not None:
                await poller.until(self._conduit.readable, partial(self._look, hear))

    def _look(self, hear: Hear) -> bool:
        """Tells what is there already; true where ``receive`` must see to it."""
        frames = self._conduit.receive_now()
        if frames:
            hear(self._events(frames))
        return frames is None

    def _events(self, frames: Sequence[Message]) -> list[GeminiEvent]:
        events: list[GeminiEvent] = []
        for frame in frames:
            try:
                events += gemini.decode(frame)
            except RemoteProtocolError:
                events.append(Unreadable("frame"))
        return events

    async def send(self, message: str) -> None:
        """Sends one text frame. A send that is cancelled leaves half a frame behind: ``abort`` then.

        Raises:
            UpstreamError: the connection ended.
        """
        try:
            await self._conduit.send(message)
        except WebSocketClosed as closed:
            raise self._ended(closed) from closed

    @property
    def idle(self) -> bool:
        """Whether what is posted goes at once."""
        return self._conduit.idle

    def post(self, message: str) -> None:
        """Sends one text frame without waiting. Only while ``idle``."""
        self._conduit.post(message)

    async def accepted(self) -> None:
        """Waits until Gemini has accepted the setup; what came behind that in the same read is still heard.

        Raises:
            UpstreamError: the connection ended.
        """
        while True:
            events = await self.receive()
            for place, event in enumerate(events):
                if isinstance(event, SetupCompleted):
                    self._behind_setup = events[place + 1 :]
                    return

    async def keep_alive(self) -> None:
        """Pings when nothing was heard for a while, and hangs up on a Gemini that does not answer that either.

        Silence alone proves nothing: during a long answer, and while a candidate thinks, Gemini sends nothing.
        """
        while True:
            await trio.sleep_until(self._conduit.heard_at + QUIET_SECONDS)
            # The same sum as above: a difference may round to less, for ever where time is virtual.
            if trio.current_time() < self._conduit.heard_at + QUIET_SECONDS:
                continue
            try:
                with trio.fail_after(PONG_SECONDS):
                    await self._conduit.ping()
            except trio.TooSlowError:
                await self.abort(closes.SILENT)
                return
            except WebSocketClosed:
                return  # the reader sees the end too, and it says why

    async def abort(self, cause: Cause) -> None:
        """Drops the connection without a word; readers and writers see it end for this cause."""
        self._dropped = cause
        if self._lookout is not None and self._conduit.readable is not None:
            self._lookout.release(self._conduit.readable)
        await trio.aclose_forcefully(self._stream)

    def _ended(self, closed: WebSocketClosed) -> UpstreamError:
        if self._dropped is not None:
            return UpstreamError(self._dropped)
        detail = closes.without_key(closed.reason, self._key)
        return UpstreamError(closes.of_close(closed.code, closed.reason), code=closed.code, detail=detail)


@asynccontextmanager
async def connected(
    dial: Dial, where: Endpoint, key: str, setup: str, *, generation: int, by: float | None = None
) -> AsyncIterator[Upstream]:
    """A connection on which Gemini accepted ``setup``; closed, within a bound, on the way out.

    ``by``: when the caller's patience ends, if that is sooner than ours.

    Raises:
        UpstreamError: it cannot be had; or it ended, and the body did not notice by itself.
    """
    connect_by = _sooner(CONNECT_SECONDS, by)
    stream = await dialled(dial, connect_by)
    ended: BaseException | None = None
    try:
        conduit = await upgraded(stream, where, key, connect_by)
        upstream = Upstream(generation, conduit, stream, key)
        await _set_up(upstream, setup, _sooner(SETUP_SECONDS, by))
        async with trio.open_nursery() as living:
            living.start_soon(upstream.keep_alive)
            try:
                yield upstream
                with trio.move_on_after(CLOSE_SECONDS, shield=True):
                    await conduit.aclose()
            except Exception as error:  # noqa: BLE001 - raised again below, outside of the nursery's group
                ended = error
            living.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            await trio.aclose_forcefully(stream)
    if ended is not None:
        raise ended


def _sooner(seconds: float, by: float | None) -> float:
    ours = trio.current_time() + seconds
    return ours if by is None else min(ours, by)


async def _set_up(upstream: Upstream, setup: str, by: float) -> None:
    try:
        with trio.fail_at(by):
            await upstream.send(setup)
            await upstream.accepted()
    except trio.TooSlowError as error:
        raise UpstreamError(closes.TIMED_OUT, detail="no setupComplete in time") from error
