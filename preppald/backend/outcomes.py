"""What can come of a post: a closed set. Causes are for people and never hold a secret or transcript text."""

from dataclasses import dataclass
from typing import Protocol

from preppald.core.context import NOTHING_KNOWN, Context
from preppald.core.deliveries import Delivery


@dataclass(frozen=True, slots=True)
class Delivered:
    """The backend says that it has it."""


@dataclass(frozen=True, slots=True)
class Retry:
    """It did not work, and may work later.

    ``status``: of the HTTP answer, None when none came. ``retry_after``: seconds that the backend asked for.
    ``ambiguous``: the backend may have stored it all the same, its answer was lost or cannot be read.
    """

    status: int | None
    cause: str
    retry_after: float | None = None
    ambiguous: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The backend will not have this delivery, however often it is tried: a dead letter."""

    status: int | None
    cause: str


@dataclass(frozen=True, slots=True)
class Unauthorized:
    """The backend does not accept our secret: no delivery can succeed."""

    status: int


Outcome = Delivered | Retry | Refused | Unauthorized


@dataclass(frozen=True, slots=True)
class Probe:
    """What a harmless question found: whether deliveries would work, and a sentence for the operator."""

    good: bool
    sentence: str


class Backend(Protocol):
    """The application, as the outbox and a beginning interview see it."""

    async def post(self, delivery: Delivery) -> Outcome:
        """Tries once. Returns within ``TRY_SECONDS``; raises nothing but Cancelled."""

    async def context(self, interview_id: str) -> Context | Outcome:
        """What the application knows of an interview, or why it does not say. As bounded as ``post``."""

    async def probe(self) -> Probe:
        """Asks without changing anything."""


class NoBackend:
    """No application: the journal is where interviews stay."""

    async def post(self, delivery: Delivery) -> Outcome:  # noqa: ARG002 - the interface has it
        return Delivered()

    async def context(self, interview_id: str) -> Context | Outcome:  # noqa: ARG002 - the interface has it
        return NOTHING_KNOWN

    async def probe(self) -> Probe:
        return Probe(good=True, sentence="no backend is configured: transcripts stay in the journal")
