"""What PostgreSQL may do to a daemon: be away, hang, refuse, lose its primary, be another's. Nothing of it raises.

Needs Debian's postgresql: run by .ci/extra/35-postgres.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
import shutil
import signal

import pytest
import trio

from preppald.errors import NewerSchemaError
from preppald.shared.postgres import Postgres
from preppald.shared.protocol import Fenced, Joined, Known, Pulse, Shared, Unreachable, Written
from preppald.shared.shipment import shipment
from tests.certificates import Certificates
from tests.durable import interview, said
from tests.ports import free_port
from tests.shared.conformance import HERE, commit, joined, numbers
from tests.shared.proxy import proxy
from tests.shared.server import USER, Server, room, running

# Of a connection that is silent: short, for nothing here takes long.
PATIENCE_SECONDS = 1.0
PASSWORD = "canary-password"


@asynccontextmanager
async def host(url: str, *, patience: float = PATIENCE_SECONDS) -> AsyncIterator[Postgres]:
    it = Postgres(url, patience=patience)
    try:
        yield it
    finally:
        await it.aclose()


def why(answer: object) -> str:
    assert isinstance(answer, Unreachable), answer
    return answer.why


async def reached(shared: Shared, me: int) -> object:
    """Return the first answer that is one, within the time of a server's start."""
    with trio.fail_after(30):
        while True:
            if not isinstance(answer := await shared.known(me), Unreachable):
                return answer
            await trio.sleep(0.1)


async def test_nobody_is_there(server: Server) -> None:
    server.stop()
    async with host(server.url) as shared:
        assert "connection" in why(await shared.join(HERE))
        answers = [
            await shared.known(1),
            await shared.pulse(1, 0),
            await shared.append(1, shipment([commit(1, interview())])),
            await shared.settle(1, [], 0),
            await shared.sweep(1, 0, 0),
            await shared.said(("iv", 0), 1),
            await shared.owner(("iv", 0)),
            await shared.declare_lost(1, 2),
            await shared.unsettled(2),
            await shared.settle_lost(1, 2, []),
            await shared.claim(1, 1),
            await shared.release(1, [("iv", 0)]),
        ]
        assert all(isinstance(it, Unreachable) for it in answers)


async def test_a_server_that_is_killed_comes_back_with_everything_it_answered_for(server: Server) -> None:
    durable = Server(server.directory, server.port, ("fsync=on",))
    server.stop()
    durable.start()
    async with host(server.url) as shared:
        me = await joined(shared)
        assert await shared.append(me, shipment([commit(1, interview(), fragments=said(3))])) == Written()
        durable.stop(signal.SIGKILL)
        (durable.directory / "postmaster.pid").unlink(missing_ok=True)
        assert isinstance(
            await shared.append(me, shipment([commit(2, fragments=said(2, first=4))])), Unreachable
        )
        assert isinstance(await shared.pulse(me, 1), Unreachable)
        durable.start()
        assert await reached(shared, me) == Known(1, 0)
        assert numbers(await shared.said(("iv", 0), 1)) == [1, 2, 3]
    durable.stop(signal.SIGKILL)


async def test_a_line_that_swallows_everything_is_hung_up(server: Server) -> None:
    """The driver would wait for ever: the other side acknowledges each byte and says nothing."""
    async with (
        proxy(server.port) as line,
        host(f"postgresql://{USER}@127.0.0.1:{line.port}/postgres") as shared,
    ):
        me = await joined(shared)
        line.held = True
        began = trio.current_time()
        await shared.pulse(me, 1)
        first = trio.current_time() - began
        assert PATIENCE_SECONDS <= first < PATIENCE_SECONDS * 3
        line.held = False
        line.cut()
        assert isinstance(await reached(shared, me), Known)


async def test_who_stops_waiting_is_not_kept(server: Server) -> None:
    """A daemon that stops meanwhile leaves at once."""
    async with (
        proxy(server.port) as line,
        host(f"postgresql://{USER}@127.0.0.1:{line.port}/postgres", patience=60) as shared,
    ):
        me = await joined(shared)
        line.held = True
        began = trio.current_time()
        with trio.move_on_after(0.3):
            await shared.pulse(me, 1)
        assert trio.current_time() - began < 5


