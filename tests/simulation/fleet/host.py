"""A host among others: it can be stopped, lose its disk, and be cut off from candidates and from the database."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
import random

import trio

from preppald.daemon.environment import Environment, Listeners
from preppald.shared import Shared
from tests.simulation import frozen
from tests.simulation.disk import Disk
from tests.simulation.fleet.engine import LATENCY_SECONDS, Engine, Line, Way
from tests.simulation.fleet.watch import Condition, Watch
from tests.simulation.machine import Machine, Outside, Process
from tests.simulation.network import Fault, Link, Listener

PEER_PORT = 8788


class Host(Machine):
    """``line``: its way to the database. ``lost_disks``: how many; each was another life of the host's."""

    def __init__(
        self,
        seed: int,
        name: str,
        settings: Mapping[str, str],
        nursery: trio.Nursery,
        *,
        outside: Outside,
        engine: Engine,
        watch: Watch,
    ) -> None:
        own = {"PREPPALD_INSTANCE": name, "PREPPALD_PEER_ADDRESS": f"{name}:{PEER_PORT}"}
        super().__init__(f"{seed} {name}", {**settings, **own}, nursery, outside, name=name)
        self.line = Line()
        self.frozen = False
        self.unreachable = False
        self.public: list[Link] = []
        # All hosts, by name; and whether there is a way to the others.
        self.others: Mapping[str, Host] = {}
        self.alone = False
        # Connections that this host made to others.
        self.between: list[Link] = []
        self.peer_listener: Listener | None = None
        self.lost_disks: list[float] = []
        self._engine = engine
        self._condition = watch.hosts[name] = Condition(self.line)
        self._seed = seed

    @property
    def answers(self) -> bool:
        """Whether a candidate's connection arrives at a process that runs."""
        return self.process is not None and not self.frozen and not self.unreachable

    def boot(self) -> Process:
        process = super().boot()
        self._judge()
        return process

    async def kill(self) -> None:
        process = self.process
        await super().kill()
        if self.frozen and process is not None and process.task is not None:
            # The dead unwind, unseen.
            frozen.thaw(process.task)
        self.frozen = False
        self._judge()

    async def lose(self) -> None:
        """Kill it, and take its disk."""
        if self.process is not None:
            await self.kill()
        self.lost_disks.append(trio.current_time())
        self.disk.finish()
        self.disk = Disk(random.Random(f"disk {self._seed} {self.name} {len(self.lost_disks)}"))
        self.note("machine.disk_gone", {})

    async def pause(self, seconds: float) -> None:
        """Stop the process for a while, at any await."""
        process = self.process
        if process is None or process.task is None or self.frozen:
            return
        self.frozen = True
        self._judge()
        frozen.freeze(process.task)
        await trio.sleep(seconds)
        if self.process is process and self.frozen:
            self.resume()

    def resume(self) -> None:
        """Let a stopped process go on."""
        if self.frozen and self.process is not None and self.process.task is not None:
            frozen.thaw(self.process.task)
            self.note("machine.goes_on", {})
        self.frozen = False
        self._judge()

    def set_line(self, there: Way, back: Way) -> None:
        """Change the way to the database."""
        self.line.set(there, back)
        self._judge()

    def cut_candidates(self, fault: Fault) -> None:
        """Let nobody in any more, and break the connections there are in this way."""
        self.unreachable = True
        for link in self.process.links if self.process is not None else []:
            if link in self.public:
                link.strike(fault)

    async def connect(self) -> trio.abc.Stream:
        if self.unreachable:
            await trio.sleep(self.network.weather.latency)
            raise ConnectionRefusedError("cut off from candidates")
        stream = await super().connect()
        self.public = [*(known for known in self.public if known.open), self.network.links[-1]]
        return stream

    def environment(self, process: Process) -> Environment:
        return replace(
            super().environment(process), peers=self._peers(), dial_peer=partial(self._dial_peer, process)
        )

    @asynccontextmanager
    async def _peers(self) -> AsyncIterator[Listeners]:
        listener = self.peer_listener = Listener()
        try:
            yield [listener]
        finally:
            listener.turn_away()

    async def _dial_peer(self, process: Process, name: str, _port: int) -> trio.abc.Stream:
        """Connect a process to another host's peer port. Raises OSError."""
        await trio.sleep(LATENCY_SECONDS)
        other = self.others[name]
        if self.alone or other.alone:
            await trio.sleep_forever()  # packets are dropped: the asker has a clock of its own
        target, listener = other.process, other.peer_listener
        if process.dead or target is None or listener is None:
            raise ConnectionRefusedError("nobody listens")
        link = other.network.link()
        for it in (process, target):
            it.links = [*(known for known in it.links if known.open), link]
        self.between = [*(known for known in self.between if known.open), link]
        if not listener.arrive(link.ends[1]):
            link.cut()
            raise ConnectionRefusedError("nobody listens any more")
        return link.ends[0]

    def cut_off(self, fault: Fault) -> None:
        """Leave no way between this host and the others, and break the connections there are."""
        self.alone = True
        for host in self.others.values():
            for link in host.between:
                if host is self or link in self.network.links:
                    link.strike(fault)

    def shared(self, process: Process) -> Shared:
        return self._engine.way(self.name, self.line, partial(_alive, process))

    def _judge(self) -> None:
        """Note since when nothing keeps it from renewing its lease but the database itself."""
        free = self.process is not None and not self.frozen and self.line.free
        if not free:
            self._condition.free_since = None
        elif self._condition.free_since is None:
            self._condition.free_since = trio.current_time()


def _alive(process: Process) -> bool:
    return not process.dead
