"""Clients as they are: old ones, chatty ones, slow ones, broken ones; and three hundred of them."""

import base64
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import gc
import io
import json
from pathlib import Path
import resource
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
import pytest
import trio
import trio.testing
from websockets.frames import Frame, Opcode

from preppald.core.model_health import WINDOW_SECONDS
from preppald.core.turns import CUT_MARK
from preppald.pb import interview_pb2 as pb
from preppald.server.http import MAX_MESSAGE_BYTES
from preppald.simulator import GeminiSimulator, Scenario
from preppald.simulator.clock import Clock
from preppald.simulator.recording import Recorder
from preppald.simulator.scenario import Reply
from tests.candidates import Candidate, silence, tone
from tests.world import World

LONG = Scenario(speech=("Wait.",), reply=(Reply(text="one two three four five six seven", seconds=20.0),))
SHORT = Scenario(speech=("I fixed a race.",), reply=(Reply(text="Hello there.", seconds=0.5),))
OUTPUT_BYTES_PER_SECOND = 48_000


class Ears:
    """What Gemini was sent and when, as its recorder wrote it down."""

    def __init__(self, world: World, scenario: Scenario) -> None:
        self._file = io.BytesIO()
        world.gemini = GeminiSimulator(scenario, recorder=Recorder(self._file, Clock(1.0)))

    def audio(self) -> list[tuple[float, bytes]]:
        found = []
        for line in self._file.getvalue().splitlines():
            entry = json.loads(line)
            data = entry["frame"].get("realtimeInput", {}).get("audio", {}).get("data")
            if entry["direction"] == "in" and data is not None:
                found.append((entry["t"], base64.b64decode(data)))
        return found


# ------------------------------------------------------------------ barge-in


