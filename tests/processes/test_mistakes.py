"""Every mistake is a sentence with an exit status: what can be wrong about a command, a file, a port, a terminal.

Each runs as a process of its own. None of them may end in a traceback.
"""

from dataclasses import dataclass, field
import os
from pathlib import Path
import signal
import socket
import subprocess
import sys
import time

import pytest

from preppald.cli import COMMANDS, INTERRUPTED
from preppald.errors import EX_CONFIG, EX_DATAERR, EX_IOERR, EX_UNAVAILABLE

PATIENCE_SECONDS = 60.0
USAGE = 2
# A daemon that could start, without a network.
SETTINGS = {
    "JWT_SECRET": "s" * 40,
    "GEMINI_API_KEY": "k" * 39,
    "PREPPALD_BACKEND": "none",
    "PREPPALD_LISTEN": "127.0.0.1:0",
    "PREPPALD_ADMIN_LISTEN": "127.0.0.1:0",
}
# What they print is small, and nothing has to be there for it.
PRINTING = ("check", "check --json", "check --list", "token", "interviews", "outbox list --json", "recording")


@dataclass
class Desk:
    """A folder to work in, with a state directory, and the environment of who works there."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.folder / "state").mkdir()
        kept = ("PATH", "HOME", "COVERAGE_PROCESS_START")
        self.env = {name: os.environ[name] for name in kept if name in os.environ}
        self.env |= SETTINGS | {"PREPPALD_STATE_DIR": "state", "PYTHONPATH": str(Path.cwd())}

    def run(self, words: str, shell: str = "", **env: str) -> tuple[int, str]:
        """Run `preppald WORDS`, with this behind it in a shell; return its status and what it said on stderr."""
        command = f'"{sys.executable}" -m preppald {words} {shell}'
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {command}"],
            cwd=self.folder,
            env=self.env | env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        said = done.stderr.decode("utf-8", "replace")
        assert "Traceback" not in said
        assert "Exception ignored" not in said
        return done.returncode, said


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


# ------------------------------------------------------------------ wrong words


@pytest.mark.parametrize("command", [*COMMANDS, "chek", ""])
def test_words_that_no_command_has(desk: Desk, command: str) -> None:
    status, said = desk.run(f"{command} --juggle")
    assert status == USAGE
    assert "usage: preppald" in said


@pytest.mark.parametrize(
    ("words", "expected", "sentence"),
    [
        ("demo --scenario nope", EX_UNAVAILABLE, "--scenario: no scenario is called 'nope'"),
        ("demo --scenario nowhere.toml", EX_UNAVAILABLE, "nowhere.toml: cannot be read"),
        ("demo --listen nope", EX_CONFIG, "--listen: 'nope' is not host:port"),
        ("demo --limit abc", EX_CONFIG, "--limit: 'abc' is not a duration"),
        ("demo --listen 192.0.2.1:80", EX_UNAVAILABLE, "--listen=192.0.2.1:80 cannot be listened on"),
        ("demo --tls-cert nowhere.pem", EX_CONFIG, "--tls-key"),
        ("simulate --scenario nope", EX_UNAVAILABLE, "no scenario is called 'nope'"),
        ("simulate --speed 0", USAGE, "--speed: '0' must be a number"),
        ("simulate --listen 8790", USAGE, "--listen: '8790' is not host:port"),
        ("simulate --listen 127.0.0.1:0 --record /nowhere/x", EX_UNAVAILABLE, "/nowhere/x: No such file"),
        ("simulate --certificate nowhere.pem", EX_UNAVAILABLE, "nowhere.pem: No such file"),
        ("simulate --certificate text", EX_UNAVAILABLE, "no certificate in PEM"),
        ("token --interview müller-1", USAGE, "1 to 64 of A-Z a-z 0-9 _ -"),
        ("token --lifetime -5", USAGE, "--lifetime"),
        ("token --lifetime 99999999999999999999", USAGE, "--lifetime"),
        ("call", USAGE, "either FILE.wav or --sample"),
        ("call nowhere.wav", EX_DATAERR, "nowhere.wav cannot be read"),
        ("call state", EX_DATAERR, "state cannot be read: Is a directory"),
        ("call text", EX_DATAERR, "text"),
        ("call --sample --url http://x", USAGE, "--url 'http://x' must look like ws://"),
        ("call --sample --ca nowhere.pem", USAGE, "--ca nowhere.pem cannot be read"),
        ("call --sample --token x", USAGE, "the token is not a JWT"),
        ("call --sample --token-file nowhere", USAGE, "--token-file nowhere cannot be read"),
        ("call --sample --save nowhere/x.wav", USAGE, "there is no folder nowhere"),
        ("call --sample --url ws://127.0.0.1:1", 4, "could not be reached"),
        ("interviews --since 9y", USAGE, "is not an age"),
        ("transcript nope", EX_UNAVAILABLE, "there is no interview 'nope'"),
        ("transcript $'\\xff'", USAGE, "holds bytes that are no UTF-8"),
        ("recording nope", EX_UNAVAILABLE, "there is no recording of interview 'nope'"),
        ("recording nope --epoch 99999999999999999999", USAGE, "--epoch"),
        ("recording --delete", EX_UNAVAILABLE, "which interview?"),
        ("outbox show $'\\xff'", USAGE, "holds bytes that are no UTF-8"),
        ("outbox retry", USAGE, "required"),
    ],
)
def test_wrong_arguments(desk: Desk, words: str, expected: int, sentence: str) -> None:
    (desk.folder / "text").write_text("no sound, no certificate", "utf-8")
    status, said = desk.run(words)
    assert sentence in said
    assert status == expected


def test_a_limit_that_no_database_can_count(desk: Desk) -> None:
    assert desk.run("interviews --limit 99999999999999999999") == (0, "")


# ------------------------------------------------------------------ files and folders


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("serve", EX_UNAVAILABLE),
        ("check", EX_CONFIG),
        ("interviews", EX_IOERR),
        ("outbox list", EX_IOERR),
        ("transcript iv", EX_IOERR),
        ("recording", EX_IOERR),
    ],
)
def test_a_state_directory_that_is_a_file(desk: Desk, command: str, expected: int) -> None:
    (desk.folder / "file").touch()
    status, said = desk.run(command, PREPPALD_STATE_DIR="file")
    assert "state directory file" in said
    assert status == expected


@pytest.mark.parametrize("command", ["serve", "check", "token", "interviews", "call --sample", "outbox list"])
@pytest.mark.parametrize("what", ["missing", "a folder", "for everybody", "not text"])
def test_an_env_file_that_cannot_be_used(desk: Desk, command: str, what: str) -> None:
    file = desk.folder / "preppald.env"
    if what == "a folder":
        file.mkdir()
    elif what != "missing":
        file.write_bytes(b"\xff" if what == "not text" else b"PREPPALD_VOICE=Puck\n")
        file.chmod(0o644 if what == "for everybody" else 0o600)
    status, said = desk.run(command, PREPPALD_ENV_FILE="preppald.env", JWT_SECRET="")
    assert "preppald.env" in said
    assert status == EX_CONFIG


def test_a_secret_file_that_this_user_may_not_read(desk: Desk) -> None:
    (desk.folder / "secret").write_text("s" * 40, "utf-8")
    (desk.folder / "secret").chmod(0o644)
    for command in ("serve", "check", "token"):
        status, said = desk.run(command, JWT_SECRET="", JWT_SECRET_FILE="secret")
        assert "JWT_SECRET: secret may be read by everybody" in said
        assert status == EX_CONFIG


def test_a_folder_that_is_gone(desk: Desk) -> None:
    """The shell still stands in it."""
    for command, expected in (("check", 0), ("interviews", EX_IOERR), ("demo --listen nope", EX_CONFIG)):
        words = f"mkdir gone; cd gone; rmdir ../gone; '{sys.executable}' -m preppald {command}"
        env = desk.env | {"PREPPALD_RECORD": "on", "PREPPALD_STATE_DIR": "/tmp" if expected == 0 else "state"}
        done = subprocess.run(
            ["bash", "-c", words], cwd=desk.folder, env=env, capture_output=True, text=True, check=False
        )
        assert "Traceback" not in done.stderr
        assert done.returncode == expected, done.stderr


# ------------------------------------------------------------------ ports


@pytest.mark.parametrize(
    ("command", "setting"),
    [
        ("serve", "PREPPALD_LISTEN"),
        ("serve", "PREPPALD_ADMIN_LISTEN"),
        ("demo --listen {}", "--listen={}"),
        ("simulate --listen {}", "{}"),
        ("simulate --listen 127.0.0.1:0 --backend-listen {}", "{}"),
    ],
)
def test_a_port_that_is_taken(desk: Desk, command: str, setting: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        env = {setting: address} if command == "serve" else {}
        status, said = desk.run(command.format(address), **env)
    assert setting.format(address) in said
    assert "in use" in said
    assert status == EX_UNAVAILABLE


# ------------------------------------------------------------------ where the output goes


@pytest.mark.parametrize("words", PRINTING)
def test_a_full_disk_behind_the_output(desk: Desk, words: str) -> None:
    status, said = desk.run(words, ">/dev/full")
    assert said == (
        "preppald: the output cannot be written (No space left on device): make room, or send it elsewhere\n"
    )
    assert status == EX_IOERR


@pytest.mark.parametrize(
    "words", ["demo --listen 127.0.0.1:0", "call --sample --url ws://127.0.0.1:1 --json"]
)
def test_a_full_disk_behind_the_output_of_what_runs(desk: Desk, words: str) -> None:
    status, said = desk.run(words, ">/dev/full")
    assert "the output cannot be written" in said
    assert status == EX_IOERR


@pytest.mark.parametrize("words", PRINTING)
def test_an_output_that_nobody_reads(desk: Desk, words: str) -> None:
    """``preppald recording | head``: as every command that writes into a pipe, it ends without a word."""
    status, said = desk.run(words, "| true")
    assert said == ""
    assert status in {0, 1}


@pytest.mark.parametrize("words", PRINTING)
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_streams_that_are_closed(desk: Desk, words: str, closed: str) -> None:
    assert desk.run(words, closed) == (0, "")


@pytest.mark.parametrize("words", PRINTING)
@pytest.mark.parametrize("locale", ["C", "POSIX", "nowhere"])
def test_any_locale(desk: Desk, words: str, locale: str) -> None:
    # LANG alone: bash itself warns of an LC_ALL that is not installed.
    assert desk.run(words, LANG=locale) == (0, "")


def test_an_output_that_cannot_hold_the_text(desk: Desk) -> None:
    """An interview's words are in any script, a terminal's need not be."""
    status, said = desk.run("check", "| cat", PYTHONIOENCODING="ascii", PREPPALD_PERSONA="Frau Müller")
    assert (status, said) == (0, "")


# ------------------------------------------------------------------ Ctrl-C

# Ctrl-C comes when this module is about to be read.
INTERRUPTING = """
import os, runpy, signal, sys
at = sys.argv.pop(1)
def hook(event, args):
    if event == "import" and args[0] == at:
        os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(hook)
