"""Voice-activity detection: audio in, events out, no clock."""

from hypothesis import given, strategies as st
import pytest

from preppald.simulator.vad import Ear, SpeechEnded, SpeechStarted, VadSettings, loudness
from preppald.simulator.voice import recordings
from tests.simulator.caller import quiet, voice

Event = SpeechStarted | SpeechEnded


def hear(
    pcm: bytes, *, chunk: int = 10**9, rate: int = 16_000, settings: VadSettings | None = None
) -> list[Event]:
    ear = Ear(settings or VadSettings())
    return [
        event for start in range(0, len(pcm), chunk) for event in ear.feed(pcm[start : start + chunk], rate)
    ]


SPEECH = quiet(0.06) + voice(5.19) + quiet(2.0)


def test_the_recorded_timing() -> None:
    """Recorded on 3.8-live (2026-09-29): speech 60 to 5250 ms; START at 0.240 s, END at 6.040 s."""
    assert hear(SPEECH) == [SpeechStarted(0.24), SpeechEnded(6.04, 5.2)]


@given(st.integers(1, 5000))
def test_chunks_do_not_matter(chunk: int) -> None:
    """Any split gives the same events, odd bytes included."""
    pcm = quiet(0.1) + voice(0.5) + quiet(1.0)
    assert hear(pcm, chunk=chunk) == hear(pcm)


def test_settings() -> None:
    """A short prefix starts sooner, a long silence ends later."""
    settings = VadSettings(prefix_padding_ms=20, silence_duration_ms=1000)
    assert hear(SPEECH, settings=settings) == [SpeechStarted(0.08), SpeechEnded(6.54, 5.2)]


def test_no_prefix_at_all() -> None:
    settings = VadSettings(prefix_padding_ms=0, silence_duration_ms=0)
    assert hear(SPEECH, settings=settings)[0] == SpeechStarted(0.08)


def test_other_rates() -> None:
    """The offset is in seconds whatever the rate is."""
    pcm = quiet(0.1, rate=48_000) + voice(1.0, rate=48_000) + quiet(1.0, rate=48_000)
    assert hear(pcm, rate=48_000)[0] == SpeechStarted(0.28)


@pytest.mark.parametrize(
    "pcm", [quiet(5.0), voice(5.0, amplitude=300), voice(0.1) + quiet(3.0)], ids=["silence", "hiss", "click"]
)
def test_what_is_not_speech(pcm: bytes) -> None:
    assert hear(pcm) == []


def test_pauses_inside_an_utterance() -> None:
    """A pause shorter than the silence asked for does not end it."""
    pcm = voice(1.0) + quiet(0.5) + voice(1.0) + quiet(1.0)
    started, ended = hear(pcm)
    assert isinstance(started, SpeechStarted)
    assert isinstance(ended, SpeechEnded)
    assert ended.seconds == 2.5


def test_real_speech() -> None:
    """A spoken line at its own rate is one utterance."""
    events = hear(recordings()["greeting"].pcm + quiet(2.0, rate=24_000), rate=24_000)
    assert [type(event) for event in events] == [SpeechStarted, SpeechEnded]


def test_flush() -> None:
    """Closing the microphone ends the utterance; when nobody spoke it is nothing."""
    ear = Ear(VadSettings())
    assert list(ear.feed(voice(1.0), 16_000)) == [SpeechStarted(0.18)]
    assert list(ear.flush()) == [SpeechEnded(1.0, 1.0)]
    assert list(ear.flush()) == []


def test_loudness() -> None:
    assert loudness(b"") == 0
    assert loudness(bytes(640)) == 0
    assert loudness(b"\x00\x10" * 320) == 4096
