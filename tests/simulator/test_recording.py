"""Recording a conversation and playing it back."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from preppald.simulator import GeminiSimulator, RecordingError, Scenario, recording as recordings
from preppald.simulator.clock import Clock
from preppald.simulator.recording import Replay, recorder
from tests.simulator.caller import call, pcm_of, said

GREET = {"realtimeInput": {"text": "Greet them."}}


async def test_record_and_replay(nursery: trio.Nursery, autojump_clock: MockClock, tmp_path: Path) -> None:
    """What was recorded comes back, frame by frame and at its times; a later connection gets the last one's."""
    file = tmp_path / "one.jsonl"
    with recorder(file, Clock()) as recording:
        caller = await (await call(GeminiSimulator(recorder=recording), nursery)).set_up()
        ready = trio.current_time()
        await caller.send(GREET)
        frames = await caller.until("turnComplete")
        took = trio.current_time() - ready
        await caller.send("not JSON")
        assert (await caller.closed()).code == 1007
    for _ in range(2):
        caller = await (await call(GeminiSimulator(Scenario(replay=str(file))), nursery)).set_up()
        ready = trio.current_time()
        await caller.send(GREET)  # read, and not answered
        again = await caller.until("turnComplete")
        assert trio.current_time() - ready == pytest.approx(took)
        assert (said(again), pcm_of(again)) == (said(frames), pcm_of(frames))


def test_no_recorder() -> None:
    with recorder(None, Clock()) as recording:
        assert recording is None


async def test_a_full_disk_is_not_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recording stops at its limit."""
    await trio.lowlevel.checkpoint()
    monkeypatch.setattr(recordings, "MAX_RECORDING_BYTES", 200)
    file = tmp_path / "long.jsonl"
    with recorder(file, Clock()) as recording:
        assert recording is not None
        for _ in range(100):
            recording.note(1, "out", {"serverContent": {}})
    assert 100 < file.stat().st_size <= 200


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read"),
        ("", "no setupComplete"),
        ('{"t":0,"direction":"in","frame":{"setup":{}}}\n', "no setupComplete"),
        ('{"t":0,"direction":"out","frame":{"setupComplete":{}}}\n{', "line 2"),
        ('{"t":0,"direction":"up","frame":{}}', "line 1"),
    ],
    ids=["missing", "empty", "not ready", "cut", "wrong"],
)
def test_recordings_that_cannot_be_played(tmp_path: Path, content: str | None, words: str) -> None:
    file = tmp_path / "bad.jsonl"
    if content is not None:
        file.write_text(content)
    with pytest.raises(RecordingError, match=words):
        Replay.load(file, 1)


async def test_a_replay_that_cannot_be_played(
    nursery: trio.Nursery, autojump_clock: MockClock, tmp_path: Path
) -> None:
    """It ends its connection and is told in the log; the server lives on."""
    told: list[str] = []
    simulator = GeminiSimulator(
        Scenario(replay=str(tmp_path / "none.jsonl")),
        log=lambda event, keys: told.append(f"{event} {keys}"),
    )
    caller = await (await call(simulator, nursery)).set_up()
    assert (await caller.closed()).code == 1011
    assert any(line.startswith("gemini.bug") and "cannot be read" in line for line in told)
    await (await call(simulator, nursery)).set_up()
