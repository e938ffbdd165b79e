"""The minutes of one interview: which turns there are, which of them are open, and the fragments that they grow by."""

from collections.abc import Iterable
from dataclasses import dataclass

from preppald.core.turns import Fragment, Speaker, Turn, begun, in_order


@dataclass(slots=True)
class _Times:
    """Wall clock in milliseconds; None: nothing new."""

    begin_ms: int | None = None
    end_ms: int | None = None
    sound_ms: int | None = None


_NOTHING_NEW = _Times()


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
        # Of turns, by number: what the next fragment of theirs has to say.
        self._times: dict[int, _Times] = {}

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

    def last_before(self, speaker: Speaker, number: int) -> int:
        """Return the number of the speaker's last turn before that one; 0 for none."""
        return max(
            (n for n, turn in self._turns.items() if turn.speaker is speaker and n < number), default=0
        )

    def is_open(self, speaker: Speaker) -> bool:
        return speaker in self._open

    def open_turn(self, speaker: Speaker) -> Turn | None:
        """Return the speaker's open turn; None where there is none, or none with text."""
        return self._turns.get(self._open.get(speaker, 0))

    def begin(self, speaker: Speaker) -> int:
        """Open a turn; return its number."""
        self._open[speaker] = number = self.new_number(speaker)
        return number

    def text(self, number: int) -> str:
        """Return the text so far of any turn."""
        return self._turns[number].text if number in self._turns else ""

    def open_number(self, speaker: Speaker) -> int:
        """Return the number of the speaker's open turn; 0 for none."""
        return self._open.get(speaker, 0)

    def times(
        self,
        number: int,
        *,
        begin_ms: int | None = None,
        end_ms: int | None = None,
        sound_ms: int | None = None,
    ) -> None:
        """Note when a turn began, ended, was first heard; its next fragment says so."""
        times = self._times.setdefault(number, _Times())
        times.begin_ms = begin_ms or times.begin_ms
        if end_ms:
            times.end_ms = max(end_ms, times.begin_ms or 0)
        times.sound_ms = sound_ms or times.sound_ms

    def new_number(self, speaker: Speaker) -> int:
        """Return a number for one more turn of the speaker's."""
        self._last_number += 1
        self._last[speaker] = self._last_number
        return self._last_number

    def add(self, speaker: Speaker, text: str, at_ms: int, *, answer: int | None = None) -> Fragment:
        """Add text to the speaker's open turn; ``answer``: the number of the typed answer that it is."""
        return self.write(self._open[speaker], speaker, text, at_ms, answer=answer)

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
        answer: int | None = None,
    ) -> Fragment:
        """Return one more fragment, of any turn."""
        self.last_seq += 1
        known = self._turns.get(number)
        times = self._times.pop(number, _NOTHING_NEW)
        fragment = Fragment(
            self.last_seq,
            number,
            speaker,
            text,
            at_ms,
            turn_complete,
            heard,
            late=known is not None and known.complete,
            begin_ms=times.begin_ms,
            end_ms=times.end_ms,
            sound_ms=times.sound_ms,
            answer=answer,
        )
        self._turns[number] = begun(fragment) if known is None else known.grown(fragment)
        return fragment
