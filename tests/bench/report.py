"""What was measured, as a table of Markdown."""

from dataclasses import dataclass, field
import os
from pathlib import Path
from typing import Any

from tests.bench.measure import LAG_MS, Steady
from tests.bench.patterns import PATTERNS
from tests.bench.ways import WAYS

Row = dict[str, Any]


@dataclass(slots=True)
class Results:
    """``about``: where and when. What is found is kept by measurement, bridge and pattern."""

    about: Row
    _found: list[Row] = field(default_factory=list)

    def add(self, what: str, bridge: str, pattern: str, values: Row) -> None:
        self._found.append({"what": what, "bridge": bridge, "pattern": pattern, **values})

    def rows(self, what: str) -> list[Row]:
        return [row for row in self._found if row["what"] == what]

    def find(self, what: str, bridge: str, pattern: str) -> Row | None:
        rows = (row for row in self.rows(what) if (row["bridge"], row["pattern"]) == (bridge, pattern))
        return next(rows, None)

    def all(self) -> Row:
        return {"about": self.about, "found": self._found}


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "unknown")
    return f"{os.cpu_count()} x {model}, Linux {os.uname().release}"


def steady_line(result: Steady) -> str:
    verdict = "held" if result.held else "NOT HELD"
    if result.doubtful:
        verdict += f" (the harness itself was {result.lag_ms:.0f} ms late)"
    faults = f"; {'; '.join(result.faults)}" if result.faults else ""
    lost = f"; {result.lost_bytes} bytes lost" if result.lost_bytes else ""
    return (
        f"{result.sessions:4} sessions: {result.cpu:4.0%} of a core, up {result.up_p50_ms:.1f}/{result.up_p99_ms:.1f} ms, "
        f"down {result.down_p50_ms:.1f}/{result.down_p99_ms:.1f} ms, {result.kib_a_session:.0f} KiB each: "
        f"{verdict}{lost}{faults}"
    )


def markdown(results: Results) -> str:
    about = results.about
    busy = (
        f"load average {about['load_average_before']:.1f} before and {about['load_average_after']:.1f} after"
    )
    whole = "" if about["share"] is None else f"; each device had {about['share']:.0%} of its core"
    lines = [f"{about['date']}, {about['machine']}, Python {about['python']}; {busy}{whole}.", ""]
    for table in (_capacities, _latencies, _set_ups, _footprints, _growth, _overloads, _cores):
        lines += table(results)
    return "\n".join(lines)


def _table(head: list[str], rows: list[list[str]]) -> list[str]:
    if not rows:
        return []
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)] + [""]


def _peers(results: Results, row: Row) -> str:
    """How many times the sessions of each other bridge, measured the same way."""
    found = []
    for peer in ("node", "naive"):
        others = [
            other["sessions"]
            for other in results.rows("capacity")
            if (other["bridge"], other["pattern"], other["way"]) == (peer, row["pattern"], row["way"])
        ]
        if others and peer != row["bridge"]:
            found.append(f"{row['sessions'] / others[0]:.1f} x {peer}")
    return ", ".join(found)


def _capacities(results: Results) -> list[str]:
    rows = [
        [
            row["bridge"],
            WAYS[row["way"]].words,
            PATTERNS[row["pattern"]].words,
            f"{row['sessions']}{'+' if row['lag_ms'] > LAG_MS else ''}",
            f"{min(row['all_sessions'])} to {max(row['all_sessions'])}",
            _peers(results, row),
            f"{row['cpu'] / row['sessions'] * 1000:.1f} ms",
            f"{row['up_p99_ms']:.0f} / {row['down_p99_ms']:.0f} ms",
            f"{row['kib_a_session']:.0f}",
        ]
        for row in results.rows("capacity")
    ]
    head = [
        "bridge",
        "way",
        "pattern",
        "sessions on a core, median",
        "of all runs",
        "to the others",
        "CPU a session and second",
        "p99 up / down",
        "KiB each",
    ]
    return _table(head, rows)


def _latencies(results: Results) -> list[str]:
    rows = [
        [
            row["bridge"],
            WAYS[row["way"]].words,
            row["pattern"],
            str(row["sessions"]),
            f"{row['up_p50_ms']:.1f} / {row['up_p99_ms']:.1f} ms",
            f"{row['down_p50_ms']:.1f} / {row['down_p99_ms']:.1f} ms",
            f"{row['cpu']:.0%} ({min(row['all_cpu']):.0%} to {max(row['all_cpu']):.0%})",
            f"{row['kib_a_session']:.0f}",
        ]
        for row in results.rows("latency")
    ]
    head = ["bridge", "way", "pattern", "sessions", "up p50 / p99", "down p50 / p99", "of a core", "KiB each"]
    return _table(head, rows)


def _set_ups(results: Results) -> list[str]:
    rows = [
        [row["bridge"], str(row["sessions"]), f"{row['p50_ms']:.1f} / {row['p99_ms']:.1f} ms"]
        for row in results.rows("set-up")
    ]
    return _table(["bridge", "beside sessions", "connect to first audio at Gemini, p50 / p99"], rows)


def _footprints(results: Results) -> list[str]:
    rows = [
        [
            row["bridge"],
            f"{row['ready_seconds']:.2f} s",
            f"{row['idle_rss_kib'] / 1024:.1f} MiB",
            f"{row['idle_pss_kib'] / 1024:.1f} MiB",
            f"{row['idle_cpu']:.1%}",
        ]
        for row in results.rows("footprint")
    ]
    return _table(["bridge", "ready in", "idle RSS", "idle PSS", "idle CPU"], rows)


def _growth(results: Results) -> list[str]:
    rows = [
        [
            str(row["sessions"]),
            f"{row['bytes_a_session']:.0f} bytes",
            " ".join(str(kib // 1024) for kib in row["rss_kib"]),
        ]
        for row in results.rows("growth")
    ]
    return _table(["short sessions", "growth each", "RSS after each tenth, MiB"], rows)


def _overloads(results: Results) -> list[str]:
    rows = [
        [
            row["pattern"],
            str(row["sessions"]),
            f"{row['least']:.0%} / {row['median']:.0%}",
            f"{row['lost_bytes']} bytes",
        ]
        for row in results.rows("overload")
    ]
    return _table(["pattern", "sessions", "audio in time, worst / median session", "lost in the end"], rows)


def _cores(results: Results) -> list[str]:
    rows = []
    for row in results.rows("cores"):
        alone = results.find("cores", row["bridge"], row["pattern"])
        ratio = row["sessions"] / alone["sessions"] if alone else 1.0
        core = "a core" if row["share"] is None else f"{row['share']:.0%} of a core"
        rows.append(
            [
                PATTERNS[row["pattern"]].words,
                f"{row['instances']}, {core} each",
                str(row["sessions"]),
                f"{ratio:.2f}",
            ]
        )
    return _table(["pattern", "instances on one port", "sessions held", "x one"], rows)
