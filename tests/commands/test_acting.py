"""The commands that act on a running daemon: over its socket, in words and as JSON, with every mistake a sentence."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
import json
from pathlib import Path
import shutil
import socket
import stat
import tempfile
import threading
import time
from typing import Any

import msgspec
import pytest
import trio

from preppald import cli
from preppald.backend.outcomes import Refused
from preppald.commands.daemons import Daemon
from preppald.daemon.orders import PATH_BYTES, Action, Answer, Ended, JournalNow, Order, Owed, StatusNow
from preppald.errors import EX_TEMPFAIL, EX_UNAVAILABLE, PreppaldError
from preppald.interview.now import InterviewNow
from preppald.journal import OnDisk
from preppald.telemetry.health import Trouble
from tests.commands.standing import standing
from tests.durable import interview, running


class Shell:
    """Runs a command line; ``out`` and ``err`` are what it printed."""

    def __init__(self, state_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.state_dir = state_dir
        self._capsys = capsys
        self.out = self.err = ""

    def __call__(self, *words: str) -> int:
        try:
            return cli.main(words)
        finally:
            self.out, self.err = self._capsys.readouterr()

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """A short path: a socket's may have 107 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="acts"))
    (folder / "state").mkdir(mode=0o700)
    yield folder / "state"
    shutil.rmtree(folder)


