"""The candidate's sound on the wire: PCM, or Opus where it is wanted and the daemon grants it."""

from preppald.audio.opus import BYTES_PER_SAMPLE, MAX_PACKET_SECONDS, Decoder, Encoder, Library
from preppald.candidate.playback import RATE_HZ
from preppald.candidate.speech import RATE_HZ as SPOKEN_RATE_HZ
from preppald.pb import interview_pb2 as pb

# The longest: on a bad line each message costs 60 bytes of headers, as much as 20 ms of speech.
PACKET_BYTES = round(MAX_PACKET_SECONDS * SPOKEN_RATE_HZ) * BYTES_PER_SAMPLE


class Codec:
    """One call's, over all its connections; each begins with PCM, until the daemon has said what it grants.

    ``library``: to speak Opus with; None for PCM. ``granted``: the present connection may carry Opus.
    """

    def __init__(self, library: Library | None) -> None:
        self.library = library
        self.granted = False
        self._asking = False
        # Sound for the next packet.
        self._waiting = bytearray()
        self._encoder: Encoder | None = None
        self._decoder: Decoder | None = None

    @property
    def name(self) -> str:
        """The codec of the present connection."""
        return "opus" if self.granted else "pcm"

    def connected(self) -> None:
        """Begin a connection: nothing is granted on it yet."""
        self.granted = self._asking = False
        self._waiting.clear()

    def started(self, started: pb.SessionStarted) -> None:
        """Take the daemon's answer, with which both streams begin."""
        if self.library is None or started.audio_codec != pb.OPUS or self.granted:
            return
        self.granted = self._asking = True
        self._encoder = Encoder(self.library, SPOKEN_RATE_HZ)
        self._decoder = Decoder(self.library, RATE_HZ)

    def interrupted(self) -> None:
        """Begin the interviewer's stream anew."""
        if self._decoder is not None:
            self._decoder.restart()

    def heard(self, response: pb.AudioResponse) -> bytes:
        """Return the interviewer's sound in a message: PCM 16-bit little-endian mono at 24 kHz."""
        if self._decoder is None or not response.packets:
            self.interrupted()
            return response.audio_content
        return b"".join(map(self._decoder.decode, response.packets))

    def said(self, pcm: bytes) -> list[bytes]:
        """Return the messages for the next piece of the candidate's sound: PCM 16-bit little-endian mono at 16 kHz."""
        if not self.granted or self._encoder is None:
            return [_message(pb.AudioChunk(audio_content=pcm))]
        messages = []
        if self._asking:
            self._asking = False
            prefer = pb.Prefer(downlink=pb.OPUS)
            messages.append(pb.ClientToServerMessage(prefer=prefer).SerializeToString())
        self._waiting += pcm
        if len(self._waiting) >= PACKET_BYTES:
            packets = self._encoder.encode(bytes(self._waiting))
            self._waiting.clear()
            messages.append(_message(pb.AudioChunk(packets=packets)))
        return messages


def _message(chunk: pb.AudioChunk) -> bytes:
    return pb.ClientToServerMessage(audio_chunk=chunk).SerializeToString()
