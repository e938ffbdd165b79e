"""Opus for the pages that asked for it, and whose line has no room for PCM.

The candidate's packets are decoded where they are read: that takes 0.5 ms a second of speech. The interviewer's voice
takes ten times as long to encode, so threads do it, in rounds: each takes all that came for its browsers meanwhile.

Rule 1: everything else in this daemon is PCM. Sound is packets between a browser and this module only.
Rule 2: one connection's sound leaves in the order in which it came, through every change of codec. Sound that the
        candidate spoke over leaves never, wherever it is by then.
Rule 3: packets leave no sooner than ``pacing`` says.
Rule 4: nobody else waits for this. A process that is busy has new pages use PCM, and a browser whose sound waits too
        long gets it as PCM.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from preppald.audio.opus import MAX_PACKET_SECONDS, Decoder, Encoder, Library
from preppald.browser.pacing import Pace
from preppald.core import frames
from preppald.core.frames import (
    INPUT_BYTES_PER_SECOND,
    INPUT_SAMPLE_RATE_HZ,
    MAX_PACKETS,
    OUTPUT_BYTES_PER_SECOND,
    OUTPUT_SAMPLE_RATE_HZ,
)
from preppald.telemetry.metrics import Metrics

# Sound that waits for its thread: so long, and a minute of it. A thread that is so far behind has too much to do.
LATE_SECONDS = 1.0
WAITING_BYTES = 3 * 1024 * 1024
# The candidate's sound in the longest packet.
MAX_PACKET_PCM_BYTES = round(MAX_PACKET_SECONDS * INPUT_BYTES_PER_SECOND)
# A message of PCM: a third of a second, behind which Interrupted and a goodbye wait.
PCM_BYTES = 16_000


@dataclass(frozen=True, slots=True)
class Job:
    """A thread's work for one browser: begin a new stream if ``restart``, encode, and ``finish`` what is held back."""

    encoder: Encoder
    pcm: bytes
    restart: bool
    finish: bool
    generation: int

    def packets(self) -> list[bytes]:
        """Return the packets. The only call of this module that another thread makes."""
        if self.restart:
            self.encoder.restart()
        packets = self.encoder.encode(self.pcm)
        return packets + self.encoder.finish() if self.finish else packets


