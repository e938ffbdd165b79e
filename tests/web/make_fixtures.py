"""Frames as Python's protobuf writes them, for the browser's hand-written codec to read.

python tests/web/make_fixtures.py > tests/web/frames.json
"""

import json
import sys

from preppald.pb import interview_pb2 as pb

SERVER: dict[str, pb.ServerToClientMessage] = {
    "transcript": pb.ServerToClientMessage(
        transcript_update=pb.TranscriptUpdate(
            speaker="AI", text="Grüß Gott, 你好 🎤", is_final=True, turn_complete=True, seq=300
        )
    ),
    "transcript with its turn": pb.ServerToClientMessage(
        transcript_update=pb.TranscriptUpdate(
            speaker="AI", text="Hi", is_final=True, seq=1, turn=7, begin_ms=61_000, end_ms=62_500
        )
    ),
    "transcript of a turn that was cut": pb.ServerToClientMessage(
        transcript_update=pb.TranscriptUpdate(
            speaker="AI", is_final=True, turn_complete=True, seq=2, turn=7, heard_code_points=130
        )
    ),
    "transcript of an older server": pb.ServerToClientMessage(
        transcript_update=pb.TranscriptUpdate(speaker="USER", text="yes", is_final=True)
    ),
    "seq beyond 53 bits": pb.ServerToClientMessage(
        transcript_update=pb.TranscriptUpdate(speaker="USER", seq=2**64 - 1)
    ),
    "audio": pb.ServerToClientMessage(audio_response=pb.AudioResponse(audio_content=bytes(range(256)) * 2)),
    "audio in packets": pb.ServerToClientMessage(
        audio_response=pb.AudioResponse(packets=[b"one", b"", bytes(200)])
    ),
    "error": pb.ServerToClientMessage(error=pb.ErrorResponse(code=-1, message="Failed to process message")),
    "refused": pb.ServerToClientMessage(
        error=pb.ErrorResponse(code=4429, message="Too many connections", retry_after_ms=30_000)
    ),
    "session ended": pb.ServerToClientMessage(
        session_ended=pb.SessionEnded(reason=pb.SessionEnded.Reason.TIMEOUT)
    ),
    "session ended, no reason": pb.ServerToClientMessage(session_ended=pb.SessionEnded()),
    "session started": pb.ServerToClientMessage(
        session_started=pb.SessionStarted(
            interview_id="42", output_sample_rate_hz=24000, remaining_ms=3_600_000, resumed=True
        )
    ),
    "session started with its grace": pb.ServerToClientMessage(
        session_started=pb.SessionStarted(
            interview_id="42", output_sample_rate_hz=24000, remaining_ms=3_600_000, grace_ms=90_000
        )
    ),
    "session started with Opus": pb.ServerToClientMessage(
        session_started=pb.SessionStarted(interview_id="42", audio_codec=pb.OPUS)
    ),
    "negative time": pb.ServerToClientMessage(session_started=pb.SessionStarted(remaining_ms=-5)),
    "interrupted": pb.ServerToClientMessage(interrupted=pb.Interrupted()),
    "interrupted, and how much was heard": pb.ServerToClientMessage(
        interrupted=pb.Interrupted(heard_ms=1840, heard_code_points=27, turn=3)
    ),
    "hold state": pb.ServerToClientMessage(hold_state=pb.HoldState(on=True, remaining_ms=120_000)),
    "received": pb.ServerToClientMessage(received=pb.Received(audio_ms=73_280)),
    "notice": pb.ServerToClientMessage(
        notice=pb.Notice(kind=pb.Notice.Kind.ENDING_SOON, message="One minute left.", remaining_ms=60_000)
    ),
}

CLIENT: dict[str, pb.ClientToServerMessage] = {
    "packets": pb.ClientToServerMessage(audio_chunk=pb.AudioChunk(packets=[b"one", b"", bytes(200)])),
    "prefer Opus": pb.ClientToServerMessage(prefer=pb.Prefer(downlink=pb.OPUS)),
    "prefer PCM": pb.ClientToServerMessage(prefer=pb.Prefer(downlink=pb.PCM)),
    "end": pb.ClientToServerMessage(end_request=pb.EndRequest()),
    "hold": pb.ClientToServerMessage(hold=pb.Hold(on=True)),
    "hold no more": pb.ClientToServerMessage(hold=pb.Hold(on=False)),
    "text answer": pb.ClientToServerMessage(text_answer=pb.TextAnswer(text="Grüß Gott 🎤" * 20, number=300)),
    "audio": pb.ClientToServerMessage(
        audio_chunk=pb.AudioChunk(audio_content=bytes(i % 251 for i in range(1280)))
    ),
}


def main() -> None:
    """Write all frames as hexadecimal text."""
    frames = {
        "server": {
            name: message.SerializeToString(deterministic=True).hex() for name, message in SERVER.items()
        },
        "client": {
            name: message.SerializeToString(deterministic=True).hex() for name, message in CLIENT.items()
        },
    }
    json.dump(frames, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
