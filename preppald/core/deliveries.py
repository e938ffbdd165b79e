"""Deliveries that the backend is owed, and the rule for trying one again.

A delivery is neutral: the wire (tRPC or protobuf) is chosen at each post, so that a journal written under one wire can
be delivered over the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
import enum

import msgspec

from preppald.core.checks import CheckedTurn
from preppald.core.timeline import spoken
from preppald.core.turns import Speaker, Turn

# Full jitter: each wait is uniform between 0 and min(cap, base * 2^attempts). Five minutes keeps the
# promise "delivered within 6 minutes after the backend is back".
RETRY_BASE_SECONDS = 1.0
RETRY_CAP_SECONDS = 300.0
# 2^9 seconds are past the cap; a larger exponent only makes large numbers.
RETRY_EXPONENT_CAP = 9


class DeliveryKind(enum.StrEnum):
    """The kinds of delivery."""

    STATUS = "status"
    TRANSCRIPT = "transcript"
    FEEDBACK = "feedback"
    VERIFICATION = "verification"


class Work(enum.StrEnum):
    """Work that follows an acknowledged transcript."""

    FEEDBACK = "feedback"
    VERIFICATION = "verification"


class Status(enum.StrEnum):
    """The interview's status, as the backend spells it."""

    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    ERROR = "ERROR"


class StatusUpdate(msgspec.Struct, frozen=True):
    """``ended_ms``: wall clock in milliseconds, None while the interview runs."""

    status: Status
    ended_ms: int | None = None


class TranscriptLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a transcript; ``at_ms`` is when its turn began, wall clock in milliseconds.

    ``begin_ms`` and ``end_ms``: when it was heard, in milliseconds since the interview began; None in deliveries of older
    versions. ``unheard``: the text of a cut reply that the candidate did not hear. ``typed``: some of it, or all, was typed.
    """

    speaker: Speaker
    content: str
    at_ms: int
    begin_ms: int | None = None
    end_ms: int | None = None
    unheard: str = ""
    typed: bool = False


class Missing(msgspec.Struct, frozen=True):
    """A part of a transcript that could not be read: in which of its lines, from 0, and what is missing, in words."""

    turn: int
    what: str


class TranscriptSubmission(msgspec.Struct, frozen=True, omit_defaults=True):
    """Hold a whole transcript; storing it completes the interview, or the block, at the backend.

    ``block``: the block's number, 0 for an ordinary interview. ``missing``: the parts that could not be read.
    """

    lines: tuple[TranscriptLine, ...]
    ended_ms: int
    block: int = 0
    missing: tuple[Missing, ...] = ()


class Feedback(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Feedback for the candidate, in the application's five parts."""

    summary: str
    strengths: str
    content_and_structure: str
    communication_and_delivery: str
    presentation: str


class VerificationSubmission(msgspec.Struct, frozen=True, omit_defaults=True):
    """Hold the checked turns of a transcript: both texts of each, and which to trust. ``checked_ms``: wall clock."""

    turns: tuple[CheckedTurn, ...]
    model: str
    checked_ms: int
    block: int = 0


# A page may wait for feedback: an interview in which nothing was said is told so, in each part.
NOTHING_SAID = Feedback(*["Nothing was said in this interview, so there is no feedback."] * 5)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One post that the backend is owed.

    ``key`` goes out as ``Idempotency-Key`` and is unique for ever. ``payload`` is JSON, a ``StatusUpdate``,
    a ``TranscriptSubmission``, a ``Feedback`` or a ``VerificationSubmission`` by ``kind``. Deliveries of one interview are posted in the order in which
    they were made. ``block``: as in ``Interview``.
    """

    key: str
    interview_id: str
    kind: DeliveryKind
    payload: bytes
    created_ms: int
    block: int = 0

    @property
    def epoch(self) -> int:
        """The epoch of its interview, or block."""
        return int(self.key.split(":")[1])


class DeliveryState(enum.StrEnum):
    """The states of a delivery."""

    PENDING = "pending"  # owed
    DONE = "done"  # acknowledged by the backend
    DEAD = "dead"  # refused for what it says: a dead letter, for an operator to look at
    DROPPED = "dropped"  # given up by an operator


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A delivery and its tries: the outbox's row. All times are the wall clock in milliseconds.

    ``attempts``: tries made. ``next_ms``: not before then. ``last_status``: the last HTTP status, None when
    no answer came. ``last_error``: for people, never with transcript text. ``acked_ms``: when it was settled,
    by the backend (DONE) or by an operator (DROPPED).
    """

    delivery: Delivery
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    next_ms: int = 0
    last_status: int | None = None
    last_error: str | None = None
    acked_ms: int | None = None

    @property
    def key(self) -> str:
        return self.delivery.key

    def due(self, now_ms: int) -> bool:
        """Return whether a try is due. A wait longer than the cap means that the clock was set back: due, too."""
        return (
            self.state is DeliveryState.PENDING
            and not now_ms < self.next_ms <= now_ms + RETRY_CAP_SECONDS * 1000
        )

    def acknowledged(self, now_ms: int) -> "OutboxEntry":
        return replace(
            self,
            state=DeliveryState.DONE,
            attempts=self.attempts + 1,
            last_status=None,
            last_error=None,
            acked_ms=now_ms,
        )

    def closed(self, now_ms: int, why: str) -> "OutboxEntry":
        """Give it up: the application has no use for this kind."""
        return replace(
            self, state=DeliveryState.DROPPED, attempts=self.attempts + 1, last_error=why, acked_ms=now_ms
        )

    def revived(self) -> "OutboxEntry":
        """Owe a dead letter again: the refusal was about the backend. Due at once; no try is counted."""
        return replace(self, state=DeliveryState.PENDING, next_ms=0)

    def postponed(self, next_ms: int, status: int | None, cause: str) -> "OutboxEntry":
        return replace(
            self, attempts=self.attempts + 1, next_ms=next_ms, last_status=status, last_error=cause
        )

    def refused(self, status: int | None, cause: str) -> "OutboxEntry":
        return replace(
            self, state=DeliveryState.DEAD, attempts=self.attempts + 1, last_status=status, last_error=cause
        )


