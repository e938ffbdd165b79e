"""Feedback on finished interviews, written by a text model after the transcript is acknowledged. Best effort.

Rule 1: no failure here changes a delivery; the interview stays COMPLETED.
Rule 2: feedback goes through the journal and the outbox, like everything that the backend is owed.
Rule 3: one transaction records the acknowledgement and that feedback is due; another one records the feedback and that
        none is due any more. So feedback that a stop or a kill cuts short is written after the next start.
"""

import httpx
import msgspec
import trio

from preppald.backend import Retry
from preppald.core import feedback, gemini
from preppald.core.checks import CheckedTurn
from preppald.core.context import NOTHING_KNOWN, Context
from preppald.core.deliveries import (
    Delivery,
    DeliveryKind,
    Feedback,
    TranscriptLine,
    TranscriptSubmission,
    VerificationSubmission,
    Work,
    feedback_delivery,
)
from preppald.core.feedback import FeedbackError
from preppald.core.generation import PASSING
from preppald.core.interview import Usage
from preppald.errors import JournalError
from preppald.interview.services import Services
from preppald.interview.spending import interview_of, spend
from preppald.net import redirects, tls
from preppald.net.proxy import for_httpx

# One call, thinking included; ten seconds are usual.
CALL_SECONDS = 60.0
CONNECT_SECONDS = 10.0
# Waits before the second and the third try, each up to twice that by chance: quotas are per minute.
WAITS = (5.0, 30.0)
# At once: an hour at 500 interviews ends eight a minute, and each takes seconds.
WRITERS = 2
# The wait while the journal's disk does not answer.
FAULT_SECONDS = 5.0
# The interval of looking by itself: transcripts taken over from another instance ring no bell.
LOOK_SECONDS = 60.0
# Feedback is written from the checked text where that is there by then: a page waits for it.
CHECK_SECONDS = 120.0
# The answer is about 8 kB.
MAX_ANSWER_BYTES = 1024 * 1024


