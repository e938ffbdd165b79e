"""What a stopped instance left is taken over by one that runs: whole, once, and wherever a kill cuts it off."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path
import sqlite3
import time

import pytest
import trio

from preppald.core.deliveries import DeliveryState, Work
from preppald.core.interview import Interview, Phase
from preppald.errors import StartError
from preppald.journal import Journal, OnDisk, files, on_disk, schema
from preppald.journal.adoption import STEP_INTERVIEWS
from preppald.journal.archive import Archive
from preppald.journal.reader import Which
from preppald.journal.store import Store
from tests.durable import EPOCH_MS, Notes, begun, failure, finished, interview, running, said

# More than one step.
INTERVIEWS = 2 * STEP_INTERVIEWS + 1


class Killed(BaseException):
    """The process is no more."""


def at(state_dir: Path, instance: str) -> OnDisk:
    return OnDisk(state_dir, instance, reserve_bytes=0)


def names() -> list[str]:
    return [f"iv{number:02}" for number in range(INTERVIEWS)]


async def leave(state_dir: Path, instance: str = "a") -> None:
    """Every second interview is live, the others owe their transcript; one owes nothing."""
    async with running(at(state_dir, instance)) as journal:
        for number, name in enumerate([*names(), "over"]):
            journal.begin(interview(name))
            journal.add_fragments(name, 1, said(10))
            journal.add_delivery(begun(name))
            if number % 2 or name == "over":
                end(journal, name)
        await journal.flush()
        for owed in (await journal.queue(100)).due:
            journal.keep_owed(owed.acknowledged(EPOCH_MS))
        await journal.flush()
        (over,) = [owed for owed in (await journal.queue(100)).due if owed.delivery.interview_id == "over"]
        journal.keep_owed(over.acknowledged(EPOCH_MS))


def end(journal: Journal, name: str) -> None:
    journal.end(name, 1, ending="user", cause=None, ended_ms=EPOCH_MS, deliveries=[finished(name)])


def unfinished(state_dir: Path, instance: str) -> tuple[set[str], set[str]]:
    """The instance's live interviews, and the keys it owes, as its database says."""
    with closing(files.read_only(state_dir / f"{instance}.db")) as connection:
        live = connection.execute("SELECT interview_id FROM interview WHERE phase = 'live'").fetchall()
        owed = connection.execute("SELECT key FROM outbox WHERE state IN ('pending', 'dead')").fetchall()
        return {name for (name,) in live}, {key for (key,) in owed}


LIVE = set(names()[::2])
OWED = {finished(name).key for name in names()[1::2]}


async def test_all_that_is_unfinished_moves_with_all_its_rows(autojump_clock: object, tmp_path: Path) -> None:
    """Live interviews and deliveries; what is finished stays where it is, and every command sees each once."""
    await leave(tmp_path)
    before = {found.interview.interview_id: found for found in Archive(tmp_path).interviews(Which())}
    notes = Notes()
    async with running(at(tmp_path, "b"), notes) as journal:
        await journal.adopt(await journal.owing())
        assert {it.interview_id for it in journal.live()} == LIVE
        assert {owed.key for owed in (await journal.queue(100)).due} == OWED
        for name in names():
            assert await journal.fragments(name, 1) == said(10)
        assert await journal.owing() == []
        # It is the adopter's now: what it records is not fenced off.
        journal.add_fragments("iv00", 1, said(5, first=11))
        end(journal, "iv00")
        await journal.flush()
    assert notes.keys("journal.adopted") == {
        "database": str(tmp_path / "a.db"),
        "interviews": INTERVIEWS,
        "live": len(LIVE),
    }
    assert unfinished(tmp_path, "a") == (set(), set())
    after = {found.interview.interview_id: found for found in Archive(tmp_path).interviews(Which())}
    assert after.keys() == before.keys()
    assert after["over"] == before["over"]
    assert after["iv01"] == replace(before["iv01"], instance="b")
    async with running(at(tmp_path, "a")) as journal:
        assert journal.live() == []
        assert (await journal.queue(100)).pending == 0


