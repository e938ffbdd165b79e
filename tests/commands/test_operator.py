"""The operator's commands, on a state directory that real journals wrote."""

import argparse
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
import json
import os
from pathlib import Path
import resource
import sqlite3
import stat
import subprocess
import sys
import tempfile
from typing import Any

import pytest
import trio

from preppald import cli
from preppald.commands import (
    audit,
    drain,
    end,
    forget,
    interviews,
    listing,
    outbox,
    status,
    transcript,
    undrain,
)
from preppald.core.deliveries import transcript_delivery
from preppald.core.interview import Handle, Usage
from preppald.core.turns import fold, in_order
from preppald.errors import EX_IOERR, JournalError, PreppaldError
from preppald.journal import OnDisk, files, reader, removing, writes
from preppald.journal.archive import Archive
from preppald.pb import transcript_pb2
from preppald.recording.shelf import DIRECTORY
from tests.durable import DAEMONS, EPOCH_MS, as_root, as_user, begun, finished, interview, running, said

MINUTE_MS = 60_000


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="preppald")
    subparsers = top.add_subparsers()
    for command in (status, end, drain, undrain, forget, audit, interviews, transcript, outbox):
        command.add_to(subparsers)
    return top


class Shell:
    """Runs a command line; ``out`` is what it printed."""

    def __init__(self, state_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.state_dir = state_dir
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, line: str) -> int:
        arguments = parser().parse_args(line.split())
        try:
            status: int = arguments.run(arguments, self.state_dir)
        finally:
            self.out, self.err = self._capsys.readouterr()
        return status

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    for module in (interviews, outbox):
        monkeypatch.setattr(module, "now_ms", lambda: EPOCH_MS + 5 * MINUTE_MS)
    return Shell(tmp_path / "state", capsys)


async def fill(state_dir: Path) -> None:
    """Two instances: one with a live, a delivered and a refused interview, one with a waiting one."""
    async with running(OnDisk(state_dir, "a", reserve_bytes=0)) as journal:
        journal.begin(interview("live", handle=Handle("secret handle", "m", 1), usage=Usage(5, 6)))
        journal.add_fragments("live", 1, said(3))
        for name, started in (("done", 1), ("dead", 2)):
            journal.begin(interview(name, user_id="u\x1b[31m", started_ms=EPOCH_MS + started))
            journal.add_fragments(name, 1, said(12))
            journal.add_delivery(begun(name))
            journal.end(
                name,
                1,
                ending="timeout",
                cause="an hour",
                ended_ms=EPOCH_MS + MINUTE_MS,
                deliveries=[finished(name)],
            )
        await journal.flush()
        rows = {owed.key: owed for owed in (await journal.queue(9)).due}
        journal.keep_owed(rows["done:1:status:IN_PROGRESS"].acknowledged(EPOCH_MS))
        journal.keep_owed(rows["dead:1:status:IN_PROGRESS"].refused(404, "answered 404 NOT_FOUND"))
        await journal.flush()
        rows = {owed.key: owed for owed in (await journal.queue(9)).due}
        journal.keep_owed(rows["done:1:transcript"].acknowledged(EPOCH_MS))
        journal.keep_owed(rows["dead:1:transcript"].refused(404, "answered 404 NOT_FOUND"))
    async with running(OnDisk(state_dir, "b", reserve_bytes=0)) as journal:
        journal.begin(interview("waits", started_ms=EPOCH_MS - 90 * MINUTE_MS))
        ended_ms = EPOCH_MS - 20 * MINUTE_MS
        journal.end("waits", 1, ending="user", cause=None, ended_ms=ended_ms, deliveries=[finished("waits")])
        await journal.flush()
        (owed,) = (await journal.queue(9)).due
        journal.keep_owed(owed.postponed(EPOCH_MS + 7 * MINUTE_MS, 503, "answered 503"))


@pytest.fixture
async def filled(shell: Shell, autojump_clock: object) -> Shell:
    await fill(shell.state_dir)
    return shell


