"""Pages and applications of other versions: each speaks its own messages, compiled from its own files.

Every page meets every application, with this daemon between them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import descriptor_pb2
import pytest
import trio

from preppald.backend import Outcome, protobuf
from preppald.core.context import Context
from preppald.core.deliveries import Delivery, Feedback, feedback_delivery
from preppald.simulator import Scenario
from preppald.simulator.scenario import Reply
from tests.candidates import Candidate
from tests.compatibility import VERSIONS, Contract, contract
from tests.durable import EPOCH_MS
from tests.overheard import speak
from tests.world import World

SCENARIO = Scenario(speech=("I drive trains.",), reply=(Reply(text="Hello there.", seconds=1),))
PROMPT = "Ask one question about trains."
OLD_PAGES = ("application", "blocks")  # they offer no subprotocol
KNOW_BLOCKS = ("blocks", "new")


@dataclass
class Application:
    """The application's endpoint as a version of it is: it knows its own messages only. ``stored``: by block, 0 for none."""

    contract: Contract
    blocks: bool
    asked: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    stored: dict[int, list[tuple[int, str]]] = field(default_factory=dict)
    feedback: list[str] = field(default_factory=list)

    async def post(self, delivery: Delivery) -> Outcome:
        await trio.lowlevel.checkpoint()
        return protobuf.decode(*self.answer(protobuf.encode(delivery).body))

    async def context(self, _interview_id: str, block: int = 0) -> Context | Outcome:
        await trio.lowlevel.checkpoint()
        return protobuf.context(*self.answer(protobuf.context_request(_interview_id, block).body))

    def answer(self, body: bytes) -> tuple[int, bytes]:
        wire = self.contract.wire
        request, answer = wire.WorkerApiRequest.FromString(body), wire.WorkerApiResponse()
        kind = request.WhichOneof("request")
        given = getattr(request, kind or "get_context")
        match kind:
            case "get_context":
                number = getattr(given, "block_number", 0)
                self.asked.append(number)
                answer.get_context.job_description = "Drives trains."
                if self.blocks and number:
                    answer.get_context.system_prompt = PROMPT
                    answer.get_context.language = "en"
            case "update_status":
                self.statuses.append(given.status)
                answer.update_status.success = True
            case "submit_transcript":
                turns = self.contract.transcripts.Transcript.FromString(given.transcript).turns
                assert given.ended_at.endswith("Z")
                number = getattr(given, "block_number", 0)
                # The real one refuses a block that the interview has not.
                assert not number or self.blocks
                assert number not in self.stored
                self.stored[number] = [(turn.speaker, turn.content) for turn in turns]
                answer.submit_transcript.success = True
            case "submit_feedback":
                self.feedback = [
                    getattr(given, it.name) for it in given.DESCRIPTOR.fields if it.name != "interview_id"
                ]
                answer.submit_feedback.success = True
            case _:
                answer.error.code = 400
                return 400, answer.SerializeToString()
        return 200, answer.SerializeToString()


APPLICATIONS = [*((name, False) for name in VERSIONS), *((name, True) for name in KNOW_BLOCKS)]


@pytest.mark.parametrize(("application", "blocks"), APPLICATIONS)
@pytest.mark.parametrize("page", VERSIONS)
async def test_every_page_with_every_application(
    nursery: trio.Nursery, autojump_clock: object, page: str, application: str, *, blocks: bool
) -> None:
    """An interview is held and its transcript arrives once; of a block only where both sides know blocks."""
    world = World({"PREPPALD_CLOSE_CODES": "distinct"}, SCENARIO)
    theirs = Application(contract(application), blocks)
    world.backend.post, world.backend.context = theirs.post, theirs.context  # type: ignore[method-assign]
    await world.start(nursery)
    candidate = Candidate(world.connection(), old=page in OLD_PAGES, wire=contract(page).wire)
    # The newest pages ask for block 1 of an ordinary interview, too.
    asks = page in KNOW_BLOCKS
    await candidate.open("/iv-1?block=1" if asks else "/iv-1", world.token())
    assert candidate.status == 101
    nursery.start_soon(candidate.run)
    await candidate.greeted()
    await speak(candidate, 2.0)
    await candidate.until(lambda it: it.transcript_update.speaker == "USER")
    await candidate.heard_out()
    await candidate.end()
    assert (await candidate.closed())[0] == 4001
    await trio.sleep(1)

    assert len(candidate.audio) > 0
    assert candidate.messages[-1].session_ended.reason == 1
    block = 1 if asks and blocks else 0
    assert set(theirs.stored) == {block}
    assert (2, "Hello there.") in theirs.stored[block]
    assert (1, "I drive trains.") in theirs.stored[block]
    shown = "".join(candidate.text("AI").split())
    assert shown == "".join("".join(text.split()) for speaker, text in theirs.stored[block] if speaker == 2)
    # One answer is enough. An application without blocks does not see the number that it was asked with.
    assert theirs.asked == [1 if asks and application in KNOW_BLOCKS else 0]
    assert theirs.statuses == [1]


@pytest.mark.parametrize("application", VERSIONS)
def test_every_application_reads_feedback(application: str) -> None:
    theirs = Application(contract(application), blocks=False)
    words = Feedback("a", "b", "c", "d", "e")
    body = protobuf.encode(feedback_delivery("iv", 1, words, now_ms=EPOCH_MS)).body
    assert theirs.answer(body)[0] == 200
    assert theirs.feedback == ["a", "b", "c", "d", "e"]


def _fields(of: Contract) -> Iterator[tuple[str, Any]]:
    """Each field of each message, and each value of each enum: its place, and what it is on the wire."""

    def within(place: str, message: descriptor_pb2.DescriptorProto) -> Iterator[tuple[str, Any]]:
        oneofs = [it.name for it in message.oneof_decl]
        for it in message.field:
            oneof = oneofs[it.oneof_index] if it.HasField("oneof_index") else ""
            yield f"{place}.{message.name}.{it.name}", (it.number, it.type, it.label, it.type_name, oneof)
        for nested in message.nested_type:
            yield from within(f"{place}.{message.name}", nested)
        yield from values(f"{place}.{message.name}", message.enum_type)

    def values(place: str, enums: Any) -> Iterator[tuple[str, Any]]:
        for enum in enums:
            for it in enum.value:
                yield f"{place}.{enum.name}.{it.name}", it.number

    for file in of.files.file:
        for message in file.message_type:
            yield from within(file.package, message)
        yield from values(file.package, file.enum_type)


@pytest.mark.parametrize("version", [it for it in VERSIONS if it != "new"])
def test_no_field_of_another_version_changed(version: str) -> None:
    """Names, numbers and types are for ever; and no number has another meaning here than there."""
    theirs, ours = dict(_fields(contract(version))), dict(_fields(contract("new")))
    assert {name: ours.get(name) for name in theirs} == theirs
    places = {(name.rpartition(".")[0], it[0] if isinstance(it, tuple) else it) for name, it in ours.items()}
    assert len(places) == len(ours)
