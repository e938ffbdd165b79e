"""Everything there is in one run of several hosts."""

from dataclasses import dataclass, field

from tests.simulation.fleet.application import Bookkeeper
from tests.simulation.fleet.engine import Engine
from tests.simulation.fleet.host import Host
from tests.simulation.fleet.plan import Plan
from tests.simulation.fleet.watch import Watch
from tests.simulation.machine import Outside
from tests.simulation.tab import Tab


@dataclass
class Scene:
    plan: Plan
    engine: Engine
    watch: Watch
    outside: Outside
    application: Bookkeeper
    hosts: list[Host]
    tabs: list[Tab] = field(default_factory=list)
    ended_at: float = 0.0

    def host(self, name: str) -> Host:
        return next(host for host in self.hosts if host.name == name)
