from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Codec(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PCM: _ClassVar[Codec]
    OPUS: _ClassVar[Codec]

class InterviewStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STATUS_UNSPECIFIED: _ClassVar[InterviewStatus]
    IN_PROGRESS: _ClassVar[InterviewStatus]
    COMPLETED: _ClassVar[InterviewStatus]
    ERROR: _ClassVar[InterviewStatus]
PCM: Codec
OPUS: Codec
STATUS_UNSPECIFIED: InterviewStatus
IN_PROGRESS: InterviewStatus
COMPLETED: InterviewStatus
ERROR: InterviewStatus

class AudioChunk(_message.Message):
    __slots__ = ("audio_content", "packets")
    AUDIO_CONTENT_FIELD_NUMBER: _ClassVar[int]
    PACKETS_FIELD_NUMBER: _ClassVar[int]
    audio_content: bytes
    packets: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, audio_content: _Optional[bytes] = ..., packets: _Optional[_Iterable[bytes]] = ...) -> None: ...

class EndRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Hold(_message.Message):
    __slots__ = ("on",)
    ON_FIELD_NUMBER: _ClassVar[int]
    on: bool
    def __init__(self, on: _Optional[bool] = ...) -> None: ...

class TextAnswer(_message.Message):
    __slots__ = ("text", "number")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    text: str
    number: int
    def __init__(self, text: _Optional[str] = ..., number: _Optional[int] = ...) -> None: ...

class Prefer(_message.Message):
    __slots__ = ("downlink",)
    DOWNLINK_FIELD_NUMBER: _ClassVar[int]
    downlink: Codec
    def __init__(self, downlink: _Optional[_Union[Codec, str]] = ...) -> None: ...

class ClientToServerMessage(_message.Message):
    __slots__ = ("audio_chunk", "end_request", "hold", "text_answer", "prefer")
    AUDIO_CHUNK_FIELD_NUMBER: _ClassVar[int]
    END_REQUEST_FIELD_NUMBER: _ClassVar[int]
    HOLD_FIELD_NUMBER: _ClassVar[int]
    TEXT_ANSWER_FIELD_NUMBER: _ClassVar[int]
    PREFER_FIELD_NUMBER: _ClassVar[int]
    audio_chunk: AudioChunk
    end_request: EndRequest
    hold: Hold
    text_answer: TextAnswer
    prefer: Prefer
    def __init__(self, audio_chunk: _Optional[_Union[AudioChunk, _Mapping]] = ..., end_request: _Optional[_Union[EndRequest, _Mapping]] = ..., hold: _Optional[_Union[Hold, _Mapping]] = ..., text_answer: _Optional[_Union[TextAnswer, _Mapping]] = ..., prefer: _Optional[_Union[Prefer, _Mapping]] = ...) -> None: ...

class TranscriptUpdate(_message.Message):
    __slots__ = ("speaker", "text", "is_final", "turn_complete", "seq", "turn", "begin_ms", "end_ms", "heard_code_points")
    SPEAKER_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    IS_FINAL_FIELD_NUMBER: _ClassVar[int]
    TURN_COMPLETE_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    TURN_FIELD_NUMBER: _ClassVar[int]
    BEGIN_MS_FIELD_NUMBER: _ClassVar[int]
    END_MS_FIELD_NUMBER: _ClassVar[int]
    HEARD_CODE_POINTS_FIELD_NUMBER: _ClassVar[int]
    speaker: str
    text: str
    is_final: bool
    turn_complete: bool
    seq: int
    turn: int
    begin_ms: int
    end_ms: int
    heard_code_points: int
    def __init__(self, speaker: _Optional[str] = ..., text: _Optional[str] = ..., is_final: _Optional[bool] = ..., turn_complete: _Optional[bool] = ..., seq: _Optional[int] = ..., turn: _Optional[int] = ..., begin_ms: _Optional[int] = ..., end_ms: _Optional[int] = ..., heard_code_points: _Optional[int] = ...) -> None: ...

