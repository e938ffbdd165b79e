"""Hosts are upgraded one by one while candidates talk: real daemons of two releases on a real PostgreSQL.

Needs Debian's postgresql: run by .ci/extra/35-postgres.
"""

from collections.abc import Iterable
import json
from pathlib import Path
import statistics

import pytest

from preppald.errors import EX_CONFIG
from preppald.shared import migrations
from tests.processes.host import Host
from tests.shared.rolling import (
    Release,
    begun,
    changed,
    earlier,
    exited,
    fleet,
    following,
    incompatible,
    start,
    stopped,
    these,
)
from tests.shared.server import Server
from tests.shared.talks import Door, all_posted, ended, more_said, talking, until

# Two a host, with those that begin at the first one of the next release.
TALKS = 4
# A page dials again within a second; who dials while the interview is on its way does so once more.
CUT_SECONDS = 15.0
INTERVIEWS, HOSTS = ("interviews", "--fleet", "--json"), ("hosts", "--json")
TOO_OLD = (
    f"the shared journal was last changed by a newer preppald (schema {len(migrations.STEPS) + 2}, "
    f"this one knows {len(migrations.STEPS)}): upgrade this host"
)


async def test_hosts_are_upgraded_one_by_one_and_no_talk_is_cut_twice(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One host has the next release, and goes back; then all get it. Each interview has one transcript, with every word."""
    older, newer = earlier(tmp_path / "older"), following(tmp_path / "newer")
    async with fleet(tmp_path, server, "a", "b", "c") as hosts:
        a, b, c = hosts
        await begun(older, b, c)
        door = Door([b, c])
        names, more = [f"iv-{number}" for number in range(TALKS)], ["iv-new-0", "iv-new-1"]
        async with talking(door, names) as first:
            await more_said(names, b, c)
            await begun(newer, a)
            assert server.sql("SELECT max(number) FROM preppald.migration") == str(len(migrations.STEPS) + 1)
            door.hosts = [a]
            async with talking(door, more) as new:
                names += more
                tabs = first | new
                await more_said(names, *hosts)
                assert not door.closes, "tables that get more disturb nobody"
                door.hosts = hosts
                await _both_read(server, older, newer, names)
                # The way down: what the next release has is taken over by the older one.
                await _changed(door, a, older, names)
                assert claimed(b, c) == set(more)
                for it in (b, c, a):
                    await more_said(names, *hosts)
                    await _changed(door, it, newer, names)
                await more_said(names, *hosts)
                await ended(door, names)
                await until("all have left", lambda: all(tab.finished for tab in tabs.values()))
        await all_posted(server, a, tabs)
        assert server.sql("SELECT count(*) FROM preppald.interview WHERE phase = 'live'") == "0"
        # One that takes longer to start than its lease lasts is another one afterwards.
        up = "SELECT version, build, count(*) FROM preppald.instance WHERE lost_at IS NULL GROUP BY 1, 2"
        assert server.sql(up) == "0.2.0|0.2.0|3"
    cuts = _cuts(door, names)
    with capsys.disabled():
        print(  # noqa: T201 - for who reads the figures
            f"\n{older.version} -> {newer.version}: {len(cuts)} cuts of {len(names)} talks, "
            f"p50 {statistics.median(cuts):.2f} s, longest {max(cuts):.2f} s, {door.refused} refusals"
        )
    assert max(cuts) <= CUT_SECONDS


async def test_a_release_that_is_too_old_refuses_to_start_and_one_that_runs_goes_on(
    server: Server, tmp_path: Path
) -> None:
    """After a change of the tables that none of before may use: for the once that it cannot be avoided."""
    older, newer = these(tmp_path / "older", "0.0.1"), incompatible(tmp_path / "newer")
    async with fleet(tmp_path, server, "a", "b") as (a, b):
        await begun(older, a, b)
        door = Door([a])
        async with talking(door, ["iv"]):
            await more_said(["iv"], a)
            await changed(b, newer)
            server.sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'preppald'"
            )
            await until("it is told", lambda: any(TOO_OLD in it["cause"] for it in a.lines("shared.away")))
            await more_said(["iv"], a)
            assert not door.closes
            assert await stopped(b) == 0
            await start(b, older)
            assert await exited(b) == EX_CONFIG
            assert TOO_OLD in b.log.read_text("utf-8")
            assert a.process is not None
            assert a.process.poll() is None


async def _changed(door: Door, it: Host, release: Release, names: list[str]) -> None:
    """Change a host's release: it cuts each of its talks once, and no other but those that it carries for their owners."""
    before = {name: len(door.closes.get(name, ())) for name in names}
    log = it.log
    await changed(it, release)
    given_up = [json.loads(line) for line in log.read_bytes().splitlines() if b'"interview.given_up"' in line]
    assert all(line["released"] for line in given_up)
    hit = {line["interview"] for line in given_up}
    await until("all are seated", lambda: all(_seated(door, name) for name in names))
    for name in names:
        got = [code for _, code in door.closes.get(name, ())][before[name] :]
        assert got == [1012] if name in hit else got in ([], [1006]), (name, got)


def _seated(door: Door, name: str) -> bool:
    return not (closes := door.closes.get(name)) or door.seats[name][-1] > closes[-1][0]


def _cuts(door: Door, names: list[str]) -> list[float]:
    """Return the seconds from each close to the next seat."""
    return [
        min(at for at in door.seats[name] if at > closed) - closed
        for name in names
        for closed, code in door.closes[name]
        if code in {1006, 1012}
    ]


def claimed(*hosts: Host) -> set[str]:
    """Return the interviews that these hosts took over since they were started."""
    return {str(line["interview"]) for it in hosts for line in it.lines("interview.claimed")}


async def _both_read(server: Server, older: Release, newer: Release, names: Iterable[str]) -> None:
    """The commands of both releases show the same hosts, interviews and words."""
    asked = {
        it.version: [await it.told(server.url, *words) for words in (INTERVIEWS, HOSTS)]
        for it in (older, newer)
    }
    for interviews, hosts in asked.values():
        assert {it["interview"] for it in interviews} == set(names)
        assert {it["phase"] for it in interviews} == {"live"}
        assert {it["version"] for it in hosts if it["state"] == "up"} == {older.version, newer.version}
