"""What of a transcript is in doubt, what is sent, and what is made of the answer."""

import base64
import io
import wave

import msgspec
import pytest

from preppald.core.checks import RATE_HZ, CheckedTurn, TurnToCheck, decode, doubts, request
from preppald.core.deliveries import TranscriptLine
from preppald.core.feedback import corrected
from preppald.core.generation import GenerationError
from preppald.core.turns import Speaker
from preppald.core.verification import Flag

TEN = "so I wrote a small test which then failed always"


def said(text: str, seconds: float) -> TurnToCheck:
    return TurnToCheck(1, text, 0, round(seconds * 1000))


@pytest.mark.parametrize(
    ("text", "seconds", "voice", "found"),
    [
        (TEN, 4.0, 3.8, []),
        (TEN, 12.0, 11.0, ["words a second"]),
        (TEN, 2.0, 1.8, ["words a second"]),
        (TEN, 20.0, 9.0, ["few words", "our ear"]),
        ("", 8.0, 8.0, ["words a second"]),
        ("我在春天加入了团队我们发现有问题", 4.0, 4.0, ["another language"]),
        ("ich habe dann eine Prüfung geschrieben die immer scheiterte", 4.0, 4.0, ["another language"]),
        (TEN, 4.0, 0.2, ["words a second", "our ear"]),
    ],
)
def test_signs_of_trouble(text: str, seconds: float, voice: float, found: list[str]) -> None:
    assert doubts(said(text, seconds), voice, ("en-US",)) == found


def test_characters_have_a_pace_of_their_own() -> None:
    """Four a second are usual in Mandarin, and far too many words in English."""
    assert doubts(said("我在春天加入了团队我们发现有问题", 4.0), 4.0, ("zh-CN",)) == []


def test_a_call_holds_one_turn_as_wav_and_what_is_expected_in_it() -> None:
    body = msgspec.json.decode(request(bytes(RATE_HZ * 2), ("de-DE",), ("Kubernetes",)))
    (part,) = body["contents"][0]["parts"]
    assert part["inlineData"]["mimeType"] == "audio/wav"
    with wave.open(io.BytesIO(base64.b64decode(part["inlineData"]["data"]))) as file:
        assert file.getparams()[:4] == (1, 2, RATE_HZ, RATE_HZ)
    config = body["generationConfig"]["audioTranscriptionConfig"]
    assert config == {"languageCodes": ["de-DE"], "customVocabulary": ["Kubernetes"]}
    assert "generationConfig" not in msgspec.json.decode(request(b""))


def test_answers() -> None:
    found = decode(
        b'{"candidates":[{"content":{"parts":[{"text":"hm","thought":true},{"text":" well\\n yes\\u0000 "}]},'
        b'"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":260,"candidatesTokenCount":4}}'
    )
    assert (found.text, found.prompt_tokens, found.response_tokens) == ("well yes", 260, 4)
    assert decode(b'{"candidates":[{"content":{"parts":[]},"finishReason":"STOP"}]}').text == ""
    for answer in (b"[", b'{"candidates":[]}', b'{"candidates":[{"content":{},"finishReason":"SAFETY"}]}'):
        with pytest.raises(GenerationError):
            decode(answer)


def checked(turn: int, second: str, flag: Flag, live: str = "x") -> CheckedTurn:
    return CheckedTurn(turn, live, second, flag, 0.5, flag is not Flag.OK, 1_000, 2_000)


def test_a_corrected_transcript_has_the_text_to_trust() -> None:
    """What was invented goes, what was not heard comes where it was said, and all else stays."""
    lines = [
        TranscriptLine(Speaker.AI, "And you?", 1),
        TranscriptLine(Speaker.USER, "half", 2),
        TranscriptLine(Speaker.USER, "fine", 3),
        TranscriptLine(Speaker.USER, "thank you for watching", 4),
    ]
    turns = [
        checked(1, "the whole", Flag.START_MISSING),
        checked(2, "find", Flag.OK),
        checked(3, "", Flag.INVENTED),
        checked(0, "early", Flag.UNHEARD, ""),
        checked(4, "late", Flag.UNHEARD, ""),
    ]
    assert [it.content for it in corrected(lines, turns)] == [
        "early",
        "And you?",
        "the whole",
        "fine",
        "late",
    ]
    assert [it.content for it in corrected(lines, ())] == [it.content for it in lines]
