"""The simulated backend's behaviour: the `[backend]` table of a scenario."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class BackendFault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[backend.fault]]`: the first `calls` calls (of `procedure`, if given) go wrong like this."""

    kind: Literal[
        "status",  # answer `status`, store nothing
        "hang",  # store nothing, never answer
        "lost-answer",  # store, then drop the connection without an answer
        "error-in-200",  # answer 200 with an error in the body, store nothing
        "garbage",  # answer 200 with a body that is not JSON, store nothing
        "delete",  # the interview was deleted just before: answer as for one that is not known, now and later
    ]
    calls: Annotated[int, Meta(ge=1)] = 1
    procedure: str = ""
    """For instance interview.submitTranscript; empty: any."""
    status: Literal[400, 401, 403, 404, 408, 413, 429, 500, 502, 503, 504] = 500
    retry_after: Annotated[int, Meta(ge=0)] | None = None
    """Seconds, for the Retry-After header."""


class BackendContext(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The context that the backend gives for every interview: on the protobuf wire, and where the router is the newer one."""

    job_description: str = ""
    resume: str = ""
    persona: str = ""
    duration_ms: Annotated[int, Meta(ge=0, lt=2**31)] = 0


class BackendBlock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[backend.block]]`: a part of every interview with a connection and a prompt of its own."""

    system_prompt: Annotated[str, Meta(min_length=1)]
    """The block's whole instruction."""
    language: Literal["en", "zh"] = "en"
    duration_ms: Annotated[int, Meta(ge=0, lt=2**31)] = 25_000


class BackendScenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    transformer: Literal["superjson", "none"] = "superjson"
    """The real router reads {"json": input} (superjson) and refuses a bare input with 400."""
    router: Literal["first", "newer"] = "first"
    """The newer tRPC router has interview.getContext (a query) and interview.submitFeedback, too."""
    secret: str = ""
    """The Bearer secret it asks for; empty: any."""
    interviews: tuple[str, ...] = ()
    """The interviews it knows; empty: every one."""
    honours_idempotency_key: bool = False
    """Whether a second submitTranscript with a known Idempotency-Key is not stored again. The real one ignores it."""
    context: BackendContext = BackendContext()
    block: Annotated[tuple[BackendBlock, ...], Meta(max_length=99)] = ()
    """The blocks of every interview, on the protobuf wire; empty: interviews are ordinary."""
    fault: tuple[BackendFault, ...] = ()
