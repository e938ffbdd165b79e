"""What is recorded: visible at once, durable within the interval, fenced by epoch."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
import sqlite3
from typing import TypeVar

import pytest
import trio

from preppald.core.deliveries import DeliveryState, Work
from preppald.core.interview import Handle, Interview, Phase, Usage
from preppald.errors import JournalError
from preppald.journal import Given, OnDisk, Which, packing, reader, writes
from preppald.journal.journal import RETENTION_MS
from preppald.journal.pending import COMMIT_RECORDS, Batch
from preppald.journal.schema import FIRST
from preppald.journal.writer import COMMIT_SECONDS, SETTLE_SECONDS, SHORT_SWEEP_SECONDS, SWEEP_SECONDS
from tests.durable import (
    DAY_MS,
    DISK_SECONDS,
    EPOCH_MS,
    Notes,
    Rig,
    begun,
    finished,
    interview,
    running,
    said,
    wall_ms,
)

T = TypeVar("T")


def in_memory(rig: Rig) -> Given:
    return Given(lambda: rig.connection(":memory:"))


async def test_everything_comes_back(autojump_clock: object, tmp_path: Path) -> None:
    """All records of an interview survive the process, as they were last recorded."""
    place = OnDisk(tmp_path, reserve_bytes=0)
    async with running(place) as journal:
        journal.begin(interview())
        journal.add_fragments("iv", 1, said(3))
        journal.add_fragments("iv", 1, said(7, first=4))
        journal.keep_handle("iv", 1, Handle("h1", "gemini-3.8-live", EPOCH_MS))
        journal.keep_usage("iv", 1, Usage(prompt_audio=3, thoughts=1))
        journal.credit("iv", 1, 5_000, EPOCH_MS + 3_605_000)
        journal.add_delivery(begun())
        await journal.flush()
    expected = replace(
        interview(),
        handle=Handle("h1", "gemini-3.8-live", EPOCH_MS),
        usage=Usage(prompt_audio=3, thoughts=1),
        credited_ms=5_000,
        deadline_ms=EPOCH_MS + 3_605_000,
    )
    async with running(place) as journal:
        assert journal.live() == [expected]
        assert await journal.interview("iv") == expected
        assert await journal.fragments("iv", 1) == said(10)
        assert await journal.fragments("iv", 1, since=8) == said(2, first=9)
        assert [owed.delivery for owed in (await journal.queue(4)).due] == [begun()]
        # The next process goes on with it.
        journal.keep_handle("iv", 1, None)
        journal.end("iv", 1, ending="timeout", cause="an hour", ended_ms=EPOCH_MS, deliveries=[finished()])
        await journal.flush()
        assert journal.live() == []
        ended = await journal.interview("iv")
    assert ended == replace(
        expected, handle=None, phase=Phase.ENDED, ending="timeout", cause="an hour", ended_ms=EPOCH_MS
    )


async def test_visible_before_it_is_durable(autojump_clock: object) -> None:
    """Reads see what is recorded, whether it waits, is being written, or is on disk."""
    rig = Rig()
    async with running(in_memory(rig)) as journal:
        journal.begin(interview())
        journal.add_fragments("iv", 1, said(2))
        assert await journal.interview("iv") == interview()
        assert await journal.fragments("iv", 1) == said(2)
        await trio.sleep(COMMIT_SECONDS)  # the commit is under way now
        journal.add_fragments("iv", 1, said(2, first=3))
        assert await journal.fragments("iv", 1) == said(4)
        assert await journal.fragments("iv", 2) == []
        assert await journal.interview("other") is None
        await journal.flush()
        assert await journal.interviews(Which()) == [interview()]


async def test_commits_are_grouped(autojump_clock: object) -> None:
    """A hundred records of one interval are one transaction, without anybody asking for it."""
    rig = Rig()
    async with running(in_memory(rig)) as journal:
        await trio.sleep(1)
        before = rig.commits
        journal.begin(interview())
        for seq in range(1, 100):
            journal.add_fragments("iv", 1, said(1, first=seq))
            await trio.sleep(COMMIT_SECONDS / 200)
        assert rig.commits == before
        await trio.sleep(COMMIT_SECONDS)
        assert rig.commits <= before + 2  # one may be the tables' own tidying
        assert journal.pending_bytes == 0


async def test_a_burst_does_not_wait(autojump_clock: object) -> None:
    """A full batch is written at once; flushing hastens a small one."""
    rig = Rig()
    async with running(in_memory(rig)) as journal:
        await trio.sleep(1)
        before, began = rig.commits, trio.current_time()
        journal.add_fragments("iv", 1, said(COMMIT_RECORDS))
        await trio.sleep(DISK_SECONDS * 1.5)
        assert rig.commits <= before + 2  # one may be the tables' own tidying
        journal.add_fragments("iv", 1, said(1, first=1000))
        await journal.flush()
        assert trio.current_time() < began + COMMIT_SECONDS


async def test_flushes_together_share_commits(autojump_clock: object) -> None:
    rig = Rig()
    async with running(in_memory(rig)) as journal:
        await trio.sleep(1)
        before = rig.commits

        async def record_and_flush(number: int) -> None:
            journal.begin(interview(f"iv{number}"))
            await journal.flush()

        async with trio.open_nursery() as nursery:
            for number in range(50):
                nursery.start_soon(record_and_flush, number)
        assert rig.commits <= before + 2
        assert len(await journal.interviews(Which())) == 50


async def test_flush_with_nothing_recorded(autojump_clock: object) -> None:
    async with running(in_memory(Rig())) as journal:
        await journal.flush()
    # Nothing is owed to a flush: also after the end.
    await journal.flush()


async def test_after_the_end(autojump_clock: object) -> None:
    """A record that comes too late is not promised."""
    async with running(in_memory(Rig())) as journal:
        pass
    journal.begin(interview())
    with pytest.raises(JournalError, match="closed"):
        await journal.flush()
    with pytest.raises(JournalError, match="no database is open"):
        await journal.interviews(Which())


async def test_what_is_recorded_at_the_last_moment(autojump_clock: object, tmp_path: Path) -> None:
    """Cancelling the writer still writes."""
    place = OnDisk(tmp_path, reserve_bytes=0)
    async with running(place) as journal:
        journal.begin(interview())
    async with running(place) as journal:
        assert journal.live() == [interview()]


async def test_old_epochs_are_fenced(autojump_clock: object) -> None:
    """A session that was replaced can change nothing, and its fragments stay apart."""
    notes = Notes()
    async with running(in_memory(Rig()), notes) as journal:
        journal.begin(interview())
        journal.add_fragments("iv", 1, said(1, text="old "))
        journal.begin(interview(epoch=2))
        journal.add_fragments("iv", 2, said(1, text="new "))
        journal.begin(interview(epoch=1))
        journal.keep_handle("iv", 1, Handle("h", "m", 1))
        journal.keep_usage("iv", 1, Usage(1))
        journal.credit("iv", 1, 1, 1)
        journal.end("iv", 1, ending="x", cause=None, ended_ms=1, deliveries=[finished()])
        journal.end("nobody", 1, ending="x", cause=None, ended_ms=1, deliveries=[])
        await journal.flush()
        assert await journal.interview("iv") == interview(epoch=2)
        assert (await journal.queue(9)).pending == 0
        assert [it.text for it in await journal.fragments("iv", 1)] == ["old 1 "]
        assert [it.text for it in await journal.fragments("iv", 2)] == ["new 1 "]
    fenced = [keys["record"] for _, event, keys in notes.lines if event == "record.fenced"]
    assert fenced == ["begin", "handle", "usage", "credit", "end", "end"]


async def test_an_older_epoch_on_disk_loses(autojump_clock: object) -> None:
    """Also when the newer one was written by somebody else."""
    rig = Rig()
    place = in_memory(rig)
    async with running(place) as journal:
        newer = Batch(interviews={("iv", 0): interview(epoch=3)})
        await journal.ask(lambda connection: writes.commit(connection, newer))
        journal.begin(interview(epoch=2))
        await journal.flush()
        assert await journal.interviews(Which()) == [interview(epoch=3)]


async def test_the_end_is_one_transaction(autojump_clock: object) -> None:
    """An interview is never ended on disk without what is owed for it, nor the other way."""
    seen: list[tuple[int, int]] = []

    def look(connection: sqlite3.Connection) -> tuple[int, int]:
        ended = reader.interviews(connection, Which(phase=Phase.ENDED))
        return len(ended), len(reader.owed(connection))

    async with running(in_memory(Rig())) as journal:
        journal.begin(interview())
        await journal.flush()
        seen.append(await journal.ask(look))
        journal.end(
            "iv", 1, ending="timeout", cause=None, ended_ms=EPOCH_MS, deliveries=[begun(), finished()]
        )
        deadline = trio.current_time() + 1
        while trio.current_time() < deadline:
            seen.append(await journal.ask(look))
    assert set(seen) == {(0, 0), (1, 2)}


async def test_making_a_delivery_twice_changes_nothing(autojump_clock: object) -> None:
    """Neither in memory nor on disk does it undo what became of the first."""
    async with running(in_memory(Rig())) as journal:
        journal.add_delivery(begun())
        await journal.flush()
        (owed,) = (await journal.queue(4)).due
        journal.keep_owed(owed.acknowledged(wall_ms()))
        journal.add_delivery(begun())  # not yet on disk
        await journal.flush()
        journal.add_delivery(begun())  # on disk
        await journal.flush()
        assert (await journal.queue(4)).pending == 0


async def test_settled_stays_settled(autojump_clock: object) -> None:
    """A late result of a try does not bring back what is dead or done; only the backend's word outranks."""
    async with running(in_memory(Rig())) as journal:
        journal.add_delivery(begun())
        await journal.flush()
        (owed,) = (await journal.queue(4)).due
        journal.keep_owed(owed.refused(400, "no"))
        await journal.flush()
        journal.keep_owed(replace(owed, attempts=5).postponed(0, None, "late"))
        await journal.flush()
        queue = await journal.queue(4)
        assert (queue.pending, queue.dead) == (0, 1)
        journal.keep_owed(replace(owed, attempts=5).acknowledged(wall_ms()))
        await journal.flush()
        assert (await journal.queue(4)).dead == 0


