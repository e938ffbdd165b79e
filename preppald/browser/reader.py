"""Reads one browser: at each tick takes all that came since the last, decodes it, and joins the audio."""

from collections.abc import Callable, Sequence

from preppald.browser.connection import Browser
from preppald.core import frames
from preppald.core.endings import ERROR_INTERNAL
from preppald.core.events import AudioHeard, BrowserEvent, ClientMisused
from preppald.errors import RemoteProtocolError
from preppald.net.framing import Message
from preppald.net.ticker import Phase, Ticker

# One bad message is an accident, ten in a row are another program.
BAD_MESSAGES = 10
# Called with the events of one read: at most one of them is audio, and it comes first.
Hear = Callable[[Sequence[BrowserEvent]], None]


class Reader:
    """``run`` is the body of a session's downstream_reader task; most reads are made by the ticker's task.

    ``skipped`` is called for each message of a kind that is unknown here: a newer client's.
    """

    def __init__(
        self, browser: Browser, hear: Hear, ticker: Ticker, phase: Phase, skipped: Callable[[], None]
    ) -> None:
        self._browser = browser
        self._hear = hear
        self._ticker = ticker
        self._phase = phase
        self._skipped = skipped
        self._bad_messages = 0

    async def run(self) -> None:
        """Report all that the browser says; never return.

        Raises:
            WebSocketClosed: the connection ended.
        """
        while True:
            await self._ticker.until(self._phase, self._look)
            self._take(await self._browser.receive())

    def _look(self) -> bool:
        """Take what is here already; true where the reader's task must wait for more."""
        messages = self._browser.receive_now()
        if messages:
            self._take(messages)
        return messages is None or self._browser.ended

    def _take(self, messages: Sequence[Message]) -> None:
        pcm: list[bytes] = []
        others: list[BrowserEvent] = []
        for message in messages:
            heard = frames.spoken(message)
            if heard is not None:
                self._bad_messages = 0
                pcm.append(heard)
                continue
            try:
                event = frames.decode(message)
            except RemoteProtocolError:
                self._refuse(others)
                continue
            if event is None:
                self._skipped()
                self._browser.charge_nothing_said()
                continue
            self._bad_messages = 0
            if isinstance(event, AudioHeard):
                pcm.append(event.pcm)
            else:
                others.append(event)
        if pcm:
            self._hear([AudioHeard(b"".join(pcm)), *others])
        elif others:
            self._hear(others)

    def _refuse(self, events: list[BrowserEvent]) -> None:
        self._bad_messages += 1
        self._browser.post(frames.error(ERROR_INTERNAL, "Failed to process message"))
        if self._bad_messages >= BAD_MESSAGES:
            events.append(ClientMisused(self._bad_messages))
