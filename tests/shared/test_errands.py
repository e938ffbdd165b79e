"""An operator's words that come through the shared journal, in virtual time: on the model, to a daemon's real parts."""

from dataclasses import dataclass

import trio

from preppald.daemon.acting import Acting
from preppald.daemon.errands import obey
from preppald.shared.model import Model
from preppald.shared.protocol import PULSE_SECONDS
from preppald.simulator import Scenario
from tests.shared.conformance import joined
from tests.world import World

LOOK = PULSE_SECONDS + 0.5


@dataclass
class Member:
    """A membership, as far as errands look at it."""

    incarnation: int
    met: bool = True


async def test_it_drains_and_takes_it_back(nursery: trio.Nursery, autojump_clock: object) -> None:
    world = await World({}, Scenario()).start(nursery)
    stopping = False
    acting = Acting(
        world.services, world.registry, world.outbox, world.server, instance="here", stopping=lambda: stopping
    )
    model = Model(trio.current_time)
    client = model.client()
    me = await joined(client)
    member = Member(me)
    nursery.start_soon(obey, client, member, acting, world.registry)
    await trio.sleep(LOOK)
    assert model.tables.instances[me].ready
    drain = model.order(me, "drain")
    client.lost_answers = 1
    await trio.sleep(LOOK)
    # Its answer was lost: the order is still there, and is carried out once more.
    await trio.sleep(LOOK)
    assert world.registry.draining
    assert model.tables.answers[drain] == "drains: no interview begins there; 0 run"
    await trio.sleep(LOOK)
    assert not model.tables.instances[me].ready
    undrain, unknown = model.order(me, "undrain"), model.order(me, "dance")
    await trio.sleep(LOOK)
    assert not world.registry.draining
    assert model.tables.answers[undrain] == "takes new interviews; 0 run"
    assert "knows no such order: upgrade that host" in model.tables.answers[unknown]
    # Between two incarnations there is nobody to order about; nor while the database is away.
    member.incarnation = 0
    await trio.sleep(LOOK)
    member.incarnation, client.reachable = me, False
    await trio.sleep(LOOK)
    client.reachable = True
    stopping = True
    refused = model.order(me, "undrain")
    await trio.sleep(LOOK)
    assert "refused" in model.tables.answers[refused]
    assert "stopping" in model.tables.answers[refused]
