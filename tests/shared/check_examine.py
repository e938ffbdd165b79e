"""What `preppald check --online` finds of a database: directly, through a pooler, and with a standby.

Needs Debian's postgresql and pgbouncer: run by .ci/extra/35-postgres.
"""

from collections.abc import Iterator

import pytest

from preppald.commands.serve import wall_clock_ms as now_ms
from preppald.shared.examine import examine
from preppald.shared.migrations import STEPS
from preppald.shared.postgres import Postgres
from tests.durable import EPOCH_MS
from tests.shared.server import Server, pooled, running


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as it:
        yield it


async def findings(url: str) -> dict[str, tuple[bool, str]]:
    return {what: (good, words) for what, good, words in await examine(url, now_ms)}


async def test_a_database_before_the_first_start(server: Server) -> None:
    found = await findings(server.url)
    assert found["shared journal"][0]
    assert "UTF8, not encrypted, directly" in found["shared journal"][1]
    assert found["shared journal's tables"] == (True, "are made at the first start")
    assert "no synchronous one" in found["shared journal's standby"][1]
    assert found["shared journal's clock"][0]
    assert found["shared journal's round trip"][1].endswith(" ms")


async def test_one_that_is_in_use(server: Server) -> None:
    shared = Postgres(server.url)
    assert await shared.prepare() is None
    await shared.aclose()
    known = len(STEPS)
    assert (await findings(server.url))["shared journal's tables"] == (
        True,
        f"version {known}, this preppald knows {known}",
    )
    server.sql("INSERT INTO preppald.migration (number, oldest_reader) VALUES (99, 99)")
    good, words = (await findings(server.url))["shared journal's tables"]
    assert not good
    assert "upgrade this host" in words
    server.sql("DROP SCHEMA preppald CASCADE")


async def test_one_behind_a_pooler(server: Server) -> None:
    with pooled(server) as port:
        found = await findings(server.url.replace(str(server.port), str(port)))
    assert found["shared journal"][1].endswith("through a pooler")


async def test_what_is_wrong_is_said(server: Server) -> None:
    server.sql("ALTER SYSTEM SET synchronous_commit = 'off'")
    server.sql("CREATE ROLE stranger LOGIN")
    server.sql("SELECT pg_reload_conf()")
    found = await findings(server.url.replace("postgres@", "stranger@"))
    assert not found["shared journal's standby"][0]
    assert found["shared journal's tables"] == (False, "are not there, and this role may not make them")
    server.sql("ALTER SYSTEM SET synchronous_commit = 'on'")
    server.sql("ALTER SYSTEM SET synchronous_standby_names = 'other'")
    server.sql("SELECT pg_reload_conf()")
    assert (await findings(server.url))["shared journal's standby"] == (True, "synchronous (on: other)")
    ((good, words),) = (await findings("postgresql://u:canary@127.0.0.1:9/app")).values()
    assert not good
    assert "canary" not in words


async def test_a_clock_that_is_far_off_is_said(server: Server) -> None:
    found = {what: good for what, good, _ in await examine(server.url, lambda: EPOCH_MS - 86_400_000)}
    assert not found["shared journal's clock"]
