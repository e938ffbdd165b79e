"""The browser's messages: protobuf in, events out; and the other way round.

The only place that knows the generated code's names for them. A browser's message is read into events and
never passed on: protobuf keeps unknown fields and would forward them.
"""

from collections.abc import Sequence
import enum

from google.protobuf.message import DecodeError

from preppald.core.endings import EndedReason
from preppald.core.events import (
    AudioHeard,
    ClientEvent,
    EndRequested,
    HoldAsked,
    PacketsHeard,
    Preferred,
    TextAnswered,
)
from preppald.core.turns import CutReply, Fragment
from preppald.errors import RemoteProtocolError
from preppald.pb.interview_pb2 import (
    OPUS,
    PCM,
    AudioChunk,
    AudioResponse,
    ClientToServerMessage,
    ErrorResponse,
    HoldState,
    Interrupted,
    Notice,
    Received,
    ServerToClientMessage,
    SessionEnded,
    SessionStarted,
)


class NoticeKind(enum.IntEnum):
    """Notice.Kind, by its numbers on the wire."""

    RECONNECTING = 1
    RECONNECTED = 2
    ENDING_SOON = 3
    DRAINING = 4
    SILENT = 5
    STILL_THERE = 6


INPUT_SAMPLE_RATE_HZ = 16_000
OUTPUT_SAMPLE_RATE_HZ = 24_000
BYTES_PER_SAMPLE = 2
INPUT_BYTES_PER_SECOND = INPUT_SAMPLE_RATE_HZ * BYTES_PER_SAMPLE
OUTPUT_BYTES_PER_SECOND = OUTPUT_SAMPLE_RATE_HZ * BYTES_PER_SAMPLE

# Opus packets in one message: three seconds of the longest. More would be a flood of sound from a few bytes.
MAX_PACKETS = 50

# The tag of field 1 with bytes in it: of audio_chunk in its message, and of audio_content in the chunk.
_FIELD_1 = 0x0A
# The tag of field 2 with bytes in it: of audio_response in its message.
_FIELD_2 = 0x12


def spoken(message: bytes | str) -> bytes | None:
    """Return the PCM of one message in the form that every encoder writes; None for any other: ask ``decode``.

    375 times a second for each old client, at a sixth of what ``decode`` costs.
    """
    if isinstance(message, str):
        return None
    size = len(message)
    if 4 <= size < 130:  # lengths below 128: one byte each
        if message[0] == message[2] == _FIELD_1 and message[1] == size - 2 and message[3] == size - 4:
            return message[4:]
    elif (
        134 <= size < 16_384  # two bytes each, the first with its high bit set
        and message[0] == message[3] == _FIELD_1
        and (message[1] - 0x80 | message[2] << 7) == size - 3
        and (message[4] - 0x80 | message[5] << 7) == size - 6
    ):
        return message[6:]
    return None


def decode(message: bytes | str) -> ClientEvent | None:
    """Return the event in one message; None for a kind of message that a newer client has, to be skipped.

    Raises:
        RemoteProtocolError: the message is text, or no message of the contract, or empty.
    """
    if isinstance(message, str):
        raise RemoteProtocolError("the message is text, and must be binary")
    try:
        parsed = ClientToServerMessage.FromString(message)
    except DecodeError as error:
        raise RemoteProtocolError("the message is not a ClientToServerMessage") from error
    match parsed.WhichOneof("payload"):
        case "audio_chunk":
            return _sound(parsed.audio_chunk)
        case "end_request":
            return EndRequested()
        case "hold":
            return HoldAsked(parsed.hold.on)
        case "text_answer":
            return TextAnswered(parsed.text_answer.text, parsed.text_answer.number)
        case "prefer":
            return Preferred(parsed.prefer.downlink == OPUS)
        case _ if message:
            return None  # only fields that are unknown here
        case _:
            raise RemoteProtocolError("the message is empty")


def _sound(chunk: AudioChunk) -> AudioHeard | PacketsHeard:
    if not chunk.packets:
        return AudioHeard(chunk.audio_content)
    if chunk.audio_content:
        raise RemoteProtocolError("the sound is there twice, as PCM and as packets")
    if len(chunk.packets) > MAX_PACKETS:
        raise RemoteProtocolError(f"the message has {len(chunk.packets)} packets, and may have {MAX_PACKETS}")
    return PacketsHeard(tuple(chunk.packets))


