"""The journal's row of how an interview went, and the same numbers computed again from the sound and the fragments.

Nothing of ``core.quality`` or ``core.timeline`` is used for the second computation: it listens to the recording.
"""

from array import array
from dataclasses import dataclass
from functools import partial
from importlib import resources
from pathlib import Path
import wave

import pytest
import trio

from preppald.core.quality import Quality, Service
from preppald.core.turns import Fragment
from preppald.journal import reader
from preppald.recording.recorder import WRITE_SECONDS
from preppald.simulator.scenario import GoAway, Limits, Reply, Scenario
from tests.candidates import RATE_HZ, Candidate
from tests.recording.ears import Heard, listen
from tests.world import World

NEAR_MS = 50
# A voice pauses between sentences; what is nearer together is one turn.
TURN_SECONDS = 0.9
# The mean magnitude from which a frame is voice: 1 % of full scale, as loud as a murmur at arm's length.
VOICE_LEVEL = 350
FRAME_SECONDS = 0.01
REPLIES = (
    Reply(text="Hello, tell me about yourself.", seconds=3.0),
    Reply(text="And what did you do about the race in the scheduler?", seconds=6.0),
    Reply(text="Who else was there?", seconds=2.0),
    Reply(text="Thank you.", seconds=1.0),
)


@dataclass
class Again:
    """The second computation: seconds and counts."""

    waits: list[float]
    candidate: float
    interviewer: float
    candidate_silence: float
    interviewer_silence: float
    interruptions: int


def again(heard: Heard, fragments: list[Fragment]) -> Again:
    """Listen to both sides; only what was cut is taken from the fragments."""
    left, right = turns(voice(heard.left)), turns(voice(heard.right))
    waits = []
    for _, end in left:
        following = [begin for begin, _ in right if begin >= end]
        before = [begin for begin, _ in left if begin >= end]
        if following and (not before or following[0] <= before[0]):
            waits.append(following[0] - end)
    return Again(
        waits=sorted(waits),
        candidate=sum(end - begin for begin, end in left),
        interviewer=sum(end - begin for begin, end in right),
        candidate_silence=silence(left, heard.seconds),
        interviewer_silence=silence(right, heard.seconds),
        interruptions=len({it.turn for it in fragments if it.heard is not None}),
    )


def voice(samples: "array[int]") -> list[tuple[float, float]]:
    """From when to when there is voice: tenths of a thousandth of full scale are a breath, and no voice."""
    step = round(RATE_HZ * FRAME_SECONDS)
    loud = [
        at
        for at in range(0, len(samples) - step, step)
        if sum(map(abs, samples[at : at + step])) / step > VOICE_LEVEL
    ]
    return [(at / RATE_HZ, (at + step) / RATE_HZ) for at in loud]


