"""A checked transcript on its way: both wires, an application that does not know it, and the store that does."""

from pathlib import Path

import msgspec
import pytest
import trio

from preppald.backend import protobuf, trpc
from preppald.backend.outcomes import Delivered, Outcome, Refused
from preppald.backend.trpc import Transformer
from preppald.core.checks import CheckedTurn
from preppald.core.deliveries import Delivery, DeliveryKind, DeliveryState, verification_delivery
from preppald.core.verification import Flag
from preppald.journal import reader
from preppald.pb.interview_pb2 import CheckedTurn as WireTurn, WorkerApiRequest, WorkerApiResponse
from preppald.simulator.backend_scenario import BackendContext
from preppald.simulator.store import Store
from preppald.simulator.worker import Worker
from tests.durable import EPOCH_MS
from tests.verification.rig import noted, rigged, turn

TURNS = (
    CheckedTurn(
        1,
        "half of it",
        "all of it",
        Flag.START_MISSING,
        0.75,
        second_is_better=True,
        begin_ms=5_000,
        end_ms=9_000,
    ),
    CheckedTurn(3, "", "hello", Flag.UNHEARD, 0.0, second_is_better=True, begin_ms=12_000, end_ms=15_000),
)


def delivery(name: str = "iv", block: int = 0) -> Delivery:
    return verification_delivery(name, 1, TURNS, model="gemini-3.5-transcribe", now_ms=EPOCH_MS, block=block)


def test_the_protobuf_wire() -> None:
    asked = WorkerApiRequest.FromString(protobuf.encode(delivery(block=2)).body)
    assert asked.WhichOneof("request") == "submit_verification"
    sent = asked.submit_verification
    assert (sent.interview_id, sent.block_number, sent.model) == ("iv", 2, "gemini-3.5-transcribe")
    assert sent.checked_at.endswith("Z")
    first, second = sent.turns
    assert (first.turn, first.live, first.second, first.flag) == (
        1, "half of it", "all of it", WireTurn.START_MISSING,
    )  # fmt: skip
    assert (first.confidence, first.second_is_better, first.begin_ms, first.end_ms) == (
        0.75, True, 5_000, 9_000,
    )  # fmt: skip
    assert (second.flag, second.second) == (WireTurn.UNHEARD, "hello")
    assert not WorkerApiRequest.FromString(protobuf.encode(delivery()).body).submit_verification.HasField(
        "block_number"
    )


def test_every_flag_has_its_number() -> None:
    assert {flag: int(number) for flag, number in protobuf.FLAGS.items()} == {
        flag: number for number, flag in enumerate(Flag, start=1)
    }


def test_an_application_that_knows_it_stores_it() -> None:
    store = Store()
    name, answer = Worker(store, BackendContext()).call("", protobuf.encode(delivery()).body, None)
    assert WorkerApiResponse.FromString(answer).submit_verification.success
    assert protobuf.decode(200, answer) == Delivered()
    (checked, _) = store.interview(name).checked or []
    assert checked["second"] == "all of it"


def test_the_trpc_wire() -> None:
    request = trpc.encode(delivery(), Transformer.SUPERJSON)
    assert request.path == "/api/trpc/interview.submitVerification"
    given = msgspec.json.decode(request.body)["json"]
    assert given["turns"][0] == {
        "turn": 1,
        "live": "half of it",
        "second": "all of it",
        "flag": "start missing",
        "confidence": 0.75,
        "secondIsBetter": True,
        "beginMs": 5_000,
        "endMs": 9_000,
    }


@pytest.mark.parametrize("refusal", [Refused(400, "answered 400 with ApiError 400")])
async def test_an_application_that_does_not_know_it_is_asked_once(refusal: Outcome, tmp_path: Path) -> None:
    """The first one is dropped with a word in the log, later ones without being posted; the transcripts are delivered."""
    asked: list[str] = []

    def answer(posted: Delivery) -> Outcome:
        asked.append(posted.kind)
        return refusal if posted.kind is DeliveryKind.VERIFICATION else Delivered()

    for name in ("one", "two"):
        noted(tmp_path, (5.0,), name)
    async with rigged(tmp_path) as rig:
        rig.backend.answer = answer
        for number, name in enumerate(("one", "two"), start=1):
            rig.end([turn(1, "hello", 5.0)], name)
            await rig.counted("checked", number)
        with trio.fail_after(20):
            while True:
                await rig.journal.flush()
                owed = await rig.journal.ask(reader.owed)
                settled = [it for it in owed if it.state is not DeliveryState.PENDING]
                if len(settled) == 4:
                    break
                await trio.sleep(0.01)
        states = {it.key: it.state for it in owed}
        assert states["two:1:verification"] is states["one:1:verification"] is DeliveryState.DROPPED
        assert asked.count(DeliveryKind.VERIFICATION) == 1
        assert len(rig.events("delivery.not_taken")) == 1
        assert rig.events("delivery.dead") == []
