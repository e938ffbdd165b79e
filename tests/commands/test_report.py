"""``preppald report``: the page of an interview, from a state directory that a real journal wrote."""

import argparse
from html.parser import HTMLParser
import json
from pathlib import Path
import stat

import pytest

from preppald.commands import report, transcript
from preppald.core.checks import CheckedTurn
from preppald.core.deliveries import verification_delivery
from preppald.core.turns import Fragment, Speaker
from preppald.core.verification import Flag
from preppald.errors import PreppaldError
from preppald.journal import OnDisk
from preppald.recording.shelf import Shelf
from tests.durable import EPOCH_MS, finished, interview, running

SOUND = b"RIFF of nobody"
HOSTILE = "<script>alert(1)</script> & \x1b[31m"


class Page(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def rects(self, kind: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == "rect" and attributes["class"] == kind]


async def fill(state_dir: Path) -> None:
    """One interview: a question, an answer, a reply that was cut, and an answer with markup in it."""
    said = [
        fragment(1, 1, Speaker.AI, "What did you build?", 0, 2_000, sound=500),
        fragment(2, 2, Speaker.USER, "A scheduler.", 3_000, 5_000),
        fragment(3, 3, Speaker.AI, "Fine. Tell me more.", 6_000, 8_000, sound=6_200, heard=5),
        fragment(4, 4, Speaker.USER, HOSTILE, 7_900, 610_000),
    ]
    async with running(OnDisk(state_dir, "a", reserve_bytes=0)) as journal:
        journal.begin(interview("iv-1", user_id="u<1>"))
        journal.add_fragments("iv-1", 1, said)
        ended_ms = EPOCH_MS + 611_000
        journal.end(
            "iv-1", 1, ending="user", cause="pressed", ended_ms=ended_ms, deliveries=[finished("iv-1")]
        )
        await journal.flush()


def fragment(
    seq: int,
    turn: int,
    speaker: Speaker,
    text: str,
    *times: int,
    sound: int | None = None,
    heard: int | None = None,
) -> Fragment:
    """``times``: its begin and end, in milliseconds since the interview began."""
    begin, end = times
    return Fragment(
        seq,
        turn,
        speaker,
        text,
        EPOCH_MS + begin,
        turn_complete=True,
        heard=heard,
        begin_ms=EPOCH_MS + begin,
        end_ms=EPOCH_MS + end,
        sound_ms=None if sound is None else EPOCH_MS + sound,
    )


def write(state_dir: Path, *options: str, interview_id: str = "iv-1") -> tuple[Page, Path]:
    parser = argparse.ArgumentParser()
    report.add_to(parser.add_subparsers())
    target = state_dir.parent / "page.html"
    arguments = parser.parse_args(["report", interview_id, "--html", str(target), *options])
    assert arguments.run(arguments, state_dir) == 0
    return Page(target.read_text("utf-8")), target


@pytest.fixture
async def state_dir(tmp_path: Path, autojump_clock: object) -> Path:
    await fill(tmp_path / "state")
    return tmp_path / "state"


async def test_what_was_said_is_there_and_nothing_else_is_obeyed(state_dir: Path) -> None:
    page, target = write(state_dir)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    for words in (
        "What did you build?",
        "A scheduler.",
        "Tell me more.",
        "<script>alert(1)</script> &",
        "user u<1>",
    ):
        assert words in page.text
    assert "\x1b" not in page.text
    assert [tag for tag, _ in page.tags].count("script") == 1  # its own
    assert not any({"src", "href"} & attributes.keys() for _, attributes in page.tags)


async def test_the_picture_has_every_turn_at_its_time(state_dir: Path) -> None:
    """Rows of ten minutes: the last answer goes on in the second."""
    page, _ = write(state_dir)
    assert [(it["data-at"], it["x"], it["width"]) for it in page.rects("AI")] == [
        ("500", "0.5", "1.5"),
        ("6200", "6.2", "1.8"),
    ]
    assert [(it["x"], it["width"]) for it in page.rects("USER")] == [
        ("3", "2"),
        ("7.9", "592.1"),
        ("0", "10"),
    ]
    assert [it["x"] for it in page.rects("wait")] == ["5"]
    assert [it["x"] for it in page.rects("cut")] == ["8"]
    assert [tag for tag, _ in page.tags].count("svg") == 2


async def test_the_unheard_part_of_a_reply_is_told_apart(state_dir: Path) -> None:
    page, target = write(state_dir)
    assert '<span class="unheard">Tell me more.</span>' in target.read_text("utf-8")
    assert "1.2 s, 1.2 s, 1.2 s" in page.text


async def test_the_recording_is_written_beside_the_page(state_dir: Path) -> None:
    shelf = Shelf(state_dir)
    shelf.directory.mkdir()
    (shelf.directory / "iv-1.1.wav").write_bytes(SOUND)
    page, target = write(state_dir, "--no-sound")
    assert "audio" not in [tag for tag, _ in page.tags]
    assert not target.with_suffix(".wav").exists()
    page, target = write(state_dir)
    assert [attributes["src"] for tag, attributes in page.tags if tag == "audio"] == ["page.wav"]
    assert target.with_suffix(".wav").read_bytes() == SOUND
    assert stat.S_IMODE(target.with_suffix(".wav").stat().st_mode) == 0o600


async def test_an_interview_that_is_not_there(state_dir: Path) -> None:
    with pytest.raises(PreppaldError, match="there is no interview 'iv-9'"):
        write(state_dir, interview_id="iv-9")
    assert not (state_dir.parent / "page.html").exists()


CHECKED = (
    CheckedTurn(
        1,
        "A scheduler.",
        "I built a scheduler.",
        Flag.START_MISSING,
        0.67,
        second_is_better=True,
        begin_ms=3_000,
        end_ms=5_000,
    ),
    CheckedTurn(3, HOSTILE, HOSTILE, Flag.OK, 1.0, second_is_better=False),
    CheckedTurn(4, "", f"And {HOSTILE}", Flag.UNHEARD, 0.0, second_is_better=True, begin_ms=610_200),
)


async def test_turns_that_were_checked_show_both_texts(autojump_clock: object, tmp_path: Path) -> None:
    """The one to trust first, the live one below; voice that was not written down stands where it was spoken."""
    await fill(tmp_path)
    async with running(OnDisk(tmp_path, "a", reserve_bytes=0)) as journal:
        journal.add_delivery(
            verification_delivery("iv-1", 1, CHECKED, model="gemini-3.5-transcribe", now_ms=EPOCH_MS)
        )
        await journal.flush()
    target = tmp_path / "page.html"
    arguments = argparse.Namespace(interview="iv-1", block=None, html=target, sound=False)
    assert report.run(arguments, tmp_path) == 0
    page = Page(target.read_text("utf-8"))
    assert "start missing I built a scheduler." in page.text
    assert "live, 67% agreed: A scheduler." in page.text
    assert "unheard And <script>" in page.text
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert sum(attributes.get("class") == "flagged" for _, attributes in page.tags) == 2
    assert sum(attributes.get("class") == "checked" for _, attributes in page.tags) == 1
    assert "Turns checked by a second ear, with a defect3, 2" in page.text.replace("\n", "")


async def test_the_transcript_has_both_texts(
    autojump_clock: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In JSON: beside each turn what a second ear heard, and apart from them what had no turn."""
    await fill(tmp_path)
    async with running(OnDisk(tmp_path, "a", reserve_bytes=0)) as journal:
        journal.add_delivery(
            verification_delivery("iv-1", 1, CHECKED, model="gemini-3.5-transcribe", now_ms=EPOCH_MS)
        )
        await journal.flush()
    arguments = argparse.Namespace(interview="iv-1", block=None, format="json", output=None)
    assert transcript.run(arguments, tmp_path) == 0
    told = json.loads(capsys.readouterr().out)
    turns = told["turns"]
    assert [it["checked"] and it["checked"]["flag"] for it in turns] == [None, "start missing", None, "ok"]
    assert turns[1]["checked"]["second"] == "I built a scheduler."
    assert turns[1]["checked"]["second_is_better"] is True
    assert [it["second"] for it in told["voice_without_words"]] == [f"And {HOSTILE}"]
