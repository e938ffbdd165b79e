# ruff: noqa: INP001 - a script, not a module
"""Writes the parts of these pages that the code itself says: run it after a change to settings, modules or layers.

usage: python docs/generate.py [--check]

Each part stands between ``<!-- generated: NAME … -->`` and ``<!-- end -->``: the table of settings in
configuration.md, the order of imports and the table of files in architecture.md. ``--check`` writes nothing and
exits with 1 where a page is out of date.
"""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
import re
import sys
import tomllib

DOCS = Path(__file__).parent
ROOT = DOCS.parent
PACKAGE = ROOT / "preppald"
sys.path.insert(0, str(ROOT))

from preppald.config.setting import Setting  # noqa: E402 - the checkout's, wherever this is started
from preppald.config.settings import settings  # noqa: E402

PART = re.compile(r"(<!-- generated: (\w+)[^\n]*-->\n).*?(<!-- end -->)", re.DOTALL)


def default_of(item: Setting) -> str:
    """Return the default as the table shows it."""
    if item.needed:
        return "**needed**"
    return f"`{item.default}`" if item.default else ""


def settings_table() -> Iterator[str]:
    """Yield the table of settings, a line each, in the order of their declaration."""
    yield "| setting | default | meaning | reloads |"
    yield "|---|---|---|---|"
    for item in settings().values():
        yield f"| `{item.env}` | {default_of(item)} | {item.doc} | {'' if item.restart else 'yes'} |"


def layers() -> list[list[str]]:
    """Return the layers of pyproject.toml's import contract, top to bottom, each with its rooms."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    for contract in contracts:
        if contract["type"] == "layers" and contract["containers"] == ["preppald"]:
            return [[room.strip(" ()") for room in re.split("[|:]", layer)] for layer in contract["layers"]]
    raise SystemExit("pyproject.toml: no import contract of type layers for preppald")


def first_sentence(source: str) -> str:
    """Return the first sentence of a module's docstring, for a cell of a table; empty where there is none."""
    paragraph, _, _ = (ast.get_docstring(ast.parse(source)) or "").partition("\n\n")
    words = " ".join(paragraph.split())
    sentence = re.match(r".+?\.(?=\s[A-Z`]|$)", words)
    return (sentence[0] if sentence else words).replace("``", "`").replace("|", "\\|")


def about(path: Path) -> str:
    """Return what a module or a room says of itself in its first sentence."""
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return first_sentence(file.read_text("utf-8"))


def layers_picture() -> Iterator[str]:
    """Yield the order of imports as a drawing: one layer a line, an arrow between two."""
    lines = [" | ".join(rooms) for rooms in layers()]
    width = max(map(len, lines))
    yield "```"
    for number, line in enumerate(lines):
        if number:
            yield "↓".center(width).rstrip()
        yield line.center(width).rstrip()
    yield "```"


def modules(room: Path) -> list[Path]:
    """Return the modules of a room, without its face (``__init__``) and without the empty ones."""
    found = sorted(room.rglob("*.py"))
    return [file for file in found if file.name != "__init__.py" and file.read_text("utf-8").strip()]


def files_table() -> Iterator[str]:
    """Yield a table of the files of each room, in the order of imports, by the first sentence of each file."""
    for rooms in layers():
        for room in rooms:
            folder = PACKAGE / room
            if not folder.is_dir():
                continue
            yield f"### {room}/"
            yield ""
            if room == "pb":
                yield "Generated from [proto/](../proto) by `proto/generate.sh`, committed, never edited."
                yield ""
                continue
            if words := about(folder):
                yield words
                yield ""
            yield "| file | first sentence |"
            yield "|---|---|"
            for file in modules(folder):
                name = file.relative_to(folder).as_posix()
                yield f"| [{name}](../{file.relative_to(ROOT).as_posix()}) | {about(file)} |"
            yield ""
    tops = [file for file in sorted(PACKAGE.glob("*.py")) if file.name != "__init__.py"]
    yield "### Beside the rooms"
    yield ""
    yield "| file | first sentence |"
    yield "|---|---|"
    for file in tops:
        yield f"| [{file.name}](../{file.relative_to(ROOT).as_posix()}) | {about(file)} |"


PARTS: dict[str, Callable[[], Iterator[str]]] = {
    "settings": settings_table,
    "layers": layers_picture,
    "files": files_table,
}


def current(page: str) -> str:
    """Return the page's text with each generated part as the code has it now."""

    def part(found: re.Match[str]) -> str:
        lines = "\n".join(PARTS[found[2]]()).rstrip("\n")
        return f"{found[1]}\n{lines}\n\n{found[3]}"

    return PART.sub(part, page)


def main() -> int:
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit(__doc__)
    status = 0
    for page in sorted(DOCS.glob("*.md")):
        text = page.read_text("utf-8")
        if (new := current(text)) == text:
            continue
        if sys.argv[1:]:
            sys.stderr.write(f"{page.relative_to(ROOT)} is out of date: run python docs/generate.py\n")
            status = 1
        else:
            page.write_text(new, "utf-8")
            sys.stderr.write(f"{page.relative_to(ROOT)}: written\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
