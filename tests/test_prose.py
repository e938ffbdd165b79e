"""Holds comments and docstrings to two rules of CONTRIBUTING.md that a program can check.

Rule 1: no sentence begins with a free relative or an indirect question ("What is sent goes at once."): a reader has to
        reach the verb to learn whether it was a question. Real questions, which end with a question mark, may.
Rule 2: a function's docstring begins with a verb. A program cannot tell verbs from nouns, so the rule is checked by the
        words that are certainly none: articles, pronouns, prepositions, question words. A property names a thing.

The rest of CONTRIBUTING.md's style is for people to see.
"""

import ast
from collections.abc import Iterator
import io
from pathlib import Path
import re
import tokenize

import pytest

PACKAGE = Path(__file__).parent.parent / "preppald"
# Rooms whose prose was revised; a room that is added here stays so.
ROOMS = (
    "audio",
    "backend",
    "browser",
    "candidate",
    "commands",
    "config",
    "core",
    "daemon",
    "gemini",
    "interview",
    "journal",
    "net",
    "recording",
    "server",
    "shared",
    "simulator",
    "telemetry",
)
FREE_RELATIVE = re.compile(
    r"(?:^|(?<=[.!?:] ))((?:What|Who|Whom|Whose|Whether|Whoever|Whatever|Of (?:all|what|which))\b[^.!?]*.?)"
)
NO_VERBS = frozenset(
    [
        "A",
        "An",
        "The",
        "This",
        "That",
        "These",
        "Those",
        "It",
        "Its",
        "He",
        "His",
        "She",
        "Her",
        "They",
        "Their",
        "One",
        "Ones",
        "Some",
        "Any",
        "All",
        "Both",
        "Each",
        "Every",
        "Neither",
        "None",
        "No",
        "Nobody",
        "Nothing",
        "Not",
        "Something",
        "Somebody",
        "What",
        "Whatever",
        "Who",
        "Whose",
        "Whether",
        "Which",
        "How",
        "Why",
        "When",
        "Where",
        "While",
        "If",
        "As",
        "At",
        "By",
        "For",
        "From",
        "In",
        "Into",
        "Of",
        "On",
        "Out",
        "To",
        "With",
        "Without",
        "Also",
        "Only",
        "Such",
        "Seconds",
        "More",
        "Half",
        "Two",
    ]
)
# A comment that is an instruction to a tool; words after " - " are for people.
FOR_TOOLS = re.compile(r"(?:noqa|type|pragma|ruff|fmt)\b[^-]*(?:- )?")


def modules() -> list[Path]:
    """Return the modules whose prose is held to the rules."""
    return [
        file for room in ROOMS for file in sorted((PACKAGE / room).rglob("*.py")) if file.read_text("utf-8")
    ]


def one_line(text: str) -> str:
    """Return the text with single spaces."""
    return " ".join(text.split())


def paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a docstring, each on one line."""
    return [one_line(paragraph) for paragraph in text.split("\n\n")]


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Yield each comment with its line; comments on lines of their own that follow each other are one."""
    block: list[str] = []
    began = last = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        line, words = token.start[0], FOR_TOOLS.sub("", token.string.lstrip("#! "))
        alone = token.line.lstrip().startswith("#")
        if block and alone and line == last + 1:
            block.append(words)
        else:
            if block:
                yield began, one_line(" ".join(block))
            block, began = [words], line
        last = line if alone else 0
    if block:
        yield began, one_line(" ".join(block))


def documented(source: str) -> Iterator[tuple[ast.AST, int, str]]:
    """Yield each node with a docstring, its line and the docstring."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield node, node.body[0].lineno, text


def free_relatives(source: str) -> Iterator[str]:
    """Yield the sentences that rule 1 refuses, each with its line."""
    texts = [(line, paragraph) for _, line, text in documented(source) for paragraph in paragraphs(text)]
    for line, text in [*texts, *comments(source)]:
        for found in FREE_RELATIVE.finditer(text):
            if not found[1].endswith("?"):
                yield f"{line}: {found[1]}"


def without_verbs(source: str) -> Iterator[str]:
    """Yield the docstrings that rule 2 refuses, each with its line."""
    for node, line, text in documented(source):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = re.match(r"[A-Za-z]*", text)
            prop = any(isinstance(item, ast.Name) and item.id == "property" for item in node.decorator_list)
            if not prop and first is not None and first[0] in NO_VERBS:
                yield f"{line}: {node.name}: {one_line(text)[:80]}"


def where(file: Path) -> str:
    """Return the module's path within the package."""
    return file.relative_to(PACKAGE).as_posix()


@pytest.mark.parametrize("file", modules(), ids=where)
def test_no_sentence_begins_with_a_free_relative(file: Path) -> None:
    assert list(free_relatives(file.read_text("utf-8"))) == []


@pytest.mark.parametrize("file", modules(), ids=where)
def test_a_docstring_of_a_function_begins_with_a_verb(file: Path) -> None:
    assert list(without_verbs(file.read_text("utf-8"))) == []


REFUSED = '''\
"""What is sent goes at once.

Said: Who knows has it. Whether it came is open.
"""
# Fine. What is not is this,
# over two lines.
x = 1  # noqa: S101 - Whoever comes is served


def f():
    """The result."""


def g():
    """Return the result. What is it?"""


@property
def h():
    """The thing itself."""
'''


def test_the_checks_find_what_they_look_for() -> None:
    """A check that finds nothing would be green as well."""
    assert list(free_relatives(REFUSED)) == [
        "1: What is sent goes at once.",
        "1: Who knows has it.",
        "1: Whether it came is open.",
        "5: What is not is this, over two lines.",
        "7: Whoever comes is served",
    ]
    assert list(without_verbs(REFUSED)) == ["11: f: The result."]