async def test_speaking_over_the_interviewer_silences_it_at_once(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Interrupted comes, and after it nothing more of that reply; the cut turn is marked."""
    world = await World({}, LONG).start(nursery)
    candidate = await world.candidate()
    await candidate.until("audio_response")
    await trio.sleep(1)
    await candidate.speak(1.5, pause=0.2)
    await candidate.until("interrupted")
    at = [message.WhichOneof("payload") for message in candidate.messages].index("interrupted")
    heard = sum(len(message.audio_response.audio_content) for message in candidate.messages[:at])
    assert heard < 20 * OUTPUT_BYTES_PER_SECOND
    after = [message for message in candidate.messages[at:] if message.WhichOneof("payload") != "interrupted"]
    assert not any(message.audio_response.audio_content for message in after)
    await candidate.end()
    await candidate.closed()
    await world.outbox.drained(trio.current_time() + 10)
    lines = world.backend.received("iv-1")[1]
    assert isinstance(lines, list)
    assert lines[0][0] == "AI"
    assert lines[0][1].endswith(CUT_MARK)
    assert "seven" not in lines[0][1]


async def test_audio_that_waits_for_a_slow_browser_is_dropped_when_it_is_stale(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Gemini sends at four times real time: without this, a slow line would play on for many seconds."""
    world = await World({}, LONG).start(nursery)
    ours, theirs = trio.testing.lockstep_stream_pair()
    nursery.start_soon(world.server.handle, theirs)
    candidate = Candidate(ours)
    await candidate.open("/iv-1", world.token())
    await trio.sleep(4)  # it reads nothing, and twelve seconds of reply wait for it
    await candidate.speak(1.5, pause=0.2)
    nursery.start_soon(candidate.run)
    await candidate.until("interrupted")
    assert len(candidate.audio) < 1 * OUTPUT_BYTES_PER_SECOND
    assert "one two three" in candidate.text("AI")
    assert world.counted("interruptions") == 1


async def test_a_browser_that_never_reads_is_given_up(nursery: trio.Nursery, autojump_clock: object) -> None:
    """The interview waits for another connection; nothing of it is lost."""
    world = await World({}, LONG).start(nursery)
    ours, theirs = trio.testing.lockstep_stream_pair()
    nursery.start_soon(world.server.handle, theirs)
    candidate = Candidate(ours)
    await candidate.open("/iv-1", world.token())
    await trio.sleep(40)
    assert len(world.events("browser.left")) == 1
    again = await world.candidate(since=0)
    await again.until("transcript_update")
    assert again.messages[0].session_started.resumed


# ------------------------------------------------------------------ the existing client


async def test_the_existing_clients_pattern_reaches_gemini_joined(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """375 messages of 86 bytes a second become at most 50 a second, in order, byte for byte."""
    world = await World({}, SHORT).start(nursery)
    ears = Ears(world, SHORT)
    candidate = await world.candidate()
    await candidate.heard_out()
    began = trio.current_time()
    pcm = tone(3) + silence(7)
    chunks = [pcm[at : at + 82] for at in range(0, len(pcm), 82)]
    for number, chunk in enumerate(chunks):
        message = pb.ClientToServerMessage(audio_chunk=pb.AudioChunk(audio_content=chunk))
        assert len(message.SerializeToString()) <= 86
        await candidate.send(message.SerializeToString())
        await trio.sleep_until(began + (number + 1) / 375)
    await trio.sleep(0.1)
    heard = ears.audio()
    assert pcm in b"".join(data for _, data in heard)
    moments = [at for at, data in heard if at > 0 and data]
    seconds = moments[-1] - moments[0]
    assert (len(moments) - 1) / seconds <= 50.01
    # A second that is counted from a tick may hold the next second's first.
    assert max(sum(start <= at < start + 1 for at in moments) for start in moments) <= 51
    assert candidate.text("USER") == "I fixed a race."


async def test_odd_lengths_are_joined_to_whole_samples(nursery: trio.Nursery, autojump_clock: object) -> None:
    """Empty chunks are ignored, odd bytes carried: Gemini gets every sample, whole."""
    world = await World({}, SHORT).start(nursery)
    ears = Ears(world, SHORT)
    candidate = await world.candidate()
    await candidate.heard_out()
    pcm = tone(0.5)
    at = 0
    for size in [1, 0, 2, 3, 0, 5, 7] * 60:
        await candidate.send_audio(pcm[at : at + size])
        at += size
        await trio.sleep(0.004)
    await trio.sleep(0.1)
    heard = [data for _, data in ears.audio()]
    assert all(len(data) % 2 == 0 for data in heard)
    assert pcm[: at & ~1] in b"".join(heard)


# The schema as it was: each message's last field then. All later fields and messages are newer.
OLD_MESSAGES = {
    "AudioChunk": 1,
    "EndRequest": 0,
    "ClientToServerMessage": 2,
    "TranscriptUpdate": 4,
    "AudioResponse": 1,
    "ErrorResponse": 2,
    "SessionEnded": 1,
    "ServerToClientMessage": 4,
}


def old_message(name: str) -> Any:
    """A message class of the old schema, in a descriptor pool of its own."""
    file = descriptor_pb2.FileDescriptorProto()
    pb.DESCRIPTOR.CopyToProto(file)
    kept = [message for message in file.message_type if message.name in OLD_MESSAGES]
    for message in kept:
        fields = [field for field in message.field if field.number <= OLD_MESSAGES[message.name]]
        del message.field[:]
        message.field.extend(fields)
    copies = [descriptor_pb2.DescriptorProto.FromString(message.SerializeToString()) for message in kept]
    del file.message_type[:], file.enum_type[:]
    file.message_type.extend(copies)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"preppal.{name}"))


