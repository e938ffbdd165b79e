"""What the application's database holds, whichever wire it came by."""

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


class Interview(msgspec.Struct, rename="camel"):
    """What the backend knows of one interview."""

    status: Literal["PENDING"] | Status = "PENDING"
    ended_at: str | None = None
    transcript: list[Entry] = []
    submissions: int = 0
    """How often a transcript was stored; more than once is a duplicate, where the wire appends."""
    feedback: dict[str, str] | None = None


class Store:
    """Interviews by id. ``known``: the only ones there are; empty: every one."""

    def __init__(self, known: tuple[str, ...] = ()) -> None:
        self.interviews: OrderedDict[str, Interview] = OrderedDict()
        self._known = frozenset(known)

    def interview(self, interview_id: str) -> Interview:
        """Raises Refusal for one that is not known."""
        if self._known and interview_id not in self._known:
            raise Refusal(404, "Interview not found")
        interview = self.interviews.setdefault(interview_id, Interview())
        if len(self.interviews) > MAX_INTERVIEWS:
            self.interviews.popitem(last=False)
        return interview

    def update_status(self, interview_id: str, status: Status, ended_at: str | None) -> None:
        interview = self.interview(interview_id)
        interview.status = status
        if status != "IN_PROGRESS":
            interview.ended_at = ended_at

    def complete(self, interview_id: str, entries: list[Entry], ended_at: str, *, append: bool) -> None:
        """Stores a transcript and completes the interview, as one transaction."""
        interview = self.interview(interview_id)
        interview.transcript = [*interview.transcript, *entries] if append else entries
        interview.submissions += 1
        interview.status = "COMPLETED"
        interview.ended_at = ended_at
