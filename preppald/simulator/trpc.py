"""The application's tRPC procedures (v11, not batched), answered as its router answers them.

Rule 1: nothing here does I/O; a request is a procedure and a body, an answer a status and a body.
Rule 2: submitTranscript is not idempotent, as in the real router: posted twice, its entries stand twice.
"""

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import parse_qs

import msgspec

from preppald.simulator import store
from preppald.simulator.backend_scenario import BackendContext
from preppald.simulator.store import MAX_INTERVIEWS, Refusal, Status, Store

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


class Entry(store.Entry, frozen=True):
    def __post_init__(self) -> None:
        _check_time("timestamp", self.timestamp)


class SubmitTranscript(msgspec.Struct, frozen=True, rename="camel"):
    interview_id: str
    transcript: tuple[Entry, ...]
    ended_at: str

    def __post_init__(self) -> None:
        _check_time("endedAt", self.ended_at)


class SubmitFeedback(msgspec.Struct, frozen=True, rename="camel"):
    interview_id: str
    summary: str
    strengths: str
    content_and_structure: str
    communication_and_delivery: str
    presentation: str


class GetContext(msgspec.Struct, frozen=True, rename="camel"):
    interview_id: str


class Router:
    """Procedures over a store of interviews. ``context``: the newer router's, which has two procedures more."""

    content_type = "application/json"

    def __init__(
        self,
        store: Store | None = None,
        *,
        superjson: bool,
        honours_idempotency_key: bool = False,
        context: BackendContext | None = None,
    ) -> None:
        self._store = store or Store()
        self._superjson = superjson
        self._honours_key = honours_idempotency_key
        self._keys: OrderedDict[str, None] = OrderedDict()
        self._procedures: dict[str, Callable[[Any, str | None], str]] = {
            "interview.updateStatus": self._update_status,
            "interview.submitTranscript": self._submit_transcript,
        }
        self._context = context
        if context is not None:
            self._procedures["interview.submitFeedback"] = self._submit_feedback

    def procedure(self, path: str, _body: bytes) -> str:
        """Return the procedure that the request names."""
        return path

    def query(self, path: str, parameters: str) -> bytes | None:
        """Return the input of a GET, which asks for a query; None where the procedure is a mutation."""
        if path in self._procedures:
            return None
        return parse_qs(parameters).get("input", [""])[0].encode()

    def read(self, body: bytes) -> Any:
        """Return the request as /received shows it."""
        try:
            return msgspec.json.decode(body)
        except msgspec.DecodeError:
            return None

    def call(self, procedure: str, body: bytes, idempotency_key: str | None) -> tuple[str, bytes]:
        """Return the interview concerned and the answer's body. Raise Refusal; then nothing was stored."""
        if procedure == "interview.getContext" and self._context is not None:
            return self._get_context(self._input(body), self._context)
        act = self._procedures.get(procedure)
        if act is None:
            raise Refusal(404, f'No procedure found on path "{procedure}"')
        interview = act(self._input(body), idempotency_key)
        return interview, msgspec.json.encode({"result": {"data": self._wrapped({"success": True})}})

    def failure(self, status: int, message: str, procedure: str) -> bytes:
        """Return the body of an error answer."""
        name, number = _CODES.get(status, _INTERNAL)
        data = {"code": name, "httpStatus": status, "path": procedure}
        return msgspec.json.encode(
            {"error": self._wrapped({"message": message, "code": number, "data": data})}
        )

    def http_status(self, status: int) -> int:
        return status

    def _wrapped(self, value: dict[str, Any]) -> dict[str, Any]:
        return {"json": value} if self._superjson else value

    def _input(self, body: bytes) -> Any:
        """Return the procedure's input; with superjson a bare body reads as undefined."""
        try:
            value = msgspec.json.decode(body)
        except msgspec.DecodeError:
            raise Refusal(400, "Unexpected token: the body is not JSON") from None
        if self._superjson:
            return value.get("json") if isinstance(value, dict) else None
        return value

    def _update_status(self, value: Any, _key: str | None) -> str:
        update = _convert(value, UpdateStatus)
        self._store.update_status(update.interview_id, update.status, update.ended_at)
        return update.interview_id

    def _get_context(self, value: Any, given: BackendContext) -> tuple[str, bytes]:
        interview_id = _convert(value, GetContext).interview_id
        self._store.interview(interview_id)
        known = {
            "jobDescription": given.job_description or None,
            "resume": given.resume or None,
            "persona": given.persona or None,
            "durationMs": given.duration_ms or None,
        }
        return interview_id, msgspec.json.encode({"result": {"data": self._wrapped(known)}})

    def _submit_feedback(self, value: Any, _key: str | None) -> str:
        submitted = _convert(value, SubmitFeedback)
        words = msgspec.structs.asdict(submitted)
        del words["interview_id"]
        self._store.interview(submitted.interview_id).feedback = words
        return submitted.interview_id

    def _submit_transcript(self, value: Any, key: str | None) -> str:
        submitted = _convert(value, SubmitTranscript)
        try:
            self._store.interview(submitted.interview_id)
        except Refusal as error:
            # The real one writes the rows without a look at the interview: its database refuses (seen).
            raise Refusal(500, "Foreign key constraint violated") from error
        if self._honours_key and key is not None and key in self._keys:
            return submitted.interview_id
        if key is not None:
            self._keys[key] = None
            if len(self._keys) > MAX_INTERVIEWS:
                self._keys.popitem(last=False)
        entries: list[store.Entry] = [*submitted.transcript]
        self._store.complete(submitted.interview_id, entries, submitted.ended_at, append=True)
        return submitted.interview_id


def _check_time(name: str, value: str | None) -> None:
    """Refuse anything but ISO 8601 with a zone, as `new Date()` and zod do."""
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
        raise Refusal(400, str(error)) from None
