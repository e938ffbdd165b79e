"""An interview over a bad line: how much of the candidate's sound reaches Gemini in time, and how the voice plays.

    sudo .venv/bin/python -m tests.bench.badline [--rate 96kbit] [--delay 200ms] [--loss 2%] … [--seconds 60] [--runs 3]

A real daemon, the simulated Gemini in this process, and a candidate who speaks over every reply; first in PCM, then in
Opus. Daemon and Gemini are at the near end of ``tests.bench.tunnel``, the candidate's socket is at the far end. With
``--program`` the line is that of ``preppald call --line``, which needs no root and has no packets.
"""

import argparse
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
import contextlib
from dataclasses import asdict, dataclass, replace
import json
import os
from pathlib import Path
import random
import re
import socket
from statistics import median
import sys
import tempfile
import time
from typing import Any

import msgspec
import trio

from preppald.audio import opus
from preppald.candidate.codec import Codec
from preppald.candidate.line import Line, along, line
from preppald.core import tokens
from preppald.simulator import GeminiSimulator, Scenario
from preppald.simulator.recording import Direction, Recorder
from preppald.simulator.scenario import Reply
from tests.bench import tunnel
from tests.bench.speaker import BYTES_PER_SECOND, Speaker
from tests.candidates import Candidate
from tests.processes.daemon import daemon
from tests.world import SECRET

IN_TIME_SECONDS = 1.0
# A connection is there after two round trips, and the interview after one more; packets that are lost take seconds.
START_SECONDS = 60.0
# As long as a page waits for its interview's end.
END_SECONDS = 5.0
SCENARIO = Scenario(
    reply=(
        Reply(text="Let me ask at length about the work that you did, and what came of it.", seconds=8.0),
    ),
    speech=("I built a bridge.",),
)
# The daemon puts in silence where a candidate's sound fails to come. No candidate is so silent for so long.
PUT_IN = re.compile(rb"(?:\0\0){1600,}")


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
            pcm = b64decode(data)
            size = len(pcm) - sum(len(found[0]) for found in PUT_IN.finditer(pcm))
            self._seconds += size / BYTES_PER_SECOND
            self.arrivals.append((self._seconds, trio.current_time()))


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


