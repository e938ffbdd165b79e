"""One host alone and the model in memory hold to what PostgreSQL is held to in check_postgres.py."""

import pytest

from preppald.shared import Alone, Shared
from preppald.shared.model import Model
from preppald.shared.protocol import Fenced, Known, Unreachable, Written
from preppald.shared.shipment import shipment
from tests.durable import interview, said
from tests.shared.conformance import ManyHosts, OneHost, commit, joined, numbers


class OnItsOwn:
    def host(self) -> Shared:
        return Alone()

    async def pass_time(self, seconds: float) -> None:
        raise AssertionError(f"nobody waits here ({seconds})")

    async def order(self, target: int, what: str) -> int:
        raise AssertionError(f"nobody orders {what} of {target} here")


class InMemory:
    """The model, with a clock that goes by itself only when told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self.model = Model(lambda: self.seconds)

    def host(self) -> Shared:
        return self.model.client()

    async def pass_time(self, seconds: float) -> None:
        self.seconds += seconds

    async def order(self, target: int, what: str) -> int:
        return self.model.order(target, what)


class TestAlone(OneHost):
    @pytest.fixture
    def world(self) -> OnItsOwn:
        return OnItsOwn()

    async def test_it_can_be_closed(self, world: OnItsOwn) -> None:
        await world.host().aclose()


class TestModel(ManyHosts):
    @pytest.fixture
    def world(self) -> InMemory:
        return InMemory()

    async def test_an_answer_may_be_lost_after_the_deed(self, world: InMemory) -> None:
        client = world.model.client()
        me = await joined(client)
        client.lost_answers = 1
        whole = shipment([commit(1, interview(), fragments=said(3))])
        assert isinstance(await client.append(me, whole), Unreachable)
        assert await client.append(me, whole) == Written()
        assert numbers(await client.said(("iv", 0), 1)) == [1, 2, 3]

    async def test_nobody_is_reached_who_is_away(self, world: InMemory) -> None:
        client = world.model.client()
        me = await joined(client)
        client.reachable = False
        assert isinstance(await client.append(me, shipment([commit(1, interview())])), Unreachable)
        client.reachable = True
        assert await client.known(me) == Known(0, 0)
        await client.aclose()
        assert isinstance(await client.known(me), Unreachable)

    async def test_a_failover_may_forget(self, world: InMemory) -> None:
        """A copy that is behind is put in the place of what there was: the incarnation is not known any more."""
        before = world.model.tables
        client = world.model.client()
        me = await joined(client)
        world.model.tables = type(before)()
        assert await client.known(me) == Fenced()
