"""Frames on one connection: JSON in and out, an outbox with its writer, a recorder looking on."""

import json
from typing import Any

import msgspec
import trio

from preppald.simulator.link import Link
from preppald.simulator.protojson import read
from preppald.simulator.recording import Recorder
from preppald.simulator.reply import JsonFrame
from preppald.simulator.scenario import Frames

# Frames between the dialogue and the writer: 16 parts are 0.64 s of audio. More would be spoken after a barge-in.
OUTBOX_FRAMES = 16


def encode(frame: JsonFrame, frames: Frames) -> bytes:
    """Return a frame in its form on the wire."""
    if frames.unknown:
        frame = _with_unknowns(frame)
    if frames.pretty:
        return json.dumps(frame, indent=2, ensure_ascii=False).encode() + b"\n"
    try:
        return msgspec.json.encode(frame)
    except UnicodeEncodeError:  # half a surrogate pair, which only an escape can carry
        return b"\xef\xbb\xbf" + json.dumps(frame).encode()


def _with_unknowns(frame: JsonFrame) -> JsonFrame:
    """Return the same frame with a field, a top-level key and an enum value that no client knows yet.

    Always beside a known key: Google's Python SDK dies of a frame whose keys are all unknown.
    """
    known = next(iter(frame))
    inner = frame[known] | {"fieldOfTomorrow": {"depth": [1, {"x": None}]}}
    if frame[known].get("turnComplete"):
        inner["turnCompleteReason"] = "REASON_OF_TOMORROW"
    return frame | {known: inner, "messageOfTomorrow": {"enabled": True}}


class Wire:
    """`send` only queues, so that a reply can be cancelled without harm; one task runs `write`."""

    def __init__(self, link: Link, frames: Frames, recorder: Recorder | None, connection: int) -> None:
        self.link = link
        self._frames = frames
        self._recorder = recorder
        self._connection = connection
        self._outbox, self._to_write = trio.open_memory_channel[JsonFrame](OUTBOX_FRAMES)

    async def read(self) -> tuple[str, dict[str, Any]]:
        """Return the next message: its kind and its fields. Raise an Ending."""
        message = await self.link.receive()
        if self._recorder is not None:
            self._recorder.note_bytes(self._connection, "in", message)
        return read(message)

    async def send(self, frame: JsonFrame) -> None:
        await self._outbox.send(frame)

    async def write(self) -> None:
        async for frame in self._to_write:
            await self._put(frame)

    async def flush(self) -> None:
        """Write the frames queued before the end; no task may be in `write` any more."""
        while True:
            try:
                frame = self._to_write.receive_nowait()
            except trio.WouldBlock:
                return
            await self._put(frame)

    async def _put(self, frame: JsonFrame) -> None:
        if self._recorder is not None:
            self._recorder.note(self._connection, "out", frame)
        await self.link.send(encode(frame, self._frames), text=self._frames.opcode == "text")
