"""Words that came too late for their transcript, on a real PostgreSQL: they leave it as the transcript's own do.

Needs Debian's postgresql: run by .ci/extra/35-postgres.
"""

from pathlib import Path
import time

import pytest
import trio

from preppald.cli import main
from preppald.core.deliveries import OutboxEntry
from preppald.errors import EX_UNAVAILABLE
from preppald.shared.postgres import Postgres
from preppald.shared.protocol import Late, Written
from preppald.shared.shipment import shipment
from tests.durable import EPOCH_MS, finished, interview, said
from tests.shared.conformance import commit, ended, joined
from tests.shared.server import Server

HOUR_MS = 3600 * 1000
# An interview's words, and that it is over and has been delivered.
OVER = [
    commit(1, interview(), fragments=said(3)),
    commit(2, ended(interview()), owed=[OutboxEntry(finished()).acknowledged(EPOCH_MS)]),
]


def late(server: Server) -> str:
    return server.sql("SELECT string_agg(interview_id, ' ' ORDER BY interview_id) FROM preppald.late")


async def test_they_go_with_their_interview(server: Server) -> None:
    shared = Postgres(server.url)
    me = await joined(shared)
    assert await shared.append(me, shipment([*OVER, commit(3, interview("goes-on"))])) == Written()
    found = [Late(name, 0, me, 4, "[]") for name in ("iv", "goes-on")]
    assert await shared.late(me, found) == Written()
    assert await shared.sweep(me, EPOCH_MS, EPOCH_MS) == 0
    assert late(server) == "goes-on iv"
    assert await shared.sweep(me, EPOCH_MS + 1, EPOCH_MS + 1) == 1
    assert late(server) == "goes-on"
    await shared.aclose()


async def test_they_go_by_their_own_age_where_their_interview_is_gone(server: Server) -> None:
    """A host slept until others had delivered its interview, and its words there had left."""
    shared = Postgres(server.url)
    me = await joined(shared)
    assert await shared.append(me, shipment(OVER)) == Written()
    assert await shared.sweep(me, EPOCH_MS + 1, EPOCH_MS + 1) == 1
    assert await shared.late(me, [Late("iv", 0, me, 4, "[]")]) == Written()
    now_ms = time.time_ns() // 10**6
    assert await shared.sweep(me, now_ms - HOUR_MS, now_ms - HOUR_MS) == 0
    assert late(server) == "iv"
    server.sql("UPDATE preppald.late SET at = at - interval '2 hours'")
    assert await shared.sweep(4711, now_ms - HOUR_MS, now_ms - HOUR_MS) != 0
    assert late(server) == "iv", "an instance that is lost removes nothing"
    assert await shared.sweep(me, now_ms - HOUR_MS, now_ms - HOUR_MS) == 0
    assert late(server) == ""
    await shared.aclose()


async def test_they_are_forgotten_where_nothing_else_is_left(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = Postgres(server.url)
    me = await joined(shared)
    assert await shared.late(me, [Late(name, 0, me, 4, "[]") for name in ("iv", "stays")]) == Written()
    await shared.aclose()
    monkeypatch.setenv("PREPPALD_SHARED_JOURNAL", server.url)
    monkeypatch.setenv("PREPPALD_STATE_DIR", str(tmp_path))
    asked = ["forget", "--interview", "iv"]
    assert await trio_main(asked) == 0
    assert "1 pieces of transcript" in capsys.readouterr().out
    assert late(server) == "stays"
    assert await trio_main(asked) == EX_UNAVAILABLE


async def trio_main(arguments: list[str]) -> int:
    """Run a command, which runs Trio, in a thread of its own."""
    return await trio.to_thread.run_sync(main, arguments)
