"""The endings of an interview: a closed set with a precedence, and each ending's debts to browser and backend.

Anything else is a bug, and ends the interview as ``BUG``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
import enum
from typing import Literal

from preppald.core.deliveries import (
    NOTHING_SAID,
    Delivery,
    Status,
    feedback_delivery,
    status_delivery,
    transcript_delivery,
)
from preppald.core.turns import Turn

CloseCodes = Literal["plain", "distinct"]
# The posts of an interview that failed with a transcript: the transcript alone, which completes it, or then ERROR, too.
Partial = Literal["completed", "error"]


class EndedReason(enum.IntEnum):
    """SessionEnded.Reason, by its numbers on the wire."""

    REASON_UNSPECIFIED = 0
    USER_INITIATED = 1
    GEMINI_ENDED = 2
    TIMEOUT = 3


# ErrorResponse codes, as browsers know them.
ERROR_AI_SERVICE = 4002
ERROR_INTERNAL = 5000


class Debt(enum.Enum):
    """The debts of an ending to the backend."""

    TRANSCRIPT = "the transcript, which completes the interview"
    PARTIAL = "the partial transcript, or ERROR when nothing was said"
    PARTIAL_THEN_ERROR = "the partial transcript, then ERROR"
    ERROR = "ERROR"
    NOTHING = "nothing: the interview goes on elsewhere, and is owed there"


@dataclass(frozen=True, slots=True)
class Close:
    """A WebSocket close."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Ending:
    """``ended``: the SessionEnded that the browser gets first; ``error``: the ErrorResponse, if any.

    ``plain`` closes as browsers in use expect; ``distinct`` is the code that the newest web client reads as
    the reason. Of two endings at the same instant the one that stands earlier in ``PRECEDENCE`` counts.
    """

    name: str
    plain: Close
    distinct: int
    owed: Debt
    ended: EndedReason | None = None
    error: tuple[int, str] | None = None

    def close(self, codes: CloseCodes) -> Close:
        return self.plain if codes == "plain" else Close(self.distinct, self.plain.reason)


USER_ENDED = Ending(
    name="user_ended",
    plain=Close(1000, "Interview ended by user"),
    distinct=4001,
    owed=Debt.TRANSCRIPT,
    ended=EndedReason.USER_INITIATED,
)
TIME_UP = Ending(
    name="time_up",
    plain=Close(1000, "Session timeout (1 hour limit)"),
    distinct=4002,
    owed=Debt.TRANSCRIPT,
    ended=EndedReason.TIMEOUT,
)
TOKENS_SPENT = Ending(
    name="tokens_spent",
    plain=Close(1000, "Session token limit"),
    distinct=4002,
    owed=Debt.TRANSCRIPT,
    ended=EndedReason.TIMEOUT,
)
AI_ENDED = Ending(
    name="ai_ended",
    plain=Close(1000, "AI ended session"),
    distinct=4003,
    owed=Debt.TRANSCRIPT,
    ended=EndedReason.GEMINI_ENDED,
)
AI_UNREACHABLE = Ending(
    name="ai_unreachable",
    plain=Close(4002, "Failed to connect to AI service"),
    distinct=4004,
    owed=Debt.ERROR,
    error=(ERROR_AI_SERVICE, "Failed to connect to AI service"),
)
AI_FAILED = Ending(
    name="ai_failed",
    plain=Close(4002, "AI service error"),
    distinct=4004,
    owed=Debt.PARTIAL_THEN_ERROR,
    error=(ERROR_AI_SERVICE, "AI service error"),
)
OPERATOR_ENDED = Ending(
    name="operator_ended",
    plain=Close(1000, "Interview ended by operator"),
    distinct=4006,
    owed=Debt.PARTIAL,
    # No reason of SessionEnded means it, and pages of before read the reason as one of four: the close says it.
    ended=EndedReason.REASON_UNSPECIFIED,
)
BLOCK_LEFT = Ending(
    name="block_left",
    # The page has closed already, with the same code.
    plain=Close(4005, "Block transition"),
    distinct=4005,
    owed=Debt.TRANSCRIPT,
)
CANDIDATE_GONE = Ending(
    name="candidate_gone",
    # Nobody is there to read it; a candidate who returns later is told this.
    plain=Close(4410, "Interview already ended"),
    distinct=4410,
    owed=Debt.PARTIAL,
)
MISUSED = Ending(
    name="misused",
    plain=Close(1008, "Too many messages that cannot be read"),
    distinct=1008,
    owed=Debt.PARTIAL,
)
DAEMON_STOPPED = Ending(
    name="daemon_stopped",
    plain=Close(1012, "Service restart"),
    distinct=1012,
    owed=Debt.PARTIAL,
    ended=EndedReason.REASON_UNSPECIFIED,
)
MOVED = Ending(
    name="moved",
    # Without SessionEnded: the page dials again, and comes to the host that has the interview.
    plain=Close(1012, "Service restart"),
    distinct=1012,
    owed=Debt.NOTHING,
)
BUG = Ending(
    name="bug",
    plain=Close(1011, "Internal error"),
    distinct=4004,
    owed=Debt.PARTIAL_THEN_ERROR,
    error=(ERROR_INTERNAL, "Internal error"),
)

PRECEDENCE = (
    BUG,
    USER_ENDED,
    BLOCK_LEFT,
    TIME_UP,
    TOKENS_SPENT,
    AI_ENDED,
    OPERATOR_ENDED,
    AI_UNREACHABLE,
    AI_FAILED,
    MISUSED,
    CANDIDATE_GONE,
    # After every end that somebody wanted, and before the one that is called whenever a session is cancelled.
    MOVED,
    DAEMON_STOPPED,
)

# Closes of one connection only; the interview lives on.
REPLACED = Close(4409, "Replaced by a newer connection")
ALREADY_ENDED = CANDIDATE_GONE.plain


def first(endings: Sequence[Ending]) -> Ending:
    """Return the ending that counts of several at one instant."""
    return min(endings, key=PRECEDENCE.index)


def deliveries(
    ending: Ending,
    interview_id: str,
    epoch: int,
    turns: Sequence[Turn],
    *,
    started_ms: int,
    ended_ms: int,
    block: int = 0,
    partial: Partial = "completed",
    feedback: bool = False,
) -> list[Delivery]:
    """Return what the backend is owed after this ending, in order. ``turns``: those with text, in their order.

    ``block``: the block's number, 0 for an ordinary interview. ``partial``: what a failed interview with a transcript
    posts. ``feedback``: somebody waits for feedback, also where there is nothing to say.
    """
    if ending.owed is Debt.NOTHING:
        return []
    transcript = transcript_delivery(
        interview_id, epoch, turns, now_ms=ended_ms, started_ms=started_ms, ended_ms=ended_ms, block=block
    )
    if block:
        # The backend completes the interview at its last block, and other blocks can go on after one that failed.
        return [transcript][: len(turns)]

    def status(status: Status) -> Delivery:
        return status_delivery(interview_id, epoch, status, now_ms=ended_ms, ended_ms=ended_ms)

    if turns and ending.owed is not Debt.ERROR:
        if ending.owed is Debt.PARTIAL_THEN_ERROR and partial == "error":
            return [transcript, status(Status.ERROR)]
        return [transcript]
    # The backend refuses an empty transcript, so an interview in which nothing was said sets its status instead.
    owed = [status(Status.COMPLETED if ending.owed is Debt.TRANSCRIPT else Status.ERROR)]
    if feedback:
        owed.append(feedback_delivery(interview_id, epoch, NOTHING_SAID, now_ms=ended_ms))
    return owed