async def test_interviews(filled: Shell) -> None:
    """Live and past, of all instances, the newest first, in columns, with nothing a terminal would obey."""
    assert filled("interviews") == 0
    assert filled.out == (
        "INTERVIEW  USER           STARTED               LENGTH   OUTCOME  TOKENS  COST   BACKEND  CAUSE\n"
        "dead       u\ufffd[31m         2026-11-18 11:06:40Z  0:59     timeout  0       $0.00  dead     an hour\n"
        "done       u\ufffd[31m         2026-11-18 11:06:40Z  0:59     timeout  0       $0.00  done     an hour\n"
        "live       user of live   2026-11-18 11:06:40Z  5:00     live     11      $0.00  -        -\n"
        "waits      user of waits  2026-11-18 09:36:40Z  1:10:00  user     0       $0.00  pending  -\n"
    )


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("--live", ["live"]),
        ("--ended", ["dead", "done", "waits"]),
        ("--ending timeout", ["dead", "done"]),
        ("--ended --since 1h", ["dead", "done"]),
        ("--limit 1", ["dead"]),
        ("--limit -3", []),
        ("--user nobody", []),
    ],
)
async def test_interviews_are_chosen(filled: Shell, line: str, names: list[str]) -> None:
    assert filled(f"interviews --json {line}") == 0
    assert [it["interview"] for it in filled.json] == names


async def test_interviews_as_json(filled: Shell) -> None:
    """Everything but the secrets of a session."""
    assert filled("interviews --json --live") == 0
    assert "secret handle" not in filled.out
    assert "digest" not in filled.out
    (live,) = filled.json
    assert live["instance"] == "a"
    assert live["tokens"]["prompt_audio"] == 5
    assert live["cost_dollars"] == pytest.approx(0, abs=0.01)
    assert live["delivered"] is False
    assert live["started"] == "2026-11-18T11:06:40.000Z"


async def test_words_that_were_removed_are_said_to_be(filled: Shell) -> None:
    """PREPPALD_TRANSCRIPT_RETENTION=delivered: the row is there, and nobody takes it for a silent interview."""
    with closing(files.writable(filled.state_dir / "a.db")) as connection:
        for bucket in reader.unsettled(connection):
            writes.settle(connection, bucket)
        assert removing.strip(connection, EPOCH_MS + 2 * MINUTE_MS) == 1
    assert filled("interviews --ending timeout --json") == 0
    assert [it["interview"] for it in filled.json] == ["dead", "done"]
    for line in ("transcript done", "transcript done --format vtt"):
        with pytest.raises(
            PreppaldError, match="words of interview 'done' were removed after their delivery"
        ):
            filled(line)
    assert filled("transcript dead") == 0
    assert filled("outbox show done --payload") == 0
    assert "removed after its delivery, by PREPPALD_TRANSCRIPT_RETENTION" in filled.out
    assert "a word" not in filled.out


async def test_no_interviews(filled: Shell) -> None:
    assert filled("interviews --user nobody") == 0
    assert filled.out == f"no such interviews in {filled.state_dir}\n"


async def test_transcript_as_text(filled: Shell) -> None:
    assert filled("transcript done") == 0
    assert filled.out == (
        "interview done, user u\ufffd[31m, 2026-11-18 11:06:40Z, 0:59, timeout\n"
        "\n"
        "   0:00  AI    a w [interrupted]\n"
        "   0:00  USER  a word 5 a word 6 a word 7 a word 8 a word 9\n"
        "   0:01  AI    a word 10 a word 11 a word 12\n"
    )
    assert filled("transcript live") == 0
    assert filled.out.splitlines()[0].endswith("11:06:40Z, live")
    assert filled("transcript waits") == 0
    assert filled.out.endswith("\nnothing was said\n")


async def test_transcript_as_json(filled: Shell) -> None:
    assert filled("transcript done --format json") == 0
    described = filled.json
    assert [turn["speaker"] for turn in described["turns"]] == ["AI", "USER", "AI"]
    assert [turn["interrupted"] for turn in described["turns"]] == [True, False, False]
    assert described["turns"][1]["content"] == "a word 5 a word 6 a word 7 a word 8 a word 9"
    assert described["ended"] == "2026-11-18T11:07:40.000Z"
    assert filled("transcript live --format json") == 0
    assert filled.json["ended"] is None