class Coder:
    """One connection's Opus, both ways; each way's state is made when it is first needed.

    ``post``: sends a message with sound. ``enlist``: has a thread take the next job. ``pace``: has ``release`` called from
    time to time, as long as it returns true. ``clock``: seconds.
    """

    def __init__(
        self,
        library: Library,
        metrics: Metrics,
        post: Callable[[bytes], None],
        enlist: Callable[["Coder"], None],
        *,
        pace: Callable[["Coder"], None],
        clock: Callable[[], float],
    ) -> None:
        self._library = library
        self._metrics = metrics
        self._post = post
        self._enlist = enlist
        self._ask_pace = pace
        self._clock = clock
        self._pace = Pace()
        self._decoder: Decoder | None = None
        self._encoder: Encoder | None = None
        # Pieces of the voice that wait, each with whether it goes as packets.
        self._waiting: deque[tuple[bytes, bool]] = deque()
        self._waiting_bytes = 0
        # Since when some of it has waited for the end of a job; None: none does.
        self._waiting_since: float | None = None
        # True while the page wants packets.
        self._packing = False
        # True while a thread has a job of this browser's: what comes now waits for it.
        self._working = False
        # True where the encoder may hold back sound of a stream that is not finished.
        self._held = False
        self._resting = False
        # True where the next sound begins a stream.
        self._new = True
        # Counts interruptions: packets of a job from before the last one are stale.
        self._generation = 0

    # -------------------------------------------------------------- the candidate's voice

    def hear(self, packets: Sequence[bytes]) -> bytes:
        """Return the sound of these packets, PCM s16le mono 16 kHz; damaged ones are concealed, and counted."""
        if self._decoder is None:
            self._decoder = Decoder(self._library, INPUT_SAMPLE_RATE_HZ)
        before = self._decoder.damaged
        pcm = b"".join(map(self._decoder.decode, packets))
        self._metrics.opus_seconds_in.inc(len(pcm) / INPUT_BYTES_PER_SECOND)
        if damaged := self._decoder.damaged - before:
            self._metrics.opus_damaged.inc(damaged)
        return pcm

    def heard_pcm(self) -> None:
        """End the stream of packets, for PCM came: packets that come after it begin another."""
        if self._decoder is not None:
            self._decoder.restart()

    # -------------------------------------------------------------- the interviewer's voice

    def prefer(self, *, packets: bool) -> None:
        """Carry the voice as packets from now on, or as PCM."""
        self._packing = packets
        if not packets:
            self.release()
        self._call()

    def play(self, pcm: bytes) -> bool:
        """Take a piece of the voice (s16le mono 24 kHz); false where it can go as PCM, for nothing of it waits here."""
        if not (self._packing or self._held or self._working or self._waiting or self._pace.waiting):
            return False
        self._waiting.append((pcm, self._packing))
        self._waiting_bytes += len(pcm)
        now = self._clock()
        if self._waiting_since is None:
            self._waiting_since = now
        if self._packing and (
            now - self._waiting_since > LATE_SECONDS or self._waiting_bytes > WAITING_BYTES
        ):
            self._give_up()
        self._call()
        return True

    def rest(self) -> None:
        """Bring out all that is held back for more sound: the reply is over."""
        self._resting = self._packing
        self._call()

    def drop(self) -> None:
        """Forget the voice that has not been sent: the candidate spoke over it. The next begins a stream."""
        self._generation += 1
        self._pace.drop()
        self._waiting.clear()
        self._waiting_bytes = 0
        self._waiting_since = None
        self._held = self._resting = False
        self._new = True

    def _give_up(self) -> None:
        """Let all that waits, and all that comes on this connection, be PCM."""
        self._metrics.opus_given_up.inc()
        self._packing = False
        self._waiting = deque((pcm, False) for pcm, _ in self._waiting)
        self.release()

    def _call(self) -> None:
        if not self._working:
            self._enlist(self)

    # -------------------------------------------------------------- for the threads

    def job(self) -> Job | None:
        """Return what there is to do; then ``made`` must follow. None: there is nothing."""
        if self._working:
            return None
        pcm = self._next(packed=True)
        pcm_follows = bool(self._waiting) or not self._packing
        finish = (pcm_follows or self._resting) and bool(self._held or pcm)
        if not pcm and not finish:
            self._send_pcm()
            return None
        if self._encoder is None:
            self._encoder = Encoder(self._library, OUTPUT_SAMPLE_RATE_HZ)
        job = Job(self._encoder, pcm, self._new, finish, self._generation)
        self._new = finish and pcm_follows
        self._held = not finish
        self._resting = False
        self._working = True
        return job

    def made(self, job: Job, packets: Sequence[bytes] | None) -> None:
        """Send a job's packets, unless they are stale, and what waited for them. None: the job failed."""
        self._working = False
        self._waiting_since = self._clock() if self._waiting else None
        if packets is None:
            self._held = False
            self._give_up()
        elif job.generation == self._generation:
            self._metrics.opus_seconds_out.inc(len(job.pcm) / OUTPUT_BYTES_PER_SECOND)
            seconds = self._library.seconds
            self._pace.put((packet, seconds(packet)) for packet in packets)
            if self.release():
                self._ask_pace(self)
        else:
            self._send_pcm()
        self._call()

    def release(self) -> bool:
        """Send the packets whose time has come, and all where PCM follows; return whether others wait."""
        pcm_follows = not self._packing or bool(self._waiting and not self._waiting[0][1])
        packets = self._pace.take_all() if pcm_follows else self._pace.take(self._clock())
        for at in range(0, len(packets), MAX_PACKETS):
            self._post(frames.packets(packets[at : at + MAX_PACKETS]))
        if self._pace.waiting:
            return True
        self._send_pcm()
        return False

    def _next(self, *, packed: bool) -> bytes:
        """Take the sound at the head of the queue that goes this way."""
        pieces = []
        while self._waiting and self._waiting[0][1] == packed:
            pieces.append(self._waiting.popleft()[0])
        pcm = b"".join(pieces)
        self._waiting_bytes -= len(pcm)
        return pcm

    def _send_pcm(self) -> None:
        """Send the PCM at the head of the queue, in messages of the usual size, unless packets go before it."""
        if self._held or self._working or self._pace.waiting:
            return
        pcm = self._next(packed=False)
        for at in range(0, len(pcm), PCM_BYTES):
            self._post(frames.audio(pcm[at : at + PCM_BYTES]))
