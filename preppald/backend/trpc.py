"""tRPC v11 on the wire: a delivery as a request, an answer as an outcome. No I/O.

The application's router uses the superjson transformer: it reads the input from ``{"json": <input>}`` and
refuses a bare one with 400. ``Transformer.NONE`` posts bare, as the specification says.
"""

import enum
import re
from typing import Any

import msgspec

from preppald.backend.outcomes import Delivered, Outcome, Refused, Retry, Unauthorized
from preppald.backend.wire import GATEWAY, REFUSED, UNAUTHORIZED, Request, delay, elsewhere
from preppald.core.deliveries import Delivery, Kind, StatusUpdate, TranscriptSubmission, iso

# tRPC's codes, like BAD_REQUEST. The message beside it may quote what we sent: it is never looked at.
CODE = re.compile(r"[A-Z][A-Z_]{0,39}")


class Transformer(enum.StrEnum):
    SUPERJSON = "superjson"
    NONE = "none"


def encode(delivery: Delivery, transformer: Transformer) -> Request:
    """The request for a delivery.

    Raises:
        msgspec.DecodeError: the payload is not what its kind says.
        ValueError: this wire has no such delivery.
    """
    match delivery.kind:
        case Kind.STATUS:
            update = msgspec.json.decode(delivery.payload, type=StatusUpdate)
            given = {"interviewId": delivery.interview_id, "status": update.status.value}
            if update.ended_ms is not None:
                given["endedAt"] = iso(update.ended_ms)
            return request("interview.updateStatus", given, transformer)
        case Kind.TRANSCRIPT:
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
        case Kind.FEEDBACK:
            raise ValueError("the application's router has no procedure for feedback")


def request(procedure: str, given: dict[str, Any], transformer: Transformer) -> Request:
    """A mutation's request with this input."""
    wrapped = {"json": given} if transformer is Transformer.SUPERJSON else given
    return Request(f"/api/trpc/{procedure}", "application/json", msgspec.json.encode(wrapped))


def decode(status: int, body: bytes, retry_after: str | None = None) -> Outcome:
    """What an answer means. ``retry_after``: that header, if it came."""
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
    cause = _cause(status, error)
    if status in UNAUTHORIZED:
        return Unauthorized(status)
    ours = error is not None and _code(error) is not None
    if status in REFUSED and ours:
        return Refused(status, cause)
    return Retry(
        status,
        elsewhere(status, "tRPC") if status in REFUSED else cause,
        retry_after=delay(retry_after),
        ambiguous=error is None and status in GATEWAY,
    )


def code(body: bytes) -> str | None:
    """The tRPC error's code, like NOT_FOUND; None when the body is not a tRPC error: other programs have errors, too."""
    answer = _object(body)
    error = None if answer is None else _error(answer)
    return None if error is None else _code(error)


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _error(answer: dict[str, Any]) -> dict[str, Any] | None:
    """The error's object; superjson has it one level deeper."""
    if "error" not in answer:
        return None
    error = answer["error"]
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
    if 300 <= status <= 399:
        return f"answered {status}, a redirection: NEXT_PUBLIC_API_URL must be the final address"
    return f"answered {status}"