def packets(sound: Sequence[bytes]) -> bytes:
    """Return Opus packets as a message."""
    return ServerToClientMessage(audio_response=AudioResponse(packets=sound)).SerializeToString()


def audio(pcm: bytes) -> bytes:
    """Return PCM (s16le mono 24 kHz) as a message. Usual lengths are written by hand, for a third of the cost."""
    size = len(pcm)
    if not 128 <= size < 16_380:  # both lengths take two bytes
        return ServerToClientMessage(audio_response=AudioResponse(audio_content=pcm)).SerializeToString()
    outer = size + 3
    head = (_FIELD_2, outer & 0x7F | 0x80, outer >> 7, _FIELD_1, size & 0x7F | 0x80, size >> 7)
    return bytes(head) + pcm


def transcript(fragment: Fragment, started_ms: int = 0) -> bytes:
    """Return a TranscriptUpdate's bytes; ``started_ms``: the interview's start, wall clock in milliseconds.

    The fields are set in place: a submessage passed in would be copied.
    """
    message = ServerToClientMessage()
    update = message.transcript_update
    update.speaker = fragment.speaker
    update.text = fragment.text
    update.is_final = True
    update.turn_complete = fragment.turn_complete
    update.seq = fragment.seq
    update.turn = fragment.turn
    # 0 stands for "not known": a turn that began with the interview began a millisecond later.
    if fragment.begin_ms is not None:
        update.begin_ms = max(1, fragment.begin_ms - started_ms)
    if fragment.end_ms is not None:
        update.end_ms = max(1, fragment.end_ms - started_ms)
    if fragment.heard:
        update.heard_code_points = fragment.heard
    return message.SerializeToString()


def interrupted(cut: CutReply | None = None) -> bytes:
    """Return an Interrupted's bytes; ``cut``: how much of which turn was heard, where that is known."""
    heard = Interrupted()
    if cut is not None:
        heard.turn, heard.heard_ms, heard.heard_code_points = cut.turn, cut.heard_ms, cut.heard_chars
    return ServerToClientMessage(interrupted=heard).SerializeToString()


def hold_state(*, on: bool, remaining_seconds: float) -> bytes:
    """Return a HoldState's bytes."""
    state = HoldState(on=on, remaining_ms=_milliseconds(remaining_seconds))
    return ServerToClientMessage(hold_state=state).SerializeToString()


def error(code: int, message: str, *, retry_after_seconds: float = 0.0) -> bytes:
    """Return an ErrorResponse's bytes. ``retry_after_seconds``: when another try may succeed; 0: not said."""
    told = ErrorResponse(code=code, message=message, retry_after_ms=_milliseconds(retry_after_seconds))
    return ServerToClientMessage(error=told).SerializeToString()


def received(audio_seconds: float) -> bytes:
    """Return a Received's bytes: how much of the candidate's sound has come on this connection."""
    return ServerToClientMessage(received=Received(audio_ms=_milliseconds(audio_seconds))).SerializeToString()


def session_started(
    interview_id: str,
    *,
    remaining_seconds: float,
    resumed: bool,
    grace_seconds: float = 0.0,
    block: int = 0,
    opus: bool = False,
) -> bytes:
    """Return a SessionStarted's bytes.

    ``grace_seconds``: how long a lost candidate's interview is held. ``block``: the block that began; 0 for none.
    ``opus``: this connection may use it.
    """
    started = SessionStarted(
        interview_id=interview_id,
        output_sample_rate_hz=OUTPUT_SAMPLE_RATE_HZ,
        remaining_ms=_milliseconds(remaining_seconds),
        resumed=resumed,
        grace_ms=_milliseconds(grace_seconds),
        block_number=block or None,
        audio_codec=OPUS if opus else PCM,
    )
    return ServerToClientMessage(session_started=started).SerializeToString()


def session_ended(reason: EndedReason) -> bytes:
    return ServerToClientMessage(session_ended=SessionEnded(reason=reason.name)).SerializeToString()


def notice(kind: NoticeKind, message: str, *, remaining_seconds: float) -> bytes:
    told = Notice(kind=kind.name, message=message, remaining_ms=_milliseconds(remaining_seconds))
    return ServerToClientMessage(notice=told).SerializeToString()


def _milliseconds(seconds: float) -> int:
    return max(0, round(seconds * 1000))
