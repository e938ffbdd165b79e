"""Messages of sound that have none, and sound that breaks off in the middle of a sample."""

import pytest
import trio

from preppald.pb.interview_pb2 import AudioChunk, ClientToServerMessage
from preppald.simulator.scenario import Reply, Scenario
from tests.candidates import Candidate, silence, tone
from tests.overheard import Overheard, overhear
from tests.world import World

PIECE_BYTES = 640
PIECE_SECONDS = 0.02


async def begin(nursery: trio.Nursery) -> tuple[World, Overheard, Candidate]:
    scenario = Scenario(reply=(Reply(text="Hello.", seconds=1.0),))
    world = World({}, scenario)
    heard = overhear(world, scenario)
    await world.start(nursery)
    candidate = await world.candidate()
    await candidate.greeted()
    return world, heard, candidate


async def stream(candidate: Candidate, pcm: bytes, first: int = PIECE_BYTES) -> None:
    """Sends it in real time; ``first``: the length of the first piece, in bytes."""
    at, size = 0, first
    while at < len(pcm):
        await candidate.send_audio(pcm[at : at + size])
        at, size = at + size, PIECE_BYTES
        await trio.sleep(PIECE_SECONDS)


@pytest.mark.parametrize(
    "nothing",
    [AudioChunk(), AudioChunk(audio_content=b"")],
    ids=["no field", "an empty field"],
)
async def test_a_message_without_sound_is_none(
    nursery: trio.Nursery, autojump_clock: object, nothing: AudioChunk
) -> None:
    """Gemini hears the silence that it hears of a page which sends nothing, and no empty messages."""
    world, heard, candidate = await begin(nursery)
    message = ClientToServerMessage(audio_chunk=nothing).SerializeToString()
    sent = world.parts().uplink.taken_bytes
    before = len(heard.all_audio)
    for _ in range(200):
        await candidate.send(message)
        await trio.sleep(0.05)
    assert (len(heard.all_audio) - before) / len(silence(1.0)) == pytest.approx(10, abs=2)
    assert world.parts().uplink.taken_bytes - sent == len(heard.all_audio) - before
    assert candidate.close is None


@pytest.mark.parametrize("broken_off", [PIECE_BYTES, PIECE_BYTES + 1, 1])
async def test_a_sample_that_a_lost_connection_cut_in_two_shifts_no_other(
    nursery: trio.Nursery, autojump_clock: object, broken_off: int
) -> None:
    """For Gemini, and for our own ear: the rest of that sample never comes."""
    world, heard, candidate = await begin(nursery)
    await candidate.send_audio(bytes(broken_off))
    await trio.sleep(0.1)
    await candidate.vanish()
    await trio.sleep(0.2)
    again = await world.candidate(since=0)
    await trio.sleep(0.1)
    ear, place = world.parts().ear, world.parts().ear.place
    voice = tone(2.0)
    await stream(again, silence(1.0) + voice)
    assert heard.all_audio.find(voice[-16_000:]) % 2 == 0
    assert ear.place - place == pytest.approx(3.0, abs=0.01)
    stretch = ear.voice_before(ear.place)
    assert stretch is not None
    assert stretch.began - place == pytest.approx(1.0, abs=0.05)


async def test_a_sample_in_two_messages_is_one(nursery: trio.Nursery, autojump_clock: object) -> None:
    _, heard, candidate = await begin(nursery)
    voice = tone(2.0)
    await stream(candidate, voice, first=PIECE_BYTES + 1)
    await stream(candidate, voice, first=3)
    assert heard.all_audio.find(voice + voice) % 2 == 0
