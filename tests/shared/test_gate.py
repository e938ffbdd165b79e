"""A delivery is posted when the shared journal has it as this instance's, while the lease is renewed, and not before."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio

from preppald.backend import NoBackend
from preppald.backend.breaker import IN_FLIGHT
from preppald.backend.gate import HELD_SECONDS, ON_THEIR_WAY
from preppald.backend.outbox import Outbox
from preppald.backend.outcomes import Delivered, Outcome
from preppald.core.deliveries import Delivery
from preppald.daemon import sharing
from preppald.shared import gate as gates
from preppald.shared.gate import BEHIND, NO_LEASE
from preppald.shared.model import Model
from preppald.shared.protocol import LEASE_SECONDS, PULSE_SECONDS, Presence
from preppald.shared.shipment import shipment
from preppald.shared.tenure import Tenure
from tests.durable import begun, finished, interview, said, wall_ms
from tests.shared.conformance import commit
from tests.shared.test_shipper import SOON, Host, held, host, place


@dataclass
class Application(NoBackend):
    """``accepted``: what was posted, in order."""

    accepted: list[str] = field(default_factory=list)

    async def post(self, delivery: Delivery) -> Outcome:
        await trio.lowlevel.checkpoint()
        self.accepted.append(delivery.key)
        return Delivered()


@dataclass
class Posting:
    it: Host
    outbox: Outbox
    backend: Application

    @property
    def accepted(self) -> list[str]:
        return self.backend.accepted


@asynccontextmanager
async def posting(folder: Path, model: Model) -> AsyncIterator[Posting]:
    """A host with its outbox, which stops in order: what is cut off goes on in the next one."""
    async with host(place(folder), model) as it, trio.open_nursery() as nursery:
        backend = Application()
        outbox = Outbox(
            it.journal,
            backend,
            log=it.notes,
            now_ms=wall_ms,
            chance=lambda: 0.5,
            gate=it.shipper.gate,
        )
        await nursery.start(outbox.run)
        await trio.sleep(SOON)
        yield Posting(it, outbox, backend)
        nursery.cancel_scope.cancel()


@pytest.fixture
def model() -> Model:
    return Model(trio.current_time)


def end(it: Host, name: str = "iv") -> None:
    it.journal.end(name, 1, ending="COMPLETED", cause=None, ended_ms=wall_ms(), deliveries=[finished(name)])


async def lose(model: Model, loser: int) -> None:
    """Have another host declare this one lost, take its sessions over and go on renewing its lease."""
    other = model.client()
    me = (await other.join(Presence("other", "", "1"))).incarnation  # type: ignore[union-attr]
    for _ in range(30):
        await trio.sleep(1)
        await other.pulse(me, 0)
        if await other.declare_lost(me, loser):
            break
    else:
        raise AssertionError("it was not lost")
    await other.settle_lost(me, loser, [])
    await other.claim(me, 10)


async def test_a_delivery_is_posted_as_soon_as_the_shared_journal_has_it(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    async with posting(tmp_path, model) as here:
        here.it.journal.begin(interview())
        here.it.journal.add_delivery(begun())
        began = trio.current_time()
        while not here.accepted:
            await trio.sleep(0.01)
            assert set(here.accepted) <= set(model.tables.owed)
        assert trio.current_time() - began < SOON + 0.1
        assert here.outbox.statistics().held == 0
        assert "outbox.held_back" not in here.it.notes.events()


async def test_while_it_is_away_interviews_end_and_deliveries_wait(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    async with posting(tmp_path, model) as here:
        it = here.it
        it.journal.begin(interview())
        it.client.reachable = False
        end(it)
        await it.journal.flush()
        await trio.sleep(1)
        assert here.outbox.statistics().held == 1
        await trio.sleep(HELD_SECONDS * 2)
        assert held(it) is Tenure.CUT_OFF
        assert here.accepted == []
        row = await it.journal.interview("iv")
        assert row is not None
        assert row.ending == "COMPLETED"
        assert it.notes.events().count("outbox.held_back") == 1
        assert it.notes.keys("outbox.held_back") == {"deliveries": 1, "cause": NO_LEASE}
        shown = {name: value for name, _, value in sharing.gauges(it.shipper, outbox=here.outbox)}
        assert shown["shared_held_deliveries"] == 1
        it.client.reachable = True
        await trio.sleep(PULSE_SECONDS + SOON)
        assert here.accepted == [finished().key]
        assert it.notes.events().count("outbox.let_through") == 1


async def test_a_stop_waits_for_what_is_on_its_way(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    """The last interview ends, and at once the daemon is to stop."""
    async with posting(tmp_path, model) as here:
        here.it.journal.begin(interview())
        end(here.it)
        assert await here.outbox.drained(trio.current_time() + 10) == 0
        assert here.accepted == [finished().key]


async def test_nothing_of_a_fenced_incarnation_is_posted(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    """Neither what the shared journal had before, nor what it never got; a new interview's is."""
    async with posting(tmp_path, model) as here:
        it = here.it
        it.journal.begin(interview())
        it.journal.add_fragments("iv", 1, said(2))
        await trio.sleep(SOON)
        it.client.reachable = False
        it.journal.add_delivery(begun())
        end(it)
        it.journal.begin(interview("new"))
        before = it.incarnation
        await lose(model, before)
        it.client.reachable = True
        await trio.sleep(60)
        assert it.incarnation not in {0, before}
        assert held(it) is Tenure.HOLDS
        assert here.accepted == []
        end(it, "new")
        await trio.sleep(1)
        assert here.accepted == [finished("new").key], "it began while nobody knew of the loss"


