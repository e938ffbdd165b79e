"""Several hosts with one shared journal under faults, from seeds: see tests/simulation/fleet, and run more of it with

python -m tests.simulation --fleet --seeds 1000 --jobs 2
"""

import random
from types import SimpleNamespace
from typing import cast

import pytest
import trio

from tests.simulation import frozen
from tests.simulation.fleet import simulate
from tests.simulation.fleet.bugs import BUGS
from tests.simulation.fleet.engine import Engine, Way
from tests.simulation.fleet.scene import Scene
from tests.simulation.fleet.verdict import INVARIANTS

SEEDS = range(1, 13)
# A seed that finds each bug, and a word of what it finds: mostly the letter of an invariant, see verdict.py.
FOUND = {
    "a writer is not locked out by its declaration": (85, "(a)"),
    "the first one back declares all others lost": (89, "(i)"),
    "an end without a look at the owner": (33, "(b)"),
    "a post before the database has it": (7, "(d)"),
    "a claim before the settle": (14, "(b)"),
    "a cancel is taken for success": (66, "(c)"),
    "a silent database is taken for a refusal": (19, "(g)"),
    # The local journal refuses it before the shared one can swallow the words.
    "a number is used again after a start": (20, "journal.fault"),
}


@pytest.mark.slow
@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("seed", SEEDS)
def test_what_must_hold_of_several_hosts_holds(seed: int) -> None:
    """Each sentence in tests/simulation/fleet/verdict.py."""
    assert simulate(seed).violations == ()


@pytest.mark.slow
@pytest.mark.usefixtures("unmeasured")
def test_a_word_that_was_brought_again_after_a_failover_needs_no_excuse() -> None:
    """Its transcript is posted with it; another host's disk is lost minutes later."""
    report = simulate(515)
    assert (report.violations, report.excused) == ((), ())


@pytest.mark.slow
@pytest.mark.usefixtures("unmeasured")
def test_a_word_that_a_failover_took_is_excused_where_its_host_was_lost_before_it_came_again() -> None:
    """The host was stopped, and declared lost meanwhile. Its word is kept in ``late``, and was in no transcript."""
    report = simulate(553)
    assert report.violations == ()
    assert [it.split()[0] for it in report.excused] == ["1"]


@pytest.mark.slow
@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("bug", FOUND)
def test_a_bug_that_is_planted_is_found(bug: str) -> None:
    """A simulation that finds nothing could be blind. The seed finds nothing without the bug.

    A change of a plan or of the order of tasks makes another run of a seed: then another one finds it, from 1 on.
    """
    seed, word = FOUND[bug]
    assert simulate(seed).violations == ()
    assert any(word in it for it in simulate(seed, bug=BUGS[bug]).violations)


@pytest.mark.slow
def test_the_same_seed_is_the_same_run_of_several_hosts() -> None:
    assert simulate(6).digest == simulate(6).digest
    assert simulate(7).digest != simulate(6).digest


async def test_a_frozen_task_takes_no_step_while_the_clock_goes_on(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    steps: list[float] = []

    async def child() -> None:
        while True:
            await trio.sleep(1)
            steps.append(trio.current_time())

    async def run(task_status: trio.TaskStatus[trio.lowlevel.Task]) -> None:
        async with trio.open_nursery() as children:
            task_status.started(trio.lowlevel.current_task())
            children.start_soon(child)

    began = trio.current_time()
    task = await nursery.start(run)
    await trio.sleep(2.5)
    frozen.freeze(task)
    await trio.sleep(10)
    frozen.thaw(task)
    await trio.sleep(2.25)
    assert [round(at - began, 6) for at in steps] == [1.0, 2.0, 12.5, 13.5, 14.5]


async def test_an_outage_lasts_until_the_database_is_back(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    """Not as long as was planned: the evening may be over first, or another outage that overlaps."""
    engine, began = Engine(random.Random(1), nursery), trio.current_time()
    engine.set(Way.FREE)
    engine.set(Way.HELD)
    await trio.sleep(3)
    engine.set(Way.REFUSED)
    await trio.sleep(4)
    engine.promote(None, clock=0.0)
    await trio.sleep(5)
    engine.set(Way.FREE)
    assert engine.aways == [(began, began + 7)]


def test_what_a_stop_gives_up_in_an_outage_did_not_end_for_that() -> None:
    """Only there: at another host, and after the start, it did; and no stop ends one among several hosts."""

    def ended(at: float, host: str, ending: str = "moved") -> tuple[float, str, str, dict[str, str]]:
        return (
            at,
            "info",
            "session.ended",
            {"host": host, "interview": "iv", "ending": ending, "cause": "why"},
        )

    log = [
        (11.0, "warning", "daemon.ending_interviews", {"host": "a"}),
        ended(12.0, "a"),
        ended(13.0, "b"),
        ended(14.0, "a", "daemon_stopped"),
        (15.0, "info", "machine.booting", {"host": "a"}),
        ended(16.0, "a"),
        ended(31.0, "b"),
    ]
    scene = SimpleNamespace(outside=SimpleNamespace(log=log), engine=SimpleNamespace(aways=[(10.0, 20.0)]))
    assert [words.split()[1] for words in INVARIANTS["g"](cast("Scene", scene))] == [
        "13.000",
        "14.000",
        "16.000",
    ]