class AudioResponse(_message.Message):
    __slots__ = ("audio_content", "packets")
    AUDIO_CONTENT_FIELD_NUMBER: _ClassVar[int]
    PACKETS_FIELD_NUMBER: _ClassVar[int]
    audio_content: bytes
    packets: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, audio_content: _Optional[bytes] = ..., packets: _Optional[_Iterable[bytes]] = ...) -> None: ...

class ErrorResponse(_message.Message):
    __slots__ = ("code", "message", "retry_after_ms")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RETRY_AFTER_MS_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    retry_after_ms: int
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ..., retry_after_ms: _Optional[int] = ...) -> None: ...

class SessionEnded(_message.Message):
    __slots__ = ("reason",)
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REASON_UNSPECIFIED: _ClassVar[SessionEnded.Reason]
        USER_INITIATED: _ClassVar[SessionEnded.Reason]
        GEMINI_ENDED: _ClassVar[SessionEnded.Reason]
        TIMEOUT: _ClassVar[SessionEnded.Reason]
    REASON_UNSPECIFIED: SessionEnded.Reason
    USER_INITIATED: SessionEnded.Reason
    GEMINI_ENDED: SessionEnded.Reason
    TIMEOUT: SessionEnded.Reason
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: SessionEnded.Reason
    def __init__(self, reason: _Optional[_Union[SessionEnded.Reason, str]] = ...) -> None: ...

class SessionStarted(_message.Message):
    __slots__ = ("interview_id", "output_sample_rate_hz", "remaining_ms", "resumed", "grace_ms", "block_number", "audio_codec")
    INTERVIEW_ID_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_SAMPLE_RATE_HZ_FIELD_NUMBER: _ClassVar[int]
    REMAINING_MS_FIELD_NUMBER: _ClassVar[int]
    RESUMED_FIELD_NUMBER: _ClassVar[int]
    GRACE_MS_FIELD_NUMBER: _ClassVar[int]
    BLOCK_NUMBER_FIELD_NUMBER: _ClassVar[int]
    AUDIO_CODEC_FIELD_NUMBER: _ClassVar[int]
    interview_id: str
    output_sample_rate_hz: int
    remaining_ms: int
    resumed: bool
    grace_ms: int
    block_number: int
    audio_codec: Codec
    def __init__(self, interview_id: _Optional[str] = ..., output_sample_rate_hz: _Optional[int] = ..., remaining_ms: _Optional[int] = ..., resumed: _Optional[bool] = ..., grace_ms: _Optional[int] = ..., block_number: _Optional[int] = ..., audio_codec: _Optional[_Union[Codec, str]] = ...) -> None: ...

class Interrupted(_message.Message):
    __slots__ = ("heard_ms", "heard_code_points", "turn")
    HEARD_MS_FIELD_NUMBER: _ClassVar[int]
    HEARD_CODE_POINTS_FIELD_NUMBER: _ClassVar[int]
    TURN_FIELD_NUMBER: _ClassVar[int]
    heard_ms: int
    heard_code_points: int
    turn: int
    def __init__(self, heard_ms: _Optional[int] = ..., heard_code_points: _Optional[int] = ..., turn: _Optional[int] = ...) -> None: ...

class Notice(_message.Message):
    __slots__ = ("kind", "message", "remaining_ms")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Notice.Kind]
        RECONNECTING: _ClassVar[Notice.Kind]
        RECONNECTED: _ClassVar[Notice.Kind]
        ENDING_SOON: _ClassVar[Notice.Kind]
        DRAINING: _ClassVar[Notice.Kind]
        SILENT: _ClassVar[Notice.Kind]
        STILL_THERE: _ClassVar[Notice.Kind]
    KIND_UNSPECIFIED: Notice.Kind
    RECONNECTING: Notice.Kind
    RECONNECTED: Notice.Kind
    ENDING_SOON: Notice.Kind
    DRAINING: Notice.Kind
    SILENT: Notice.Kind
    STILL_THERE: Notice.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REMAINING_MS_FIELD_NUMBER: _ClassVar[int]
    kind: Notice.Kind
    message: str
    remaining_ms: int
    def __init__(self, kind: _Optional[_Union[Notice.Kind, str]] = ..., message: _Optional[str] = ..., remaining_ms: _Optional[int] = ...) -> None: ...

