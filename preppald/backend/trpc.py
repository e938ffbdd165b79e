"""tRPC v11 on the wire: a delivery as a request, an answer as an outcome. No I/O.

The application's router uses the superjson transformer: it reads the input from ``{"json": <input>}`` and
refuses a bare one with 400. ``Transformer.NONE`` posts bare, as the specification says.
"""

import codecs
import enum
import re
from typing import Any
from urllib.parse import quote

import msgspec

from preppald.backend.outcomes import Absent, Delivered, Outcome, Refused, Retry, Unauthorized
from preppald.backend.wire import GATEWAY, REFUSED, UNAUTHORIZED, BackendRequest, answered, delay, elsewhere
from preppald.core.context import Context
from preppald.core.deliveries import (
    Delivery,
    DeliveryKind,
    Feedback,
    StatusUpdate,
    TranscriptSubmission,
    VerificationSubmission,
    iso,
)

# tRPC's codes, like BAD_REQUEST.
CODE = re.compile(r"[A-Z][A-Z_]{0,39}")
# The message beside the code may quote our request, so it is never logged. Its beginning tells a missing procedure
# from a missing interview (@trpc/server 10 and 11).
NO_PROCEDURE = re.compile(r'No (procedure found|"\w+"-procedure) on path ')


class Transformer(enum.StrEnum):
    SUPERJSON = "superjson"
    NONE = "none"


def encode(delivery: Delivery, transformer: Transformer) -> BackendRequest:
    """Return the request for a delivery.

    Raises:
        msgspec.DecodeError: the payload is not what its kind says.
    """
    match delivery.kind:
        case DeliveryKind.STATUS:
            update = msgspec.json.decode(delivery.payload, type=StatusUpdate)
            given = {"interviewId": delivery.interview_id, "status": update.status.value}
            if update.ended_ms is not None:
                given["endedAt"] = iso(update.ended_ms)
            return request("interview.updateStatus", given, transformer)
        case DeliveryKind.TRANSCRIPT:
            submission = msgspec.json.decode(delivery.payload, type=TranscriptSubmission)
            lines = [
                {"speaker": line.speaker.value, "content": line.content, "timestamp": iso(line.at_ms)}
                for line in submission.lines
            ]
            return request(
                "interview.submitTranscript",
                {
                    "interviewId": delivery.interview_id,
                    "transcript": lines,
                    "endedAt": iso(submission.ended_ms),
                },
                transformer,
            )
        case DeliveryKind.FEEDBACK:
            feedback = msgspec.json.decode(delivery.payload, type=Feedback)
            return request(
                "interview.submitFeedback",
                {
                    "interviewId": delivery.interview_id,
                    "summary": feedback.summary,
                    "strengths": feedback.strengths,
                    "contentAndStructure": feedback.content_and_structure,
                    "communicationAndDelivery": feedback.communication_and_delivery,
                    "presentation": feedback.presentation,
                },
                transformer,
            )
        case DeliveryKind.VERIFICATION:
            checked = msgspec.json.decode(delivery.payload, type=VerificationSubmission)
            return request(
                "interview.submitVerification",
                {
                    "interviewId": delivery.interview_id,
                    "model": checked.model,
                    "checkedAt": iso(checked.checked_ms),
                    "turns": [
                        {
                            "turn": it.turn,
                            "live": it.live,
                            "second": it.second,
                            "flag": it.flag.value,
                            "confidence": it.confidence,
                            "secondIsBetter": it.second_is_better,
                            "beginMs": it.begin_ms,
                            "endMs": it.end_ms,
                        }
                        for it in checked.turns
                    ],
                },
                transformer,
            )


def request(procedure: str, given: dict[str, Any], transformer: Transformer) -> BackendRequest:
    """Return a mutation's request with this input."""
    wrapped = {"json": given} if transformer is Transformer.SUPERJSON else given
    return BackendRequest(f"/api/trpc/{procedure}", "application/json", msgspec.json.encode(wrapped))


def decode(
    status: int,
    body: bytes,
    retry_after: str | None = None,
    transformer: Transformer | None = None,
) -> Outcome:
    """Return the meaning of an answer. ``retry_after``: that header, if it came.

    ``transformer``: the request's; a refusal then names the application's where that is another.
    """
    answer = _object(body)
    error = None if answer is None else _error(answer)
    good = 200 <= status <= 299
    if good and answer is not None and error is None and isinstance(answer.get("result"), dict):
        return Delivered()
    if good and error is not None:
        # The body knows better than the status line.
        status = _http_status(error) or 500
    elif good:
        cause = f"answered {status} without a tRPC result: is that the application?"
        return Retry(status, cause, ambiguous=True)
    ours = error is not None and _code(error) is not None
    if error is not None and ours and (outcome := _judged(status, error, answer, transformer)):
        return outcome
    foreign = not ours and status in REFUSED | UNAUTHORIZED
    return Retry(
        status,
        elsewhere(status, "tRPC") if foreign else _cause(status, error),
        retry_after=delay(retry_after),
        ambiguous=error is None and status in GATEWAY,
    )


