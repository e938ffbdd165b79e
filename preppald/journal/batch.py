"""What is recorded and not yet durable.

Rule 1: every record is whole by itself, so that a batch can be written into any file, any number of times.
Rule 2: a later one of the same key replaces the earlier one; fragments are only ever added.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from preppald.core.deliveries import Owed
from preppald.core.interview import Interview
from preppald.core.turns import Fragment

# What a fragment weighs in memory besides its text: two objects, their numbers, its share of the list.
FRAGMENT_OVERHEAD_BYTES = 300


@dataclass(slots=True)
class Batch:
    """``fragments``: interview_id, epoch and fragment. ``weight``: bytes of memory that they take, about."""

    interviews: dict[str, Interview] = field(default_factory=dict)
    fragments: list[tuple[str, int, Fragment]] = field(default_factory=list)
    owed: dict[str, Owed] = field(default_factory=dict)
    # Keys of transcripts: whether feedback is due on them now, or no more.
    due: dict[str, bool] = field(default_factory=dict)
    weight: int = 0

    def __len__(self) -> int:
        return len(self.interviews) + len(self.fragments) + len(self.owed) + len(self.due)

    def add_fragments(self, interview_id: str, epoch: int, fragments: Sequence[Fragment]) -> None:
        for it in fragments:
            self.fragments.append((interview_id, epoch, it))
            self.weight += FRAGMENT_OVERHEAD_BYTES + len(it.text)

    def absorb(self, later: "Batch") -> None:
        """Takes in what was recorded after it."""
        self.interviews |= later.interviews
        self.fragments += later.fragments
        self.owed |= later.owed
        self.due |= later.due
        self.weight += later.weight

    def fragments_of(self, interview_id: str, epoch: int, since: int) -> Iterator[Fragment]:
        for owner, its_epoch, fragment in self.fragments:
            if owner == interview_id and its_epoch == epoch and fragment.seq > since:
                yield fragment
