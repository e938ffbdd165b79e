"""Reads the words of one session out of rows of the shared journal. Pure: no I/O."""

from collections.abc import Iterator

from preppald.core.turns import Fragment
from preppald.journal import packing, rows
from preppald.journal.rows import Row
from preppald.shared.protocol import Said


def fragments_of(said: Said, interview_id: str, epoch: int) -> Iterator[Fragment]:
    """Yield a session's fragments; rows that cannot be read are left out. A fragment may come twice."""
    for own in rows.readable(said.passages, rows.passage, _passed_over):
        yield from own
    for row in _recent(said, interview_id, epoch):
        yield packing.unpacked(row)


def was_spoken(said: Said, interview_id: str, epoch: int) -> bool:
    """Return whether there are any."""
    return bool(said.passages) or any(True for _ in _recent(said, interview_id, epoch))


def passages_of(said: Said, interview_id: str, epoch: int) -> list[Row]:
    """Return everything as rows of passages, for another journal."""
    return [*said.passages, *map(rows.sealed, packing.passages(_recent(said, interview_id, epoch)))]


def passages_in(recent: list[Row]) -> list[Row]:
    """Return the passages that rows of ``recent`` make, of whichever sessions."""
    said = (it for own in rows.readable(recent, rows.recent, _passed_over) for it in own)
    return [rows.sealed(row) for row in packing.passages(said)]


def _recent(said: Said, interview_id: str, epoch: int) -> Iterator[packing.Said]:
    for own in rows.readable(said.recent, rows.recent, _passed_over):
        for it in own:
            if it.interview_id == interview_id and it.epoch == epoch:
                yield it


def _passed_over(_error: rows.Unreadable) -> None:
    """Leave it out: its host has it, or has reported it."""
