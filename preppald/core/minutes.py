"""The minutes of one interview: which turns there are, which of them are open, and the fragments that they grow by."""

from collections.abc import Iterable

from preppald.core.turns import Fragment, Speaker, Turn, begun, in_order


class Minutes:
    """Each speaker has one open turn at most. A turn has a number from its beginning, and exists from its first text.

    ``turns`` and ``last_seq``: what a journal already holds. All times are the wall clock in milliseconds.
    """

    def __init__(self, turns: Iterable[Turn] = (), last_seq: int = 0) -> None:
        self.last_seq = last_seq
        self._turns = {turn.number: turn for turn in turns}
        self._last_number = max(self._turns, default=0)
        self._open: dict[Speaker, int] = {}
        self._last: dict[Speaker, int] = {}

    @property
    def turns(self) -> list[Turn]:
        """The transcript so far: turns with text, in their order."""
        return in_order(self._turns.values())

    def __contains__(self, number: int) -> bool:
        """Return whether that turn has any text."""
        return number in self._turns

    def __len__(self) -> int:
        return len(self._turns)

    def last(self, speaker: Speaker) -> int:
        """Return the number of the speaker's last turn since the journal, with or without text; 0 for none."""
        return self._last.get(speaker, 0)

    def is_open(self, speaker: Speaker) -> bool:
        return speaker in self._open

    def open_turn(self, speaker: Speaker) -> Turn | None:
        """Return the speaker's open turn; None where there is none, or none with text."""
        return self._turns.get(self._open.get(speaker, 0))

    def begin(self, speaker: Speaker) -> None:
        """Open a turn."""
        self._open[speaker] = self.new_number(speaker)

    def new_number(self, speaker: Speaker) -> int:
        """Return a number for one more turn of the speaker's."""
        self._last_number += 1
        self._last[speaker] = self._last_number
        return self._last_number

    def add(self, speaker: Speaker, text: str, at_ms: int) -> Fragment:
        """Add text to the speaker's open turn."""
        return self.write(self._open[speaker], speaker, text, at_ms)

    def close(self, speaker: Speaker, at_ms: int, heard: int | None = None) -> Fragment | None:
        """Close the speaker's open turn; None where that leaves no trace."""
        number = self._open.pop(speaker, 0)
        if number not in self._turns:
            return None
        return self.write(number, speaker, "", at_ms, turn_complete=True, heard=heard)

    def write(
        self,
        number: int,
        speaker: Speaker,
        text: str,
        at_ms: int,
        *,
        turn_complete: bool = False,
        heard: int | None = None,
    ) -> Fragment:
        """Return one more fragment, of any turn."""
        self.last_seq += 1
        fragment = Fragment(self.last_seq, number, speaker, text, at_ms, turn_complete, heard)
        known = self._turns.get(number)
        self._turns[number] = begun(fragment) if known is None else known.grown(fragment)
        return fragment
