"""A model of Gemini's that is sick, over two to four hosts that share a journal: see tests/simulation/fleet/sick.py."""

import pytest

from preppald.core.model_health import PROBE_EVERY_SECONDS
from preppald.shared.protocol import PULSE_SECONDS
from tests.simulation.fleet import sick
from tests.simulation.fleet.plan import NAMES
from tests.simulation.fleet.sick import ENDS, FIRST, NEXT

# An exchange tells, and the next one learns.
SPREAD_SECONDS = 2 * PULSE_SECONDS + 1
# The next leave to try it, an interview on the host that has it, and an answer to its candidate.
WELL_SECONDS = 3 * PROBE_EVERY_SECONDS


@pytest.mark.slow
@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize(("kind", "seed"), [("1011 at once", 1), ("refused", 2), ("never set up", 2)])
def test_all_hosts_leave_a_sick_model_together_and_take_it_up_again(kind: str, seed: int) -> None:
    """Ten minutes, six candidates a minute at any host: each host says so once, and one a minute tries it, over all."""
    seen = sick.course(sick.plan(seed, sick.ailment(sick.kinds(FIRST)[kind]), after=240.0))
    assert seen.lost == ()
    left, well = seen.told(FIRST, sick=True), seen.told(FIRST, sick=False)
    assert sorted(it.host for it in left) == sorted(it.host for it in well) == list(NAMES[: seen.hosts])
    assert len(seen.changes) == 2 * seen.hosts
    assert seen.left_at - left[0].at <= SPREAD_SECONDS
    assert seen.harmed == ()
    minutes = (seen.well_at - seen.left_at) / PROBE_EVERY_SECONDS
    assert minutes / 2 <= len(seen.probes) <= minutes + 1
    assert well[0].at - ENDS <= WELL_SECONDS
    assert well[-1].at - well[0].at <= SPREAD_SECONDS
    assert seen.asked(FIRST, well[-1].at, float("inf"))
    assert not seen.asked(NEXT, well[-1].at + SPREAD_SECONDS, float("inf"))


@pytest.mark.slow
@pytest.mark.usefixtures("unmeasured")
def test_no_host_leaves_its_last_model_though_all_fail() -> None:
    """And two minutes after both are well nobody is harmed any more."""
    ends = 240.0
    both = [sick.ailment(sick.kinds(it)["1011 at once"], ends=ends) for it in (FIRST, NEXT)]
    seen = sick.course(sick.plan(6, *both, after=180.0))
    assert seen.lost == ()
    assert seen.harmed
    assert seen.always_one_was_well
    assert all(at < ends + 2 * PROBE_EVERY_SECONDS for at, _ in seen.harmed)
