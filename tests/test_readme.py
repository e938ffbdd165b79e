"""The README is the front door: what the project is, the two commands, and the way to every page."""

from pathlib import Path
import re

from tests.test_docs import links

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
# A front door, not the house.
LINES = 150


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= LINES


def test_both_commands_stand_in_it_to_be_pasted() -> None:
    """CI runs them as they stand there, on bare machines, too."""
    for marker, last in (("demo", "-m preppald demo"), ("test", "-m pytest")):
        block = re.search(rf"<!-- {marker} command -->\n```sh\n(.*?)\n```", README, re.DOTALL)
        assert block is not None, marker
        assert block[1].endswith(f".venv/bin/python {last}")


def test_every_page_is_linked_from_it() -> None:
    linked = {target for target, _ in links(ROOT / "README.md")}
    pages = {page.relative_to(ROOT).as_posix() for page in (ROOT / "docs").glob("*.md")}
    assert {*pages, "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"} <= linked
