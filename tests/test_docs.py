"""The pages say what is so: their tables are held against the code, their links against the files."""

import importlib
import importlib.util
from pathlib import Path
import re
from types import ModuleType

from google.protobuf.message import Message
import pytest

from preppald.cli import parser
from preppald.config.settings import settings
from preppald.core.closes import BY_PHRASE, Cause
from preppald.core.endings import ALREADY_ENDED, PRECEDENCE, REPLACED, Ending
from preppald.pb import interview_pb2
from preppald.telemetry.metrics import Metrics

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = {page.stem: page.read_text("utf-8") for page in DOCS.glob("*.md")}
WITH_LINKS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
# Names in the environment that are no settings of the daemon's.
NOT_SETTINGS = {"PREPPALD_TOKEN", "PREPPALD_"}


def links(page: Path) -> list[tuple[str, str]]:
    """Return the page's links to files: (path as written, anchor or empty)."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    found = re.findall(r"\[[^\]]*\]\(([^)\s#]*)(?:#([^)\s]*))?\)", text)
    return [(target, anchor) for target, anchor in found if "://" not in target]


def anchors(page: Path) -> set[str]:
    """Return the anchors of the page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---------------------------------------------------------------- what the code itself says


@pytest.mark.parametrize("page", PAGES)
def test_the_generated_parts_are_current(generate: ModuleType, page: str) -> None:
    assert generate.current(PAGES[page]) == PAGES[page], "run: .venv/bin/python docs/generate.py"


def test_each_generated_part_stands_on_its_page(generate: ModuleType) -> None:
    found = {(page, name) for page, text in PAGES.items() for _, name, _ in generate.PART.findall(text)}
    assert found == {("configuration", "settings"), ("architecture", "layers"), ("architecture", "files")}


def test_every_module_says_what_it_is(generate: ModuleType) -> None:
    """Empty modules aside: a row of the table of files without words would help nobody."""
    for room in (ROOT / "preppald").iterdir():
        if room.is_dir() and room.name != "pb":
            for file in generate.modules(room):
                assert generate.about(file), file


def test_every_layer_is_drawn(generate: ModuleType) -> None:
    rooms = {room for layer in generate.layers() for room in layer}
    assert {"core", "net", "interview", "server", "pb"} <= rooms
    for room in rooms - {"pb", "errors", "cli", "__main__"}:
        assert f"### {room}/" in PAGES["architecture"]


# ---------------------------------------------------------------- configuration


@pytest.mark.parametrize("name", settings())
def test_every_setting_has_its_row(name: str) -> None:
    """Name, default and meaning stand in the configuration table as the daemon reads them."""
    item = settings()[name]
    default = "**needed**" if item.needed else f"`{item.default}`" if item.default else ""
    assert f"| `{item.env}` | {default} | {item.doc} |" in PAGES["configuration"]


@pytest.mark.parametrize("page", WITH_LINKS, ids=lambda page: page.stem)
def test_no_setting_is_made_up(page: Path) -> None:
    """What looks like a setting on a page is one."""
    known = {item.env for item in settings().values()} | NOT_SETTINGS
    named = set(re.findall(r"PREPPALD_[A-Z_]*", page.read_text("utf-8")))
    assert named <= known


# ---------------------------------------------------------------- operating


def test_every_command_is_named() -> None:
    """The table of commands is whole."""
    actions = [action for action in parser()._actions if action.choices]
    for command in actions[0].choices or ():
        assert f"| `preppald {command}" in PAGES["operating"]


def test_every_metric_is_named() -> None:
    """An operator finds each metric in the table."""
    text = Metrics().exposition().decode()
    for name in re.findall(r"# TYPE (\S+) ", text):
        assert name in PAGES["operating"], name


# ---------------------------------------------------------------- protocol


@pytest.mark.parametrize("ending", PRECEDENCE, ids=lambda ending: ending.name)
def test_every_close_reason_is_named(ending: Ending) -> None:
    """A front-end developer finds each close code in the table of endings, beside its second one."""
    page = PAGES["protocol"]
    assert str(ending.plain.code) in page
    if ending.ended is not None or ending.error is not None:
        shown = f"{ending.plain.code} `{ending.plain.reason}`"
        distinct = "" if ending.distinct == ending.plain.code else f" / {ending.distinct}"
        assert f"{shown}{distinct} |" in page


