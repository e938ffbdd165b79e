"""PostgreSQL holds to what the model is held to, and its races end as the model's do.

Needs Debian's postgresql and pgbouncer: run by .ci/extra/35-postgres.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
import itertools

import pytest
import trio

from preppald.journal import rows
from preppald.shared import Shared
from preppald.shared.link import Link
from preppald.shared.migrations import STEPS
from preppald.shared.postgres import Postgres
from preppald.shared.protocol import Fenced, Mine, Owned, Shipment, TooMany, Unreachable, Written
from preppald.shared.shipment import shipment
from tests.durable import interview
from tests.ports import free_port
from tests.shared.conformance import ManyHosts, commit, ended, joined, one_lost
from tests.shared.server import Server, pooled, running


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as it:
        yield it


@pytest.fixture(scope="module")
def pooler(server: Server) -> Iterator[int]:
    with pooled(server) as port:
        yield port


_databases = itertools.count(1)
# Interviews of one person at a time.
LIMIT = 3
# Of the race between commits and declarations.
WRITERS = 4
PARTS = 400
DECLARATIONS = 40


class Database:
    """A database of its own on the server. ``port``: by which it is reached."""

    def __init__(self, server: Server, port: int = 0) -> None:
        self.server = server
        self.port = port or server.port
        self.name = f"d{next(_databases)}"
        server.sql(f"CREATE DATABASE {self.name}")
        self.hosts: list[Postgres] = []

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{self.name}"

    def host(self) -> Shared:
        self.hosts.append(Postgres(self.url))
        return self.hosts[-1]

    async def hosts_ready(self, count: int) -> None:
        """Have so many hosts more, and the tables."""
        for _ in range(count):
            self.host()
        assert await self.hosts[0].prepare() is None

    async def pass_time(self, seconds: float) -> None:
        self.sql(
            f"UPDATE preppald.instance SET renewed_at = renewed_at - interval '{seconds} seconds', "
            f"steady_at = steady_at - interval '{seconds} seconds'"
        )
        self.sql(f"UPDATE preppald.signal SET until = until - interval '{seconds} seconds'")
        self.sql(f"UPDATE preppald.attempt SET at = at - interval '{seconds} seconds'")

    async def order(self, target: int, what: str) -> int:
        return int(
            self.sql(
                f"INSERT INTO preppald.command (target, what) VALUES ({target}, '{what}') RETURNING number"
            )
        )

    def sql(self, statement: str) -> str:
        return self.server.sql(statement, self.name)


@asynccontextmanager
async def database(server: Server, port: int = 0) -> AsyncIterator[Database]:
    it = Database(server, port)
    try:
        yield it
    finally:
        for host in it.hosts:
            await host.aclose()


class TestPostgres(ManyHosts):
    @pytest.fixture
    async def world(self, server: Server) -> AsyncIterator[Database]:
        async with database(server) as it:
            yield it


class TestPgBouncer(ManyHosts):
    """By way of a pooler in transaction mode: every statement may be another server process's."""

    @pytest.fixture
    async def world(self, server: Server, pooler: int) -> AsyncIterator[Database]:
        async with database(server, pooler) as it:
            yield it


