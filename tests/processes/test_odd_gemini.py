"""The daemon as a process of its own, and a Gemini that refuses it, or speaks in an odd order."""

import json
from pathlib import Path
import sys

import pytest
import trio

from preppald.simulator.faults import Close, Flawed
from preppald.simulator.scenario import Reply, Scenario
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


async def test_the_late_rest_of_a_question_joins_it_and_the_watchdog_goes_on(tmp_path: Path) -> None:
    """Text came 50 ms behind turnComplete: it made a turn of its own, and nothing was watched until the next reply.

    The second answer gets no reply at all, which is noticed.
    """
    question = "Thank you, Anna. What was your hardest project?"
    scenario = Scenario(
        reply=(Reply(text=question, seconds=1.0), Reply(text="How many people worked there?", seconds=1.0)),
        speech=("The bridge in Oslo, in winter.", "Nine."),
        fault=(Flawed(flaw="late-text", turn=1), Flawed(flaw="no-answer", turn=3)),
    )
    async with daemon(tmp_path, {}, scenario=scenario) as running, trio.open_nursery() as nursery:
        candidate = await running.candidate(nursery)
        await candidate.greeted()
        await candidate.keep_silent(0.5)
        seen = len(candidate.messages)
        await candidate.speak(1.2)
        await candidate.heard_out(seen=seen)
        await candidate.speak(1.2)
        assert (await running.logged("interviewer.silent"))["stage"] == "nudge"
        with trio.fail_after(PATIENCE_SECONDS):
            await candidate.end()
            await candidate.closed()
        await running.logged("session.ended")
        done = await trio.run_process(
            [sys.executable, "-m", "preppald", "transcript", "iv-1", "--format", "json"],
            env={"PREPPALD_STATE_DIR": str(tmp_path / "state")},
            capture_stdout=True,
        )
        nursery.cancel_scope.cancel()
    turns = [(turn["speaker"], turn["content"]) for turn in json.loads(done.stdout)["turns"]]
    assert turns == [
        ("AI", question),
        ("USER", "The bridge in Oslo, in winter."),
        ("AI", "How many people worked there?"),
        ("USER", "Nine."),
    ]
