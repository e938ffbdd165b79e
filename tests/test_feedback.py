"""Feedback after the interview: written once the transcript is acknowledged, delivered like everything else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
import sqlite3
from typing import Any

import msgspec
import pytest
import structlog
import trio

from preppald.backend.outbox import Outbox
from preppald.config.current import Current
from preppald.config.load import load
from preppald.core.context import Context
from preppald.core.deliveries import Delivery, DeliveryKind, Feedback, Work, transcript_delivery
from preppald.core.interview import Interview
from preppald.core.turns import Speaker, Turn
from preppald.errors import JournalError
from preppald.gemini.models import Models
from preppald.gemini.service import GeminiService
from preppald.interview import feedback as writing
from preppald.interview.feedback import FeedbackWriter
from preppald.interview.services import Services
from preppald.journal import Given, Journal, OnDisk
from preppald.journal.place import Place
from preppald.net.ticker import Ticker
from preppald.simulator import GeminiSimulator, Scenario, serve_gemini
from preppald.simulator.scenario import Generate
from preppald.telemetry.health import Health
from preppald.telemetry.metrics import Metrics
from tests.durable import EPOCH_MS, interview
from tests.world import SECRET, RecordingBackend

SPOKEN = [Turn(1, Speaker.AI, "What did you do?", EPOCH_MS), Turn(2, Speaker.USER, "I fixed it.", EPOCH_MS)]


class Rig:
    """A journal, an outbox and a writer over a real connection to a simulated Gemini."""

    def __init__(self, port: int, asked: list[str], place: Place | None, **settings: str) -> None:
        self.asked = asked
        self.backend = RecordingBackend()
        self.backend.known = lambda: Context(resume="Ran trams.")
        self.lines = structlog.testing.LogCapture()
        log = structlog.wrap_logger(
            structlog.testing.CapturingLogger(),
            processors=[structlog.processors.add_log_level, self.lines],
            wrapper_class=structlog.make_filtering_bound_logger(0),
        )
        now_ms = lambda: EPOCH_MS  # noqa: E731 - a clock that stands
        place = place or Given(lambda: sqlite3.connect(":memory:", check_same_thread=False))
        self.journal = Journal(place, log=log, now_ms=now_ms, retention_ms=None)
        config = load(
            {
                "JWT_SECRET": SECRET,
                "GEMINI_API_KEY": "any",
                "PREPPALD_BACKEND": "none",
                "PREPPALD_GEMINI_URL": f"ws://127.0.0.1:{port}",
                "PREPPALD_FEEDBACK": "on",
                **settings,
            }
        )
        self.services = Services(
            current=Current(config),
            journal=self.journal,
            metrics=Metrics(),
            log=log,
            ticker=(ticker := Ticker()),
            gemini=GeminiService(
                dial=self._no_dial,
                url=config.gemini_url,
                key=lambda: config.gemini_key,
                poller=ticker.poller,
                metrics=Metrics(),
                health=(health := Health(log)),
                models=Models(lambda: config.gemini_models, log=log, health=health, metrics=Metrics()),
                now_ms=now_ms,
                chance=lambda: 0.0,
            ),
            now_ms=now_ms,
            chance=lambda: 0.0,
            backend=self.backend,
        )
        self.writer = FeedbackWriter(self.services)
        self.outbox = Outbox(
            self.journal,
            self.backend,
            log=log,
            now_ms=now_ms,
            chance=lambda: 0.0,
            delivered=self.writer.delivered,
        )

    async def _no_dial(self) -> trio.abc.Stream:
        raise NotImplementedError

    def end(self, turns: list[Turn], interview_id: str = "iv") -> None:
        self.journal.begin(interview(interview_id))
        owed = transcript_delivery(
            interview_id, 1, turns, now_ms=EPOCH_MS, started_ms=EPOCH_MS, ended_ms=EPOCH_MS
        )
        self.journal.end(interview_id, 1, ending="user_ended", cause="", ended_ms=EPOCH_MS, deliveries=[owed])

    async def counted(self, outcome: str, times: int = 1) -> None:
        """Returns when so many came to this."""
        value = self.services.metrics.registry.get_sample_value
        with trio.fail_after(20):
            while value("preppald_feedback_total", {"outcome": outcome}) != times:  # noqa: ASYNC110 - no bell
                await trio.sleep(0.01)

    async def delivered(self, kind: DeliveryKind) -> Delivery:
        with trio.fail_after(20):
            while True:
                for post in self.backend.posts:
                    if post.kind is kind:
                        return post
                await trio.sleep(0.01)

    def events(self, name: str) -> list[dict[str, Any]]:
        return [dict(line) for line in self.lines.entries if line["event"] == name]


@asynccontextmanager
async def rigged(
    generate: Generate | None = None, place: Place | None = None, **settings: str
) -> AsyncIterator[Rig]:
    """``place``: the state directory of a daemon that is started again; without one, memory."""
    asked: list[str] = []
    simulator = GeminiSimulator(
        Scenario(generate=generate or Generate()), log=lambda event, _keys: asked.append(event)
    )
    async with trio.open_nursery() as nursery:
        port = await nursery.start(partial(serve_gemini, ("127.0.0.1", 0), simulator))
        rig = Rig(port, asked, place, **settings)
        await nursery.start(rig.journal.run)
        await nursery.start(rig.outbox.run)
        await nursery.start(rig.writer.run)
        yield rig
        nursery.cancel_scope.cancel()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "WAITS", (0.01, 0.01))


async def test_it_is_written_after_the_transcript_and_delivered() -> None:
    """Five parts, in the journal before they are posted; tokens and cost on the interview's row."""
    async with rigged() as rig:
        rig.end(SPOKEN)
        delivery = await rig.delivered(DeliveryKind.FEEDBACK)
        assert [post.kind for post in rig.backend.posts] == [DeliveryKind.TRANSCRIPT, DeliveryKind.FEEDBACK]
        assert delivery.key == "iv:1:feedback"
        written = msgspec.json.decode(delivery.payload, type=Feedback)
        assert written.strengths == "(strengths, simulated)"
        row = await rig.journal.interview("iv")
        assert row is not None
        assert row.ending == "user_ended"
        assert row.usage.feedback_prompt > 100
        assert row.usage.feedback_response > 10
        value = rig.services.metrics.registry.get_sample_value
        assert value("preppald_cost_dollars_total") == pytest.approx(
            rig.services.config.prices.cost(row.usage)
        )


