"""``preppald forget`` and ``preppald audit``: afterwards no file of the state directory has an id or a word."""

from contextlib import ExitStack, closing
import fcntl
import os
from pathlib import Path
import resource
import sqlite3

import pytest
import trio

from preppald.commands.forgetter import SEARCHED_BYTES
from preppald.core.deliveries import DeliveryState, OutboxEntry, Work
from preppald.daemon.audit import FILE, KEY, MOST_BYTES, OLDER, Audit, Entry
from preppald.errors import EX_IOERR, EX_UNAVAILABLE
from preppald.journal import Journal, OnDisk, files, forgetting, reader, rows, set_aside, writes
from preppald.journal.archive import Archive
from preppald.journal.forgetting import NotForgotten
from preppald.recording.shelf import DIRECTORY, new_notes
from tests.commands.standing import standing
from tests.commands.test_acting import Shell, shell, state_dir
from tests.durable import DAEMONS, EPOCH_MS, as_root, as_user, finished, interview, running, said
from tests.world import World

__all__ = ["shell", "state_dir"]

# Nobody else says it, and it stands in no program.
WORDS = "mein Vater heisst Zephyrin Quastenflosser"
OTHERS = "ich bin jemand anders und bleibe hier"


def found_in(state_dir: Path, *needles: str) -> list[str]:
    """The files with one of these in them, as `grep -r` finds them; and names of files that have one."""
    return [
        f"{it.relative_to(state_dir)}: {needle}"
        for it in sorted(state_dir.rglob("*"))
        for needle in needles
        if needle in it.name or (it.is_file() and needle.encode() in it.read_bytes())
    ]


def hold(journal: Journal, interview_id: str, user_id: str, words: str) -> None:
    """An interview that ended, with its transcript's delivery."""
    journal.begin(interview(interview_id, user_id=user_id))
    journal.add_fragments(interview_id, 1, said(12, text=f"{words} "))
    journal.end(
        interview_id,
        1,
        ending="user_ended",
        cause=None,
        ended_ms=EPOCH_MS,
        deliveries=[finished(interview_id)],
    )


async def settle(journal: Journal, *states: tuple[str, DeliveryState]) -> None:
    await journal.flush()
    rows = {owed.delivery.interview_id: owed for owed in (await journal.queue(99)).due}
    for name, state in states:
        if state is DeliveryState.DONE:
            journal.keep_owed(rows[name].acknowledged(EPOCH_MS))
        elif state is DeliveryState.DEAD:
            journal.keep_owed(rows[name].refused(404, "no"))
    await journal.flush()


async def fill(state_dir: Path, instance: str, *interviews: tuple[str, str, str, DeliveryState]) -> None:
    """An instance that ran: id, user, words, and how the delivery fared."""
    async with running(OnDisk(state_dir, instance, reserve_bytes=0)) as journal:
        for name, user, words, _ in interviews:
            hold(journal, name, user, words)
        await settle(journal, *((name, state) for name, _, _, state in interviews))


def record(state_dir: Path, interview_id: str) -> None:
    """A finished recording, and notes of a block that nobody writes any more."""
    shelf = state_dir / DIRECTORY
    shelf.mkdir(mode=0o700, exist_ok=True)
    (shelf / f"{interview_id}.1.flac").write_bytes(b"fLaC")
    (shelf / f"{interview_id}.1.flac.unfinished").write_bytes(b"fLaC")
    descriptor, _ = new_notes(shelf, f"{interview_id}.2.1")
    os.close(descriptor)


DONE, DEAD, PENDING = DeliveryState.DONE, DeliveryState.DEAD, DeliveryState.PENDING


