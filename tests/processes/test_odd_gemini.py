"""The daemon as a process of its own, and a Gemini that refuses it, or speaks in an odd order."""

from pathlib import Path

import pytest
import trio

from preppald.simulator.faults import Close
from preppald.simulator.scenario import Scenario
from tests.processes.daemon import PATIENCE_SECONDS, daemon


@pytest.mark.parametrize(
    ("row", "cause", "dials"),
    [
        ("credits-depleted", "credit", 1),
        ("key-leaked", "leaked_key", 2),
        ("key-not-found", "bad_key", 2),
        ("api-disabled", "api_disabled", 2),
        ("key-suspended", "suspended", 2),
        ("key-referer", "restricted_key", 2),
    ],
)
async def test_what_only_the_operator_can_mend_costs_one_dial_an_interview(
    tmp_path: Path, row: str, cause: str, dials: int
) -> None:
    """Seen before: nine dials in eight seconds for each candidate, "for an unknown reason".

    Money is like a quota: while it is used up the second candidate costs no dial at all.
    """
    scenario = Scenario(fault=(Close(row=row, at="setup", connection="all"),))
    async with daemon(tmp_path, {}, scenario=scenario) as running, trio.open_nursery() as nursery:
        for number in (1, 2):
            candidate = await running.candidate(nursery, f"iv-{number}")
            with trio.fail_after(PATIENCE_SECONDS):
                assert await candidate.closed() == (4002, "Failed to connect to AI service")
        await running.logged("session.ended", 2)
        lines = running.lines("upstream.failed")
        assert [line["cause"] for line in lines] == [cause, cause]
        assert sum(line["code"] is not None for line in lines) == dials
        assert "unknown reason" not in str(lines)
        nursery.cancel_scope.cancel()