async def test_a_line_that_is_cut_is_made_anew(server: Server) -> None:
    async with (
        proxy(server.port) as line,
        host(f"postgresql://{USER}@127.0.0.1:{line.port}/postgres") as shared,
    ):
        me = await joined(shared)
        line.cut()
        assert isinstance(await shared.pulse(me, 1), Unreachable)
        assert isinstance(await shared.pulse(me, 1), Pulse)


async def test_a_stopped_server_holds_up_nobody_else(server: Server) -> None:
    """Its processes are stopped in the middle: the loop goes on, and the statement counts as unknown."""
    async with host(server.url) as shared:
        me = await joined(shared)
        server.signal(signal.SIGSTOP)
        ticks = 0
        answers: list[object] = []

        async def ask() -> None:
            answers.append(await shared.append(me, shipment([commit(1, interview(), fragments=said(3))])))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            while not answers:
                ticks += 1
                await trio.sleep(0.02)
        assert ticks > PATIENCE_SECONDS / 0.02 / 4
        assert isinstance(answers[0], Unreachable)
        server.signal(signal.SIGCONT)
        await reached(shared, me)
        assert await shared.append(me, shipment([commit(1, interview(), fragments=said(3))])) == Written()
        assert numbers(await shared.said(("iv", 0), 1)) == [1, 2, 3]


async def test_a_refusal_names_the_remedy_and_never_the_password(server: Server) -> None:
    server.sql(f"CREATE ROLE guest LOGIN PASSWORD '{PASSWORD}x'; CREATE ROLE poor LOGIN")
    rules = server.directory / "pg_hba.conf"
    trusting = rules.read_text("utf-8")
    rules.write_text("host all guest 127.0.0.1/32 scram-sha-256\n" + trusting)
    server.sql("SELECT pg_reload_conf()")
    at = f"127.0.0.1:{server.port}"
    cases = {
        f"postgresql://guest:{PASSWORD}@{at}/postgres": "see the password in PREPPALD_SHARED_JOURNAL",
        f"postgresql://guest@{at}/postgres": "see the password in PREPPALD_SHARED_JOURNAL",
        f"postgresql://poor@{at}/postgres": "give the role the right to create the schema preppald",
        f"postgresql://poor@{at}/nowhere": "does not exist",
    }
    for url, remedy in cases.items():
        async with host(url) as shared:
            said_why = why(await shared.join(HERE))
        assert remedy in said_why
        assert PASSWORD not in said_why
        assert "\n" not in said_why


async def test_a_role_with_rights_on_its_schema_alone_is_enough(server: Server) -> None:
    """The twelve lines of the documentation."""
    server.sql("CREATE ROLE preppald LOGIN")
    server.sql("CREATE DATABASE app")
    server.sql("CREATE SCHEMA preppald AUTHORIZATION preppald", "app")
    async with host(f"postgresql://preppald@127.0.0.1:{server.port}/app") as shared:
        me = await joined(shared)
        assert await shared.append(me, shipment([commit(1, interview())])) == Written()


async def test_tables_of_a_newer_preppald_are_left_alone(server: Server) -> None:
    async with host(server.url) as shared:
        await joined(shared)
        server.sql("INSERT INTO preppald.migration (number, oldest_reader) VALUES (98, 1)")
        assert await shared.prepare() is None
        server.sql("INSERT INTO preppald.migration (number, oldest_reader) VALUES (99, 99)")
        with pytest.raises(NewerSchemaError, match="upgrade this host"):
            await shared.prepare()


async def test_tables_of_a_newer_preppald_end_no_process_that_runs(server: Server) -> None:
    """It goes on with the connections that it has; a new one finds that it may not: as if nobody were there."""
    async with host(server.url) as shared:
        me = await joined(shared)
        server.sql("INSERT INTO preppald.migration (number, oldest_reader) VALUES (99, 99)")
        assert isinstance(await shared.pulse(me, 1), Pulse)
        server.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'preppald'"
        )
        assert isinstance(await shared.pulse(me, 1), Unreachable)
        assert "upgrade this host" in why(await shared.pulse(me, 1))
        assert "upgrade this host" in why(await shared.append(me, shipment([commit(1, interview())])))
        assert "upgrade this host" in why(await shared.signals.learn(me, {}))
        with pytest.raises(NewerSchemaError, match="upgrade this host"):
            await shared.known(me)


