"""The closed set of outcomes of a post, and the interface of a backend.

Causes are for people and never hold a secret or transcript text.
"""

from dataclasses import dataclass
from typing import Protocol

from preppald.core.context import NOTHING_KNOWN, Context
from preppald.core.deliveries import Delivery, DeliveryKind


@dataclass(frozen=True, slots=True)
class Delivered:
    """The backend acknowledged the delivery."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The try failed, and a later one may succeed.

    ``status``: of the HTTP answer, None when none came. ``retry_after``: seconds that the backend asked for.
    ``ambiguous``: the backend may have stored the delivery all the same: its answer was lost or cannot be read.
    """

    status: int | None
    cause: str
    retry_after: float | None = None
    ambiguous: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The application refused the delivery's content: a dead letter, unless many are refused alike."""

    status: int | None
    cause: str


@dataclass(frozen=True, slots=True)
class Unauthorized:
    """The application refused our authority, in its own language: for this interview, or for all of them."""

    status: int


@dataclass(frozen=True, slots=True)
class Absent:
    """The application has no such procedure: an older version of it, or a deploy under way."""

    status: int
    cause: str


Outcome = Delivered | Retry | Refused | Unauthorized | Absent


@dataclass(frozen=True, slots=True)
class Probe:
    """The finding of a harmless question: whether deliveries would succeed, and a sentence for the operator."""

    good: bool
    sentence: str


class Backend(Protocol):
    """The application, as the outbox and a beginning interview see it."""

    async def post(self, delivery: Delivery) -> Outcome:
        """Try once. Return within ``TRY_SECONDS``; raise nothing but Cancelled."""

    async def context(self, interview_id: str, block: int = 0) -> Context | Outcome:
        """Return the application's context of an interview, or the outcome without one. As bounded as ``post``.

        ``block``: asked for one of its blocks, which the application then marks as begun.
        """

    async def knows(self, interview_id: str) -> bool | None:
        """Ask if the application has this interview; None when its answer does not tell. As bounded as ``post``."""

    def lacks(self, kind: DeliveryKind) -> bool:
        """Return whether the application is known to take no deliveries of this kind."""

    async def probe(self) -> Probe:
        """Ask a question that changes nothing."""


class NoBackend:
    """No application: interviews stay in the journal."""

    async def post(self, delivery: Delivery) -> Outcome:  # noqa: ARG002 - the interface has it
        return Delivered()

    async def context(self, interview_id: str, block: int = 0) -> Context | Outcome:  # noqa: ARG002 - the interface has it
        return NOTHING_KNOWN

    async def knows(self, interview_id: str) -> bool | None:  # noqa: ARG002 - the interface has it
        return None

    def lacks(self, kind: DeliveryKind) -> bool:  # noqa: ARG002 - the interface has it
        return False

    async def probe(self) -> Probe:
        return Probe(good=True, sentence="no backend is configured: transcripts stay in the journal")
