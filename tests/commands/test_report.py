"""``preppald report``: the page of an interview, from a state directory that a real journal wrote."""

import argparse
from html.parser import HTMLParser
import json
from pathlib import Path
import re
import stat

import pytest

from preppald.commands import report, transcript
from preppald.core.checks import CheckedTurn
from preppald.core.deliveries import verification_delivery
from preppald.core.presence import Presence, Stay
from preppald.core.quality import Quality, Service, quality
from preppald.core.turns import Fragment, Speaker
from preppald.core.verification import Flag
from preppald.errors import PreppaldError
from preppald.journal import OnDisk
from preppald.recording.shelf import AmongRecordings, Shelf
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


async def fill(state_dir: Path, went: Quality | None = None) -> None:
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
            "iv-1",
            1,
            ending="user",
            cause="pressed",
            ended_ms=ended_ms,
            deliveries=[finished("iv-1")],
            quality=went,
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


def write(
    state_dir: Path, *options: str, interview_id: str = "iv-1", target: Path | str | None = None
) -> tuple[Page, Path]:
    parser = argparse.ArgumentParser()
    report.add_to(parser.add_subparsers())
    target = state_dir.parent / "page.html" if target is None else target
    arguments = parser.parse_args(["report", interview_id, "--html", str(target), *options])
    assert arguments.run(arguments, state_dir) == 0
    return Page(Path(target).read_text("utf-8")), Path(target)


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


async def test_connections_and_gaps_are_on_the_picture(autojump_clock: object, tmp_path: Path) -> None:
    """Those to Gemini above, those to the page below; a change that nobody hears is no gap."""
    gemini = (Stay(100, 300_000), Stay(300_080, 400_000, resumed=True), Stay(404_000, None, resumed=True))
    there = Presence(browser=(Stay(0, 60_000), Stay(62_000, 611_000)), gemini=gemini)
    await fill(tmp_path / "state", quality([], 611_000, Service(rotations=1, restorations=1), there))
    page, target = write(tmp_path / "state")
    assert [(it["y"], it["x"], it["width"]) for it in page.rects("gap")] == [
        ("2", "400", "4"),
        ("43", "60", "2"),
    ]
    assert [(it["y"], it["x"]) for it in page.rects("change")] == [("2", "300")]
    assert [(it["y"], it["x"]) for it in page.rects("stay")] == [
        ("2", "0.1"),
        ("2", "300.08"),
        ("2", "404"),
        ("43", "0"),
        ("43", "62"),
        ("2", "0"),
        ("43", "0"),
    ]
    assert "Gemini again, with its memory 6:44 to 10:11" in page.text
    assert "gaps of a second and more are red" in target.read_text("utf-8")


async def test_where_no_connections_were_kept_none_are_shown(state_dir: Path) -> None:
    """Of a version that kept none."""
    page, target = write(state_dir)
    assert not page.rects("stay")
    assert "connected to Gemini" not in target.read_text("utf-8")


async def test_the_unheard_part_of_a_reply_is_told_apart(state_dir: Path) -> None:
    page, target = write(state_dir)
    assert '<bdi class="unheard">Tell me more.</bdi>' in target.read_text("utf-8")
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


async def test_a_page_is_never_written_over_a_sound(state_dir: Path) -> None:
    shelf = Shelf(state_dir)
    shelf.directory.mkdir()
    kept = shelf.directory / "iv-1.1.wav"
    kept.write_bytes(SOUND)
    with pytest.raises(AmongRecordings, match="among the recordings themselves"):
        write(state_dir, target=kept.with_suffix(".html"))
    assert kept.read_bytes() == SOUND


