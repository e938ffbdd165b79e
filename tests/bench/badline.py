"""An interview over a bad line: how much of the candidate's sound reaches Gemini in time, and how the voice plays.

    sudo .venv/bin/python -m tests.bench.badline [--rate 96kbit] [--delay 200ms] [--loss 2%] [--seconds 60] [--kernel]

A real daemon, the simulated Gemini in this process, and a candidate who speaks over the interviewer; once in PCM and once
in Opus. The line is that of ``preppald call --line``, which any machine has. With ``--kernel`` it is a network namespace
with tc netem at both ends of a veth pair, which needs root, iproute2 and a kernel with sch_netem.
"""

import argparse
from collections.abc import AsyncIterator, Iterator
import contextlib
import ctypes
from pathlib import Path
import random
import socket
import subprocess
import tempfile
import time
from typing import Any

import msgspec
import trio

from preppald.audio import opus
from preppald.candidate.codec import Codec
from preppald.candidate.line import Line, along, line
from preppald.candidate.playback import RATE_HZ as VOICE_RATE_HZ
from preppald.core import tokens
from preppald.pb.interview_pb2 import ServerToClientMessage
from preppald.simulator import GeminiSimulator, Scenario
from preppald.simulator.recording import Direction, Recorder
from preppald.simulator.scenario import Reply
from tests.candidates import Candidate, silence
from tests.coders import VOICES, voice
from tests.processes.daemon import daemon
from tests.world import SECRET

OURS, THEIRS = "10.213.17.1", "10.213.17.2"
NAMESPACE = "preppald-badline"
CLONE_NEWNET = 0x40000000
FRAME_SECONDS = 0.02
BYTES_PER_SECOND = 32_000
VOICE_BYTES_PER_SECOND = VOICE_RATE_HZ * 2
IN_TIME_SECONDS = 1.0
# The cushion with which a page begins to play.
CUSHION_SECONDS = 0.12
# Replies of this length are spoken over after as much of them was heard.
HEARD_SECONDS = 3.0
SCENARIO = Scenario(
    reply=(
        Reply(text="Let me ask at length about the work that you did, and what came of it.", seconds=8.0),
    ),
    speech=("I built a bridge.",),
)


class Ears(Recorder):
    """When how much of the candidate's sound reached Gemini: (seconds of sound so far, time)."""

    def __init__(self) -> None:
        self.arrivals: list[tuple[float, float]] = []
        self._seconds = 0.0

    def note(self, connection: int, direction: Direction, frame: dict[str, Any]) -> None:
        """Gemini's own words are of no interest here."""

    def note_bytes(self, _connection: int, _direction: Direction, message: bytes) -> None:
        said = msgspec.json.decode(message, type=dict[str, Any])
        data = said.get("realtimeInput", {}).get("audio", {}).get("data", "")
        if data:
            self._seconds += len(data) * 3 / 4 / BYTES_PER_SECOND
            self.arrivals.append((self._seconds, trio.current_time()))


@contextlib.contextmanager
def bad_line(rate: str, delay: str, loss: str) -> Iterator[None]:
    """Make the namespace and the line into it."""

    def run(command: str, *, check: bool = True) -> None:
        subprocess.run(command.split(), check=check, capture_output=True)

    run(f"ip netns del {NAMESPACE}", check=False)
    run(f"ip netns add {NAMESPACE}")
    try:
        run(f"ip link add pbl0 type veth peer name pbl1 netns {NAMESPACE}")
        run(f"ip addr add {OURS}/24 dev pbl0")
        run("ip link set pbl0 up")
        inside = f"ip netns exec {NAMESPACE}"
        run(f"{inside} ip addr add {THEIRS}/24 dev pbl1")
        run(f"{inside} ip link set pbl1 up")
        shape = f"root netem rate {rate} delay {delay} loss {loss} limit 64"
        run(f"tc qdisc add dev pbl0 {shape}")
        run(f"{inside} tc qdisc add dev pbl1 {shape}")
        # Segments as they are on the way, not what the two ends of a veth pair hand each other.
        run("ethtool -K pbl0 tso off gso off gro off", check=False)
        run(f"{inside} ethtool -K pbl1 tso off gso off gro off", check=False)
        yield
    finally:
        run(f"ip netns del {NAMESPACE}", check=False)
        run("ip link del pbl0", check=False)


def inside() -> socket.socket:
    """Return a socket at the other end of the line: one stays in the namespace that it was made in."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/proc/self/ns/net").open() as here, Path(f"/run/netns/{NAMESPACE}").open() as there:
        if libc.setns(there.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        try:
            return socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        finally:
            libc.setns(here.fileno(), CLONE_NEWNET)


async def dial(port: int) -> trio.SocketStream:
    """Connect over the kernel's line."""
    made = trio.socket.from_stdlib_socket(inside())
    await made.connect((OURS, port))
    return trio.SocketStream(made)