def session_name(interview_id: str, block: int, epoch: int) -> str:
    """Return the name of one beginning of an interview, or of a block of it.

    A full stop stands in no interview's id, so no block shares its name with another.
    """
    return f"{interview_id}.{block}:{epoch}" if block else f"{interview_id}:{epoch}"


def _key(interview_id: str, block: int, epoch: int, what: str) -> str:
    """Return the Idempotency-Key."""
    return f"{session_name(interview_id, block, epoch)}:{what}"


def status_delivery(
    interview_id: str, epoch: int, status: Status, *, now_ms: int, ended_ms: int | None = None, block: int = 0
) -> Delivery:
    """Return the post that sets the interview's status."""
    return Delivery(
        key=_key(interview_id, block, epoch, f"{DeliveryKind.STATUS}:{status}"),
        interview_id=interview_id,
        kind=DeliveryKind.STATUS,
        payload=msgspec.json.encode(StatusUpdate(status, ended_ms)),
        created_ms=now_ms,
        block=block,
    )


UNREADABLE_PART = "a part could not be read from the disk"


def missing(turns: Sequence[Turn]) -> tuple[Missing, ...]:
    """Return what a transcript of these turns lacks."""
    return tuple(Missing(number, UNREADABLE_PART) for number, turn in enumerate(turns) if turn.unreadable)


def transcript_delivery(
    interview_id: str,
    epoch: int,
    turns: Sequence[Turn],
    *,
    now_ms: int,
    started_ms: int,
    ended_ms: int,
    block: int = 0,
) -> Delivery:
    """Return the post that stores the transcript; ``turns`` are in their order and have text."""
    lines = tuple(
        TranscriptLine(
            it.turn.speaker,
            it.turn.spoken.strip(),
            it.turn.started_ms,
            begin_ms=it.begin_ms,
            end_ms=it.end_ms,
            unheard=it.unheard,
            typed=bool(it.turn.answers),
        )
        for it in spoken(turns, started_ms, ended_ms)
    )
    return Delivery(
        key=_key(interview_id, block, epoch, DeliveryKind.TRANSCRIPT),
        interview_id=interview_id,
        kind=DeliveryKind.TRANSCRIPT,
        payload=msgspec.json.encode(TranscriptSubmission(lines, ended_ms, block, missing(turns))),
        created_ms=now_ms,
        block=block,
    )


def feedback_delivery(interview_id: str, epoch: int, feedback: Feedback, *, now_ms: int) -> Delivery:
    """Return the post that stores the feedback."""
    return Delivery(
        key=f"{interview_id}:{epoch}:{DeliveryKind.FEEDBACK}",
        interview_id=interview_id,
        kind=DeliveryKind.FEEDBACK,
        payload=msgspec.json.encode(feedback),
        created_ms=now_ms,
    )


def verification_delivery(
    interview_id: str, epoch: int, turns: Sequence[CheckedTurn], *, model: str, now_ms: int, block: int = 0
) -> Delivery:
    """Return the post that stores a checked transcript, beside the live one."""
    return Delivery(
        key=_key(interview_id, block, epoch, DeliveryKind.VERIFICATION),
        interview_id=interview_id,
        kind=DeliveryKind.VERIFICATION,
        payload=msgspec.json.encode(VerificationSubmission(tuple(turns), model, now_ms, block)),
        created_ms=now_ms,
        block=block,
    )


def retry_delay(attempts: int, chance: float, retry_after: float | None = None) -> float:
    """Return the seconds to wait before the next try.

    ``attempts``: tries made so far. ``chance``: a random number in [0, 1), from the caller.
    ``retry_after``: what the backend asked for, in seconds; honoured up to the cap.
    """
    if retry_after is not None:
        return min(max(retry_after, 0.0), RETRY_CAP_SECONDS)
    ceiling = min(RETRY_CAP_SECONDS, RETRY_BASE_SECONDS * (1 << min(attempts, RETRY_EXPONENT_CAP)))
    return chance * ceiling


def iso(at_ms: int) -> str:
    """Return the time in ISO 8601, in UTC with milliseconds, as JavaScript writes it."""
    stamp = datetime.fromtimestamp(at_ms / 1000, UTC)
    return stamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")
