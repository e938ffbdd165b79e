"""The cost of Opus: a daemon's processor time and memory with so many interviews, in PCM, in Opus and one in ten.

    .venv/bin/python -m tests.bench.opus_cost [--interviews 10] [--seconds 20]

Every candidate streams, and every interviewer speaks all the time: the worst that there can be. The daemon's own
processor time says what a core carries, also on a busy machine; what one core carries in the end is ``tests.bench``'s.
"""

import argparse
from functools import partial
import itertools
from pathlib import Path
import tempfile
import time

import trio

from preppald.audio import opus
from preppald.core import tokens
from preppald.pb.interview_pb2 import OPUS, AudioChunk, ClientToServerMessage, Prefer
from preppald.simulator import GeminiSimulator, Scenario
from preppald.simulator.scenario import Audio, Reply
from tests.candidates import Candidate
from tests.coders import VOICES, the_library, voice
from tests.processes.daemon import Daemon, daemon
from tests.world import SECRET

PACKET_BYTES = 1920
# Until all are connected and speak, and the coders are made.
SETTLE_SECONDS = 5.0
TALKING = Scenario(audio=Audio(pace=1.0), reply=(Reply(text="And then?", seconds=300.0),))


def messages(*, packed: bool) -> list[bytes]:
    """Return a voice in messages of 60 ms."""
    pcm = voice(VOICES[0], 16_000)
    if packed:
        chunks = [
            AudioChunk(packets=[it]) for it in opus.Encoder(the_library(), 16_000).encode(bytes(len(pcm)))
        ]
    else:
        chunks = [AudioChunk(audio_content=bytes(PACKET_BYTES)) for _ in range(len(pcm) // PACKET_BYTES)]
    return [ClientToServerMessage(audio_chunk=chunk).SerializeToString() for chunk in chunks]


async def talk(running: Daemon, number: int, *, packed: bool, nursery: trio.Nursery) -> None:
    """Be one candidate, for as long as this lasts."""
    token = tokens.sign(
        SECRET, user_id=f"u{number}", interview_id=f"iv-{number}", now=time.time_ns() // 10**9
    )
    candidate = Candidate(await trio.open_tcp_stream("127.0.0.1", running.port))
    await candidate.open(f"/iv-{number}{'?codec=opus' if packed else ''}", token)
    nursery.start_soon(candidate.run)
    started = await candidate.until("session_started")
    if packed:
        assert started.session_started.audio_codec == OPUS
        await candidate.send(ClientToServerMessage(prefer=Prefer(downlink=OPUS)).SerializeToString())
    due = trio.current_time()
    for message in itertools.cycle(messages(packed=packed)):
        if candidate.leaving:
            raise RuntimeError(f"the daemon closed interview {number}: {candidate.close}")
        await candidate.send(message)
        candidate.messages.clear()
        due += PACKET_BYTES / 32_000
        await trio.sleep_until(due)


async def cost(interviews: int, packed: int, seconds: float, folder: Path) -> tuple[float, float, float]:
    """Return milliseconds of a core for each second of an interview, and MiB at the beginning and at the end."""
    async with daemon(folder, {}, gemini=GeminiSimulator(TALKING)) as running, trio.open_nursery() as nursery:
        empty = running.resident_bytes
        for number in range(interviews):
            one = partial(talk, running, number, packed=number < packed, nursery=nursery)
            nursery.start_soon(one)
            await trio.sleep(0.1)
        await trio.sleep(SETTLE_SECONDS)
        before, began = running.cpu_seconds, trio.current_time()
        await trio.sleep(seconds)
        spent = (running.cpu_seconds - before) / (trio.current_time() - began) / interviews
        full = running.resident_bytes
        nursery.cancel_scope.cancel()
    return spent * 1000, empty / 2**20, full / 2**20


def main() -> None:
    """Print a line for each share of Opus."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--interviews", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=20.0)
    given = parser.parse_args()
    for packed in (0, given.interviews // 10, given.interviews):
        with tempfile.TemporaryDirectory() as folder:
            ms, empty, full = trio.run(cost, given.interviews, packed, given.seconds, Path(folder))
        print(  # noqa: T201
            f"{packed} of {given.interviews} in Opus: {ms:.2f} ms of a core a second and interview, "
            f"{(full - empty) * 1024 / given.interviews:.0f} KiB an interview",
            flush=True,
        )


if __name__ == "__main__":
    main()
