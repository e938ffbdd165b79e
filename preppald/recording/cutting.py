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


def listen(recording: Recording) -> Voice:
    """Return when there was voice. Raises FileError, NoCodec, NotesError, OSError."""
    voice, ear = Voice(), Ear()
    at, clear_at = 0.0, None
    for second in _channel(recording):
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


def cut(recording: Recording, turns: Sequence[TurnToCheck]) -> Iterator[tuple[TurnToCheck, bytes]]:
    """Yield each turn with its sound and half a second around it, in the order of their ends.

    Raises:
        FileError, NoCodec, NotesError, OSError: the recording cannot be read.
    """
    todo = sorted(turns, key=lambda it: it.begin_ms)
    under_way: list[tuple[TurnToCheck, int, int, bytearray]] = []
    at = 0
    for second in itertools.chain(_channel(recording), [b""]):
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


def _channel(recording: Recording) -> Iterator[bytes]:
    """Yield the candidate's channel, about a second at a time."""
    if recording.file is None:
        notes = Notes(recording.notes)
        try:
            yield from notes.candidate()
        finally:
            notes.close()
        return
    _, blocks = files.read(recording.file)
    for block in blocks:
        yield array("h", block)[0::2].tobytes()