class FeedbackWriter:
    """Writes feedback. ``run`` is its task; ``delivered`` takes each acknowledged delivery and returns at once."""

    def __init__(self, services: Services) -> None:
        self._services = services
        # Keys of the transcripts in a writer's hands; and those of them that are done, until that is on disk.
        self._busy: set[str] = set()
        self._done: set[str] = set()
        self._asking = trio.StrictFIFOLock()
        # Acknowledgements so far: a reader of the journal learns whether one came meanwhile.
        self._delivered = 0
        self._changed = trio.lowlevel.ParkingLot()
        # Until when the transcripts of these keys wait to be checked (Trio's clock), also those that have waited.
        self._until: dict[str, float] = {}
        proxy = services.config.proxy_for(services.config.gemini_url.http)
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(CALL_SECONDS, connect=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=WRITERS),
            event_hooks=redirects.IGNORED,
            trust_env=False,
            verify=tls.machines_own(),
            proxy=for_httpx(proxy),
        )

    def delivered(self, delivery: Delivery) -> None:
        """Note an acknowledged delivery; after a transcript feedback is due, in the acknowledgement's transaction."""
        # The application itself writes the feedback on blocks.
        if (
            delivery.kind is DeliveryKind.TRANSCRIPT
            and not delivery.block
            and self._services.config.feedback == "on"
            # It would be paid for, and posted to nobody.
            and not self._services.backend.lacks(DeliveryKind.FEEDBACK)
        ):
            self._services.journal.note_due(Work.FEEDBACK, delivery.key, due=True)
            self._delivered += 1
            self._changed.unpark()

    def checked(self, key: str) -> None:
        """Note that a transcript was checked, or will not be: its feedback waits no longer."""
        if key in self._until:
            self._until[key] = trio.current_time()
            self._delivered += 1
            self._changed.unpark_all()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write until cancelled, first the feedback that the last process left due."""
        async with self._client, trio.open_nursery() as writers:
            for _ in range(WRITERS):
                writers.start_soon(self._write)
            task_status.started()

    async def _write(self) -> None:
        while True:
            delivery = await self._next()
            log = self._services.log.bind(interview=delivery.interview_id)
            try:
                await self._write_one(delivery)
            except (FeedbackError, httpx.HTTPError, OSError) as error:
                # Library texts may quote the peer.
                why = str(error) if isinstance(error, FeedbackError) else type(error).__name__
                log.error("feedback.failed", cause=why)  # noqa: TRY400 - an answer that is none is no bug
                self._services.metrics.feedback.labels("failed").inc()
            except JournalError:
                # It is still due; another one may be asked for.
                self._busy.discard(delivery.key)
                await trio.sleep(FAULT_SECONDS)
                continue
            except Exception:
                log.exception("feedback.bug")  # it costs one feedback, and not the daemon
                self._services.metrics.feedback.labels("failed").inc()
            # After success and failure alike; a cancelled writer leaves the feedback due.
            self._services.journal.note_due(Work.FEEDBACK, delivery.key, due=False)
            self._done.add(delivery.key)

    async def _next(self) -> Delivery:
        """Return a transcript on which feedback is due, and which no other writer has."""
        while True:
            seen = self._delivered
            try:
                async with self._asking:
                    if self._services.config.feedback == "on" and (found := await self._ask_journal()):
                        if await self._must_wait(found.key):
                            continue
                        self._busy.add(found.key)
                        self._until.pop(found.key, None)
                        return found
            except JournalError:
                await trio.sleep(FAULT_SECONDS)  # it says so itself
                continue
            if seen == self._delivered:
                now = trio.current_time()
                with trio.move_on_at(
                    min([now + LOOK_SECONDS, *(it for it in self._until.values() if it > now)])
                ):
                    await self._changed.park()

    async def _ask_journal(self) -> Delivery | None:
        done = frozenset(self._done)
        await self._services.journal.flush(hurry=False)
        self._busy -= done
        self._done -= done
        now = trio.current_time()
        waiting = {key for key, until in self._until.items() if until > now}
        return await self._services.journal.due(Work.FEEDBACK, self._busy | waiting)

    async def _must_wait(self, key: str) -> bool:
        """Return whether feedback should wait for the check of this transcript; from now on, where it is due."""
        if key in self._until or self._services.config.verify == "off":
            return False
        if not await self._services.journal.is_due(Work.VERIFICATION, key):
            return False
        self._until[key] = trio.current_time() + CHECK_SECONDS
        return True

    async def _checked(self, delivery: Delivery) -> tuple[CheckedTurn, ...]:
        """Return what a second ear heard; nothing where the transcript was not checked."""
        key = f"{delivery.key.removesuffix(DeliveryKind.TRANSCRIPT)}{DeliveryKind.VERIFICATION}"
        found = await self._services.journal.delivery(key)
        if found is None or not found.payload:
            return ()
        return msgspec.json.decode(found.payload, type=VerificationSubmission).turns

    async def _write_one(self, delivery: Delivery) -> None:
        services = self._services
        live = msgspec.json.decode(delivery.payload, type=TranscriptSubmission).lines
        lines = feedback.corrected(live, await self._checked(delivery))
        interview = await interview_of(services, delivery)
        if interview is None or not feedback.worth_it(lines):
            services.metrics.feedback.labels("nothing said").inc()
            return
        written = await self._ask(delivery, lines)
        owed = feedback_delivery(interview.interview_id, interview.epoch, written, now_ms=services.now_ms())
        services.journal.add_delivery(owed)
        services.metrics.feedback.labels("written").inc()
        services.log.info("feedback.written", interview=interview.interview_id)

    async def _ask(self, delivery: Delivery, lines: tuple[TranscriptLine, ...]) -> Feedback:
        known = await self._services.backend.context(delivery.interview_id)
        body = feedback.request(lines, known if isinstance(known, Context) else NOTHING_KNOWN)
        for wait in (*WAITS, None):
            answer = await self._call(body)
            if isinstance(answer, bytes):
                written, usage = _read(answer)
                await spend(self._services, delivery, usage)
                if isinstance(written, FeedbackError):
                    raise written
                return written
            if wait is None or answer.status not in {*PASSING, None}:
                raise FeedbackError(answer.cause)
            await trio.sleep(max(answer.retry_after or 0.0, wait * (1 + self._services.chance())))
        raise AssertionError("the last wait is none")

    async def _call(self, body: bytes) -> bytes | Retry:
        config = self._services.config
        head, version = gemini.versioned(config.gemini_url.path)
        url = config.gemini_url.http_at(f"{head}/{version}/models/{config.feedback_model}:generateContent")
        headers = {"x-goog-api-key": config.gemini_key, "Content-Type": "application/json"}
        answer = bytearray()
        with trio.move_on_after(CALL_SECONDS):
            try:
                async with self._client.stream("POST", url, content=body, headers=headers) as response:
                    if response.status_code != httpx.codes.OK:
                        return Retry(response.status_code, f"Gemini answered {response.status_code}")
                    async for part in response.aiter_bytes():
                        answer += part
                        if len(answer) > MAX_ANSWER_BYTES:
                            raise FeedbackError("the answer is too long")
                return bytes(answer)
            except (httpx.HTTPError, httpx.StreamError, OSError) as error:
                return Retry(None, f"Gemini could not be asked ({type(error).__name__})")
        return Retry(None, f"Gemini did not answer within {CALL_SECONDS:.0f} seconds")


def _read(answer: bytes) -> tuple[Feedback | FeedbackError, Usage]:
    """Return what was written, or why nothing can be read; both are paid."""
    try:
        return feedback.decode(answer)
    except FeedbackError as error:
        return error, error.usage
