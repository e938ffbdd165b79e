"""What is recorded and not yet durable.

Rule 1: every record is a whole row, so that a batch can be written into any file, any number of times.
Rule 2: a later row of the same key replaces the earlier one; fragments are only ever added.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from preppald.core.deliveries import Owed
from preppald.core.interview import Interview
from preppald.core.turns import Fragment, Speaker

# interview_id, epoch, seq, turn, speaker, text, at_ms, turn_complete, heard: as the table has them.
FragmentRow = tuple[str, int, int, int, str, str, int, int, int | None]

# What a fragment weighs in memory besides its text: a tuple, its numbers, its share of the list.
FRAGMENT_OVERHEAD_BYTES = 300


@dataclass(slots=True)
class Batch:
    """``weight``: bytes of memory that the fragments take, about."""

    interviews: dict[str, Interview] = field(default_factory=dict)
    fragments: list[FragmentRow] = field(default_factory=list)
    owed: dict[str, Owed] = field(default_factory=dict)
    weight: int = 0

    def __len__(self) -> int:
        return len(self.interviews) + len(self.fragments) + len(self.owed)

    def add_fragments(self, interview_id: str, epoch: int, fragments: Sequence[Fragment]) -> None:
        for it in fragments:
            self.fragments.append(
                (
                    interview_id,
                    epoch,
                    it.seq,
                    it.turn,
                    it.speaker.value,
                    it.text,
                    it.at_ms,
                    int(it.turn_complete),
                    it.heard,
                )
            )
            self.weight += FRAGMENT_OVERHEAD_BYTES + len(it.text)

    def absorb(self, later: "Batch") -> None:
        """Takes in what was recorded after it."""
        self.interviews |= later.interviews
        self.fragments += later.fragments
        self.owed |= later.owed
        self.weight += later.weight

    def fragments_of(self, interview_id: str, epoch: int, since: int) -> Iterator[Fragment]:
        for row in self.fragments:
            if row[0] == interview_id and row[1] == epoch and row[2] > since:
                yield fragment(row)


def fragment(row: FragmentRow) -> Fragment:
    """The fragment that a row of the table holds."""
    _interview_id, _epoch, seq, turn, speaker, text, at_ms, turn_complete, heard = row
    return Fragment(seq, turn, Speaker(speaker), text, at_ms, bool(turn_complete), heard)
