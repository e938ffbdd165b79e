"""Reads the frames of Gemini Live: each becomes events.

Protocol: BidiGenerateContent. The server sends one JSON object a frame, as binary or text; every key that is present
counts, whatever the documentation says about "one of". Unknown keys are skipped.

Rule 1: speech is what outputTranscription says. Text in a modelTurn is a thought, flagged as one or not, and never
        reaches the transcript: only audio is asked for.
Rule 2: one member that cannot be read costs no other member of its frame.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from preppald.core.events import (
    AtWork,
    AudioSpoken,
    GeminiEvent,
    GoingAway,
    HandleGiven,
    MemberSkipped,
    ReplyGenerated,
    ReplyInterrupted,
    ReplyRejected,
    SetupCompleted,
    SpeechBegan,
    SpeechEnded,
    TextHeard,
    TextSpoken,
    TokensUsed,
    ToolCall,
    ToolCalled,
    TurnCompleted,
    UtteranceCompleted,
    WaitingForInput,
)
from preppald.core.interview import Usage
from preppald.core.salvage import salvage
from preppald.errors import RemoteProtocolError

# A day of audio is three million tokens; a count above this is none.
MAX_TOKENS = 10**9
# The most calls of one frame that are answered, and the most characters of an id or a name that are given back.
MAX_TOOL_CALLS = 16
MAX_TOOL_CHARS = 256
# The values of turnCompleteReason that say: this answer was not given, for what would have been in it.
# Source: the SDKs' TurnCompleteReason (google-genai 3.6.1), those that concern audio and text.
REJECTED = frozenset(
    [
        "RESPONSE_REJECTED",
        "MALFORMED_FUNCTION_CALL",
        "PROHIBITED_INPUT_CONTENT",
        "INPUT_IP_PROHIBITED",
        "INPUT_OTHER",
        "BLOCKLIST",
        "GENERATED_AUDIO_SAFETY",
        "GENERATED_CONTENT_SAFETY",
        "GENERATED_CONTENT_PROHIBITED",
        "GENERATED_CONTENT_BLOCKLIST",
        "GENERATED_OTHER",
        "MAX_REGENERATION_REACHED",
    ]
)
# PostgreSQL takes no NUL in a text, and a terminal obeys ESC: of the control characters only these two are text.
_CONTROLS = dict.fromkeys(code for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t")


class _Message(msgspec.Struct, rename="camel"):
    """Base of everything received: wire names are camelCase, unknown fields are skipped."""


class _Blob(_Message):
    # msgspec reads base64 into bytes in the same pass. Always PCM s16le mono 24 kHz on Live.
    data: bytes = b""


class _Part(_Message):
    inline_data: _Blob | None = None
    text: str = ""
    thought: bool = False


class _ModelTurn(_Message):
    parts: list[_Part] = []


class _Transcription(_Message):
    text: str = ""


class _ServerContent(_Message):
    model_turn: _ModelTurn | None = None
    input_transcription: _Transcription | None = None
    output_transcription: _Transcription | None = None
    interrupted: bool = False
    generation_complete: bool = False
    turn_complete: bool = False
    # IN_PROGRESS or IDLE beside turn_complete, from models that speak more than once to one question; else absent.
    interaction_status: str = ""
    # The model chose to wait for more of the candidate's speech; often beside turn_complete.
    waiting_for_input: bool = False
    turn_complete_reason: str = ""


class _ModalityCount(_Message):
    modality: str = ""
    token_count: int = 0


class _Usage(_Message):
    prompt_token_count: int = 0
    response_token_count: int = 0
    total_token_count: int = 0
    thoughts_token_count: int = 0
    cached_content_token_count: int = 0
    prompt_tokens_details: list[_ModalityCount] = []
    response_tokens_details: list[_ModalityCount] = []


class _FunctionCall(_Message):
    id: str = ""
    name: str = ""


class _ToolCall(_Message):
    function_calls: list[_FunctionCall] = []


class _GoAway(_Message):
    time_left: str = ""


class _ResumptionUpdate(_Message):
    new_handle: str = ""
    resumable: bool = False


class _VoiceActivity(_Message):
    type: str = ""
    audio_offset: str = ""


class _SetupComplete(_Message):
    pass


class _ServerMessage(_Message):
    setup_complete: _SetupComplete | None = None
    server_content: _ServerContent | None = None
    usage_metadata: _Usage | None = None
    session_resumption_update: _ResumptionUpdate | None = None
    go_away: _GoAway | None = None
    voice_activity: _VoiceActivity | None = None
    tool_call: _ToolCall | None = None


_decoder = msgspec.json.Decoder(_ServerMessage)


def decode(frame: bytes | str) -> list[GeminiEvent]:
    """Return the events in one frame: content first, flags last. Often none.

    A member that cannot be read is left out, and a MemberSkipped names it.

    Raises:
        RemoteProtocolError: nothing in the frame can be read; drop it and go on.
    """
    try:
        return _events(_decoder.decode(frame))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _salvaged(frame)


def _salvaged(frame: bytes | str) -> list[GeminiEvent]:
    try:
        message, dropped = salvage(_ServerMessage, frame)
    except (TypeError, ValueError, RecursionError) as error:
        raise RemoteProtocolError(
            f"Gemini sent a frame that cannot be read ({type(error).__name__})"
        ) from error
    events = _events(message)
    if dropped and not events:
        raise RemoteProtocolError("Gemini sent a frame that cannot be read (ValueError)")
    return [*events, *(MemberSkipped(path) for path in dropped)]


def _events(message: _ServerMessage) -> list[GeminiEvent]:
    events: list[GeminiEvent] = []
    if message.setup_complete is not None:
        events.append(SetupCompleted())
    activity = message.voice_activity
    if activity is not None and activity.type == "ACTIVITY_START":
        events.append(SpeechBegan(_seconds(activity.audio_offset)))
    if message.server_content is not None:
        _add_content(message.server_content, events)
    if message.tool_call is not None and message.tool_call.function_calls:
        events += (AtWork(), ToolCalled(_calls(message.tool_call.function_calls)))
    if activity is not None and activity.type == "ACTIVITY_END":
        events.append(SpeechEnded(_seconds(activity.audio_offset)))
    if message.usage_metadata is not None:
        events.append(TokensUsed(_usage(message.usage_metadata)))
    update = message.session_resumption_update
    if update is not None and update.resumable and update.new_handle:
        events.append(HandleGiven(update.new_handle))
    if message.go_away is not None:
        events.append(GoingAway(_seconds(message.go_away.time_left)))
    return events


def _add_content(content: _ServerContent, events: list[GeminiEvent]) -> None:
    if content.input_transcription is not None and (heard := _text(content.input_transcription)):
        events.append(TextHeard(heard))
    if content.model_turn is not None:
        thought = False
        for part in content.model_turn.parts:
            if part.inline_data is not None and part.inline_data.data:
                events.append(AudioSpoken(part.inline_data.data))
            elif (part.text or part.thought) and not thought:
                thought = True
                events.append(AtWork())
    if content.output_transcription is not None and (spoken := _text(content.output_transcription)):
        events.append(TextSpoken(spoken))
    # Nearly all frames have none of these: a generator that yields nothing would cost them a call.
    if (
        content.interrupted
        or content.generation_complete
        or content.turn_complete
        or content.waiting_for_input
        or content.turn_complete_reason
    ):
        events += _flags(content)


def _flags(content: _ServerContent) -> Iterator[GeminiEvent]:
    if content.interrupted:
        yield ReplyInterrupted()
    if content.generation_complete:
        yield ReplyGenerated()
    if content.turn_complete_reason in REJECTED:
        yield ReplyRejected(content.turn_complete_reason.lower())
    if content.turn_complete:
        yield UtteranceCompleted() if content.interaction_status == "IN_PROGRESS" else TurnCompleted()
    if content.waiting_for_input or content.turn_complete_reason == "NEED_MORE_INPUT":
        yield WaitingForInput()


def _text(transcription: _Transcription) -> str:
    text = transcription.text
    return text if text.isprintable() else text.translate(_CONTROLS)


def _calls(calls: Sequence[_FunctionCall]) -> tuple[ToolCall, ...]:
    return tuple(
        ToolCall(call.id[:MAX_TOOL_CHARS], call.name[:MAX_TOOL_CHARS]) for call in calls[:MAX_TOOL_CALLS]
    )


def _usage(usage: _Usage) -> Usage:
    """Return the tokens by modality. Totals count; details, which may be missing or incomplete, only divide them.

    Seen: promptTokenCount 522 beside details of 332 and 165. The rest counts as audio, which Live mostly is and
    which costs most, so that no estimate is too low.
    """
    prompt = _by_modality(usage.prompt_tokens_details)
    response = _by_modality(usage.response_tokens_details)
    thoughts = _count(usage.thoughts_token_count)
    prompt["AUDIO"] += max(0, _count(usage.prompt_token_count) - prompt.total())
    response["AUDIO"] += max(0, _count(usage.response_token_count) - response.total())
    told = prompt.total() + response.total() + thoughts
    prompt["AUDIO"] += max(0, _count(usage.total_token_count) - told)
    return Usage(
        prompt_audio=prompt.pop("AUDIO"),
        prompt_text=prompt.total(),
        response_audio=response.pop("AUDIO"),
        response_text=response.total(),
        thoughts=thoughts,
        cached=_count(usage.cached_content_token_count),
    )


def _by_modality(details: Iterable[_ModalityCount]) -> Counter[str]:
    """Add up the details: two entries of one modality are two amounts."""
    counts: Counter[str] = Counter()
    for detail in details:
        counts[detail.modality] += _count(detail.token_count)
    return counts


def _count(tokens: int) -> int:
    """Return the number, or 0 for one that neither a counter nor a database takes."""
    return tokens if 0 <= tokens <= MAX_TOKENS else 0


def _seconds(duration: str) -> float | None:
    """Return the seconds of a protobuf Duration in text (``50s``, ``9.500s``); None for anything else."""
    if not duration.endswith("s"):
        return None
    try:
        seconds = float(duration[:-1])
    except ValueError:
        return None
    # Eleven days; refuses inf and nan too.
    return seconds if 0 <= seconds < 1e6 else None