async def talked_in_blocks(state_dir: Path) -> None:
    """Two blocks, the second of them still live."""
    async with running(OnDisk(state_dir, "a", reserve_bytes=0)) as journal:
        journal.begin(interview("iv", block=1))
        journal.add_fragments("iv", 1, said(3))
        turns = in_order(fold(said(3)).values())
        owed = transcript_delivery(
            "iv", 1, turns, now_ms=EPOCH_MS, started_ms=EPOCH_MS, ended_ms=EPOCH_MS, block=1
        )
        journal.end("iv", 1, ending="block_left", cause=None, ended_ms=EPOCH_MS + 25_000, deliveries=[owed])
        journal.begin(interview("iv", epoch=2, block=2, started_ms=EPOCH_MS + 26_000))
        journal.add_fragments("iv", 2, said(3, text="another "))
        await journal.flush()


async def test_blocks_are_listed_one_by_one(shell: Shell, autojump_clock: object) -> None:
    """Each with its own debts to the backend."""
    await talked_in_blocks(shell.state_dir)
    assert shell("interviews --json") == 0
    assert [(it["interview"], it["block"], it["phase"], it["backend"]) for it in shell.json] == [
        ("iv", 2, "live", None),
        ("iv", 1, "ended", "pending"),
    ]
    assert shell("interviews") == 0
    assert [line[:12] for line in shell.out.splitlines()[1:]] == ["iv block 2  ", "iv block 1  "]


async def test_the_transcript_of_blocks(shell: Shell, autojump_clock: object, tmp_path: Path) -> None:
    """All of them in their order, or the one that is asked for."""
    await talked_in_blocks(shell.state_dir)
    assert shell("transcript iv") == 0
    first, second = shell.out.split("\n\ninterview ")
    assert first.startswith("interview iv block 1, user user of iv, ")
    assert "a word 1 a word 2 a word 3" in first
    assert second.startswith("iv block 2, user user of iv, ")
    assert "another 1 another 2 another 3" in second
    assert shell("transcript iv --block 1") == 0
    assert shell.out.strip() == first.strip()
    assert shell("transcript iv --format json") == 0
    assert shell.json["interview"] == "iv"
    assert [it["block"] for it in shell.json["blocks"]] == [1, 2]
    assert shell("transcript iv --format json --block 2") == 0
    assert (shell.json["block"], shell.json["epoch"]) == (2, 2)
    for form in ("vtt", "protobuf"):
        with pytest.raises(PreppaldError, match="is of one block: choose it with --block, of 1, 2"):
            shell(f"transcript iv --format {form}")
        assert shell(f"transcript iv --format {form} --block 2 --output {tmp_path / form}") == 0
    assert b"another 1" in (tmp_path / "vtt").read_bytes()
    with pytest.raises(PreppaldError, match="has no block 3: there are 1, 2"):
        shell("transcript iv --block 3")


async def test_an_ordinary_interview_has_no_block(filled: Shell) -> None:
    assert filled("transcript done --format json") == 0
    assert filled.json["block"] is None
    with pytest.raises(PreppaldError, match="'done' has no block 1: it is no interview in blocks"):
        filled("transcript done --block 1")


def _file(path: Path) -> tuple[int, bytes]:
    return stat.S_IMODE(path.stat().st_mode), path.read_bytes()


async def test_transcript_as_protobuf(filled: Shell, tmp_path: Path) -> None:
    """The application's own form, in a file that only its owner reads."""
    output = tmp_path / "done.pb"
    assert filled(f"transcript done --format protobuf --output {output}") == 0
    mode, content = _file(output)
    assert mode == 0o600
    turns = transcript_pb2.Transcript.FromString(content).turns
    assert [(turn.speaker, turn.timestamp_ms) for turn in turns] == [
        (transcript_pb2.AI, EPOCH_MS + 200),
        (transcript_pb2.USER, EPOCH_MS + 1000),
        (transcript_pb2.AI, EPOCH_MS + 2000),
    ]
    assert turns[0].content == "a w [interrupted]"


