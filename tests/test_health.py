"""Troubles of the daemon as a whole: reported once, shown in /ready and the metrics, and over again."""

import json

import pytest
import trio

from preppald.core import closes
from preppald.simulator import Scenario
from preppald.telemetry.health import Health, Trouble
from tests.durable import Notes
from tests.test_server import get
from tests.world import World

WORDS = "Gemini refused the API key"


def test_a_trouble_is_an_error_once() -> None:
    notes = Notes()
    health = Health(notes)
    for _ in range(3):
        health.begin(Trouble.GEMINI_KEY, WORDS)
    assert health.words == [WORDS]
    assert notes.events("error") == ["daemon.degraded"]
    assert "GEMINI_API_KEY" in str(notes.keys("daemon.degraded")["todo"])
    health.end(Trouble.GEMINI_KEY)
    health.end(Trouble.GEMINI_KEY)
    assert health.words == []
    assert notes.events().count("daemon.recovered") == 1


def test_every_trouble_has_a_gauge_and_a_remedy() -> None:
    health = Health(Notes())
    health.begin(Trouble.RELOAD, "the last reload was refused")
    gauges = {name: value for name, _text, value in health.gauges()}
    assert gauges == {
        "degraded_gemini_key": 0.0,
        "degraded_gemini_money": 0.0,
        "degraded_gemini_model": 0.0,
        "degraded_reload": 1.0,
    }


@pytest.mark.parametrize("cause", [*sorted(closes.KEY_TROUBLES, key=lambda it: it.name), closes.CREDIT])
async def test_a_key_that_gemini_refuses_is_shown_and_a_session_ends_it(
    nursery: trio.Nursery, autojump_clock: object, cause: closes.Cause
) -> None:
    """/ready stays 200: another host has the same key."""
    world = await World({}, Scenario()).start(nursery)
    gemini = world.services.gemini
    gemini.failed(cause, trio.current_time())
    reply = await get(world, "/ready")
    assert reply.status == 200
    assert json.loads(reply.text) == {"status": "ready", "degraded": [cause.words]}
    gemini.accepted()
    assert json.loads((await get(world, "/ready")).text) == {"status": "ready"}


async def test_a_passing_failure_degrades_nothing(nursery: trio.Nursery, autojump_clock: object) -> None:
    world = await World({}, Scenario()).start(nursery)
    for cause in (closes.QUOTA, closes.NETWORK, closes.OVERLOADED, closes.BAD_VOICE):
        world.services.gemini.failed(cause, trio.current_time())
    assert world.services.gemini.health.words == []
