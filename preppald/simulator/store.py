"""The application's database, behind both wires."""

from collections import OrderedDict
from typing import Literal

import msgspec

# Interviews that are remembered; the oldest is forgotten first.
MAX_INTERVIEWS = 1_000

Status = Literal["IN_PROGRESS", "COMPLETED", "ERROR"]


class Refusal(Exception):
    """The call is refused with this HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message


class Entry(msgspec.Struct, frozen=True):
    speaker: Literal["USER", "AI"]
    content: str
    timestamp: str


class Block(msgspec.Struct, rename="camel"):
    """One block of an interview."""

    status: Literal["PENDING", "IN_PROGRESS", "COMPLETED"] = "PENDING"
    ended_at: str | None = None
    transcript: list[Entry] = []
    submissions: int = 0


class Interview(msgspec.Struct, rename="camel"):
    """The backend's record of one interview."""

    status: Literal["PENDING"] | Status = "PENDING"
    ended_at: str | None = None
    transcript: list[Entry] = []
    submissions: int = 0
    """How often a transcript was stored; more than once is a duplicate, where the wire appends."""
    feedback: dict[str, str] | None = None
    checked: list[dict[str, object]] | None = None
    blocks: dict[int, Block] = {}
    """By number, from 1; none in an ordinary interview."""


class Store:
    """Interviews by id. ``known``: the only ones there are; empty: every one. ``blocks``: how many each has."""

    def __init__(self, known: tuple[str, ...] = (), *, blocks: int = 0) -> None:
        self.interviews: OrderedDict[str, Interview] = OrderedDict()
        self._known = frozenset(known)
        self._blocks = blocks
        self._deleted: OrderedDict[str, None] = OrderedDict()

    def interview(self, interview_id: str) -> Interview:
        """Return the interview. Raise Refusal for one that is not known."""
        if (self._known and interview_id not in self._known) or interview_id in self._deleted:
            raise Refusal(404, "Interview not found")
        interview = self.interviews.setdefault(interview_id, Interview())
        for number in range(1, self._blocks + 1):
            interview.blocks.setdefault(number, Block())
        if len(self.interviews) > MAX_INTERVIEWS:
            self.interviews.popitem(last=False)
        return interview

    def delete(self, interview_id: str) -> None:
        """Forget an interview, as the application can: whatever is asked of it later is refused."""
        self.interviews.pop(interview_id, None)
        self._deleted[interview_id] = None
        if len(self._deleted) > MAX_INTERVIEWS:
            self._deleted.popitem(last=False)

    def begin_block(self, interview_id: str, number: int) -> bool:
        """Mark a block as begun. Return False where the interview has no such block."""
        block = self.interview(interview_id).blocks.get(number)
        if block is not None and block.status == "PENDING":
            block.status = "IN_PROGRESS"
        return block is not None

    def complete_block(self, interview_id: str, number: int, entries: list[Entry], ended_at: str) -> None:
        """Store a block's transcript; the last block completes the interview."""
        interview = self.interview(interview_id)
        block = interview.blocks.get(number)
        if block is None:
            raise Refusal(404, "InterviewBlock not found")
        block.transcript, block.status, block.ended_at = entries, "COMPLETED", ended_at
        block.submissions += 1
        if all(it.status == "COMPLETED" for it in interview.blocks.values()):
            interview.status, interview.ended_at = "COMPLETED", ended_at

    def update_status(self, interview_id: str, status: Status, ended_at: str | None) -> None:
        interview = self.interview(interview_id)
        interview.status = status
        if status != "IN_PROGRESS":
            interview.ended_at = ended_at

    def complete(self, interview_id: str, entries: list[Entry], ended_at: str, *, append: bool) -> None:
        """Store a transcript and complete the interview, as one transaction."""
        interview = self.interview(interview_id)
        interview.transcript = [*interview.transcript, *entries] if append else entries
        interview.submissions += 1
        interview.status = "COMPLETED"
        interview.ended_at = ended_at
