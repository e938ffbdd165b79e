"""Keeps a candidate waiting who was let in, while the application is asked what the block is that the page wants.

The page's microphone is on between two blocks, so its connection is taken at once: the sound that comes meanwhile is
kept, and is the first that the interviewer hears. Nothing has begun before the application's answer.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio

from preppald.browser.connection import Browser
from preppald.browser.reader import Reader
from preppald.core import frames
from preppald.core.endings import MISUSED, USER_ENDED, Close
from preppald.core.events import BrowserEvent, ClientMisused, EndRequested
from preppald.core.frames import BYTES_PER_SAMPLE, INPUT_BYTES_PER_SECOND
from preppald.errors import Refusal
from preppald.interview.prompting import BLOCK_SECONDS
from preppald.interview.services import Services
from preppald.net.websocket import WebSocketClosed
from preppald.server import goodbyes, http as http1
from preppald.server.http import Upgrade
from preppald.server.request import SUBPROTOCOL_2

# All that a microphone brings while a block waits for its prompt, and the seconds in which the interview is opened.
KEPT_BYTES = round(BLOCK_SECONDS + 5) * INPUT_BYTES_PER_SECOND


class CandidateLeft(Exception):
    """The candidate went, or ended it, before anything had begun."""


class WaitingRoom:
    """One connection's. ``browser``: the candidate's, once it was let in. ``early``: its sound since then, PCM."""

    def __init__(self, services: Services, stream: trio.abc.Stream, upgrade: Upgrade) -> None:
        self.browser: Browser | None = None
        self.early = bytearray()
        self._services = services
        self._stream = stream
        self._upgrade = upgrade
        self._goodbye: Close | None = None
        self._scope = trio.CancelScope()

    async def let_in(self) -> Browser | None:
        """Return the browser at the other end, after the upgrade if that is still to come; None if it did not take it."""
        if self.browser is None:
            protocol = await http1.upgrade(self._stream, self._upgrade)
            if protocol is not None:
                measures = self._upgrade.subprotocol == SUBPROTOCOL_2
                self.browser = Browser(
                    self._stream,
                    protocol,
                    self._upgrade.early,
                    measures=measures,
                    family=self._upgrade.family,
                )
        return self.browser

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """Let the candidate in, and listen for as long as this lasts.

        Raises:
            CandidateLeft: before the end of it, which was cancelled.
        """
        browser = await self.let_in()
        if browser is None:
            raise CandidateLeft
        left = False
        phase = self._services.ticker.join()
        skipped = self._services.metrics.messages_skipped.inc
        reader = Reader(browser, self._keep, self._heard, self._services.ticker, phase, skipped=skipped)
        try:
            async with trio.open_nursery() as nursery:

                async def listen() -> None:
                    nonlocal left
                    try:
                        await reader.run()
                    except WebSocketClosed:
                        left = True
                        nursery.cancel_scope.cancel()

                self._scope = nursery.cancel_scope
                nursery.start_soon(listen)
                yield
                nursery.cancel_scope.cancel()
        finally:
            self._services.ticker.leave(phase)
        if left or self._goodbye is not None:
            raise CandidateLeft

    def _heard(self, _browser: Browser, events: Sequence[BrowserEvent]) -> None:
        for event in events:
            match event:
                case EndRequested():
                    self._dismiss(USER_ENDED.close(self._services.config.close_codes))
                case ClientMisused():
                    self._dismiss(MISUSED.plain)
                case _:
                    pass  # a pause to think, before there was a question

    def _keep(self, _browser: Browser, pcm: bytes) -> None:
        self.early += pcm
        excess = len(self.early) - KEPT_BYTES
        if excess > 0:
            del self.early[: excess + excess % BYTES_PER_SAMPLE]

    def _dismiss(self, close: Close) -> None:
        self._goodbye = close
        self._scope.cancel()

    async def see_off(self) -> None:
        """End the connection of a candidate who left, in order."""
        if self.browser is None:
            return
        if self._goodbye is not None:
            if self._goodbye.code != MISUSED.plain.code and USER_ENDED.ended is not None:
                self.browser.post(frames.session_ended(USER_ENDED.ended))
            self.browser.close(self._goodbye)
        with trio.move_on_after(goodbyes.SECONDS):
            await self.browser.write()
        await self.browser.hang_up()

    async def refuse(self, refusal: Refusal) -> None:
        """Tell a candidate who was let in why there is no seat, and when to come again."""
        if self.browser is None:
            raise AssertionError("nobody was let in")
        with trio.move_on_after(goodbyes.SECONDS):
            await goodbyes.tell(self.browser, refusal)
        await self.browser.hang_up()
