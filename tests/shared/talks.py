"""Candidates who talk with daemons that share a PostgreSQL, and what is to be seen of them afterwards."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
import random

import trio

from preppald.core.turns import Fragment, fold, in_order
from preppald.shared.postgres import Postgres
from preppald.shared.protocol import Said
from preppald.shared.words import fragments_of
from preppald.simulator import Scenario
from preppald.simulator.scenario import Audio, Reply, Timing
from tests.candidates import Candidate
from tests.processes.host import Host
from tests.shared.server import Server
from tests.simulation.tab import Character, Tab

SETTINGS = {
    "PREPPALD_SESSION_LIMIT": "10m",
    "PREPPALD_RECONNECT_GRACE": "60s",
    "PREPPALD_VAD_SILENCE": "100ms",
}
SCENARIO = Scenario(
    reply=tuple(Reply(text=f"question-{number} is asked here", recording="part") for number in range(200)),
    audio=Audio(part_ms=200),
    timing=Timing(setup_delay=0.1, reply_delay=0.1),
)
# Fragments of each talk before anything is done to it, and after it.
ENOUGH = 6
PATIENCE_SECONDS = 90.0
# Words of the last instant may not have got to the database: 0.2 s by the design; a machine that has several times as
# much to do as it can may take longer.
LOSS_SECONDS = 2.0


@dataclass
class Door:
    """A balancer that knows nothing: each connection goes to the next host that takes it.

    ``seats``: when candidates were let in, by interview. ``closes``: the codes that they got meanwhile, and when; ``refused``:
    how often a host answered with anything but a seat.
    """

    hosts: list[Host]
    seats: dict[str, list[float]] = field(default_factory=dict)
    closes: dict[str, list[tuple[float, int]]] = field(default_factory=dict)
    refused: int = 0
    turn: int = 0

    async def connect(self) -> trio.abc.Stream:
        for _ in self.hosts:
            self.turn += 1
            try:
                return await self.hosts[self.turn % len(self.hosts)].connect()
            except OSError:
                continue
        raise OSError("no host takes connections")

    def note(self, event: str, keys: dict[str, object]) -> None:
        name, now = str(keys["interview"]), trio.current_time()
        if event == "tab.closed":
            self.closes.setdefault(name, []).append((now, int(str(keys["code"]))))
        elif event == "tab.answered" and keys["status"] == 101:
            self.seats.setdefault(name, []).append(now)
        elif event == "tab.answered":
            self.refused += 1


@asynccontextmanager
async def talking(door: Door, names: list[str]) -> AsyncIterator[dict[str, Tab]]:
    """Candidates who talk until they are told to press end."""
    tabs = {
        name: Tab(
            name,
            lambda name=name: door.hosts[0].token(name),  # type: ignore[misc]
            door.connect,
            Character(comes_at=0.0, pause=1.0, ends_at=None, vanishes_at=None, drops_at=(), doubles_at=None),
            random.Random(name),
            door.note,
            hurry=1.0,
        )
        for name in names
    }
    async with trio.open_nursery() as nursery:
        for tab in tabs.values():
            nursery.start_soon(tab.attend)
        yield tabs
        nursery.cancel_scope.cancel()


async def until(what: str, condition: Callable[[], object]) -> None:
    with trio.move_on_after(PATIENCE_SECONDS):
        while not condition():  # noqa: ASYNC110 - other processes make it true
            await trio.sleep(0.05)
        return
    raise AssertionError(f"not within {PATIENCE_SECONDS:.0f} s: {what}")


async def more_said(names: Sequence[str], *hosts: Host) -> None:
    """Return when more was said in each talk at these hosts."""

    def said() -> dict[str, int]:
        found = [it.said() for it in hosts]
        return {name: max(len(it.get(name, ())) for it in found) for name in names}

    before = said()

    def enough() -> bool:
        return all(now >= before[name] + ENOUGH for name, now in said().items())

    await until("more is said", enough)


async def seated(door: Door, name: str) -> Candidate:
    with trio.fail_after(PATIENCE_SECONDS):
        while True:
            one = Candidate(await door.connect())
            if await one.open(f"/{name}", door.hosts[0].token(name)) == 101:
                return one
            await trio.aclose_forcefully(one.stream)
            await trio.sleep(0.5)


async def ended(door: Door, names: list[str]) -> None:
    """Let each candidate come once more, and press end."""
    for name in names:
        one = await seated(door, name)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.run)
            await one.end()
            assert (await one.closed())[0] == 1000
            nursery.cancel_scope.cancel()
        await trio.aclose_forcefully(one.stream)


def posted(it: Host, name: str) -> list[str]:
    stored = it.backend.interviews[name]
    assert stored.status == "COMPLETED"
    assert stored.submissions == 1, "one transcript"
    return [entry.content for entry in stored.transcript]


async def there(server: Server, name: str) -> dict[int, Fragment]:
    """Return what the shared journal has of an interview, by number."""
    shared = Postgres(server.url)
    try:
        found = await shared.said((name, 0), 1)
    finally:
        await shared.aclose()
    assert isinstance(found, Said)
    return {it.seq: it for it in fragments_of(found, name, 1)}


async def matches(server: Server, it: Host, name: str, tab: Tab, died: float | None = None) -> None:
    """Words shown = words in the database = words at the backend; but for those of the instant before a death."""
    words = await there(server, name)
    turns = in_order(fold([words[seq] for seq in sorted(words)]).values())
    assert posted(it, name) == [turn.spoken.strip() for turn in turns if turn.spoken.strip()]
    shown = {seq: (text.partition(":")[2], at) for seq, (text, at) in tab.shown.items()}
    lacking = [at for seq, (text, at) in shown.items() if seq not in words or words[seq].text != text]
    assert all(died is not None and died - LOSS_SECONDS < at <= died + 1 for at in lacking), (
        name,
        len(lacking),
    )
    assert len(shown) - len(lacking) >= 2 * ENOUGH - 2
    assert not tab.faults


async def all_posted(server: Server, here: Host, tabs: Mapping[str, Tab]) -> None:
    """Return when each interview has one transcript at the backend, with every word that was shown; none came too late."""
    await until("all is posted", lambda: all(here.backend.interviews[it].submissions for it in tabs))
    for name, tab in tabs.items():
        await matches(server, here, name, tab)
    assert server.sql("SELECT count(*) FROM preppald.late") == "0"
