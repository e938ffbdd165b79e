"""Reads one browser: decodes what it says, and gathers pieces of sound that are too small to go on alone.

A browser that sends 20 ms and more in a message is polled, and each chunk goes on as it comes. One that sends smaller
pieces is looked at once a tick instead, so that one read takes all pieces of 20 ms and one message carries them.
"""

from collections.abc import Callable, Sequence

import trio

from preppald.browser.connection import Browser
from preppald.core import frames
from preppald.core.endings import ERROR_INTERNAL
from preppald.core.events import AudioHeard, BrowserEvent, ClientMisused, PacketsHeard
from preppald.core.frames import BYTES_PER_SAMPLE, INPUT_SAMPLE_RATE_HZ
from preppald.errors import RemoteProtocolError
from preppald.net.framing import Message
from preppald.net.ticker import GATHER_SECONDS, Phase, Ticker

# One bad message is an accident, ten in a row are another program.
BAD_MESSAGES = 10
# The smallest piece that goes on alone: 640 bytes.
GRAIN_BYTES = round(GATHER_SECONDS * INPUT_SAMPLE_RATE_HZ) * BYTES_PER_SAMPLE
# Ticks in a row that find nothing before a browser is polled instead: a muted page must not cost a read each tick.
IDLE_TICKS = 10
# How often a browser is told how much of its sound has arrived: a second is soon enough to notice a slow line.
RECEIVED_EVERY_SECONDS = 1.0
# Called with the audio of one read, all of it: s16le mono 16 kHz, of any length.
HearAudio = Callable[[Browser, bytes], None]
# Called after that with the other events of the read; none of them is audio.
Hear = Callable[[Browser, Sequence[BrowserEvent]], None]


