"""Replies as scores, and the voice that gives them."""

import base64

from hypothesis import given, strategies as st
import pytest

from preppald.simulator.reply import Score, compose, parts
from preppald.simulator.scenario import Audio, Frames
from preppald.simulator.voice import Line, deltas, hum, line_of_turn, recordings, spoken
from tests.simulator.caller import pcm_of, said


def frames_of(score: Score) -> list[dict[str, object]]:
    return [cue.frame for cue in score.cues]


@given(
    pcm=st.binary(min_size=1, max_size=20_000),
    text=st.lists(st.text(st.characters(codec="ascii", exclude_characters=" "), min_size=1), min_size=1).map(
        " ".join
    ),
    audio=st.builds(
        Audio,
        part_ms=st.integers(5, 100),
        parts_per_frame=st.integers(1, 4),
        odd=st.booleans(),
        thoughts=st.booleans(),
    ),
    frames=st.builds(Frames, bundled=st.booleans(), empty=st.booleans()),
    late=st.booleans(),
)
def test_nothing_is_lost(pcm: bytes, text: str, audio: Audio, frames: Frames, late: bool) -> None:  # noqa: FBT001
    """However a reply is cut up, all of its audio and words are there, in time order."""
    flaws = {"late-audio"} if late else set()
    score = compose(Line(text, pcm), audio, frames, transcribe=True, flaws=flaws)  # type: ignore[arg-type]
    assert pcm_of(frames_of(score)) == pcm
    assert said(frames_of(score)) == text
    times = [cue.at for cue in score.cues]
    assert times == sorted(times)


def test_the_pace() -> None:
    """Four times faster than real time, in parts of 40 ms."""
    line = recordings()["greeting"]
    score = compose(line, Audio(), Frames(), transcribe=False)
    assert [cue.at for cue in score.cues][:3] == pytest.approx([0.0, 0.01, 0.02])
    assert score.cues[-1].frame == {"serverContent": {"generationComplete": True}}
    assert score.cues[-1].at == pytest.approx(line.seconds / 4)
    assert score.seconds == line.seconds


def test_frames_stay_small() -> None:
    """The largest frame that a scenario can ask for is below 1 MiB, where Google's Python SDK hangs up."""
    score = compose(
        Line("x", bytes(48_000 * 40)), Audio(part_ms=5000, parts_per_frame=3), Frames(), transcribe=True
    )
    assert max(len(repr(frame)) for frame in frames_of(score)) < 2**20


def test_options() -> None:
    """No rate in the mime type, thoughts before the audio, parts of odd length."""
    score = compose(
        recordings()["part"],
        Audio(rate_in_mime_type=False, thoughts=True, odd=True),
        Frames(),
        transcribe=True,
    )
    frames = repr(frames_of(score))
    assert "audio/pcm;rate" not in frames
    assert "'thought': True" in frames
    chunk = score.cues[1].frame["serverContent"]["modelTurn"]["parts"][0]["inlineData"]["data"]
    assert len(base64.b64decode(chunk)) % 2 == 1


def test_bundled() -> None:
    """Audio, transcription and generationComplete share frames."""
    score = compose(recordings()["part"], Audio(), Frames(bundled=True), transcribe=True)
    assert set(score.cues[0].frame["serverContent"]) == {"modelTurn", "outputTranscription"}
    assert set(score.cues[-1].frame["serverContent"]) == {"modelTurn", "generationComplete"}


def test_an_empty_line() -> None:
    score = compose(Line("", b""), Audio(), Frames(bundled=True), transcribe=True)
    assert [cue.frame for cue in score.cues] == [{"serverContent": {"generationComplete": True}}]


def test_parts() -> None:
    assert [len(part) for part in parts(bytes(4000), 40, odd=False)] == [1920, 1920, 160]
    assert [len(part) for part in parts(bytes(4000), 40, odd=True)] == [1919, 1921, 160]


def test_the_recordings() -> None:
    """Seven lines, the greeting first, each with a voice that can be heard, under one megabyte together."""
    lines = recordings()
    assert next(iter(lines)) == "greeting"
    assert list(lines)[-1] == "closing"
    assert sum(len(line.pcm) for line in lines.values()) < 1_000_000
    for line in lines.values():
        assert 1.0 < line.seconds < 4.0
        assert max(line.pcm[1::2]) > 0
        assert line.text


def test_rotation() -> None:
    """All lines once, then the others again: nobody is greeted twice."""
    lines = [Line(name, b"") for name in "abc"]
    assert "".join(line_of_turn(lines, turn).text for turn in range(1, 8)) == "abcbcbc"
    assert line_of_turn(lines[:1], 5).text == "a"


@given(st.text())
def test_deltas_join_to_the_text(text: str) -> None:
    assert "".join(deltas(text)) == text


def test_deltas_carry_their_spaces() -> None:
    assert deltas("One two three four five.") == ["One two three", " four five."]


def test_humming() -> None:
    assert len(hum(1.5)) == 72_000
    assert len(hum(0.01)) == 480
    assert spoken("three words here", None, None).seconds == pytest.approx(1.08)
