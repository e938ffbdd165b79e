"""Real processes: a daemon that records, a simulated Gemini, and the operator's commands that say when each turn was."""

from array import array
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
import io
import json
from pathlib import Path
import random
import re
import subprocess
import sys
import time
from typing import Any
import wave

import trio

from preppald.core import tokens as auth
from tests.candidates import RATE_HZ, Candidate
from tests.processes.daemon import LOOK_SECONDS, PATIENCE_SECONDS, Daemon, daemon
from tests.processes.host import Stamped
from tests.truth.player import Player, Word
from tests.truth.scenes import scenario, talk
from tests.truth.script import Answer
from tests.truth.turns import Turn, candidates, interviewers, matched
from tests.world import SECRET

PREPPALD = (sys.executable, "-m", "preppald")
# A piece of a word that is looked for in a recording; further away it is another word's.
PROBE_SECONDS = 0.06
NEAR_SECONDS = 2.0
_CUE = re.compile(r"(\d+):(\d+):(\d+\.\d+) --> (\d+):(\d+):(\d+\.\d+)")


@dataclass(frozen=True)
class Off:
    """By how many milliseconds an exported time is off; None where it is of nothing that was said or heard."""

    condition: str
    language: str
    what: str
    ms: float | None


@asynccontextmanager
async def simulated(folder: Path, toml: str) -> AsyncIterator[str]:
    """Yield the address of a simulated Gemini, a process of its own."""
    file_of_scenario = _written(folder, toml)
    log = folder / "simulator.log"
    listen = ("--listen", "127.0.0.1:0", "--backend-listen", "127.0.0.1:0")
    with log.open("wb") as file:
        process = await trio.lowlevel.open_process(
            [*PREPPALD, "simulate", *listen, "--scenario", str(file_of_scenario)],
            stdin=subprocess.DEVNULL,
            stderr=file,
            stdout=file,
        )
    try:
        with trio.fail_after(PATIENCE_SECONDS):
            while "simulator.ready" not in (text := log.read_text("utf-8")):  # noqa: ASYNC110 - another process writes it
                assert process.poll() is None, text
                await trio.sleep(LOOK_SECONDS)
        ready = next(json.loads(line) for line in text.splitlines() if "simulator.ready" in line)
        yield ready["gemini"]
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


def _written(folder: Path, toml: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "scenario.toml"
    file.write_text(toml, "utf-8")
    return file


@asynccontextmanager
async def running(folder: Path, answers: Sequence[Answer], *, rotates: bool) -> AsyncIterator[Daemon]:
    """Yield a daemon with its Gemini."""
    async with (
        simulated(folder, scenario(answers, rotates=rotates)) as address,
        daemon(folder, {"PREPPALD_GEMINI_URL": address, "PREPPALD_RECORD": "on"}) as found,
    ):
        yield found


async def interview(here: Daemon, name: str, answers: Sequence[Answer], condition: str, seed: int) -> Player:
    """Hold one interview; return its truth."""
    async with trio.open_nursery() as nursery:

        async def connect(since: int) -> Candidate:
            stream = Stamped(await trio.open_tcp_stream("127.0.0.1", here.port))
            candidate = Candidate(stream, clock=stream.arrived_at)
            here.candidates.append(candidate)
            token = auth.sign(SECRET, user_id=name, interview_id=name, now=time.time_ns() // 10**9)
            assert await candidate.open(f"/{name}?since={since}", token) == 101
            nursery.start_soon(candidate.run)
            return candidate

        player = Player(connect)
        nursery.start_soon(player.run)
        await talk(player, answers, condition, random.Random(f"{seed} {name}"))
        await player.leave()
        nursery.cancel_scope.cancel()
    return player


async def exported(here: Path, *command: str) -> bytes:
    """Return what an operator's command prints; once more where the daemon just puts a finished recording in place."""
    env = {"PREPPALD_STATE_DIR": str(here / "state")}
    run = partial(trio.run_process, [*PREPPALD, *command], env=env, capture_stdout=True)
    done = await run(check=False)
    return done.stdout if done.returncode == 0 else (await run()).stdout


async def compared(here: Path, name: str, player: Player, condition: str) -> list[Off]:
    """Return how far everything is off that is exported of an interview that is over."""
    told = json.loads(await exported(here, "transcript", name, "--format", "json"))
    captions = (await exported(here, "transcript", name, "--format", "vtt")).decode()
    sound = await exported(here, "recording", name, "--format", "wav", "--output", "-")
    # The recording's clock, by Trio's.
    wall = time.time_ns() / 1e9 - trio.current_time()
    zero = datetime.fromisoformat(told["started"]).timestamp() - wall
    by_speaker = {
        "answer": ([it for it in told["turns"] if it["speaker"] == "USER"], candidates(player)),
        "reply": ([it for it in told["turns"] if it["speaker"] == "AI"], interviewers(player)),
    }
    found = [
        off
        for what, (exports, truths) in by_speaker.items()
        for off in _of_turns(condition, what, exports, truths, zero)
    ]
    cues = {edge for cue in _CUE.findall(captions) for edge in (_ms(*cue[:3]), _ms(*cue[3:]))}
    edges = {it[key] for it in told["turns"] for key in ("begin_ms", "end_ms")}
    assert edges <= cues, "captions say the same"
    return [*found, *_of_recording(condition, sound, player, zero)]


def _of_turns(
    condition: str, what: str, exports: Sequence[dict[str, Any]], truths: Sequence[Turn], zero: float
) -> Iterator[Off]:
    told = [Turn(it["begin_ms"] / 1000 + zero, it["end_ms"] / 1000 + zero) for it in exports]
    pairs, left = matched(told, truths)
    yield from [Off(condition, "", what, None)] * left
    for it, truth in pairs:
        yield Off(condition, truth.language, f"{what} begins", (it.begin - truth.begin) * 1000)
        yield Off(condition, truth.language, f"{what} ends", (it.end - truth.end) * 1000)


def _of_recording(condition: str, sound: bytes, player: Player, zero: float) -> Iterator[Off]:
    """Look each word up in the candidate's channel, where it is to the last bit what the microphone took down."""
    with wave.open(io.BytesIO(sound)) as file:
        channel = array("h", file.readframes(file.getnframes()))[0::2].tobytes()
    for word, probe, at in _probes(player):
        place = round((at - zero) * RATE_HZ)
        near = round(NEAR_SECONDS * RATE_HZ)
        hits = _found(channel, probe, 2 * max(0, place - near), 2 * (place + near))
        off = min(((hit // 2 - place) * 1000 / RATE_HZ for hit in hits), key=abs, default=None)
        yield Off(condition, word.language, "word in the recording", off)


def _probes(player: Player) -> Iterator[tuple[Word, bytes, float]]:
    """Yield of each word that was not lost a piece of its middle, and when that began."""
    for word, pcm in zip(player.words, player.sounds, strict=True):
        size = 2 * round(PROBE_SECONDS * RATE_HZ)
        start = (len(pcm) - size) // 4 * 2
        at = word.begin + start / 2 / RATE_HZ
        if start >= 0 and all(player.sent_at(it) is not None for it in (at, at + PROBE_SECONDS)):
            yield word, pcm[start : start + size], at


def _found(channel: bytes, probe: bytes, start: int, stop: int) -> Iterator[int]:
    while (start := channel.find(probe, start, stop)) >= 0:
        if start % 2 == 0:
            yield start
        start += 1


def _ms(hours: str, minutes: str, seconds: str) -> int:
    return round((int(hours) * 3600 + int(minutes) * 60 + float(seconds)) * 1000)
