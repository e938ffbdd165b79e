"""A scripted daemon: each connection is played by the next script, over memory streams or TCP.

A script is an async function of one ``Line``; a refusal is an HTTP status with a text.
"""

from array import array
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
import math
from urllib.parse import parse_qs, urlsplit

import trio
import trio.testing
from websockets.exceptions import InvalidState
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from preppald.candidate.playback import RATE_HZ
from preppald.pb import interview_pb2 as pb

LOUD = 1000  # peaks beyond this are speech
FRAMES_OF_SILENCE = 15  # 300 ms end an answer


def tone(seconds: float, *, rate: int = RATE_HZ, amplitude: int = 8000) -> bytes:
    """Loud PCM, no sample of it zero."""
    return array(
        "h", (round(amplitude * math.cos(i * 0.2)) or 1 for i in range(round(seconds * rate)))
    ).tobytes()


class Line:
    """The daemon's end of one connection."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._protocol = ServerProtocol(select_subprotocol=lambda _, offered: offered[0])
        self._news = trio.Event()
        self._sending = trio.Lock()
        self.request: Request | None = None
        self.path = ""
        self.since: int | None = None
        self.subprotocols: list[str] = []
        self.pcm = bytearray()
        self.frames = 0
        self.answers = 0
        self.end_requested = False
        self.closed = False
        self._loud = False
        self._quiet_frames = 0
        self.paused_at: list[float] = []  # when each pause was asked for
        self.spoken_at: list[float] = []  # when each answer's first loud frame came

    async def accept(self, refusal: tuple[int, str] | None, *, subprotocol: bool = True) -> bool:
        """The handshake; False if it came to nothing."""
        while self.request is None:
            data = await self._stream.receive_some()
            if not data:
                return False
            self._protocol.receive_data(data)
            for event in self._protocol.events_received():
                assert isinstance(event, Request)
                self.request = event
        url = urlsplit(self.request.path)
        self.path = url.path
        since = parse_qs(url.query).get("since")
        self.since = None if since is None else int(since[0])
        self.subprotocols = self.request.headers["Sec-WebSocket-Protocol"].split(", ")
        if refusal is None:
            response = self._protocol.accept(self.request)
            if not subprotocol:
                del response.headers["Sec-WebSocket-Protocol"]
        else:
            response = self._protocol.reject(HTTPStatus(refusal[0]), refusal[1])
            if 300 <= refusal[0] < 400:
                response.headers["Location"] = refusal[1]
        self._protocol.send_response(response)
        await self._flush()
        return refusal is None

    async def listen(self) -> None:
        """Take in everything the candidate sends."""
        try:
            while not self.closed and (data := await self._stream.receive_some()):
                self._protocol.receive_data(data)
                for event in self._protocol.events_received():
                    assert isinstance(event, Frame)
                    self._take(event)
                await self._flush()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        self.closed = True
        self._tell()

    def _take(self, frame: Frame) -> None:
        if frame.opcode is Opcode.BINARY:
            message = pb.ClientToServerMessage.FromString(bytes(frame.data))
            if message.WhichOneof("payload") == "end_request":
                self.end_requested = True
            elif message.WhichOneof("payload") == "hold":
                self.paused_at.append(trio.current_time())
            else:
                self._hear(message.audio_chunk.audio_content)
        self._tell()

    def _hear(self, pcm: bytes) -> None:
        self.frames += 1
        self.pcm += pcm
        if max(map(abs, array("h", pcm))) > LOUD:
            if not self._loud:
                self.spoken_at.append(trio.current_time())
            self._loud, self._quiet_frames = True, 0
        elif self._loud:
            self._quiet_frames += 1
            if self._quiet_frames == FRAMES_OF_SILENCE:
                self._loud = False
                self.answers += 1

    async def until(self, holds: Callable[[], bool]) -> None:
        while not holds() and not self.closed:
            await self._news.wait()

    async def answer(self, number: int = 1) -> None:
        """Wait until the candidate has finished so many answers."""
        await self.until(lambda: self.answers >= number)

    async def speaking(self) -> None:
        await self.until(lambda: self._loud)

    async def end_request(self) -> None:
        await self.until(lambda: self.end_requested)

    async def send(self, **payload: object) -> None:
        await self.send_raw(pb.ServerToClientMessage(**payload).SerializeToString())  # type: ignore[arg-type]

    async def send_raw(self, data: bytes) -> None:
        self._protocol.send_binary(data)
        await self._flush()

    async def send_text(self, text: str) -> None:
        self._protocol.send_text(text.encode())
        await self._flush()

    async def started(
        self, *, rate: int = RATE_HZ, remaining_ms: int = 3_600_000, resumed: bool = False
    ) -> None:
        await self.send(
            session_started=pb.SessionStarted(
                output_sample_rate_hz=rate, remaining_ms=remaining_ms, resumed=resumed
            )
        )

    async def speak(self, seconds: float) -> None:
        """Audio, all at once, in 40 ms parts as Gemini does."""
        pcm = tone(seconds)
        part = RATE_HZ // 25 * 2
        for start in range(0, len(pcm), part):
            await self.send(audio_response=pb.AudioResponse(audio_content=pcm[start : start + part]))

    async def transcript(self, speaker: str, text: str, *, seq: int = 0, complete: bool = True) -> None:
        await self.send(
            transcript_update=pb.TranscriptUpdate(
                speaker=speaker, text=text, is_final=True, turn_complete=complete, seq=seq
            )
        )

    async def interrupted(self) -> None:
        await self.send(interrupted=pb.Interrupted())

    async def ended(self, reason: int) -> None:
        await self.send(session_ended=pb.SessionEnded(reason=reason))  # type: ignore[arg-type]

    async def close(self, code: int, reason: str = "") -> None:
        self._protocol.send_close(code, reason)
        await self._flush()
        await self.until(lambda: False)

    async def drop(self) -> None:
        """Gone, without a word."""
        await self._stream.aclose()

    async def _flush(self) -> None:
        async with self._sending:
            for data in self._protocol.data_to_send():
                if data:
                    await self._stream.send_all(data)
                else:
                    await self._stream.aclose()
                    self.closed = True
                    self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()


Script = Callable[[Line], Awaitable[None]]


class Daemon:
    """``plays``: for each connection in turn a script, a refusal, or None for a connection refused."""

    def __init__(self, nursery: trio.Nursery, plays: Iterable[Script | tuple[int, str] | None]) -> None:
        self._nursery = nursery
        self._plays = iter(plays)
        self.lines: list[Line] = []
        self.dialled_at: list[float] = []

    async def dial(self) -> trio.abc.Stream:
        """Open a stream to the daemon: the caller's ``open_stream``."""
        await trio.lowlevel.checkpoint()
        self.dialled_at.append(trio.current_time())
        play = next(self._plays, None)
        if play is None:
            raise ConnectionRefusedError(111, "Connection refused")
        ours, theirs = trio.testing.memory_stream_pair()
        self._nursery.start_soon(self._serve, theirs, play)
        return ours

    async def serve_stream(self, stream: trio.abc.Stream) -> None:
        """For ``trio.serve_tcp``."""
        play = next(self._plays, None)
        if play is not None:
            await self._serve(stream, play)

    async def _serve(self, stream: trio.abc.Stream, play: Script | tuple[int, str]) -> None:
        line = Line(stream)
        self.lines.append(line)
        try:
            async with stream:
                await self._play(line, play)
        except* (trio.BrokenResourceError, trio.ClosedResourceError, InvalidState):
            pass  # the candidate left in the middle of the script

    async def _play(self, line: Line, play: Script | tuple[int, str]) -> None:
        if isinstance(play, tuple):
            await line.accept(play)
        elif await line.accept(None, subprotocol=getattr(play, "subprotocol", True)):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(line.listen)
                await play(line)
                nursery.cancel_scope.cancel()


async def interview(line: Line) -> None:
    """The usual one: a greeting of 2 s, a reply of 3 s, the end."""
    await line.started()
    await line.transcript("AI", "Hello, ", seq=1, complete=False)
    await line.speak(2)
    await line.transcript("AI", "tell me.", seq=2)
    await line.answer()
    await line.transcript("USER", "I measured it.", seq=3)
    await line.speak(3)
    await line.transcript("AI", "Thank you.", seq=4)
    await line.end_request()
    await line.ended(pb.SessionEnded.USER_INITIATED)
    await line.close(1000, "Interview ended by user")
