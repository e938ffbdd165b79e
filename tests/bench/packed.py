"""Interviews of which some are in Opus, for the harness: what their sound is worth is its place, for it carries no stamps.

A page in Opus begins like any other, so that both its ends know each other by the stamps in PCM. Then it sends a voice in
packets of 60 ms, and asks for the interviewer's in the silence after the first breath. From there on the n-th byte of
decoded sound at one end is the n-th that went in at the other, and its latency the time between.
"""

from array import array
from collections import deque
from dataclasses import dataclass, field
from functools import cache
import itertools
import socket
from typing import Any

from preppald.audio import opus
from preppald.core.frames import INPUT_BYTES_PER_SECOND, INPUT_SAMPLE_RATE_HZ, OUTPUT_SAMPLE_RATE_HZ
from preppald.pb.interview_pb2 import OPUS, AudioChunk, ClientToServerMessage, Prefer, ServerToClientMessage
from tests.bench import wire
from tests.bench.load import Browser, Gemini, Load, Samples
from tests.bench.patterns import PART_BYTES, PARTS_A_BREATH
from tests.bench.stamps import Checker
from tests.bench.wire import BINARY
from tests.coders import VOICES, the_library, voice

PACKET_BYTES = round(opus.MAX_PACKET_SECONDS * INPUT_BYTES_PER_SECOND)
# The decoder drops these of a stream.
PRE_SKIP_BYTES = round(opus.PRE_SKIP_SECONDS * INPUT_SAMPLE_RATE_HZ) * opus.BYTES_PER_SAMPLE
# Chunks of PCM before the first packet: half a second, in which SessionStarted comes, too.
CHUNKS_BEFORE = 25
BREATH_BYTES = PARTS_A_BREATH * PART_BYTES
# A breath ends with what the encoder holds back, filled up to the shortest packet.
BREATH_IN_PACKETS_BYTES = BREATH_BYTES + round(opus.MIN_PACKET_SECONDS * OUTPUT_SAMPLE_RATE_HZ) * 2


def packed_message(packet: bytes) -> bytes:
    """Return a browser's frame with a packet."""
    message = ClientToServerMessage(audio_chunk=AudioChunk(packets=[packet])).SerializeToString()
    return wire.head(BINARY, len(message), masked=True) + message


@cache
def voice_in_messages() -> list[bytes]:
    """Return the committed candidate's voice as frames of a packet of 60 ms each."""
    packets = opus.Encoder(the_library(), INPUT_SAMPLE_RATE_HZ).encode(voice(VOICES[0], INPUT_SAMPLE_RATE_HZ))
    return [packed_message(packet) for packet in packets]


PREFER = ClientToServerMessage(prefer=Prefer(downlink=OPUS)).SerializeToString()


@dataclass(slots=True)
class Ledger:
    """Sound that is on its way as packets. ``sent_bytes``, ``taken_bytes``: of PCM, as it goes in and comes out."""

    latencies: "array[int]"
    sent_bytes: int = 0
    taken_bytes: int = 0
    _under_way: "deque[tuple[int, int]]" = field(default_factory=deque)

    def send(self, size: int, now_ns: int) -> None:
        self.sent_bytes += size
        self._under_way.append((self.sent_bytes, now_ns))

    def take(self, size: int, now_ns: int) -> None:
        self.taken_bytes += size
        while self._under_way and self._under_way[0][0] <= self.taken_bytes:
            _, sent_ns = self._under_way.popleft()
            self.latencies.append(now_ns - sent_ns)


