"""libopus by way of ctypes: what goes in comes out, and nothing that comes from a browser can do harm."""

from array import array
import gc
import math
from pathlib import Path
import random
import resource

from hypothesis import given, settings, strategies as st
import pytest

from preppald.audio import opus
from preppald.audio.opus import MAX_PACKET_BYTES, Decoder, Encoder
from tests.coders import VOICES, the_library, voice

RATES = (16_000, 24_000)
# The toc byte of a packet of one 20 ms frame of wideband speech (RFC 6716 §3.1), alone: a frame that was not sent.
TWENTY_MS = bytes([9 << 3])
# Two frames of 60 ms, and one of 2.5 ms: more and less than a packet may hold here.
TOO_LONG, TOO_SHORT = bytes([11 << 3 | 1, 0, 0]), bytes([16 << 3, 0, 0])


def likeness(one: bytes, other: bytes) -> float:
    """Return the correlation of two sounds: 1 for the same, 0 for strangers."""
    size = min(len(one), len(other))
    a, b = array("h", one[:size]), array("h", other[:size])
    product = sum(x * y for x, y in zip(a, b, strict=True))
    return product / math.sqrt(sum(x * x for x in a) * sum(x * x for x in b))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("path", VOICES[:3], ids=lambda path: path.stem)
def test_a_voice_comes_out_whole_and_in_its_place(path: Path, rate: int) -> None:
    """The same length and up to 20 ms of silence more, less than two samples early or late, in pieces of any length."""
    found, pcm = the_library(), voice(path, rate)
    encoder, decoder = Encoder(found, rate), Decoder(found, rate)
    chance = random.Random(1)
    packets: list[bytes] = []
    at = 0
    while at < len(pcm):
        size = 2 * chance.randrange(1, rate // 4)
        packets += encoder.encode(pcm[at : at + size])
        at += size
    packets += encoder.finish()
    heard = b"".join(map(decoder.decode, packets))
    assert 0 <= len(heard) - len(pcm) < rate // 25 * 2
    in_place = max(likeness(heard, pcm), likeness(heard, pcm[2:]))
    assert in_place > 0.9
    assert likeness(heard[4:], pcm) < in_place > likeness(heard, pcm[6:])
    assert decoder.damaged == 0
    assert max(map(len, packets)) < 400
    assert sum(map(len, packets)) / (len(pcm) / 2 / rate) < 3_600, "bytes a second"


def test_packets_hold_20_to_60_ms() -> None:
    found = the_library()
    encoder = Encoder(found, 24_000)
    second = voice(VOICES[0], 24_000)[:48_000]
    assert encoder.encode(second[:958]) == []
    assert len(encoder.encode(second[958:960])) == 1
    packets = encoder.encode(second)
    assert [len(Decoder(found, 24_000).decode(packet)) for packet in packets] == [2 * (1440 - 156)] * 16 + [
        2 * (960 - 156)
    ]


def test_finish_brings_all_that_is_owed_once() -> None:
    found = the_library()
    encoder, decoder = Encoder(found, 16_000), Decoder(found, 16_000)
    assert len(b"".join(map(decoder.decode, encoder.finish()))) == 640 - 208
    packets = encoder.encode(bytes(640 * 3 + 100)) + encoder.finish()
    assert sum(len(decoder.decode(packet)) for packet in packets) == 640 * 4


def test_a_new_stream_skips_its_own_beginning() -> None:
    found = the_library()
    encoder, decoder = Encoder(found, 16_000), Decoder(found, 16_000)
    for _ in range(2):
        [packet] = encoder.encode(bytes(640))
        assert len(decoder.decode(packet)) == 640 - 208
        assert encoder.encode(bytes(100)) == []
        encoder.restart()
        decoder.restart()


@pytest.mark.parametrize(
    "packet", [b"", b"\xff", bytes(MAX_PACKET_BYTES + 1), TOO_LONG, TOO_SHORT, b"\x03\xff" + bytes(20)]
)
def test_a_damaged_packet_is_concealed_and_counted(packet: bytes) -> None:
    found, pcm = the_library(), voice(VOICES[0], 16_000)
    encoder, decoder = Encoder(found, 16_000), Decoder(found, 16_000)
    packets = encoder.encode(pcm[: 1920 * 20])
    heard = [decoder.decode(one) for one in packets[:10]]
    heard.append(decoder.decode(packet))
    heard += [decoder.decode(one) for one in packets[11:]]
    assert decoder.damaged == 1
    assert len(b"".join(heard)) == 1920 * 20 - 208, "time goes on as if nothing had been lost"
    assert likeness(b"".join(heard[12:]), pcm[1920 * 12 - 208 :]) > 0.85, "and so does the voice"


def test_a_stream_of_nothing_but_damage_is_quiet() -> None:
    decoder = Decoder(the_library(), 16_000)
    assert [len(decoder.decode(b"\xff")) for _ in range(3)] == [640 - 208, 640, 640]
    assert not any(decoder.decode(b"\xff"))
    assert decoder.damaged == 4


@settings(deadline=None, max_examples=500)
@given(packets=st.lists(st.binary(max_size=1400), max_size=8), head=st.integers(0, 255))
def test_no_packet_raises_or_makes_more_than_its_60_ms(packets: list[bytes], head: int) -> None:
    decoder = Decoder(the_library(), 16_000)
    for packet in (TWENTY_MS, *packets, *(bytes([head]) + packet for packet in packets)):
        pcm = decoder.decode(packet)
        assert len(pcm) <= 1920
        assert len(pcm) % 2 == 0


def test_coders_are_gone_with_the_last_who_knows_them() -> None:
    """2000 of each would hold 120 MB."""
    found = the_library()

    def use() -> None:
        encoder, decoder = Encoder(found, 24_000), Decoder(found, 16_000)
        for packet in encoder.encode(bytes(1920)):
            decoder.decode(packet)

    for _ in range(50):
        use()
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(2000):
        use()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 8 * 1024, "KiB"


def test_a_rate_that_opus_does_not_know_is_refused() -> None:
    found = the_library()
    with pytest.raises(ValueError, match="44100 Hz"):
        Encoder(found, 44_100)
    with pytest.raises(ValueError, match="44100 Hz"):
        Decoder(found, 44_100)


def test_a_system_without_it_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library of that name that is another counts as none."""
    monkeypatch.setattr(opus, "NAMES", ("libpreppald-has-no-such.so.0", "libc.so.6"))
    assert opus.library.__wrapped__() is None
