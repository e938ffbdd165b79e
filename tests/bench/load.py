"""The harness: browsers and a Gemini in one loop of epoll, with a device under test between them.

One task, no framework: what is measured on one core must not wait for what measures it on the other.
``lag``: how late this loop itself was; a run in which it was late says nothing, and is marked.
"""

from array import array
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
import os
import select
import socket
import ssl
import time
from typing import TypeVar

import msgspec

from preppald.core import tokens as auth
from preppald.pb.interview_pb2 import ClientToServerMessage, EndRequest, ServerToClientMessage
from tests.bench import wire
from tests.bench.patterns import (
    MICROPHONE_SLOWNESS,
    PART_BYTES,
    PART_SECONDS,
    PARTS_A_BREATH,
    PARTS_A_FRAGMENT,
    Pattern,
)
from tests.bench.stamps import Checker, Stamper
from tests.bench.wire import BINARY, CLOSE, PING, PONG, TEXT, Wire

SECRET = "a-secret-for-benchmarks-of-32-bytes-or-more"
T = TypeVar("T")
# Events of one turn of the loop, and sends of one: neither may keep the other waiting for long.
EVENTS = 512
SENDS = 128
# What epoll can sleep.
TICK_SECONDS = 0.001
_END = ClientToServerMessage(end_request=EndRequest()).SerializeToString()
_PART_HEAD = (
    b'{"serverContent":{"modelTurn":{"parts":[{"inlineData":{"mimeType":"audio/pcm;rate=24000","data":"'
)
_PART_TAIL = b'"}}]}}}'


class _Audio(msgspec.Struct):
    data: bytes = b""


class _Input(msgspec.Struct):
    audio: _Audio | None = None


class _ToGemini(msgspec.Struct, rename="camel"):
    setup: dict[str, object] | None = None
    realtime_input: _Input | None = None


_to_gemini = msgspec.json.Decoder(_ToGemini)


@dataclass(slots=True)
class Samples:
    """What was measured since the last ``clear``: nanoseconds, one entry a chunk; ``messages``: with sound, at Gemini."""

    up: "array[int]" = field(default_factory=lambda: array("q"))
    down: "array[int]" = field(default_factory=lambda: array("q"))
    lag: "array[int]" = field(default_factory=lambda: array("q"))
    messages: int = 0

    def clear(self) -> None:
        for each in (self.up, self.down, self.lag):
            del each[:]
        self.messages = 0


class Browser:
    """A candidate's end. ``ASKS``: more of its query."""

    ASKS = ""

    def __init__(self, number: int, load: "Load") -> None:
        self.number = number
        self.talking = False
        self.fragments = 0
        self.fault: str | None = None
        self.heard = Checker(PART_BYTES, load.samples.down)
        pattern = load.pattern
        inner = b"\x0a" + _varint(pattern.chunk_bytes)
        outer = b"\x0a" + _varint(len(inner) + pattern.chunk_bytes)
        size = len(outer) + len(inner) + pattern.chunk_bytes
        start = wire.head(BINARY, size, masked=True) + outer + inner
        self.message = bytearray(start) + bytearray(pattern.chunk_bytes)
        self.voice = Stamper(number, pattern.chunk_bytes, self.message, len(start))
        self.wire = Wire(socket.create_connection(load.device), load.epoll, load.browsers_tls)
        now = time.time_ns() // 1_000_000_000
        name = f"bench-{os.getpid()}-{number}"
        token = auth.sign(SECRET, user_id=name, interview_id=name, now=now, lifetime=7200)
        self.wire.send(wire.request("localhost", f"/ws/{name}?turns=1{self.ASKS}", token))

    def speak(self, now_ns: int) -> None:
        if self.talking:
            self.voice.stamp(now_ns)
            self.wire.send(self.message)

    def end(self) -> None:
        """Says that the interview is over, as a candidate does."""
        self.talking = False
        self.wire.send(wire.head(BINARY, len(_END), masked=True) + _END)

    def ready(self, now_ns: int) -> None:
        for opcode, payload in self.wire.receive():
            if opcode == BINARY:
                self._take(payload, now_ns)
            elif opcode == PING:
                self.wire.send(wire.head(PONG, len(payload), masked=True) + payload)
            elif opcode == CLOSE:
                self.wire.send(wire.head(CLOSE, len(payload), masked=True) + payload)
                self.talking = False
        if not self.talking and self.wire.http is not None and self.voice.sent_bytes == 0:
            if not self.wire.http.startswith(b"HTTP/1.1 101"):
                self.fault = self.wire.http.partition(b"\r\n")[0].decode()
                return
            self.talking = True
            self.speak(time.monotonic_ns())

    def _take(self, payload: bytes, now_ns: int) -> None:
        message = ServerToClientMessage.FromString(payload)
        match message.WhichOneof("payload"):
            case "audio_response":
                self.heard.take(message.audio_response.audio_content, now_ns)
            case "transcript_update" if message.transcript_update.text:
                said = int(message.transcript_update.text)
                if said != self.fragments:
                    self.fault = f"fragment {said} in place of {self.fragments}"
                self.fragments += 1
            case "error":
                self.fault = message.error.message
            case _:
                pass


