"""What stands before the hosts: it sends each connection to one of them, and never the same candidate to the same host."""

from collections.abc import Sequence
import random

import trio

from tests.simulation.fleet.host import Host

# After which a host that answers nothing is left out: three health checks of a second.
NOTICED_SECONDS = 3.0


class Balancer:
    """``checks``: whether it leaves out hosts that answer nothing."""

    def __init__(self, hosts: Sequence[Host], chance: random.Random, *, checks: bool) -> None:
        self._hosts = hosts
        self._chance = chance
        self._checks = checks
        self._silent_since: dict[str, float] = {}

    async def connect(self) -> trio.abc.Stream:
        """Connect a candidate to a host. Raises OSError where nobody listens there."""
        now = trio.current_time()
        for host in self._hosts:
            if host.answers:
                self._silent_since.pop(host.name, None)
            else:
                self._silent_since.setdefault(host.name, now)
        known = [it for it in self._hosts if now - self._silent_since.get(it.name, now) < NOTICED_SECONDS]
        return await self._chance.choice(known if self._checks and known else self._hosts).connect()