def put_aside(state_dir: Path, instance: str) -> Path:
    """A copy of the instance's database as damage leaves it: the first page is gone, the rows are not."""
    aside = state_dir / f"{instance}.db.corrupt-20261129T101500.000000Z"
    with (
        closing(files.read_only(state_dir / f"{instance}.db")) as source,
        closing(sqlite3.connect(aside)) as copy,
    ):
        source.backup(copy)
    content = bytearray(aside.read_bytes())
    content[100:2000] = b"\xff" * 1900
    aside.write_bytes(content)
    Path(f"{aside}-wal").write_bytes(WORDS.encode())
    return aside


@pytest.mark.parametrize("running_ones", ["a", "ab", ""], ids=["one runs", "both run", "none runs"])
async def test_a_user_is_forgotten_everywhere(shell: Shell, running_ones: str) -> None:
    """Two instances, running or not; recordings; a file set aside; another user who stays whole."""
    own = [("iv-7", "ada-lovelace", WORDS, DONE), ("iv-8", "ada-lovelace", WORDS, DONE)]
    await fill(shell.state_dir, "a", own[0], ("iv-70", "bob", OTHERS, DONE))
    await fill(shell.state_dir, "b", own[1], ("iv-80", "bob", OTHERS, DONE))
    for name in ("iv-7", "iv-70"):
        record(shell.state_dir, name)
    with closing(files.writable(shell.state_dir / "a.db")) as connection:
        connection.execute(writes.PUT_SPANS, rows.trace_row("iv-7", 0, 1, EPOCH_MS, '["iv-7:1"]'))
    aside = put_aside(shell.state_dir, "a")
    assert len(found_in(shell.state_dir, "ada-lovelace", WORDS, "iv-8")) > 5

    def act() -> None:
        with ExitStack() as opened:
            daemons = [opened.enter_context(standing(shell.state_dir, name)) for name in running_ones]
            for number, daemon in enumerate(daemons):
                daemon.interview(f"iv-9{number}", "carol")
            assert shell("forget", "--user", "ada-lovelace", "--dry-run") == 0
            assert "would be forgotten: 2 interviews: iv-7, iv-8" in shell.out
            assert found_in(shell.state_dir, WORDS), "nothing was removed"
            assert shell("forget", "--user", "ada-lovelace") == 0, shell.out + shell.err
            assert "forgotten: 2 interviews: iv-7, iv-8" in shell.out
            assert "ask the application to delete its transcript of interview iv-7" in shell.out
            assert "LEFT" not in shell.out
            # While the daemon still runs, with its -wal and in its memory.
            assert found_in(shell.state_dir, "ada-lovelace", WORDS, "iv-7:", "iv-8.", "iv-8:") == []
            for number, daemon in enumerate(daemons):
                daemon.interview(f"iv-10{number}", "dave")
                assert daemon.world.journal.fault is None
                assert daemon.world.events("journal.moved_on") == []
                assert daemon.world.events("operator.acted")[-1]["action"] == "forget"
                assert "iv-7'" not in str(daemon.world.log_lines.entries)

    await trio.to_thread.run_sync(act)
    assert found_in(shell.state_dir, "ada-lovelace", WORDS) == []
    assert [it.name for it in sorted((shell.state_dir / DIRECTORY).iterdir())] == [
        "iv-70.1.flac",
        "iv-70.1.flac.unfinished",
        "iv-70.2.1",
    ]
    archive = Archive(shell.state_dir)
    for name in ("iv-70", "iv-80"):
        assert archive.fragments(name, 1) == said(12, text=f"{OTHERS} ")
    assert archive.faults == []
    assert set_aside.names_in(aside)[0] == {"iv-70"}
    assert OTHERS.encode() in aside.read_bytes()
    # The audit proves it to whoever knows the id, and to nobody else.
    assert shell("audit", "--user", "ada-lovelace", "--json") == 0
    (entry,) = shell.json  # of the whole; each daemon's own names nobody at all
    assert (entry["action"], entry["counts"]["interviews"], entry["via"]) == ("forget", 2, "files")
    assert shell("forget", "--user", "ada-lovelace") == EX_UNAVAILABLE
    assert "holds nothing of this user" in shell.err


