"""The transcription model of the simulator: true words of sounds that it knows, and no guess at any other."""

import base64
from importlib import resources
import io
import wave

import msgspec
import pytest

from preppald.simulator import hearing
from preppald.simulator.generate import TextModels
from preppald.simulator.scenario import Generate
from tests.candidates import silence, tone
from tests.verification.rig import WORDS, answer

PATH = "/v1beta/models/gemini-3.5-transcribe:generateContent"


def written(
    pcm: bytes, behaviour: Generate | None = None, rate: int = 16_000, kind: str = "audio/wav"
) -> tuple[int, str]:
    """The status and the text of an answer."""
    file = io.BytesIO()
    with wave.open(file, "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(rate)
        recording.writeframes(pcm)
    data = base64.b64encode(file.getvalue()).decode()
    body = msgspec.json.encode({"contents": [{"parts": [{"inlineData": {"mimeType": kind, "data": data}}]}]})
    answer_ = TextModels().answer(PATH, "key", body, behaviour or Generate())
    assert answer_ is not None
    said = msgspec.json.decode(answer_.body)
    return answer_.status, "" if answer_.status != 200 else said["candidates"][0]["content"]["parts"][0][
        "text"
    ]


def test_it_knows_the_sample_answer_wherever_it_stands() -> None:
    assert written(silence(1.3) + answer() + silence(0.4)) == (200, WORDS)


@pytest.mark.parametrize(
    ("begin", "end", "first", "last"),
    [(0.0, 4.0, "Our", "first,"), (4.0, 7.6, "then", "zero."), (2.0, 6.0, "under", "queue,")],
)
def test_of_a_part_it_hears_the_words_of_that_part(begin: float, end: float, first: str, last: str) -> None:
    words = hearing.heard(answer()[int(begin * 32_000) : int(end * 32_000)]).words.split()
    assert (words[0], words[-1]) == (first, last)


def test_it_hears_an_answer_as_often_as_it_was_given() -> None:
    assert hearing.heard(answer() + silence(1.0) + answer()).words == f"{WORDS} {WORDS}"


def test_a_stall_of_the_line_costs_no_word() -> None:
    """A tenth of a second is missing in the middle, as a recording has it after a jump of the network."""
    pcm = answer()
    assert hearing.heard(pcm[:64_000] + silence(0.1) + pcm[67_200:]).words == WORDS


def test_it_says_when_it_does_not_know_a_sound() -> None:
    assert written(silence(1.0) + tone(2.0)) == (200, "(2.0 s of speech)")
    assert written(silence(3.0)) == (200, "")


def test_each_utterance_that_it_does_not_know_is_counted_by_itself() -> None:
    """As live transcription does: a pause that ends an utterance there ends one here, and a shorter one does not."""
    assert hearing.heard(tone(1.0) + silence(1.0) + tone(1.0) + silence(2.0) + tone(2.0)).unknown == (
        3.0,
        2.0,
    )


def test_it_knows_the_interviewers_lines() -> None:
    for pcm, words in hearing.known().items():
        assert hearing.heard(pcm).words == words
    assert len(hearing.known()) == 1 + len(
        [
            it
            for it in (resources.files("preppald.simulator") / "replies").iterdir()
            if it.name.endswith(".wav")
        ]
    )


@pytest.mark.parametrize(
    ("mishear", "first", "last"),
    [
        ("start", "I", "zero."),
        ("cut", "Our", "durable"),
        ("invent", "Our", "tomorrow"),
        ("language", "vielen", "gesprochen"),
    ],
)
def test_it_mishears_as_a_scenario_says(mishear: str, first: str, last: str) -> None:
    _, text = written(answer(), Generate(mishear=mishear))  # type: ignore[arg-type]
    words = text.split()
    assert words[0] in {first, "measured", "load."} or words[0] == first
    assert words[-1].startswith(last) or mishear == "cut"
    assert text != WORDS


def test_it_takes_no_other_sound() -> None:
    assert written(answer(), rate=8_000)[0] == 400
    assert written(answer(), kind="audio/mp3")[0] == 400
