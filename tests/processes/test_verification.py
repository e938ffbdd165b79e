"""Real daemons that have transcripts checked: the sound that is kept for it, and kill -9 at every step."""

from collections.abc import Callable
from pathlib import Path
import stat

import pytest
import trio

from preppald.recording import kept
from preppald.simulator import Scenario
from preppald.simulator.scenario import Reply
from tests.candidates import Candidate
from tests.processes.host import PATIENCE_SECONDS, Host, host
from tests.verification.rig import answer

SETTINGS = {
    "PREPPALD_BACKEND": "protobuf",
    "PREPPALD_FEEDBACK": "off",
    "PREPPALD_VERIFY": "all",
    "PREPPALD_VAD_SILENCE": "500ms",
}
# The live transcription lacks the beginning of the second answer.
FIRST = "Our payment service lost orders under load. I measured it first,"
SECOND = "queue, and the losses went to zero."
SCENARIO = Scenario(
    reply=(
        Reply(text="Hello.", seconds=0.5),
        Reply(text="And then?", seconds=0.5),
        Reply(text="Thanks.", seconds=0.5),
    ),
    speech=(FIRST, SECOND),
)


async def interviewed(here: Host, nursery: trio.Nursery) -> Candidate:
    """An interview of two answers, up to its end."""
    found = Candidate(await here.connect())
    assert await found.open("/iv-1", here.token("iv-1")) == 101
    nursery.start_soon(found.run)
    await found.until("audio_response")
    await found.keep_silent(1.0)
    for part in (answer()[: 4 * 32_000], answer()[4 * 32_000 :]):
        seen = len(found.messages)
        await found.say(part, pause=3.0)
        await found.heard_out(seen=seen)
    return found


async def until(condition: Callable[[], object]) -> None:
    with trio.fail_after(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - another process does it
            await trio.sleep(0.002)


def stored(here: Host) -> list[dict[str, object]] | None:
    known = here.backend.interviews.get("iv-1")
    return None if known is None else known.checked


def left(here: Host) -> list[Path]:
    """Every file that is kept for checks alone, but the lock."""
    return [it for it in (here.state_dir / kept.CHECKING).rglob("*") if it.is_file() and it.name != "lock"]


async def test_sound_is_kept_until_it_was_checked(tmp_path: Path) -> None:
    """Recordings are off: the candidate's channel alone, for the daemon's user alone, and gone when it was heard."""
    async with host(tmp_path, SETTINGS, SCENARIO) as here, trio.open_nursery() as nursery:
        await here.start()
        await here.ready()
        candidate = await interviewed(here, nursery)
        (notes,) = left(here)
        assert stat.S_IMODE(notes.stat().st_mode) == 0o600
        # Ten seconds of the candidate's, and none of the interviewer's at three bytes for two.
        assert notes.stat().st_size < 17 * 32_000
        await candidate.end()
        await candidate.closed()
        await candidate.vanish()
        done = await here.logged("verification.done")
        assert (done["turns"], done["flagged"], done["failed"]) == (2, 1, 0)
        await until(lambda: stored(here))
        assert [(it["live"], it["flag"]) for it in stored(here) or []] == [
            (FIRST, "OK"),
            (SECOND, "START_MISSING"),
        ]
        await until(lambda: not left(here))
        assert not (here.state_dir / "recordings").exists() or not list(
            (here.state_dir / "recordings").iterdir()
        )
        nursery.cancel_scope.cancel()


async def test_a_kill_takes_the_sound_with_it(tmp_path: Path) -> None:
    """At the next start nothing of it is left; the transcript is delivered, unchecked, and the log says why."""
    async with host(tmp_path, SETTINGS, SCENARIO) as here, trio.open_nursery() as nursery:
        await here.start()
        await here.ready()
        candidate = await interviewed(here, nursery)
        await candidate.end()
        await candidate.closed()
        await candidate.vanish()
        await until(lambda: here.ask("SELECT * FROM verification_due"))
        await here.kill()
        await here.start()
        await here.ready()
        await until(lambda: not left(here))
        failed = await here.logged("verification.failed")
        assert failed["cause"] == "there is no sound of it"
        assert here.backend.interviews["iv-1"].submissions == 1
        assert stored(here) is None
        nursery.cancel_scope.cancel()


@pytest.mark.slow
async def test_a_check_of_a_recording_survives_kills_at_every_step(tmp_path: Path) -> None:
    """Killed when it is due, when the first turn was heard, and when it waits for the backend: delivered once."""
    async with (
        host(tmp_path, {**SETTINGS, "PREPPALD_RECORD": "on"}, SCENARIO) as here,
        trio.open_nursery() as nursery,
    ):
        await here.start()
        await here.ready()
        candidate = await interviewed(here, nursery)
        await candidate.end()
        await candidate.closed()
        await candidate.vanish()
        for step in (
            lambda: here.ask("SELECT * FROM verification_due"),
            lambda: any(b"\n" in it.read_bytes() for it in left(here)),
            lambda: here.ask("SELECT * FROM outbox WHERE kind = 'verification'"),
        ):
            await until(step)
            await here.kill()
            await here.start()
            await here.ready()
        await until(lambda: stored(here))
        await until(lambda: here.ask("SELECT * FROM outbox WHERE kind = 'verification' AND state = 'done'"))
        assert [it["flag"] for it in stored(here) or []] == ["OK", "START_MISSING"]
        assert here.ask("SELECT count(*) FROM outbox WHERE kind = 'verification'") == [(1,)]
        nursery.cancel_scope.cancel()