async def test_who_runs_keeps_what_is_its_own(autojump_clock: object, tmp_path: Path) -> None:
    """The lock decides: of two who would take it, one gets it; of one who has it, nobody takes anything."""
    await leave(tmp_path)
    async with running(at(tmp_path, "a")), running(at(tmp_path, "b")) as journal:
        await journal.adopt(await journal.owing())
        assert journal.live() == []
    async with running(at(tmp_path, "b")) as b, running(at(tmp_path, "c")) as c:
        async with trio.open_nursery() as nursery:
            for journal in (b, c):
                nursery.start_soon(journal.adopt, await journal.owing())
        counts = sorted(len(journal.live()) for journal in (b, c))
        assert counts == [0, len(LIVE)]


async def test_an_earlier_life_of_an_interview_gives_way(autojump_clock: object, tmp_path: Path) -> None:
    """Begun here and ended without a word; begun again there, and talked in."""
    async with running(at(tmp_path, "b")) as journal:
        journal.begin(interview())
        journal.end("iv", 1, ending="ai_unreachable", cause=None, ended_ms=EPOCH_MS, deliveries=[])
        await journal.flush()
        async with running(at(tmp_path, "a")) as other:
            other.begin(interview(epoch=2))
            other.add_fragments("iv", 2, said(3))
            await other.flush()
            assert await journal.known("iv") == interview(epoch=2)
        await journal.adopt(await journal.owing())
        assert journal.live() == [interview(epoch=2)]
        assert await journal.fragments("iv", 2) == said(3)


async def test_what_ended_elsewhere_is_known(autojump_clock: object, tmp_path: Path) -> None:
    """Whether that instance runs or not; and whether anything was said in it."""
    await leave(tmp_path)
    async with running(at(tmp_path, "b")) as journal:
        known = await journal.known("over")
        assert known is not None
        assert known.phase is Phase.ENDED
        assert await journal.was_spoken("over", 1)
        assert not await journal.was_spoken("over", 2)
        assert await journal.known("nobody") is None


async def test_a_newer_ones_database_is_left_alone_and_told_once(
    autojump_clock: object, tmp_path: Path
) -> None:
    """Nothing is moved by who cannot know what it moves."""
    await leave(tmp_path)
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        schema.migrate(connection, (*schema.MIGRATIONS, "CREATE TABLE newer (it TEXT);"))
    notes = Notes()
    async with running(at(tmp_path, "b"), notes) as journal:
        for _ in range(2):
            await journal.adopt(await journal.owing())
        assert journal.live() == []
    assert notes.events() == ["journal.not_adopted"]
    assert "newer preppald" in str(notes.keys("journal.not_adopted")["cause"])
    assert unfinished(tmp_path, "a") == (LIVE, OWED)


@pytest.mark.parametrize("good", range(4))
async def test_an_adopter_whose_disk_is_full_leaves_it_where_it_was(
    good: int, autojump_clock: object, tmp_path: Path
) -> None:
    """After so many good commits, in either database; what had moved by then has moved. The next look has the rest."""
    await leave(tmp_path)
    own = Mortal(tmp_path, "b")
    notes = Notes()
    async with running(own, notes) as journal:
        await trio.sleep(1)
        own.armed = True
        own.faults = [*[None] * good, failure("database or disk is full", sqlite3.SQLITE_FULL)]
        await journal.adopt(await journal.owing())
        live, _ = unfinished(tmp_path, "a")
        # What has arrived is run here, though its old rows could not be taken away yet.
        assert {it.interview_id for it in journal.live()} >= LIVE - live
        await journal.adopt(await journal.owing())
        assert {it.interview_id for it in journal.live()} == LIVE
        assert {owed.key for owed in (await journal.queue(100)).due} == OWED
    assert notes.events("error") == ["journal.not_adopted"]
    assert (await owners(tmp_path, "ab")).keys() == LIVE | OWED