class HoldState(_message.Message):
    __slots__ = ("on", "remaining_ms")
    ON_FIELD_NUMBER: _ClassVar[int]
    REMAINING_MS_FIELD_NUMBER: _ClassVar[int]
    on: bool
    remaining_ms: int
    def __init__(self, on: _Optional[bool] = ..., remaining_ms: _Optional[int] = ...) -> None: ...

class Received(_message.Message):
    __slots__ = ("audio_ms",)
    AUDIO_MS_FIELD_NUMBER: _ClassVar[int]
    audio_ms: int
    def __init__(self, audio_ms: _Optional[int] = ...) -> None: ...

class ServerToClientMessage(_message.Message):
    __slots__ = ("transcript_update", "audio_response", "error", "session_ended", "session_started", "interrupted", "notice", "hold_state", "received")
    TRANSCRIPT_UPDATE_FIELD_NUMBER: _ClassVar[int]
    AUDIO_RESPONSE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    SESSION_ENDED_FIELD_NUMBER: _ClassVar[int]
    SESSION_STARTED_FIELD_NUMBER: _ClassVar[int]
    INTERRUPTED_FIELD_NUMBER: _ClassVar[int]
    NOTICE_FIELD_NUMBER: _ClassVar[int]
    HOLD_STATE_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    transcript_update: TranscriptUpdate
    audio_response: AudioResponse
    error: ErrorResponse
    session_ended: SessionEnded
    session_started: SessionStarted
    interrupted: Interrupted
    notice: Notice
    hold_state: HoldState
    received: Received
    def __init__(self, transcript_update: _Optional[_Union[TranscriptUpdate, _Mapping]] = ..., audio_response: _Optional[_Union[AudioResponse, _Mapping]] = ..., error: _Optional[_Union[ErrorResponse, _Mapping]] = ..., session_ended: _Optional[_Union[SessionEnded, _Mapping]] = ..., session_started: _Optional[_Union[SessionStarted, _Mapping]] = ..., interrupted: _Optional[_Union[Interrupted, _Mapping]] = ..., notice: _Optional[_Union[Notice, _Mapping]] = ..., hold_state: _Optional[_Union[HoldState, _Mapping]] = ..., received: _Optional[_Union[Received, _Mapping]] = ...) -> None: ...

class GetContextRequest(_message.Message):
    __slots__ = ("interview_id", "block_number")
    INTERVIEW_ID_FIELD_NUMBER: _ClassVar[int]
    BLOCK_NUMBER_FIELD_NUMBER: _ClassVar[int]
    interview_id: str
    block_number: int
    def __init__(self, interview_id: _Optional[str] = ..., block_number: _Optional[int] = ...) -> None: ...

class GetContextResponse(_message.Message):
    __slots__ = ("job_description", "resume", "persona", "duration_ms", "system_prompt", "language")
    JOB_DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    PERSONA_FIELD_NUMBER: _ClassVar[int]
    DURATION_MS_FIELD_NUMBER: _ClassVar[int]
    SYSTEM_PROMPT_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    job_description: str
    resume: str
    persona: str
    duration_ms: int
    system_prompt: str
    language: str
    def __init__(self, job_description: _Optional[str] = ..., resume: _Optional[str] = ..., persona: _Optional[str] = ..., duration_ms: _Optional[int] = ..., system_prompt: _Optional[str] = ..., language: _Optional[str] = ...) -> None: ...

class UpdateStatusRequest(_message.Message):
    __slots__ = ("interview_id", "status", "ended_at")
    INTERVIEW_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    interview_id: str
    status: InterviewStatus
    ended_at: str
    def __init__(self, interview_id: _Optional[str] = ..., status: _Optional[_Union[InterviewStatus, str]] = ..., ended_at: _Optional[str] = ...) -> None: ...

class UpdateStatusResponse(_message.Message):
    __slots__ = ("success",)
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    def __init__(self, success: _Optional[bool] = ...) -> None: ...