class OldCandidate(Candidate):
    """As the existing page was built."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.old_messages: list[Any] = []
        self._read = old_message("ServerToClientMessage").FromString

    def _note(self, event: object) -> None:
        super()._note(event)
        if isinstance(event, Frame) and event.opcode is Opcode.BINARY:
            self.old_messages.append(self._read(bytes(event.data)))


async def test_a_client_of_the_old_schema_holds_an_interview_to_its_end(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """It skips what it does not know, and gets all that it does: voice, both transcripts, the end."""
    world = await World({}, SHORT).start(nursery)
    candidate = OldCandidate(world.connection())
    await candidate.open(f"/iv-1?token={world.token()}", None)
    nursery.start_soon(candidate.run)
    await candidate.heard_out()
    client_message = old_message("ClientToServerMessage")
    pcm = tone(2) + silence(2)
    for at in range(0, len(pcm), 640):
        message = client_message()
        message.audio_chunk.audio_content = pcm[at : at + 640]
        await candidate.send(message.SerializeToString())
        await trio.sleep(0.02)
    await candidate.heard_out()
    ending = client_message()
    ending.end_request.SetInParent()
    await candidate.send(ending.SerializeToString())
    assert await candidate.closed() == (1000, "Interview ended by user")
    names = {field.name for field in candidate.old_messages[0].DESCRIPTOR.fields}
    assert names == {"transcript_update", "audio_response", "error", "session_ended"}
    audio = b"".join(message.audio_response.audio_content for message in candidate.old_messages)
    assert len(audio) == OUTPUT_BYTES_PER_SECOND
    updates = [
        m.transcript_update for m in candidate.old_messages if m.WhichOneof("payload") == "transcript_update"
    ]
    assert all(update.is_final for update in updates)
    # A blank may carry the turn's end: such a page ignores an update without text.
    assert "".join(update.text for update in updates if update.speaker == "USER").strip() == "I fixed a race."
    assert sum(update.turn_complete for update in updates if update.speaker == "AI") == 2
    assert candidate.old_messages[-1].session_ended.reason == 1
    unknown = [message for message in candidate.old_messages if message.WhichOneof("payload") is None]
    assert unknown  # SessionStarted came, and hurt nobody


# ------------------------------------------------------------------ broken clients


def errors(candidate: Candidate) -> list[tuple[int, str]]:
    found = [message.error for message in candidate.messages if message.WhichOneof("payload") == "error"]
    return [(error.code, error.message) for error in found]


async def test_a_message_that_cannot_be_read_is_told_and_the_interview_goes_on(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Garbage, text, a message without a payload: ErrorResponse 5000 each. A good one in between counts anew."""
    world = await World({}, SHORT).start(nursery)
    candidate = await world.candidate()
    await candidate.heard_out()
    for _ in range(5):
        await candidate.send(b"\xff\xff")
        await candidate.send_text("hello?")
        await candidate.send(b"")
        await candidate.send_audio(b"")
        await trio.sleep(0.1)
    assert errors(candidate) == [(5000, "Failed to process message")] * 15
    await candidate.speak(2)
    await candidate.heard_out()
    assert candidate.close is None


async def test_a_message_in_fragments_is_one_message(nursery: trio.Nursery, autojump_clock: object) -> None:
    """Proxies may cut frames; a text message in fragments is no message either."""
    world = await World({}, SHORT).start(nursery)
    ears = Ears(world, SHORT)
    candidate = await world.candidate()
    await candidate.heard_out()
    pcm = tone(0.1)
    whole = pb.ClientToServerMessage(audio_chunk=pb.AudioChunk(audio_content=pcm)).SerializeToString()
    candidate.protocol.send_binary(whole[:100], fin=False)
    candidate.protocol.send_continuation(whole[100:200], fin=False)
    await candidate.flush()
    await trio.sleep(1)
    candidate.protocol.send_continuation(whole[200:], fin=True)
    candidate.protocol.send_text(b"hel", fin=False)
    candidate.protocol.send_continuation(b"lo", fin=True)
    await candidate.flush()
    await trio.sleep(0.1)
    assert pcm in b"".join(data for _, data in ears.audio())
    assert errors(candidate) == [(5000, "Failed to process message")]


