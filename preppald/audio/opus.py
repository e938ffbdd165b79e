"""Opus (RFC 6716) by way of libopus, where the system has it: PCM in, packets out, and the other way round.

Rule 1: a coder's whole state lies in a buffer of Python's, which libopus is given at each call: nothing is allocated
        in C, so nothing can be freed twice or never, and a coder is gone when nobody refers to it.
Rule 2: a damaged packet is concealed and counted. No packet raises, and none makes more than its 60 ms of sound.
Rule 3: a stream begins with PRE_SKIP_SECONDS that are the coder's own and no sound; the decoder drops them. The encoder's
        ``finish`` brings out as much at the end, so that a stream holds the sound that went in, and some silence.
Rule 4: a coder is used by one thread at a time. Encoding lets go of the interpreter, for it takes 4 to 5 ms a second of
        speech; decoding, which takes half of one, does not: getting the interpreter back may take longer than that.

DTX is off, for Gemini needs to hear silence, and so is in-band FEC, which is of no use over TCP.
"""

import ctypes
from functools import cache

BYTES_PER_SAMPLE = 2
# The shortest and the longest packet of the contract. Shorter ones cost more than they save; 60 ms is Opus' longest frame.
MIN_PACKET_SECONDS, MAX_PACKET_SECONDS = 0.02, 0.06
# RFC 6716 §3.2.1: the most that one frame takes. A packet of 60 ms and of no more than that has 170 kbit/s.
MAX_PACKET_BYTES = 1275
# libopus' look-ahead at every rate: 2.5 ms of its own and 4 ms that even out its two modes.
PRE_SKIP_SECONDS = 0.0065
# A sixteenth of PCM at 24 kHz. docs/performance.md has what is left of a voice by it.
BITS_PER_SECOND = 24_000
# Of 0 to 10: takes half the time of 8 to 10.
COMPLEXITY = 5
# The names of its only ABI so far, on Linux (also in the binary) and on macOS.
NAMES = ("libopus.so.0", "libopus.0.dylib")

# opus_defines.h
_OK = 0
_APPLICATION_VOIP = 2048
_SET_BITRATE, _SET_VBR, _SET_COMPLEXITY = 4002, 4006, 4010
_SET_INBAND_FEC, _SET_DTX, _RESET_STATE, _SET_SIGNAL = 4012, 4016, 4028, 4024
_SIGNAL_VOICE = 3001
_FASTEST_HZ = 48_000


class Library:
    """A libopus that was found. ``version``: as it names itself."""

    def __init__(self, name: str) -> None:
        """Load the library of this name.

        Raises:
            OSError: there is none, or it cannot be loaded.
            AttributeError: it is no libopus.
        """
        free = ctypes.CDLL(name)  # lets go of the interpreter during a call
        held = ctypes.PyDLL(name)  # does not
        free.opus_get_version_string.restype = ctypes.c_char_p
        self.version = free.opus_get_version_string().decode("ascii", "replace")
        self.encoder_bytes = int(free.opus_encoder_get_size(1))
        self.decoder_bytes = int(free.opus_decoder_get_size(1))
        buffer, number = ctypes.c_void_p, ctypes.c_int
        self.encode = free.opus_encode
        self.encode.argtypes = [buffer, buffer, number, buffer, ctypes.c_int32]
        self.encoder_init = held.opus_encoder_init
        self.encoder_init.argtypes = [buffer, ctypes.c_int32, number, number]
        # Takes any number of arguments in C. All of ours are integers, which Linux passes in the same registers.
        self.encoder_ctl = held.opus_encoder_ctl
        self.encoder_ctl.argtypes = [buffer, number, number]
        self.decode = held.opus_decode
        self.decode.argtypes = [buffer, ctypes.c_char_p, ctypes.c_int32, buffer, number, number]
        self.decoder_init = held.opus_decoder_init
        self.decoder_init.argtypes = [buffer, ctypes.c_int32, number]
        self.samples = held.opus_packet_get_nb_samples
        self.samples.argtypes = [ctypes.c_char_p, ctypes.c_int32, ctypes.c_int32]

    def seconds(self, packet: bytes) -> float:
        """Return how much sound a packet of ours has."""
        return int(self.samples(packet, len(packet), _FASTEST_HZ)) / _FASTEST_HZ


@cache
def library() -> Library | None:
    """Return the system's libopus, looked for once a process; None where there is none that can be used."""
    for name in NAMES:
        try:
            return Library(name)
        except (OSError, AttributeError):
            continue
    return None


