"""The env file, read as systemd reads its EnvironmentFile=: the same values, or a refusal in words.

The rules are those of parse_env_file_internal() in systemd's src/basic/env-file.c, state by state. Where they surprise
(an unterminated quote, a line that is no assignment) systemd takes something or passes over it in silence; here that is
a fault of its line. A fault never shows the line, which may hold a secret.
"""

from collections.abc import Callable
import re

from preppald.config.values import Invalid

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
BLANKS = " \t\n\r"
NEWLINES = "\n\r"
# Within double quotes a backslash takes the meaning of these, and stands for itself before all others.
ESCAPED = '"\\`$'
BYTE_ORDER_MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"

State = Callable[[str], None]


class EnvFileError(Invalid):
    """Raised for a file with faults: ``faults`` are all of them, each with its line."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


def parse(data: bytes) -> dict[str, str]:
    """Return the assignments of a file, the last of each name.

    Raises:
        EnvFileError: every fault of it.
    """
    text, faults = _text(data)
    reader = _read(text)
    if faults or reader.faults:
        raise EnvFileError(faults + reader.faults)
    return reader.values


def repeated(data: bytes) -> list[str]:
    """Return the names that are set again, each with both lines: systemd takes the last one, and says nothing."""
    return _read(_text(data)[0]).repeated


def _read(text: str) -> "_Reader":
    reader = _Reader()
    for char in text:
        reader.take(char)
    reader.end()
    return reader


def _text(data: bytes) -> tuple[str, list[str]]:
    """Return the text as far as it is any, and its faults."""
    faults = []
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        faults.append(f"line {_line(data, error.start)}: holds a byte that is no UTF-8")
        text = data.decode("utf-8", "replace")
    if text.startswith(BYTE_ORDER_MARK):
        faults.append("line 1: begins with a byte order mark: save the file as UTF-8 without one")
        text = text.removeprefix(BYTE_ORDER_MARK)
    for index, char in enumerate(text):
        if char == "\0" or _is_noncharacter(ord(char)):
            faults.append(
                f"line {_line(text.encode(), len(text[:index].encode()))}: holds a NUL, or what is no character"
            )
            break
    return text, faults


def _is_noncharacter(code: int) -> bool:
    """Return whether Unicode keeps it from texts for ever; systemd refuses it as no UTF-8."""
    return 0xFDD0 <= code <= 0xFDEF or code & 0xFFFE == 0xFFFE


def _line(data: bytes, at: int) -> int:
    before = data[:at].replace(b"\r\n", b"\n")
    return 1 + before.count(b"\n") + before.count(b"\r")


class _Reader:
    """Takes one character after the other. Each method below is a state, by systemd's name for it."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.faults: list[str] = []
        self.repeated: list[str] = []
        self._lines: dict[str, int] = {}
        self._state: State = self._pre_key
        self._key = ""
        self._value = ""
        self._value_end: int | None = None  # the value without the blanks at its end; None: it has none there
        self._quoted = False
        self._line = self._key_line = self._quote_line = 1
        self._last = ""

    def take(self, char: str) -> None:
        self._state(char)
        if char == "\r" or (char == "\n" and self._last != "\r"):
            self._line += 1
        self._last = char

    def end(self) -> None:
        if self._state in {self._single_quote, self._double_quote, self._double_quote_escape}:
            self._fault("a quote begins here and never ends", self._quote_line)
        elif self._state in {self._pre_value, self._in_value, self._value_escape}:
            self._push()
        elif self._state == self._in_key:
            self._fault("is not NAME=value", self._key_line)

    def _fault(self, words: str, line: int) -> None:
        self.faults.append(f"line {line}: {words}")

    def _push(self) -> None:
        key = self._key.rstrip(BLANKS)
        if NAME.fullmatch(key) is None:
            hint = ": systemd knows no export" if key.startswith("export ") else ""
            self._fault(f"is not NAME=value{hint}", self._key_line)
        else:
            if key in self._lines:
                self.repeated.append(
                    f"line {self._key_line}: sets {key} again: it counts, and line {self._lines[key]} does not"
                )
            self._lines[key] = self._key_line
            self.values[key] = self._value if self._value_end is None else self._value[: self._value_end]
        self._state = self._pre_key

    def _pre_key(self, char: str) -> None:
        if char in "#;":
            self._state = self._comment
        elif char not in BLANKS:
            self._key, self._value, self._value_end, self._quoted = char, "", None, False
            self._key_line = self._line
            self._state = self._in_key

    def _in_key(self, char: str) -> None:
        if char in NEWLINES:
            self._fault("is not NAME=value", self._key_line)
            self._state = self._pre_key
        elif char == "=":
            self._state = self._pre_value
        else:
            self._key += char

    def _pre_value(self, char: str) -> None:
        if char in NEWLINES:
            self._push()
        elif char in "'\"":
            self._quoted = True
            self._quote_line = self._line
            self._state = self._single_quote if char == "'" else self._double_quote
        elif char == "\\":
            self._state = self._value_escape
        elif char not in BLANKS:
            if char == "#" and self._quoted:
                self._fault(
                    "a comment behind a value would be part of it: give it a line of its own", self._line
                )
            self._value += char
            self._state = self._in_value

    def _in_value(self, char: str) -> None:
        if char in NEWLINES:
            self._push()
        elif char == "\\":
            self._value_end = None
            self._state = self._value_escape
        else:
            if char not in BLANKS:
                self._value_end = None
            elif self._value_end is None:
                self._value_end = len(self._value)
            self._value += char

    def _value_escape(self, char: str) -> None:
        if char not in NEWLINES:
            self._value += char
        self._state = self._in_value

    def _single_quote(self, char: str) -> None:
        if char == "'":
            self._state = self._pre_value
        else:
            self._value += char

    def _double_quote(self, char: str) -> None:
        if char == '"':
            self._state = self._pre_value
        elif char == "\\":
            self._state = self._double_quote_escape
        else:
            self._value += char

    def _double_quote_escape(self, char: str) -> None:
        if char in ESCAPED:
            self._value += char
        elif char != "\n":
            self._value += f"\\{char}"
        self._state = self._double_quote

    def _comment(self, char: str) -> None:
        if char == "\\":
            self._state = self._comment_escape
        elif char in NEWLINES:
            self._state = self._pre_key

    def _comment_escape(self, char: str) -> None:
        if char in NEWLINES:
            # Up to 253 the next line is a part of the comment, from 254 on it is not.
            self._fault(
                "a comment ends in a backslash, and versions of systemd differ about the next line",
                self._line,
            )
            self._state = self._pre_key
        else:
            self._state = self._comment