class SubmitTranscriptRequest(_message.Message):
    __slots__ = ("interview_id", "transcript", "ended_at", "block_number")
    INTERVIEW_ID_FIELD_NUMBER: _ClassVar[int]
    TRANSCRIPT_FIELD_NUMBER: _ClassVar[int]
    ENDED_AT_FIELD_NUMBER: _ClassVar[int]
    BLOCK_NUMBER_FIELD_NUMBER: _ClassVar[int]
    interview_id: str
    transcript: bytes
    ended_at: str
    block_number: int
    def __init__(self, interview_id: _Optional[str] = ..., transcript: _Optional[bytes] = ..., ended_at: _Optional[str] = ..., block_number: _Optional[int] = ...) -> None: ...

class SubmitTranscriptResponse(_message.Message):
    __slots__ = ("success",)
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    def __init__(self, success: _Optional[bool] = ...) -> None: ...

class SubmitFeedbackRequest(_message.Message):
    __slots__ = ("interview_id", "summary", "strengths", "content_and_structure", "communication_and_delivery", "presentation")
    INTERVIEW_ID_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    STRENGTHS_FIELD_NUMBER: _ClassVar[int]
    CONTENT_AND_STRUCTURE_FIELD_NUMBER: _ClassVar[int]
    COMMUNICATION_AND_DELIVERY_FIELD_NUMBER: _ClassVar[int]
    PRESENTATION_FIELD_NUMBER: _ClassVar[int]
    interview_id: str
    summary: str
    strengths: str
    content_and_structure: str
    communication_and_delivery: str
    presentation: str
    def __init__(self, interview_id: _Optional[str] = ..., summary: _Optional[str] = ..., strengths: _Optional[str] = ..., content_and_structure: _Optional[str] = ..., communication_and_delivery: _Optional[str] = ..., presentation: _Optional[str] = ...) -> None: ...

class SubmitFeedbackResponse(_message.Message):
    __slots__ = ("success",)
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    def __init__(self, success: _Optional[bool] = ...) -> None: ...

class SubmitVerificationRequest(_message.Message):
    __slots__ = ("interview_id", "block_number", "turns", "model", "checked_at")
    INTERVIEW_ID_FIELD_NUMBER: _ClassVar[int]
    BLOCK_NUMBER_FIELD_NUMBER: _ClassVar[int]
    TURNS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CHECKED_AT_FIELD_NUMBER: _ClassVar[int]
    interview_id: str
    block_number: int
    turns: _containers.RepeatedCompositeFieldContainer[CheckedTurn]
    model: str
    checked_at: str
    def __init__(self, interview_id: _Optional[str] = ..., block_number: _Optional[int] = ..., turns: _Optional[_Iterable[_Union[CheckedTurn, _Mapping]]] = ..., model: _Optional[str] = ..., checked_at: _Optional[str] = ...) -> None: ...

class SubmitVerificationResponse(_message.Message):
    __slots__ = ("success",)
    SUCCESS_FIELD_NUMBER: _ClassVar[int]
    success: bool
    def __init__(self, success: _Optional[bool] = ...) -> None: ...

