"""The metrics that say how the service is: the process, its interviews, its browsers, and Gemini."""

from importlib.metadata import version

import pytest
import trio

from preppald import __version__
from preppald.core.closes import BY_PHRASE, CAUSES
from preppald.daemon import gauges as watched, pulse
from preppald.server.request import Request
from preppald.simulator import Scenario
from preppald.telemetry.metrics import Metrics
from tests.candidates import Candidate
from tests.world import WALL_MS, World

CHROME = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
)


@pytest.fixture
async def world(nursery: trio.Nursery) -> World:
    return await World({}, Scenario()).start(nursery)


def gauges(world: World) -> dict[str, float]:
    found = watched.interviews(world.registry, world.services.current, world.now_ms)
    return {name: value for name, _text, value in found}


# ------------------------------------------------------------------ the process


def test_the_names_that_every_exporter_has_are_there() -> None:
    text = Metrics().exposition().decode()
    assert 'preppald_build_info{python="3.' in text
    assert f'version="{__version__}"}} 1.0' in text
    for name in (
        "cpu_seconds_total",
        "resident_memory_bytes",
        "open_fds",
        "max_fds",
        "start_time_seconds",
    ):
        value = Metrics().registry.get_sample_value(f"process_{name}")
        assert value is not None, (name, version("prometheus-client"))
        assert value > 0


def test_series_whose_first_step_counts_begin_at_zero() -> None:
    """``increase`` does not see a series that begins at one."""
    value = Metrics().registry.get_sample_value
    for cause in CAUSES:
        assert value("preppald_upstream_failures_total", {"cause": cause.name}) == 0.0
    assert {cause for cause, _phrases in BY_PHRASE} <= set(CAUSES)
    assert value("preppald_sessions_ended_total", {"ending": "bug"}) == 0.0
    assert value("preppald_sessions_started_total", {"how": "new"}) == 0.0


async def test_the_loops_lag_is_measured_four_times_a_second(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    metrics = Metrics()
    nursery.start_soon(pulse.measure, metrics)
    await trio.sleep(10.1)
    value = metrics.registry.get_sample_value
    assert value("preppald_loop_lag_seconds_count") == 40
    assert value("preppald_loop_lag_seconds_bucket", {"le": "0.005"}) == 40


# ------------------------------------------------------------------ interviews and browsers


async def test_interviews_and_their_age_are_counted(world: World, autojump_clock: object) -> None:
    assert gauges(world) == {
        "sessions_max": 500.0,
        "sessions_waiting": 0.0,
        "sessions_oldest_seconds": 0.0,
        "ready": 1.0,
        "draining": 0.0,
    }
    first = await world.candidate("iv-1")
    await first.until("session_started")
    await trio.sleep(90)
    await (await world.candidate("iv-2")).until("session_started")
    await first.stream.aclose()
    await trio.sleep(1)
    found = gauges(world)
    assert found["sessions_waiting"] == 1
    assert found["sessions_oldest_seconds"] == pytest.approx(91, abs=1)
    assert world.counted("sessions_started", how="new") == 2
    assert world.counted("sessions_started", how="recovered") == 0


async def test_a_draining_daemon_is_not_ready(world: World, autojump_clock: object) -> None:
    world.registry.drain()
    found = gauges(world)
    assert (found["ready"], found["draining"]) == (0, 1)


async def test_browsers_that_come_back_are_counted(world: World, autojump_clock: object) -> None:
    """The first of an interview is no reconnect."""
    for expected in (0, 1, 2):
        candidate = await world.candidate("iv-1")
        await candidate.until("session_started")
        assert world.counted("browser_reconnects") == expected
        await candidate.stream.aclose()
        await trio.sleep(1)


async def test_the_last_good_connection_to_gemini_has_its_time(world: World, autojump_clock: object) -> None:
    name = "upstream_last_connected_timestamp_seconds"
    assert world.counted(name) == 0
    await (await world.candidate("iv-1")).until("session_started")
    assert world.counted(name) == pytest.approx(WALL_MS / 1000, abs=5)


# ------------------------------------------------------------------ the page and its browser


@pytest.mark.parametrize(
    ("agent", "family"),
    [
        (CHROME, "chrome"),
        (f"{CHROME} Edg/142.0.0.0", "chrome"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "firefox"),
        (
            "Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/605.1.15",
            "safari",
        ),
        (
            "Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0 Mobile Safari/604.1",
            "chrome",
        ),
        ("curl/8", "other"),
        ("", "other"),
    ],
)
def test_a_browser_is_known_by_its_family(agent: str, family: str) -> None:
    assert Request(method="GET", path="/", fields=[("user-agent", agent)]).browser_family == family


async def test_the_start_names_the_pages_version_and_the_browsers_family_and_no_more(
    world: World, autojump_clock: object
) -> None:
    candidate = Candidate(world.connection())
    await candidate.open("/iv-1", world.token(), **{"User-Agent": CHROME})
    world.nursery.start_soon(candidate.run)
    await candidate.until("session_started")
    (line,) = world.events("session.started")
    assert (line["client"], line["browser"]) == ("preppal.v1", "chrome")
    assert "142" not in str(world.log_lines.entries)