async def test_off_is_off() -> None:
    async with rigged(PREPPALD_FEEDBACK="off") as rig:
        rig.end(SPOKEN)
        await rig.delivered(DeliveryKind.TRANSCRIPT)
        await trio.sleep(0.1)
        assert len(rig.backend.posts) == 1


async def test_none_is_paid_for_that_the_application_would_not_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """An older router lacks the procedure; once that is known no text model is asked."""
    async with rigged() as rig:
        monkeypatch.setattr(rig.backend, "lacks", lambda kind: kind is DeliveryKind.FEEDBACK)
        rig.end(SPOKEN)
        await rig.delivered(DeliveryKind.TRANSCRIPT)
        await trio.sleep(0.1)
        assert len(rig.backend.posts) == 1
        assert rig.asked == []


async def test_who_said_nothing_gets_none() -> None:
    async with rigged() as rig:
        rig.end(SPOKEN[:1])
        await rig.counted("nothing said")
        assert len(rig.backend.posts) == 1


async def test_what_passes_is_tried_again() -> None:
    async with rigged(Generate(statuses=(503, 429))) as rig:
        rig.end(SPOKEN)
        await rig.delivered(DeliveryKind.FEEDBACK)


@pytest.mark.parametrize(
    ("generate", "cause"),
    [
        (Generate(statuses=(503, 503, 503)), "Gemini answered 503"),
        (Generate(statuses=(400,)), "Gemini answered 400"),
        (Generate(text="Well done!"), "what the model wrote does not fit the schema (DecodeError)"),
        (Generate(finish_reason="SAFETY"), "the model did not finish (SAFETY)"),
        (Generate(hang=True), "Gemini did not answer within 0 seconds"),
    ],
    ids=["down", "refused", "prose", "blocked", "hanging"],
)
async def test_its_failure_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, generate: Generate, cause: str
) -> None:
    """The transcript stands, the interview stays complete, and the operator is told."""
    if generate.hang:
        monkeypatch.setattr(writing, "CALL_SECONDS", 0.2)
    async with rigged(generate) as rig:
        rig.end(SPOKEN)
        await rig.counted("failed")
        (line,) = rig.events("feedback.failed")
        assert line["cause"] == cause
        assert [post.kind for post in rig.backend.posts] == [DeliveryKind.TRANSCRIPT]
        row = await rig.journal.interview("iv")
        assert row is not None
        assert row.ending == "user_ended"


