"""Fetches the application's context of an interview, before the interviewer is set up."""

import msgspec
import trio

from preppald.backend import Refused, Retry, Unauthorized
from preppald.core.context import NOTHING_KNOWN, Context
from preppald.core.interview import Interview
from preppald.interview.services import Services
from preppald.telemetry.logs import Logger

# The candidate waits meanwhile. A backend that works answers in milliseconds; one that does not is not worth more.
CONTEXT_SECONDS = 5.0
# A later block cannot begin without its prompt: a backend that is being restarted is waited for.
BLOCK_SECONDS = 15.0
# The first block can: it begins as an ordinary interview, after the second of these that brought no answer.
FIRST_BLOCK_TRIES = 2
# Between two tries: a backend that is being restarted is back after a few of these.
PAUSE_SECONDS = 0.5


async def known_of(services: Services, interview: Interview, log: Logger) -> Context:
    """Return what the application knows; a block's was kept when it began, for asking begins it."""
    if interview.context is not None:
        return msgspec.json.decode(interview.context, type=Context)
    return await context_of(services, interview.interview_id, log)


async def context_of(services: Services, interview_id: str, log: Logger) -> Context:
    """Return the interview's context. Without an answer the interview goes on without: logged, and counted."""
    return await asked(services, interview_id, 0, CONTEXT_SECONDS, log) or NOTHING_KNOWN


async def block_context(services: Services, interview_id: str, block: int, log: Logger) -> Context | None:
    """Return what the application says of a block, which marks it as begun; None where it does not answer.

    A context without a system prompt means that the interview is an ordinary one. The first block is asked for once
    more, and so before anything is posted that would complete an interview in blocks. For a later block the application
    is asked until the time is up, also where it refuses: nothing can begin without its answer.
    """
    if block > 1:
        return await asked(services, interview_id, block, BLOCK_SECONDS, log, patient=True)
    for _ in range(FIRST_BLOCK_TRIES):
        if context := await asked(services, interview_id, block, CONTEXT_SECONDS, log):
            return context
    return None


async def asked(
    services: Services, interview_id: str, block: int, seconds: float, log: Logger, *, patient: bool = False
) -> Context | None:
    """Ask the application for so many seconds; return None, logged and counted, where it gives no context.

    ``patient``: a refusal is asked about again, too.
    """
    began = trio.current_time()
    cause = f"nothing came within {seconds:.0f} seconds"
    with trio.move_on_after(seconds):
        while True:
            answer = await services.backend.context(interview_id, block)
            outcome = "delivered" if isinstance(answer, Context) else type(answer).__name__.lower()
            services.metrics.backend_call("context", outcome, trio.current_time() - began)
            match answer:
                case Context():
                    return answer
                case Retry() | Refused():
                    cause = answer.cause
                case Unauthorized():
                    cause = f"the backend refuses WORKER_SHARED_SECRET ({answer.status})"
                case _:
                    pass
            if not patient and not isinstance(answer, Retry):
                break
            await trio.sleep(PAUSE_SECONDS)
    log.error("context.missing", cause=cause, **({"block": block} if block else {}))
    return None
