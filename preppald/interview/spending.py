"""Books what the work behind an ended interview has cost."""

from dataclasses import replace

import trio

from preppald.core.deliveries import Delivery
from preppald.core.interview import Interview, Usage
from preppald.errors import JournalError
from preppald.interview.services import Services

# The wait while the journal's disk does not answer.
FAULT_SECONDS = 5.0


async def interview_of(services: Services, delivery: Delivery) -> Interview | None:
    """Return the interview, or block, that this was delivered for; None where it was forgotten, or begun anew.

    Raises:
        JournalError: it cannot be read now.
    """
    sessions = await services.journal.sessions(delivery.interview_id)
    return next((it for it in sessions if (it.block, it.epoch) == (delivery.block, delivery.epoch)), None)


async def spend(services: Services, delivery: Delivery, usage: Usage) -> None:
    """Count tokens in the metrics, and in the row of the transcript's interview as it is now, if it is there.

    A disk that does not answer is waited for: what is paid already would be asked, and paid, again.
    """
    # Two that read the same row would write one sum: a check and feedback may end at one time.
    async with services.spending:
        interview = await _patiently(services, delivery)
        services.metrics.used(usage, services.config.prices)
        if interview is not None:
            services.journal.begin(replace(interview, usage=interview.usage + usage))


async def _patiently(services: Services, delivery: Delivery) -> Interview | None:
    while True:
        try:
            return await interview_of(services, delivery)
        except JournalError:
            await trio.sleep(FAULT_SECONDS)  # it says so itself
