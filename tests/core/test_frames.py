"""The browser's messages: what goes out can be read by any client, what comes in is an event or refused."""

from hypothesis import given, strategies as st
import pytest

from preppald.core import frames
from preppald.core.endings import EndedReason
from preppald.core.events import AudioHeard, EndRequested
from preppald.core.frames import NoticeKind
from preppald.core.turns import CutReply, Fragment, Speaker
from preppald.errors import RemoteProtocolError
from preppald.pb import interview_pb2 as pb


def sent(message: bytes) -> pb.ServerToClientMessage:
    return pb.ServerToClientMessage.FromString(message)


@given(st.binary(max_size=2000))
def test_audio_is_heard_as_it_was_spoken(pcm: bytes) -> None:
    """Any length, even none and even an odd one."""
    chunk = pb.ClientToServerMessage(audio_chunk=pb.AudioChunk(audio_content=pcm))
    assert frames.decode(chunk.SerializeToString()) == AudioHeard(pcm)
    assert sent(frames.audio(pcm)).audio_response.audio_content == pcm


@given(st.one_of(st.binary(max_size=140), st.integers(100, 20_000).map(bytes)))
def test_audio_is_read_the_short_way_as_the_long_way_reads_it(pcm: bytes) -> None:
    """Nearly all of it: a head of another length is for the long way."""
    message = pb.ClientToServerMessage(audio_chunk=pb.AudioChunk(audio_content=pcm)).SerializeToString()
    known = 4 <= len(message) < 130 or 134 <= len(message) < 16_384
    assert frames.spoken(message) == (pcm if known else None)


@given(
    st.binary(max_size=7),
    st.one_of(st.integers(0, 140), st.integers(100, 17_000)),
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 255)), max_size=3),
)
def test_the_short_way_never_reads_what_the_long_way_reads_otherwise(
    start: bytes, size: int, changes: list[tuple[int, int]]
) -> None:
    """Garbage, and true messages with a byte or two changed."""
    chunk = pb.ClientToServerMessage(audio_chunk=pb.AudioChunk(audio_content=bytes(size)))
    changed = bytearray(chunk.SerializeToString())
    for at, value in changes:
        if at < len(changed):
            changed[at] = value
    for message in (start + bytes(size), bytes(changed)):
        pcm = frames.spoken(message)
        assert pcm is None or frames.decode(message) == AudioHeard(pcm)
    assert frames.spoken("text") is None


@given(st.one_of(st.integers(0, 300), st.integers(16_300, 16_500), st.integers(0, 70_000)).map(bytes))
def test_audio_is_written_the_short_way_as_the_library_writes_it(pcm: bytes) -> None:
    response = pb.ServerToClientMessage(audio_response=pb.AudioResponse(audio_content=pcm))
    assert frames.audio(pcm) == response.SerializeToString()


def test_the_end_button_is_read() -> None:
    message = pb.ClientToServerMessage(end_request=pb.EndRequest())
    assert frames.decode(message.SerializeToString()) == EndRequested()


def test_the_existing_clients_bytes_are_read() -> None:
    """As it sends them: field 1, then the PCM in field 1 of that."""
    assert frames.decode(bytes([0x0A, 4, 0x0A, 2, 7, 8])) == AudioHeard(b"\x07\x08")
    assert frames.decode(bytes([0x12, 0])) == EndRequested()


@pytest.mark.parametrize(
    "message",
    ["", "text", b"", b"\xff", b"\x0a\x05\x0a", b"\x0a" + b"\xff" * 20],
    ids=["empty text", "text", "empty", "garbage", "cut", "overlong"],
)
def test_what_is_no_message_is_refused(message: bytes | str) -> None:
    """Text, garbage, and half a message."""
    with pytest.raises(RemoteProtocolError, match="the message"):
        frames.decode(message)