async def test_bytes_to_a_pipe(filled: Shell) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.commands.test_operator import parser\n"
        "a = parser().parse_args(sys.argv[2:]); sys.exit(a.run(a, Path(sys.argv[1])))"
    )
    done = await trio.to_thread.run_sync(
        lambda: subprocess.run(
            [sys.executable, "-c", code, filled.state_dir, "transcript", "done", "--format", "protobuf"],
            capture_output=True,
            check=True,
        )
    )
    assert len(transcript_pb2.Transcript.FromString(done.stdout).turns) == 3


def test_bytes_are_refused_by_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with pytest.raises(PreppaldError, match="use --output"):
        listing.put(b"\x00", None)


def test_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(PreppaldError, match=r"nowhere.* cannot be written: No such file"):
        listing.put("text", tmp_path / "nowhere" / "file")


def test_an_output_takes_the_place_of_what_was_there_when_it_is_whole(tmp_path: Path) -> None:
    output = tmp_path / "out.txt"
    listing.put("older", output)

    # As a disk that takes two bytes more, and then is full.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2, limits[1]))
    try:
        with pytest.raises(PreppaldError, match=r"out\.txt.* cannot be written: File too large"):
            listing.put("newer", output)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert output.read_text() == "older"
    listing.put("newer", output)
    assert (output.read_text(), [it.name for it in tmp_path.iterdir()]) == ("newer", ["out.txt"])


@pytest.mark.parametrize(
    "line", ["transcript nobody", "outbox show nobody", "outbox export nobody", "outbox drop x"]
)
async def test_nothing_of_that_name(filled: Shell, line: str) -> None:
    with pytest.raises(PreppaldError, match="preppald interviews"):
        filled(line)


async def test_outbox_list(filled: Shell) -> None:
    """What is owed; the exit status is for monitors."""
    assert filled("outbox list") == outbox.OVERDUE - 1  # dead letters; nothing has waited for 15 minutes
    assert filled.out == (
        "ID                         STATE    TRIES  AGE   NEXT TRY  STATUS  WAITS FOR\n"
        "dead:1:status:IN_PROGRESS  dead     1      5:00  -         404     "
        "you, to retry or drop it: answered 404 NOT_FOUND\n"
        "dead:1:transcript          dead     1      5:00  -         404     "
        "you, to retry or drop it: answered 404 NOT_FOUND\n"
        "waits:1:transcript         pending  1      5:00  in 2:00   503     the next try: answered 503\n"
    )
    assert filled("outbox list --max-age 2m") == outbox.OVERDUE
    assert filled("outbox list --json --all") == outbox.DEAD_LETTERS
    assert len(filled.json) == 5
    assert filled.json[-1]["next_try"] == "2026-11-18T11:13:40.000Z"


async def test_outbox_show_and_export(filled: Shell, tmp_path: Path) -> None:
    """A transcript is only shown to who asks for it."""
    assert filled("outbox show dead:1:transcript") == 0
    assert "last_error:   answered 404 NOT_FOUND\n" in filled.out
    assert "word" not in filled.out
    assert filled("outbox show done --payload") == 0
    assert "a word 5" in filled.out
    assert filled.out.count("id:") == 2
    assert filled("outbox export dead") == 0
    exported = filled.json
    assert [it["kind"] for it in exported["deliveries"]] == ["status", "transcript"]
    assert exported["deliveries"][1]["payload"]["lines"][1]["content"].startswith("a word 5")


async def test_outbox_retry(filled: Shell) -> None:
    assert filled("outbox retry --all-dead") == 0
    assert filled.out == "2 to be tried now; a running daemon begins within seconds\n"
    assert filled("outbox retry waits") == 0
    assert filled.out.startswith("1 to be tried")
    assert filled("outbox list --json") == 0
    assert [it["waits_for"] for it in filled.json] == [
        "the next try: answered 404 NOT_FOUND",
        "dead:1:status:IN_PROGRESS, which goes before it",
        "the next try: answered 503",
    ]
    assert filled("outbox list") == 0
    assert "dead " not in filled.out
    assert filled.out.count("now") == 3