async def test_of_racing_commits_none_is_written_after_a_declaration(server: Server) -> None:
    """Owners commit all the time, and are declared lost at any moment; each goes on as another incarnation.

    Without FOR SHARE a commit that had begun before the declaration ends after it, and this test fails.
    """
    async with database(server) as db:
        await db.hosts_ready(WRITERS + 1)
        acknowledged: list[tuple[int, int]] = []
        alive: dict[int, int] = {}
        done = trio.Event()

        async def write(slot: int) -> None:
            shared, number = db.hosts[slot], 0
            while not done.is_set():
                me = alive[slot] = await joined(shared)
                while not done.is_set():
                    number += 1
                    # Many rows: a statement that takes its time is one that a declaration can come into.
                    whole = Shipment(recent=[(number, part, *row) for part in range(PARTS)])
                    answer = await shared.append(me, whole)
                    if answer == Fenced():
                        break
                    assert answer == Written()
                    acknowledged.append((me, number))

        async def declare() -> None:
            link = Link(db.url)
            for turn in range(DECLARATIONS):
                await trio.sleep(0.02)
                victim = alive[turn % WRITERS]
                # What a peer's statement does, without waiting for a lease to lapse: the same change of the same row.
                await link.ask(
                    "UPDATE preppald.instance SET lost_at = clock_timestamp() WHERE id = %(it)s AND lost_at IS NULL",
                    {"it": victim},
                )
                # At once: from here on the incarnation writes nothing.
                found = await link.ask(
                    "SELECT coalesce(max(number), 0) FROM preppald.recent WHERE instance = %(it)s",
                    {"it": victim},
                )
                assert isinstance(found, list)
                ends.setdefault(victim, found[0][0])
            link.close()
            done.set()

        row = rows.sealed((0, "[]"))
        ends: dict[int, int] = {}
        async with trio.open_nursery() as nursery:
            for slot in range(WRITERS):
                nursery.start_soon(write, slot)
            await trio.sleep(0.2)
            nursery.start_soon(declare)
        assert len(ends) > DECLARATIONS / 2
        there = {
            (int(instance), int(number))
            for instance, number in (
                line.split("|")
                for line in db.sql("SELECT DISTINCT instance, number FROM preppald.recent").splitlines()
            )
        }
        assert not [it for it in there if it[1] > ends.get(it[0], it[1])], "written after the declaration"
        assert set(acknowledged) <= there, "acknowledged, and not there"
        assert len(acknowledged) > DECLARATIONS


async def test_of_hosts_that_begin_one_interview_together_one_owns_it(server: Server) -> None:
    """Rounds of eight hosts at one instant: each round has exactly one winner, and all others are told."""
    async with database(server) as db:
        await db.hosts_ready(8)
        ids = [await joined(it) for it in db.hosts]
        for round_ in range(30):
            mine = shipment([commit(round_ + 1, interview(f"iv{round_}"))])
            answers: list[object] = []

            async def begin(
                shared: Shared, me: int, mine: Shipment = mine, to: list[object] = answers
            ) -> None:
                to.append(await shared.append(me, mine))

            async with trio.open_nursery() as nursery:
                for shared, me in zip(db.hosts, ids, strict=True):
                    nursery.start_soon(begin, shared, me)
            assert answers.count(Written()) == 1
            assert answers.count(Written(((f"iv{round_}", 0),))) == 7


async def test_begins_that_race_have_one_winner_and_keep_the_limit(server: Server) -> None:
    """Rounds of twenty at one instant: of one interview one begins, of a person's interviews as many as are allowed."""
    async with database(server) as db:
        await db.hosts_ready(20)
        ids = [await joined(it) for it in db.hosts]
        for round_ in range(20):
            answers = await together(db.hosts, ids, [f"one{round_}"] * 20, f"user:a{round_}")
            assert answers.count(Mine()) == 1
            assert sum(isinstance(it, Owned) and it.peer is not None for it in answers) == 19
            answers = await together(db.hosts, ids, [f"iv{round_}-{n}" for n in range(20)], f"user:b{round_}")
            assert answers.count(Mine()) == LIMIT
            assert answers.count(TooMany()) == 20 - LIMIT
        people = db.sql("SELECT name, live FROM preppald.person ORDER BY name").splitlines()
        assert len(people) == 40
        assert {it.partition("|")[2] for it in people if it.startswith("user:a")} == {"1"}
        assert {it.partition("|")[2] for it in people if it.startswith("user:b")} == {str(LIMIT)}


async def together(
    hosts: Sequence[Shared], ids: Sequence[int], names: Sequence[str], person: str
) -> list[object]:
    """Return the answers to begins at one instant, one a host."""
    answers: list[object] = []

    async def begin(shared: Shared, me: int, name: str) -> None:
        answers.append(await shared.begin(me, rows.interview_row(interview(name)), person, LIMIT))

    async with trio.open_nursery() as nursery:
        for shared, me, name in zip(hosts, ids, names, strict=True):
            nursery.start_soon(begin, shared, me, name)
    return answers


