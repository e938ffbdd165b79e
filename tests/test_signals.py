"""Hosts that share a journal tell each other of a quota that is used up, and agree on the models that are sick."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
import itertools

import pytest
import structlog
import trio

from preppald.core.closes import CREDIT, QUOTA
from preppald.core.model_health import PROBE_EVERY_SECONDS, WANTED_SECONDS, Choice
from preppald.gemini.fleet import SICK, Fleet
from preppald.gemini.models import Models
from preppald.gemini.quota import QUOTA_PAUSE_SECONDS, Quota
from preppald.shared.model import Client, Model
from preppald.shared.protocol import PULSE_SECONDS, Joined, Presence
from preppald.shared.signals import COUNTS_SECONDS
from preppald.telemetry.health import Health
from preppald.telemetry.metrics import Metrics

A, B = "model-a", "model-b"
HOSTS = 3
# The exchange after the next one has every host's counts.
SOON = 2 * PULSE_SECONDS + 0.5


class Host:
    """What of a daemon takes part: its models, its quota, and its way to the shared journal."""

    def __init__(self, client: Client, me: int) -> None:
        self.log = structlog.testing.LogCapture()
        log = structlog.wrap_logger(
            structlog.testing.CapturingLogger(),
            processors=[self.log],
            wrapper_class=structlog.make_filtering_bound_logger(0),
        )
        self.client = client
        self.me = me
        self.quota = Quota()
        self.models = Models(lambda: (A, B), log=log, health=Health(log), metrics=Metrics())
        self.fleet = Fleet(client.signals, lambda: self.me, self.models, self.quota)

    def fail(self, count: int, model: str = A) -> None:
        now = trio.current_time()
        for number in range(count):
            self.models.rules.attempted(model, now)
            self.models.failed(model, f"iv-{self.me}-{number}", now)

    def told(self, event: str) -> int:
        return sum(it["event"] == event for it in self.log.entries)

    def begin(self) -> Choice:
        """Have an interview begin."""
        return self.models.choose(trio.current_time())


@asynccontextmanager
async def hosts(model: Model, count: int = HOSTS) -> AsyncIterator[list[Host]]:
    found = []
    for number in range(count):
        client = model.client()
        joined = await client.join(Presence(f"host-{number}", "", "1"))
        assert isinstance(joined, Joined)
        found.append(Host(client, joined.incarnation))
    async with trio.open_nursery() as nursery:
        for it in found:
            nursery.start_soon(it.fleet.run)
        await trio.sleep(0.5)
        yield found
        nursery.cancel_scope.cancel()


@pytest.fixture
def model() -> Model:
    return Model(trio.current_time)


@pytest.mark.parametrize("cause", [QUOTA, CREDIT])
async def test_a_quota_that_one_host_ran_into_holds_back_all(
    autojump_clock: object, model: Model, cause: object
) -> None:
    async with hosts(model) as (one, other, third):
        assert other.quota.admit(trio.current_time())
        one.quota.note(QUOTA if cause is QUOTA else CREDIT, trio.current_time())
        await trio.sleep(PULSE_SECONDS + 0.1)
        for it in (one, other, third):
            assert not it.quota.admit(trio.current_time())
            assert it.quota.cause is cause
            assert it.quota.wait(trio.current_time()) == pytest.approx(
                QUOTA_PAUSE_SECONDS - PULSE_SECONDS, abs=1
            )
        other.quota.passed()
        await trio.sleep(PULSE_SECONDS * 2)
        assert other.quota.admit(trio.current_time()), "what is known of already holds nobody back again"
        await trio.sleep(QUOTA_PAUSE_SECONDS)
        assert third.quota.admit(trio.current_time())


async def test_a_model_that_fails_a_little_everywhere_is_sick_everywhere(
    autojump_clock: object, model: Model
) -> None:
    """Two failures are an accident at each, and together they are six of six."""
    async with hosts(model) as found:
        for it in found:
            it.fail(2)
        assert [it.begin() for it in found] == [Choice(A)] * HOSTS
        await trio.sleep(SOON)
        assert [it.begin() for it in found] == [Choice(B)] * HOSTS
        assert [it.told("model.sick") for it in found] == [1] * HOSTS
        assert [it.told("daemon.degraded") for it in found] == [0] * HOSTS


async def test_one_interview_a_minute_tries_it_over_all_hosts(autojump_clock: object, model: Model) -> None:
    """Ten minutes with an interview each five seconds on each host: it stays sick, and is told once."""
    async with hosts(model) as found:
        found[0].fail(5)
        await trio.sleep(SOON)
        tried: list[float] = []
        for _ in range(120):
            for it in found:
                choice = it.begin()
                if choice.probe:
                    tried.append(trio.current_time())
                    it.fail(1)
                else:
                    assert choice.model == B
            await trio.sleep(5)
        assert 8 <= len(tried) <= 10
        assert min(b - a for a, b in itertools.pairwise(tried)) > 50
        assert [it.told("model.sick") for it in found] == [1] * HOSTS
        assert [it.told("model.well") for it in found] == [0] * HOSTS


async def test_leave_that_was_of_no_use_is_asked_for_again(autojump_clock: object, model: Model) -> None:
    """An interview every two minutes, each at another host: one after the other would have none to begin in its minute."""
    async with hosts(model) as found:
        found[0].fail(5)
        await trio.sleep(SOON)
        tried = [it for number in range(15) if await _later(it := found[number % HOSTS], 120)]
        assert len(tried) >= 15 / HOSTS - 1
        assert all(not it.told("model.well") for it in found)


async def test_where_no_interview_begins_any_more_no_leave_is_asked_for(
    autojump_clock: object, model: Model
) -> None:
    """It is for the others, each minute."""
    async with hosts(model) as (one, other, _third):
        one.fail(5)
        await trio.sleep(SOON)
        await _later(one, 60)
        await trio.sleep(WANTED_SECONDS + PROBE_EVERY_SECONDS)
        assert not await _later(other, 60)
        assert await _later(other, 30)


async def _later(it: Host, seconds: float) -> bool:
    """Return whether an interview that begins there then tries a sick model, and finds that it still is."""
    await trio.sleep(seconds)
    choice = it.begin()
    if choice.probe:
        it.fail(1)
    return choice.probe


async def test_a_candidate_who_is_answered_at_one_host_makes_it_well_at_all(
    autojump_clock: object, model: Model
) -> None:
    """Also where others have seen failures since, which are of before."""
    async with hosts(model) as found:
        found[0].fail(5)
        await trio.sleep(SOON)
        found[1].fail(5)
        found[2].models.proved(A, trio.current_time())
        await trio.sleep(SOON)
        assert [it.begin() for it in found] == [Choice(A)] * HOSTS
        assert [it.told("model.well") for it in found] == [1] * HOSTS
        assert model.tables.told.signals == {}
        await trio.sleep(COUNTS_SECONDS * 2)
        assert [it.told("model.sick") for it in found] == [1] * HOSTS


async def test_without_the_shared_journal_each_goes_by_what_it_sees(
    autojump_clock: object, model: Model
) -> None:
    """A model falls sick where it fails, is tried once a minute there, and the others hear of it afterwards."""
    async with hosts(model) as (one, other, _third):
        one.client.reachable = False
        await trio.sleep(COUNTS_SECONDS + SOON)
        one.fail(5)
        assert one.begin() == Choice(B)
        await trio.sleep(60)
        assert one.begin() == Choice(A, probe=True)
        assert one.begin() == Choice(B)
        assert other.begin() == Choice(A)
        one.client.reachable = True
        await trio.sleep(SOON)
        assert SICK + A in model.tables.told.signals
        assert other.begin() == Choice(B)


async def test_the_counts_of_a_host_that_is_gone_are_of_no_account(
    autojump_clock: object, model: Model
) -> None:
    async with hosts(model) as (one, other, _third):
        one.fail(3)
        await trio.sleep(SOON)
        one.client.reachable = False
        await trio.sleep(COUNTS_SECONDS + SOON)
        other.fail(3)
        await trio.sleep(SOON)
        assert other.begin() == Choice(A)
