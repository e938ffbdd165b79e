"""The tRPC wire against a real @trpc/server v11 with superjson and zod; see application.mjs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import sqlite3
from typing import Any

import pytest
import trio

from preppald.backend import Absent, Delivered, Refused, Retry, Transformer, TrpcBackend, Unauthorized, client
from preppald.backend.breaker import Flow
from preppald.backend.outbox import Outbox
from preppald.core.context import NOTHING_KNOWN, Context
from preppald.core.deliveries import (
    Delivery,
    DeliveryKind,
    Feedback,
    Status,
    feedback_delivery,
    status_delivery,
)
from preppald.journal import Given
from tests.durable import EPOCH_MS, Notes, begun, finished as transcript, interview, running, wall_ms
from tests.foreign.programs import HERE, Program, started

SECRET = "the-secret-that-both-sides-know-of"
# Instead of ten seconds: what hangs, hangs.
SHORT_TRY_SECONDS = 0.5


@asynccontextmanager
async def application(
    transformer: Transformer = Transformer.SUPERJSON, extent: str = "lean"
) -> AsyncIterator[tuple[Program, str]]:
    async with started(["node", HERE / "application.mjs", SECRET, transformer, extent]) as program:
        yield program, f"http://127.0.0.1:{(await program.line(0))['port']}"


def stored(program: Program) -> list[dict[str, Any]]:
    return program.told[1:]


async def test_the_router_takes_what_an_interview_owes() -> None:
    """Both procedures, as zod wants their input, with the key beside it."""
    ended = status_delivery("iv", 1, Status.ERROR, now_ms=EPOCH_MS, ended_ms=EPOCH_MS)
    async with application() as (program, url), TrpcBackend(url, SECRET) as backend:
        for delivery in (begun(), transcript(fragments=6), ended):
            assert await backend.post(delivery) == Delivered()
        await program.line(3)
    assert stored(program) == [
        {
            "procedure": "updateStatus",
            "input": {"interviewId": "iv", "status": "IN_PROGRESS"},
            "key": "iv:1:status:IN_PROGRESS",
        },
        {
            "procedure": "submitTranscript",
            "input": {
                "interviewId": "iv",
                "transcript": [
                    {
                        "speaker": "AI",
                        "content": "a w [interrupted]",
                        "timestamp": "2026-11-18T11:06:40.200Z",
                    },
                    {
                        "speaker": "USER",
                        "content": "a word 5 a word 6",
                        "timestamp": "2026-11-18T11:06:41.000Z",
                    },
                ],
                "endedAt": "2026-11-18T11:06:40.000Z",
            },
            "key": "iv:1:transcript",
        },
        {
            "procedure": "updateStatus",
            "input": {"interviewId": "iv", "status": "ERROR", "endedAt": "2026-11-18T11:06:40.000Z"},
            "key": "iv:1:status:ERROR",
        },
    ]


@pytest.mark.parametrize("reads", Transformer)
@pytest.mark.parametrize("writes", Transformer)
async def test_each_transformer_is_taken_by_its_own_router_only(
    reads: Transformer, writes: Transformer
) -> None:
    """The specification's bare body is refused by a router with superjson, and taken by one without."""
    async with application(reads) as (program, url), TrpcBackend(url, SECRET, writes) as backend:
        for delivery in (begun(), transcript()):
            outcome = await backend.post(delivery)
            if reads is writes:
                assert outcome == Delivered()
            else:
                assert isinstance(outcome, Refused)
                assert outcome.cause == (
                    f"answered 400 BAD_REQUEST: it speaks {reads}, set PREPPALD_TRPC_TRANSFORMER={reads}"
                )
        probe = await backend.probe()
    assert probe.good is (reads is writes)
    assert (f"PREPPALD_TRPC_TRANSFORMER={reads}" in probe.sentence) is (reads is not writes)
    assert len(stored(program)) == (2 if reads is writes else 0)


FEEDBACK = feedback_delivery("iv", 1, Feedback("a", "b", "c", "d", "e"), now_ms=EPOCH_MS)


@pytest.mark.parametrize("transformer", Transformer)
async def test_an_application_with_context_and_feedback(transformer: Transformer) -> None:
    async with (
        application(transformer, "full") as (program, url),
        TrpcBackend(url, SECRET, transformer) as backend,
    ):
        assert await backend.context("iv") == Context("Runs trains.", "", "kind", 25.0)
        assert await backend.knows("iv") is True
        assert await backend.knows("unknown-1") is False
        assert await backend.post(FEEDBACK) == Delivered()
        await program.line(3)
    told = stored(program)[-1]
    assert told["input"]["contentAndStructure"] == "c"
    assert told["key"] == FEEDBACK.key


