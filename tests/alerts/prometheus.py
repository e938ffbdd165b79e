"""Prometheus's own judgement of scrapes of a real daemon: promtool runs the rules on them, in its own time.

A drill is scraped while all is well, while something is wrong, and after the remedy. Each scrape stands for some minutes
of Prometheus's time, so that an alert that waits for an hour and a half is tried in seconds.
"""

from dataclasses import dataclass, field
import json
from pathlib import Path
import re
import subprocess
import time
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

RULES = Path(__file__).parents[2] / "systemd/monitoring/preppald.rules.yml"
JOB = {"job": "preppald", "instance": "host:9464"}
# Each phase outlasts its alerts: the longest window of a counter is an hour, the longest wait an hour and a half.
QUIET_MINUTES, CLEARED_MINUTES = 10, 100
Labels = tuple[tuple[str, str], ...]
Series = tuple[str, Labels]


def alerts() -> dict[str, int]:
    """Return every alert of the rules, with the minutes for which it has to hold before it fires."""
    found: dict[str, int] = {}
    for rule in RULES.read_text("utf-8").split("- alert: ")[1:]:
        waits = re.search(r"^ +for: (\d+)m$", rule, re.MULTILINE)
        found[rule.split()[0]] = int(waits[1]) if waits else 0
    return found


def named() -> set[str]:
    """Return the series that the rules name, without ``up``."""
    text = re.sub(r"#.*", "", RULES.read_text("utf-8"))
    return set(
        re.findall(
            r"\b(?:preppald|process)_[a-z_]+",
            " ".join(re.findall(r"expr: (.*?)\n +(?:for|labels):", text, re.DOTALL)),
        )
    )


@dataclass(frozen=True)
class Scrape:
    """``samples``: empty where nobody answered."""

    at: float
    samples: dict[Series, float]

    @classmethod
    def of(cls, page: str | None) -> "Scrape":
        """Return the scrape of a page of metrics; None: nobody answered."""
        wanted = named()
        found: dict[Series, float] = {("up", ()): float(page is not None)}
        for family in text_string_to_metric_families(page or ""):
            for sample in family.samples:
                if sample.name in wanted:
                    found[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
        return cls(time.time(), found)  # noqa: TID251 - real daemons and their certificates have the real time


@dataclass
class Case:
    """One drill, scraped: ``fires`` says which alerts it is about."""

    fires: tuple[str, ...]
    quiet: Scrape
    wrong: Scrape
    cleared: Scrape
    _wrong_minutes: int = field(init=False)

    def __post_init__(self) -> None:
        self._wrong_minutes = max(alerts()[alert] for alert in self.fires) + 5

    def test(self) -> dict[str, Any]:
        """Return the case as promtool reads it: no alert before and after, these in between."""
        phases = (
            (self.quiet, QUIET_MINUTES),
            (self.wrong, self._wrong_minutes),
            (self.cleared, CLEARED_MINUTES),
        )
        every = {series for scrape, _ in phases for series in scrape.samples}
        end_of_wrong = QUIET_MINUTES + self._wrong_minutes - 1
        checks = [
            *(_firing(alert, QUIET_MINUTES - 1, 0) for alert in alerts()),
            *(_firing(alert, end_of_wrong, 1) for alert in self.fires),
            *(_firing(alert, end_of_wrong + CLEARED_MINUTES, 0) for alert in alerts()),
        ]
        return {
            "interval": "1m",
            "input_series": [
                {
                    "series": _written(series),
                    "values": " ".join(
                        word for scrape, minutes in phases for word in [self._value(scrape, series)] * minutes
                    ),
                }
                for series in sorted(every)
            ],
            "promql_expr_test": checks,
        }

    def _value(self, scrape: Scrape, series: Series) -> str:
        value = scrape.samples.get(series)
        if value is None:
            return "_"
        # promtool's time begins with 1970: a moment is told from the first scrape on.
        if series[0].endswith("expires_seconds"):
            value -= self.quiet.at
        return repr(value)


def _firing(alert: str, minute: int, times: int) -> dict[str, Any]:
    expression = f'count(ALERTS{{alertname="{alert}", alertstate="firing"}})'
    found = [{"labels": "{}", "value": times}] if times else []
    return {"expr": expression, "eval_time": f"{minute}m", "exp_samples": found}


def _written(series: Series) -> str:
    name, labels = series
    text = ", ".join(f"{key}={json.dumps(value)}" for key, value in [*JOB.items(), *labels])
    return f"{name}{{{text}}}"


def judge(folder: Path, case: Case) -> None:
    """Have promtool run the rules on a case; what it says is the failure."""
    file = folder / "case.yml"
    file.write_text(
        json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [case.test()]})
    )
    ran = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