async def test_what_another_host_posts_holds_up_nothing(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    """More of them than the outbox looks at, and older."""
    names = [f"theirs-{number}" for number in range(IN_FLIGHT + 5)]
    other = model.client()
    me = (await other.join(Presence("other", "", "1"))).incarnation  # type: ignore[union-attr]
    await other.append(me, shipment([commit(1, *(interview(name) for name in names))]))
    async with posting(tmp_path, model) as here:
        for name in names:
            here.it.journal.begin(interview(name))
            end(here.it, name)
        await trio.sleep(1)
        here.it.journal.begin(interview("ours"))
        end(here.it, "ours")
        await trio.sleep(1)
        assert here.accepted == [finished("ours").key]
        assert here.outbox.statistics().held == 0


async def test_a_restart_posts_what_it_finds_once_the_shared_journal_has_all(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    async with host(place(tmp_path), model) as it:
        it.journal.begin(interview())
        await trio.sleep(SOON)
        it.client.reachable = False
        end(it)
        await it.journal.flush()
    assert finished().key not in model.tables.owed
    async with posting(tmp_path, model) as here:
        await trio.sleep(SOON)
        assert finished().key in model.tables.owed
        assert here.accepted == [finished().key]


async def test_a_process_that_slept_knows_nothing(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    """Until an answer says that it holds its interviews still."""
    async with posting(tmp_path, model) as here:
        gate = here.it.shipper.gate
        member = here.it.shipper.membership
        assert gate.why is None
        assert member.may_post(trio.current_time() + LEASE_SECONDS - PULSE_SECONDS)
        assert not member.may_post(trio.current_time() + LEASE_SECONDS + 1)


async def test_more_than_can_be_kept_in_mind_wait_for_everything(
    autojump_clock: object, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gates, "MOST_WAITING", 3)
    names = [f"iv-{number}" for number in range(6)]
    async with posting(tmp_path, model) as here:
        here.it.client.reachable = False
        for name in names:
            here.it.journal.begin(interview(name))
            end(here.it, name)
        await here.it.journal.flush()
        await trio.sleep(HELD_SECONDS)
        assert here.it.shipper.gate.why in {NO_LEASE, BEHIND}
        here.it.client.reachable = True
        await trio.sleep(PULSE_SECONDS + SOON * 3)
        assert sorted(here.accepted) == [finished(name).key for name in names]
        assert ON_THEIR_WAY not in str(here.it.notes)