def _bug() -> Context:
    raise KeyError


async def test_a_bug_costs_one_feedback() -> None:
    async with rigged() as rig:
        rig.backend.known = _bug
        rig.end(SPOKEN, "first")
        await rig.counted("failed")
        rig.backend.known = Context
        rig.end(SPOKEN, "second")
        assert (await rig.delivered(DeliveryKind.FEEDBACK)).interview_id == "second"
        assert rig.events("feedback.bug")


async def test_what_a_stop_cuts_short_is_written_after_the_next_start(tmp_path: Path) -> None:
    """Once: also a third start has nothing more to do."""
    async with rigged(Generate(hang=True), place=OnDisk(tmp_path, reserve_bytes=0)) as rig:
        rig.end(SPOKEN)
        rig.end(SPOKEN, "second")
        rig.end(SPOKEN, "third")
        while len(rig.backend.posts) < 3:  # noqa: ASYNC110 - no bell
            await trio.sleep(0.01)
        await rig.journal.flush()
    async with rigged(place=OnDisk(tmp_path, reserve_bytes=0)) as rig:
        await rig.counted("written", 3)
        while len(rig.backend.posts) < 3:  # noqa: ASYNC110 - no bell
            await trio.sleep(0.01)
        assert {post.key for post in rig.backend.posts} == {
            "iv:1:feedback",
            "second:1:feedback",
            "third:1:feedback",
        }
        await rig.journal.flush()
    async with rigged(place=OnDisk(tmp_path, reserve_bytes=0)) as rig:
        await trio.sleep(0.3)
        assert rig.backend.posts == []
        assert rig.asked.count("gemini.generated") == 0


async def test_what_failed_is_not_tried_again_at_each_start(tmp_path: Path) -> None:
    async with rigged(Generate(statuses=(400,)), place=OnDisk(tmp_path, reserve_bytes=0)) as rig:
        rig.end(SPOKEN)
        await rig.counted("failed")
    async with rigged(place=OnDisk(tmp_path, reserve_bytes=0)) as rig:
        await trio.sleep(0.3)
        assert rig.asked.count("gemini.generated") == 0


async def test_switching_it_on_gives_feedback_from_then_on(tmp_path: Path) -> None:
    """Not on a week of interviews, which nobody asked for and somebody pays."""
    async with rigged(place=OnDisk(tmp_path, reserve_bytes=0), PREPPALD_FEEDBACK="off") as rig:
        rig.end(SPOKEN)
        await rig.delivered(DeliveryKind.TRANSCRIPT)
        await rig.journal.flush()
    async with rigged(place=OnDisk(tmp_path, reserve_bytes=0)) as rig:
        await trio.sleep(0.3)
        assert rig.asked.count("gemini.generated") == 0


async def test_it_waits_for_a_disk_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "FAULT_SECONDS", 0.05)
    async with rigged() as rig:
        asked = rig.journal.sessions
        failures = [JournalError("the disk does not answer")] * 2

        async def sessions(interview_id: str) -> list[Interview]:
            if failures:
                raise failures.pop()
            return await asked(interview_id)

        monkeypatch.setattr(rig.journal, "sessions", sessions)
        rig.end(SPOKEN)
        await rig.delivered(DeliveryKind.FEEDBACK)
        assert not failures
        assert not rig.events("feedback.bug")


async def test_it_waits_for_the_check_of_the_transcript() -> None:
    async with rigged(PREPPALD_VERIFY="all") as rig:
        rig.journal.note_due(Work.VERIFICATION, "iv:1:transcript", due=True)
        rig.end(SPOKEN)
        await rig.delivered(DeliveryKind.TRANSCRIPT)
        await trio.sleep(0.2)
        assert [post.kind for post in rig.backend.posts] == [DeliveryKind.TRANSCRIPT]
        rig.writer.checked("iv:1:transcript")
        await rig.delivered(DeliveryKind.FEEDBACK)


async def test_it_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "CHECK_SECONDS", 0.2)
    async with rigged(PREPPALD_VERIFY="all") as rig:
        rig.journal.note_due(Work.VERIFICATION, "iv:1:transcript", due=True)
        rig.end(SPOKEN)
        await rig.delivered(DeliveryKind.FEEDBACK)
