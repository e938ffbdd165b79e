"""Takes an interview's sound down in memory, at the cost of a list entry a message."""

from collections.abc import Callable
from typing import Protocol

import trio

from preppald.core.frames import BYTES_PER_SAMPLE
from preppald.recording.notes import Head, NoteKind


class Tape(Protocol):
    """The tape's interface for an interview's parts. Nothing of it waits or fails."""

    def heard(self, pcm: bytes) -> None:
        """Note sound from the candidate: s16le mono 16 kHz, of any length."""

    def played(self, pcm: bytes) -> None:
        """Note sound sent to the candidate: s16le mono 24 kHz, whole samples."""

    def silenced(self) -> None:
        """Note that sound sent before is not heard any more."""

    def close(self) -> None:
        """Note that the interview is over."""


class NoTape:
    """Records nothing."""

    def heard(self, pcm: bytes) -> None:
        pass

    def played(self, pcm: bytes) -> None:
        pass

    def silenced(self) -> None:
        pass

    def close(self) -> None:
        pass


NO_TAPE = NoTape()

# Kind, Trio's time in seconds, sound.
Entry = tuple[NoteKind, float, bytes]


class RunningTape:
    """``entries``: notes not yet written. ``zero``: Trio's time when the interview began, in seconds.

    ``room``: asked whether there is memory for so many bytes more.
    """

    def __init__(self, head: Head, zero: float, room: Callable[[int], bool]) -> None:
        self.head = head
        self.zero = zero
        self.closed = False
        self.entries: list[Entry] = []
        self._room = room
        self._odd = b""  # half a sample, until its other half comes

    def heard(self, pcm: bytes) -> None:
        if self._odd or len(pcm) % BYTES_PER_SAMPLE:
            pcm = self._odd + pcm
            whole = len(pcm) - len(pcm) % BYTES_PER_SAMPLE
            pcm, self._odd = pcm[:whole], pcm[whole:]
        self._note(NoteKind.CANDIDATE, pcm)

    def played(self, pcm: bytes) -> None:
        self._note(NoteKind.INTERVIEWER, pcm)

    def silenced(self) -> None:
        self._note(NoteKind.SILENCED, b"")

    def close(self) -> None:
        self._note(NoteKind.OVER, b"")
        self.closed = True

    def taken(self) -> list[Entry]:
        """Return the notes to be written now."""
        entries, self.entries = self.entries, []
        return entries

    def _note(self, kind: NoteKind, pcm: bytes) -> None:
        if not self.closed and self._room(len(pcm)):
            self.entries.append((kind, trio.current_time(), pcm))


class CandidatesTape(RunningTape):
    """Has the candidate's sound alone, for a second ear."""

    def played(self, pcm: bytes) -> None:
        pass

    def silenced(self) -> None:
        pass