class CheckedTurn(_message.Message):
    __slots__ = ("turn", "live", "second", "flag", "confidence", "second_is_better", "begin_ms", "end_ms")
    class Flag(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        FLAG_UNSPECIFIED: _ClassVar[CheckedTurn.Flag]
        OK: _ClassVar[CheckedTurn.Flag]
        START_MISSING: _ClassVar[CheckedTurn.Flag]
        END_MISSING: _ClassVar[CheckedTurn.Flag]
        WORDS_MISSING: _ClassVar[CheckedTurn.Flag]
        INVENTED: _ClassVar[CheckedTurn.Flag]
        OTHER_LANGUAGE: _ClassVar[CheckedTurn.Flag]
        UNHEARD: _ClassVar[CheckedTurn.Flag]
    FLAG_UNSPECIFIED: CheckedTurn.Flag
    OK: CheckedTurn.Flag
    START_MISSING: CheckedTurn.Flag
    END_MISSING: CheckedTurn.Flag
    WORDS_MISSING: CheckedTurn.Flag
    INVENTED: CheckedTurn.Flag
    OTHER_LANGUAGE: CheckedTurn.Flag
    UNHEARD: CheckedTurn.Flag
    TURN_FIELD_NUMBER: _ClassVar[int]
    LIVE_FIELD_NUMBER: _ClassVar[int]
    SECOND_FIELD_NUMBER: _ClassVar[int]
    FLAG_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    SECOND_IS_BETTER_FIELD_NUMBER: _ClassVar[int]
    BEGIN_MS_FIELD_NUMBER: _ClassVar[int]
    END_MS_FIELD_NUMBER: _ClassVar[int]
    turn: int
    live: str
    second: str
    flag: CheckedTurn.Flag
    confidence: float
    second_is_better: bool
    begin_ms: int
    end_ms: int
    def __init__(self, turn: _Optional[int] = ..., live: _Optional[str] = ..., second: _Optional[str] = ..., flag: _Optional[_Union[CheckedTurn.Flag, str]] = ..., confidence: _Optional[float] = ..., second_is_better: _Optional[bool] = ..., begin_ms: _Optional[int] = ..., end_ms: _Optional[int] = ...) -> None: ...

class ApiError(_message.Message):
    __slots__ = ("code", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class WorkerApiRequest(_message.Message):
    __slots__ = ("get_context", "update_status", "submit_transcript", "submit_feedback", "submit_verification")
    GET_CONTEXT_FIELD_NUMBER: _ClassVar[int]
    UPDATE_STATUS_FIELD_NUMBER: _ClassVar[int]
    SUBMIT_TRANSCRIPT_FIELD_NUMBER: _ClassVar[int]
    SUBMIT_FEEDBACK_FIELD_NUMBER: _ClassVar[int]
    SUBMIT_VERIFICATION_FIELD_NUMBER: _ClassVar[int]
    get_context: GetContextRequest
    update_status: UpdateStatusRequest
    submit_transcript: SubmitTranscriptRequest
    submit_feedback: SubmitFeedbackRequest
    submit_verification: SubmitVerificationRequest
    def __init__(self, get_context: _Optional[_Union[GetContextRequest, _Mapping]] = ..., update_status: _Optional[_Union[UpdateStatusRequest, _Mapping]] = ..., submit_transcript: _Optional[_Union[SubmitTranscriptRequest, _Mapping]] = ..., submit_feedback: _Optional[_Union[SubmitFeedbackRequest, _Mapping]] = ..., submit_verification: _Optional[_Union[SubmitVerificationRequest, _Mapping]] = ...) -> None: ...

class WorkerApiResponse(_message.Message):
    __slots__ = ("get_context", "update_status", "submit_transcript", "submit_feedback", "error", "submit_verification")
    GET_CONTEXT_FIELD_NUMBER: _ClassVar[int]
    UPDATE_STATUS_FIELD_NUMBER: _ClassVar[int]
    SUBMIT_TRANSCRIPT_FIELD_NUMBER: _ClassVar[int]
    SUBMIT_FEEDBACK_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    SUBMIT_VERIFICATION_FIELD_NUMBER: _ClassVar[int]
    get_context: GetContextResponse
    update_status: UpdateStatusResponse
    submit_transcript: SubmitTranscriptResponse
    submit_feedback: SubmitFeedbackResponse
    error: ApiError
    submit_verification: SubmitVerificationResponse
    def __init__(self, get_context: _Optional[_Union[GetContextResponse, _Mapping]] = ..., update_status: _Optional[_Union[UpdateStatusResponse, _Mapping]] = ..., submit_transcript: _Optional[_Union[SubmitTranscriptResponse, _Mapping]] = ..., submit_feedback: _Optional[_Union[SubmitFeedbackResponse, _Mapping]] = ..., error: _Optional[_Union[ApiError, _Mapping]] = ..., submit_verification: _Optional[_Union[SubmitVerificationResponse, _Mapping]] = ...) -> None: ...
