"""Each commit is in the shared journal, too: beside SQLite's own, whatever becomes of either, and in nobody's way."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
import sqlite3
from typing import Any, TypeVar

import pytest
import trio

from preppald.core.interview import Phase
from preppald.daemon import sharing
from preppald.errors import NewerSchemaError
from preppald.journal import Journal, OnDisk, adoption, rows, spool
from preppald.journal.parcel import Parcel
from preppald.journal.place import Place
from preppald.journal.writer import COMMIT_SECONDS
from preppald.shared import shipper as shipping, tending
from preppald.shared.membership import Membership
from preppald.shared.model import Client, Model
from preppald.shared.protocol import LEASE_SECONDS, PULSE_SECONDS, Presence, Said
from preppald.shared.shipper import RETRY_SECONDS, Shipper
from preppald.shared.tending import KEEP_SECONDS, SETTLE_SECONDS
from preppald.shared.tenure import Tenure
from tests.durable import DAY_MS, EPOCH_MS, Notes, begun, finished, inline, interview, said, wall_ms
from tests.shared.conformance import numbers

T = TypeVar("T")
# One commit, and the steps after it.
SOON = COMMIT_SECONDS * 2


@dataclass
class Host:
    """A journal with its shipper, and a client of the shared model."""

    journal: Journal
    shipper: Shipper
    client: Client
    notes: Notes

    @property
    def incarnation(self) -> int:
        return self.shipper.membership.incarnation

    async def there(self, name: str = "iv", epoch: int = 1) -> list[int]:
        """Return the numbers of an interview's fragments in the shared journal."""
        return numbers(await self.client.said((name, 0), epoch), name)