class Encoder:
    """Makes packets of PCM (s16le mono); ``rate_hz``: 8000, 12000, 16000, 24000 or 48000."""

    def __init__(self, found: Library, rate_hz: int, bits_per_second: int = BITS_PER_SECOND) -> None:
        self._library = found
        self._rate_hz = rate_hz
        self._state = ctypes.create_string_buffer(found.encoder_bytes)
        status = found.encoder_init(self._state, rate_hz, 1, _APPLICATION_VOIP)
        if status != _OK:
            raise ValueError(f"libopus takes no {rate_hz} Hz (error {status})")
        for request, value in (
            (_SET_BITRATE, bits_per_second),
            (_SET_VBR, 1),
            (_SET_COMPLEXITY, COMPLEXITY),
            (_SET_INBAND_FEC, 0),
            (_SET_DTX, 0),
            (_SET_SIGNAL, _SIGNAL_VOICE),
        ):
            found.encoder_ctl(self._state, request, value)
        self._packet = ctypes.create_string_buffer(MAX_PACKET_BYTES)
        self._short = _pcm_bytes(rate_hz, MIN_PACKET_SECONDS)
        self._long = _pcm_bytes(rate_hz, MAX_PACKET_SECONDS)
        # Less than the shortest packet's sound.
        self._rest = b""

    def encode(self, pcm: bytes) -> list[bytes]:
        """Return the packets that are full now, of up to 60 ms each. Less than 20 ms stays for the next call."""
        pcm = self._rest + pcm
        packets = []
        at = 0
        while len(pcm) - at >= self._short:
            left = len(pcm) - at
            size = self._long if left >= self._long else left - left % self._short
            packets.append(self._encoded(pcm[at : at + size]))
            at += size
        self._rest = pcm[at:]
        return packets

    def finish(self) -> list[bytes]:
        """Return packets with the rest of the sound and what the coder holds back, filled up with silence."""
        owed = len(self._rest) + _pcm_bytes(self._rate_hz, PRE_SKIP_SECONDS)
        return self.encode(bytes(-owed % self._short + owed - len(self._rest)))

    def restart(self) -> None:
        """Begin a new stream, without what was held back of the old one."""
        self._rest = b""
        self._library.encoder_ctl(self._state, _RESET_STATE, 0)

    def _encoded(self, pcm: bytes) -> bytes:
        samples = len(pcm) // BYTES_PER_SAMPLE
        size = self._library.encode(self._state, pcm, samples, self._packet, MAX_PACKET_BYTES)
        if size < 0:  # which only arguments that libopus does not take can cause
            raise ValueError(f"libopus took no {samples} samples at {self._rate_hz} Hz (error {size})")
        return ctypes.string_at(self._packet, size)


class Decoder:
    """Makes PCM (s16le mono) of packets; ``rate_hz``: 8000, 12000, 16000, 24000 or 48000.

    ``damaged``: how many packets were concealed so far, because they could not be read.
    """

    def __init__(self, found: Library, rate_hz: int) -> None:
        self.damaged = 0
        self._library = found
        self._rate_hz = rate_hz
        self._state = ctypes.create_string_buffer(found.decoder_bytes)
        self._least = round(MIN_PACKET_SECONDS * rate_hz)
        self._most = round(MAX_PACKET_SECONDS * rate_hz)
        self._sound = ctypes.create_string_buffer(self._most * BYTES_PER_SAMPLE)
        self._restart()

    def restart(self) -> None:
        """Begin a new stream: the next packet is the first of another encoder."""
        if self._begun:
            self._restart()

    def _restart(self) -> None:
        status = self._library.decoder_init(self._state, self._rate_hz, 1)
        if status != _OK:
            raise ValueError(f"libopus takes no {self._rate_hz} Hz (error {status})")
        self._begun = False
        self._skip = _pcm_bytes(self._rate_hz, PRE_SKIP_SECONDS)
        # The length of the last packet in samples: a damaged one counts as another of them.
        self._usual = self._least

    def decode(self, packet: bytes) -> bytes:
        """Return a packet's sound, between 20 and 60 ms of it; where it is damaged, what may have been in it."""
        self._begun = True
        samples = self._length(packet)
        made = -1
        if samples:
            made = self._library.decode(self._state, packet, len(packet), self._sound, samples, 0)
        if made < 0:
            self.damaged += 1
            made = self._library.decode(self._state, None, 0, self._sound, self._usual, 0)
        else:
            self._usual = made
        pcm = ctypes.string_at(self._sound, max(0, made) * BYTES_PER_SAMPLE)
        if self._skip:
            skipped = min(self._skip, len(pcm))
            self._skip -= skipped
            pcm = pcm[skipped:]
        return pcm

    def _length(self, packet: bytes) -> int:
        """Return how many samples a packet says that it has; 0 where that, or its size, is out of bounds."""
        if not 0 < len(packet) <= MAX_PACKET_BYTES:
            return 0
        samples = int(self._library.samples(packet, len(packet), self._rate_hz))
        return samples if self._least <= samples <= self._most else 0


def _pcm_bytes(rate_hz: int, seconds: float) -> int:
    return round(seconds * rate_hz) * BYTES_PER_SAMPLE