def test_a_start_waits_for_who_adopts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own daemon comes back just then: that takes a moment, and is no failure."""
    adopter, mine = at(tmp_path, "a"), at(tmp_path, "a")
    assert adopter.take()
    looks = iter([lambda: None, lambda: None, adopter.release])
    monkeypatch.setattr(time, "sleep", lambda _seconds: next(looks)())
    mine.hold()
    assert not adopter.take()
    monkeypatch.setattr(on_disk, "CROSSED_SECONDS", 0.0)
    with pytest.raises(StartError, match="in use"):
        at(tmp_path, "a").hold()


# ---------------------------------------------------------------- kills


class Mortal(OnDisk):
    """An instance that has the next faults in turn at its commits to any database, its own or another's.

    A ``Killed`` strikes after the commit was made, or before, as ``afterwards`` says.
    """

    def __init__(self, state_dir: Path, instance: str, *, kill_at: int = 0, afterwards: bool = False) -> None:
        super().__init__(state_dir, instance, reserve_bytes=0)
        self.commits = 0
        self.armed = False
        self.faults: list[Exception | None] = []
        self.kill_at = kill_at
        self.afterwards = afterwards

    def connect(self) -> sqlite3.Connection:
        return self._mortal(Path(self.name))

    def others(self) -> list[OnDisk]:
        found = super().others()
        for other in found:
            other.connect = lambda file=Path(other.name): self._mortal(file)  # type: ignore[method-assign,misc]
        return found

    def _mortal(self, file: Path) -> sqlite3.Connection:
        place = self

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:
                if not (place.armed and sql.startswith(("COMMIT", "DELETE FROM arrived"))):
                    return super().execute(sql, *parameters)  # type: ignore[arg-type]
                if place.faults and (fault := place.faults.pop(0)):
                    raise fault
                place.commits += 1
                if place.commits == place.kill_at and not place.afterwards:
                    raise Killed
                cursor = super().execute(sql, *parameters)  # type: ignore[arg-type]
                if place.commits == place.kill_at:
                    raise Killed
                return cursor

        return sqlite3.connect(file, isolation_level=None, check_same_thread=False, factory=Connection)


def adopt_until_killed(state_dir: Path, kill_at: int, *, afterwards: bool) -> bool:
    """b takes over from a, and is killed at one of its commits; whether it was."""
    own = Mortal(state_dir, "b", kill_at=kill_at, afterwards=afterwards)
    store = Store(own, Notes())
    store.open()
    own.armed = True
    try:
        for place in store.neighbours.owing():
            source = Store(place, Notes())
            try:
                assert source.enter()
                while store.take_over(source, []):
                    pass
            finally:
                source.close()
    except Killed:
        return True
    finally:
        store.close()
    return False


async def owners(state_dir: Path, order: str) -> dict[str, list[str]]:
    """Who runs what, or owes what, after all of them are started in this order: by interview and by key."""
    found: dict[str, list[str]] = {}
    for instance in order:
        async with running(at(state_dir, instance)) as journal:
            for it in journal.live():
                assert await journal.fragments(it.interview_id, 1) == said(10)
                found.setdefault(it.interview_id, []).append(instance)
            for owed in (await journal.queue(100)).due:
                assert owed.state is DeliveryState.PENDING
                found.setdefault(owed.key, []).append(instance)
    return found


# A step has three commits, and a row to forget; here are three steps.
KILLS = range(1, 3 * 4 + 1)


@pytest.mark.parametrize("kill_at", KILLS)
@pytest.mark.parametrize("afterwards", [False, True])
@pytest.mark.parametrize("order", ["ab", "ba"])
async def test_wherever_it_is_killed_everything_has_one_owner(
    kill_at: int, *, afterwards: bool, order: str, tmp_path: Path, autojump_clock: object
) -> None:
    """Not none, and not two: whoever of the two starts first."""
    await leave(tmp_path)
    assert adopt_until_killed(tmp_path, kill_at, afterwards=afterwards)
    found = await owners(tmp_path, order)
    assert found.keys() == LIVE | OWED
    assert {key: who for key, who in found.items() if len(who) != 1} == {}
    known: list[Interview] = [found.interview for found in Archive(tmp_path).interviews(Which())]
    assert len(known) == INTERVIEWS + 1


async def test_feedback_that_is_due_moves_too(autojump_clock: object, tmp_path: Path) -> None:
    """With the transcript, which is delivered already, and once."""
    async with running(at(tmp_path, "a")) as journal:
        for name in ("told", "judged"):
            journal.begin(interview(name))
            end(journal, name)
        await journal.flush()
        for owed in (await journal.queue(100)).due:
            journal.keep_owed(owed.acknowledged(EPOCH_MS))
        journal.note_due(Work.FEEDBACK, finished("told").key, due=True)
    async with running(at(tmp_path, "b")) as journal:
        await journal.adopt(await journal.owing())
        assert await journal.due(Work.FEEDBACK, []) == finished("told")
        assert [it.interview_id for it in await journal.interviews(Which())] == ["told"]
        assert (await journal.queue(100)).due == []
        assert await journal.owing() == []
    async with running(at(tmp_path, "a")) as journal:
        assert await journal.due(Work.FEEDBACK, []) is None
