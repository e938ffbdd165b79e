"""What a person sees."""

import io
import os
import re

import pytest

from preppald.candidate.display import PlainDisplay, SilentDisplay, TerminalDisplay, View, put, status, tail
from preppald.candidate.transcript import Turn
from preppald.core.turns import Speaker


def view(**changes: object) -> View:
    usual = {"state": "speaking", "position": 2.7, "length": 7.6, "level": -27.0, "time_left": 754.2}
    return View(**usual | changes)  # type: ignore[arg-type]


def turn(text: str, *, complete: bool = True, interrupted: bool = False) -> Turn:
    return Turn(1, Speaker.AI, text, 0, complete, interrupted)


def screen(written: str) -> list[str]:
    """What a terminal shows in the end: the sequences that the display uses, obeyed."""
    lines, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[\d*[A-Z]|\r|\n|[^\x1b\r\n]+", written):
        if part == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif part == "\r":
            column = 0
        elif part.endswith("A") and part.startswith("\x1b"):
            row -= int(part[2:-1])
        elif part == "\x1b[J":
            del lines[row + 1 :]
            lines[row] = lines[row][:column]
        else:
            lines[row] = lines[row][:column] + part
            column += len(part)
    return lines


def test_the_status_line_tells_place_level_state_and_time_left() -> None:
    assert status(view()) == "[#######-------------] 2.7/7.6 s  voice ###---  speaking  12:34 left"
    assert status(view(length=None, level=-96, time_left=None)) == "2.7 s  voice ------  speaking"
    assert status(view(time_left=-1)).endswith("0:00 left")


def test_on_a_terminal_finished_turns_scroll_above_two_live_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((60, 24)))
    out = io.StringIO()
    display = TerminalDisplay(out)
    display.draw(view())
    display.turn(turn("Tell me ", complete=False))
    display.draw(view())
    assert screen(out.getvalue()) == [
        "AI: Tell me ".strip(),
        "[#######-------------] 2.7/7.6 s  voice ###---  speaking  12:34 left"[:59],
    ]
    display.turn(turn("Tell me about it."))
    display.remark("10 s\x07 left")
    display.turn(turn("x" * 100, complete=False))
    display.draw(view(state="hearing the reply"))
    assert screen(out.getvalue()) == [
        "AI: Tell me about it.",
        "-- 10 s left",
        "x" * 59,
        "[#######-------------] 2.7/7.6 s  voice ###---  hearing the reply  12:34 left"[:59],
    ]
    display.finish([turn("And then", complete=False)], "Over. (3.0 s)")
    assert screen(out.getvalue()) == [
        "AI: Tell me about it.",
        "-- 10 s left",
        "AI: And then",
        "-- Over. (3.0 s)",
        "",
    ]


def test_lines_for_pipes_have_no_escapes_and_progress_apart() -> None:
    out, err = io.StringIO(), io.StringIO()
    display = PlainDisplay(out, err)
    for state in ("connecting", "speaking", "speaking"):
        display.draw(view(state=state))
    display.turn(turn("Tell", complete=False))
    display.turn(turn("Tell \x1b[2Jme."))
    display.turn(turn("Well, I", interrupted=True))
    display.finish([turn("And then", complete=False)], "Over.")
    assert out.getvalue() == "AI: Tell [2Jme.\nAI: Well, I [interrupted]\nAI: And then\n"
    assert err.getvalue() == "-- connecting\n-- speaking\n-- Over.\n"


def test_silence_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    display = SilentDisplay()
    display.draw(view())
    display.turn(turn("x"))
    display.remark("x")
    display.finish([], "x")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("text", "columns", "shown"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "bcd"),
        ("日本語", 4, "本語"),
        ("日本語", 5, "本語"),
        ("ae\u0301", 2, "ae\u0301"),
    ],
)
def test_the_end_of_a_long_line_is_what_is_shown(text: str, columns: int, shown: str) -> None:
    assert tail(text, columns) == shown


def test_a_terminal_that_knows_less_shows_question_marks() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    put(stream, "na\u00efve\n")
    assert raw.getvalue() == b"na?ve\n"


def test_a_reader_that_has_gone_is_not_mourned() -> None:
    read, write = os.pipe()
    os.close(read)
    stream = os.fdopen(write, "w")
    put(stream, "x")
    put(stream, "y")
    stream.close()
