"""The newest wire: one endpoint, ``WorkerApiRequest`` in, ``WorkerApiResponse`` out. No I/O.

Every procedure here is idempotent: submitTranscript and submitFeedback are upserts by interview, so no answer
that was lost makes a duplicate. An error may stand in the body of any status, and knows better than it.
"""

from google.protobuf.message import DecodeError
import msgspec

from preppald.backend.outcomes import Delivered, Outcome, Refused, Retry, Unauthorized
from preppald.backend.wire import REFUSED, UNAUTHORIZED, BackendRequest, answered, delay, elsewhere
from preppald.core.context import Context
from preppald.core.deliveries import (
    Delivery,
    DeliveryKind,
    Feedback,
    Status,
    StatusUpdate,
    TranscriptSubmission,
    VerificationSubmission,
    iso,
)
from preppald.core.turns import Speaker
from preppald.core.verification import Flag
from preppald.pb.interview_pb2 import (
    CheckedTurn,
    InterviewStatus,
    SubmitFeedbackRequest,
    SubmitTranscriptRequest,
    UpdateStatusRequest,
    WorkerApiRequest,
    WorkerApiResponse,
)
from preppald.pb.transcript_pb2 import Speaker as WireSpeaker, Transcript

PATH = "/api/worker"
CONTENT_TYPE = "application/x-protobuf"
STATUSES = {
    Status.IN_PROGRESS: InterviewStatus.IN_PROGRESS,
    Status.COMPLETED: InterviewStatus.COMPLETED,
    Status.ERROR: InterviewStatus.ERROR,
}
FLAGS = {it: CheckedTurn.Flag.Value(it.name) for it in Flag}
SPEAKERS = {Speaker.USER: WireSpeaker.USER, Speaker.AI: WireSpeaker.AI}


def encode(delivery: Delivery) -> BackendRequest:
    """Return the request for a delivery.

    Raises:
        msgspec.DecodeError: the payload is not what its kind says.
    """
    match delivery.kind:
        case DeliveryKind.STATUS:
            update = msgspec.json.decode(delivery.payload, type=StatusUpdate)
            return _request(
                WorkerApiRequest(
                    update_status=UpdateStatusRequest(
                        interview_id=delivery.interview_id,
                        status=STATUSES[update.status],
                        ended_at="" if update.ended_ms is None else iso(update.ended_ms),
                    )
                )
            )
        case DeliveryKind.TRANSCRIPT:
            submission = msgspec.json.decode(delivery.payload, type=TranscriptSubmission)
            transcript = Transcript()
            for line in submission.lines:
                transcript.turns.add(
                    speaker=SPEAKERS[line.speaker],
                    content=line.content,
                    timestamp_ms=line.at_ms,
                    begin_ms=line.begin_ms,
                    end_ms=line.end_ms,
                    unheard=line.unheard,
                )
            for part in submission.missing:
                transcript.missing.add(turn=part.turn, what=part.what)
            return _request(
                WorkerApiRequest(
                    submit_transcript=SubmitTranscriptRequest(
                        interview_id=delivery.interview_id,
                        transcript=transcript.SerializeToString(),
                        ended_at=iso(submission.ended_ms),
                        block_number=submission.block or None,
                    )
                )
            )
        case DeliveryKind.FEEDBACK:
            feedback = msgspec.json.decode(delivery.payload, type=Feedback)
            parts = msgspec.structs.asdict(feedback)
            return _request(
                WorkerApiRequest(
                    submit_feedback=SubmitFeedbackRequest(interview_id=delivery.interview_id, **parts)
                )
            )
        case DeliveryKind.VERIFICATION:
            return _checked(delivery)


def _checked(delivery: Delivery) -> BackendRequest:
    """Return the request with a checked transcript."""
    submission = msgspec.json.decode(delivery.payload, type=VerificationSubmission)
    request = WorkerApiRequest()
    request.submit_verification.interview_id = delivery.interview_id
    request.submit_verification.model = submission.model
    request.submit_verification.checked_at = iso(submission.checked_ms)
    if submission.block:
        request.submit_verification.block_number = submission.block
    for it in submission.turns:
        request.submit_verification.turns.add(
            turn=it.turn,
            live=it.live,
            second=it.second,
            flag=FLAGS[it.flag],
            confidence=it.confidence,
            second_is_better=it.second_is_better,
            begin_ms=it.begin_ms,
            end_ms=it.end_ms,
        )
    return _request(request)


def context_request(interview_id: str, block: int = 0) -> BackendRequest:
    """Return the question for a context. It changes nothing, but with a block it marks that block as begun."""
    request = WorkerApiRequest()
    request.get_context.interview_id = interview_id
    if block:
        request.get_context.block_number = block
    return _request(request)


def decode(status: int, body: bytes, retry_after: str | None = None) -> Outcome:
    """Return the meaning of an answer to a delivery. ``retry_after``: that header, if it came."""
    answer = parse(body)
    if answer is None or answer.WhichOneof("response") == "error" or not 200 <= status <= 299:
        return _failure(status, answer, retry_after)
    kind = answer.WhichOneof("response")
    if kind is not None and getattr(getattr(answer, kind), "success", False):
        return Delivered()
    return Retry(status, f"answered {status} without success", retry_after=delay(retry_after))


def context(status: int, body: bytes, retry_after: str | None = None) -> Context | Outcome:
    """Return the context in an answer to ``context_request``, or the outcome without one."""
    answer = parse(body)
    if answer is None or answer.WhichOneof("response") != "get_context" or not 200 <= status <= 299:
        return _failure(status, answer, retry_after)
    given = answer.get_context
    seconds = max(0, given.duration_ms) / 1000
    return Context(
        given.job_description, given.resume, given.persona, seconds, given.system_prompt, given.language
    )


def parse(body: bytes) -> WorkerApiResponse | None:
    """Return the answer, or None for a body that is none of this wire's, such as an empty one."""
    try:
        answer = WorkerApiResponse.FromString(body)
    except DecodeError:
        return None
    return answer if answer.WhichOneof("response") else None


def error_code(status: int, answer: WorkerApiResponse | None) -> int | None:
    """Return the ApiError's code where it is like HTTP's; the message, which may quote our request, is never read."""
    if answer is None or answer.WhichOneof("response") != "error":
        return None
    if 400 <= answer.error.code <= 599:
        return answer.error.code
    return status if status >= 400 else 500


def _failure(status: int, answer: WorkerApiResponse | None, retry_after: str | None) -> Outcome:
    code = error_code(status, answer)
    if code is None and 200 <= status <= 299:
        return Retry(status, f"answered {status} without a WorkerApiResponse: is that the application?")
    if code in UNAUTHORIZED and code is not None:
        return Unauthorized(code)
    if code in REFUSED:
        return Refused(code, f"answered {status} with ApiError {code}")
    if code is not None:
        cause = f"answered {status} with ApiError {code}"
    else:
        cause = elsewhere(status, "protobuf") if status in REFUSED | UNAUTHORIZED else answered(status)
    return Retry(status, cause, retry_after=delay(retry_after))


def _request(message: WorkerApiRequest) -> BackendRequest:
    return BackendRequest(PATH, CONTENT_TYPE, message.SerializeToString())