async def test_order_and_dead_letters(autojump_clock: object) -> None:
    """One of an interview at a time, in the order of making; a dead one holds up nothing."""
    async with running(in_memory(Rig())) as journal:
        for name in ("a", "b"):
            journal.add_delivery(begun(name))
            journal.add_delivery(finished(name))
        await journal.flush()
        due = (await journal.queue(9)).due
        assert [owed.delivery for owed in due] == [begun("a"), begun("b")]
        assert [owed.delivery for owed in (await journal.queue(9, ["a"])).due] == [begun("b")]
        assert len((await journal.queue(1)).due) == 1
        journal.keep_owed(due[0].refused(404, "no"))
        journal.keep_owed(due[1].postponed(wall_ms() + 60_000, 500, "later"))
        await journal.flush()
        queue = await journal.queue(9)
        assert [owed.delivery for owed in queue.due] == [finished("a")]
        assert (queue.pending, queue.dead, queue.oldest_ms) == (3, 1, EPOCH_MS)
        assert queue.next_ms is not None
        assert 59_000 < queue.next_ms - wall_ms() <= 60_000


async def test_the_clock_set_back_does_not_freeze_retries(autojump_clock: object) -> None:
    async with running(in_memory(Rig())) as journal:
        journal.add_delivery(begun())
        await journal.flush()
        (owed,) = (await journal.queue(4)).due
        journal.keep_owed(owed.postponed(wall_ms() + DAY_MS, 500, "tomorrow's clock"))
        await journal.flush()
        assert len((await journal.queue(4)).due) == 1