class Reader:
    """``run`` is the body of a session's downstream_reader task; most reads are made by the ticker's task.

    ``skipped`` is called for each message of a kind that is unknown here: a newer client's.
    """

    __slots__ = (
        "_bad_messages",
        "_blind",
        "_browser",
        "_gathering",
        "_hear",
        "_hear_audio",
        "_idle_ticks",
        "_pcm",
        "_phase",
        "_received_at",
        "_skipped",
        "_spoken",
        "_ticker",
    )

    def __init__(
        self,
        browser: Browser,
        hear_audio: HearAudio,
        hear: Hear,
        ticker: Ticker,
        phase: Phase,
        *,
        skipped: Callable[[], None],
    ) -> None:
        self._browser = browser
        self._hear_audio = hear_audio
        self._hear = hear
        self._ticker = ticker
        self._phase = phase
        self._skipped = skipped
        self._bad_messages = 0
        # Sound that has not gone on yet, in whole messages; or half a sample that waits for its other half, on this
        # connection: all that goes on is whole samples.
        self._pcm: list[bytes] = []
        self._gathering = False
        self._idle_ticks = 0
        # True where only the task itself can receive the next bytes, or the end.
        self._blind = True
        self._received_at = trio.current_time() - RECEIVED_EVERY_SECONDS
        # Reads PCM off a message in the usual form. While packets come, one that notices the end of them.
        self._spoken = frames.spoken

    async def run(self) -> None:
        """Report all that the browser says; never return.

        Raises:
            WebSocketClosed: the connection ended.
        """
        try:
            while True:
                self._blind = True
                if self._gathering:
                    await self._ticker.until(self._phase, self._look_at_tick)
                else:
                    await self._browser.poll(self._ticker.poller, self._look)
                if self._blind:
                    messages = await self._browser.receive()
                    # A throttled browser returns at once, with nothing: the next try waits for a tick.
                    self._gathering = self._browser.strained
                    self._take(messages)
        finally:
            self._pass_on([])

    def _look(self, now: float) -> bool:
        """Take what is here already; true where the reader's task must go on."""
        browser = self._browser
        messages = browser.receive_now(now)
        if messages is None:
            return True
        if messages:
            self._take(messages)
        if browser.troubled:
            if browser.ended:
                self._blind = True
                return True
            self._gathering = True
        self._blind = False
        return self._gathering

    def _look_at_tick(self, now: float) -> bool:
        """Take what came since the last tick, and pass on all that was gathered."""
        messages = self._browser.receive_now(now)
        if messages is None:
            self._pass_on([])
            return True
        self._gathering = self._browser.strained
        if messages:
            self._idle_ticks = 0
            self._take(messages)
        else:
            self._idle_ticks += 1
            self._gathering = self._gathering or self._idle_ticks < IDLE_TICKS
        if self._pcm:
            self._pass_on([])
        if self._browser.ended:
            self._blind = True
            return True
        self._blind = False
        return not self._gathering

    def _take(self, messages: Sequence[Message]) -> None:
        """Decode and pass on; where a piece was small, gather until the next tick instead."""
        if len(messages) == 1 and not self._pcm:
            pcm = self._spoken(messages[0])
            if (
                pcm is not None and len(pcm) >= GRAIN_BYTES and not len(pcm) & 1
            ):  # as nearly all of a well-made page's
                self._bad_messages = 0
                browser = self._browser
                if browser.measures:
                    self._report(len(pcm))
                self._hear_audio(browser, pcm)
                return
        others: list[BrowserEvent] = []
        for message in messages:
            pcm = self._spoken(message)
            if pcm is None:
                pcm = self._decoded(message, others)
                if pcm is None:
                    continue
            self._bad_messages = 0
            if not pcm:
                continue  # a page that is muted, or packets past its allowance: nothing was heard
            self._pcm.append(pcm)
            if len(pcm) < GRAIN_BYTES:
                self._gathering = True
        if others or not self._gathering:
            self._pass_on(others)

    def _pass_on(self, others: list[BrowserEvent]) -> None:
        pcm, self._pcm = self._pcm, []
        sound = b"".join(pcm)
        if len(sound) % BYTES_PER_SAMPLE:
            self._pcm = [sound[-1:]]
            sound = sound[:-1]
        if sound:
            if self._browser.measures:
                self._report(len(sound))
            self._hear_audio(self._browser, sound)
        if others:
            self._hear(self._browser, others)

    def _decoded(self, message: Message, others: list[BrowserEvent]) -> bytes | None:
        """Return the sound in a message of an uncommon shape; None where it is another, which is among ``others``."""
        try:
            event = frames.decode(message)
        except RemoteProtocolError:
            self._refuse(others)
            return None
        if event is None:
            self._skipped()
            self._browser.charge_nothing_said()
            return None
        if isinstance(event, AudioHeard):
            self._end_packets()
            return event.pcm
        if isinstance(event, PacketsHeard):
            return self._unpacked(event.packets, others)
        self._bad_messages = 0
        others.append(event)
        return None

    def _unpacked(self, packets: Sequence[bytes], others: list[BrowserEvent]) -> bytes | None:
        """Return the sound in packets, which only a page may send that was granted them."""
        if self._browser.coder is None:
            self._refuse(others)
            return None
        self._spoken = self._spoken_again
        return self._browser.unpack(packets)

    def _spoken_again(self, message: Message) -> bytes | None:
        """Read PCM as ``frames.spoken`` does; it ends the stream of packets that came before it."""
        pcm = frames.spoken(message)
        if pcm is not None:
            self._end_packets()
        return pcm

    def _end_packets(self) -> None:
        self._spoken = frames.spoken
        if self._browser.coder is not None:
            self._browser.coder.heard_pcm()

    def _report(self, audio_bytes: int) -> None:
        """Tell the browser how much has arrived on this connection, at once for the first and then once a second."""
        self._browser.audio_bytes += audio_bytes
        now = self._browser.heard_at
        if now - self._received_at >= RECEIVED_EVERY_SECONDS:
            self._received_at = now
            self._browser.post(frames.received(self._browser.audio_bytes / frames.INPUT_BYTES_PER_SECOND))

    def _refuse(self, events: list[BrowserEvent]) -> None:
        self._bad_messages += 1
        self._browser.post(frames.error(ERROR_INTERNAL, "Failed to process message"))
        if self._bad_messages >= BAD_MESSAGES:
            events.append(ClientMisused(self._bad_messages))