async def test_an_overtaken_status_is_never_retried(filled: Shell) -> None:
    """In progress after completed would set the interview back."""
    assert filled("outbox retry dead:1:transcript") == 0
    async with running(OnDisk(filled.state_dir, "a", reserve_bytes=0)) as journal:
        (owed,) = (await journal.queue(9)).due
        journal.keep_owed(owed.acknowledged(EPOCH_MS))
    assert filled("outbox retry --all-dead") == 0
    assert filled.out.startswith("0 to be tried now")
    assert "1 left alone: a later delivery" in filled.out
    assert filled("outbox list") == outbox.DEAD_LETTERS


async def test_outbox_drop(filled: Shell) -> None:
    """Only with --yes; dropped is settled."""
    with pytest.raises(PreppaldError, match="would never have these 2: add --yes"):
        filled("outbox drop dead")
    assert filled.out.splitlines() == ["dead:1:status:IN_PROGRESS", "dead:1:transcript"]
    assert filled("outbox drop dead --yes") == 0
    assert filled.out == "2 dropped\n"
    assert filled("outbox list") == 0
    assert filled("outbox drop dead --yes") == 0
    assert filled.out == "nothing to drop: it is settled already\n"
    assert filled("interviews --json --ending timeout") == 0
    assert [it["backend"] for it in filled.json] == ["dropped", "done"]


async def test_beside_a_running_daemon(filled: Shell) -> None:
    """Commands see what is committed and change what they are told to, while the writer writes."""
    async with running(OnDisk(filled.state_dir, "a", reserve_bytes=0)) as journal:
        journal.begin(interview("new"))
        await journal.flush()
        assert filled("interviews --live --json") == 0
        assert {it["interview"] for it in filled.json} == {"live", "new"}
        assert filled("outbox retry --all-dead") == 0
        assert (await journal.queue(9)).pending == 2
        journal.add_fragments("new", 1, said(3))
        await journal.flush()
        assert filled("transcript new") == 0
        assert "a word 3" in filled.out


async def test_the_newest_file_of_an_instance_counts(filled: Shell) -> None:
    """After a failed disk an interview stands in two files: as live in the one, as ended in the other."""
    OnDisk(filled.state_dir, "a").succeed()
    async with running(OnDisk(filled.state_dir, "a", reserve_bytes=0)) as journal:
        assert [it.interview_id for it in journal.live()] == ["live"]
        journal.add_fragments("live", 1, said(3, first=4))
        journal.end("live", 1, ending="user", cause=None, ended_ms=EPOCH_MS, deliveries=[])
    assert filled("interviews --live --json") == 0
    assert filled.json == []
    assert filled("transcript live --format json") == 0
    assert filled.json["ending"] == "user"
    assert filled("outbox list --json") == outbox.DEAD_LETTERS
    assert len(filled.json) == 3
    assert filled("outbox drop dead --yes") == 0
    assert filled.out == "2 dropped\n"
    assert filled("outbox list") == 0


def test_no_state_directory(shell: Shell) -> None:
    with pytest.raises(JournalError, match=r"there is no state directory .*PREPPALD_STATE_DIR"):
        shell("interviews")


def test_an_empty_state_directory(shell: Shell) -> None:
    shell.state_dir.mkdir()
    assert shell("interviews") == 0
    assert shell("outbox list") == 0
    assert shell.out == f"nothing is owed to the backend by {shell.state_dir}\n"