async def test_interviews_are_chosen(autojump_clock: object) -> None:
    async with running(in_memory(Rig())) as journal:
        for number in range(6):
            journal.begin(interview(f"iv{number}", user_id=f"u{number % 2}", started_ms=EPOCH_MS + number))
        for number in range(3):
            ending = "timeout" if number else "user"
            journal.end(f"iv{number}", 1, ending=ending, cause=None, ended_ms=EPOCH_MS, deliveries=[])
        await journal.flush()

        async def names(**chosen: object) -> str:
            found: list[Interview] = await journal.interviews(Which(**chosen))  # type: ignore[arg-type]
            return "".join(it.interview_id[2] for it in found)

        assert await names() == "543210"
        assert await names(phase=Phase.LIVE) == "543"
        assert await names(phase=Phase.ENDED, ending="timeout") == "21"
        assert await names(user_id="u1") == "531"
        assert await names(since_ms=EPOCH_MS + 4) == "54"
        assert await names(limit=2) == "54"


async def test_retention(autojump_clock: object) -> None:
    """A week after the last acknowledgement, never before, and never what is still owed or dead."""
    notes = Notes()
    async with running(in_memory(Rig()), notes) as journal:
        for name in ("done", "late", "dead", "pending", "owed nothing", "live"):
            journal.begin(interview(name))
            journal.add_fragments(name, 1, said(3))
            deliveries = [] if name == "owed nothing" else [finished(name)]
            if name != "live":
                journal.end(name, 1, ending="timeout", cause=None, ended_ms=wall_ms(), deliveries=deliveries)
        await journal.flush()
        rows = {owed.delivery.interview_id: owed for owed in (await journal.queue(9)).due}
        journal.keep_owed(rows["done"].acknowledged(wall_ms()))
        journal.keep_owed(rows["dead"].refused(400, "no"))
        await journal.flush()
        await trio.sleep(3600)
        journal.keep_owed(rows["late"].acknowledged(wall_ms()))
        await journal.flush()

        async def left() -> set[str]:
            return {it.interview_id for it in await journal.interviews(Which())}

        await trio.sleep(RETENTION_MS / 1000 - 3600 - 1)
        assert len(await left()) == 6
        await trio.sleep(SWEEP_SECONDS)
        assert await left() == {"late", "dead", "pending", "live"}
        assert await journal.fragments("done", 1) == []
        assert await journal.fragments("late", 1) == said(3)
        await trio.sleep(SWEEP_SECONDS)
        assert await left() == {"dead", "pending", "live"}
        assert await journal.fragments("live", 1) == said(3)
    assert notes.events() == ["journal.swept", "journal.swept"]