async def test_ends_and_begins_that_race_keep_the_count(server: Server) -> None:
    """Hosts end and begin the interviews of two people, crosswise and in any order: the count is right in the end."""
    async with database(server) as db:
        await db.hosts_ready(6)

        async def talk(slot: int) -> None:
            shared = db.hosts[slot]
            me = await joined(shared)
            for turn in range(15):
                pair = [interview(f"iv{slot}-{turn}-{n}") for n in range(2)]
                for n, it in enumerate(pair):
                    assert (
                        await shared.begin(me, rows.interview_row(it), f"user:{(slot + n) % 2}", 99) == Mine()
                    )
                over = shipment([commit(turn + 1, *map(ended, pair))])
                assert await shared.append(me, over) == Written()

        async with trio.open_nursery() as nursery:
            for slot in range(6):
                nursery.start_soon(talk, slot)
        assert db.sql("SELECT DISTINCT live FROM preppald.person") == "0"


async def test_claims_that_race_share_the_orphans(server: Server) -> None:
    """Every session of a lost host is claimed once."""
    async with database(server) as db:
        _, there, a, b = await one_lost(db, [f"iv{n}" for n in range(200)])
        assert await there.settle_lost(b, a, []) == Written()
        await db.hosts_ready(6)
        claimed: list[str] = []

        async def claim(shared: Shared) -> None:
            me = await joined(shared)
            while found := await shared.claim(me, 7):
                assert isinstance(found, list)
                claimed.extend(it.row[0] for it in found)

        async with trio.open_nursery() as nursery:
            for shared in db.hosts[2:]:
                nursery.start_soon(claim, shared)
        assert len(claimed) == 200
        assert len(set(claimed)) == 200


async def test_hosts_that_start_together_make_the_tables_once(server: Server) -> None:
    async with database(server) as db:
        for _ in range(8):
            db.host()
        answers: list[object] = []

        async def prepare(it: Postgres) -> None:
            answers.append(await it.prepare())

        async with trio.open_nursery() as nursery:
            for it in db.hosts:
                nursery.start_soon(prepare, it)
        assert answers.count(None) >= 1
        assert [await it.prepare() for it in db.hosts] == [None] * 8
        assert db.sql("SELECT count(*), max(number) FROM preppald.migration") == f"{len(STEPS)}|{len(STEPS)}"


QUESTIONS: dict[str, Callable[[Shared], Awaitable[object]]] = {
    "known": lambda it: it.known(1),
    "pulse": lambda it: it.pulse(1, 0),
    "sweep": lambda it: it.sweep(1, 0, 0),
    "said": lambda it: it.said(("iv", 0), 1),
    "owner": lambda it: it.owner(("iv", 0)),
    "declare_lost": lambda it: it.declare_lost(1, 2),
    "settle_lost": lambda it: it.settle_lost(1, 2, []),
    "unsettled": lambda it: it.unsettled(1),
    "begin": lambda it: it.begin(1, rows.interview_row(interview()), None, 0),
    "sessions": lambda it: it.sessions("iv"),
    "held": lambda it: it.held(1),
    "claim": lambda it: it.claim(1, 1),
    "release": lambda it: it.release(1, [("iv", 0)]),
    "standings": lambda it: it.standings(),
    "secret": lambda it: it.secret("peers", b"x"),
    "orders": lambda it: it.orders(1, ready=True),
}


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
async def test_every_question_is_answered_where_the_database_is_away(
    question: Callable[[Shared], Awaitable[object]],
) -> None:
    """Whoever asks goes on by the answer; none raises."""
    it = Postgres(f"postgresql://postgres@127.0.0.1:{free_port()}/none")
    try:
        with trio.fail_after(20):
            assert isinstance(await question(it), Unreachable)
    finally:
        await it.aclose()