@pytest.mark.parametrize("state", [PENDING, DEAD])
async def test_what_is_owed_is_kept_until_that_is_said(shell: Shell, state: DeliveryState) -> None:
    await fill(shell.state_dir, "preppald", ("iv-1", "ada", WORDS, state), ("iv-2", "bob", OTHERS, DONE))
    assert shell("forget", "--interview", "iv-1") == EX_UNAVAILABLE
    assert "still owed 1 deliveries of interview 'iv-1' (`preppald outbox list`)" in shell.err
    assert "Nothing was forgotten" in shell.err
    assert found_in(shell.state_dir, WORDS)
    assert shell("forget", "--interview", "iv-1", "--also-undelivered", "--json") == 0
    assert shell.json["databases"]["preppald"]["deliveries"] == 1
    assert found_in(shell.state_dir, WORDS, "iv-1") == []


async def test_what_is_still_on_its_way_brings_nothing_back(state_dir: Path) -> None:
    """A post, or feedback, that was under way when its interview was forgotten."""
    await fill(state_dir, "preppald", ("iv-1", "ada", WORDS, PENDING))
    async with running(OnDisk(state_dir, reserve_bytes=0)) as journal:

        async def owed() -> list[OutboxEntry]:
            return await journal.ask(lambda connection: reader.owed(connection, of="iv-1"))

        with pytest.raises(NotForgotten, match="still owed 1 deliveries"):
            await journal.forget({"iv-1"}, also_undelivered=False)
        removed = await journal.forget({"iv-1"}, also_undelivered=True)
        assert (removed.interviews, removed.deliveries, removed.left) == (1, 1, None)
        journal.keep_owed(OutboxEntry(finished("iv-1")).postponed(0, 500, "again"))
        journal.add_spans("iv-1", 0, 1, "[]")
        await journal.flush()
        assert await owed() == []
        assert (
            await journal.ask(lambda connection: connection.execute("SELECT * FROM trace").fetchall()) == []
        )
        journal.begin(interview("iv-1"))
        journal.add_delivery(finished("iv-1"))
        await journal.flush()
        assert len(await owed()) == 1, "one that begins anew is another"
        with pytest.raises(NotForgotten, match="is live: end it first"):
            await journal.forget({"iv-1"}, also_undelivered=True)


def test_a_live_interview_is_ended_first(shell: Shell) -> None:
    with standing(shell.state_dir) as daemon:
        daemon.interview("iv-1", "ada")
        assert shell("forget", "--user", "ada", "--also-undelivered") == EX_UNAVAILABLE
        assert "interview 'iv-1' is live: end it first (`preppald end iv-1`" in shell.err
        assert shell("end", "iv-1") == 0
        daemon.do(settled, daemon.world)
        assert shell("forget", "--user", "ada") == 0, shell.out + shell.err
        assert "1 interviews" in shell.out
        assert shell("interviews", "--json") == 0
        assert shell.json == []
        assert found_in(shell.state_dir, "iv-1") == []
    assert shell("audit", "--interview", "iv-1", "--json") == 0
    assert [it["action"] for it in shell.json] == ["end"]


async def settled(world: World) -> None:
    await world.outbox.drained(trio.current_time() + 10)
    await world.journal.flush()


async def test_an_interview_alone_leaves_its_user_the_others(shell: Shell) -> None:
    await fill(shell.state_dir, "a", ("iv-1", "ada", WORDS, DONE), ("iv-10", "ada", OTHERS, DONE))
    assert await trio.to_thread.run_sync(shell, "forget", "--interview", "iv-1") == 0
    assert found_in(shell.state_dir, WORDS) == []
    assert Archive(shell.state_dir).fragments("iv-10", 1) == said(12, text=f"{OTHERS} ")