@pytest.mark.parametrize("close", [REPLACED, ALREADY_ENDED], ids=lambda close: close.reason)
def test_closes_without_an_ending_are_named(close: object) -> None:
    assert f"{close.code} `{close.reason}`" in PAGES["protocol"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("way", [interview_pb2.ClientToServerMessage, interview_pb2.ServerToClientMessage])
def test_every_message_of_the_contract_is_named(way: type[Message]) -> None:
    for field in way.DESCRIPTOR.fields:
        assert field.message_type is not None
        assert f"| `{field.message_type.name}` |" in PAGES["protocol"]


@pytest.mark.parametrize(
    ("cause", "phrases"), BY_PHRASE, ids=lambda item: "" if isinstance(item, Cause) else item[0]
)
def test_every_close_frame_of_gemini_is_in_the_table(cause: Cause, phrases: tuple[str, ...]) -> None:
    """The phrases that the code matches stand there, in one row with their remedy."""
    words = {"NONE": "none", "FRESH": "fresh", "RESUME": "resume", "WAIT": "wait"}[cause.remedy.name]
    rows = [row for row in PAGES["protocol"].splitlines() if re.match(r"\| (1\d\d\d|any)[, \d]* \|", row)]
    fitting = [row for row in rows if words in row.split("|")[3]]
    assert [row for row in fitting if all(f"`{phrase}`" in row for phrase in phrases)], phrases


# ---------------------------------------------------------------- architecture

AUDIO_BYTES_PER_SECOND = 32_000


def limits() -> list[tuple[str, str]]:
    """Return the constants of the table of limits, each with what its row says of the value."""
    table = PAGES["architecture"].partition("## Every limit")[2].partition("\n## ")[0]
    rows = [row.split(" | ") for row in table.splitlines() if row.startswith("| ") and "`" in row]
    return [(constant, row[1]) for row in rows for constant in re.findall(r"`([\w.]+)`", row[-1])]


def shown(name: str, value: float) -> set[str]:
    """Return the ways in which a limit may be written, by the unit in its name."""
    if name.endswith(("_SECONDS", "_MS")):
        seconds = value / 1000 if name.endswith("_MS") else value
        ways = {f"{seconds:g} s", f"{seconds / 60:g} min", f"{seconds / 3600:g} h"}
        return ways | {f"{round(seconds * 1000)} ms"}
    if "BYTES" in name:
        powers = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
        ways = {f"{value / size:g} {unit}" for unit, size in powers.items()}
        return ways | {f"{value:g} bytes", f"{value / AUDIO_BYTES_PER_SECOND:g} s of audio"}
    return {f"{value:,.0f}".replace(",", " ")}


@pytest.mark.parametrize(("constant", "words"), limits(), ids=lambda item: item if "." in item else "")
def test_every_limit_is_what_the_code_has(constant: str, words: str) -> None:
    """``constant``: a room and a name; which of the room's modules has it is the room's affair."""
    room, _, name = constant.partition(".")
    modules = (f"preppald.{room}.{file.stem}" for file in (ROOT / "preppald" / room).glob("[!_]*.py"))
    rooms = [vars(importlib.import_module(module)) for module in modules]
    values = {float(known[name]) for known in rooms if name in known}
    assert values, f"docs/architecture.md's table of limits names {constant}, which is gone"
    ways = {way for value in values for way in shown(name, value)}
    assert any(re.search(rf"(?<![\d.]){re.escape(way)}\b", words) for way in ways), words


def test_the_table_of_tasks_has_the_children_of_an_interviews_nursery() -> None:
    started = re.findall(
        r"self\._start\(self\.(\w+)", (ROOT / "preppald/interview/session.py").read_text("utf-8")
    )
    table = PAGES["architecture"].partition("## The tasks")[2].partition("\n## ")[0]
    assert sorted(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == sorted(started)


def test_the_table_of_limits_is_read() -> None:
    assert len(limits()) > 40


# ---------------------------------------------------------------- links


@pytest.mark.parametrize("page", WITH_LINKS, ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, anchor in links(page):
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(file), f"{page.name}: {target}#{anchor}"


def test_sources_that_point_at_a_page_point_at_one_that_exists() -> None:
    """A comment that names a page names one of these; the paper that they came from is not in the repository."""
    for file in (
        *(ROOT / "preppald").rglob("*.py"),
        *(ROOT / "tests").rglob("*.py"),
        *(ROOT / "systemd").glob("*.*"),
    ):
        text = file.read_text("utf-8")
        for name in re.findall(r"\bdocs/([a-z-]+\.md)", text):
            assert (DOCS / name).exists(), f"{file}: docs/{name}"
        assert "reference §" not in text or file == Path(__file__), file