def turns(found: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Stretches of sound with less than a turn's pause between them are one."""
    joined: list[tuple[float, float]] = []
    for begin, end in found:
        if joined and begin - joined[-1][1] < TURN_SECONDS:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((begin, end))
    return joined


def silence(found: list[tuple[float, float]], length: float) -> float:
    begins = [*(begin for begin, _ in found), length]
    ends = [0.0, *(end for _, end in found)]
    return max(begin - end for begin, end in zip(begins, ends, strict=True))


def speech(begin: float, end: float) -> bytes:
    """This part of the sample answer: the ear takes a tone for a machine's, and rightly so."""
    folder = resources.files("preppald.candidate")
    with (folder / "answer.wav").open("rb") as file, wave.open(file) as recording:
        assert recording.getframerate() == RATE_HZ
        recording.setpos(round(begin * RATE_HZ))
        pcm: bytes = recording.readframes(round((end - begin) * RATE_HZ))
        return pcm


async def held(
    nursery: trio.Nursery, tmp_path: Path, scenario: Scenario, **settings: str
) -> tuple[World, Candidate]:
    """An interview of four turns, the second reply spoken over."""
    settings = {"PREPPALD_RECORD": "on", "PREPPALD_STATE_DIR": str(tmp_path), **settings}
    world = await World(settings, scenario).start(nursery)
    candidate = await world.candidate()
    await candidate.heard_out()
    await candidate.say(speech(0.0, 2.8), pause=3.0)
    await candidate.say(speech(2.8, 7.62))
    await candidate.heard_out()
    await candidate.say(speech(0.0, 7.62))
    await candidate.heard_out()
    return world, candidate


async def row(world: World, candidate: Candidate) -> Quality:
    await candidate.end()
    await candidate.closed()
    await world.journal.flush()
    ask = partial(reader.qualities, interview_id="iv-1")
    return (await world.journal.ask(ask))["iv-1", 0, 1]


def ms(seconds: float) -> object:
    return pytest.approx(seconds * 1000, abs=NEAR_MS)


async def test_two_computations_agree(nursery: trio.Nursery, autojump_clock: object, tmp_path: Path) -> None:
    """What the daemon wrote down at the end is what is heard on the recording, within 50 ms."""
    world, candidate = await held(nursery, tmp_path, Scenario(reply=REPLIES))
    told = await row(world, candidate)
    await trio.sleep(2 * WRITE_SECONDS)
    second = again(listen(tmp_path), await world.journal.fragments("iv-1", 1))
    assert told.waits == len(second.waits) == 3
    assert (told.wait_p50_ms, told.wait_longest_ms) == (ms(second.waits[1]), ms(second.waits[2]))
    assert told.interruptions == second.interruptions == 1
    assert told.candidate_silence_ms == ms(second.candidate_silence)
    assert told.interviewer_silence_ms == ms(second.interviewer_silence)
    for of_all, seconds, count in (
        (told.candidate_ms, second.candidate, told.candidate_turns),
        (told.interviewer_ms, second.interviewer, told.interviewer_turns),
    ):
        assert of_all == pytest.approx(seconds * 1000, abs=NEAR_MS * count)
    share = second.candidate / (second.candidate + second.interviewer)
    assert told.candidate_share == pytest.approx(share, abs=0.01)


async def test_it_is_told_in_the_log_and_the_metrics(
    nursery: trio.Nursery, autojump_clock: object, tmp_path: Path
) -> None:
    """The log's last line has the few numbers that fit; each histogram has counted one interview."""
    world, candidate = await held(nursery, tmp_path, Scenario(reply=REPLIES))
    told = await row(world, candidate)
    (line,) = world.events("session.ended")
    assert told.wait_p50_ms is not None
    assert line["wait_p50_seconds"] == round(told.wait_p50_ms / 1000, 2)
    assert line["candidate_share"] == told.candidate_share
    assert line["words_a_minute"] == told.words_a_minute
    for name in ("wait_seconds", "longest_wait_seconds", "candidate_share", "words_a_minute"):
        assert world.counted(f"interview_{name}_count") == 1


async def test_the_daemons_own_part_is_counted(
    nursery: trio.Nursery, autojump_clock: object, tmp_path: Path
) -> None:
    """Rotations with their gaps; nothing else happened here."""
    scenario = Scenario(reply=REPLIES, limits=Limits(connection=60), go_away=GoAway(before=10))
    world, candidate = await held(nursery, tmp_path, scenario)
    await candidate.keep_silent(60)
    told = await row(world, candidate)
    assert told.service is not None
    assert told.service.rotations == world.dials - 1 >= 1
    assert told.service.gaps == told.service.rotations
    assert 0 < told.service.gap_longest_ms <= told.service.gap_ms
    assert told.service.prompts == len(world.events("interviewer.silent"))


async def test_an_interview_in_which_nothing_was_said_has_a_row(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    """All of it is empty, and no histogram counts it."""
    world = await World({}, Scenario(reply=REPLIES)).start(nursery)
    candidate = await world.candidate()
    told = await row(world, candidate)
    assert (told.candidate_turns, told.waits, told.wait_p50_ms) == (0, 0, None)
    assert told.service == Service()
    assert world.counted("interview_wait_seconds_count") == 0
