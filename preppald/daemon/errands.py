"""Does what operators order through the shared journal, from any host, and says there whether interviews may begin here."""

from typing import Protocol

import trio

from preppald import __version__
from preppald.daemon.acting import Acting, Caller, Unacted
from preppald.daemon.orders import Drained
from preppald.interview.registry import Registry
from preppald.shared.protocol import PULSE_SECONDS, Fenced, Order, Shared, Unreachable

BY = Caller("the shared journal")


class Member(Protocol):
    """``incarnation``: 0 while there is none. ``met``: the shared journal was ever asked by this process."""

    incarnation: int
    met: bool


async def obey(shared: Shared, member: Member, acting: Acting, registry: Registry) -> None:
    """Look for orders until cancelled.

    An order is carried out before it is answered: after a lost answer it is carried out again, which changes nothing.
    """
    while True:
        await trio.sleep(PULSE_SECONDS)
        # The pulse says in the log whether the shared journal answers.
        if not (me := member.incarnation) or not member.met:
            continue
        orders = await shared.orders(me, ready=registry.unready() is None)
        if isinstance(orders, Fenced | Unreachable):
            continue
        for order in orders:
            await shared.obeyed(me, order.number, await _answer(order, acting))


async def _answer(order: Order, acting: Acting) -> str:
    try:
        match order.what:
            case "drain":
                return _words(await acting.drain(BY))
            case "undrain":
                return _words(await acting.undrain(BY))
            case _:
                return f"preppald {__version__} knows no such order: upgrade that host"
    except Unacted as refused:
        return f"refused: {refused}"


def _words(drained: Drained) -> str:
    state = "drains: no interview begins there" if drained.draining else "takes new interviews"
    return f"{state}; {drained.interviews} run"
