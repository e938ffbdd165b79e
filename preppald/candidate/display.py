"""Displays a call for a person.

``TerminalDisplay``: finished turns scroll by above two live lines, redrawn in place: the turn that is still being
said, and a status line. ``PlainDisplay``: a line for each finished turn on stdout, stages and remarks on
stderr. ``SilentDisplay``: nothing.
"""

from dataclasses import dataclass
import os
import shutil
from typing import Protocol, TextIO
import unicodedata

from preppald.candidate.link import one_line
from preppald.candidate.transcript import Turn
from preppald.candidate.wav import CannotWriteError

BAR_COLUMNS = 20
METER_COLUMNS = 6
METER_FLOOR_DBFS = -54.0  # the meter's left end; its right end is full scale
MIN_COLUMNS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The visible state of a call at one moment.

    ``state``: the stage, in words. ``position``, ``length``: of the file, seconds; the length may be unknown.
    ``level``: of the candidate's voice now, dBFS. ``time_left``: of the interview, seconds.
    """

    state: str
    position: float
    length: float | None
    level: float
    time_left: float | None


class Display(Protocol):
    """The interface of a display."""

    def turn(self, turn: Turn) -> None:
        """Show a turn that has grown or ended."""

    def remark(self, text: str) -> None:
        """Show an event that a person should know, in one line."""

    def draw(self, view: View) -> None:
        """Draw the status; called several times a second."""

    def finish(self, unfinished: list[Turn], closing: str) -> None:
        """End the display with the call. ``closing``: its summary."""


class SilentDisplay:
    """For --quiet and --json."""

    def turn(self, turn: Turn) -> None: ...

    def remark(self, text: str) -> None: ...

    def draw(self, view: View) -> None: ...

    def finish(self, unfinished: list[Turn], closing: str) -> None: ...


class PlainDisplay:
    """Lines, for files and pipes."""

    def __init__(self, transcript: TextIO, progress: TextIO) -> None:
        self._transcript = transcript
        self._progress = progress
        self._state = ""

    def turn(self, turn: Turn) -> None:
        if turn.complete:
            put(self._transcript, line_of(turn) + "\n")

    def remark(self, text: str) -> None:
        put(self._progress, f"-- {one_line(text)}\n")

    def draw(self, view: View) -> None:
        if view.state != self._state:
            self._state = view.state
            self.remark(view.state)

    def finish(self, unfinished: list[Turn], closing: str) -> None:
        for turn in unfinished:
            put(self._transcript, line_of(turn) + "\n")
        self.remark(closing)


class TerminalDisplay:
    """Finished lines above a live area of two lines. Uses only what every ANSI terminal knows."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self._live_lines = 0  # how many lines of the live area are on the screen
        self._saying: Turn | None = None
        self._view: View | None = None

    def turn(self, turn: Turn) -> None:
        if turn.complete:
            self._saying = None
            self._print(line_of(turn))
        else:
            self._saying = turn
            self._redraw()

    def remark(self, text: str) -> None:
        self._print(f"-- {one_line(text)}")

    def draw(self, view: View) -> None:
        self._view = view
        self._redraw()

    def finish(self, unfinished: list[Turn], closing: str) -> None:
        self._saying = self._view = None
        for turn in unfinished:
            self._print(line_of(turn))
        self._print(f"-- {one_line(closing)}")

    def _print(self, line: str) -> None:
        put(self._terminal, self._erase() + line + "\n")
        self._redraw()

    def _redraw(self) -> None:
        # One column short: a full last column makes some terminals wrap.
        columns = max(MIN_COLUMNS, shutil.get_terminal_size().columns - 1)
        lines = [] if self._saying is None else [tail(line_of(self._saying), columns)]
        if self._view is not None:
            lines.append(status(self._view)[:columns])
        erase = self._erase()
        self._live_lines = len(lines)
        put(self._terminal, erase + "\n".join(lines))

    def _erase(self) -> str:
        """Return the codes that move to the first live line's first column and clear from there."""
        upwards = f"\x1b[{self._live_lines - 1}A" if self._live_lines > 1 else ""
        self._live_lines = 0
        return f"\r{upwards}\x1b[J"


def line_of(turn: Turn) -> str:
    """Return a line such as ``AI: Tell me about yourself.``."""
    return f"{turn.speaker}: {one_line(turn.text)}" + (" [interrupted]" if turn.interrupted else "")


def status(view: View) -> str:
    """Return a line such as ``[#######-------------] 2.7/7.6 s  voice ###---  speaking  12:34 left``."""
    if view.length is None:
        place = f"{view.position:.1f} s"
    else:
        done = round(BAR_COLUMNS * min(1.0, view.position / view.length))
        place = f"[{'#' * done:-<{BAR_COLUMNS}}] {view.position:.1f}/{view.length:.1f} s"
    loudness = max(0.0, 1 - view.level / METER_FLOOR_DBFS)
    meter = f"{'#' * round(METER_COLUMNS * loudness):-<{METER_COLUMNS}}"
    left = ""
    if view.time_left is not None:
        minutes, seconds = divmod(max(0, round(view.time_left)), 60)
        left = f"  {minutes}:{seconds:02d} left"
    return f"{place}  voice {meter}  {view.state}{left}"


def tail(text: str, columns: int) -> str:
    """Return the end of ``text`` that fits into ``columns``; East Asian characters are two wide."""
    width = 0
    for start in range(len(text) - 1, -1, -1):
        char = text[start]
        if not unicodedata.combining(char):
            width += 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1
        if width > columns:
            return text[start + 1 :]
    return text


def put(stream: TextIO, text: str) -> None:
    """Write at once. Characters that the stream cannot encode become ``?``; a reader that left is no error.

    Raises:
        CannotWriteError: the disk behind the stream is full or broken.
    """
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(text.encode(encoding, "replace").decode(encoding))
        stream.flush()
    except BrokenPipeError:
        _drop(stream)
    except OSError as error:
        _drop(stream)
        raise CannotWriteError(f"the output cannot be written: {error.strerror or error}") from error


def _drop(stream: TextIO) -> None:
    """Write to nowhere from now on: Python flushes once more when it exits."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