async def test_a_database_from_before_is_made_ready_again(server: Server) -> None:
    """It was dropped, or restored from before the first start: the incarnation is not known, and a new one can join."""
    async with host(server.url) as shared:
        me = await joined(shared)
        server.sql("DROP SCHEMA preppald CASCADE")
        assert "does not exist" in why(await shared.pulse(me, 0))
        assert await shared.pulse(me, 0) == Fenced()
        assert isinstance(await shared.join(HERE), Joined)


async def test_the_certificate_is_verified(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By this machine's authorities, as SSL_CERT_FILE names them in the one-file binary; nothing less by itself."""
    certificates = Certificates(tmp_path)
    with room() as directory:
        for file in (certificates.cert, certificates.key):
            shutil.copy(file, directory)
            shutil.chown(directory / file.name, USER, USER)
            (directory / file.name).chmod(0o600)
        encrypted = Server(
            server.directory,
            server.port,
            ("ssl=on", f"ssl_cert_file={directory}/cert.pem", f"ssl_key_file={directory}/key.pem"),
        )
        server.stop()
        encrypted.start()
        # A host that is not local by its name: the loopback by another one.
        url = f"postgresql://{USER}@ip6-localhost:{server.port}/postgres?hostaddr=127.0.0.1&host=127.0.0.1"
        asked = f"{url}&sslmode=verify-full"
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates.ca))
        async with host(asked) as shared:
            assert isinstance(await shared.join(HERE), Joined)
        monkeypatch.delenv("SSL_CERT_FILE")
        async with host(asked) as shared:
            assert "certificate verify failed" in why(await shared.join(HERE))
        encrypted.stop(signal.SIGKILL)


@pytest.fixture
def pair() -> Iterator[tuple[Server, Server]]:
    """A primary, and a standby for which each commit waits."""
    with running() as primary, room() as directory:
        standby = Server(directory / "data", free_port())
        standby.copy_of(primary, "standby")
        standby.start()
        primary.sql("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
        primary.sql("SELECT pg_reload_conf()")
        try:
            yield primary, standby
        finally:
            standby.stop(signal.SIGKILL)


async def test_a_standby_that_is_promoted_has_everything_that_was_answered_for(
    pair: tuple[Server, Server],
) -> None:
    primary, standby = pair
    url = f"postgresql://{USER}@127.0.0.1:{primary.port},127.0.0.1:{standby.port}/postgres"
    async with host(url) as shared:
        me = await joined(shared)
        acknowledged = 0
        for number in range(1, 60):
            parcel = commit(number, interview(), fragments=said(1, first=number))
            if await shared.append(me, shipment([parcel])) == Written():
                acknowledged = number
            if number == 40:
                primary.stop(signal.SIGKILL)
        assert acknowledged >= 40
        standby.sql("ALTER SYSTEM SET synchronous_standby_names = ''")
        standby.sql("SELECT pg_reload_conf()")
        standby.promote()
        known = await reached(shared, me)
        assert isinstance(known, Known)
        assert known.highest >= acknowledged
        assert set(range(1, acknowledged + 1)) <= set(numbers(await shared.said(("iv", 0), 1)))
        assert await shared.append(me, shipment([commit(60, fragments=said(1, first=60))])) == Written()


async def test_a_commit_whose_standby_is_frozen_counts_as_unknown(pair: tuple[Server, Server]) -> None:
    """Also where an administrator ends the wait, which PostgreSQL calls a success."""
    primary, standby = pair
    async with host(primary.url, patience=30) as shared:
        me = await joined(shared)
        standby.signal(signal.SIGSTOP)
        answers: list[object] = []

        async def ask() -> None:
            answers.append(await shared.append(me, shipment([commit(1, interview(), fragments=said(3))])))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.sleep(1)
            assert not answers
            primary.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
        assert "the standby" in why(answers[0])
        standby.signal(signal.SIGCONT)
        assert await shared.append(me, shipment([commit(1, interview(), fragments=said(3))])) == Written()