def arrived(arrivals: list[tuple[float, float]], until: float) -> float:
    """Return the seconds of sound that had arrived by then."""
    return max((position for position, at in arrivals if at <= until), default=0.0)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an interview was. Times are seconds.

    ``in_time``: the share of the candidate's sound that was at Gemini within IN_TIME_SECONDS. ``latest``: the longest that
    any took; ``arrived``: seconds that were there a second after the last was said. ``gaps``: silence within replies, in ``heard`` of the interviewer's voice.
    ``interrupted``: from each speaking over the interviewer, ``spoken_over`` times, to Interrupted. ``end``: its words.
    ``carried``, ``lost``: packets of both ways; ``up``, ``down``: kbit/s with all heads, over the whole interview; where
    the line counts them.
    """

    codec: str
    in_time: float
    latest: float
    arrived: float
    gaps: float
    heard: float
    spoken_over: int
    interrupted: list[float]
    end: str
    carried: int = 0
    lost: int = 0
    up: float = 0.0
    down: float = 0.0

    def __str__(self) -> str:
        """Return it in one line."""
        took = ""
        if self.interrupted:
            took = f", median {median(self.interrupted):.2f} s, longest {max(self.interrupted):.2f} s"
        return (
            f"{self.codec}: {self.in_time:.1%} at Gemini within {IN_TIME_SECONDS:.0f} s, the latest after "
            f"{self.latest:.1f} s; {self.arrived:.1f} s arrived; gaps of {self.gaps:.2f} s in {self.heard:.0f} s of "
            f"voice; Interrupted {len(self.interrupted)} times of {self.spoken_over}"
            f"{took}; {self.end}; {self.lost} of {self.carried + self.lost} packets lost; "
            f"{self.up:.0f} kbit/s up, {self.down:.0f} down"
        )


# Opens a connection to a port of the near end.
Dial = Callable[[int], contextlib.AbstractAsyncContextManager[trio.abc.Stream]]


def through(made: tunnel.Tunnel) -> Dial:
    """Return how to dial from the far end of a tunnel."""

    @contextlib.asynccontextmanager
    async def dial(port: int) -> AsyncIterator[trio.abc.Stream]:
        far = made.far.socket()
        # Speech is not held back for company, as in every browser.
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connecting = trio.socket.from_stdlib_socket(far)
        await connecting.connect((tunnel.NEAR_ADDRESS, port))
        async with trio.SocketStream(connecting) as stream:
            yield stream

    return dial


def in_program(shape: Line, seed: int) -> Dial:
    """Return how to dial over the line of ``preppald call --line``."""

    @contextlib.asynccontextmanager
    async def dial(port: int) -> AsyncIterator[trio.abc.Stream]:
        async with along(f"ws://127.0.0.1:{port}", shape, random.Random(seed).random) as opened:
            yield await opened()

    return dial


async def interview(codec: Codec, seconds: float, folder: Path, address: str, dial: Dial) -> Outcome:
    """Hold one. ``address``: the daemon's."""
    ears = Ears()
    gemini = GeminiSimulator(SCENARIO, recorder=ears)
    async with (
        daemon(folder, {"PREPPALD_LISTEN": f"{address}:0"}, gemini=gemini) as running,
        trio.open_nursery() as nursery,
    ):
        with trio.fail_after(START_SECONDS + seconds + END_SECONDS):
            async with dial(running.port) as stream:
                token = tokens.sign(SECRET, user_id="u", interview_id="iv-1", now=time.time_ns() // 10**9)
                candidate = Candidate(stream)
                await candidate.open(f"/iv-1{'?codec=opus' if codec.library else ''}", token)
                nursery.start_soon(candidate.run)
                speaker = Speaker(candidate, codec)
                await candidate.until("session_started", seconds=START_SECONDS)
                await speaker.run(seconds)
                name = codec.name
                end = await ended(candidate, speaker)
                nursery.cancel_scope.cancel()
    share, latest = in_time(ears.arrivals, speaker.began_at, seconds)
    return Outcome(
        codec=name,
        in_time=share,
        latest=latest,
        arrived=arrived(ears.arrivals, speaker.began_at + seconds + IN_TIME_SECONDS),
        gaps=speaker.gaps,
        heard=speaker.heard,
        spoken_over=speaker.barged,
        interrupted=speaker.interruptions,
        end=end,
    )


async def ended(candidate: Candidate, speaker: Speaker) -> str:
    """End the interview as a candidate does; return what became of that."""
    if speaker.lost_after is not None:
        return f"lost after {speaker.lost_after:.0f} s: {candidate.close}"
    began = trio.current_time()
    with trio.move_on_after(END_SECONDS):
        await candidate.end()
        code, reason = await candidate.closed()
        return f"{code} {reason!r} {trio.current_time() - began:.1f} s after its end"
    return f"not ended {END_SECONDS:.0f} s after its end"


def held(chosen: opus.Library | None, given: argparse.Namespace, shape: Any, seed: int) -> Outcome:
    """Hold one interview. ``chosen``: to speak Opus with; None for PCM."""
    with tempfile.TemporaryDirectory() as folder:

        def hold(address: str, dial: Dial) -> Outcome:
            return trio.run(interview, Codec(chosen), given.seconds, Path(folder), address, dial)

        if isinstance(shape, Line):
            return hold("127.0.0.1", in_program(shape, seed))
        with tunnel.tunnel(shape, seed=seed, netem=given.netem, congestion=given.congestion) as made:
            found = hold(tunnel.NEAR_ADDRESS, through(made))
        if not made.counts:
            return found
        down, up = made.counts
        return replace(
            found,
            carried=down.carried + up.carried,
            lost=down.lost + down.full + up.lost + up.full,
            up=up.kbit,
            down=down.kbit,
        )


def medians(runs: list[Outcome]) -> str:
    """Return the medians over some runs, in one line."""
    took = [one for run in runs for one in run.interrupted]
    return (
        f"{runs[0].codec}, medians of {len(runs)}: {median(run.in_time for run in runs):.1%} within "
        f"{IN_TIME_SECONDS:.0f} s, the latest {median(run.latest for run in runs):.1f} s, gaps "
        f"{median(run.gaps for run in runs):.2f} s in {median(run.heard for run in runs):.0f} s, Interrupted "
        f"{f'after {median(took):.2f} s ({min(took):.2f} to {max(took):.2f})' if took else 'never'}"
    )


def main() -> None:
    """Hold the interviews in PCM and in Opus, and print how they were."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    tunnel.add_line(parser)
    parser.add_argument(
        "--program", action="store_true", help="the line of `preppald call --line`; without root"
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--runs", type=int, default=3, help="of each codec, in turn (%(default)s)")
    parser.add_argument("--codec", choices=("both", "opus"), default="both")
    parser.add_argument("--json", action="store_true", help="print one JSON object a run, and nothing else")
    given = parser.parse_args()
    shape = (
        line(f"{given.rate},{given.delay},{given.loss}") if given.program else tunnel.shape_of(parser, given)
    )
    library = opus.library()
    if library is None:
        parser.error("there is no libopus here")
    found: dict[str, list[Outcome]] = {}
    for seed in range(1, given.runs + 1):
        for chosen in (None, library) if given.codec == "both" else (library,):
            one = held(chosen, given, shape, seed)
            found.setdefault(one.codec, []).append(one)
            tell(json.dumps(asdict(one)) if given.json else str(one))
    if not given.json:
        for runs in found.values():
            tell(medians(runs))
        tell(f"load {os.getloadavg()[0]:.1f}")


def tell(said: str) -> None:
    """Print at once."""
    sys.stdout.write(f"{said}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