@pytest.mark.parametrize("retention_ms", [0, 3_600_000], ids=["delivered", "an hour"])
@pytest.mark.slow
async def test_words_go_before_their_rows(autojump_clock: object, retention_ms: int) -> None:
    """No word stays in the file that the backend has; the row does, so that its token begins nothing anew."""
    notes, rig = Notes(), Rig()
    async with running(in_memory(rig), notes, retention_ms=retention_ms) as journal:
        for name in ("done", "dead", "pending", "live", "awaits feedback", "one block lives"):
            journal.begin(interview(name, context='{"resume":"words of a resume"}'))
            journal.add_fragments(name, 1, said(3))
            if name != "live":
                journal.end(
                    name, 1, ending="timeout", cause=None, ended_ms=wall_ms(), deliveries=[finished(name)]
                )
        journal.begin(interview("one block lives", block=2, epoch=2))
        await journal.flush()
        rows = {owed.delivery.interview_id: owed for owed in (await journal.queue(9)).due}
        journal.keep_owed(rows["dead"].refused(400, "no"))
        for name in ("done", "awaits feedback", "one block lives"):
            journal.keep_owed(rows[name].acknowledged(wall_ms()))
        journal.note_due(Work.FEEDBACK, "awaits feedback:1:transcript", due=True)
        await journal.flush()
        if retention_ms:
            await trio.sleep(retention_ms / 1000 - SHORT_SWEEP_SECONDS)
            assert await journal.fragments("done", 1) == said(3)
        await trio.sleep(3 * SHORT_SWEEP_SECONDS)
        assert await journal.fragments("done", 1) == []
        kept = await journal.interview("done")
        assert kept is not None
        assert (kept.phase, kept.context) == (Phase.ENDED, None)
        assert await journal.was_spoken("done", 1)
        (owed,) = await journal.ask(lambda connection: reader.owed(connection, of="done"))
        assert (owed.state, owed.delivery.payload) == (DeliveryState.DONE, b"")
        for name in ("dead", "pending", "live", "awaits feedback", "one block lives"):
            assert await journal.fragments(name, 1) == said(3), name
        journal.note_due(Work.FEEDBACK, "awaits feedback:1:transcript", due=False)
        await trio.sleep(2 * SHORT_SWEEP_SECONDS)
        assert await journal.fragments("awaits feedback", 1) == []
        assert len(await journal.interviews(Which())) == 7
        await trio.sleep(RETENTION_MS / 1000)
        left = {it.interview_id for it in await journal.interviews(Which())}
        assert left == {"dead", "pending", "live", "one block lives"}
    assert set(notes.events()) == {"journal.stripped", "journal.swept"}


