"""What a shared journal costs beside the local one, and how much text a host that dies with its disk takes with it.

    python -m tests.bench.shared [--sessions N] [--seconds N] [--pairs N] [--standby] [--url URL]

The talks of tests.bench.journal, in turns with the local journal alone and with a PostgreSQL behind it: Debian's, on
this machine, with its disk's fsync and with --standby a synchronous one; or the one at --url. Prints the share of a core
that the daemon's process takes for it, and for every fragment the time from the moment it was recorded until the
database had acknowledged it: text that is younger when the host dies is lost with it.
"""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
import tempfile

import trio

from preppald.journal import Journal, OnDisk, packing, rows
from preppald.shared import Presence
from preppald.shared.postgres import Postgres
from preppald.shared.protocol import Fenced, Shipment, Unfit, Unreachable, Written
from preppald.shared.shipper import Shipper
from tests.bench.journal import name, now_ms, put, talk
from tests.durable import Notes
from tests.ports import free_port
from tests.shared.server import Server, room, running


class Timed(Postgres):
    """Notes how old each fragment is when its commit was acknowledged, in milliseconds."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        # Taken apart after the run: that costs as much as what is measured.
        self._acknowledged: list[tuple[int, Sequence[rows.Row]]] = []

    async def append(self, me: int, shipment: Shipment, /) -> Written | Fenced | Unfit | Unreachable:
        answer = await super().append(me, shipment)
        if isinstance(answer, Written):
            self._acknowledged.append((now_ms(), shipment.recent))
        return answer

    def ages(self) -> Iterator[int]:
        """Yield the age of each fragment."""
        for at_ms, recent in self._acknowledged:
            for _, _, *row in recent:
                yield from (at_ms - packing.unpacked(it).at_ms for it in rows.recent(tuple(row)))


async def cost(state_dir: Path, shared: Timed | None, given: argparse.Namespace, pair: int) -> float:
    """Return the CPU seconds of one run."""
    shipper = None
    if shared is not None:
        presence = Presence("bench", "", "0")
        shipper = Shipper(shared, presence, log=Notes(), now_ms=now_ms, retention_ms=None)
    journal = Journal(OnDisk(state_dir), log=Notes(), now_ms=now_ms, follower=shipper)
    async with trio.open_nursery() as nursery:
        await nursery.start(journal.run)
        if shipper is not None:
            await nursery.start(shipper.run, journal, lambda: given.sessions)
        # Interviews of its own, for those of the pair before belong to that one's instance.
        cpu, _ = await talk(
            journal, given.sessions, given.seconds, epoch=1, name=lambda number: f"{pair}-{name(number)}"
        )
        if shipper is not None:
            assert shipper.behind_seconds == 0.0, "it is still behind"
        nursery.cancel_scope.cancel()
    return cpu


async def main(url: str, given: argparse.Namespace) -> None:
    more: list[float] = []
    ages: list[int] = []
    for pair in range(1, given.pairs + 1):
        with tempfile.TemporaryDirectory() as scratch:
            alone = await cost(Path(scratch) / "alone", None, given, pair)
            shared = Timed(url)
            both = await cost(Path(scratch) / "shared", shared, given, pair)
        more.append((both - alone) / given.seconds)
        ages += shared.ages()
    ages.sort()
    p50, p90, p99 = (ages[int((len(ages) - 1) * share)] for share in (0.5, 0.9, 0.99))
    put(f"{given.sessions} sessions, {len(ages)} fragments, {given.pairs} times {given.seconds:.0f} s")
    put(f"shared: {median(more):.1%} of a core more ({', '.join(f'{it:.1%}' for it in sorted(more))})")
    put(f"acknowledged after {p50} ms p50, {p90} ms p90, {p99} ms p99, {ages[-1]} ms at most")


@contextmanager
def database(*, standby: bool) -> Iterator[str]:
    """Yield the URL of a server of one's own, as durable as it is delivered."""
    with ExitStack() as stack:
        primary = stack.enter_context(running("fsync=on", "full_page_writes=on"))
        if standby:
            second = Server(stack.enter_context(room()) / "data", free_port(), ("fsync=on",))
            second.copy_of(primary, "standby")
            second.start()
            stack.callback(second.stop)
            primary.sql("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
            primary.sql("SELECT pg_reload_conf()")
        yield primary.url


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--standby", action="store_true")
    parser.add_argument("--url")
    arguments = parser.parse_args()
    if arguments.url:
        trio.run(main, arguments.url, arguments)
    else:
        with database(standby=arguments.standby) as its_url:
            trio.run(main, its_url, arguments)
