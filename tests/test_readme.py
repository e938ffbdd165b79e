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
    for marker, last in (("demo", "-m preppald demo"), ("test", "-m pytest -n auto --dist worksteal")):
        block = re.search(rf"<!-- {marker} command -->\n```sh\n(.*?)\n```", README, re.DOTALL)
        assert block is not None, marker
        assert block[1].endswith(f".venv/bin/python {last}")


def test_every_page_is_linked_from_it() -> None:
    linked = {target for target, _ in links(ROOT / "README.md")}
    pages = {page.relative_to(ROOT).as_posix() for page in (ROOT / "docs").glob("*.md")}
    assert {*pages, "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"} <= linked


def test_a_program_pastes_every_command_of_an_operator() -> None:
    """Each block of commands has a name; a script runs it by that name, or it is listed here with the reason."""
    elsewhere = {
        "image": "needs a container runtime; tests/container carries out the Containerfile",
        "container": "needs a container runtime",
        "backup": "tests/journal has its own",
        "restore": "tests/journal has its own",
        "leave": "tests/processes/test_moving.py has its own",
        "arrive": "tests/processes/test_moving.py has its own",
        "forget": "tests/commands/test_forget.py has its own",
    }
    scripts = [ROOT / "tests/systemd/run", ROOT / "tests/systemd/operator", *(ROOT / ".ci/extra").iterdir()]
    text = "".join(script.read_text("utf-8") for script in [*scripts, ROOT / ".ci/run"])
    for page in (README, (ROOT / "docs/operating.md").read_text("utf-8")):
        blocks = re.findall(r"^(.*)\n```sh\n", page, re.MULTILINE)
        assert blocks
        for above in blocks:
            mark = re.fullmatch("<!-- (.*) command -->", above)
            assert mark, f"the block behind {above!r} has no name"
            pasted = re.search(rf"pasted ['\"]?{mark[1]}['\"]?(\s|\))", text)
            assert pasted or mark[1] in elsewhere, mark[1]