@asynccontextmanager
async def host(
    place: Place, model: Model, *, client: Client | None = None, retention_ms: int | None = 7 * DAY_MS
) -> AsyncIterator[Host]:
    notes = Notes()
    client = client or model.client()
    shipper = Shipper(
        client,
        Presence("here", "", "1"),
        log=notes,
        now_ms=wall_ms,
        retention_ms=retention_ms,
        in_thread=inline,
    )
    journal = Journal(
        place, log=notes, now_ms=wall_ms, in_thread=inline, follower=shipper, retention_ms=retention_ms
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(journal.run)
        await nursery.start(shipper.run, journal, lambda: len(journal.live()))
        yield Host(journal, shipper, client, notes)
        nursery.cancel_scope.cancel()


@pytest.fixture
def model() -> Model:
    return Model(trio.current_time)


def place(folder: Path, instance: str = "preppald") -> OnDisk:
    return OnDisk(folder, instance, reserve_bytes=0)


def on_disk(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


def held(it: Host) -> Tenure:
    return it.shipper.membership.tenure


def live_rows(model: Model) -> list[str]:
    return sorted(
        name
        for (name, _), kept in model.tables.interviews.items()
        if rows.interview(kept.row).phase is Phase.LIVE
    )


async def test_a_commit_is_there_when_it_is_durable(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    async with host(place(tmp_path), model) as it:
        it.journal.begin(interview())
        it.journal.add_fragments("iv", 1, said(3))
        it.journal.add_delivery(begun())
        await trio.sleep(SOON)
        assert await it.there() == [1, 2, 3]
        assert live_rows(model) == ["iv"]
        assert set(model.tables.owed) == {begun().key}
        assert it.shipper.behind_seconds == it.shipper.behind_bytes == 0
        assert it.shipper.membership.up
        shown = {name: value for name, _, value in sharing.gauges(it.shipper)}
        assert shown["shared_up"] == shown["shared_holds"] == 1
        assert shown["shared_behind_seconds"] == shown["shared_fenced"] == 0
        assert list(sharing.gauges(None)) == []
        assert held(it) is Tenure.HOLDS


async def test_it_does_not_wait_for_the_disk(autojump_clock: object, model: Model, tmp_path: Path) -> None:
    """A disk that takes two seconds over a commit: the words are in the shared journal long before."""
    gate = trio.Event()

    async def slow(function: Callable[[], T], /) -> T:
        if isinstance(function, partial) and any(isinstance(it, Parcel) for it in function.args):
            await gate.wait()
        await trio.lowlevel.checkpoint()
        return function()

    notes, client = Notes(), model.client()
    presence = Presence("here", "", "1")
    shipper = Shipper(client, presence, log=notes, now_ms=wall_ms, retention_ms=None, in_thread=inline)
    journal = Journal(place(tmp_path), log=notes, now_ms=wall_ms, in_thread=slow, follower=shipper)
    async with trio.open_nursery() as nursery:
        await nursery.start(journal.run)
        await nursery.start(shipper.run, journal, lambda: 0)
        await trio.sleep(SOON)
        journal.begin(interview())
        journal.add_fragments("iv", 1, said(3))
        await trio.sleep(SOON)
        assert not journal.durable
        assert numbers(await client.said(("iv", 0), 1)) == [1, 2, 3]
        gate.set()
        nursery.cancel_scope.cancel()


async def test_an_outage_ends_nothing_and_is_caught_up(
    autojump_clock: object, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Minutes: more than memory is for. Every word comes, once, and the log tells of it twice."""
    monkeypatch.setattr(shipping, "MAX_MEMORY_BYTES", 20_000)
    async with host(place(tmp_path), model) as it:
        it.journal.begin(interview())
        await trio.sleep(SOON)
        it.client.reachable = False
        for number in range(1, 241):
            it.journal.add_fragments("iv", 1, said(1, first=number))
            await trio.sleep(1)
        assert it.journal.fault is None
        assert held(it) is Tenure.CUT_OFF
        assert it.shipper.behind_bytes > 20_000
        assert it.shipper.behind_seconds > 200
        it.client.reachable = True
        await trio.sleep(RETRY_SECONDS + 10)
        assert await it.there() == [*range(1, 241)]
        assert held(it) is Tenure.HOLDS
        assert it.shipper.behind_bytes == it.shipper.behind_seconds == 0
    assert [event for event in it.notes.events() if event.startswith("shared.")] == [
        "shared.whole",
        "shared.away",
        "shared.back",
    ]


async def test_nothing_is_missing_while_answers_are_lost(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    """A third of all statements are done and not answered: each goes again, and changes nothing."""
    async with host(place(tmp_path), model) as it:
        it.journal.begin(interview())
        for number in range(1, 200):
            it.client.lost_answers = 1 if number % 3 == 0 else it.client.lost_answers
            it.journal.add_fragments("iv", 1, said(1, first=number))
            await trio.sleep(0.1)
        await trio.sleep(RETRY_SECONDS * 4)
        assert await it.there() == [*range(1, 200)]


async def test_a_process_that_is_started_again_is_the_same_owner(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    client = model.client()
    async with host(place(tmp_path), model, client=client) as it:
        first = it.incarnation
        it.journal.begin(interview())
        it.journal.add_fragments("iv", 1, said(3))
        await trio.sleep(SOON)
        client.reachable = False
        it.journal.add_fragments("iv", 1, said(3, first=4))
        await trio.sleep(SOON)
    async with host(place(tmp_path), model) as it:
        await trio.sleep(RETRY_SECONDS * 3)
        assert it.incarnation == first
        assert await it.there() == [1, 2, 3, 4, 5, 6]
        it.journal.add_fragments("iv", 1, said(1, first=7))
        await trio.sleep(SOON)
        assert await it.there() == [1, 2, 3, 4, 5, 6, 7]


async def test_a_number_is_never_given_twice(autojump_clock: object, model: Model, tmp_path: Path) -> None:
    """Also where the spool was emptied, and where a commit reached the shared journal and not the disk."""
    seen: set[int] = set()
    for _ in range(3):
        async with host(place(tmp_path), model) as it:
            it.journal.begin(interview())
            it.journal.add_fragments("iv", 1, said(2))
            await trio.sleep(SOON)
            given = {number for _, number, _ in model.tables.recent}
            assert given - seen
            seen |= given
            await it.journal.ask(spool.clear)


async def test_a_journal_that_was_begun_alone_is_sent_whole(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    """The setting is new: live interviews and deliveries that are owed are older than it."""
    notes = Notes()
    journal = Journal(place(tmp_path), log=notes, now_ms=wall_ms, in_thread=inline)
    async with trio.open_nursery() as nursery:
        await nursery.start(journal.run)
        for name in ("a", "b", "over"):
            journal.begin(interview(name))
            journal.add_fragments(name, 1, said(40))
        await trio.sleep(30)
        journal.add_fragments("a", 1, said(5, first=41))
        journal.end(
            "over", 1, ending="COMPLETED", cause=None, ended_ms=EPOCH_MS, deliveries=[finished("over")]
        )
        await trio.sleep(SOON)
        nursery.cancel_scope.cancel()
    async with host(place(tmp_path), model) as it:
        await trio.sleep(SOON)
        assert live_rows(model) == ["a", "b"]
        assert await it.there("a") == [*range(1, 46)]
        assert await it.there("over") == [*range(1, 41)]
        assert set(model.tables.owed) == {finished("over").key}


async def test_what_was_acknowledged_goes_again_where_a_failover_lost_it(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    """A standby that was two minutes behind is promoted."""
    async with host(place(tmp_path), model) as it:
        it.journal.begin(interview())
        behind = model.tables
        for number in range(1, 100):
            if number == 5:
                behind = model.copy()
            it.journal.add_fragments("iv", 1, said(1, first=number))
            await trio.sleep(1)
        assert await it.there() == [*range(1, 100)]
        model.tables = behind
        it.client.reachable = False
        it.journal.add_fragments("iv", 1, said(1, first=100))
        await trio.sleep(SOON)
        it.client.reachable = True
        await trio.sleep(RETRY_SECONDS * 3)
        assert await it.there() == [*range(1, 101)]
        assert it.notes.events("error") == []


async def test_a_failover_that_lost_more_than_is_kept_is_answered_with_everything(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    async with host(place(tmp_path), model) as it:
        it.journal.begin(interview())
        behind = model.tables
        for number in range(1, 100):
            if number == 20:
                behind = model.copy()
            it.journal.add_fragments("iv", 1, said(1, first=number))
            await trio.sleep(KEEP_SECONDS / 20)
        model.tables = behind
        it.client.reachable = False
        it.journal.add_fragments("iv", 1, said(1, first=100))
        await trio.sleep(SOON)
        it.client.reachable = True
        await trio.sleep(RETRY_SECONDS * 5)
        assert await it.there() == [*range(1, 101)]
        assert "shared.forgot" in it.notes.events("error")


async def test_an_end_that_a_failover_lost_goes_again(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    """It owes nothing here by then, and is live in the standby, which lacks a settle, too: others would begin it again."""
    async with host(place(tmp_path), model) as it:
        it.journal.begin(interview())
        it.journal.add_fragments("iv", 1, said(3))
        await trio.sleep(KEEP_SECONDS)
        it.journal.add_fragments("iv", 1, said(1, first=4))
        await trio.sleep(SOON)
        behind = model.copy()
        await trio.sleep(2 * SETTLE_SECONDS)
        assert model.tables.instances[it.incarnation].settled_to > 0
        assert behind.instances[it.incarnation].settled_to == 0
        it.journal.end("iv", 1, ending="user_ended", cause="", ended_ms=EPOCH_MS, deliveries=())
        await trio.sleep(SOON)
        assert not model.tables.interviews["iv", 0].live
        model.tables = behind
        it.client.reachable = False
        await trio.sleep(1.5 * PULSE_SECONDS)
        it.client.reachable = True
        await trio.sleep(2 * PULSE_SECONDS)
        assert it.notes.events("error") == ["shared.forgot"]
        assert not model.tables.interviews["iv", 0].live
        assert await it.there() == [1, 2, 3, 4]


async def test_a_failover_while_nothing_is_said_is_seen_by_the_pulse(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    """The standby lacks a settle whose parcels are kept no more: their rows must not go with the next one."""
    async with host(place(tmp_path), model) as it:
        it.journal.begin(interview())
        it.journal.add_fragments("iv", 1, said(3))
        await trio.sleep(1.5 * SETTLE_SECONDS)
        it.journal.add_fragments("iv", 1, said(1, first=4))
        await trio.sleep(KEEP_SECONDS - SETTLE_SECONDS)
        behind = model.copy()
        await trio.sleep(SETTLE_SECONDS)
        assert model.tables.instances[it.incarnation].settled_to > 0
        assert behind.instances[it.incarnation].settled_to == 0
        model.tables = behind
        it.client.reachable = False
        await trio.sleep(1.5 * PULSE_SECONDS)
        it.client.reachable = True
        await trio.sleep(SETTLE_SECONDS)
        assert await it.there() == [1, 2, 3, 4]
        assert it.notes.events("error") == ["shared.forgot"]


@pytest.mark.parametrize("seconds", [1.5 * PULSE_SECONDS, 2 * LEASE_SECONDS])
async def test_an_outage_while_nothing_is_said_is_over_without_a_commit(
    autojump_clock: object, model: Model, tmp_path: Path, seconds: float
) -> None:
    """What is owed is posted then: nobody may say anything more on this host."""
    async with host(place(tmp_path), model) as it:
        it.journal.begin(interview())
        it.journal.add_delivery(begun())
        await trio.sleep(SOON)
        it.client.reachable = False
        await trio.sleep(seconds)
        assert not it.shipper.gate.posts(begun().key)
        it.client.reachable = True
        await trio.sleep(PULSE_SECONDS + RETRY_SECONDS + SOON)
        assert it.shipper.membership.up
        assert it.shipper.gate.posts(begun().key)
        assert "shared.back" in it.notes.events("warning")


async def test_nothing_leaves_the_disk_before_everything_is_there_again(
    autojump_clock: object, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with host(place(tmp_path), model) as it:
        it.journal.begin(interview())
        it.journal.add_fragments("iv", 1, said(3))
        await trio.sleep(SOON)

        async def not_yet(_journal: Journal) -> bool:
            await trio.lowlevel.checkpoint()
            return False

        monkeypatch.setattr(it.shipper, "_send_whole", not_yet)
        it.shipper.changed()
        await trio.sleep(2 * KEEP_SECONDS)
        assert await it.journal.ask(partial(spool.weight, number=0)) > 0
        monkeypatch.undo()
        await trio.sleep(2 * SETTLE_SECONDS)
        assert await it.journal.ask(partial(spool.weight, number=0)) == 0
        assert await it.there() == [1, 2, 3]


async def test_an_instance_that_a_settle_finds_lost_joins_without_a_commit(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    async with host(place(tmp_path), model) as it:
        it.journal.begin(interview())
        it.journal.add_fragments("iv", 1, said(3))
        await trio.sleep(SOON)
        first = it.incarnation
        model.tables.instances[first].lost = True
        assert not await it.shipper.bring_up(it.journal)
        assert it.notes.events("error") == ["instance.fenced"]
        await trio.sleep(PULSE_SECONDS + SOON)
        assert it.incarnation not in {0, first}


async def test_minutes_later_rows_of_commits_become_passages(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    """There and here: neither grows with the length of a talk."""
    async with host(place(tmp_path), model) as it:
        it.journal.begin(interview())
        for number in range(1, 601):
            it.journal.add_fragments("iv", 1, said(1, first=number))
            await trio.sleep(1)
        oldest = min(number for _, number, _ in model.tables.recent)
        kept = await it.journal.ask(lambda connection: spool.after(connection, 0, 1 << 62, 10_000))
        assert len(kept) <= KEEP_SECONDS + 2 * SETTLE_SECONDS + 5
        assert kept[0].number == oldest
        assert len(model.tables.passages) > 3
        assert await it.there() == [*range(1, 601)]


async def test_a_lost_instance_joins_anew_and_sends_everything(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    """Its interviews are another's now: the log tells which."""
    async with host(place(tmp_path), model) as it:
        first = it.incarnation
        it.journal.begin(interview())
        await trio.sleep(SOON)
        model.tables.instances[first].lost = True
        await trio.sleep(PULSE_SECONDS + SOON)
        assert it.incarnation not in {0, first}
        assert held(it) is Tenure.HOLDS
        assert it.shipper.membership.fenced == 1
        assert it.notes.keys("instance.fenced") == {"incarnation": first}
        assert it.notes.keys("interview.owned_elsewhere") == {"interview": "iv", "block": 0, "late": 0}
        assert it.journal.live() == []
        it.journal.begin(interview("new"))
        await trio.sleep(SOON)
        assert model.tables.interviews["new", 0].owner == it.incarnation
        assert model.tables.interviews["iv", 0].owner == first


async def test_two_hosts_that_begin_one_interview_are_told(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    async with host(place(tmp_path / "a"), model) as a, host(place(tmp_path / "b"), model) as b:
        a.journal.begin(interview())
        await trio.sleep(SOON)
        b.journal.begin(interview())
        b.journal.keep_handle("iv", 1, None)
        await trio.sleep(2 * SOON)
        assert "interview.owned_elsewhere" not in a.notes.events()
        assert b.notes.events("error") == ["interview.owned_elsewhere"]


async def test_a_copy_of_a_state_file_is_another_instance(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    """A backup was restored while the original goes on, or had gone on: the numbers that it gives were given."""
    async with host(place(tmp_path / "a"), model) as it:
        it.journal.begin(interview())
        await trio.sleep(SOON)
        first = it.incarnation
    copy = (tmp_path / "a" / "preppald.db").read_bytes()
    async with host(place(tmp_path / "a"), model) as it:
        it.journal.add_fragments("iv", 1, said(3))
        await trio.sleep(SOON)
        assert it.incarnation == first
    (tmp_path / "a" / "preppald.db").write_bytes(copy)
    async with host(place(tmp_path / "a"), model) as it:
        it.journal.add_fragments("iv", 1, said(3, text="other "))
        await trio.sleep(SOON)
        assert it.incarnation not in {0, first}
        assert "instance.copied" in it.notes.events("warning")


async def test_what_another_instance_of_the_host_left_is_taken_over_there_too(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    async with host(place(tmp_path, "a"), model) as a:
        a.journal.begin(interview())
        a.journal.add_fragments("iv", 1, said(3))
        await trio.sleep(SOON)
    async with host(place(tmp_path, "b"), model) as b:
        await b.journal.adopt(await b.journal.owing())
        b.journal.add_fragments("iv", 1, said(3, first=4))
        await trio.sleep(SOON * 2)
        assert model.tables.interviews["iv", 0].owner == b.incarnation
        assert await b.there() == [1, 2, 3, 4, 5, 6]
        assert b.notes.events("error") == []


async def test_what_came_from_another_instance_is_sent_also_after_a_kill_behind_it(
    autojump_clock: object, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with host(place(tmp_path, "a"), model) as a:
        a.journal.begin(interview())
        a.journal.add_fragments("iv", 1, said(3))
        await trio.sleep(SOON)
        first = a.incarnation
    step = adoption.step

    def killed_behind(*arguments: Any, **keys: Any) -> int:
        step(*arguments, **keys)
        raise sqlite3.OperationalError("the process is dead")

    with monkeypatch.context() as patch:
        patch.setattr(adoption, "step", killed_behind)
        async with host(place(tmp_path, "b"), model) as b:
            await trio.sleep(SOON)
            await b.journal.adopt(await b.journal.owing())
    async with host(place(tmp_path, "b"), model) as b:
        await trio.sleep(SOON)
        assert model.tables.interviews["iv", 0].owner == b.incarnation != first


async def test_a_look_for_what_others_left_that_finds_nothing_sends_nothing_again(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    async with host(place(tmp_path, "a"), model), host(place(tmp_path, "b"), model) as b:
        b.journal.begin(interview())
        await trio.sleep(SOON)
        whole = b.notes.events("info").count("shared.whole")
        await b.journal.adopt(await b.journal.owing())
        await trio.sleep(SOON)
        assert b.notes.events("info").count("shared.whole") == whole == 1


async def test_a_row_that_the_database_never_takes_stops_no_other(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    async with host(place(tmp_path), model) as it:
        it.journal.begin(interview("bad", user_id="a\x00b"))
        it.journal.begin(interview())
        it.journal.add_fragments("iv", 1, said(3))
        await trio.sleep(SOON)
        assert await it.there() == [1, 2, 3]
        assert live_rows(model) == ["iv"]
        assert it.notes.keys("shared.unfit")["what"] == "the row of interview bad"


async def test_a_spool_that_is_too_large_is_given_up_and_made_good(
    autojump_clock: object, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "MAX_BYTES", 1000)
    async with host(place(tmp_path), model) as it:
        it.journal.begin(interview())
        await trio.sleep(SOON)
        it.client.reachable = False
        it.journal.add_fragments("iv", 1, said(100))
        await trio.sleep(SETTLE_SECONDS * 2)
        assert "shared.spool_full" in it.notes.events("error")
        it.client.reachable = True
        await trio.sleep(RETRY_SECONDS * 3)
        assert await it.there() == [*range(1, 101)]


async def test_what_is_over_and_acknowledged_leaves_the_shared_journal(
    autojump_clock: object, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Words after a day, rows after a week; here after two minutes and twenty, to spare the test a week's pulses."""
    monkeypatch.setattr(tending, "RETENTION_MS", 120_000)
    monkeypatch.setattr(tending, "ROWS_MS", 1_200_000)
    monkeypatch.setattr(tending, "SWEEP_SECONDS", 60.0)
    async with host(place(tmp_path), model) as it:
        it.journal.begin(interview())
        it.journal.add_fragments("iv", 1, said(3))
        done = finished("iv")
        it.journal.end("iv", 1, ending="COMPLETED", cause=None, ended_ms=wall_ms(), deliveries=[done])
        await trio.sleep(SOON)
        await trio.sleep(400)
        assert ("iv", 0) in model.tables.interviews, "it still owes its transcript"
        (owed,) = (await it.journal.queue(1)).due
        it.journal.keep_owed(owed.acknowledged(wall_ms()))
        await trio.sleep(400)
        assert await it.client.said(("iv", 0), 1) == Said()
        assert ("iv", 0) in model.tables.interviews, "nobody may begin it again"
        await trio.sleep(600)
        assert not model.tables.interviews


async def test_words_that_are_forgotten_are_in_no_parcel(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    """Neither here nor, as rows of commits, there; those who talk meanwhile lose nothing."""
    async with host(place(tmp_path), model) as it:
        it.journal.begin(interview())
        it.journal.begin(interview("other"))
        it.journal.add_fragments("iv", 1, said(3, text="canary "))
        it.journal.add_fragments("other", 1, said(3))
        it.journal.end("iv", 1, ending="COMPLETED", cause=None, ended_ms=wall_ms(), deliveries=[])
        await trio.sleep(SOON)
        assert any("canary" in row[1] for row in model.tables.recent.values())
        await it.journal.forget({"iv"}, also_undelivered=False)
        it.journal.add_fragments("other", 1, said(3, first=4))
        await trio.sleep(SOON * 3)
        assert not any("canary" in row[1] for row in model.tables.recent.values())
        assert await it.there("other") == [1, 2, 3, 4, 5, 6]
        assert b"canary" not in on_disk(tmp_path)


async def test_words_of_what_is_over_stay_where_everything_unfinished_goes_again(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    """What is over and owes nothing is no part of that, and its last minutes were in rows of commits until then."""
    async with host(place(tmp_path), model) as it:
        it.journal.begin(interview())
        it.journal.add_fragments("iv", 1, said(3))
        it.journal.end("iv", 1, ending="user_ended", cause="", ended_ms=EPOCH_MS, deliveries=())
        await trio.sleep(SOON)
        it.shipper.changed()
        await trio.sleep(SOON)
        assert it.shipper.membership.whole
        assert await it.there() == [1, 2, 3]


async def test_words_that_are_kept_for_ever_here_are_kept_there(
    autojump_clock: object, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tending, "RETENTION_MS", 120_000)
    monkeypatch.setattr(tending, "SWEEP_SECONDS", 60.0)
    async with host(place(tmp_path), model, retention_ms=None) as it:
        it.journal.begin(interview())
        it.journal.end("iv", 1, ending="COMPLETED", cause=None, ended_ms=wall_ms(), deliveries=[])
        await trio.sleep(800)
        assert ("iv", 0) in model.tables.interviews


async def test_the_lease_is_renewed_while_nothing_is_said(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    async with host(place(tmp_path), model) as it:
        await trio.sleep(LEASE_SECONDS * 10)
        mine = model.tables.instances[it.incarnation]
        assert model.now() - mine.renewed <= PULSE_SECONDS
        assert mine.steady < LEASE_SECONDS
        assert it.shipper.membership.offset_ms == -EPOCH_MS


async def test_tables_of_a_newer_preppald_keep_it_from_starting_and_never_end_it(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    class Newer(Client):
        newer = True

        async def join(self, presence, /):  # type: ignore[no-untyped-def]
            if self.newer:
                raise NewerSchemaError("upgrade this host")
            return await super().join(presence)

        async def known(self, me, /):  # type: ignore[no-untyped-def]
            if self.newer:
                raise NewerSchemaError("upgrade this host")
            return await super().known(me)

    client = Newer(model)
    with pytest.RaisesGroup(NewerSchemaError, flatten_subgroups=True):
        async with host(place(tmp_path), model, client=client):
            pass
    client = Newer(model)
    client.newer = False
    async with host(place(tmp_path), model, client=client) as it:
        await trio.sleep(SOON)
        it.client.lost_answers = 1
        client.newer = True
        it.journal.begin(interview())
        await trio.sleep(RETRY_SECONDS * 3)
        assert it.journal.fault is None
        client.newer = False
        await trio.sleep(RETRY_SECONDS * 3)
        assert live_rows(model) == ["iv"]


async def test_a_start_without_the_database_is_a_start(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    client = model.client()
    client.reachable = False
    async with host(place(tmp_path), model, client=client) as it:
        it.journal.begin(interview())
        it.journal.add_fragments("iv", 1, said(3))
        await trio.sleep(SOON)
        assert it.journal.durable
        assert not it.shipper.membership.up
        client.reachable = True
        await trio.sleep(RETRY_SECONDS * 3)
        assert await it.there() == [1, 2, 3]


async def test_a_host_alone_has_no_spool(tmp_path: Path, autojump_clock: object) -> None:
    journal = Journal(place(tmp_path), log=Notes(), now_ms=wall_ms, in_thread=inline)
    async with trio.open_nursery() as nursery:
        await nursery.start(journal.run)
        journal.begin(interview())
        journal.add_fragments("iv", 1, said(3))
        await journal.flush()
        tables = await journal.ask(
            lambda it: {name for (name,) in it.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        )
        assert not [it for it in tables if it.startswith("shared")]
        assert not await journal.ask(spool.is_prepared)
        nursery.cancel_scope.cancel()


async def test_each_cause_of_an_outage_is_told_once(autojump_clock: object) -> None:
    """The first may be a broken line, and the second the reason why there is no other; a few, for they may have numbers."""
    notes = Notes()
    member = Membership(Presence("here", "", "1"), log=notes)
    for why in ("cut", "cut", "too old", "cut", *map(str, range(9))):
        member.silent(why)
    told = [keys["cause"] for _, event, keys in notes.lines if event == "shared.away"]
    assert told == ["cut", "too old", "0", "1", "2"]
