"""A browser for the tests: the client contract over any Trio stream, keeping all that it was sent."""

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
import math
from typing import Any

import trio
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from preppald.pb import interview_pb2
from preppald.pb.interview_pb2 import ServerToClientMessage

RATE_HZ = 16_000
TICK_SECONDS = 0.02


def tone(seconds: float) -> bytes:
    """PCM loud enough for speech, at 16 kHz."""
    return array(
        "h", (round(8000 * math.sin(index * 0.3)) for index in range(round(seconds * RATE_HZ)))
    ).tobytes()


def silence(seconds: float) -> bytes:
    return bytes(2 * round(seconds * RATE_HZ))


@dataclass
class Candidate:
    """``open`` it, then ``run`` in the background; look at ``messages``, or wait ``until`` one is there.

    ``old``: a page from before the subprotocol preppal.v1, with its token in the query. ``clock``: says when what was
    read last arrived, for ``arrivals``. ``wire``: a module, or the like, with the messages of the page's contract.
    """

    stream: trio.abc.Stream
    old: bool = False
    clock: Callable[[], float] = trio.current_time
    messages: list[ServerToClientMessage] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    subprotocol: str = "preppal.v1"
    wire: Any = interview_pb2
    pings: list[float] = field(default_factory=list)
    close: tuple[int, str] | None = None
    status: int = 0

    def __post_init__(self) -> None:
        self.protocol = ClientProtocol(parse_uri("ws://localhost/"), max_size=None)
        self._response: Response | None = None
        self._news = trio.Event()
        self._sending = trio.Lock()

    async def open(self, path: str, token: str | None, **headers: str) -> int:
        """Asks for the upgrade, with the token as a subprotocol; the answer's status."""
        request = self.protocol.connect()
        request.path = path
        if self.old:
            request.path = f"{path}{'&' if '?' in path else '?'}token={token}"
        elif token is not None:
            request.headers["Sec-WebSocket-Protocol"] = f"{self.subprotocol}, token.{token}"
        for name, value in headers.items():
            request.headers[name] = value
        self.protocol.available_subprotocols = [self.subprotocol]  # type: ignore[list-item]
        self.protocol.send_request(request)
        await self.flush()
        while self._response is None:
            await self._pump()
        self.status = self._response.status_code
        return self.status

    @property
    def leaving(self) -> bool:
        """Whether a close has come, or the end: nothing may be sent any more."""
        return self.close is not None or self.protocol.state is not State.OPEN

    async def run(self) -> None:
        """Reads until the connection is gone; then ``close`` says how."""
        while self.close is None:
            await self._pump()

    # -------------------------------------------------------------- speaking

    async def send(self, message: bytes) -> None:
        self.protocol.send_binary(message)
        await self.flush()

    async def send_text(self, text: str) -> None:
        self.protocol.send_text(text.encode())
        await self.flush()

    async def send_audio(self, pcm: bytes) -> None:
        chunk = self.wire.AudioChunk(audio_content=pcm)
        await self.send(self.wire.ClientToServerMessage(audio_chunk=chunk).SerializeToString())

    async def speak(self, seconds: float, pause: float = 2.0) -> None:
        """Says something in real time, and then nothing for a while, as a microphone would."""
        await self._stream_pcm(tone(seconds))
        await self._stream_pcm(silence(pause))

    async def say(self, pcm: bytes, pause: float = 2.0) -> None:
        """Says this, s16le at 16 kHz, and then nothing for a while."""
        await self._stream_pcm(pcm)
        await self._stream_pcm(silence(pause))

    async def keep_silent(self, seconds: float) -> None:
        await self._stream_pcm(silence(seconds))

    async def end(self) -> None:
        await self.send(self.wire.ClientToServerMessage(end_request={}).SerializeToString())

    async def vanish(self) -> None:
        """The network is gone, without a word."""
        await trio.aclose_forcefully(self.stream)

    async def _stream_pcm(self, pcm: bytes) -> None:
        step = round(RATE_HZ * TICK_SECONDS) * 2
        for at in range(0, len(pcm), step):
            await self.send_audio(pcm[at : at + step])
            await trio.sleep(TICK_SECONDS)

    # -------------------------------------------------------------- hearing

    async def until(
        self, wanted: str | Callable[[ServerToClientMessage], bool], *, seen: int = 0, seconds: float = 120
    ) -> ServerToClientMessage:
        """The first message after ``seen`` of them of this kind, or that fits."""
        fits = wanted if callable(wanted) else lambda message: message.WhichOneof("payload") == wanted
        with trio.fail_after(seconds):
            while True:
                for message in self.messages[seen:]:
                    if fits(message):
                        return message
                await self._more()

    async def closed(self, seconds: float = 120) -> tuple[int, str]:
        with trio.fail_after(seconds):
            while self.close is None:
                await self._more()
        return self.close

    async def greeted(self) -> None:
        """Returns when the interviewer has completed its first turn, be it already."""
        await self.heard_out(seen=0)

    async def heard_out(self, seconds: float = 120, *, seen: int | None = None) -> None:
        """Returns when the interviewer has completed a turn after the first ``seen`` messages, or after all so far."""
        await self.until(
            lambda message: (
                message.transcript_update.turn_complete and message.transcript_update.speaker == "AI"
            ),
            seen=len(self.messages) if seen is None else seen,
            seconds=seconds,
        )

    def kinds(self) -> list[str]:
        """What came, in order, runs of the same kind as one."""
        found: list[str] = []
        for message in self.messages:
            kind = message.WhichOneof("payload") or "nothing"
            if not found or found[-1] != kind:
                found.append(kind)
        return found

    def text(self, speaker: str) -> str:
        updates = [message.transcript_update for message in self.messages]
        return "".join(update.text for update in updates if update.speaker == speaker)

    @property
    def audio(self) -> bytes:
        return b"".join(message.audio_response.audio_content for message in self.messages)

    async def _more(self) -> None:
        await self._news.wait()

    # -------------------------------------------------------------- the wire

    async def flush(self) -> None:
        async with self._sending:  # who speaks and who answers a ping are two tasks
            data = b"".join(self.protocol.data_to_send())
            if data:
                await self.stream.send_all(data)

    async def _pump(self) -> None:
        try:
            data = await self.stream.receive_some(65536)
            if data:
                self.protocol.receive_data(data)
            else:
                self.protocol.receive_eof()
            for event in self.protocol.events_received():
                self._note(event)
            await self.flush()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            data = b""
        if not data and self.close is None:
            received = self.protocol.close_rcvd
            self.close = (1006, "") if received is None else (received.code, received.reason)
        if not data and self._response is None:
            raise AssertionError("the server closed before it answered")
        self._news.set()
        self._news = trio.Event()

    def _note(self, event: object) -> None:
        if isinstance(event, Response):
            self._response = event
        elif isinstance(event, Frame) and event.opcode is Opcode.BINARY:
            self.messages.append(self.wire.ServerToClientMessage.FromString(bytes(event.data)))
            self.arrivals.append(self.clock())
        elif isinstance(event, Frame) and event.opcode is Opcode.PING:
            self.pings.append(trio.current_time())
