"""The candidate's mouth: a frame every 20 ms, speech or silence, and the goodbye."""

from collections.abc import Callable, Iterator
import math

import trio
from websockets.exceptions import ConnectionClosed
from websockets.trio.client import ClientConnection

from preppald.candidate.clock import Clock
from preppald.candidate.codec import Codec
from preppald.candidate.endings import Ending
from preppald.candidate.hearing import Hearing, end_request, pause
from preppald.candidate.playback import Playback
from preppald.candidate.speech import FRAME_SECONDS, SILENCE, SILENT_DBFS, Frame, Speech
from preppald.candidate.turntaking import CallStage, TurnTaking
from preppald.candidate.wav import BadWavError

# These are bounds on machines and networks: real seconds, whatever the speed.
# A send that takes longer goes nowhere.
SEND_SECONDS = 10.0
# After EndRequest the daemon has its transcript to write before it says SessionEnded.
END_SECONDS = 10.0
# Waking costs more than sending: at high speeds, several frames are sent at each.
SHORTEST_SLEEP_SECONDS = 0.005

# A machine that slept skips ahead instead of sending an hour of frames at once. The candidate's seconds.
MAX_LAG_SECONDS = 1.0


class Microphone:
    """Sends the candidate's frames. As the task that wakes most often, it also moves playback and turn taking on.

    ``level``: of the voice just now, dBFS. ``sent_bytes``: PCM, silence included. ``unconfirmed``: the end was
    requested and nothing came of it. ``fail`` is called when the file breaks off.
    """

    def __init__(
        self,
        speech: Speech,
        clock: Clock,
        playback: Playback,
        turn_taking: TurnTaking,
        hearing: Hearing,
        *,
        codec: Codec,
        fail: Callable[[Ending, str], None],
    ) -> None:
        self._speech = speech
        self._clock = clock
        self._playback = playback
        self._turn_taking = turn_taking
        self._hearing = hearing
        self._codec = codec
        self._fail = fail
        self._thinking = False  # the pause before this answer was asked for
        self._saying: Iterator[Frame] | None = None  # the file that is being spoken
        self.level = SILENT_DBFS
        self.sent_bytes = 0
        self.unconfirmed = False

    async def run(self, links: trio.MemoryReceiveChannel[ClientConnection]) -> None:
        """Stream over one connection after the other. The reason for a connection's end is not decided here."""
        with links:
            async for link in links:
                try:
                    await self._stream(link)
                    await self._take_leave(link)
                except ConnectionClosed:
                    continue

    async def _stream(self, link: ClientConnection) -> None:
        """Send a frame every 20 ms until it is time to leave."""
        frames_a_wake = max(1, math.ceil(SHORTEST_SLEEP_SECONDS * self._clock.speed / FRAME_SECONDS))
        due = self._clock.now()
        while True:
            await self._clock.sleep_until(due + (frames_a_wake - 1) * FRAME_SECONDS)
            now = self._clock.now()
            due = max(due, now - MAX_LAG_SECONDS)
            while due <= now:
                pcm = self._next_frame(now)
                if pcm is None or self._hearing.ended:
                    return
                await self._ask_for_time(link)
                for message in self._codec.said(pcm):
                    await self._send(link, message)
                self.sent_bytes += len(pcm)
                due += FRAME_SECONDS

    async def _ask_for_time(self, link: ClientConnection) -> None:
        """Ask for the pause in which the candidate thinks, once: it outlives connections, and the voice ends it."""
        thinking = self._turn_taking.stage is CallStage.THINKING
        if thinking and not self._thinking:
            await self._send(link, pause())
        self._thinking = thinking

    async def _take_leave(self, link: ClientConnection) -> None:
        """End the interview and wait until the daemon has closed."""
        if not self._hearing.ended:
            await self._send(link, end_request())
        with trio.move_on_after(END_SECONDS) as patience:
            await link.wait_closed()
        if patience.cancelled_caught:
            self.unconfirmed = True
            await link.aclose()

    async def _send(self, link: ClientConnection, message: bytes) -> None:
        with trio.move_on_after(SEND_SECONDS) as patience:
            await link.send(message)
        if patience.cancelled_caught:
            # Half a frame may be on its way: nothing can follow it.
            await trio.aclose_forcefully(link.stream)

    def _next_frame(self, now: float) -> bytes | None:
        """Return the microphone's next 20 ms; None when the candidate is leaving."""
        self._playback.advance(now)
        stage = self._turn_taking.tick(now, playing=self._playback.playing)
        frame = self._next_spoken(now) if stage is CallStage.ANSWERING else None
        if self._turn_taking.stage is CallStage.LEAVING:
            return None
        self.level = SILENT_DBFS if frame is None else frame.level
        if frame is None:
            return SILENCE
        if frame.voiced:
            self._turn_taking.voice(now)
        return frame.pcm

    def _next_spoken(self, now: float) -> Frame | None:
        if self._saying is None:
            self._saying = self._speech.frames()
        try:
            frame = next(self._saying, None)
        except BadWavError as error:
            self._fail(Ending.BAD_FILE, str(error))
            return None
        if frame is None:
            self._saying = None
            self._turn_taking.finish_answer(now)
        return frame
