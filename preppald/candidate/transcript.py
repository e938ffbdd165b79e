"""The live transcript: fragments, each counted once, to turns."""

from dataclasses import asdict, dataclass
import itertools
import json
from typing import Any

from preppald.core.turns import Speaker


@dataclass(slots=True)
class Turn:
    """One speaker's words. ``began``: seconds into the call. ``interrupted``: the candidate spoke over them."""

    turn: int
    speaker: Speaker
    text: str
    began: float
    complete: bool = False
    interrupted: bool = False


class Transcript:
    """Grows fragment by fragment. ``last_seq``: the newest fragment's number, to ask for later ones."""

    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.last_seq = 0
        self._open: dict[Speaker, Turn] = {}
        self._by_number: dict[int, Turn] = {}
        self._numbers = itertools.count(1)

    def add(
        self, speaker: Speaker, text: str, *, seq: int, turn_complete: bool, now: float, number: int = 0
    ) -> Turn | None:
        """Add one fragment; return the turn it changed, or None for a fragment that is known already or empty.

        ``seq`` 0 comes from daemons that do not count: such fragments are never sent twice. ``number``: the daemon's
        own of the turn; 0 comes from daemons that do not say. The rest of a turn may come when others have begun.
        """
        if seq:
            if seq <= self.last_seq:
                return None
            self.last_seq = seq
        known = self._by_number.get(number)
        if known is not None and known is not self._open.get(speaker):
            known.text += text
            return known
        turn = self._open.get(speaker)
        if turn is None:
            if not text:
                return None
            turn = self._open[speaker] = Turn(next(self._numbers), speaker, "", round(now, 3))
            self.turns.append(turn)
        if number:
            self._by_number[number] = turn
        turn.text += text
        if turn_complete:
            turn.complete = True
            del self._open[speaker]
        return turn

    def interrupt(self) -> None:
        """Mark the interviewer's latest turn as spoken over."""
        spoken = [turn for turn in self.turns if turn.speaker is Speaker.AI]
        if spoken:
            spoken[-1].interrupted = True

    def unfinished(self) -> list[Turn]:
        """Return the turns that are still open."""
        return list(self._open.values())

    def as_json(self) -> str:
        """Return ``[{turn, speaker, text, began, complete, interrupted}]``, in the order in which turns began."""
        rows: list[dict[str, Any]] = [asdict(turn) for turn in self.turns]
        return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"
