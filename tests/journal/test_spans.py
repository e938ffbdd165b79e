"""Spans that are owed to a collector: a queue of their own, that goes wherever the interview goes."""

from functools import partial
from pathlib import Path
import sqlite3

import trio

from preppald.core.deliveries import OutboxEntry
from preppald.journal import OnDisk, spans
from preppald.journal.forgetting import forget_in
from preppald.journal.writer import LOOK_SECONDS
from tests.durable import EPOCH_MS, begun, interview, running

WEEK_MS = 7 * 24 * 3600 * 1000
DUE = partial(spans.due, most=100, most_bytes=10**6)


def at(directory: Path, instance: str = "preppald") -> OnDisk:
    return OnDisk(directory, instance, reserve_bytes=0)


async def test_they_wait_for_the_end_of_their_interview(autojump_clock: object, tmp_path: Path) -> None:
    async with running(at(tmp_path)) as journal:
        journal.begin(interview())
        journal.add_spans("iv", 0, 1, "one")
        journal.add_spans("another", 0, 1, "two")
        await journal.flush()
        assert [it.spans for it in await journal.ask(DUE)] == ["two"]
        journal.end("iv", 1, ending="user_ended", cause=None, ended_ms=EPOCH_MS, deliveries=[])
        await journal.flush()
        due = await journal.ask(DUE)
        assert [it.spans for it in due] == ["one", "two"]
        await journal.ask(partial(spans.forget, numbers=[due[0].number]))
        assert [it.spans for it in await journal.ask(DUE)] == ["two"]


async def test_a_post_has_a_bound(autojump_clock: object, tmp_path: Path) -> None:
    """But the first row goes, however large."""
    async with running(at(tmp_path)) as journal:
        for number in range(5):
            journal.add_spans("iv", 0, 1, f"{number}" * 100)
        await journal.flush()
        for most, most_bytes, count in ((3, 10**6, 3), (100, 250, 2), (100, 10, 1)):
            due = await journal.ask(partial(spans.due, most=most, most_bytes=most_bytes))
            assert [it.spans[0] for it in due] == [str(number) for number in range(count)]


async def test_the_oldest_go_first(autojump_clock: object, tmp_path: Path) -> None:
    """By age, and by the size of all."""
    now = [EPOCH_MS]
    async with running(at(tmp_path), now_ms=lambda: now[0]) as journal:
        for _ in range(10):
            journal.add_spans("iv", 0, 1, "x" * 1000)
            now[0] += 1000
        await journal.flush()
        trim = partial(spans.trim, before_ms=EPOCH_MS + 3000, most_bytes=10**6)
        assert await journal.ask(trim) == 3
        assert await journal.ask(partial(spans.trim, before_ms=0, most_bytes=5000)) == 2
        assert await journal.ask(partial(spans.trim, before_ms=0, most_bytes=5000)) == 0
        assert [it.number for it in await journal.ask(DUE)] == [6, 7, 8, 9, 10]
        assert await journal.ask(spans.waiting) == 5


async def test_they_survive_a_restart_a_takeover_and_a_lost_file(
    autojump_clock: object, tmp_path: Path
) -> None:
    async with running(at(tmp_path, "a")) as journal:
        journal.begin(interview())
        journal.add_spans("iv", 0, 1, "of a live one")
        journal.add_spans("over", 0, 1, "of one that is over")
        await journal.flush()
    async with running(at(tmp_path, "b")) as journal:
        await journal.adopt(await journal.owing())
        assert [it.spans for it in await journal.ask(DUE)] == ["of one that is over"]
        assert await journal.ask(spans.waiting) == 2
        await trio.sleep(LOOK_SECONDS)
        (tmp_path / "b.db").unlink()
        await trio.sleep(2 * LOOK_SECONDS)
        assert (tmp_path / "b.2.db").exists()
        assert await journal.ask(spans.waiting) == 2
    async with running(at(tmp_path, "a")) as journal:
        assert await journal.ask(spans.waiting) == 0


async def test_they_go_with_their_interview(autojump_clock: object, tmp_path: Path) -> None:
    """After a week nothing is left of it."""
    now = [EPOCH_MS]
    async with running(at(tmp_path), now_ms=lambda: now[0]) as journal:
        journal.begin(interview())
        journal.keep_owed(OutboxEntry(begun()).acknowledged(EPOCH_MS))
        journal.add_spans("iv", 0, 1, "one")
        journal.end("iv", 1, ending="user_ended", cause=None, ended_ms=EPOCH_MS, deliveries=[])
        await journal.flush()
        now[0] += 2 * WEEK_MS
        await trio.sleep(3700)
        assert await journal.ask(spans.waiting) == 0


async def test_they_are_forgotten_with_a_candidate(autojump_clock: object, tmp_path: Path) -> None:
    """Of that interview, and of no other."""
    async with running(at(tmp_path)) as journal:
        for name in ("iv", "another"):
            journal.begin(interview(name))
            journal.add_spans(name, 0, 1, name)
            journal.end(name, 1, ending="user_ended", cause=None, ended_ms=EPOCH_MS, deliveries=[])
        await journal.flush()
    forget_in(tmp_path / "preppald.db", ["iv"], also_undelivered=False, now_ms=lambda: EPOCH_MS)
    async with running(at(tmp_path)) as journal:
        assert [it.spans for it in await journal.ask(DUE)] == ["another"]


async def test_a_damaged_row_is_no_ones_spans(autojump_clock: object, tmp_path: Path) -> None:
    """It goes as an empty one, which is counted and forgotten."""
    async with running(at(tmp_path)) as journal:
        journal.add_spans("iv", 0, 1, "one")
        await journal.flush()

        def damage(connection: sqlite3.Connection) -> None:
            connection.execute("UPDATE trace SET spans = 'two'")

        await journal.ask(damage)
        assert [it.spans for it in await journal.ask(DUE)] == [""]
