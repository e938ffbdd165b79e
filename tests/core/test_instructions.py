"""Instructions: how long an interview is, and in which nobody is told the time."""

import pytest

from preppald.core.brief import DEFAULT_BRIEF
from preppald.core.context import Context
from preppald.core.instructions import Instructions
from preppald.core.interviewer import BEGIN, GREETING

PROMPT = "Ask one question.\n\n  In   English. (Not more.) <b>$persona</b>"


def instructions(context: Context, limit_seconds: float = 3600.0) -> Instructions:
    found = Instructions(DEFAULT_BRIEF, persona="", language="", limit_seconds=limit_seconds)
    found.learn(context)
    return found


@pytest.mark.parametrize(
    ("seconds", "limit", "told"),
    [
        (25, 3600, False),
        (179, 3600, False),
        (180, 3600, True),
        (0, 3600, True),
        (0, 120, False),
        (600, 120, False),
    ],
)
def test_in_a_block_shorter_than_three_minutes_nobody_is_told_the_time(
    seconds: float, limit: float, *, told: bool
) -> None:
    """Where the application names no length the configured limit is it."""
    block = instructions(Context(seconds=seconds, system_prompt=PROMPT), limit)
    assert block.tells_time is told


@pytest.mark.parametrize(("asked", "wanted"), [(25.0, 25.0), (0.5, 0.5), (0.0, None)])
def test_a_block_is_as_long_as_it_is_asked_to_be(asked: float, wanted: float | None) -> None:
    context = Context(seconds=asked, system_prompt=PROMPT)
    assert Instructions(DEFAULT_BRIEF, persona="", language="", limit_seconds=3600).learn(context) == wanted


def test_a_blocks_prompt_is_used_as_it_is() -> None:
    block = instructions(Context(system_prompt=PROMPT, persona="a pirate", resume="Sailed."))
    assert block.resumed() == PROMPT
    assert block.fresh([], seconds_left=20) == PROMPT
    assert block.opening == BEGIN
    assert instructions(Context(persona="a pirate")).opening == GREETING