@pytest.mark.parametrize(
    "message",
    [b"\xfa\x01\x02\x0a\x00", b"\xf8\x01\x07", b"\x08\x01"],
    ids=["a payload", "a number", "a known field of another type"],
)
def test_a_newer_clients_kind_of_message_is_skipped(message: bytes) -> None:
    """protobuf's own rule for unknown fields."""
    assert frames.decode(message) is None


@given(st.one_of(st.binary(), st.text()))
def test_any_bytes_are_an_event_or_skipped_or_refused(message: bytes | str) -> None:
    """Nothing else ever leaves the decoder."""
    try:
        event = frames.decode(message)
    except RemoteProtocolError:
        return
    assert event is None or isinstance(event, AudioHeard | EndRequested)


def test_unknown_fields_of_newer_clients_are_skipped() -> None:
    chunk = pb.ClientToServerMessage(audio_chunk=pb.AudioChunk(audio_content=b"ab")).SerializeToString()
    assert frames.decode(chunk + bytes([0x98, 0x06, 1])) == AudioHeard(b"ab")


def test_a_fragment_becomes_a_transcript_update() -> None:
    """``is_final`` is what existing clients wait for: fragments are never revised."""
    fragment = Fragment(7, 3, Speaker.USER, " hello", 1000, turn_complete=True)
    update = sent(frames.transcript(fragment)).transcript_update
    assert (update.speaker, update.text, update.seq) == ("USER", " hello", 7)
    assert update.is_final
    assert update.turn_complete
    assert (update.turn, update.begin_ms, update.end_ms) == (3, 0, 0)


def test_a_transcript_update_says_when_its_turn_was() -> None:
    """Since the interview's start; 0 is kept for "not known"."""
    fragment = Fragment(7, 3, Speaker.USER, " hello", 5000, begin_ms=1000, end_ms=4500)
    update = sent(frames.transcript(fragment, 1000)).transcript_update
    assert (update.begin_ms, update.end_ms) == (1, 3500)


def test_a_transcript_update_says_how_much_of_a_cut_turn_was_heard() -> None:
    fragment = Fragment(8, 3, Speaker.AI, "", 5000, turn_complete=True, heard=21)
    assert sent(frames.transcript(fragment)).transcript_update.heard_code_points == 21
    uncut = Fragment(8, 3, Speaker.AI, "", 5000, turn_complete=True)
    assert not sent(frames.transcript(uncut)).transcript_update.heard_code_points


def test_the_other_messages_say_what_they_are_given() -> None:
    started = sent(frames.session_started("iv", remaining_seconds=3599.9996, resumed=True)).session_started
    assert (started.interview_id, started.remaining_ms, started.resumed) == ("iv", 3_600_000, True)
    assert started.output_sample_rate_hz == 24_000
    assert sent(frames.interrupted()).WhichOneof("payload") == "interrupted"
    cut = sent(frames.interrupted(CutReply(3, 1500, 21))).interrupted
    assert (cut.turn, cut.heard_ms, cut.heard_code_points) == (3, 1500, 21)
    error = sent(frames.error(5000, "Failed")).error
    assert (error.code, error.message) == (5000, "Failed")
    notice = sent(frames.notice(NoticeKind.ENDING_SOON, "soon", remaining_seconds=-3)).notice
    assert (notice.kind, notice.message, notice.remaining_ms) == (pb.Notice.ENDING_SOON, "soon", 0)


@pytest.mark.parametrize("reason", EndedReason)
def test_reasons_keep_their_numbers(reason: EndedReason) -> None:
    """They are on the wire of clients that nobody can update."""
    assert sent(frames.session_ended(reason)).session_ended.reason == reason.value


@pytest.mark.parametrize("kind", NoticeKind)
def test_notices_keep_their_numbers(kind: NoticeKind) -> None:
    assert sent(frames.notice(kind, "", remaining_seconds=1)).notice.kind == kind.value


def test_nothing_said_shows_in_a_repr() -> None:
    """A repr ends in tracebacks, and those in logs."""
    assert "CANARY" not in repr(AudioHeard(b"CANARY"))
