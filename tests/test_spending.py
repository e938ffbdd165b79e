"""What feedback and a check cost is in the row of their interview as that is when they are done."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from preppald.backend.outcomes import Delivered, Outcome
from preppald.core.checks import Checked, Job
from preppald.core.context import Context
from preppald.core.deliveries import Delivery, DeliveryKind
from preppald.core.interview import Interview, Usage
from preppald.errors import JournalError
from preppald.interview import spending
from tests.durable import interview
from tests.verification.rig import Rig, noted, rigged, turn

CHECK = Usage(verification_prompt=70_000)


async def checked(_job: Job) -> Checked:
    await trio.lowlevel.checkpoint()
    return Checked(prompt_tokens=CHECK.verification_prompt)


class Asked:
    """The application, asked for the context before feedback is written: it answers when it is let."""

    def __init__(self, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.answer = trio.Event(), trio.Event()
        monkeypatch.setattr(rig.backend, "context", self.context)

    async def context(self, _interview_id: str) -> Context:
        self.now.set()
        await self.answer.wait()
        return Context()


@asynccontextmanager
async def writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Rig, Asked]]:
    """An ended interview, and its feedback that waits before its one call."""
    async with rigged(tmp_path, PREPPALD_VERIFY="off", PREPPALD_FEEDBACK="on") as rig:
        asked = Asked(rig, monkeypatch)
        rig.end([turn(1, "hello", 5.0)])
        with trio.fail_after(20):
            await asked.now.wait()
        await rig.journal.flush()
        yield rig, asked


async def used(rig: Rig, tokens: str) -> None:
    """Returns when some of these were counted."""
    value = rig.metrics.registry.get_sample_value
    with trio.fail_after(20):
        while not value("preppald_tokens_total", {"kind": tokens}):  # noqa: ASYNC110 - no bell
            await trio.sleep(0.01)
    await rig.journal.flush()


async def test_a_forgotten_interview_stays_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator removes it while a model writes: the tokens are in the metrics, and nothing in the journal."""
    async with writing(tmp_path, monkeypatch) as (rig, asked):
        await rig.journal.forget({"iv"}, also_undelivered=True)
        asked.answer.set()
        await used(rig, "feedback_prompt")
        assert await rig.journal.interview("iv") is None


async def test_an_interview_that_began_anew_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with writing(tmp_path, monkeypatch) as (rig, asked):
        anew = interview("iv", epoch=2)
        rig.journal.begin(anew)
        asked.answer.set()
        await used(rig, "feedback_prompt")
        assert await rig.journal.interview("iv") == anew


async def test_what_a_check_cost_meanwhile_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with writing(tmp_path, monkeypatch) as (rig, asked):
        (delivery,) = rig.backend.posts
        await spending.spend(rig.services, delivery, CHECK)
        asked.answer.set()
        await used(rig, "feedback_prompt")
        row = await rig.journal.interview("iv")
        assert row is not None
        assert row.usage.verification_prompt == CHECK.verification_prompt
        assert row.usage.feedback_prompt > 0


async def test_two_at_one_time_are_both_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reads the row, and adds to it: one after the other."""
    async with writing(tmp_path, monkeypatch) as (rig, _):
        (delivery,) = rig.backend.posts
        async with trio.open_nursery() as both:
            for _ in range(2):
                both.start_soon(spending.spend, rig.services, delivery, CHECK)
        row = await rig.journal.interview("iv")
        assert row is not None
        assert row.usage == CHECK + CHECK


async def test_what_is_paid_for_is_not_asked_again_for_a_disk_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call, counted once; the row is written when the disk is there again."""
    monkeypatch.setattr(spending, "FAULT_SECONDS", 0.05)
    async with writing(tmp_path, monkeypatch) as (rig, asked):
        ask, faults = rig.journal.sessions, [JournalError("the disk does not answer")] * 2

        async def sessions(interview_id: str) -> list[Interview]:
            if faults:
                raise faults.pop()
            return await ask(interview_id)

        monkeypatch.setattr(rig.journal, "sessions", sessions)
        asked.answer.set()
        await rig.delivered(DeliveryKind.FEEDBACK)
        await used(rig, "feedback_prompt")
        assert not faults
        assert rig.asked.count("gemini.generated") == 1
        row = await rig.journal.interview("iv")
        assert row is not None
        value = rig.metrics.registry.get_sample_value
        assert value("preppald_tokens_total", {"kind": "feedback_prompt"}) == row.usage.feedback_prompt


async def test_an_interview_that_began_anew_is_not_checked_for_the_one_before(tmp_path: Path) -> None:
    """Its sound is another's, and so is its row."""
    noted(tmp_path, (5.0,))
    async with rigged(tmp_path, check=checked) as rig:
        anew = interview("iv", epoch=2)

        def answer(_delivery: Delivery) -> Outcome:
            rig.journal.begin(anew)
            return Delivered()

        rig.backend.answer = answer
        rig.end([turn(1, "hello", 5.0)])
        await rig.counted("failed")
        assert rig.events("verification.failed")[0]["cause"] == "the interview is gone"
        assert await rig.journal.interview("iv") == anew
