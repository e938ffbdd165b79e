"""A database that goes away between two statements: whatever was acknowledged by then, everything comes in the end."""

from itertools import product
from pathlib import Path

import pytest
import trio

from preppald.journal.spool import last
from preppald.shared import shipment, shipper
from preppald.shared.model import AWAY, Model
from preppald.shared.protocol import Shipment
from preppald.shared.shipper import RETRY_SECONDS
from preppald.shared.tending import KEEP_SECONDS, SETTLE_SECONDS
from tests.durable import EPOCH_MS, finished, interview, said
from tests.shared.test_shipper import SOON, Host, host, live_rows, place

# Of what waits: so many commits, each with words of other interviews.
COMMITS = 12


@pytest.fixture
def model() -> Model:
    return Model(trio.current_time)


def cut(it: Host, number: int) -> list[Shipment]:
    """Have the database away at a statement, counted from now on; return those that were asked."""
    append, asked = it.client.append, list[Shipment]()

    async def appended(me: int, piece: Shipment, /) -> object:
        asked.append(piece)
        return AWAY if len(asked) == number else await append(me, piece)

    it.client.append = appended  # type: ignore[assignment,method-assign]
    return asked


@pytest.mark.parametrize("case", list(product(["they are large", "one row is unfit"], range(1, 10))))
async def test_rows_that_were_behind_words_come_nevertheless(
    autojump_clock: object,
    model: Model,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    case: tuple[str, int],
) -> None:
    """An interview ended while the database was away: others must not find it live, and its transcript is posted."""
    why, number = case
    monkeypatch.setattr(shipper, "MAX_MEMORY_BYTES", 2_000)
    if why == "they are large":
        monkeypatch.setattr(shipment, "MOST_BYTES", 2_000)
    async with host(place(tmp_path), model) as it:
        it.journal.begin(interview("over"))
        it.journal.begin(interview("iv"))
        it.journal.add_fragments("over", 1, said(5))
        await trio.sleep(SOON)
        assert live_rows(model) == ["iv", "over"]
        it.client.reachable = False
        await trio.sleep(SOON)
        it.journal.end(
            "over", 1, ending="COMPLETED", cause=None, ended_ms=EPOCH_MS, deliveries=[finished("over")]
        )
        await trio.sleep(SOON)
        for seq in range(1, COMMITS + 1):
            it.journal.add_fragments("iv", 1, said(1, first=seq, text="w" * 500))
            if seq == 1 and why == "one row is unfit":
                it.journal.begin(interview("spoilt", user_id="\0"))
            await trio.sleep(SOON)
        cut(it, number)
        it.client.reachable = True
        await trio.sleep(10 * RETRY_SECONDS)
        assert it.shipper.behind_bytes == it.shipper.behind_seconds == 0
        assert live_rows(model) == ["iv"]
        assert finished("over").key in model.tables.owed
        assert await it.there() == [*range(1, COMMITS + 1)]
        assert it.shipper.gate.posts(finished("over").key)


async def test_an_unfit_row_among_many_commits_is_found_soon(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    """Not by a statement for each row that waits."""
    async with host(place(tmp_path), model) as it:
        it.journal.begin(interview("iv"))
        await trio.sleep(SOON)
        it.client.reachable = False
        for seq in range(1, 61):
            it.journal.add_fragments("iv", 1, said(1, first=seq))
            if seq == 30:
                it.journal.begin(interview("spoilt", user_id="\0"))
            await trio.sleep(SOON)
        asked = cut(it, 0)
        it.client.reachable = True
        await trio.sleep(3 * RETRY_SECONDS)
        assert await it.there() == [*range(1, 61)]
        assert it.notes.keys("shared.unfit")["what"] == "the row of interview spoilt"
        assert len(asked) < 20


async def test_an_outage_while_nothing_is_said_leaves_nothing_to_wait_for(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    """All commits are settled, and on disk no more: an interview that is given up then has them there."""
    async with host(place(tmp_path), model) as it:
        it.journal.begin(interview("iv"))
        it.journal.add_fragments("iv", 1, said(3))
        await trio.sleep(KEEP_SECONDS + 3 * SETTLE_SECONDS)
        assert await it.journal.ask(last) == model.tables.instances[it.incarnation].settled_to
        it.client.reachable = False
        await trio.sleep(3 * RETRY_SECONDS)
        it.client.reachable = True
        await trio.sleep(10 * RETRY_SECONDS)
        assert await it.shipper.bring_up(it.journal)
