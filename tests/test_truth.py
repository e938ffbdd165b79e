"""Times of turns against speech whose words have known times, where no machine can be late: in virtual time."""

import random

import pytest
import trio

from preppald.core.timeline import spoken
from preppald.core.turns import Speaker, fold, in_order
from preppald.simulator.scenario import parse
from tests.candidates import Candidate
from tests.truth.figures import ROTATIONS, script
from tests.truth.player import Player
from tests.truth.scenes import CONDITIONS, scenario, talk
from tests.truth.turns import Turn, candidates, interviewers, matched
from tests.world import WALL_MS, World

# An ear hears in steps of 20 ms; what fades at the end of a word is softer than a voice.
NEAR_SECONDS = 0.05


async def held(world: World, condition: str) -> Player:
    """An interview of three answers, one in each language."""

    async def connect(since: int) -> Candidate:
        return await world.candidate(since=since)

    player = Player(connect)
    world.nursery.start_soon(player.run)
    await trio.lowlevel.checkpoint()
    await talk(player, script(3), condition, random.Random(condition))
    return player


@pytest.mark.slow
@pytest.mark.parametrize("condition", CONDITIONS)
async def test_turns_have_their_times(condition: str, nursery: trio.Nursery, autojump_clock: object) -> None:
    """Every answer begins and ends with its words, every reply with its sound; none is missing."""
    gemini = parse(scenario(script(3), rotates=condition == ROTATIONS))
    world = await World({}, gemini).start(nursery)
    player = await held(world, condition)
    zero_ms = world.session().interview.started_ms - WALL_MS
    await player.leave()
    await world.journal.flush()
    turns = in_order(fold(await world.journal.fragments("iv-1", 1)).values())
    told = spoken(turns, zero_ms + WALL_MS)
    for speaker, truths in ((Speaker.USER, candidates(player)), (Speaker.AI, interviewers(player))):
        exported = [
            Turn((it.begin_ms + zero_ms) / 1000, (it.end_ms + zero_ms) / 1000)
            for it in told
            if it.turn.speaker is speaker
        ]
        pairs, left = matched(exported, truths)
        assert (len(pairs), left) == (len(truths), 0)
        for one, truth in pairs:
            assert (one.begin, one.end) == pytest.approx((truth.begin, truth.end), abs=NEAR_SECONDS)
