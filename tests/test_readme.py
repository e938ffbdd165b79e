"""The README says what is so: its tables are held against the code."""

from pathlib import Path
import re

import pytest

from preppald.cli import parser
from preppald.config.settings import settings
from preppald.core.endings import PRECEDENCE, Ending
from preppald.telemetry.metrics import Metrics

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")


@pytest.mark.parametrize("name", settings())
def test_every_setting_has_its_row(name: str) -> None:
    """Name, default and meaning stand in the configuration table as the daemon reads them."""
    item = settings()[name]
    default = "**needed**" if item.needed else f"`{item.default}`" if item.default else ""
    assert f"| `{item.env}` | {default} | {item.doc} |" in README


def test_no_setting_is_made_up() -> None:
    """What looks like a setting in the README is one."""
    known = {item.env for item in settings().values()} | {"PREPPALD_TOKEN", "PREPPALD_"}
    named = set(re.findall(r"PREPPALD_[A-Z_]*", README))
    assert named <= known


def test_every_command_is_named() -> None:
    """The table of commands is whole."""
    actions = [action for action in parser()._actions if action.choices]
    for command in actions[0].choices or ():
        assert f"`preppald {command}" in README


def test_every_metric_is_named() -> None:
    """An operator finds each metric in the table."""
    text = Metrics().exposition().decode()
    for name in re.findall(r"# TYPE (\S+) ", text):
        assert name in README, name


@pytest.mark.parametrize("ending", PRECEDENCE, ids=lambda ending: ending.name)
def test_every_close_reason_is_named(ending: Ending) -> None:
    """A front-end developer finds each close code in the table of endings."""
    assert str(ending.plain.code) in README