async def test_a_row_stays_for_as_long_as_there_is_a_recording(autojump_clock: object) -> None:
    """Only the row knows whose recording it is; the words go all the same."""
    recordings = {"iv"}
    async with running(in_memory(Rig()), recorded=lambda: recordings) as journal:
        for name in ("iv", "other"):
            journal.begin(interview(name))
            journal.add_fragments(name, 1, said(3))
            journal.end(name, 1, ending="user", cause=None, ended_ms=EPOCH_MS, deliveries=[finished(name)])
        await journal.flush()
        for owed in (await journal.queue(9)).due:
            journal.keep_owed(owed.acknowledged(wall_ms()))
        await trio.sleep(RETENTION_MS / 1000 + 2 * SWEEP_SECONDS)
        assert [it.interview_id for it in await journal.interviews(Which())] == ["iv"]
        assert await journal.fragments("iv", 1) == []
        recordings.clear()
        await trio.sleep(2 * SWEEP_SECONDS)
        assert await journal.interviews(Which()) == []


async def test_without_a_backend_nothing_is_swept(autojump_clock: object) -> None:
    async with running(in_memory(Rig()), retention_ms=None) as journal:
        journal.begin(interview())
        journal.end("iv", 1, ending="timeout", cause=None, ended_ms=wall_ms(), deliveries=[])
        await trio.sleep(RETENTION_MS / 1000 * 5)
        assert len(await journal.interviews(Which())) == 1


async def test_a_large_sweep_lets_records_through(autojump_clock: object) -> None:
    """Old interviews go in small steps; what is recorded meanwhile is committed between them."""
    place = in_memory(Rig())
    async with running(place) as journal:
        for number in range(200):
            journal.begin(interview(f"iv{number}"))
            journal.end(f"iv{number}", 1, ending="user", cause=None, ended_ms=EPOCH_MS, deliveries=[])
        await journal.flush()
        waits: list[float] = []

        async def record() -> None:
            while True:
                began = trio.current_time()
                journal.add_fragments("iv", 1, said(1))
                await journal.flush()
                waits.append(trio.current_time() - began)

        with trio.move_on_after(RETENTION_MS / 1000 + 1):
            await trio.sleep(RETENTION_MS / 1000 - 1)
            await record()
        assert await journal.interviews(Which()) == []
        assert max(waits) < COMMIT_SECONDS


async def test_a_sweep_that_fails_is_tried_later(autojump_clock: object) -> None:
    rig, notes = Rig(), Notes()
    async with running(in_memory(rig), notes) as journal:
        journal.begin(interview())
        journal.end("iv", 1, ending="user", cause=None, ended_ms=EPOCH_MS, deliveries=[])
        await trio.sleep(RETENTION_MS / 1000 - 10)
        rig.on_commit = [sqlite3.OperationalError("database is locked")]
        await trio.sleep(60)
        assert notes.events() == ["journal.untended"]
        await trio.sleep(SWEEP_SECONDS)
        assert notes.events() == ["journal.untended", "journal.swept"]


async def test_settling(autojump_clock: object, tmp_path: Path) -> None:
    """Fragments go where they are looked up fast; a reader sees each of them once, at every moment."""
    place = OnDisk(tmp_path, reserve_bytes=0)
    names = [f"iv{number}" for number in range(40)]
    assert {packing.bucket(name) for name in names} == set(range(packing.BUCKETS))
    seen: set[int] = set()

    def look(connection: sqlite3.Connection) -> int:
        assert reader.fragments(connection, "iv3", 1) == said(4)
        return len(reader.unsettled(connection))

    async with running(place) as journal:
        for name in names:
            journal.add_fragments(name, 1, said(4))
        await journal.flush()
        deadline = trio.current_time() + SETTLE_SECONDS + 1
        while trio.current_time() < deadline:
            seen.add(await journal.ask(look))
            if len(seen) == 2:
                # In the middle of it: this one is settled the next time.
                journal.add_fragments("late", 1, said(1))
        # One bucket after the other.
        assert seen >= set(range(1, packing.BUCKETS + 1))
        assert await journal.fragments("late", 1) == said(1)
        await trio.sleep(SETTLE_SECONDS + 1)
        assert await journal.ask(look) == 0
        journal.add_fragments("iv3", 1, said(1, first=5))
    # What the last process left unsettled is settled by the next one.
    async with running(place) as journal:
        await trio.sleep(1)
        assert await journal.fragments("iv3", 1) == said(5)
        assert await journal.ask(reader.unsettled) == []


