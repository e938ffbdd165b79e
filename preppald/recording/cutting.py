"""Cuts the candidate's voice out of a recording, turn by turn, and says when there was voice at all. Blocks.

One pass over the candidate's channel, a second at a time: of notes nothing of the interviewer is read or converted.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
import itertools

from preppald.core.checks import BYTES_PER_SECOND, MARGIN_MS, MOST_TURN_SECONDS, RATE_HZ, TurnToCheck
from preppald.core.ear import BRIDGE_SECONDS, Ear
from preppald.recording import files
from preppald.recording.render import Notes
from preppald.recording.shelf import Recording

# The ear's pieces, as a page sends them.
PIECE_BYTES = BYTES_PER_SECOND // 50


@dataclass(slots=True)
class Voice:
    """The candidate's side of a recording. ``stretches``: from when to when there was voice, in milliseconds, in order."""

    stretches: list[tuple[int, int]] = field(default_factory=list)

    def seconds(self, begin_ms: int, end_ms: int) -> float:
        """Return how much voice there was in this time."""
        inside = (min(end, end_ms) - max(begin, begin_ms) for begin, end in self.stretches)
        return sum(it for it in inside if it > 0) / 1000


class Channel:
    """The candidate's channel of a recording; ``close`` it. Notes are open as long: meanwhile they may be finished.

    Raises:
        FileNotFoundError: what was found has gone.
        NotesError, OSError: it cannot be read.
    """

    def __init__(self, recording: Recording) -> None:
        self._file = recording.file
        self._notes = Notes(recording.notes) if recording.file is None else None

    def close(self) -> None:
        if self._notes is not None:
            self._notes.close()

    def seconds(self) -> Iterator[bytes]:
        """Yield it from its beginning, about a second at a time. Raises FileError, NoCodec, OSError."""
        if self._notes is not None:
            yield from self._notes.candidate()
        elif self._file is not None:
            _, blocks = files.read(self._file)
            for block in blocks:
                yield array("h", block)[0::2].tobytes()


def listen(channel: Channel) -> Voice:
    """Return when there was voice. Raises FileError, NoCodec, OSError."""
    voice, ear = Voice(), Ear()
    at, clear_at = 0.0, None
    for second in channel.seconds():
        for start in range(0, len(second), PIECE_BYTES):
            piece = second[start : start + PIECE_BYTES]
            at += len(piece) / BYTES_PER_SECOND
            ear.hear(piece, at)
            if ear.heard_at is None or ear.heard_at == clear_at:
                continue
            clear_at = ear.heard_at
            begin, end = round(ear.began_at * 1000), round(clear_at * 1000)
            if voice.stretches and begin - voice.stretches[-1][1] < BRIDGE_SECONDS * 1000:
                voice.stretches[-1] = (voice.stretches[-1][0], end)
            else:
                voice.stretches.append((begin, end))
    return voice


def cut(channel: Channel, turns: Sequence[TurnToCheck]) -> Iterator[tuple[TurnToCheck, bytes]]:
    """Yield each turn with its sound and half a second around it, in the order of their ends.

    Raises:
        FileError, NoCodec, OSError: the recording cannot be read.
    """
    todo = sorted(turns, key=lambda it: it.begin_ms)
    under_way: list[tuple[TurnToCheck, int, int, bytearray]] = []
    at = 0
    for second in itertools.chain(channel.seconds(), [b""]):
        until = at + len(second)
        while todo and (not second or _place(todo[0].begin_ms - MARGIN_MS) < until):
            turn = todo.pop(0)
            begin = _place(turn.begin_ms - MARGIN_MS)
            end = min(_place(turn.end_ms + MARGIN_MS), begin + round(MOST_TURN_SECONDS * BYTES_PER_SECOND))
            under_way.append((turn, begin, end, bytearray()))
        for _, begin, end, pcm in under_way:
            pcm.extend(second[max(0, begin - at) : max(0, end - at)])
        for entry in [it for it in under_way if it[2] <= until or not second]:
            under_way.remove(entry)
            yield entry[0], bytes(entry[3])
        at = until


def _place(ms: int) -> int:
    """Return the place of this moment in the channel, in bytes."""
    return max(0, ms) * RATE_HZ // 1000 * 2