def _judged(
    status: int, error: dict[str, Any], answer: dict[str, Any] | None, transformer: Transformer | None
) -> Outcome | None:
    """Return the application's own refusal, if the answer is one."""
    cause = _cause(status, error)
    if status in UNAUTHORIZED:
        return Unauthorized(status)
    if _code(error) == "METHOD_NOT_SUPPORTED" or (
        _code(error) == "NOT_FOUND" and NO_PROCEDURE.match(str(error.get("message")))
    ):
        return Absent(status, f"{cause}: it has no such procedure; is another version of it deployed?")
    if status in REFUSED:
        hint = "" if answer is None or transformer is None else mismatch(answer, transformer)
        return Refused(status, f"{cause}{hint}")
    return None


def mismatch(answer: dict[str, Any], transformer: Transformer) -> str:
    """Return a hint for the operator where the error's shape shows another transformer than ours, else nothing.

    superjson wraps errors as it wraps inputs: ``{"error": {"json": ...}}`` (seen with @trpc/server 11).
    """
    error = answer.get("error")
    theirs = Transformer.NONE
    if isinstance(error, dict) and isinstance(error.get("json"), dict):
        theirs = Transformer.SUPERJSON
    if theirs is transformer:
        return ""
    return f": it speaks {theirs}, set PREPPALD_TRPC_TRANSFORMER={theirs}"


def context_request(interview_id: str, transformer: Transformer) -> BackendRequest:
    """Return the query for an interview's context; the application changes nothing for it."""
    given = {"interviewId": interview_id}
    wrapped = {"json": given} if transformer is Transformer.SUPERJSON else given
    text = quote(msgspec.json.encode(wrapped))
    return BackendRequest(
        f"/api/trpc/interview.getContext?input={text}", "application/json", b"", method="GET"
    )


def context(status: int, body: bytes, retry_after: str | None, transformer: Transformer) -> Context | Outcome:
    """Return the context in an answer to ``context_request``, or the outcome without one."""
    outcome = decode(status, body, retry_after, transformer)
    if not isinstance(outcome, Delivered):
        return outcome
    answer = _object(body) or {}
    data = answer["result"].get("data")
    if isinstance(data, dict) and transformer is Transformer.SUPERJSON:
        data = data.get("json")
    try:
        given = msgspec.convert(data, type=_Context)
    except msgspec.ValidationError:
        return Retry(status, "answered a context that cannot be read")
    milliseconds = given.durationMs or 0
    return Context(
        given.jobDescription or "", given.resume or "", given.persona or "", max(0.0, milliseconds / 1000)
    )


class _Context(msgspec.Struct):
    """The fields of getContext as the application's router names them."""

    jobDescription: str | None = None  # noqa: N815 - the wire's
    resume: str | None = None
    persona: str | None = None
    durationMs: float | None = None  # noqa: N815 - the wire's


def code(body: bytes) -> str | None:
    """Return the tRPC error's code, like NOT_FOUND; None for any other program's error."""
    answer = _object(body)
    error = None if answer is None else _error(answer)
    return None if error is None else _code(error)


def hint(body: bytes, transformer: Transformer) -> str:
    """Return ``mismatch`` of a body."""
    answer = _object(body)
    return "" if answer is None or "error" not in answer else mismatch(answer, transformer)


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        answer = msgspec.json.decode(body.removeprefix(codecs.BOM_UTF8))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(answer, list) and len(answer) == 1:
        answer = answer[0]  # a batch of one, as a batching link answers
    return answer if isinstance(answer, dict) else None


def _error(answer: dict[str, Any]) -> dict[str, Any] | None:
    """Return the error's object; superjson has it one level deeper."""
    error = answer.get("error")
    if error is None:  # JSON-RPC says null where there is none
        return None
    if isinstance(error, dict) and isinstance(error.get("json"), dict):
        error = error["json"]
    return error if isinstance(error, dict) else {}


def _data(error: dict[str, Any]) -> dict[str, Any]:
    data = error.get("data")
    return data if isinstance(data, dict) else {}


def _http_status(error: dict[str, Any]) -> int | None:
    status = _data(error).get("httpStatus")
    return status if type(status) is int and 400 <= status <= 599 else None


def _code(error: dict[str, Any]) -> str | None:
    value = _data(error).get("code")
    return value if isinstance(value, str) and CODE.fullmatch(value) else None


def _cause(status: int, error: dict[str, Any] | None) -> str:
    if error is not None:
        return f"answered {status} {_code(error) or 'an unnamed error'}"
    return answered(status)