runpy.run_module("preppald", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize(
    ("stage", "command"),
    [
        (stage, command)
        for stage in ("preppald.cli", "preppald.errors", "trio", "msgspec", "preppald.journal")
        for command in ("serve", "check", "demo", "call --sample", "simulate", "interviews")
        # The simulator never reads the journal, so that nothing would end it.
        if (stage, command) != ("preppald.journal", "simulate")
    ],
)
def test_ctrl_c_while_it_starts(desk: Desk, command: str, stage: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTING, stage, *command.split()],
        cwd=desk.folder,
        env=desk.env | {"PREPPALD_LISTEN": "nonsense"},  # what is interrupted too late ends by itself
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert "Traceback" not in done.stderr
    read = "preppald.journal" not in stage or command in {"serve", "demo", "interviews"}
    if read and not (command == "interviews" and stage == "trio"):
        assert done.returncode == INTERRUPTED


@pytest.mark.parametrize(
    ("command", "ready", "expected"),
    [
        ("serve", "daemon.ready", 0),
        ("demo --listen 127.0.0.1:0", "The demo is at", 0),
        ("simulate --listen 127.0.0.1:0 --backend-listen 127.0.0.1:0", "simulator.ready", 0),
    ],
)
def test_ctrl_c_while_it_runs(desk: Desk, command: str, ready: str, expected: int) -> None:
    with (desk.folder / "output").open("w+") as output:
        running = subprocess.Popen(
            [sys.executable, "-m", "preppald", *command.split()],
            cwd=desk.folder,
            env=desk.env,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            give_up = time.monotonic() + PATIENCE_SECONDS
            while ready not in (said := (desk.folder / "output").read_text("utf-8")):
                assert time.monotonic() < give_up, said
                time.sleep(0.05)
            running.send_signal(signal.SIGINT)
            assert running.wait(PATIENCE_SECONDS) == expected
        finally:
            running.kill()
            running.wait()
    assert "Traceback" not in (desk.folder / "output").read_text("utf-8")
