"""Alerts and dashboard speak of what there is: every metric that they name is on the page of a real daemon."""

import dataclasses
import json
from pathlib import Path
import re

import pytest

from preppald.core.endings import PRECEDENCE
from preppald.telemetry.metrics import Metrics
from tests.certificates import Certificates
from tests.processes.daemon import daemon

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "systemd/monitoring"
RULES = (FOLDER / "preppald.rules.yml").read_text("utf-8")
DASHBOARD = json.loads((FOLDER / "grafana.json").read_text("utf-8"))
ALERTS = re.findall(r"- alert: (\w+)", RULES)
METRIC = re.compile(r"\b(?:preppald|process)_[a-z_]+")


def expressions() -> list[str]:
    """Return every expression of the rules and of the dashboard."""
    queries = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]
    notes = [note["expr"] for note in DASHBOARD["annotations"]["list"]]
    choices = [
        choice["query"]["query"] for choice in DASHBOARD["templating"]["list"] if choice["type"] == "query"
    ]
    return [*re.findall(r"expr: (.*?)\n +(?:for|labels):", RULES, re.DOTALL), *queries, *notes, *choices]


def named() -> set[str]:
    return {name for text in expressions() for name in METRIC.findall(text)}


async def test_every_metric_that_they_name_is_on_the_page(tmp_path: Path) -> None:
    """Also those of a counter that counts nothing yet: its name and its type are there."""
    async with daemon(tmp_path, Certificates(tmp_path).env) as running:
        page = (await running.get("/metrics")).decode()
    there = set(re.findall(r"^# TYPE (\S+)", page, re.MULTILINE)) | set(
        re.findall(r"^([a-z_]+)[ {]", page, re.MULTILINE)
    )
    there |= {
        f"{name}_{part}"
        for name in re.findall(r"^# TYPE (\S+) histogram", page, re.MULTILINE)
        for part in ("bucket", "count", "sum")
    }
    assert named() - there == set()
    assert len(named()) > 40


def test_every_label_that_they_ask_for_is_a_label() -> None:
    """Prometheus adds instance and job; a bucket has le."""
    labels = {"instance", "job", "le"}
    for metric in dataclasses.fields(metrics := Metrics()):
        labels |= set(getattr(getattr(metrics, metric.name), "_labelnames", ()))
    text = " ".join(expressions())
    wanted = {name for group in re.findall(r"by \(([^)]*)\)", text) for name in group.split(", ")}
    wanted |= set(re.findall(r"[{,]\s*(\w+)\s*=", text))
    assert wanted <= labels
    endings = {name for group in re.findall(r'ending=~?"([^"]*)"', text) for name in group.split("|")}
    assert endings <= {ending.name for ending in PRECEDENCE}


def test_every_panel_has_a_place_and_a_unit() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not taken & cells, panel["title"]
        taken |= cells
        assert panel["type"] == "row" or panel["fieldConfig"]["defaults"]["unit"]


@pytest.mark.parametrize("alert", ALERTS)
def test_every_alert_says_what_to_do(alert: str) -> None:
    rule = RULES.partition(f"- alert: {alert}\n")[2].partition("- alert: ")[0]
    assert re.search(r"severity: (critical|warning)", rule)
    assert "summary:" in rule
    assert "todo:" in rule
    page = (ROOT / "docs/alerts.md").read_text("utf-8")
    assert f"\n### {alert}\n" in page
    # The drill itself takes a Prometheus, and root.
    assert f'"{alert}"' in (ROOT / "tests/alerts/check_alerts.py").read_text("utf-8")


def test_no_alert_of_the_page_is_made_up() -> None:
    page = (ROOT / "docs/alerts.md").read_text("utf-8")
    assert set(re.findall(r"\bPreppald[A-Z]\w+", page)) == set(ALERTS)
