"""An instance joins those that share a journal: its own file knows as whom, before anything is there in its name."""

from pathlib import Path
from typing import Any

import pytest
import trio

from preppald.errors import JournalError
from preppald.journal import Journal, spool
from preppald.shared.model import Model
from preppald.shared.protocol import LEASE_SECONDS
from preppald.shared.shipper import RETRY_SECONDS
from tests.durable import interview, said
from tests.shared.test_shipper import SOON, host, place


@pytest.fixture
def model() -> Model:
    return Model(trio.current_time)


def fail_to_note(monkeypatch: pytest.MonkeyPatch, times: int) -> list[int]:
    """Have the disk not answer so often when it is to be noted as whom the instance joined; return those it was."""
    ask, noted = Journal.ask, list[int]()

    async def asked(journal: Journal, query: Any) -> object:
        if getattr(query, "func", None) is spool.joined:
            noted.append(query.keywords["incarnation"])
            if len(noted) <= times:
                raise JournalError("the disk has not answered for 10 seconds")
        return await ask(journal, query)

    monkeypatch.setattr(Journal, "ask", asked)
    return noted


async def test_a_disk_that_failed_as_it_joined_knows_as_whom_after_all(
    autojump_clock: object, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise its next start is a stranger's, which must let go of all that it has itself."""
    noted = fail_to_note(monkeypatch, times=3)
    async with host(place(tmp_path), model) as it:
        await trio.sleep(5 * RETRY_SECONDS)
        it.journal.begin(interview())
        it.journal.add_fragments("iv", 1, said(5))
        await trio.sleep(SOON)
        assert (await it.journal.ask(spool.life)).incarnation == it.incarnation
        it.client.reachable = False
        it.journal.add_fragments("iv", 1, said(3, first=6))
        await trio.sleep(SOON)
    async with host(place(tmp_path), model) as it:
        await trio.sleep(3 * RETRY_SECONDS)
        assert [it.interview_id for it in it.journal.live()] == ["iv"]
        assert await it.there() == [*range(1, 9)]
    # Nor does each try leave an instance that others must declare lost.
    assert set(noted) == set(model.tables.instances) == {it.incarnation}


async def test_one_whose_disk_fails_for_longer_than_a_lease_joins_nevertheless(
    autojump_clock: object, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others have declared it lost by then."""
    async with host(place(tmp_path, "another"), model) as other:
        fail_to_note(monkeypatch, times=30)
        async with host(place(tmp_path), model) as it:
            await trio.sleep(2 * LEASE_SECONDS + RETRY_SECONDS)
            (lost,) = set(model.tables.instances) - {other.incarnation}
            assert await other.client.declare_lost(other.incarnation, lost) is True
            it.journal.begin(interview())
            await trio.sleep(2 * LEASE_SECONDS)
            assert (await it.journal.ask(spool.life)).incarnation == it.incarnation != lost
            assert model.tables.interviews["iv", 0].owner == it.incarnation