async def test_a_commit_that_is_cut_off_is_written_later(autojump_clock: object, tmp_path: Path) -> None:
    """The writer is cancelled while the disk works: nothing of the batch is lost."""
    place = OnDisk(tmp_path, reserve_bytes=0)
    calls = 0

    async def slow_once(function: Callable[[], T], /) -> T:
        nonlocal calls
        calls += 1
        await trio.sleep(5 if calls == 4 else DISK_SECONDS)  # open, sweep, settle, the commit
        return function()

    async with running(place, in_thread=slow_once) as journal:
        journal.begin(interview())
        await trio.sleep(1)
    assert calls > 3
    async with running(place) as journal:
        assert journal.live() == [interview()]


def test_states_are_those_of_the_table() -> None:
    """The CHECK in the schema and the enum cannot drift apart."""
    assert all(f"'{state.value}'" in FIRST for state in DeliveryState)
    assert all(f"'{phase.value}'" in FIRST for phase in Phase)


async def test_who_is_in_no_hurry_shares_a_commit(autojump_clock: object) -> None:
    """A hundred talks that wait for the disk without haste cost one commit, not a hundred."""
    rig = Rig()
    async with running(in_memory(rig)) as journal:
        before, began = rig.commits, trio.current_time()
        async with trio.open_nursery() as talks:
            for number in range(100):
                journal.begin(interview(f"iv-{number}"))
                talks.start_soon(partial(journal.flush, hurry=False))
        assert rig.commits <= before + 2  # one may be the tables' own tidying
        assert trio.current_time() - began >= COMMIT_SECONDS


async def test_what_feedback_is_due_on(autojump_clock: object) -> None:
    """A mark that outlives the process, and is gone with the transcript."""
    rig = Rig()
    async with running(in_memory(rig)) as journal:
        for name in ("iv", "other"):
            journal.begin(interview(name))
            deliveries = [finished(name)]
            journal.end(name, 1, ending="user", cause=None, ended_ms=EPOCH_MS, deliveries=deliveries)
        await journal.flush()
        before = rig.commits
        for owed in (await journal.queue(4)).due:
            journal.keep_owed(owed.acknowledged(wall_ms()))
            journal.note_due(Work.FEEDBACK, owed.key, due=True)
        await journal.flush()
        assert rig.commits == before + 1
        assert await journal.due(Work.FEEDBACK, []) == finished("iv")
        assert await journal.due(Work.FEEDBACK, [finished("iv").key]) == finished("other")
        journal.note_due(Work.FEEDBACK, finished("iv").key, due=False)
        journal.note_due(Work.FEEDBACK, "iv that nobody knows", due=True)
        await journal.flush()
        assert await journal.due(Work.FEEDBACK, []) == finished("other")
        await trio.sleep(RETENTION_MS / 1000 + SWEEP_SECONDS)
        assert await journal.due(Work.FEEDBACK, []) is None
        marks = await journal.ask(
            lambda connection: connection.execute("SELECT * FROM feedback_due").fetchall()
        )
        assert marks == []


async def test_what_a_candidate_waits_for_goes_before_what_is_old(autojump_clock: object) -> None:
    """D12: 5 000 deliveries are owed since yesterday; a new interview's first one is the first to be offered."""
    rig = Rig()
    async with running(in_memory(rig)) as journal:
        for number in range(2500):
            for delivery in (begun(f"old-{number}"), finished(f"old-{number}", 2)):
                journal.add_delivery(replace(delivery, created_ms=EPOCH_MS - DAY_MS))
        await journal.flush()
        journal.add_delivery(replace(begun("new"), created_ms=wall_ms()))
        await journal.flush()
        due = (await journal.queue(8)).due
        assert [it.delivery.interview_id for it in due] == ["new", *(f"old-{number}" for number in range(7))]