class Gemini:
    """Gemini's end of one connection: takes the setup, hears, and speaks when it is its time."""

    def __init__(self, number: int, sock: socket.socket, load: "Load") -> None:
        self.set_up = False
        self.heard = Checker(load.pattern.chunk_bytes, load.samples.up)
        self.fragments = 0
        self.wire = Wire(sock, load.epoll, load.gemini_tls, server_side=True)
        self._load = load
        self._answered = False
        # Sessions speak at different times.
        self._part = number * 7 % (2 * PARTS_A_BREATH)
        self._pcm = bytearray(PART_BYTES)
        self.voice = Stamper(number, PART_BYTES, self._pcm)

    def ready(self, now_ns: int) -> None:
        frames = self.wire.receive()
        if not self._answered and self.wire.http is not None:
            self._answered = True
            self.wire.send(wire.response(self.wire.http))
        for opcode, payload in frames:
            if opcode in {TEXT, BINARY}:
                self._take(payload, now_ns)
            elif opcode == PING:
                self.wire.send(wire.head(PONG, len(payload), masked=False) + payload)
            elif opcode == CLOSE:
                self.wire.send(wire.head(CLOSE, len(payload), masked=False) + payload)
                self.set_up = False

    def _take(self, payload: bytes, now_ns: int) -> None:
        message = _to_gemini.decode(payload)
        if message.setup is not None:
            self.set_up = True
            self._say(b'{"setupComplete":{}}')
        elif message.realtime_input is not None and message.realtime_input.audio is not None:
            self.hear(message.realtime_input.audio.data, now_ns)

    def hear(self, pcm: bytes, now_ns: int) -> None:
        """Take the candidate's sound."""
        self._load.samples.messages += 1
        first = self.heard.taken_bytes == 0
        self.heard.take(pcm, now_ns)
        if first:
            self._load.first_heard(self.heard.speaker, now_ns)

    def step(self, now_ns: int) -> None:
        """Forty milliseconds of a conversation have passed."""
        if not self.set_up:
            return
        self._part = (self._part + 1) % (2 * PARTS_A_BREATH)
        speaking = self._part < PARTS_A_BREATH
        if speaking:
            self.voice.stamp(now_ns)
            self._say(_PART_HEAD + b64encode(self._pcm) + _PART_TAIL)
        if self._part % PARTS_A_FRAGMENT == 0:
            kind = b"outputTranscription" if speaking else b"inputTranscription"
            text = b"%d" % self.fragments
            self._say(b'{"serverContent":{"' + kind + b'":{"text":"' + text + b'"}}}')
            self.fragments += 1
        if self._part == PARTS_A_BREATH:
            self._say(b'{"serverContent":{"generationComplete":true}}')
            self._say(b'{"serverContent":{"turnComplete":true}}')

    def _say(self, message: bytes) -> None:
        self.wire.send(wire.head(BINARY, len(message), masked=False) + message)


class Turns:
    """Gives everybody a turn once a period, evenly spread, as far as the loop keeps up."""

    def __init__(self, period: float, lag: "array[int]") -> None:
        self._period = period
        self._lag = lag
        self._at = time.monotonic()
        self._next = 0

    def due(self, members: list[T]) -> list[T]:
        """Whose turn it is now, at most ``SENDS`` of them."""
        now = time.monotonic()
        if not members:
            self._at = now
            return []
        step = self._period / len(members)
        late = now - self._at
        count = min(int(late / step), SENDS)
        if count:
            self._at += count * step
            self._lag.append(int((late - count * step) * 1e9))
        first, self._next = self._next, self._next + count
        return [members[index % len(members)] for index in range(first, first + count)]


