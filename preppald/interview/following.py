"""The work that follows an acknowledged transcript: its check by a second ear, and feedback, which waits for that."""

import trio

from preppald.core.deliveries import Delivery
from preppald.interview.feedback import FeedbackWriter
from preppald.interview.services import Services
from preppald.interview.verification import Verifier


class Following:
    """``run`` is its task; ``delivered`` takes each acknowledged delivery and returns at once."""

    def __init__(self, services: Services) -> None:
        self._kept = services.kept
        self._feedback = FeedbackWriter(services)
        self._verifier = Verifier(services, done=self._feedback.checked)

    def delivered(self, delivery: Delivery) -> None:
        """Note what work is due now; that is in the acknowledgement's transaction."""
        self._verifier.delivered(delivery)
        self._feedback.delivered(delivery)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Work until cancelled, first on what the last process left due."""
        async with trio.open_nursery() as tasks:
            await tasks.start(self._feedback.run)
            if self._kept is not None:
                tasks.start_soon(self._kept.run)
                tasks.start_soon(self._verifier.run)
            task_status.started()
