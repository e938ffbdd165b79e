"""A whole interview with Opus: what Gemini hears, the recording and the interviewer's turns are as with PCM."""

from dataclasses import dataclass, field

import pytest
import trio
from websockets.frames import Frame, Opcode

from preppald.audio.opus import Decoder, Encoder
from preppald.core.frames import MAX_PACKETS
from preppald.pb.interview_pb2 import (
    OPUS,
    PCM,
    AudioChunk,
    AudioResponse,
    ClientToServerMessage,
    Codec,
    Prefer,
    ServerToClientMessage,
)
from preppald.simulator.scenario import Reply, Scenario
from tests.candidates import Candidate, tone
from tests.coders import the_library
from tests.overheard import Overheard, keep_silent, overhear, speak
from tests.world import World

SCENARIO = Scenario(reply=(Reply(text="Hello there, and thank you for coming.", seconds=4.0),))


@dataclass
class Raw(Candidate):
    """Keeps what it was sent as it came."""

    raw: list[bytes] = field(default_factory=list)

    def _note(self, event: object) -> None:
        if isinstance(event, Frame) and event.opcode is Opcode.BINARY:
            self.raw.append(bytes(event.data))
        super()._note(event)


@dataclass
class Packer(Candidate):
    """Speaks Opus, and hears both ways as one sound."""

    subprotocol: str = "preppal.v2"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.encoder = Encoder(the_library(), 16_000)
        self.decoder = Decoder(the_library(), 24_000)
        self.opus = True

    async def send_audio(self, pcm: bytes) -> None:
        if not self.opus:
            await super().send_audio(pcm)
        elif packets := self.encoder.encode(pcm):
            await self.send_packets(*packets)

    async def send_packets(self, *packets: bytes) -> None:
        await self.send(ClientToServerMessage(audio_chunk=AudioChunk(packets=packets)).SerializeToString())

    async def prefer(self, codec: Codec) -> None:
        await self.send(ClientToServerMessage(prefer=Prefer(downlink=codec)).SerializeToString())

    @property
    def responses(self) -> list[AudioResponse]:
        return [it.audio_response for it in self.messages if it.HasField("audio_response")]

    @property
    def sound(self) -> bytes:
        sound = b""
        for response in self.responses:
            if not response.packets:
                self.decoder.restart()
            sound += b"".join(map(self.decoder.decode, response.packets)) + response.audio_content
        return sound


async def world_with(nursery: trio.Nursery, *, opus: bool = True, **settings: str) -> tuple[World, Overheard]:
    world = World(settings, SCENARIO, library=the_library() if opus else None)
    heard = overhear(world, SCENARIO)
    await world.start(nursery)
    return world, heard


async def packer(world: World, nursery: trio.Nursery, *, codec: str = "?codec=opus") -> Packer:
    candidate = Packer(world.connection())
    await candidate.open(f"/iv-1{codec}", world.token())
    nursery.start_soon(candidate.run)
    return candidate


async def interview(nursery: trio.Nursery, *, opus: bool) -> list[bytes]:
    """What a page that does not ask is sent in an interview."""
    world, _ = await world_with(nursery, opus=opus)
    candidate = Raw(world.connection())
    await candidate.open("/iv-1?since=0", world.token())
    nursery.start_soon(candidate.run)
    await candidate.greeted()
    await speak(candidate, 2)
    await keep_silent(candidate, 8)
    await candidate.end()
    await candidate.closed()
    return candidate.raw


