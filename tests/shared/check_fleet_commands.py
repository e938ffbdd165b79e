"""The commands that show what all hosts have, on a real PostgreSQL: `interviews`, `transcript` and `outbox` with --fleet.

Needs Debian's postgresql: run by .ci/extra/35-postgres.
"""

from collections.abc import Callable, Iterator
import json
import os
from pathlib import Path
import socket
import sys

import pytest
import trio

from preppald.cli import main
from preppald.commands import hosts
from preppald.core.deliveries import OutboxEntry
from preppald.errors import EX_CONFIG, EX_IOERR, EX_TEMPFAIL, EX_UNAVAILABLE
from preppald.shared.postgres import Postgres
from preppald.shared.protocol import Joined, Presence, Written
from preppald.shared.shipment import shipment
from preppald.simulator import Scenario
from tests.durable import begun, finished, interview, said
from tests.processes.daemon import LOOK_SECONDS, PATIENCE_SECONDS
from tests.processes.host import host
from tests.shared.conformance import commit, ended
from tests.shared.server import Server, running

Shell = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Two hosts have written: one interview is live on a, of two on b one is over and owes its transcript."""
    with running() as it:
        trio.run(_filled, it.url)
        yield it


async def _filled(url: str) -> None:
    for name, parcel in (
        ("a", commit(1, interview("iv-a"), of="iv-a", fragments=said(6), owed=[OutboxEntry(begun("iv-a"))])),
        (
            "b",
            commit(
                1,
                ended(interview("iv-b")),
                interview("iv-c", user_id="someone"),
                of="iv-b",
                fragments=said(3),
                owed=[OutboxEntry(finished("iv-b", 3)).refused(400, "no such procedure")],
            ),
        ),
    ):
        shared = Postgres(url)
        joined = await shared.join(Presence(f"preppald@{name}", "", "1"))
        assert isinstance(joined, Joined)
        assert isinstance(await shared.append(joined.incarnation, shipment([parcel])), Written)
        await shared.aclose()


@pytest.fixture
def shell(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    monkeypatch.setenv("PREPPALD_SHARED_JOURNAL", server.url)
    monkeypatch.setenv("PREPPALD_STATE_DIR", str(tmp_path))

    def run(*words: str) -> tuple[int, str, str]:
        status = main(words)
        told = capsys.readouterr()
        return status, told.out, told.err

    return run


def test_the_interviews_of_all_hosts(shell: Shell) -> None:
    status, out, _ = shell("interviews", "--fleet", "--json")
    found = {it["interview"]: it for it in json.loads(out)}
    assert status == 0
    assert {name: it["instance"] for name, it in found.items()} == {
        "iv-a": "preppald@a",
        "iv-b": "preppald@b",
        "iv-c": "preppald@b",
    }
    assert found["iv-b"]["backend"] == "dead"
    assert found["iv-c"]["backend"] is None
    assert "token_digest" not in out


def test_they_are_chosen_as_this_hosts_are(shell: Shell) -> None:
    assert [line.split()[0] for line in shell("interviews", "--fleet", "--live")[1].splitlines()] == [
        "INTERVIEW",
        "iv-a",
        "iv-c",
    ]
    assert "iv-c" in shell("interviews", "--fleet", "--user", "someone")[1]
    assert shell("interviews", "--fleet", "--ending", "bug") == (
        0,
        "no such interviews in the shared journal\n",
        "",
    )


def test_a_transcript_that_another_host_has(shell: Shell) -> None:
    status, out, _ = shell("transcript", "iv-b", "--fleet", "--format", "json")
    assert status == 0
    assert [turn["content"] for turn in json.loads(out)["turns"]] == ["a word 1 a word 2 a word 3"]
    status, _, err = shell("transcript", "iv-z", "--fleet")
    assert status == EX_UNAVAILABLE
    assert "there is no interview 'iv-z' in the shared journal" in err


def test_what_all_hosts_owe(shell: Shell) -> None:
    status, out, _ = shell("outbox", "list", "--fleet", "--json", "--max-age", "9999d")
    assert status == 1  # a dead letter
    assert {it["interview"]: it["state"] for it in json.loads(out)} == {"iv-a": "pending", "iv-b": "dead"}
    assert "no such procedure" in shell("outbox", "show", "iv-b", "--fleet")[1]
    assert json.loads(shell("outbox", "export", "iv-b", "--fleet")[1])["deliveries"][0]["payload"]


def test_the_hosts(shell: Shell, server: Server) -> None:
    server.sql("UPDATE preppald.instance SET lost_at = now(), settled_at = now() WHERE name = 'preppald@b'")
    status, out, _ = shell("hosts", "--json")
    assert status == 0
    found = {it["name"]: it for it in json.loads(out)}
    assert found["preppald@a"]["state"] == "up"
    assert found["preppald@b"]["state"] == "taken over"
    lines = shell("hosts")[1].splitlines()
    assert lines[0].split() == ["INSTANCE", "STATE", "READY", "LIVE", "SEEN", "VERSION", "ADDRESS"]
    assert lines[1].startswith("preppald@a  up          no     0")
    status, _, err = shell("hosts", "drain", "b")
    assert status == EX_UNAVAILABLE
    assert "preppald@b is taken over" in err
    assert "is called 'c'" in shell("hosts", "drain", "c")[2]


def test_an_order_that_nobody_hears_is_taken_back(
    shell: Shell, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "ANSWER_SECONDS", 1.0)
    server.sql("UPDATE preppald.instance SET renewed_at = now() WHERE name = 'preppald@a'")
    status, out, _ = shell("hosts", "drain", "a")
    assert status == EX_TEMPFAIL
    assert out == "preppald@a: did not answer for 1 s: the order is taken back\n"
    assert server.sql("SELECT count(*) FROM preppald.command") == "0"


async def test_a_daemon_is_drained_from_elsewhere(server: Server, tmp_path: Path) -> None:
    """The real command, in a process of its own, and a real daemon."""
    async with host(tmp_path, {"PREPPALD_SHARED_JOURNAL": server.url}, Scenario()) as there:
        await there.start()
        await there.ready()
        await there.logged("instance.joined")
        name = socket.gethostname()
        env = {**os.environ, "PREPPALD_SHARED_JOURNAL": server.url}

        async def order(word: str) -> str:
            command = [sys.executable, "-m", "preppald", "hosts", word, name]
            done = await trio.run_process(command, env=env, capture_stdout=True)
            return done.stdout.decode()

        async def shown() -> list[str]:
            command = [sys.executable, "-m", "preppald", "hosts"]
            done = await trio.run_process(command, env=env, capture_stdout=True)
            (line,) = (it for it in done.stdout.decode().splitlines() if it.startswith(f"preppald@{name} "))
            return line.split()[1:3]

        # It takes over what the two that never renew had: how many run there depends on the time.
        assert f"preppald@{name}: drains: no interview begins there; " in await order("drain")
        assert (await there.logged("operator.acted"))["via"] == "the shared journal"
        # It says so itself, at its next look.
        with trio.fail_after(PATIENCE_SECONDS):
            while await shown() != ["up", "no"]:  # noqa: ASYNC110 - another process says so
                await trio.sleep(LOOK_SECONDS)
        assert f"preppald@{name}: takes new interviews; " in await order("undrain")


def test_what_is_missing_is_said(
    shell: Shell, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PREPPALD_SHARED_JOURNAL", "postgresql://u:canary@127.0.0.1:9/app")
    status, _, err = shell("interviews", "--fleet")
    assert status == EX_IOERR
    assert "the shared journal does not answer" in err
    assert "canary" not in err
    monkeypatch.setenv("PREPPALD_SHARED_JOURNAL", f"{server.url.rsplit('/', 1)[0]}/template1")
    assert "has no tables yet" in shell("interviews", "--fleet")[2]
    monkeypatch.setenv("PREPPALD_SHARED_JOURNAL", "mysql://u:canary@db/app")
    status, _, err = shell("interviews", "--fleet")
    assert status == EX_CONFIG
    assert "canary" not in err
    monkeypatch.delenv("PREPPALD_SHARED_JOURNAL")
    status, _, err = shell("interviews", "--fleet")
    assert status == EX_CONFIG
    assert "this host knows of no others" in err
