"""The newest application's one endpoint: protobuf in, protobuf out, on 400, 401 and 500 too.

Rule 1: nothing here does I/O.
Rule 2: submitTranscript and submitFeedback are upserts: posted twice, their content stands once.
"""

from datetime import UTC, datetime
from typing import Any, Literal

from google.protobuf.message import DecodeError

from preppald.pb.interview_pb2 import (
    ApiError,
    CheckedTurn,
    InterviewStatus,
    SubmitFeedbackRequest,
    SubmitTranscriptRequest,
    SubmitVerificationRequest,
    UpdateStatusRequest,
    WorkerApiRequest,
    WorkerApiResponse,
)
from preppald.pb.transcript_pb2 import Speaker, Transcript
from preppald.simulator.backend_scenario import BackendBlock, BackendContext
from preppald.simulator.store import Entry, Refusal, Status, Store

STATUSES: dict[int, Status] = {
    InterviewStatus.IN_PROGRESS: "IN_PROGRESS",
    InterviewStatus.COMPLETED: "COMPLETED",
    InterviewStatus.ERROR: "ERROR",
}
SPEAKERS: dict[int, Literal["USER", "AI"]] = {Speaker.USER: "USER", Speaker.AI: "AI"}
# The calls by the names that faults and /received know them by: tRPC's, where it has them.
PROCEDURES = {
    "get_context": "interview.getContext",
    "update_status": "interview.updateStatus",
    "submit_transcript": "interview.submitTranscript",
    "submit_feedback": "interview.submitFeedback",
    "submit_verification": "interview.submitVerification",
}


class Worker:
    """The endpoint, over a store."""

    content_type = "application/x-protobuf"

    def __init__(self, store: Store, context: BackendContext, blocks: tuple[BackendBlock, ...] = ()) -> None:
        self._store = store
        self._context = context
        self._blocks = blocks

    def procedure(self, _path: str, body: bytes) -> str:
        """Return the procedure that the request names; empty where that cannot be read."""
        return PROCEDURES.get(self._which(body), "")

    def query(self, _path: str, _parameters: str) -> bytes | None:
        """Return None: everything is posted here."""
        return None

    def read(self, body: bytes) -> Any:
        """Return the request as /received shows it: the field that is set, with its fields as text or numbers."""
        kind = self._which(body)
        if not kind:
            return None
        chosen = getattr(WorkerApiRequest.FromString(body), kind)
        return {
            field.name: value if isinstance(value, str | int) else len(value)
            for field, value in chosen.ListFields()
        }

    def call(self, _procedure: str, body: bytes, _idempotency_key: str | None) -> tuple[str, bytes]:
        """Return the interview concerned and the answer's body. Raise Refusal; then nothing was stored."""
        kind = self._which(body)
        if not kind:
            raise Refusal(400, "the request is not a WorkerApiRequest, or says nothing")
        chosen = getattr(WorkerApiRequest.FromString(body), kind)
        answer = WorkerApiResponse()
        match kind:
            case "get_context":
                self._store.interview(chosen.interview_id)
                given = self._context
                answer.get_context.job_description = given.job_description
                answer.get_context.resume = given.resume
                answer.get_context.persona = given.persona
                answer.get_context.duration_ms = given.duration_ms
                number = chosen.block_number
                if number and self._store.begin_block(chosen.interview_id, number):
                    block = self._blocks[number - 1]
                    answer.get_context.system_prompt = block.system_prompt
                    answer.get_context.language = block.language
                    answer.get_context.duration_ms = block.duration_ms
                # An empty context is an answer all the same.
                answer.get_context.SetInParent()
            case "update_status":
                self._update_status(chosen)
                answer.update_status.success = True
            case "submit_transcript":
                self._submit_transcript(chosen)
                answer.submit_transcript.success = True
            case "submit_feedback":
                self._submit_feedback(chosen)
                answer.submit_feedback.success = True
            case _:
                self._submit_verification(chosen)
                answer.submit_verification.success = True
        return chosen.interview_id, answer.SerializeToString()

    def failure(self, status: int, message: str, _procedure: str) -> bytes:
        """Return the body of an error answer."""
        return WorkerApiResponse(error=ApiError(code=status, message=message)).SerializeToString()

    def http_status(self, status: int) -> int:
        """Return the HTTP status: an unknown interview is 400, with 404 in the ApiError."""
        return 400 if status == 404 else status

    def _which(self, body: bytes) -> str:
        try:
            return WorkerApiRequest.FromString(body).WhichOneof("request") or ""
        except DecodeError:
            return ""

    def _update_status(self, update: UpdateStatusRequest) -> None:
        if update.status not in STATUSES:
            raise Refusal(400, "status is not one of IN_PROGRESS, COMPLETED, ERROR")
        self._store.update_status(update.interview_id, STATUSES[update.status], update.ended_at or None)

    def _submit_transcript(self, submitted: SubmitTranscriptRequest) -> None:
        try:
            transcript = Transcript.FromString(submitted.transcript)
        except DecodeError:
            raise Refusal(400, "transcript is not a preppal.transcript.Transcript") from None
        if not transcript.turns:
            raise Refusal(400, "the transcript is empty")
        if any(turn.speaker not in SPEAKERS for turn in transcript.turns):
            raise Refusal(400, "a turn has no speaker")
        entries = [
            Entry(SPEAKERS[turn.speaker], turn.content, _iso(turn.timestamp_ms)) for turn in transcript.turns
        ]
        try:
            if submitted.HasField("block_number"):
                number = submitted.block_number
                self._store.complete_block(submitted.interview_id, number, entries, submitted.ended_at)
            else:
                self._store.complete(submitted.interview_id, entries, submitted.ended_at, append=False)
        except Refusal as error:
            # The real one writes the rows without a look at the interview: its database refuses (seen).
            raise Refusal(500, "Foreign key constraint violated") from error

    def _submit_feedback(self, feedback: SubmitFeedbackRequest) -> None:
        interview = self._store.interview(feedback.interview_id)
        interview.feedback = {
            field.name: value for field, value in feedback.ListFields() if field.name != "interview_id"
        }

    def _submit_verification(self, submitted: SubmitVerificationRequest) -> None:
        interview = self._store.interview(submitted.interview_id)
        interview.checked = [
            {"turn": it.turn, "live": it.live, "second": it.second, "flag": CheckedTurn.Flag.Name(it.flag)}
            for it in submitted.turns
        ]


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