async def test_backups_are_named_and_not_touched(shell: Shell) -> None:
    await fill(shell.state_dir, "a", ("iv-1", "ada", WORDS, DONE))
    assert shell("journal", "backup", str(shell.state_dir / "backups")) == 0
    backup = shell.out.strip()
    (shell.state_dir / "notes.txt").write_text(f"he said: {WORDS} 5", "utf-8")
    assert await trio.to_thread.run_sync(shell, "forget", "--user", "ada") == EX_IOERR
    assert f"the backup {backup} holds them" in shell.out
    assert f"LEFT: {shell.state_dir / 'notes.txt'} still names them, or holds their words" in shell.out
    assert {it.partition(":")[0] for it in found_in(shell.state_dir, WORDS)} == {
        "notes.txt",
        str(Path(backup).relative_to(shell.state_dir) / "a.db"),
    }


@as_root
async def test_what_cannot_be_searched_is_named_and_the_rest_is_told(shell: Shell) -> None:
    """Seen before: everything was removed, and then a file that cannot be read took the report and the audit away."""
    await fill(shell.state_dir, "a", ("iv-1", "ada", WORDS, DONE))
    odd, locked = shell.state_dir / "odd", shell.state_dir / "locked"
    (shell.state_dir / "long.txt").write_bytes(b"." * (SEARCHED_BYTES - 9) + WORDS.encode() + b" 5")
    for it in (shell.state_dir.parent, shell.state_dir, *shell.state_dir.iterdir()):
        os.chown(it, *DAEMONS)
    odd.touch(0o600)
    locked.mkdir(0o700)
    with as_user(DAEMONS[0]):
        assert await trio.to_thread.run_sync(shell, "forget", "--user", "ada") == EX_IOERR
    assert "forgotten: 1 interviews: iv-1" in shell.out
    assert "journal a: 1 interviews" in shell.out
    assert f"LEFT: {odd} cannot be read (Permission denied)" in shell.out
    assert f"LEFT: {locked} cannot be read (Permission denied)" in shell.out
    assert f"LEFT: {shell.state_dir / 'long.txt'} still names them" in shell.out
    assert [it.action for it in Audit(shell.state_dir).entries()] == ["forget"]


@as_root
async def test_what_cannot_be_looked_at_before_stops_it_all(shell: Shell) -> None:
    await fill(shell.state_dir, "a", ("iv-1", "ada", WORDS, DONE))
    aside = put_aside(shell.state_dir, "a")
    for it in (shell.state_dir.parent, shell.state_dir, *shell.state_dir.iterdir()):
        os.chown(it, *DAEMONS)
    os.chown(aside, 0, 0)
    aside.chmod(0o600)
    with as_user(DAEMONS[0]):
        assert await trio.to_thread.run_sync(shell, "forget", "--user", "ada") == EX_IOERR
    assert f"{aside} cannot be read (Permission denied): nothing was forgotten" in shell.err
    assert found_in(shell.state_dir, WORDS)