async def test_an_application_without_them_is_asked_once() -> None:
    """No error: it is an older one."""
    notes = Notes()
    async with application() as (program, url):
        async with TrpcBackend(url, SECRET) as backend:
            assert await backend.context("iv") == NOTHING_KNOWN
            assert await backend.knows("unknown-1") is None
            assert isinstance(await backend.post(FEEDBACK), Absent)
        async with delivering(url, SECRET, [FEEDBACK, begun("other")], notes) as outbox:
            await noted(notes, "delivery.not_taken")
            await noted(notes, "delivery.done")
            assert outbox.statistics().flow is Flow.OPEN
        assert [it["procedure"] for it in stored(program)] == ["updateStatus"]
    assert notes.events("error") == []


async def test_the_refusals_are_told_apart() -> None:
    """A wrong secret is not the delivery's fault; an unknown interview is; a 500 and a deploy pass."""
    async with application() as (_, url):
        async with TrpcBackend(url, SECRET + "?") as stranger:
            assert await stranger.post(begun()) == Unauthorized(401)
            assert not (await stranger.probe()).good
        async with TrpcBackend(url, SECRET) as backend:
            assert await backend.post(begun("unknown")) == Refused(404, "answered 404 NOT_FOUND")
            failed = await backend.post(begun("fails-once"))
            assert failed == Retry(500, "answered 500 INTERNAL_SERVER_ERROR")
            assert await backend.post(begun("fails-once")) == Delivered()
            away = await backend.post(begun("deploys-once"))
            assert isinstance(away, Retry)
            assert away.cause.startswith("answered 404, but not in tRPC")
            assert await backend.post(begun("deploys-once")) == Delivered()


async def test_an_answer_that_hangs_may_have_been_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "TRY_SECONDS", SHORT_TRY_SECONDS)
    async with application() as (program, url), TrpcBackend(url, SECRET) as backend:
        outcome = await backend.post(transcript("hangs-once"))
        assert isinstance(outcome, Retry)
        assert outcome.ambiguous
        assert outcome.status is None
        assert len(stored(program)) == 1


async def noted(notes: Notes, event: str, times: int = 1, seconds: float = 30) -> None:
    """Returns when the outbox said so."""
    with trio.fail_after(seconds):
        while notes.events().count(event) < times:  # noqa: ASYNC110 - a log rings no bell
            await trio.sleep(0.02)


@asynccontextmanager
async def delivering(
    url: str, secret: str, deliveries: list[Delivery], notes: Notes
) -> AsyncIterator[Outbox]:
    """The outbox at work on these; its waits are the shortest that jitter allows."""
    disk = sqlite3.connect(":memory:", check_same_thread=False)
    async with (
        TrpcBackend(url, secret) as backend,
        running(Given(lambda: disk), notes, in_thread=trio.to_thread.run_sync, retention_ms=None) as journal,
        trio.open_nursery() as nursery,
    ):
        outbox = Outbox(journal, backend, log=notes, now_ms=wall_ms, chance=lambda: 0.0)
        for delivery in deliveries:
            if delivery.kind is DeliveryKind.TRANSCRIPT:
                journal.begin(interview(delivery.interview_id))
            journal.add_delivery(delivery)
        await journal.flush()
        await nursery.start(outbox.run)
        yield outbox
        nursery.cancel_scope.cancel()
    disk.close()


async def test_the_outbox_delivers_what_can_be_delivered(monkeypatch: pytest.MonkeyPatch) -> None:
    """500, a deploy's page and a hanging answer are tried again, the latter with the same key and a warning; tRPC's own
    404 is a dead letter.
    """
    monkeypatch.setattr(client, "TRY_SECONDS", SHORT_TRY_SECONDS)
    notes = Notes()
    names = ("fails-once", "hangs-once", "deploys-once", "unknown", "well")
    owed = [transcript(name) for name in names]
    async with application() as (program, url):
        async with delivering(url, SECRET, owed, notes):
            await noted(notes, "delivery.done", times=4)
            await noted(notes, "delivery.dead")
        taken = sorted((it["input"]["interviewId"], it["key"]) for it in stored(program))
    assert taken == [
        ("deploys-once", "deploys-once:1:transcript"),
        ("fails-once", "fails-once:1:transcript"),
        ("hangs-once", "hangs-once:1:transcript"),
        ("hangs-once", "hangs-once:1:transcript"),
        ("well", "well:1:transcript"),
    ]
    assert notes.keys("delivery.ambiguous")["interview"] == "hangs-once"
    assert notes.keys("delivery.dead")["cause"] == "answered 404 NOT_FOUND"


async def test_a_refused_secret_pauses_the_outbox() -> None:
    """Nothing is lost, and nothing more is tried."""
    notes = Notes()
    async with (
        application() as (program, url),
        delivering(
            url, "another-secret-that-is-not-theirs", [begun("a"), begun("b"), begun("c")], notes
        ) as outbox,
    ):
        await noted(notes, "outbox.paused")
        assert outbox.statistics().flow is Flow.PAUSED
        assert outbox.statistics().pending == 3
        assert stored(program) == []