class Speaker:
    """A candidate who streams all the time, whatever the line takes, and answers when the interviewer was heard."""

    def __init__(self, candidate: Candidate, codec: Codec) -> None:
        self._candidate = candidate
        self._codec = codec
        self._waiting: trio.MemorySendChannel[bytes]
        self._speech = voice(VOICES[0], 16_000)
        self.began_at = 0.0
        self.interruptions: list[float] = []
        self.barged_at: float | None = None
        self.barged = 0
        self.played_until = 0.0
        self.gaps = 0.0
        self.heard = 0.0
        self._reply_seconds = 0.0
        self._talking = b""
        self._read = 0
        # When the daemon, or the line, ended the connection; None: it lasted.
        self.lost_after: float | None = None

    async def run(self, seconds: float) -> None:
        """Hold the interview for so long."""
        self._waiting, queue = trio.open_memory_channel[bytes](100_000)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._send, queue)
            self.began_at = trio.current_time()
            due = self.began_at
            while due < self.began_at + seconds:
                await trio.sleep_until(due)
                self._hear()
                for message in self._codec.said(self._frame()):
                    self._waiting.send_nowait(message)
                due += FRAME_SECONDS
            nursery.cancel_scope.cancel()

    async def _send(self, queue: trio.MemoryReceiveChannel[bytes]) -> None:
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async for message in queue:
                if self._candidate.leaving:
                    break
                await self._candidate.send(message)
        self.lost_after = trio.current_time() - self.began_at

    def _frame(self) -> bytes:
        now = trio.current_time()
        size = round(FRAME_SECONDS * BYTES_PER_SECOND)
        if not self._talking and self._reply_seconds >= HEARD_SECONDS and now < self.played_until:
            # Half of the replies are spoken over, the others are answered when they are over.
            self.barged += 1
            self._reply_seconds = 0.0
            self.barged_at = now
            self._talking = self._speech[: 2 * BYTES_PER_SECOND]
        frame, self._talking = self._talking[:size], self._talking[size:]
        return frame or silence(FRAME_SECONDS)

    def _hear(self) -> None:
        """Play what has come."""
        now = trio.current_time()
        for message in self._candidate.messages[self._read :]:
            self._take(message, now)
        self._read = len(self._candidate.messages)

    def _take(self, message: ServerToClientMessage, now: float) -> None:
        if message.HasField("session_started"):
            self._codec.started(message.session_started)
        elif message.HasField("interrupted"):
            self._codec.interrupted()
            self.played_until = now
            self._reply_seconds = 0.0
            if self.barged_at is not None:
                self.interruptions.append(now - self.barged_at)
                self.barged_at = None
        elif message.HasField("audio_response"):
            length = len(self._codec.heard(message.audio_response)) / VOICE_BYTES_PER_SECOND
            if self._reply_seconds and now > self.played_until:
                self.gaps += now - self.played_until
            elif not self._reply_seconds:
                self.played_until = max(self.played_until, now + CUSHION_SECONDS)
            self.played_until = max(self.played_until, now) + length
            self._reply_seconds += length
            self.heard += length
        elif message.transcript_update.turn_complete and message.transcript_update.speaker == "AI":
            self._reply_seconds = 0.0


def in_time(arrivals: list[tuple[float, float]], began_at: float, seconds: float) -> tuple[float, float]:
    """Return the share of the sound that reached Gemini within a second of being said, and the longest delay."""
    good = before = longest = 0.0
    for position, at in arrivals:
        said = min(position, seconds)
        late = at - (began_at + said)
        longest = max(longest, late)
        if late <= IN_TIME_SECONDS:
            good += said - before
        before = said
    return good / seconds, longest


@contextlib.asynccontextmanager
async def connected(port: int, shape: Line | None) -> AsyncIterator[trio.abc.Stream]:
    """Yield a connection over the line; ``shape``: None where the kernel makes it bad."""
    if shape is None:
        yield await dial(port)
        return
    async with along(f"ws://127.0.0.1:{port}", shape, random.Random(1).random) as opened:
        yield await opened()


async def interview(codec: Codec, seconds: float, folder: Path, shape: Line | None) -> dict[str, float | str]:
    """Hold one, and return what became of it, in words."""
    ears = Ears()
    settings = {"PREPPALD_LISTEN": f"{OURS if shape is None else '127.0.0.1'}:0"}
    gemini = GeminiSimulator(SCENARIO, recorder=ears)
    async with (
        daemon(folder, settings, gemini=gemini) as running,
        trio.open_nursery() as nursery,
        connected(running.port, shape) as stream,
    ):
        token = tokens.sign(SECRET, user_id="u", interview_id="iv-1", now=time.time_ns() // 10**9)
        candidate = Candidate(stream)
        await candidate.open(f"/iv-1{'?codec=opus' if codec.library else ''}", token)
        nursery.start_soon(candidate.run)
        speaker = Speaker(candidate, codec)
        await candidate.until("session_started")
        await speaker.run(seconds)
        nursery.cancel_scope.cancel()
    share, longest = in_time(ears.arrivals, speaker.began_at, seconds)
    return {
        "codec": codec.name,
        "reached Gemini within 1 s": f"{share:.1%}",
        "latest": f"{longest:.1f} s",
        "arrived in all": f"{min(seconds, ears.arrivals[-1][0] if ears.arrivals else 0):.1f} of {seconds:.0f} s",
        "gaps in playback": f"{speaker.gaps:.2f} s in {speaker.heard:.0f} s of voice",
        "to Interrupted": ", ".join(f"{took:.2f} s" for took in speaker.interruptions) or "never",
        "spoken over": speaker.barged,
        "connection": "lasted"
        if speaker.lost_after is None
        else f"lost after {speaker.lost_after:.0f} s {candidate.close}",
    }


def main() -> None:
    """Hold the interview in PCM and in Opus, and print what became of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rate", default="96kbit")
    parser.add_argument("--delay", default="200ms")
    parser.add_argument("--loss", default="2%")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--kernel", action="store_true", help="have tc netem shape the line; needs root")
    arguments = parser.parse_args()
    parts = (arguments.rate, arguments.delay, arguments.loss)
    shape = None if arguments.kernel else line(",".join(parts))
    for chosen in (None, opus.library()):
        shaped = bad_line(*parts) if shape is None else contextlib.nullcontext()
        with shaped, tempfile.TemporaryDirectory() as folder:
            found = trio.run(interview, Codec(chosen), arguments.seconds, Path(folder), shape)
        print("; ".join(f"{name}: {value}" for name, value in found.items()), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
