"""Our own ear: speech in noise, noise without speech, coughs, and machines that hum."""

from array import array
from functools import cache
import math
from pathlib import Path
import random
import wave

import pytest

from preppald.core.ear import BRIDGE_SECONDS, Ear

ROOT = Path(__file__).parents[2] / "preppald"
RATE = 16_000
PIECE = 640
# The longest answer here with the room before and after; one room of each colour serves them all.
ROOM_SECONDS = 30
SAMPLES = ("candidate/answer.wav", "simulator/replies/greeting.wav", "simulator/replies/part.wav")


@cache
def sample(name: str) -> "array[int]":
    """A committed recording at 16 kHz; every third of two samples is left out of those at 24 kHz."""
    with wave.open(str(ROOT / name)) as file:
        heard = array("h", file.readframes(file.getnframes()))
        ratio = file.getframerate() / RATE
    return array("h", (heard[int(place * ratio)] for place in range(int(len(heard) / ratio))))


@cache
def noise(seconds: float, rms: float, *, pink: bool, seed: int = 1) -> "array[int]":
    chance, level, found = random.Random(seed), 0.0, array("h")
    for _ in range(round(seconds * RATE)):
        white = chance.gauss(0.0, 1.0)
        level = 0.95 * level + math.sqrt(1 - 0.95**2) * white if pink else white
        found.append(max(-32768, min(32767, round(level * rms))))
    return found


def louder(sound: "array[int]", factor: float) -> "array[int]":
    return array("h", (max(-32768, min(32767, round(value * factor))) for value in sound))


def mixed(one: "array[int]", other: "array[int]") -> bytes:
    return array("h", (max(-32768, min(32767, a + b)) for a, b in zip(one, other, strict=False))).tobytes()


def hear(ear: Ear, pcm: bytes, now: float) -> list[tuple[float, bool]]:
    """When the ear heard somebody speak."""
    found = []
    for at in range(0, len(pcm), PIECE):
        now += PIECE / 2 / RATE
        ear.hear(pcm[at : at + PIECE], now)
        found.append((now, ear.speaking(now)))
    return found


@pytest.mark.parametrize("pink", [False, True], ids=["white", "pink"])
@pytest.mark.parametrize("ratio_db", [20, 10, 0])
@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.slow
def test_speech_is_heard_in_noise(name: str, ratio_db: int, pink: bool) -> None:  # noqa: FBT001
    """Begun within 2.5 s, never lost within an answer, and over within the bridge; noise alone is no answer."""
    speech = sample(name)
    rms = math.sqrt(sum(value * value for value in speech) / len(speech))
    answer = speech * math.ceil(6 * RATE / len(speech))
    loudness = rms / 10 ** (ratio_db / 20)
    assert 12 + len(answer) / RATE + 5 <= ROOM_SECONDS
    room = louder(noise(ROOM_SECONDS, 100, pink=pink), loudness / 100)
    ear = Ear()
    hear(ear, room[: 12 * RATE].tobytes(), 0.0)
    ear.reset()
    at = 12.0
    spoken = hear(ear, mixed(answer, room[12 * RATE :]), at)
    began = next(now for now, speaking in spoken if speaking) - at
    assert began < 2.5
    lost = [now for now, speaking in spoken if now > at + 2.5 and not speaking]
    assert len(lost) <= 0.02 * len(spoken)
    assert ear.spoke
    at = spoken[-1][0]
    after = hear(ear, room[12 * RATE + len(answer) : 17 * RATE + len(answer)].tobytes(), at)
    assert next(now for now, speaking in after if not speaking) - at < BRIDGE_SECONDS + 0.3
    ear.reset()
    hear(ear, louder(noise(12, 100, pink=pink, seed=2), loudness / 100).tobytes(), after[-1][0])
    assert not ear.spoke


def test_a_cough_is_voice_and_no_answer() -> None:
    ear = Ear()
    hear(ear, noise(3, 80, pink=False).tobytes(), 0.0)
    hear(ear, noise(0.4, 4000, pink=True).tobytes(), 3.0)
    hear(ear, noise(3, 80, pink=False).tobytes(), 3.4)
    assert ear.any_voice
    assert not ear.spoke


def test_a_level_that_does_not_vary_for_ten_seconds_is_noise() -> None:
    """A fan that is switched on: taken for voice at first, and then forgotten."""
    ear = Ear()
    hear(ear, noise(3, 80, pink=False).tobytes(), 0.0)
    heard = hear(ear, noise(30, 1500, pink=False).tobytes(), 3.0)
    assert any(speaking for now, speaking in heard if now < 5)
    assert not any(speaking for now, speaking in heard if now > 15)
    assert not ear.spoke
    assert ear.heard_at is None


def test_after_the_fan_speech_is_still_heard() -> None:
    ear = Ear()
    hear(ear, noise(20, 600, pink=False).tobytes(), 0.0)
    ear.reset()
    speech = sample(SAMPLES[0])
    hear(ear, mixed(speech, noise(len(speech) / RATE, 600, pink=False, seed=3)), 20.0)
    assert ear.spoke


def test_an_echo_of_the_interviewer_does_not_count() -> None:
    """It is heard, which holds prompts back, and is no answer."""
    ear, now = Ear(), 0.0
    for at in range(0, 3 * RATE * 2, PIECE):
        now += 0.02
        ear.hear(sample(SAMPLES[1]).tobytes()[at : at + PIECE], now, counts=False)
    assert ear.speaking(now)
    assert not ear.any_voice
    assert not ear.spoke


@pytest.mark.parametrize("size", [86, 641, 6400, 32_001])
def test_pieces_of_any_length_are_heard_alike(size: int) -> None:
    """Odd ones, too: half a sample may come with the next."""
    ear, now = Ear(), 0.0
    pcm = noise(2, 80, pink=False).tobytes() + sample(SAMPLES[0]).tobytes()
    for at in range(0, len(pcm), size):
        now += size / 2 / RATE
        ear.hear(pcm[at : at + size], now)
    assert ear.spoke
    quiet = Ear()
    hear_all = noise(10, 80, pink=False).tobytes()
    for at in range(0, len(hear_all), size):
        quiet.hear(hear_all[at : at + size], at / 2 / RATE)
    assert not quiet.any_voice
