"""The other end of a simulated connection: a plain Gemini Live client over any Trio stream."""

from array import array
import base64
from collections.abc import Iterable
import json
import math
from typing import Any

import trio
import trio.testing
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

from preppald.simulator import GeminiSimulator

PATH = "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
MODEL = "models/gemini-3.8-live"
RATE = 16_000

Json = dict[str, Any]


def setup_message(**fields: Any) -> Json:
    """A setup with both transcriptions, compression and resumption; `fields` come on top, None takes one away."""
    setup = {
        "model": MODEL,
        "generationConfig": {"responseModalities": ["AUDIO"]},
        "inputAudioTranscription": {},
        "outputAudioTranscription": {},
        "contextWindowCompression": {"triggerTokens": "80000", "slidingWindow": {"targetTokens": "40000"}},
        "sessionResumption": {},
    } | fields
    return {"setup": {name: value for name, value in setup.items() if value is not None}}


def voice(seconds: float, *, rate: int = RATE, amplitude: int = 8000) -> bytes:
    """Loud PCM: a tone."""
    return array(
        "h", (round(amplitude * math.sin(index * 0.3)) for index in range(round(seconds * rate)))
    ).tobytes()


def quiet(seconds: float, *, rate: int = RATE) -> bytes:
    return bytes(round(seconds * rate) * 2)


def audio(pcm: bytes, mime_type: str = "audio/pcm;rate=16000") -> Json:
    return {"realtimeInput": {"audio": {"mimeType": mime_type, "data": base64.b64encode(pcm).decode()}}}


class Closed(Exception):
    """The server closed, or is gone (1006)."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class Caller:
    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.protocol: ClientProtocol = ClientProtocol(parse_uri("ws://localhost/"), max_size=None)
        self.response: Response | None = None
        self.opcodes: set[Opcode] = set()
        self.raw: list[bytes] = []
        self.pongs: list[float] = []
        self.notes: set[str] = set()
        self._inbox: list[Json] = []

    async def open(
        self, path: str = PATH, headers: Iterable[tuple[str, str]] = (("x-goog-api-key", "k"),)
    ) -> int:
        """Ask for the upgrade; the answer's status."""
        request = self.protocol.connect()
        request.path = path
        for name, value in headers:
            request.headers[name] = value
        self.protocol.send_request(request)
        await self.flush()
        while self.response is None:
            await self._pump()
        return self.response.status_code

    async def flush(self) -> None:
        data = b"".join(self.protocol.data_to_send())
        if data:
            await self.stream.send_all(data)

    async def send(self, message: Json | bytes | str) -> None:
        if isinstance(message, bytes):
            self.protocol.send_binary(message)
        else:
            self.protocol.send_text((message if isinstance(message, str) else json.dumps(message)).encode())
        await self.flush()

    async def set_up(self, **fields: Any) -> "Caller":
        await self.send(setup_message(**fields))
        assert "setupComplete" in await self.receive()
        return self

    async def receive(self) -> Json:
        while not self._inbox:
            await self._pump()
        return self._inbox.pop(0)

    async def until(self, key: str) -> list[Json]:
        """Frames up to the first that has `key`, at the top or in serverContent."""
        frames = []
        while True:
            frame = await self.receive()
            frames.append(frame)
            if key in frame or key in frame.get("serverContent", {}):
                return frames

    async def closed(self) -> Closed:
        """Read whatever comes until the connection ends; how it did."""
        try:
            while True:
                await self.receive()
        except Closed as closed:
            return closed

    async def leave(self, code: int = 1000) -> Closed:
        self.protocol.send_close(code)
        await self.flush()
        return await self.closed()

    async def _pump(self) -> None:
        try:
            data = await self.stream.receive_some(65536)
        except (trio.BrokenResourceError, ConnectionError):
            data = b""
        if not data:
            close = self.protocol.close_rcvd
            raise Closed(*((close.code, close.reason) if close else (1006, "")))
        self.protocol.receive_data(data)
        for event in self.protocol.events_received():
            if isinstance(event, Response):
                self.response = event
            elif isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.BINARY):
                self.opcodes.add(event.opcode)
                self.raw.append(bytes(event.data))
                self._inbox.append(json.loads(bytes(event.data)))
            elif isinstance(event, Frame) and event.opcode is Opcode.PONG:
                self.pongs.append(trio.current_time())
        await self.flush()


async def call(simulator: GeminiSimulator, nursery: trio.Nursery, key: str = "k") -> Caller:
    """A new connection to the simulator over memory streams, upgraded."""
    here, there = trio.testing.memory_stream_pair()
    nursery.start_soon(simulator.handle_stream, there)
    caller = Caller(here)
    assert await caller.open(headers=[("x-goog-api-key", key)]) == 101
    return caller


def pcm_of(frames: Iterable[Json]) -> bytes:
    """All audio in `frames`."""
    return b"".join(
        base64.b64decode(part["inlineData"]["data"])
        for frame in frames
        for part in frame.get("serverContent", {}).get("modelTurn", {}).get("parts", ())
        if "inlineData" in part
    )


def said(frames: Iterable[Json], side: str = "outputTranscription") -> str:
    """All transcription of one side in `frames`."""
    return "".join(frame.get("serverContent", {}).get(side, {}).get("text", "") for frame in frames)
