"""The daemon as a process of its own: who speaks or thinks is left alone, and a reply that stalls is noticed.

Real seconds, side by side: each of the three talks takes as long as its silence.
"""

from pathlib import Path

import msgspec
import trio

from preppald.core import interviewer
from preppald.pb.interview_pb2 import Notice
from preppald.simulator import GeminiSimulator
from preppald.simulator.faults import Flawed, Send
from preppald.simulator.scenario import Reply, Scenario
from tests.candidates import Candidate, silence, tone
from tests.overheard import Overheard, stream
from tests.processes.daemon import PATIENCE_SECONDS, Daemon, daemon

# A model that tells of no voice activity.
MODEL = "gemini-2.5-flash-native-audio-latest"
LINE = "Thank you. And now tell me about the hardest project that you ever had to finish."
# Longer than the ten seconds after which such an answer was talked over.
ALOUD_SECONDS = 13
CHUNK_SECONDS = 0.1
ALOUD, WAITS, STALLS = 1, 2, 3
SCENARIO = Scenario(
    reply=(Reply(text="Hello there.", seconds=1.0), Reply(text=LINE, seconds=4.0)),
    speech=("Let me think about that for a minute.",),
    fault=(
        Send(
            connection=ALOUD,
            at="turn-complete",
            turn=1,
            after=3,
            json=msgspec.json.encode(
                {"serverContent": {"inputTranscription": {"text": "I was at"}}}
            ).decode(),
        ),
        Flawed(connection=ALOUD, flaw="no-answer", turn=2),
        Flawed(connection=WAITS, flaw="waits", turn=2),
        Flawed(connection=STALLS, flaw="stall", turn=2),
    ),
)


def stages(running: Daemon, interview_id: str) -> list[object]:
    return [
        line["stage"] for line in running.lines("interviewer.silent") if line["interview"] == interview_id
    ]


def told(candidate: Candidate) -> list[str]:
    return [it.notice.message for it in candidate.messages if it.notice.kind == Notice.SILENT]


async def nudged(running: Daemon, interview_id: str) -> None:
    with trio.fail_after(PATIENCE_SECONDS):
        while not stages(running, interview_id):  # noqa: ASYNC110 - another process writes it
            await trio.sleep(0.05)


async def answer_aloud(running: Daemon, candidate: Candidate, heard: Overheard) -> None:
    """L1. Two words of it are transcribed; then nothing. The clock begins when the voice ends."""
    await stream(candidate, silence(1) + (tone(0.7) + silence(0.3)) * ALOUD_SECONDS, CHUNK_SECONDS)
    ended = trio.current_time()
    assert stages(running, "aloud") == []
    assert (ALOUD, interviewer.NUDGE) not in heard.prompts
    async with trio.open_nursery() as microphone:
        microphone.start_soon(stream, candidate, silence(PATIENCE_SECONDS), CHUNK_SECONDS)
        await nudged(running, "aloud")
        microphone.cancel_scope.cancel()
    assert trio.current_time() - ended > 6, "with the half second of a pause in it, and a look a second"
    assert stages(running, "aloud") == ["nudge"]


async def think(running: Daemon, candidate: Candidate, heard: Overheard) -> None:
    """L3. The model chose to wait, and is left to; then it answers."""
    await stream(candidate, silence(1) + tone(2), CHUNK_SECONDS)
    await stream(candidate, silence(12), CHUNK_SECONDS)
    assert stages(running, "waits") == []
    assert [text for number, text in heard.prompts if number == WAITS] == [interviewer.GREETING]
    seen = len(candidate.messages)
    await stream(candidate, tone(1.5) + silence(2), CHUNK_SECONDS)
    await candidate.heard_out(seen=seen)
    assert candidate.text("AI").endswith(LINE)


async def stall(running: Daemon, candidate: Candidate, heard: Overheard) -> None:
    """L6. Half a reply, and then nothing: what was sent is heard out, and the interviewer asked on."""
    await stream(candidate, silence(1) + tone(2), CHUNK_SECONDS)
    async with trio.open_nursery() as microphone:
        microphone.start_soon(stream, candidate, silence(PATIENCE_SECONDS), CHUNK_SECONDS)
        await nudged(running, "stalls")
        await candidate.until(lambda _: candidate.text("AI").endswith(LINE), seconds=PATIENCE_SECONDS)
        microphone.cancel_scope.cancel()
    assert stages(running, "stalls") == ["nudge"]
    assert heard.prompts.count((STALLS, interviewer.NUDGE)) == 1


async def test_nobody_is_urged_who_speaks_or_thinks_and_a_stalled_reply_is_asked_on(tmp_path: Path) -> None:
    """Each interview goes on to its own end, and no candidate is told of a failure."""
    heard = Overheard()
    gemini = GeminiSimulator(SCENARIO, recorder=heard)
    settings = {"PREPPALD_GEMINI_MODEL": MODEL}
    async with daemon(tmp_path, settings, gemini=gemini) as running, trio.open_nursery() as background:
        candidates = []
        for interview_id in ("aloud", "waits", "stalls"):  # in the order of the connections
            candidate = await running.candidate(background, interview_id)
            await candidate.until("session_started")
            candidates.append(candidate)
        for candidate in candidates:
            await candidate.greeted()
        async with trio.open_nursery() as talks:
            for talk, candidate in zip((answer_aloud, think, stall), candidates, strict=True):
                talks.start_soon(talk, running, candidate, heard)
        for candidate in candidates:
            with trio.fail_after(PATIENCE_SECONDS):
                await candidate.end()
                assert await candidate.closed() == (1000, "Interview ended by user")
            assert told(candidate) == []
        background.cancel_scope.cancel()
