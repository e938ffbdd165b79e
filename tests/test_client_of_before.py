"""A client that was built before the newest messages, through every flaw that the simulator has: it shows nothing wrong.

Its contract is tests/before/interview.proto; it joins turns as ``preppald call`` and the client package did then.
"""

from dataclasses import dataclass, field
from pathlib import Path
import subprocess
import sys
from typing import Any, get_args

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
import pytest
import trio
from websockets.frames import Frame, Opcode

from preppald.core.turns import fold
from preppald.pb.interview_pb2 import ClientToServerMessage, Hold, SessionEnded
from preppald.simulator.faults import Flaw, Flawed
from preppald.simulator.scenario import Reply, Scenario
from tests.candidates import Candidate
from tests.overheard import keep_silent, speak
from tests.test_odd_frames import shown_by_an_old_page
from tests.world import World

CONTRACT = Path(__file__).parent / "before" / "interview.proto"
LINES = (
    Reply(text="Hello there, and thank you for coming. What is your name?", seconds=3.0),
    Reply(text="I see. And what was the hardest thing that you ever built?", seconds=3.0),
    Reply(text="How did you find out that it was wrong?", seconds=2.0),
)
SAID = ("I worked at Acme for three years. Then I moved to Oslo.", "We built a bridge, in winter.", "Yes.")


@pytest.fixture(scope="module")
def message_class(tmp_path_factory: pytest.TempPathFactory) -> type[Any]:
    """The server's messages as they were then, made from the contract of then."""
    compiled = tmp_path_factory.mktemp("contract") / "set"
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={CONTRACT.parent}"]
    subprocess.run([*command, f"--descriptor_set_out={compiled}", CONTRACT.name], check=True, timeout=60)
    files = descriptor_pb2.FileDescriptorSet.FromString(compiled.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("preppal.ServerToClientMessage"))


@dataclass
class Before(Candidate):
    """Keeps what it was sent as it came."""

    raw: list[bytes] = field(default_factory=list)

    def _note(self, event: object) -> None:
        if isinstance(event, Frame) and event.opcode is Opcode.BINARY:
            self.raw.append(bytes(event.data))
        super()._note(event)


@pytest.mark.parametrize("flaw", get_args(Flaw))
async def test_a_client_of_before_shows_nothing_wrong(
    nursery: trio.Nursery, autojump_clock: object, message_class: type[Any], flaw: Flaw
) -> None:
    """Every line is a turn's, in their order, or the beginning of one whose rest came late; no sound is torn.

    An answer that Gemini wrote down only after its reply was over stands where it came: such a client has no other place.
    """
    world = World({}, Scenario(reply=LINES, speech=SAID, fault=(Flawed(flaw=flaw, turn=2),)))
    await world.start(nursery)
    candidate = Before(world.connection())
    await candidate.open("/iv-1?since=0", world.token())
    nursery.start_soon(candidate.run)
    await candidate.greeted()
    for _ in range(3):
        await speak(candidate, 2)
        await keep_silent(candidate, 25)
    await candidate.send(ClientToServerMessage(hold=Hold(on=True)).SerializeToString())
    await candidate.until("hold_state")
    await candidate.end()
    assert await candidate.closed() == (1000, "Interview ended by user")

    messages = [message_class.FromString(raw) for raw in candidate.raw]
    kinds = [message.WhichOneof("payload") for message in messages]
    assert kinds.count(None) == 1, "HoldState, which was asked for by a newer client than this"
    assert kinds.count("error") == 0
    assert messages[-1].session_ended.reason == SessionEnded.USER_INITIATED
    sounds = [len(it.audio_response.audio_content) for it in messages if it.HasField("audio_response")]
    assert all(size and size % 2 == 0 for size in sounds)
    assert all(it.notice.message for it in messages if it.HasField("notice"))
    assert all(it.transcript_update.is_final for it in messages if it.HasField("transcript_update"))
    turns = fold(await world.journal.fragments("iv-1", 1, since=0)).values()
    in_order = sorted(turns, key=lambda turn: (turn.started_ms, turn.number))
    if flaw == "late-input-transcription":
        in_order[1], in_order[2] = in_order[2], in_order[1]
        assert [turn.speaker for turn in in_order[:3]] == ["AI", "AI", "USER"]
    wanted = iter(in_order)
    shown = shown_by_an_old_page(messages)
    for speaker, text in shown:
        assert any(turn.speaker == speaker and turn.text.strip().startswith(text) for turn in wanted), text
    assert len(shown) == len(turns)
    assert [text for speaker, text in shown if speaker == "USER"]