@pytest.mark.parametrize("name", ["", ".", "..", "/", "page.wav", "page.FLAC", "page.opus"])
async def test_a_page_has_a_files_name_and_no_sounds(
    state_dir: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    with pytest.raises(SystemExit):
        write(state_dir, target=name)
    assert "must be a file's name like iv-42.html" in capsys.readouterr().err


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
    await fill_checked(tmp_path, *CHECKED)
    target = tmp_path / "page.html"
    arguments = argparse.Namespace(interview="iv-1", block=None, html=target, sound=False)
    assert report.run(arguments, tmp_path) == 0
    page = Page(target.read_text("utf-8"))
    assert "start missing I built a scheduler." in page.text
    assert "live, 67% agreed: A scheduler." in page.text
    assert "unheard And <script>" in page.text
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert sum("flagged" in (attributes.get("class") or "") for _, attributes in page.tags) == 2
    assert sum(attributes.get("class") == "checked" for _, attributes in page.tags) == 1
    assert "Turns checked by a second ear, with a defect3, 2" in page.text.replace("\n", "")


async def test_a_line_in_another_direction_keeps_it(autojump_clock: object, tmp_path: Path) -> None:
    """Of our own words beside it each says its direction, so that ``dir="auto"`` looks at the talk's first letter."""
    spoken = "\N{HEBREW LETTER SHIN}\N{HEBREW LETTER LAMED}"
    better = CheckedTurn(1, "A scheduler.", spoken, Flag.OTHER_LANGUAGE, 0.0, second_is_better=True)
    unheard = CheckedTurn(4, "", spoken, Flag.UNHEARD, 0.0, second_is_better=True, begin_ms=610_200)
    await fill_checked(tmp_path, better, unheard)
    target = tmp_path / "page.html"
    assert (
        report.run(argparse.Namespace(interview="iv-1", block=None, html=target, sound=False), tmp_path) == 0
    )
    lines = re.findall(r'<p dir="auto">(.*?)</p></li>', target.read_text("utf-8"))
    assert len(lines) == 5
    for line in (lines[1], lines[4]):
        assert re.sub(r'<(\w+)[^>]* dir="ltr">.*?</\1>', "", line).strip().removesuffix("<br>") == spoken
    assert ' dir="ltr">— cut in</span>' in lines[2]


async def test_it_prints_dark_on_light_and_only_long_turns_are_broken(
    autojump_clock: object, tmp_path: Path
) -> None:
    """A turn of minutes, kept whole, would leave half a page empty before it."""
    words = "word " * 121
    await fill_checked(
        tmp_path, CheckedTurn(1, "A scheduler.", words, Flag.START_MISSING, 0.1, second_is_better=True)
    )
    page, target = write(tmp_path)
    kinds = [attributes["class"] for tag, attributes in page.tags if tag == "li"]
    assert kinds == ["short", "flagged long", "short", "short"]
    style = target.read_text("utf-8").partition("<style>")[2].partition("</style>")[0]
    assert (
        style.count("prefers-color-scheme: dark")
        == style.count("@media screen and (prefers-color-scheme: dark)")
        == 1
    )
    printed = style.partition("@media print {")[2]
    for rule in ("li.long { break-inside: auto; }", "print-color-adjust: exact", "audio { display: none; }"):
        assert rule in printed


async def fill_checked(state_dir: Path, *checked: CheckedTurn) -> None:
    """The same interview, after its check."""
    await fill(state_dir)
    async with running(OnDisk(state_dir, "a", reserve_bytes=0)) as journal:
        journal.add_delivery(
            verification_delivery("iv-1", 1, checked, model="gemini-3.5-transcribe", now_ms=EPOCH_MS)
        )
        await journal.flush()


def printed(state_dir: Path, form: str, capsys: pytest.CaptureFixture[str]) -> str:
    arguments = argparse.Namespace(interview="iv-1", block=None, format=form, output=None, fleet=False)
    assert transcript.run(arguments, state_dir) == 0
    return capsys.readouterr().out


async def test_the_transcript_in_text_has_the_text_to_trust_first(
    autojump_clock: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the live one below; voice without words where it was spoken; a check mark where both say the same."""
    invented = CheckedTurn(3, HOSTILE, "", Flag.INVENTED, 0.0, second_is_better=True)
    await fill_checked(tmp_path, CHECKED[0], invented, CHECKED[2])
    lines = printed(tmp_path, "text", capsys).splitlines()
    assert lines[1:] == [
        "a second ear heard 2 of 2 answers: \N{CHECK MARK} where both texts say the same;",
        "3 with a mark like [start missing], where its text is to be trusted and stands first",
        "",
        "   0:00  AI    What did you build?",
        "   0:03  USER  [start missing] I built a scheduler.",
        "               (live, 67% agreed: A scheduler.)",
        "   0:06  AI    Fine. [interrupted]",
        "   0:07  USER  [invented] (nothing)",
        "               (live, 0% agreed: <script>alert(1)</script> & \N{REPLACEMENT CHARACTER}[31m)",
        "  10:10  USER  [unheard] And <script>alert(1)</script> & \N{REPLACEMENT CHARACTER}[31m",
    ]


async def test_a_turn_that_both_ears_heard_the_same_has_a_check_mark(
    autojump_clock: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await fill_checked(
        tmp_path, CheckedTurn(1, "A scheduler.", "A scheduler", Flag.OK, 1.0, second_is_better=False)
    )
    lines = printed(tmp_path, "text", capsys).splitlines()
    assert [line for line in lines if line.startswith("   0:03")] == [
        "   0:03  USER  A scheduler. \N{CHECK MARK}"
    ]
    assert "A scheduler.\n" in printed(tmp_path, "vtt", capsys)


async def test_a_transcript_that_was_not_checked_is_as_it_always_was(
    autojump_clock: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await fill(tmp_path)
    assert printed(tmp_path, "text", capsys).splitlines()[1:3] == ["", "   0:00  AI    What did you build?"]
    assert "NOTE" not in printed(tmp_path, "vtt", capsys)


async def test_captions_have_the_text_to_trust_and_the_live_one_in_a_note(
    autojump_clock: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await fill_checked(tmp_path, *CHECKED)
    blocks = printed(tmp_path, "vtt", capsys).strip().split("\n\n")
    assert blocks[0] == "WEBVTT"
    assert blocks[1].startswith("NOTE\nA second ear heard this sound.")
    assert blocks[3:5] == [
        "NOTE start missing, 67% agreed; live: A scheduler.",
        "00:00:03.000 --> 00:00:05.000\n<v Candidate>[start missing] I built a scheduler.",
    ]
    assert blocks[-2] == "NOTE unheard: the live transcription has no words here"
    assert blocks[-1].startswith("00:10:10.200 --> ")
    assert "\n<v Candidate>[unheard] And &lt;script&gt;" in blocks[-1]
    assert sum("-->" in block for block in blocks) == 5, "one arrow a caption, and none in a note"


async def test_the_transcript_has_both_texts(
    autojump_clock: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In JSON: beside each turn what a second ear heard, and apart from them what had no turn."""
    await fill_checked(tmp_path, *CHECKED)
    arguments = argparse.Namespace(interview="iv-1", block=None, format="json", output=None, fleet=False)
    assert transcript.run(arguments, tmp_path) == 0
    told = json.loads(capsys.readouterr().out)
    turns = told["turns"]
    assert [it["checked"] and it["checked"]["flag"] for it in turns] == [None, "start missing", None, "ok"]
    assert turns[1]["checked"]["second"] == "I built a scheduler."
    assert turns[1]["checked"]["second_is_better"] is True
    assert [it["second"] for it in told["voice_without_words"]] == [f"And {HOSTILE}"]