async def test_a_client_that_does_not_ask_sees_no_difference(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    """Byte for byte, in a daemon that has Opus and in one that has not."""
    assert await interview(nursery, opus=True) == await interview(nursery, opus=False)


async def test_a_whole_interview_in_packets(autojump_clock: object, nursery: trio.Nursery) -> None:
    world, heard = await world_with(nursery)
    candidate = await packer(world, nursery)
    started = await candidate.until("session_started")
    assert started.session_started.audio_codec == OPUS
    await candidate.prefer(OPUS)
    await candidate.greeted()
    before = len(heard.all_audio)
    await candidate.speak(2.0, pause=8.0)
    await candidate.heard_out(seen=0)
    assert len(heard.all_audio) - before == pytest.approx(10 * 32_000, abs=4000)
    said = heard.all_audio[before:]
    loud = [
        at
        for at in range(0, len(said) - 1, 2)
        if abs(int.from_bytes(said[at : at + 2], "little", signed=True)) > 4000
    ]
    assert (loud[-1] - loud[0]) / 32_000 == pytest.approx(2.0, abs=0.05), "what was said, as it was said"
    received = [it.received.audio_ms for it in candidate.messages if it.HasField("received")]
    assert received[-1] == pytest.approx(10_000, abs=1200)
    replies = [it for it in candidate.responses if it.packets]
    assert sum(len(it.audio_content) for it in candidate.responses) == 0
    assert replies
    assert len(candidate.sound) / 48_000 == pytest.approx(8.0, abs=0.2)
    assert sum(len(packet) for it in replies for packet in it.packets) < 8 * 4000
    await candidate.end()
    assert await candidate.closed() == (1000, "Interview ended by user")
    assert world.counted("opus_asked", outcome="granted") == 1
    assert world.counted("opus_packets_damaged") == 0


async def test_a_page_changes_its_own_codec_in_mid_sentence(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    """Nothing is lost: of each change to packets and back only some silence stays, less than a packet."""
    world, heard = await world_with(nursery)
    candidate = await packer(world, nursery)
    await candidate.until("session_started")
    for opus in (False, True, False, True, False):
        candidate.opus = opus
        for _ in range(20):
            await candidate.send_audio(tone(0.02))
            await trio.sleep(0.02)
        if opus:
            await candidate.send_packets(*candidate.encoder.finish())
            candidate.encoder.restart()
    await trio.sleep(1)
    assert 0 <= len(heard.all_audio) - 5 * 12_800 <= 2 * 1280


async def test_the_interviewers_codec_changes_in_mid_sentence(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    """Gemini speaks four times as fast as one listens: the changes come while it does."""
    world, _ = await world_with(nursery)
    candidate = await packer(world, nursery)
    await candidate.until("audio_response")
    for codec in (OPUS, PCM, OPUS, PCM):
        await candidate.prefer(codec)
        await trio.sleep(0.15)
    await candidate.greeted()
    ways = [bool(it.packets) for it in candidate.responses]
    assert [way for at, way in enumerate(ways) if not at or way != ways[at - 1]] == [False, True] * 2 + [
        False
    ]
    assert 0 <= len(candidate.sound) / 48_000 - 4.0 < 0.06


async def test_speaking_over_the_interviewer_drops_packets_too(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    world, _ = await world_with(nursery)
    candidate = await packer(world, nursery)
    await candidate.until("session_started")
    await candidate.prefer(OPUS)
    await candidate.until("audio_response")
    nursery.start_soon(candidate.speak, 1.0, 0.0)
    await candidate.until("interrupted")
    at = next(at for at, it in enumerate(candidate.messages) if it.HasField("interrupted"))
    await trio.sleep(0.3)
    assert not any(it.HasField("audio_response") for it in candidate.messages[at:])


async def test_damaged_packets_end_nothing(autojump_clock: object, nursery: trio.Nursery) -> None:
    world, heard = await world_with(nursery)
    candidate = await packer(world, nursery)
    await candidate.greeted()
    before = len(heard.all_audio)
    for _ in range(50):
        await candidate.send_packets(b"\xff", b"", bytes(1276))
        await trio.sleep(0.06)
    assert world.counted("opus_packets_damaged") == 150
    assert len(heard.all_audio) - before == pytest.approx(3 * 32_000, abs=2000), "time goes on"
    assert not any(it.HasField("error") for it in candidate.messages)
    await candidate.end()
    await candidate.closed()


@pytest.mark.parametrize("codec", ["", "?codec=mp3"])
async def test_a_page_that_was_not_granted_packets_may_not_send_them(
    autojump_clock: object, nursery: trio.Nursery, codec: str
) -> None:
    """It is told so, and its wish for packets changes nothing."""
    world, _ = await world_with(nursery)
    candidate = await packer(world, nursery, codec=codec)
    started = await candidate.until("session_started")
    assert started.session_started.audio_codec == PCM
    await candidate.prefer(OPUS)
    await candidate.send_audio(tone(0.1))
    told = await candidate.until("error")
    assert told.error.message == "Failed to process message"
    await candidate.greeted()
    assert not any(it.packets for it in candidate.responses)


async def test_without_libopus_the_page_learns_it(autojump_clock: object, nursery: trio.Nursery) -> None:
    world, _ = await world_with(nursery, opus=False)
    candidate = await packer(world, nursery)
    started = await candidate.until("session_started")
    assert started.session_started.audio_codec == PCM
    assert world.counted("opus_asked", outcome="missing") == 1


@pytest.mark.parametrize(
    "chunk",
    [AudioChunk(packets=[b"\x48"] * (MAX_PACKETS + 1)), AudioChunk(audio_content=b"ab", packets=[b"\x48"])],
    ids=["too many", "both"],
)
async def test_a_message_with_too_many_packets_or_with_both_is_refused(
    autojump_clock: object, nursery: trio.Nursery, chunk: AudioChunk
) -> None:
    world, heard = await world_with(nursery)
    candidate = await packer(world, nursery)
    await candidate.until("session_started")
    await candidate.send(ClientToServerMessage(audio_chunk=chunk).SerializeToString())
    await candidate.until("error")
    assert heard.all_audio == b""


async def test_packets_count_as_the_sound_that_they_make(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    """Few bytes can make hours of sound: a sender of them is held to real time like any other."""
    world, heard = await world_with(nursery)
    candidate = await packer(world, nursery)
    await candidate.greeted()
    minute = ClientToServerMessage(
        audio_chunk=AudioChunk(packets=[b"\x58"] * MAX_PACKETS)
    ).SerializeToString()
    began = trio.current_time()
    with trio.move_on_after(60):
        while not candidate.leaving:
            await candidate.send(minute)
            await trio.sleep(0.01)
    assert await candidate.closed() == (1008, "Sending faster than real time")
    assert len(heard.all_audio) / 32_000 < 40 + 2 * (trio.current_time() - began)


async def test_a_reconnection_asks_anew(autojump_clock: object, nursery: trio.Nursery) -> None:
    world, _ = await world_with(nursery)
    first = await packer(world, nursery)
    await first.greeted()
    second = await packer(world, nursery, codec="?codec=opus&since=1")
    started = await second.until("session_started")
    assert started.session_started.resumed
    assert started.session_started.audio_codec == OPUS
    third = await packer(world, nursery, codec="?since=1")
    started = await third.until("session_started")
    assert started.session_started.audio_codec == PCM


def test_the_default_codec_is_not_written() -> None:
    """A client that does not ask gets the bytes of before."""
    assert b"\x38" not in ServerToClientMessage(session_started={"audio_codec": PCM}).SerializeToString()
