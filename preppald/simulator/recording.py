"""Records a connection's frames and plays them back.

A recording is JSONL, one frame a line:

{"t": 0.052, "connection": 1, "direction": "out", "frame": {"setupComplete": {}}}

`t` is in simulated seconds since the recording began, "out" is the service's direction. A recording of the real
service in this form, made by any means, plays back just as well. Recordings hold a candidate's words: keep them safe.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import json
from pathlib import Path
from typing import IO, Any, Literal

import msgspec

from preppald.simulator.clock import Clock

Direction = Literal["in", "out"]

# An hour of both sides is some 350 MB of JSON; a forgotten recorder stops before it fills the disk.
MAX_RECORDING_BYTES = 2 * 2**30


class RecordingError(Exception):
    """Raised for a recording that cannot be read; the message names file and line."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    t: float
    direction: Direction
    frame: dict[str, Any]
    connection: int = 1


class Recorder:
    """Appends frames to a file. Writes are small and local, so they are made in place."""

    def __init__(self, file: IO[bytes], clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self._began: float | None = None
        self._written = 0

    def note(self, connection: int, direction: Direction, frame: dict[str, Any]) -> None:
        now = self._clock.now()
        if self._began is None:
            self._began = now
        entry = Entry(t=round(now - self._began, 6), direction=direction, frame=frame, connection=connection)
        try:
            line = msgspec.json.encode(entry) + b"\n"
        except UnicodeEncodeError:  # half a surrogate pair, which a recording does without
            whole = json.dumps(frame, ensure_ascii=False).encode("utf-8", "replace")
            line = msgspec.json.encode(msgspec.structs.replace(entry, frame=json.loads(whole))) + b"\n"
        if self._written + len(line) <= MAX_RECORDING_BYTES:
            self._file.write(line)
            self._written += len(line)

    def note_bytes(self, connection: int, direction: Direction, message: bytes) -> None:
        """Note a message that nobody has parsed; anything but a JSON object is not recorded."""
        try:
            self.note(connection, direction, msgspec.json.decode(message, type=dict[str, Any]))
        except msgspec.DecodeError:
            return


@contextmanager
def recorder(path: str | Path | None, clock: Clock) -> Iterator[Recorder | None]:
    """Yield a Recorder that appends to `path`; None for none."""
    if path is None:
        yield None
        return
    with Path(path).open("ab") as file:
        yield Recorder(file, clock)


@dataclass(frozen=True, slots=True)
class Replay:
    entries: list[Entry]
    """What the service sent after setupComplete; `t` counts from there."""

    @classmethod
    def load(cls, path: str | Path, connection: int) -> "Replay":
        """Return the `connection`-th connection of the recording; the last one for all later numbers."""
        entries = _read_entries(Path(path))
        chosen = min(connection, max((entry.connection for entry in entries), default=1))
        out = [entry for entry in entries if entry.direction == "out" and entry.connection == chosen]
        ready = next((index for index, entry in enumerate(out) if "setupComplete" in entry.frame), None)
        if ready is None:
            raise RecordingError(f"{path}: connection {chosen} has no setupComplete to begin from")
        start = out[ready].t
        return cls([msgspec.structs.replace(entry, t=entry.t - start) for entry in out[ready + 1 :]])


def _read_entries(path: Path) -> list[Entry]:
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read: {error}") from None
    entries = []
    for number, line in enumerate(lines, 1):
        try:
            entries.append(msgspec.json.decode(line, type=Entry))
        except msgspec.DecodeError as error:
            raise RecordingError(f"{path}, line {number}: {error}") from None
    return entries
