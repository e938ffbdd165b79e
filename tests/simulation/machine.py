"""The host: it boots the real daemon, kills it, stops it, and moves the wall clock.

A process that was killed is cut off from everything: what its tasks still do on their way out nobody can see.
"""

from collections.abc import AsyncIterator, Callable, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
import hashlib
import random
from typing import Any, TypeVar

import structlog
import trio

from preppald.config.load import load
from preppald.core import closes, tokens as auth
from preppald.core.deliveries import Delivery
from preppald.daemon.environment import Environment, Listeners
from preppald.daemon.run import Running, StopSwitch, run_daemon
from preppald.gemini.connection import UpstreamError
from preppald.shared import Alone, Shared
from preppald.telemetry.memory import Memory
from tests.simulation import neighbour
from tests.simulation.application import Application, Client
from tests.simulation.damage import OnThisDisk
from tests.simulation.disk import Disk, Mount
from tests.simulation.gemini import Gemini
from tests.simulation.network import Link, Listener, Network

T = TypeVar("T")
SECRET = "a-secret-for-tests-of-32-bytes-or-more"
WALL_MS = 1_800_000_000_000
SETTINGS = {
    "JWT_SECRET": SECRET,
    "GEMINI_API_KEY": "key-for-tests",
    "WORKER_SHARED_SECRET": "another-secret-for-tests-of-32-bytes",
    "NEXT_PUBLIC_API_URL": "http://application.test",
}
# As the application signs them.
TOKEN_SECONDS = 300


@dataclass
class Process:
    """One life of the daemon."""

    number: int
    mount: Mount
    client: Client
    switch: StopSwitch = field(default_factory=StopSwitch)
    dead: bool = False
    running: Running | None = None
    listener: Listener | None = None
    links: list[Link] = field(default_factory=list)
    life: trio.CancelScope = field(default_factory=trio.CancelScope)
    task: trio.lowlevel.Task | None = None
    serves: trio.Event = field(default_factory=trio.Event)
    gone: trio.Event = field(default_factory=trio.Event)


@dataclass(frozen=True, slots=True)
class Death:
    """``image``: what was durable. ``flushing``: since when the disk had not answered, if it had not."""

    at: float
    process: int
    image: bytes
    disk_was_slow: bool


class Outside:
    """Everything that is not a host's own. ``log`` holds (when, level, event, keys) of the living only."""

    def __init__(self, seed: int, wire: str = "trpc", application: Application | None = None) -> None:
        self.application = application or Application(random.Random(f"application {seed}"), wire)
        self.gemini = Gemini(random.Random(f"gemini {seed}"), partial(self.note, "info"))
        self.log: list[tuple[float, str, str, Mapping[str, Any]]] = []
        self._digest = hashlib.sha256()

    @property
    def digest(self) -> str:
        """Of all that anybody noted: the same for the same seed."""
        return self._digest.hexdigest()[:16]

    def note(self, level: str, event: str, keys: Mapping[str, object]) -> None:
        at = trio.current_time()
        self.log.append((at, level, event, keys))
        told = sorted((name, value) for name, value in keys.items() if name != "exc_info")
        self._digest.update(f"{at:.6f} {level} {event} {told}\n".encode())


