"""The application's tRPC procedures (v11, not batched), answered as its router answers them.

Rule 1: nothing here does I/O; a request is a procedure and a body, an answer a status and a body.
Rule 2: submitTranscript is not idempotent, as in the real router: posted twice, its entries stand twice.
"""

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal, TypeVar

import msgspec

# Interviews that are remembered; the oldest is forgotten first.
MAX_INTERVIEWS = 1_000

Status = Literal["IN_PROGRESS", "COMPLETED", "ERROR"]

# tRPC's names for statuses, with the JSON-RPC numbers it puts beside them.
_CODES = {
    400: ("BAD_REQUEST", -32600),
    401: ("UNAUTHORIZED", -32001),
    403: ("FORBIDDEN", -32003),
    404: ("NOT_FOUND", -32004),
    405: ("METHOD_NOT_SUPPORTED", -32005),
    408: ("TIMEOUT", -32008),
    413: ("PAYLOAD_TOO_LARGE", -32013),
    429: ("TOO_MANY_REQUESTS", -32029),
}
_INTERNAL = ("INTERNAL_SERVER_ERROR", -32603)


class UpdateStatus(msgspec.Struct, frozen=True, rename="camel"):
    interview_id: str
    status: Status
    ended_at: str | None = None

    def __post_init__(self) -> None:
        _check_time("endedAt", self.ended_at)


class Entry(msgspec.Struct, frozen=True):
    speaker: Literal["USER", "AI"]
    content: str
    timestamp: str

    def __post_init__(self) -> None:
        _check_time("timestamp", self.timestamp)


class SubmitTranscript(msgspec.Struct, frozen=True, rename="camel"):
    interview_id: str
    transcript: tuple[Entry, ...]
    ended_at: str

    def __post_init__(self) -> None:
        _check_time("endedAt", self.ended_at)


class Interview(msgspec.Struct, rename="camel"):
    """What the backend knows of one interview."""

    status: Literal["PENDING"] | Status = "PENDING"
    ended_at: str | None = None
    transcript: list[Entry] = []
    submissions: int = 0
    """How often a transcript was stored; more than once is a duplicate."""


class TrpcError(Exception):
    """The call is refused with this HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(status, message)
        self.status = status
        self.message = message


class Router:
    """Procedures over a store of interviews."""

    def __init__(
        self, *, superjson: bool, known: tuple[str, ...] = (), honours_idempotency_key: bool = False
    ) -> None:
        self.interviews: OrderedDict[str, Interview] = OrderedDict()
        self._superjson = superjson
        self._known = frozenset(known)
        self._honours_key = honours_idempotency_key
        self._keys: OrderedDict[str, None] = OrderedDict()
        self._procedures: dict[str, Callable[[Any, str | None], str]] = {
            "interview.updateStatus": self._update_status,
            "interview.submitTranscript": self._submit_transcript,
        }

    def call(self, procedure: str, body: bytes, idempotency_key: str | None) -> tuple[str, dict[str, Any]]:
        """The interview concerned and the answer's body. Raises TrpcError; then nothing was stored."""
        act = self._procedures.get(procedure)
        if act is None:
            raise TrpcError(404, f'No "mutation"-procedure on path "{procedure}"')
        interview = act(self._input(body), idempotency_key)
        return interview, {"result": {"data": self._wrapped({"success": True})}}

    def failure(self, status: int, message: str, procedure: str) -> dict[str, Any]:
        """The body of an error answer."""
        name, number = _CODES.get(status, _INTERNAL)
        data = {"code": name, "httpStatus": status, "path": procedure}
        return {"error": self._wrapped({"message": message, "code": number, "data": data})}

    def _wrapped(self, value: dict[str, Any]) -> dict[str, Any]:
        return {"json": value} if self._superjson else value

    def _input(self, body: bytes) -> Any:
        """The procedure's input; with superjson a bare body reads as undefined."""
        try:
            value = msgspec.json.decode(body)
        except msgspec.DecodeError:
            raise TrpcError(400, "Unexpected token: the body is not JSON") from None
        if self._superjson:
            return value.get("json") if isinstance(value, dict) else None
        return value

    def _update_status(self, value: Any, _key: str | None) -> str:
        update = _convert(value, UpdateStatus)
        interview = self._interview(update.interview_id)
        interview.status = update.status
        if update.status != "IN_PROGRESS":
            interview.ended_at = update.ended_at
        return update.interview_id

    def _submit_transcript(self, value: Any, key: str | None) -> str:
        submitted = _convert(value, SubmitTranscript)
        interview = self._interview(submitted.interview_id)
        if self._honours_key and key is not None and key in self._keys:
            return submitted.interview_id
        if key is not None:
            self._keys[key] = None
            if len(self._keys) > MAX_INTERVIEWS:
                self._keys.popitem(last=False)
        interview.transcript.extend(submitted.transcript)
        interview.submissions += 1
        interview.status = "COMPLETED"
        interview.ended_at = submitted.ended_at
        return submitted.interview_id

    def _interview(self, interview_id: str) -> Interview:
        if self._known and interview_id not in self._known:
            raise TrpcError(404, "Interview not found")
        interview = self.interviews.setdefault(interview_id, Interview())
        if len(self.interviews) > MAX_INTERVIEWS:
            self.interviews.popitem(last=False)
        return interview


def _check_time(name: str, value: str | None) -> None:
    """ISO 8601 with a zone, as `new Date()` and zod want it."""
    if value is None:
        return
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(f"{name} is not an ISO 8601 time") from None
    if moment.tzinfo is None:
        raise ValueError(f"{name} has no time zone")


_T = TypeVar("_T")


def _convert(value: Any, model: type[_T]) -> _T:
    try:
        return msgspec.convert(value, model)
    except msgspec.ValidationError as error:
        raise TrpcError(400, str(error)) from None