async def test_a_file_without_its_daemon_is_a_copy_and_is_cleaned_too(shell: Shell) -> None:
    await fill(shell.state_dir, "a", ("iv-1", "ada", WORDS, DONE), ("iv-2", "bob", OTHERS, DONE))
    copy = shell.state_dir / "copy.db"
    with (
        closing(files.read_only(shell.state_dir / "a.db")) as source,
        closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
    assert await trio.to_thread.run_sync(shell, "forget", "--user", "ada") == 0
    assert found_in(shell.state_dir, WORDS, "iv-1") == []
    assert not (shell.state_dir / "copy.lock").exists()


async def test_rows_that_name_nobody_are_told_and_rows_of_several_are_emptied(shell: Shell) -> None:
    """A damaged row stays as a hole in another's transcript, and keeps no word of who is forgotten."""
    await fill(shell.state_dir, "a", ("iv-one", "ada", WORDS, DONE), ("iv-two", "bob", OTHERS, DONE))
    with closing(files.writable(shell.state_dir / "a.db")) as connection:
        for owner, stored in ((None, b"nobody knows"), ("iv-two", b'["iv-one",1,["' + WORDS.encode())):
            connection.execute(
                writes.PUT_DAMAGED,
                ("recent", owner, 0, 1, 3, None, "it does not have its checksum", 1, stored),
            )
    assert shell("forget", "--user", "ada") == 0
    assert "1 damaged rows name no interview, so they stay: `preppald journal check`" in shell.out
    assert found_in(shell.state_dir, WORDS, "iv-one") == []
    with closing(files.read_only(shell.state_dir / "a.db")) as connection:
        assert reader.lost_to(connection, "iv-two", 1) == 3


async def test_a_database_of_a_later_version_stops_it_all(shell: Shell) -> None:
    await fill(shell.state_dir, "a", ("iv-1", "ada", WORDS, DONE))
    with closing(files.writable(shell.state_dir / "a.db")) as connection:
        connection.executescript("CREATE TABLE later (number INTEGER); PRAGMA user_version = 99")
    assert shell("forget", "--user", "ada") == EX_IOERR
    assert "was written by another version of preppald: start its daemon once" in shell.err


async def test_a_reader_that_holds_the_file_is_told(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its -wal cannot be emptied then: the rows are gone, and the operator hears what is left, and what to do."""
    await fill(shell.state_dir, "a", ("iv-1", "ada", WORDS, DONE))
    monkeypatch.setattr(forgetting, "READERS_SECONDS", 0.1)
    with closing(files.read_only(shell.state_dir / "a.db")) as reading:
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM interview").fetchone()
        assert shell("forget", "--user", "ada") == EX_IOERR
        assert "another program reads the file, which could not be cut: repeat the command" in shell.out
    assert shell("forget", "--user", "ada") == EX_UNAVAILABLE, "its rows are gone"


async def test_feedback_that_is_due_is_waited_for(shell: Shell) -> None:
    await fill(shell.state_dir, "a", ("iv-1", "ada", WORDS, DONE))
    with closing(files.writable(shell.state_dir / "a.db")) as connection:
        connection.execute(writes.PUT_DUE[Work.FEEDBACK], ("iv-1:1:transcript",))
    assert shell("forget", "--user", "ada") == EX_UNAVAILABLE
    assert "still owed feedback or a check that is still to be written of interview 'iv-1'" in shell.err
    assert shell("forget", "--user", "ada", "--also-undelivered") == 0


def test_nothing_to_forget_is_a_sentence(shell: Shell) -> None:
    assert shell("forget", "--interview", "iv-1") == EX_UNAVAILABLE
    assert "holds nothing of this interview" in shell.err


@pytest.mark.parametrize(
    ("words", "said_of_it"),
    [
        (("forget",), "one of the arguments --interview --user is required"),
        (("forget", "--user", "a", "--interview", "b"), "not allowed with argument"),
        (("forget", "--interview", "a/b"), "must be 1 to 64 of A-Z a-z 0-9 _ -"),
        (("audit", "--since", "ever"), "is not an age like"),
    ],
)
def test_wrong_arguments_are_told(shell: Shell, words: tuple[str, ...], said_of_it: str) -> None:
    with pytest.raises(SystemExit) as left:
        shell(*words)
    assert left.value.code == 2
    assert said_of_it in shell.err


async def test_a_database_that_cannot_be_read_stops_it_all(shell: Shell) -> None:
    await fill(shell.state_dir, "a", ("iv-1", "ada", WORDS, DONE))
    (shell.state_dir / "b.db").write_bytes(b"no database" * 500)
    assert shell("forget", "--user", "ada") == EX_IOERR
    assert "cannot be read" in shell.err
    assert found_in(shell.state_dir, WORDS)


# ---------------------------------------------------------------- the audit


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    return Audit(tmp_path)


def test_an_audit_names_nobody_and_proves_to_whoever_knows(audit: Audit, tmp_path: Path) -> None:
    told = audit.digest("user", "lovelace")
    assert told == Audit(tmp_path).digest("user", "lovelace"), "of one state directory"
    assert told != audit.digest("interview", "lovelace")
    audit.add(Entry(at_ms=1, action="forget", via="files", uid=0, subject=told))
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert (tmp_path / KEY).stat().st_mode & 0o777 == 0o600
    assert b"lovelace" not in (tmp_path / FILE).read_bytes()
    assert [it.subject for it in audit.entries()] == [told]
    assert sorted(it.name for it in tmp_path.iterdir()) == [FILE, KEY]


def test_an_audit_keeps_two_files_at_most(
    audit: Audit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("preppald.daemon.audit.MOST_BYTES", 500)
    assert MOST_BYTES > 500
    for at_ms in range(40):
        audit.add(Entry(at_ms=at_ms, action="drain", via="command", uid=0))
    assert sorted(it.name for it in tmp_path.iterdir()) <= [OLDER, FILE]
    kept = [it.at_ms for it in audit.entries()]
    assert kept == list(range(kept[0], 40))
    assert sum(it.stat().st_size for it in tmp_path.iterdir()) < 1200


def test_an_audit_that_another_process_keeps_is_not_waited_for(
    audit: Audit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The action is done by then, and its answer is not held up: the log says that the audit lacks it."""
    monkeypatch.setattr("preppald.daemon.audit.LOCK_SECONDS", 0.0)
    audit.add(Entry(at_ms=1, action="drain", via="command"))
    with (tmp_path / FILE).open("ab") as kept:
        fcntl.flock(kept, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            audit.add(Entry(at_ms=2, action="undrain", via="command"))
    audit.add(Entry(at_ms=3, action="drain", via="command"))
    assert [it.at_ms for it in audit.entries()] == [1, 3]


def test_an_audit_on_a_full_disk_says_so_and_keeps_its_lines_whole(audit: Audit, tmp_path: Path) -> None:
    """Seen before: half a line was written without a word, and the next action was lost behind it."""
    entries = [Entry(at_ms=at_ms, action="drain", via="command", uid=0) for at_ms in range(4)]
    audit.add(entries[0])
    size = (tmp_path / FILE).stat().st_size
    # As a disk that takes half a line more, and then is full.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + size // 2, limits[1]))
    try:
        with pytest.raises(OSError, match="No space left"):
            audit.add(entries[1])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    audit.add(entries[2])
    # A machine that stopped in the midst of a line leaves a half of one.
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"at_ms":')
    audit.add(entries[3])
    assert [it.at_ms for it in audit.entries()] == [0, 2, 3]


def test_a_key_of_an_audit_is_whole_or_not_there(audit: Audit, tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (7, limits[1]))
    try:
        with pytest.raises(OSError, match="No space left"):
            audit.digest("user", "lovelace")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_line_of_an_audit_is_left_out(audit: Audit, tmp_path: Path) -> None:
    audit.add(Entry(at_ms=1, action="drain", via="command"))
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"at_ms":\n{"at_ms":1,"action":"dr\xe1in","via":"command"}\n')
    audit.add(Entry(at_ms=2, action="undrain", via="page"))
    assert [it.action for it in audit.entries()] == ["drain", "undrain"]


def test_the_audit_of_one_who_drained_is_shown(shell: Shell) -> None:
    assert shell("audit") == 0
    assert "no such action in" in shell.out
    with standing(shell.state_dir):
        assert shell("drain") == 0
    assert shell("audit") == 0
    assert [line.split()[:4] for line in shell.out.splitlines()[:1]] == [["AT", "ACTION", "INSTANCE", "BY"]]
    assert "  drain   preppald  root  command  " in shell.out or os.getuid() != 0
    shell.state_dir.joinpath(FILE).unlink()
    shell.state_dir.joinpath(FILE).mkdir()
    assert shell("audit") == EX_IOERR
    assert "the audit of" in shell.err
