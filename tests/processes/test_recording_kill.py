"""kill -9 of a daemon that records: what was heard until then is there, and the next one goes on."""

from pathlib import Path

import pytest
import trio

from preppald.recording.shelf import Shelf
from preppald.simulator import Scenario
from preppald.simulator.scenario import Reply
from tests.candidates import Candidate
from tests.processes.host import PATIENCE_SECONDS, Host, host
from tests.recording.ears import Heard, listen, split, stretches

SETTINGS = {
    "PREPPALD_RECORD": "on",
    "PREPPALD_BACKEND": "none",
    "PREPPALD_RECONNECT_GRACE": "60s",
}
SCENARIO = Scenario(reply=(Reply(text="Hello.", seconds=1.0),))
# Half a second until it is written, and as much for a busy machine.
LOST_SECONDS = 1.0
# Real sockets on a busy machine.
NEAR_SECONDS = 0.5


async def candidate(here: Host, nursery: trio.Nursery) -> Candidate:
    found = Candidate(await here.connect())
    assert await found.open("/iv-1", here.token("iv-1")) == 101
    nursery.start_soon(found.run)
    return found


async def finished(here: Host) -> Heard:
    """What the daemon made of the notes."""
    shelf = Shelf(here.state_dir)
    with trio.fail_after(PATIENCE_SECONDS):
        while not all(it.file for it in shelf.of("iv-1")):  # noqa: ASYNC110 - another process makes it
            await trio.sleep(0.1)
    (recording,) = shelf.of("iv-1")
    assert recording.file is not None
    return split(recording.file.read_bytes()[44:])


async def test_a_recording_survives_the_daemon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed while the candidate speaks; the interview goes on later, and the gap is as long as it was."""
    # No encoder: what is tested here is what the daemon does, and a WAV can be looked at.
    monkeypatch.setenv("PATH", "/nothing/here")
    async with (
        host(tmp_path, {**SETTINGS, "PATH": "/nothing/here"}, SCENARIO) as here,
        trio.open_nursery() as nursery,
    ):
        await here.start()
        await here.ready()
        first = await candidate(here, nursery)
        await first.until("audio_response")
        await first.keep_silent(1.5)
        began = trio.current_time()
        with trio.move_on_after(3.0):
            await first.speak(10.0)
        killed = trio.current_time()
        await here.kill()
        await first.vanish()
        before = listen(here.state_dir)
        ((spoke, stopped),) = stretches(before.left)
        assert killed - began - LOST_SECONDS - NEAR_SECONDS < stopped - spoke < killed - began + NEAR_SECONDS
        assert len(stretches(before.right)) == 1

        await here.start()
        await here.ready()
        second = await candidate(here, nursery)
        await second.until("session_started")
        again = trio.current_time()
        await second.speak(1.0, pause=0.5)
        await second.end()
        await second.closed()
        await second.vanish()
        after = await finished(here)
        nursery.cancel_scope.cancel()
    assert after.left[: len(before.left) - 1600] == before.left[:-1600]
    *_, (spoke_again, _) = stretches(after.left)
    assert spoke_again - spoke == pytest.approx(again - began, abs=NEAR_SECONDS)
