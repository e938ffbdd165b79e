"""Real daemons on a real PostgreSQL: a host that is gone has left its words there, and an outage harms no talk.

Needs Debian's postgresql: run by .ci/extra/35-postgres.
"""

from contextlib import asynccontextmanager
import json
import os
from pathlib import Path
import random
import shutil
import signal
import subprocess
import sys
import time

import trio

from preppald.journal import packing, rows
from preppald.shared.postgres import Postgres
from preppald.shared.protocol import Said
from tests.processes.host import Host, host
from tests.shared.server import Server
from tests.shared.talks import SCENARIO
from tests.simulation.tab import Character, Tab

SETTINGS = {
    "PREPPALD_SESSION_LIMIT": "60s",
    "PREPPALD_RECONNECT_GRACE": "3s",
    "PREPPALD_VAD_SILENCE": "100ms",
}
TALKS = 4
# Fragments of each talk before anything is done to it.
ENOUGH = 6
PATIENCE_SECONDS = 60.0
# The design's bound is 0.2 s at p99; a machine that has twice as much to do as it can may take longer.
LOSS_MS = 2000


@asynccontextmanager
async def talking(here: Host, names: list[str]):  # type: ignore[no-untyped-def]
    """Have candidates who talk until the end of the block."""
    tabs = {
        name: Tab(
            name,
            lambda name=name: here.token(name),  # type: ignore[misc]
            here.connect,
            Character(comes_at=0.0, pause=1.0, ends_at=None, vanishes_at=None, drops_at=(), doubles_at=None),
            random.Random(name),
            lambda *_: None,
            hurry=0.2,
        )
        for name in names
    }
    async with trio.open_nursery() as nursery:
        for tab in tabs.values():
            nursery.start_soon(tab.attend)
        yield tabs
        nursery.cancel_scope.cancel()


async def spoken(here: Host, names: list[str]) -> None:
    """Return when everybody has said something, and more is being said."""
    with trio.fail_after(PATIENCE_SECONDS):
        while True:
            local = here.said()
            if all(len(local.get(name, ())) >= ENOUGH for name in names):
                return
            await trio.sleep(0.05)


async def there(shared: Postgres, name: str) -> dict[int, int]:
    """Return the fragments of an interview in the shared journal: when each was said, by number."""
    found = await shared.said((name, 0), 1)
    assert isinstance(found, Said)
    passages = [it for row in found.passages for it in rows.passage(row)]
    recent = [
        packing.unpacked(it) for row in found.recent for it in rows.recent(row) if it.interview_id == name
    ]
    return {it.seq: it.at_ms for it in (*passages, *recent)}


async def test_a_host_that_is_gone_with_its_disk_has_left_its_words(server: Server, tmp_path: Path) -> None:
    """kill -9 in the middle of talks, and the state directory removed: the shared journal lacks an instant at most."""
    settings = {**SETTINGS, "PREPPALD_SHARED_JOURNAL": server.url}
    async with host(tmp_path, settings, SCENARIO) as here:
        await here.start()
        await here.ready()
        names = [f"iv-{n}" for n in range(TALKS)]
        async with talking(here, names):
            await spoken(here, names)
            await here.kill()
        died_ms = time.time_ns() // 10**6
        local = {name: {it.seq: it.at_ms for it in fragments} for name, fragments in here.said().items()}
        shutil.rmtree(here.state_dir)
        shared = Postgres(server.url)
        try:
            for name in names:
                found = await there(shared, name)
                missing = [at for seq, at in local[name].items() if seq not in found]
                assert len(found) >= ENOUGH - 1
                assert all(at > died_ms - LOSS_MS for at in missing), (name, len(missing))
        finally:
            await shared.aclose()
        assert server.sql("SELECT count(*) FROM preppald.interview WHERE phase = 'live'") == str(TALKS)


async def test_an_outage_of_the_database_harms_no_talk_and_is_caught_up(
    server: Server, tmp_path: Path
) -> None:
    settings = {**SETTINGS, "PREPPALD_SHARED_JOURNAL": server.url}
    async with host(tmp_path, settings, SCENARIO) as here:
        await here.start()
        await here.ready()
        async with talking(here, ["a", "b"]):
            await spoken(here, ["a", "b"])
            server.stop(signal.SIGKILL)
            (server.directory / "postmaster.pid").unlink(missing_ok=True)
            await trio.sleep(6)
            before = {name: len(it) for name, it in here.said().items()}
            server.start()
            await here.logged("shared.back")
            await trio.sleep(3)
        await trio.sleep(2)
        local = {name: {it.seq for it in fragments} for name, fragments in here.said().items()}
        shared = Postgres(server.url)
        try:
            for name in ("a", "b"):
                assert before[name] > 3
                assert set(await there(shared, name)) >= local[name]
        finally:
            await shared.aclose()
        here.signal(signal.SIGTERM)
        assert await here.ended() == 0
        assert not here.lines("interview.owned_elsewhere")


async def test_a_start_without_the_database_serves(server: Server, tmp_path: Path) -> None:
    gone = "postgresql://postgres:canary-password@127.0.0.1:9/postgres"
    without = {"PREPPALD_SHARED_JOURNAL": gone, "PREPPALD_WITHOUT_SHARED": "begin"}
    async with host(tmp_path, {**SETTINGS, **without}, SCENARIO) as here:
        await here.start()
        await here.ready()
        assert "connection" in (await here.logged("shared.away"))["cause"]
        async with talking(here, ["a"]):
            await trio.sleep(3)
        assert len(here.said()["a"]) > 1
        assert "canary-password" not in here.log.read_text("utf-8")


async def test_tables_of_a_newer_preppald_are_a_reason_not_to_start(server: Server, tmp_path: Path) -> None:
    shared = Postgres(server.url)
    assert await shared.prepare() is None
    await shared.aclose()
    server.sql("INSERT INTO preppald.migration (number, oldest_reader) VALUES (99, 99)")
    async with host(tmp_path, {**SETTINGS, "PREPPALD_SHARED_JOURNAL": server.url}, SCENARIO) as here:
        await here.start()
        assert await here.ended() != 0
        assert "upgrade this host" in here.log.read_text("utf-8")


def test_check_tells_what_is_wrong_with_it(server: Server) -> None:
    server.sql("CREATE ROLE nobody_much LOGIN")
    found = checked(server.url.replace("postgres@", "nobody_much@"))
    assert found["shared journal's tables"] == (False, "are not there, and this role may not make them")
    away = checked("postgresql://u:canary-password@127.0.0.1:9/app")
    assert not away["shared journal"][0]
    assert "canary" not in str(away)


def checked(url: str) -> dict[str, tuple[bool, str]]:
    """Return what `preppald check --online` says of the shared journal."""
    env = {
        **os.environ,
        "JWT_SECRET": "0123456789" * 4,
        "GEMINI_API_KEY": "key-for-tests",
        "PREPPALD_BACKEND": "none",
        "PREPPALD_GEMINI_URL": "ws://127.0.0.1:9",
        "PREPPALD_SHARED_JOURNAL": url,
        "PREPPALD_PEER_LISTEN": "127.0.0.1:8788",
    }
    command = [sys.executable, "-m", "preppald", "check", "--online", "--json"]
    done = subprocess.run(command, env=env, check=False, capture_output=True, text=True)
    answers = json.loads(done.stdout)["online"]
    return {it["what"]: (it["good"], it["answer"]) for it in answers}
