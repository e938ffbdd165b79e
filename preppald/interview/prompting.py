"""Fetches the application's context of an interview, before the interviewer is set up."""

import trio

from preppald.backend import Refused, Retry, Unauthorized
from preppald.core.context import NOTHING_KNOWN, Context
from preppald.interview.services import Services
from preppald.telemetry.logs import Logger

# The candidate waits meanwhile. A backend that works answers in milliseconds; one that does not is not worth more.
CONTEXT_SECONDS = 5.0
# Between two tries: a backend that is being restarted is back after a few of these.
PAUSE_SECONDS = 0.5


async def context_of(services: Services, interview_id: str, log: Logger) -> Context:
    """Return the interview's context. Without an answer the interview goes on without: logged, and counted."""
    began = trio.current_time()
    cause = f"nothing came within {CONTEXT_SECONDS:.0f} seconds"
    with trio.move_on_after(CONTEXT_SECONDS):
        while True:
            answer = await services.backend.context(interview_id)
            outcome = "delivered" if isinstance(answer, Context) else type(answer).__name__.lower()
            services.metrics.backend_call("context", outcome, trio.current_time() - began)
            match answer:
                case Context():
                    return answer
                case Retry():
                    cause = answer.cause
                    await trio.sleep(PAUSE_SECONDS)
                    continue
                case Refused():
                    cause = answer.cause
                case Unauthorized():
                    cause = f"the backend refuses WORKER_SHARED_SECRET ({answer.status})"
                case _:
                    pass
            break
    log.error("context.missing", cause=cause)
    return NOTHING_KNOWN