@as_root
@pytest.mark.parametrize(
    "line",
    [
        "outbox list",
        "interviews",
        "journal check",
        "journal backup /nowhere",
        "recording",
        "forget --user ada",
    ],
)
def test_a_state_directory_of_somebody_else(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Seen before: some commands said that nothing is in a directory that they were not let into."""
    with tempfile.TemporaryDirectory() as parent, pytest.MonkeyPatch.context() as env:
        state = Path(parent) / "state"
        state.mkdir(0o700)
        (state / DIRECTORY).mkdir(0o700)
        (state / "preppald.db").touch()
        Path(parent).chmod(0o755)
        env.setenv("PREPPALD_STATE_DIR", str(state))
        with as_user(DAEMONS[0]):
            assert cli.main(line.split()) == EX_IOERR
            assert "may only be read by root: try `sudo -u root preppald …`" in capsys.readouterr().err
        os.chown(state, 64_400, 64_400)
        with as_user(DAEMONS[0]):
            assert cli.main(line.split()) == EX_IOERR
            assert (
                "may only be read by user 64400: try `sudo -u '#64400' preppald …`" in capsys.readouterr().err
            )
        os.chown(state, 0, 0)
        Path(parent).chmod(0)
        with as_user(DAEMONS[0]):
            assert cli.main(line.split()) == EX_IOERR
            assert f"{state} may not be read by this user: try `sudo preppald …`" in capsys.readouterr().err
        Path(parent).chmod(0o700)


async def test_files_that_cannot_be_read(filled: Shell) -> None:
    """The others are served; standard error and the exit status say that it is not all."""
    _spoil(filled.state_dir)
    assert filled("interviews --live") == EX_IOERR
    assert "live" in filled.out
    assert "garbage.db cannot be read" in filled.err
    assert "newer.db was written by a newer preppald" in filled.err
    assert "fresh.db" not in filled.err
    assert filled("outbox list") == EX_IOERR
    # What can be changed is.
    archive = Archive(filled.state_dir)
    assert archive.drop(["dead:1:transcript", "nowhere"], 1) == 1
    assert any("garbage.db cannot be changed" in fault for fault in archive.faults)


def _spoil(state_dir: Path) -> None:
    (state_dir / "garbage.db").write_bytes(b"x" * 5000)
    (state_dir / "fresh.db").touch()
    database = sqlite3.connect(state_dir / "newer.db")
    database.execute("PRAGMA user_version = 99")
    database.close()


async def test_an_older_schema_waits_for_the_daemon(filled: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("preppald.journal.schema.MIGRATIONS", ("",) * 99)
    assert filled("interviews") == EX_IOERR
    assert "start the daemon once" in filled.err


async def test_a_payload_that_cannot_be_read(filled: Shell) -> None:
    """The very thing that an operator wants to see."""
    _spoil_payloads(filled.state_dir / "b.db")
    assert filled("outbox show waits --payload") == 0
    assert "not \ufffd json" in filled.out


def _spoil_payloads(database: Path) -> None:
    with closing(files.writable(database)) as connection:
        for owed in reader.owed(connection):
            delivery = replace(owed.delivery, payload=b"not \xff json")
            writes.change_owed(connection, replace(owed, delivery=delivery))


@pytest.mark.parametrize(
    ("text", "milliseconds"), [("90s", 90_000), ("15m", 900_000), ("2h", 7_200_000), ("7d", 604_800_000)]
)
def test_ages(text: str, milliseconds: int) -> None:
    assert listing.age(text) == milliseconds


@pytest.mark.parametrize("text", ["", "5", "h", "-1h", "1w", "1.5h"])
def test_ages_that_are_none(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="90s, 15m, 2h or 7d"):
        listing.age(text)


@pytest.mark.parametrize(
    ("milliseconds", "text"), [(None, "-"), (-5, "0:00"), (61_000, "1:01"), (3_723_000, "1:02:03")]
)
def test_spans(milliseconds: int | None, text: str) -> None:
    assert listing.span(milliseconds) == text


@pytest.mark.parametrize(
    "name",
    [
        "status",
        "end",
        "drain",
        "undrain",
        "forget",
        "audit",
        "interviews",
        "transcript",
        "outbox",
        "outbox list",
    ],
)
def test_help_teaches(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Examples and exit statuses are where people look."""
    with pytest.raises(SystemExit) as stop:
        parser().parse_args([*name.split(), "--help"])
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert "exit status" in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_every_command_is_wired() -> None:
    """Each parser leads to a function that takes the state directory."""
    for line in ("interviews", "transcript x", "outbox list", "outbox show x", "outbox retry x"):
        run: Callable[[argparse.Namespace, Path], int] = parser().parse_args(line.split()).run
        assert callable(run)