class Machine:
    """One host. ``name``: stands in each of its lines, where there are several; then each has a seed of its own."""

    def __init__(
        self,
        seed: int | str,
        settings: Mapping[str, str],
        nursery: trio.Nursery,
        outside: Outside,
        name: str = "",
    ) -> None:
        self.config = load({**SETTINGS, **settings})
        self.outside = outside
        self.name = name
        self.disk = Disk(random.Random(f"disk {seed}"))
        self.network = Network(random.Random(f"network {seed}"))
        self.process: Process | None = None
        self.wall_offset_ms = 0
        self.boots: list[float] = []
        self.deaths: list[Death] = []
        # What other instances' databases owe, by the instance's name.
        self.left: dict[str, list[Delivery]] = {}
        self._chance = random.Random(f"machine {seed}")
        self._nursery = nursery

    # -------------------------------------------------------------- clock and log

    def now_ms(self) -> int:
        return WALL_MS + self.wall_offset_ms + round(trio.current_time() * 1000)

    @property
    def application(self) -> Application:
        return self.outside.application

    @property
    def gemini(self) -> Gemini:
        return self.outside.gemini

    @property
    def log(self) -> Sequence[tuple[float, str, str, Mapping[str, Any]]]:
        return self.outside.log

    def note(self, event: str, keys: Mapping[str, object]) -> None:
        self._note("info", event, keys)

    def events(self, name: str) -> list[tuple[float, Mapping[str, Any]]]:
        return [(at, keys) for at, _, event, keys in self.log if event == name]

    def _note(self, level: str, event: str, keys: Mapping[str, object]) -> None:
        self.outside.note(level, event, {**keys, "host": self.name} if self.name else keys)

    def _logger(self, process: Process) -> Any:
        def take(_logger: object, level: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
            if not process.dead:
                name = event.pop("event")
                self._note(level, name, event)
                if name in {"journal.fault", "outbox.from_memory"}:
                    process.client.excused = True
                elif name == "journal.recovered":
                    process.client.excused = False
            raise structlog.DropEvent

        return structlog.wrap_logger(
            None, processors=[take], wrapper_class=structlog.make_filtering_bound_logger(0)
        )

    def leave(self, version: int) -> None:
        """Another instance's database appears in the state directory: its host stopped it for good."""
        name = f"old-{len(self.left)}"
        self.left[name] = neighbour.owed(name, self.now_ms())
        self.disk.neighbours[name] = {"": neighbour.left(name, version, self.now_ms())}

    # -------------------------------------------------------------- the daemon's lives

    def boot(self) -> Process:
        """Starts the daemon on what the disk holds; ``serves`` is set when it does."""
        assert self.process is None
        mount = Mount(self.disk)
        process = Process(len(self.boots) + 1, mount, Client(self.application, self.disk))
        self.process = process
        self.boots.append(trio.current_time())
        self.note("machine.booting", {"process": process.number})
        self._nursery.start_soon(self._live, process)
        return process

    async def kill(self) -> None:
        """kill -9: nothing of it happens any more, from this instant on."""
        process, self.process = self.process, None
        assert process is not None
        process.dead = True
        process.mount.unplug()
        slow = trio.current_time() < max(self.disk.slow_until, self.disk.behind_until, self.disk.full_until)
        process.client.unplug(disk_was_slow=slow)
        self.deaths.append(Death(trio.current_time(), process.number, self.disk.image, slow))
        self.note("machine.killed", {"process": process.number})
        for link in process.links:
            link.cut()
        process.life.cancel()
        await trio.lowlevel.checkpoint()

    async def stop(self, patience: float | None = None) -> None:
        """SIGTERM; a second one after ``patience`` seconds. Returns when the process has ended."""
        process = self.process
        assert process is not None
        self.note("machine.stopping", {"process": process.number})
        process.switch.stop()
        if patience is not None:
            with trio.move_on_after(patience):
                await process.gone.wait()
            if not process.switch.now.is_set():
                process.switch.stop()
        await process.gone.wait()

    async def _live(self, process: Process) -> None:
        process.task = trio.lowlevel.current_task()
        try:
            with process.life:
                async with trio.open_nursery() as nursery:
                    serve = partial(
                        run_daemon,
                        self.config,
                        log=self._logger(process),
                        now_ms=self.now_ms,
                        switch=process.switch,
                        environment=self.environment(process),
                    )
                    process.running = await nursery.start(serve)
                    process.serves.set()
        except BaseException as error:  # noqa: ASYNC103 - what is dead cannot be cancelled any more
            # What a corpse says counts for nothing; the living must not fall.
            if not process.dead:
                raise
            self.note("machine.corpse", {"process": process.number, "error": type(error).__name__})
        finally:
            process.serves.set()
            process.gone.set()
            process.mount.dispose()
            if self.process is process:
                self.process = None

    def environment(self, process: Process) -> Environment:
        """Return the world of a process."""
        return Environment(
            listeners=self._listeners(process),
            backend=process.client,
            place=OnThisDisk(process.mount),
            in_thread=process.mount.in_thread,
            dial=partial(self._dial, process),
            chance=random.Random(self._chance.random()).random,
            memory=Memory(lambda: 0, lambda: None),
            shared=self.shared(process),
            in_thread_beside=_at_once,
        )

    def shared(self, process: Process) -> Shared:  # noqa: ARG002 - others have one each
        """Return the process's way to a journal that hosts share: here there is one host alone."""
        return Alone()

    @asynccontextmanager
    async def _listeners(self, process: Process) -> AsyncIterator[tuple[Listeners, Listeners]]:
        process.listener, admin = Listener(), Listener()
        try:
            yield [process.listener], [admin]
        finally:
            process.listener.turn_away()

    # -------------------------------------------------------------- connections

    async def connect(self) -> trio.abc.Stream:
        """A browser's connection to the daemon's public port. Raises OSError while nobody listens."""
        await trio.lowlevel.checkpoint()
        process = self.process
        if process is None or process.listener is None:
            raise ConnectionRefusedError("nobody listens")
        link = self.network.link()
        process.links = [*(known for known in process.links if known.open), link]
        if not process.listener.arrive(link.ends[1]):
            link.cut()
            raise ConnectionRefusedError("nobody listens any more")
        return link.ends[0]

    async def _dial(self, process: Process) -> trio.abc.Stream:
        """The daemon's connection to Gemini."""
        await trio.sleep(self.network.weather.latency)
        if process.dead:
            raise UpstreamError(closes.NETWORK)
        link = self.network.link()
        process.links = [*(known for known in process.links if known.open), link]
        self._nursery.start_soon(self.gemini.handle_stream, link.ends[1])
        return link.ends[0]

    def token(self, interview_id: str, user: str = "") -> str:
        now = self.now_ms() // 1000
        return auth.sign(
            SECRET,
            user_id=user or f"user of {interview_id}",
            interview_id=interview_id,
            now=now,
            lifetime=TOKEN_SECONDS,
        )


async def _at_once(function: Callable[[], T], /) -> T:
    """Do what has a thread of its own in the real world."""
    await trio.lowlevel.checkpoint()
    return function()
