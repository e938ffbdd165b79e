"""A daemon's parts in a thread of their own, with the command socket on disk: for commands, which block."""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import SimpleQueue
import threading
from typing import Any, TypeVar

import trio

from preppald.daemon import control
from preppald.daemon.acting import Acting
from preppald.daemon.audit import Audit
from preppald.journal import OnDisk
from preppald.simulator import Scenario
from preppald.simulator.scenario import Reply
from tests.candidates import Candidate
from tests.world import World

T = TypeVar("T")

SCENARIO = Scenario(reply=(Reply(text="Hello there.", seconds=0.1),))


@dataclass
class Standing:
    """``do`` runs a function in the daemon's thread, and returns what it returned. ``candidates``: those who came."""

    world: World
    stop: Callable[[], None]
    token: trio.lowlevel.TrioToken
    candidates: list[Candidate] = field(default_factory=list)

    def do(self, function: Callable[..., Coroutine[Any, Any, T]], *arguments: object) -> T:
        return trio.from_thread.run(partial(function, *arguments), trio_token=self.token)

    def interview(self, interview_id: str, user_id: str) -> None:
        """A candidate comes, hears the greeting, and stays."""

        async def come() -> None:
            token = self.world.token(interview_id, user_id)
            candidate = await self.world.candidate(interview_id, token=token)
            self.candidates.append(candidate)
            await candidate.heard_out()
            await self.world.journal.flush()

        self.do(come)


@contextmanager
def standing(
    state_dir: Path,
    instance: str = "preppald",
    runtime_directory: Path | None = None,
    **settings: str,
) -> Iterator[Standing]:
    """A daemon without ports, until the end of the block. ``settings``: without their prefix, in small letters."""
    ready: SimpleQueue[Standing | BaseException] = SimpleQueue()

    async def live() -> None:
        given = {f"PREPPALD_{name.upper()}": value for name, value in settings.items()}
        given["PREPPALD_STATE_DIR"] = str(state_dir)
        over = trio.Event()
        async with trio.open_nursery() as nursery:
            place = OnDisk(state_dir, instance, reserve_bytes=0)
            world = await World(given, SCENARIO, place).start(nursery)
            acting = Acting(
                world.services,
                world.registry,
                world.outbox,
                world.server,
                instance=instance,
                stopping=lambda: False,
                audit=Audit(state_dir),
            )
            where = control.CommandSocket(state_dir, runtime_directory, instance)
            await nursery.start(control.serve, where, acting, world.services.log)
            token = trio.lowlevel.current_trio_token()
            ready.put(Standing(world, lambda: token.run_sync_soon(over.set), token))
            await over.wait()
            nursery.cancel_scope.cancel()

    def run() -> None:
        try:
            trio.run(live)
        except BaseException as error:
            ready.put(error)
            raise

    thread = threading.Thread(target=run)
    thread.start()
    stands = ready.get()
    if isinstance(stands, BaseException):
        thread.join()
        raise stands
    try:
        yield stands
    finally:
        stands.stop()
        thread.join()
