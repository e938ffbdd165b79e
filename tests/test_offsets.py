"""An answer's times, where Gemini heard it late and all at once: by the places that it names in the sound."""

import pytest
import trio

from preppald.core import closes
from preppald.core.turns import Speaker, fold
from preppald.gemini.connection import UpstreamError
from preppald.simulator.faults import Drop
from preppald.simulator.scenario import Reply, Scenario
from tests.world import World

NEAR_MS = 60


@pytest.mark.parametrize("failures", [0, 4])
async def test_an_answer_during_an_outage_was_given_when_it_was_given(
    failures: int, nursery: trio.Nursery, autojump_clock: object
) -> None:
    """Gemini hears it four seconds later, and within a moment."""
    scenario = Scenario(
        reply=(Reply(text="Hello.", seconds=1.0),) * 2, fault=(Drop(at="turn-complete", turn=1, after=2.0),)
    )
    world = await World({}, scenario).start(nursery)
    candidate = await world.candidate()
    await candidate.heard_out()
    world.dial_failures = [UpstreamError(closes.REFUSED)] * failures
    await candidate.keep_silent(2.5)
    began_ms = world.now_ms()
    await candidate.speak(2.0, pause=8.0)
    await candidate.end()
    await candidate.closed()
    turns = fold(await world.journal.fragments("iv-1", 1, since=0)).values()
    (answer,) = [turn for turn in turns if turn.speaker is Speaker.USER]
    assert answer.begin_ms == pytest.approx(began_ms, abs=NEAR_MS)
    assert answer.end_ms == pytest.approx(began_ms + 2000, abs=NEAR_MS)
    gap = float(str(world.events("upstream.ready")[-1]["gap_seconds"]))
    assert bool(failures) == (gap > 2.6), "all of the answer came at once"