class PackedBrowser(Browser):
    """A candidate in Opus, as far as that is granted."""

    ASKS = "&codec=opus"

    def __init__(self, number: int, load: "PackedLoad") -> None:
        super().__init__(number, load)
        self.granted = False
        # Bytes of PCM before the first packet; None: it has not gone yet.
        self.packs_from: int | None = None
        self.up = Ledger(load.packed.up)
        self.down = Ledger(load.packed.down)
        self._load = load
        # Sessions are at different places of the voice.
        self._messages = itertools.islice(itertools.cycle(voice_in_messages()), number * 7 % 100, None)
        self._spoken = 0
        self._preferred = False
        # True once the daemon has gone back to PCM, for it had too much to do.
        self.given_up = False
        self._breath_bytes = 0

    def speak(self, now_ns: int) -> None:
        if not self.talking:
            return
        self._spoken += 1
        if self.packs_from is None:
            super().speak(now_ns)
            if self.granted and self._spoken >= CHUNKS_BEFORE:
                self.packs_from, self._spoken = self.voice.sent_bytes, 0
        elif self._spoken * self._load.pattern.chunk_bytes % PACKET_BYTES == 0:
            size = PACKET_BYTES if self.up.sent_bytes else PACKET_BYTES - PRE_SKIP_BYTES
            self.up.send(size, now_ns)
            self.wire.send(next(self._messages))

    def _take(self, payload: bytes, now_ns: int) -> None:
        message = ServerToClientMessage.FromString(payload)
        kind = message.WhichOneof("payload")
        if kind == "session_started":
            self.granted = message.session_started.audio_codec == OPUS
        elif kind == "audio_response" and message.audio_response.packets:
            for packet in message.audio_response.packets:
                self._hear(packet, now_ns)
        elif kind == "audio_response" and self._preferred:
            self.given_up = True
        else:
            super()._take(payload, now_ns)
            update = message.transcript_update
            if update.turn_complete and update.speaker == "AI":
                self._prefer()

    def _prefer(self) -> None:
        """Ask for the interviewer's voice in packets, once its first breath was heard."""
        if self.granted and not self._preferred and self.heard.taken_bytes:
            self._preferred = True
            self.wire.send(wire.head(BINARY, len(PREFER), masked=True) + PREFER)
            if self.heard.speaker is not None:
                gemini = self._load.geminis[self.heard.speaker]
                assert isinstance(gemini, PackedGemini)
                gemini.listener = self

    def _hear(self, packet: bytes, now_ns: int) -> None:
        samples = self._load.library.samples(packet, len(packet), OUTPUT_SAMPLE_RATE_HZ)
        size = samples * opus.BYTES_PER_SAMPLE
        room = max(0, BREATH_BYTES - self._breath_bytes)
        self._breath_bytes += size
        self.down.take(min(size, room), now_ns)
        if self._breath_bytes > BREATH_IN_PACKETS_BYTES:
            self.fault = f"{self._breath_bytes} bytes in a breath of {BREATH_BYTES}"
        elif self._breath_bytes == BREATH_IN_PACKETS_BYTES:
            self._breath_bytes = 0


class PackedGemini(Gemini):
    """Gemini's end, which knows of its candidate what went as packets."""

    def __init__(self, number: int, sock: socket.socket, load: "PackedLoad") -> None:
        super().__init__(number, sock, load)
        self.listener: PackedBrowser | None = None
        self.heard = Mixed(load)

    def step(self, now_ns: int) -> None:
        before = self.voice.sent_bytes
        super().step(now_ns)
        if self.listener is not None and self.voice.sent_bytes > before:
            self.voice.sent_bytes = before
            if not self.listener.given_up:
                self.listener.down.send(PART_BYTES, now_ns)


class Mixed(Checker):
    """What Gemini hears: stamps, and after them what was packets."""

    def __init__(self, load: "PackedLoad") -> None:
        super().__init__(load.pattern.chunk_bytes, load.samples.up)
        self._load = load

    def take(self, pcm: bytes, now_ns: int) -> None:
        speaker = None if self.speaker is None else self._load.browsers[self.speaker]
        if isinstance(speaker, PackedBrowser) and speaker.packs_from is not None:
            left = speaker.packs_from - self.taken_bytes
            if len(pcm) > left:
                speaker.up.take(len(pcm) - left, now_ns)
                pcm = pcm[:left]
        if pcm:
            super().take(pcm, now_ns)


class PackedLoad(Load):
    """A load of which ``share`` of the sessions ask for Opus, evenly spread. ``packed``: the latencies of theirs."""

    def __init__(self, *given: Any, share: float, **more: Any) -> None:
        super().__init__(*given, **more)
        self.share = share
        self.packed = Samples()
        self.library = the_library()

    def browser(self, number: int) -> Browser:
        packs = int((number + 1) * self.share) > int(number * self.share)
        return PackedBrowser(number, self) if packs else Browser(number, self)

    def gemini(self, number: int, accepted: socket.socket) -> Gemini:
        return PackedGemini(number, accepted, self)

    @property
    def packing(self) -> list[PackedBrowser]:
        """The sessions that were granted Opus."""
        return [one for one in self.browsers if isinstance(one, PackedBrowser) and one.granted]

    @property
    def given_up(self) -> int:
        """How many of them got the interviewer's voice as PCM all the same; what came after that is not counted."""
        return sum(one.given_up for one in self.packing)

    def lost_bytes(self) -> int:
        ledgers = [one.up for one in self.packing] + [one.down for one in self.packing if not one.given_up]
        return super().lost_bytes() + sum(one.sent_bytes - one.taken_bytes for one in ledgers)