@pytest.fixture
def shell(state_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("PREPPALD_STATE_DIR", str(state_dir))
    monkeypatch.delenv("PREPPALD_ENV_FILE", raising=False)
    return Shell(state_dir, capsys)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_what_runs_is_seen_ended_and_drained(shell: Shell) -> None:
    """The whole way of an operator at night: look, end one, let no other begin, and let them again."""
    with standing(shell.state_dir) as daemon:
        assert mode(shell.state_dir / "preppald.control") == 0o600
        daemon.interview("iv-1", "ada")
        daemon.interview("iv-2", "bob")
        assert shell("status") == 0, shell.out + shell.err
        assert "instance preppald: running, preppald " in shell.out
        assert "live:        2\n" in shell.out
        assert "owed:        nothing to the backend" in shell.out
        rows = [line.split() for line in shell.out.splitlines() if line.startswith("iv-")]
        assert [row[:2] for row in rows] == [["iv-1", "ada"], ["iv-2", "bob"]]
        assert "Hello" not in shell.out

        assert shell("end", "iv-1", "--reason", "asked for") == 0
        assert shell.out.startswith("interview iv-1 is ended; `preppald outbox list`")
        assert shell("end", "iv-1") == EX_UNAVAILABLE
        assert "interview 'iv-1' is not live on this host" in shell.err
        assert shell("interviews", "--ending", "operator_ended", "--json") == 0
        assert [it["cause"] for it in shell.json] == ["an operator ended it: asked for"]

        assert shell("drain") == 0
        assert shell.out == "instance preppald drains: no interview begins; 1 run\n"
        assert shell("drain", "--wait", "0s") == EX_TEMPFAIL
        assert "still drains" in shell.out
        assert shell("status", "--json") == 0
        (seen,) = shell.json["instances"]
        assert (seen["running"], seen["draining"], seen["unready"]) == (True, True, "draining")
        assert [it["interview"] for it in seen["interviews"]] == ["iv-2"]
        assert shell("end", "iv-2", "--json") == 0
        assert shell.json["ending"] == "operator_ended"
        assert shell("drain", "--wait", "5s", "--json") == 0
        assert shell.json[0]["was"]
        assert shell("undrain") == 0
        assert shell.out == "instance preppald takes new interviews; 0 run\n"
        uid = daemon.world.events("operator.acted")[0]["uid"]
        assert uid == shell.state_dir.stat().st_uid
    assert not list(shell.state_dir.glob("*.control"))


def test_a_socket_in_the_runtime_directory_is_found_by_the_state_directory(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = shell.state_dir.parent / "run"
    runtime.mkdir()
    with standing(shell.state_dir, runtime_directory=runtime):
        assert mode(runtime / "control") == 0o600
        assert (shell.state_dir / "preppald.control").readlink() == runtime / "control"
        assert shell("status") == 0
        # Also where the state directory's own path is longer than a socket's may be.
        deep = shell.state_dir.parent / ("x" * PATH_BYTES)
        deep.symlink_to(shell.state_dir)
        monkeypatch.setenv("PREPPALD_STATE_DIR", str(deep))
        assert shell("status") == 0
    assert not list(runtime.iterdir())


def test_of_two_instances_the_one_that_is_meant_acts(shell: Shell) -> None:
    with standing(shell.state_dir, "a") as first, standing(shell.state_dir, "b") as other:
        first.interview("iv-1", "ada")
        other.interview("iv-2", "bob")
        assert shell("drain") == EX_UNAVAILABLE
        assert "several instances run (a, b): name one with --instance, or all with --all" in shell.err
        assert shell("drain", "--instance", "b", "--json") == 0
        assert [it["instance"] for it in shell.json] == ["b"]
        assert shell("status", "--json") == 0
        assert [it["draining"] for it in shell.json["instances"]] == [False, True]
        assert shell("status", "--instance", "b", "--json") == 0
        assert [it["instance"] for it in shell.json["instances"]] == ["b"]
        assert shell("end", "iv-2", "--json") == 0
        assert shell.json["instance"] == "b"
        assert shell("undrain", "--all", "--json") == 0
        assert [(it["instance"], it["was"]) for it in shell.json] == [("a", False), ("b", True)]
        assert shell("drain", "--instance", "c") == EX_UNAVAILABLE
        assert "there is no instance 'c'" in shell.err


def test_what_asks_for_an_operator_is_seen_at_once(shell: Shell) -> None:
    """Troubles stand above the interviews, each with what to look at, and the exit status says so to a monitor."""
    with standing(shell.state_dir, max_sessions="1") as daemon:
        world = daemon.world
        world.backend.answer = lambda _delivery: Refused(404, "NOT_FOUND")
        daemon.interview("iv-1", "ada")

        async def trouble() -> None:
            world.services.gemini.health.begin(Trouble.GEMINI_KEY, "Gemini refuses the API key")
            await daemon.candidates[0].stream.aclose()
            while not (world.registry.waiting and world.outbox.statistics().dead):  # noqa: ASYNC110 - no event
                await trio.sleep(0.05)

        daemon.do(trouble)
        assert shell("status") == 1
        lines = shell.out.splitlines()
        assert lines[1:4] == [
            "  degraded:    Gemini refuses the API key",
            "  not ready:   at capacity: no interview begins",
            "  live:        1, 1 without a browser",
        ]
        assert "1 refused for good (`preppald outbox list`)" in lines[4]
        assert "away 0:0" in lines[-2]
        assert shell("status", "--json") == 1
        assert not shell.json["instances"][0]["well"]


def test_an_audit_that_cannot_be_written_stops_no_action(shell: Shell) -> None:
    (shell.state_dir / "audit.jsonl").mkdir()
    with standing(shell.state_dir) as daemon:
        assert shell("drain") == 0
        (line,) = daemon.world.events("audit.not_written")
        assert (line["action"], line["why"]) == ("drain", "Is a directory")


@pytest.mark.parametrize("words", [("status",), ("end", "iv-1"), ("drain",), ("undrain",)])
def test_where_nothing_runs_a_sentence_says_so(shell: Shell, words: tuple[str, ...]) -> None:
    assert shell(*words) == EX_UNAVAILABLE
    assert (
        "is PREPPALD_STATE_DIR what the daemon has?" in shell.out + shell.err or "no daemon runs" in shell.err
    )


@pytest.mark.parametrize("words", [("status",), ("end", "iv-1"), ("drain",), ("undrain",)])
def test_where_there_is_no_state_directory_a_sentence_says_so(shell: Shell, words: tuple[str, ...]) -> None:
    shell.state_dir.rmdir()
    assert shell(*words) == EX_UNAVAILABLE
    assert "there is no state directory" in shell.err


async def test_what_a_stopped_instance_left_is_counted(shell: Shell, autojump_clock: object) -> None:
    async with running(OnDisk(shell.state_dir, "gone", reserve_bytes=0)) as journal:
        journal.begin(interview("left"))
        await journal.flush()
    assert shell("status") == EX_UNAVAILABLE
    assert "instance gone: does not run; 1 interviews go on when it, or another instance, starts" in shell.out
    assert shell("drain", "--instance", "gone") == EX_UNAVAILABLE
    assert f"instance gone of {shell.state_dir} does not run: start it" in shell.err


def test_a_daemon_without_a_socket_is_told_from_one_that_does_not_run(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path that is too long for a socket: the daemon says so and serves; so do the commands."""
    deep = shell.state_dir / ("d" * PATH_BYTES)
    monkeypatch.setenv("PREPPALD_STATE_DIR", str(deep))
    with standing(deep) as daemon:
        daemon.interview("iv-1", "ada")
        (line,) = daemon.world.events("control.unavailable")
        assert "shorten PREPPALD_STATE_DIR" in str(line["why"])
        assert shell("status") == 1
        assert "runs, and listens for no orders: the path" in shell.out
        assert shell("drain") == EX_UNAVAILABLE
        assert "shorten PREPPALD_STATE_DIR" in shell.err
        assert shell("status", "--json") == 1
        assert "unreachable" in shell.json["instances"][0]


def test_what_is_left_of_a_killed_daemon_is_replaced(shell: Shell) -> None:
    path = shell.state_dir / "preppald.control"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    assert shell("drain", "--instance", "preppald") == EX_UNAVAILABLE
    assert "does not run: start it" in shell.err
    with standing(shell.state_dir):
        assert shell("drain") == 0


@contextmanager
def answering(state_dir: Path, *answers: bytes, waits: float = 0.0) -> Iterator[None]:
    """A daemon that gives these answers, one a connection."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(state_dir / "odd.control"))
        listening.listen()

        def answer() -> None:
            for it in answers:
                theirs, _ = listening.accept()
                with theirs, suppress(BrokenPipeError):
                    theirs.recv(4096)
                    time.sleep(waits)
                    theirs.sendall(it)

        thread = threading.Thread(target=answer)
        thread.start()
        yield
        thread.join()


@pytest.mark.parametrize(
    ("answered", "words"),
    [
        (b"", "it has just stopped"),
        (b"what?\n", "it may be of another version"),
        (b'{"done":{"instance":1}}\n', "it may be of another version"),
        (b"{}\n", "it may be of another version"),
    ],
)
def test_a_daemon_that_answers_oddly_is_a_sentence(shell: Shell, answered: bytes, words: str) -> None:
    with answering(shell.state_dir, answered):
        assert shell("undrain", "--instance", "odd") in {EX_UNAVAILABLE, 70}
    assert words in shell.err


OWED = Owed(pending=3, dead=0, oldest_seconds=125.0, paused=True, held=2)
JOURNAL = JournalNow(fault="the disk is full", pending_bytes=9, damaged_rows=2, left_files=1)
LIVE = InterviewNow(
    interview="iv-1", user="ada", block=2, epoch=1, started_ms=0, age_seconds=61.0, left_seconds=3599.0,
    floor="nobody", waiting_seconds=None, gap_seconds=4.0, rotations=0, restorations=1, tokens=5, cost_dollars=0.5,
)  # fmt: skip
STATUS = StatusNow(
    instance="odd", version="9", pid=7, up_seconds=3661.0, stopping=True, draining=True, unready="draining",
    degraded=[], waiting=0, connections=1, carried=4, owed=OWED, journal=JOURNAL, interviews=[LIVE],
)  # fmt: skip


def done(answer: msgspec.Struct) -> bytes:
    return msgspec.json.encode(Answer(done=msgspec.Raw(msgspec.json.encode(answer)))) + b"\n"


def test_every_state_of_a_daemon_has_its_words(shell: Shell) -> None:
    with answering(shell.state_dir, done(STATUS)):
        assert shell("status") == 1
    assert shell.out.splitlines() == [
        "instance odd: stopping, preppald 9, pid 7, up 1:01:01",
        "  journal:     the disk is full",
        "  live:        1",
        "  carried:     4 connections for another instance",
        (
            "  owed:        3 to the backend, the oldest for 2:05 (`preppald outbox list` says why), "
            "paused: the backend refuses WORKER_SHARED_SECRET: give both sides the same, 2 wait for the shared journal"
        ),
        "  damage:      2 rows set aside, 1 files left: `preppald journal check`",
        "",
        "INTERVIEW     USER  AGE   LEFT   FLOOR   BROWSER  GEMINI     COST",
        "iv-1 block 2  ada   1:01  59:59  nobody  here     away 0:04  $0.50",
        "",
    ]


@pytest.mark.parametrize(
    ("ending", "over", "words"),
    [
        ("operator_ended", False, "interview iv-1 block 2 is ending; its goodbye takes longer than usual"),
        ("user_ended", True, "interview iv-1 block 2 was just ending by itself (user_ended)"),
    ],
)
def test_an_end_that_is_not_quite_one_is_told(
    shell: Shell,
    ending: str,
    over: bool,  # noqa: FBT001 - a column
    words: str,
) -> None:
    ended = Ended(instance="odd", interview="iv-1", block=2, ending=ending, over=over)
    with answering(shell.state_dir, done(STATUS), done(ended)):
        assert shell("end", "iv-1") == 0
    assert words in shell.out


def test_a_daemon_that_says_nothing_is_given_up(shell: Shell) -> None:
    with answering(shell.state_dir, b"", waits=1.0):
        daemon = Daemon(shell.state_dir, "odd")
        with pytest.raises(PreppaldError, match="instance odd has not answered for 0 s: see its log"):
            daemon.order(Order(action=Action.STATUS), StatusNow, seconds=0.2)


def test_watching_goes_on_until_it_is_stopped(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []

    def look_again(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            raise KeyboardInterrupt

    with standing(shell.state_dir):
        monkeypatch.setattr(time, "sleep", look_again)
        assert shell("status", "--watch", "0.5", "--json") == cli.INTERRUPTED
    assert looks == [0.5] * 3
    assert [json.loads(line)["instances"][0]["well"] for line in shell.out.splitlines()] == [True] * 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("end",), "the following arguments are required: ID"),
        (("end", "no such/name"), "must be 1 to 64 of A-Z a-z 0-9 _ -"),
        (("drain", "--wait", "soon"), "is not an age like 90s, 15m, 2h or 7d"),
        (("drain", "--instance", "a", "--all"), "not allowed with argument"),
        (("status", "--watch", "never"), "must be a number from 0.2 to 3600"),
        (("undrain", "now"), "unrecognized arguments: now"),
    ],
)
def test_wrong_arguments_are_told(shell: Shell, words: tuple[str, ...], said: str) -> None:
    with pytest.raises(SystemExit) as left:
        shell(*words)
    assert left.value.code == 2
    assert said in shell.err
