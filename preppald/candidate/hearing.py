"""Takes the daemon's messages to playback, transcript and turn taking."""

from typing import Protocol

from google.protobuf.message import DecodeError

from preppald.candidate.codec import Codec
from preppald.candidate.endings import AI_FAILURE, Said
from preppald.candidate.playback import RATE_HZ, Playback
from preppald.candidate.transcript import Transcript, Turn
from preppald.candidate.turntaking import TurnTaking
from preppald.core.turns import Speaker
from preppald.errors import RemoteProtocolError
from preppald.pb import interview_pb2 as pb

_SAID_BY_REASON = {
    pb.SessionEnded.USER_INITIATED: Said.ENDED_BY_USER,
    pb.SessionEnded.GEMINI_ENDED: Said.ENDED_BY_AI,
    pb.SessionEnded.TIMEOUT: Said.ENDED_BY_TIME,
}


class Audience(Protocol):
    """The audience of a call: a display."""

    def turn(self, turn: Turn) -> None:
        """Take a turn that has grown or ended."""

    def remark(self, text: str) -> None:
        """Take an event that a person should know, in one line."""


class Hearing:
    """The daemon's messages of one call, over all its connections.

    ``said``: the daemon's message about the end. ``error``: the text of its last ErrorResponse.
    ``ends_at``: the end of the interview's time, on the caller's clock; None until the daemon announced it.
    """

    def __init__(
        self,
        playback: Playback,
        transcript: Transcript,
        turn_taking: TurnTaking,
        audience: Audience,
        codec: Codec,
    ) -> None:
        self._playback = playback
        self._transcript = transcript
        self._turn_taking = turn_taking
        self._audience = audience
        self._codec = codec
        self.said = Said.NOTHING
        self.error = ""
        self.ends_at: float | None = None

    @property
    def ended(self) -> bool:
        """True once the daemon said that the session is over."""
        return self.said not in {Said.NOTHING, Said.FAILED}

    def receive(self, message: str | bytes, now: float) -> None:
        """Take one WebSocket message. A payload that this client is too old for is skipped.

        Raises:
            RemoteProtocolError: the message breaks the contract.
        """
        if isinstance(message, str):
            raise RemoteProtocolError("The daemon sent a text message.")
        try:
            parsed = pb.ServerToClientMessage.FromString(message)
        except DecodeError as error:
            raise RemoteProtocolError("The daemon sent a message that cannot be decoded.") from error
        match parsed.WhichOneof("payload"):
            case "audio_response":
                self._hear(self._codec.heard(parsed.audio_response), now)
            case "transcript_update":
                self._read(parsed.transcript_update, now)
            case "session_started":
                self._start(parsed.session_started, now)
            case "interrupted":
                self._interrupt(now)
            case "notice" | "hold_state":
                self._tell(parsed, now)
            case "error":
                self._fail(parsed.error)
            case "session_ended" if self.said is not Said.AI_FAILED:
                self.said = _SAID_BY_REASON.get(parsed.session_ended.reason, Said.ENDED)
            case _:
                pass

    def _hear(self, pcm: bytes, now: float) -> None:
        if pcm:
            self._playback.receive(pcm, now)
            self._turn_taking.hear(now)

    def _read(self, update: pb.TranscriptUpdate, now: float) -> None:
        try:
            speaker = Speaker(update.speaker)
        except ValueError as error:
            raise RemoteProtocolError("The daemon sent a transcript of neither USER nor AI.") from error
        known_until = self._transcript.last_seq
        turn = self._transcript.add(
            speaker,
            update.text,
            seq=update.seq,
            turn_complete=update.turn_complete,
            now=now,
            number=update.turn,
        )
        if turn is not None:
            self._audience.turn(turn)
        if speaker is Speaker.AI and not 0 < update.seq <= known_until:
            if update.text:
                self._turn_taking.read(now)
            if update.turn_complete:
                self._turn_taking.read_end_of_turn()

    def _start(self, started: pb.SessionStarted, now: float) -> None:
        if started.output_sample_rate_hz not in {0, RATE_HZ}:
            raise RemoteProtocolError(
                f"The daemon's audio has {started.output_sample_rate_hz} Hz, not {RATE_HZ}."
            )
        self._note_time_left(started.remaining_ms, now)
        self._codec.started(started)
        if self._codec.library is not None and not self._codec.granted:
            self._audience.remark("the daemon grants no Opus on this connection: PCM")
        self._turn_taking.start(now)

    def _interrupt(self, now: float) -> None:
        self._codec.interrupted()
        self._playback.interrupt(now)
        self._transcript.interrupt()
        self._turn_taking.interrupt(now)

    def _note_time_left(self, remaining_ms: int, now: float) -> None:
        if remaining_ms:
            self.ends_at = now + remaining_ms / 1000

    def _tell(self, message: pb.ServerToClientMessage, now: float) -> None:
        if message.HasField("notice"):
            self._note_time_left(message.notice.remaining_ms, now)
            self._audience.remark(message.notice.message)
        else:
            self._audience.remark(_pause_in_words(message.hold_state))

    def _fail(self, error: pb.ErrorResponse) -> None:
        self.error = error.message
        self.said = Said.AI_FAILED if error.code == AI_FAILURE else Said.FAILED
        self._audience.remark(f"error {error.code}: {error.message}")


def _pause_in_words(state: pb.HoldState) -> str:
    if not state.on:
        return "the pause is over"
    return f"the interviewer waits, for {state.remaining_ms / 1000:.0f} s at most"


def pause() -> bytes:
    """Return the message that asks for a pause to think."""
    return pb.ClientToServerMessage(hold=pb.Hold(on=True)).SerializeToString()


def end_request() -> bytes:
    """Return the message that ends the interview."""
    return pb.ClientToServerMessage(end_request=pb.EndRequest()).SerializeToString()
