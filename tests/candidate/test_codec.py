"""`preppald call --codec opus`: a whole interview in packets, with a daemon as it is."""

import contextlib

import pytest
import trio

from preppald.audio.opus import Library
from preppald.candidate.call import Behaviour, Call
from preppald.candidate.display import SilentDisplay
from preppald.candidate.endings import Ending
from preppald.candidate.link import Address
from preppald.candidate.report import Report
from preppald.candidate.speech import Speech
from preppald.simulator.scenario import Reply, Scenario
from tests.candidate.test_command import run
from tests.coders import VOICES, the_library
from tests.world import World

SCENARIO = Scenario(reply=(Reply(text="Hello there, and thank you for coming.", seconds=3.0),))


async def called(world: World, library: Library | None, **behaviour: bool) -> Report:
    async def dial() -> trio.abc.Stream:
        return world.connection()

    address = Address("ws://localhost", "iv-1", world.token(), open_stream=dial)
    with contextlib.closing(Speech(VOICES[0])) as speech:
        return await Call(address, speech, Behaviour(**behaviour), SilentDisplay(), library=library).run()


@pytest.mark.parametrize("granted", [True, False])
async def test_a_call_asks_for_opus_and_takes_what_it_gets(
    autojump_clock: object, nursery: trio.Nursery, *, granted: bool
) -> None:
    """The interview is the same either way."""
    world = await World({}, SCENARIO, library=the_library() if granted else None).start(nursery)
    report = await called(world, the_library())
    assert report.codec == ("opus" if granted else "pcm")
    assert report.outcome.ending is Ending.USER
    assert (report.user_turns, report.ai_turns) == (1, 2)
    assert report.audio_bytes_in == pytest.approx(2 * 3 * 48_000, abs=48_000 * 0.15)
    assert world.counted("opus_packets_damaged") == 0
    assert world.counted("opus_asked", outcome="granted" if granted else "missing") == 1


async def test_speaking_over_the_interviewer_in_packets(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    world = await World({}, SCENARIO, library=the_library()).start(nursery)
    report = await called(world, the_library(), barge_in=True)
    assert report.outcome.ending is Ending.USER
    assert report.audio_bytes_unheard > 0
    assert world.counted("interruptions") == 1
    assert world.counted("opus_packets_damaged") == 0


def test_opus_needs_its_library(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("preppald.audio.opus.library", lambda: None)
    assert run("--sample", "--codec", "opus") == Ending.USAGE.status
    assert "libopus0" in capsys.readouterr().err


def test_one_line_is_enough(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--sample", "--line", "96kbit", "--slow-line", "9") == Ending.USAGE.status
    assert "leave --slow-line out" in capsys.readouterr().err