class Load:
    """Everything around one device under test. ``go`` is the loop; call it again and again.

    ``gemini_tls``: what its Gemini shows; ``browsers_tls``: what its browsers trust; None where it is plain.
    """

    def __init__(
        self,
        pattern: Pattern,
        device: tuple[str, int],
        listener: socket.socket,
        *,
        gemini_tls: ssl.SSLContext | None = None,
        browsers_tls: ssl.SSLContext | None = None,
    ) -> None:
        self.gemini_tls = gemini_tls
        self.browsers_tls = browsers_tls
        self.pattern = pattern
        self.device = device
        self.samples = Samples()
        self.browsers: list[Browser] = []
        self.geminis: list[Gemini] = []
        self.epoll = select.epoll()
        # Seconds from connecting to the first audio at Gemini, by session.
        self.set_up_seconds: dict[int, float] = {}
        self._connected_ns: dict[int, int] = {}
        self._listener = listener
        self._ends: dict[int, Browser | Gemini] = {}
        self.resume()
        self._accepted = 0
        listener.setblocking(False)  # noqa: FBT003 - the socket module's own way
        self.epoll.register(listener, select.EPOLLIN)

    def resume(self) -> None:
        """Begin to speak now: turns that went by while nobody did are not made up for."""
        self._browsers_turns = Turns(MICROPHONE_SLOWNESS / self.pattern.messages_per_second, self.samples.lag)
        self._geminis_turns = Turns(PART_SECONDS, self.samples.lag)

    def close(self) -> None:
        for browser in self.browsers:
            browser.wire.close()
        for gemini in self.geminis:
            gemini.wire.close()
        self.epoll.close()

    def connect(self) -> Browser:
        number = len(self._connected_ns)
        self._connected_ns[number] = time.monotonic_ns()
        browser = self.browser(number)
        self.browsers.append(browser)
        self._ends[browser.wire.sock.fileno()] = browser
        return browser

    def browser(self, number: int) -> Browser:
        """A new candidate's end; another kind of load has others."""
        return Browser(number, self)

    def gemini(self, number: int, accepted: socket.socket) -> Gemini:
        """A new connection's Gemini."""
        return Gemini(number, accepted, self)

    @property
    def connected(self) -> int:
        """How many sessions were ever begun."""
        return len(self._connected_ns)

    def first_heard(self, speaker: int | None, now_ns: int) -> None:
        """Set-up is over for the browser whose stamps came."""
        if speaker is not None:
            self.set_up_seconds[speaker] = (now_ns - self._connected_ns[speaker]) / 1e9

    def forget_closed(self) -> None:
        """Drops the ends of sessions that are over."""
        self.browsers = [browser for browser in self.browsers if not browser.wire.closed]
        self.geminis = [gemini for gemini in self.geminis if not gemini.wire.closed]

    def go(self, seconds: float, *, until: Callable[[], bool] | None = None, speaking: bool = True) -> bool:
        """Runs the load for a while, or until something is so; whether it came to that."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if until is not None and until():
                return True
            if speaking:
                for browser in self._browsers_turns.due(self.browsers):
                    browser.speak(time.monotonic_ns())
                for gemini in self._geminis_turns.due(self.geminis):
                    gemini.step(time.monotonic_ns())
            for number, what in self.epoll.poll(TICK_SECONDS, EVENTS):
                self._event(number, what)
        return until is None or until()

    def _event(self, number: int, what: int) -> None:
        if number == self._listener.fileno():
            self._accept()
            return
        end = self._ends[number]
        if what & select.EPOLLOUT:
            end.wire.flush()
        if what & ~select.EPOLLOUT and not end.wire.closed:
            end.ready(time.monotonic_ns())

    def _accept(self) -> None:
        try:
            accepted, _ = self._listener.accept()
        except BlockingIOError:
            return
        gemini = self.gemini(self._accepted, accepted)
        self._accepted += 1
        self.geminis.append(gemini)
        self._ends[accepted.fileno()] = gemini

    # -------------------------------------------------------------- what came of it

    def lost_bytes(self) -> int:
        """Audio that was sent and has not arrived, both ways."""
        ends: list[Browser | Gemini] = [*self.browsers, *self.geminis]
        return sum(end.voice.sent_bytes - end.heard.taken_bytes for end in ends)

    def drained(self, seconds: float) -> bool:
        """Stops talking and waits until all has arrived; whether it has."""
        return self.go(seconds, until=self._all_is_here, speaking=False)

    def _all_is_here(self) -> bool:
        return self.lost_bytes() == 0 and self._untold() == 0

    def _untold(self) -> int:
        """Fragments of the transcript that Gemini sent and no browser has shown."""
        sent = sum(gemini.fragments for gemini in self.geminis)
        return sent - sum(browser.fragments for browser in self.browsers)

    def faults(self) -> list[str]:
        found = [f"down: {browser.heard.fault}" for browser in self.browsers if browser.heard.fault]
        found += [f"up: {gemini.heard.fault}" for gemini in self.geminis if gemini.heard.fault]
        found += [f"told: {browser.fault}" for browser in self.browsers if browser.fault]
        if untold := self._untold():
            found.append(f"told: {untold} fragments are missing")
        return found


def _varint(number: int) -> bytes:
    low, high = number & 0x7F, number >> 7
    return bytes((low | 0x80,)) + _varint(high) if high else bytes((low,))
