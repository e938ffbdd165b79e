"""The candidate of ``tests.bench.badline``: streams all the time, whatever the line takes, and speaks over every reply."""

from array import array
import contextlib
import itertools
import random

import trio

from preppald.candidate.codec import Codec
from preppald.candidate.playback import RATE_HZ as VOICE_RATE_HZ
from preppald.pb.interview_pb2 import ServerToClientMessage
from tests.candidates import Candidate
from tests.coders import VOICES, voice

FRAME_SECONDS = 0.02
BYTES_PER_SECOND = 32_000
VOICE_BYTES_PER_SECOND = VOICE_RATE_HZ * 2
# The cushion with which a page begins to play.
CUSHION_SECONDS = 0.12
# Replies are spoken over when so much of them was heard.
HEARD_SECONDS = 3.0
# A line that is stuck takes nothing more of what was said.
STUCK_SECONDS = 5.0
# A quiet room, which is not as silent as what the daemon puts in: a second's samples, which begin anew.
ROOM_AMPLITUDE = 80
ROOM = array("h", random.Random(1).choices(range(-ROOM_AMPLITUDE, ROOM_AMPLITUDE + 1), k=16_000))


def in_a_room(pcm: bytes) -> bytes:
    """Return the sound as it is in a quiet room."""
    samples = array("h", pcm)
    noise = itertools.cycle(ROOM)
    return array("h", (max(-32_768, min(32_767, one + next(noise))) for one in samples)).tobytes()


class Speaker:
    """One interview's candidate. Times are seconds; ``gaps``: silence within replies, in ``heard`` of the interviewer's voice."""

    def __init__(self, candidate: Candidate, codec: Codec) -> None:
        self._candidate = candidate
        self._codec = codec
        self._waiting: trio.MemorySendChannel[bytes]
        self._speech = in_a_room(voice(VOICES[0], 16_000)[: 2 * BYTES_PER_SECOND])
        self._room = in_a_room(bytes(BYTES_PER_SECOND))
        self._frames = 0
        self.began_at = 0.0
        self.interruptions: list[float] = []
        self.barged_at: float | None = None
        self.barged = 0
        self.played_until = 0.0
        self.gaps = 0.0
        self.heard = 0.0
        self._reply_seconds = 0.0
        self._talking = b""
        self._read = 0
        self._over = False
        # When the daemon, or the line, ended the connection; None: it lasted.
        self.lost_after: float | None = None

    async def run(self, seconds: float) -> None:
        """Hold the interview for so long. Sound that the line has not taken by then is not sent any more."""
        self._waiting, queue = trio.open_memory_channel[bytes](100_000)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send, queue)
            self.began_at = trio.current_time()
            due = self.began_at
            while due < self.began_at + seconds:
                await trio.sleep_until(due)
                self._hear()
                for message in self._codec.said(self._frame()):
                    self._waiting.send_nowait(message)
                due += FRAME_SECONDS
            self._over = True
            self._waiting.close()
            nursery.cancel_scope.deadline = trio.current_time() + STUCK_SECONDS

    async def _send(self, queue: trio.MemoryReceiveChannel[bytes]) -> None:
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async for message in queue:
                if self._over:
                    return
                if self._candidate.leaving:
                    break
                await self._candidate.send(message)
            else:
                return
        self.lost_after = trio.current_time() - self.began_at

    def _frame(self) -> bytes:
        now = trio.current_time()
        size = round(FRAME_SECONDS * BYTES_PER_SECOND)
        if not self._talking and self._reply_seconds >= HEARD_SECONDS and now < self.played_until:
            self.barged += 1
            self._reply_seconds = 0.0
            self.barged_at = now
            self._talking = self._speech
        frame, self._talking = self._talking[:size], self._talking[size:]
        self._frames += 1
        at = self._frames * size % len(self._room)
        return frame or self._room[at : at + size]

    def _hear(self) -> None:
        """Play what has come."""
        now = trio.current_time()
        for message in self._candidate.messages[self._read :]:
            self._take(message, now)
        self._read = len(self._candidate.messages)

    def _take(self, message: ServerToClientMessage, now: float) -> None:
        if message.HasField("session_started"):
            self._codec.started(message.session_started)
        elif message.HasField("interrupted"):
            self._codec.interrupted()
            self.played_until = now
            self._reply_seconds = 0.0
            if self.barged_at is not None:
                self.interruptions.append(now - self.barged_at)
                self.barged_at = None
        elif message.HasField("audio_response"):
            length = len(self._codec.heard(message.audio_response)) / VOICE_BYTES_PER_SECOND
            if self._reply_seconds and now > self.played_until:
                self.gaps += now - self.played_until
            elif not self._reply_seconds:
                self.played_until = max(self.played_until, now + CUSHION_SECONDS)
            self.played_until = max(self.played_until, now) + length
            self._reply_seconds += length
            self.heard += length
        elif message.transcript_update.turn_complete and message.transcript_update.speaker == "AI":
            self._reply_seconds = 0.0