async def test_a_frame_that_is_too_large_is_closed_with_1009(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """The interview waits for a better connection."""
    world = await World({}, SHORT).start(nursery)
    candidate = await world.candidate()
    await candidate.heard_out()
    await candidate.send(bytes(MAX_MESSAGE_BYTES + 1))
    assert (await candidate.closed())[0] == 1009
    again = await world.candidate()
    await again.until("session_started")
    assert again.messages[0].session_started.resumed
    assert world.dials == 1


async def test_broken_frames_are_closed_with_1002(nursery: trio.Nursery, autojump_clock: object) -> None:
    """A reserved opcode; after it nothing else can be trusted."""
    world = await World({}, SHORT).start(nursery)
    candidate = await world.candidate()
    await candidate.heard_out()
    await candidate.stream.send_all(b"\x83\x80\x00\x00\x00\x00")
    assert (await candidate.closed())[0] == 1002


async def test_a_browser_that_closes_in_order_is_answered(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """A reload: the same code comes back, and the interview waits."""
    world = await World({}, SHORT).start(nursery)
    candidate = await world.candidate()
    await candidate.heard_out()
    candidate.protocol.send_close(1001, "reload")
    await candidate.flush()
    assert (await candidate.closed())[0] == 1001
    assert len(world.registry) == 1
    assert world.registry.waiting == 1


async def test_a_silent_browser_is_asked_for_a_sign_of_life_and_then_given_up(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """A laptop that was closed says nothing: pinged after a while, hung up on later. One that pongs stays."""
    world = await World({}, SHORT).start(nursery)
    dead = Candidate(world.connection())
    await dead.open("/iv-1", world.token("iv-1"))
    alive = await world.candidate("iv-2")
    await trio.sleep(60)
    (line,) = world.events("browser.left")
    assert line["interview"] == "iv-1"
    assert alive.close is None


# ------------------------------------------------------------------ three hundred


@asynccontextmanager
async def an_interview(world: World, name: str) -> AsyncIterator[Candidate]:
    candidate = Candidate(world.connection())
    await candidate.open(f"/{name}", world.token(name, f"user of {name}"))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(candidate.run)
        await candidate.heard_out()
        yield candidate


async def hold(world: World, name: str) -> None:
    async with an_interview(world, name) as candidate:
        await candidate.speak(0.2, pause=0.1)
        await candidate.end()
        assert await candidate.closed() == (1000, "Interview ended by user")


def daemons_objects() -> dict[str, int]:
    """How many objects of the daemon's own classes live, by class."""
    gc.collect()
    names = (f"{type(found).__module__}.{type(found).__qualname__}" for found in gc.get_objects())
    own = (name for name in names if name.startswith("preppald.") and ".simulator." not in name)
    return dict(Counter(own))


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.slow
async def test_three_hundred_interviews_leave_nothing_behind(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """No task, no timer, no file, no object; memory stays at the first hundred's level, within 5 %."""
    world = await World({}, Scenario(reply=(Reply(text="Hi.", seconds=0.1),))).start(nursery)
    levels = []
    for hundred in range(3):
        for batch in range(4):
            async with trio.open_nursery() as interviews:
                for number in range(25):
                    interviews.start_soon(hold, world, f"iv-{hundred}-{batch}-{number}")
        await world.registry.empty()
        await world.outbox.drained(trio.current_time() + 10)
        # Connections of the last minute are counted.
        await trio.sleep(20 + WINDOW_SECONDS)
        # What the tests' own fakes remember is not the daemon's.
        world.backend.posts.clear()
        world.log_lines.entries.clear()
        tasks = trio.lowlevel.current_statistics().tasks_living
        # Objects first: counting them collects what earlier tests left open.
        objects = daemons_objects()
        levels.append((tasks, open_files(), objects, resident_bytes()))
    first, *later = levels
    for level in later:
        assert level[:3] == first[:3]
        assert level[3] < first[3] * 1.05
    assert world.counted("sessions_live") == 0
    assert trio.lowlevel.current_statistics().seconds_to_next_deadline > 1
    assert world.services.ticker.members == 0
