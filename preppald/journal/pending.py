"""Owns the records that are not yet durable: memory's half of the journal.

Rule 1: every record is whole by itself, so that a batch can be written into any file, any number of times.
Rule 2: a later record of the same key replaces the earlier one; fragments are only ever added.
Rule 3: a batch stays readable while it is written, and is merged with newer records if that fails.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from preppald.core.deliveries import DeliveryState, OutboxEntry, Work
from preppald.core.interview import Interview, Phase
from preppald.core.quality import Quality
from preppald.core.turns import Fragment
from preppald.journal import rows
from preppald.net.wakeup import Wakeup

# The weight of a fragment in memory besides its text: two objects, their numbers, its share of the list.
FRAGMENT_OVERHEAD_BYTES = 300
# A burst does not wait for the interval: the transaction stays short, some 4 ms.
COMMIT_RECORDS = 1024
# Two minutes of 500 fast speakers, or hours of a few, while the disk is full.
MAX_PENDING_BYTES = 64 * 1024 * 1024


@dataclass(slots=True)
class Batch:
    """``interviews``: by id and block. ``fragments``: interview_id, epoch and fragment. ``weight``: bytes of memory that they take, about."""

    interviews: dict[tuple[str, int], Interview] = field(default_factory=dict)
    fragments: list[tuple[str, int, Fragment]] = field(default_factory=list)
    owed: dict[str, OutboxEntry] = field(default_factory=dict)
    # By key of a transcript: True where feedback is due on it now, False where no more.
    due: dict[str, bool] = field(default_factory=dict)
    # The same of its verification, which another host cannot do: the sound is here.
    checks: dict[str, bool] = field(default_factory=dict)
    # By id and block: the epoch, and how it went.
    quality: dict[tuple[str, int], tuple[int, Quality]] = field(default_factory=dict)
    # Of traces, as rows of the table.
    spans: list[rows.Row] = field(default_factory=list)
    weight: int = 0

    def __len__(self) -> int:
        return (
            len(self.interviews)
            + len(self.fragments)
            + len(self.owed)
            + len(self.due)
            + len(self.checks)
            + len(self.quality)
            + len(self.spans)
        )

    def due_of(self, work: Work) -> dict[str, bool]:
        """Return the transcripts on which this work is due, or no more."""
        return self.due if work is Work.FEEDBACK else self.checks

    def quality_rows(self) -> Iterator[rows.Row]:
        """Yield the rows of the table quality."""
        for (interview_id, block), (epoch, quality) in self.quality.items():
            yield rows.quality_row(interview_id, block, epoch, quality)

    def add_fragments(self, interview_id: str, epoch: int, fragments: Sequence[Fragment]) -> None:
        for it in fragments:
            self.fragments.append((interview_id, epoch, it))
            self.weight += FRAGMENT_OVERHEAD_BYTES + len(it.text)

    def absorb(self, later: "Batch") -> None:
        """Take in the records made after this batch."""
        self.interviews |= later.interviews
        self.fragments += later.fragments
        self.owed |= later.owed
        self.due |= later.due
        self.checks |= later.checks
        self.quality |= later.quality
        self.spans += later.spans
        self.weight += later.weight

    def fragments_of(self, interview_id: str, epoch: int, since: int) -> Iterator[Fragment]:
        for owner, its_epoch, fragment in self.fragments:
            if owner == interview_id and its_epoch == epoch and fragment.seq > since:
                yield fragment


class Pending:
    """The only holder of unwritten records. Recording returns at once and wakes the writer.

    ``recorded`` counts all records so far, ``durable`` how many of them are on disk. ``dirty`` is rung when there
    is something to write, ``hurry`` when it should not wait for the interval, ``outbox`` when a delivery was
    recorded.
    """

    def __init__(self) -> None:
        self.recorded = self.durable = 0
        self.dirty, self.hurry, self.outbox = Wakeup(), Wakeup(), Wakeup()
        self._live: dict[str, Interview] = {}
        # A post, feedback or a retry that is still on its way must not bring a forgotten interview back.
        self._forgotten: set[str] = set()
        self._batch = Batch()
        self._committing = Batch()
        # ``recorded`` when the commit under way began: its records, and those of the commits before.
        self._target = 0
        self._dropped = 0

    # Recording

    def put_interview(self, interview: Interview) -> None:
        """Record the row; a live interview is known as live from now on, an ended one no more, and not where it was forgotten."""
        if interview.phase is Phase.LIVE:
            self._forgotten.discard(interview.interview_id)
            self._live[interview.interview_id] = interview
        else:
            self._live.pop(interview.interview_id, None)
            if interview.interview_id in self._forgotten:
                return
        self._batch.interviews[interview.interview_id, interview.block] = interview
        self._note()

    def put_owed(self, owed: OutboxEntry) -> None:
        """Record the state of a delivery. A row that is already there keeps its place in the order of making."""
        if owed.delivery.interview_id in self._forgotten:
            return
        self._batch.owed[owed.key] = owed
        self._note()
        self.outbox.ring()

    def put_due(self, work: Work, key: str, *, due: bool) -> None:
        """Record whether this work is due on the transcript of this key."""
        self._batch.due_of(work)[key] = due
        self._note()

    def put_quality(self, interview: Interview, quality: Quality) -> None:
        """Record how an interview, or a block, went."""
        self._batch.quality[interview.interview_id, interview.block] = interview.epoch, quality
        self._note()

    def put_spans(self, row: rows.Row, size: int) -> None:
        """Record spans of a trace, or drop them while memory is full of records that the disk does not take."""
        if not self.full and row[0] not in self._forgotten:
            self._batch.spans.append(row)
            self._batch.weight += FRAGMENT_OVERHEAD_BYTES + size
            self._note()

    def add_fragments(self, interview_id: str, epoch: int, fragments: Sequence[Fragment]) -> None:
        """Record fragments, or drop and count them while memory is full of records that the disk does not take."""
        batch = self._batch
        if self.full:
            self._dropped += len(fragments)
            return
        if not batch.fragments:  # called some thousand times a second: it rings only for the first
            self.dirty.ring()
        batch.add_fragments(interview_id, epoch, fragments)
        self.recorded += len(fragments)
        if len(batch.fragments) >= COMMIT_RECORDS:
            self.hurry.ring()

    def _note(self) -> None:
        self.recorded += 1
        self.dirty.ring()
        if self.burst:
            self.hurry.ring()

    def forget(self, names: Iterable[str]) -> set[str]:
        """Take no more rows of these interviews, until one begins anew; return those that are new to this."""
        new = set(names) - self._forgotten
        self._forgotten |= new
        return new

    def remember(self, names: set[str]) -> None:
        """Take rows of these again."""
        self._forgotten -= names

    # Live interviews

    @property
    def live(self) -> list[Interview]:
        """The interviews that are not ended, as last recorded."""
        return list(self._live.values())

    def live_one(self, interview_id: str) -> Interview | None:
        """Return the interview if it is live."""
        return self._live.get(interview_id)

    def let_go(self, sessions: Iterable[tuple[str, int]]) -> None:
        """Know these as live no more: another host has them."""
        for interview_id, block in sessions:
            known = self._live.get(interview_id)
            if known is not None and known.block == block:
                del self._live[interview_id]

    def found_live(self, interviews: Iterable[Interview]) -> None:
        """Take in interviews that a database holds as live; rows recorded here are newer and stay."""
        for it in interviews:
            self._live.setdefault(it.interview_id, it)

    # Reading

    def interview(self, interview_id: str) -> Interview | None:
        """Return the row as recorded and not yet durable, None without one."""
        return max(self.sessions(interview_id), key=lambda it: it.epoch, default=None)

    def sessions(self, interview_id: str) -> list[Interview]:
        """Return every row of the interview that is recorded and not yet durable: one a block."""
        both = self._committing.interviews | self._batch.interviews
        return [it for (name, _), it in both.items() if name == interview_id]

    def fragments(self, interview_id: str, epoch: int, since: int) -> dict[int, Fragment]:
        """Return the fragments that are not yet durable and whose ``seq`` is above ``since``, by ``seq``."""
        return {
            fragment.seq: fragment
            for batch in (self._committing, self._batch)
            for fragment in batch.fragments_of(interview_id, epoch, since)
        }

    @property
    def owed(self) -> dict[str, OutboxEntry]:
        """Return the deliveries whose present state is not yet durable, by key, in the order of their making."""
        return self._committing.owed | self._batch.owed

    def owes(self, key: str) -> bool:
        """Return whether this delivery is recorded and not yet durable."""
        return key in self._batch.owed or key in self._committing.owed

    # Writing

    def __len__(self) -> int:
        """Return the number of records that wait for the next commit."""
        return len(self._batch)

    @property
    def burst(self) -> bool:
        """True where so much waits that the next commit should begin at once."""
        return len(self._batch) >= COMMIT_RECORDS

    @property
    def weight(self) -> int:
        """Bytes of memory taken by fragments that are not durable yet, about."""
        return self._batch.weight + self._committing.weight

    @property
    def full(self) -> bool:
        """True where fragments are refused."""
        return self.weight > MAX_PENDING_BYTES

    def begin_commit(self) -> Batch:
        """Return all that waits, to be written; ``end_commit`` must follow."""
        self._committing, self._batch = self._batch, Batch()
        self._target = self.recorded
        return self._committing

    def add_live_rows(self, batch: Batch) -> None:
        """Add the row of every live interview: for a new file, which has nothing of an old one."""
        batch.interviews = {(it.interview_id, it.block): it for it in self._live.values()} | batch.interviews

    def end_commit(self, *, durable: bool) -> None:
        """Forget the batch that was written; or keep it, together with newer records."""
        taken, self._committing = self._committing, Batch()
        if durable:
            self.durable = self._target
        else:
            taken.absorb(self._batch)
            self._batch = taken

    def take_dropped(self) -> int:
        """Return how many fragments were dropped since this was last asked."""
        dropped, self._dropped = self._dropped, 0
        return dropped


def heads_of(
    saved: Sequence[OutboxEntry], unsaved: dict[str, OutboxEntry], interview_ids: Collection[str]
) -> list[OutboxEntry]:
    """Return the first pending delivery of each interview, where memory knows more than the disk."""
    newest = {owed.key: owed for owed in saved}
    for key, owed in unsaved.items():
        # The disk's own rule for such a row, see writes.PUT_OWED.
        if key not in newest or owed.attempts > newest[key].attempts:
            newest[key] = owed
    heads: dict[str, OutboxEntry] = {}
    for owed in newest.values():
        interview_id = owed.delivery.interview_id
        if owed.state is DeliveryState.PENDING and interview_id in interview_ids:
            heads.setdefault(interview_id, owed)
    return list(heads.values())
