"""The application as it was seen, on both of its wires: what was deleted, and what an older one lacks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
import sqlite3
from typing import Any

import pytest
import trio

from preppald.backend import Absent, Delivered, HttpBackend, ProtobufBackend, TrpcBackend, client, outbox
from preppald.backend.outbox import UNKNOWN, Outbox
from preppald.core.context import NOTHING_KNOWN, Context
from preppald.core.deliveries import Delivery, DeliveryKind, Feedback, feedback_delivery
from preppald.journal import Given
from preppald.simulator import BackendSimulator, serve_backend
from preppald.simulator.backend_scenario import BackendContext, BackendFault, BackendScenario
from tests.durable import EPOCH_MS, Notes, begun, finished, interview, running, wall_ms

SECRET = "the-secret-that-both-sides-know-of"
KNOWN = BackendContext(job_description="Runs trains.", persona="kind", duration_ms=25_000)
FEEDBACK = feedback_delivery("iv", 1, Feedback("a", "b", "c", "d", "e"), now_ms=EPOCH_MS)
WIRES: dict[str, type[TrpcBackend] | type[ProtobufBackend]] = {
    "trpc": TrpcBackend,
    "protobuf": ProtobufBackend,
}
both_wires = pytest.mark.parametrize("wire", WIRES)
PATIENCE_SECONDS = 30.0


@asynccontextmanager
async def application(wire: str, **scenario: Any) -> AsyncIterator[tuple[BackendSimulator, HttpBackend]]:
    """The simulated one on a real socket, and our end of the wire."""
    simulated = BackendSimulator(BackendScenario(secret=SECRET, context=KNOWN, **scenario))
    async with trio.open_nursery() as nursery:
        port = await nursery.start(partial(serve_backend, ("127.0.0.1", 0), simulated))
        async with WIRES[wire](f"http://127.0.0.1:{port}", SECRET) as backend:
            yield simulated, backend
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def delivering(backend: HttpBackend, owed: list[Delivery], notes: Notes) -> AsyncIterator[Outbox]:
    """The outbox at work on these; its waits are the shortest that jitter allows."""
    disk = sqlite3.connect(":memory:", check_same_thread=False)
    async with (
        running(Given(lambda: disk), notes, in_thread=trio.to_thread.run_sync, retention_ms=None) as journal,
        trio.open_nursery() as nursery,
    ):
        box = Outbox(journal, backend, log=notes, now_ms=wall_ms, chance=lambda: 0.0)
        for delivery in owed:
            if delivery.kind is DeliveryKind.TRANSCRIPT:
                journal.begin(interview(delivery.interview_id))
            journal.add_delivery(delivery)
        await journal.flush()
        await nursery.start(box.run)
        yield box
        nursery.cancel_scope.cancel()
    disk.close()


async def noted(notes: Notes, event: str, times: int = 1) -> None:
    with trio.fail_after(PATIENCE_SECONDS):
        while notes.events().count(event) < times:  # noqa: ASYNC110 - a log rings no bell
            await trio.sleep(0.02)


@both_wires
async def test_a_deleted_interview_stops_being_posted(wire: str) -> None:
    """It answers 500 there, as anything may that passes: so the application is asked whether it knows the interview."""
    deleted = BackendFault(kind="delete", procedure="interview.submitTranscript")
    notes = Notes()
    async with application(wire, router="newer", fault=(deleted,)) as (simulated, backend):
        async with delivering(backend, [finished("iv"), finished("other")], notes):
            await noted(notes, "delivery.dead")
            await noted(notes, "delivery.done")
        tries = [it.status for it in simulated.calls if it.procedure == "interview.submitTranscript"]
        assert sorted(tries, key=str) == [200, *[500] * outbox.TRIES_BEFORE_ASKING]
        assert len(simulated.interviews) == 1
    assert notes.keys("delivery.dead")["cause"] == UNKNOWN


@both_wires
async def test_an_unknown_interview_is_refused_as_the_application_does(wire: str) -> None:
    async with application(wire, router="newer", interviews=("known",)) as (_, backend):
        assert await backend.knows("known") is True
        assert await backend.knows("unknown") is False
        assert (await backend.post(begun("unknown"))).status == 404  # type: ignore[union-attr]
        assert (await backend.post(finished("unknown"))).status == 500  # type: ignore[union-attr]


@both_wires
async def test_context_and_feedback(wire: str) -> None:
    async with application(wire, router="newer") as (simulated, backend):
        assert await backend.context("iv") == Context("Runs trains.", "", "kind", 25.0)
        assert await backend.post(FEEDBACK) == Delivered()
        assert list((simulated.interviews["iv"].feedback or {}).values()) == ["a", "b", "c", "d", "e"]


async def test_what_an_older_router_lacks_is_absent_for_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an error; a reload, or the hour, has it asked again. Every version of the protobuf wire has both."""
    async with application("trpc", router="first") as (simulated, backend):

        def asked() -> int:
            return [it.procedure for it in simulated.calls].count("interview.getContext")

        for _ in range(3):
            assert await backend.context("iv") == NOTHING_KNOWN
        assert asked() == 1
        backend.renew(SECRET)
        assert await backend.context("iv") == NOTHING_KNOWN
        assert asked() == 2
        backend.renew(SECRET)
        monkeypatch.setattr(client, "ABSENT_SECONDS", 0.05)
        assert await backend.context("iv") == NOTHING_KNOWN
        await trio.sleep(0.1)
        assert await backend.context("iv") == NOTHING_KNOWN
        assert asked() == 4
        assert not backend.lacks(DeliveryKind.FEEDBACK)
        monkeypatch.setattr(client, "ABSENT_SECONDS", 3600.0)
        assert isinstance(await backend.post(FEEDBACK), Absent)
        assert backend.lacks(DeliveryKind.FEEDBACK)
        backend.renew(SECRET)
        assert not backend.lacks(DeliveryKind.FEEDBACK)
        notes = Notes()
        async with delivering(backend, [FEEDBACK, begun("other")], notes) as box:
            await noted(notes, "delivery.not_taken")
            await noted(notes, "delivery.done")
            with trio.fail_after(PATIENCE_SECONDS):
                while box.statistics().pending:  # noqa: ASYNC110 - what was told is written down a moment later
                    await trio.sleep(0.02)
            assert box.statistics().dead == 0
        assert notes.events("error") == notes.events("warning") == []
