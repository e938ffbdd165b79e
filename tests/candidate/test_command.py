"""``preppald call`` as it is run: arguments, real processes, a real terminal, Ctrl-C."""

import argparse
from array import array
from collections.abc import Sequence
import contextlib
import functools
import json
import os
from pathlib import Path
import pty
import signal
import socket
import subprocess
import sys
import wave

import pytest
import trio

from preppald.candidate.display import PlainDisplay, TerminalDisplay
from preppald.commands import call
from preppald.core import tokens as auth
from preppald.net.stops import SAME_STOP_SECONDS
from preppald.pb import interview_pb2 as pb

from .daemon import Daemon, Line, Script, interview

SECRET = "0123456789abcdef0123456789abcdef"
COMMAND = """
import argparse, sys
from preppald.commands import call
parser = argparse.ArgumentParser(prog="preppald")
call.add_to(parser.add_subparsers())
arguments = parser.parse_args(["call", *sys.argv[1:]])
sys.exit(arguments.run(arguments))
"""
# A process takes a second or two to start on a busy machine; the call itself is a fraction of one.
PATIENCE = 30


def run(*argv: str) -> int:
    """The command within this process."""
    parser = argparse.ArgumentParser(prog="preppald")
    call.add_to(parser.add_subparsers())
    arguments = parser.parse_args(["call", *argv])
    status: int = arguments.run(arguments)
    return status


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JWT_SECRET", SECRET)
    monkeypatch.delenv("PREPPALD_TOKEN", raising=False)


# ------------------------------------------------------------ before the call


@pytest.mark.parametrize(
    ("argv", "status", "complaint"),
    [
        ([], 2, "say what to say: either FILE.wav or --sample"),
        (["x.wav", "--sample"], 2, "say what to say: either FILE.wav or --sample"),
        (["--sample", "--url", "http://x"], 2, "--url 'http://x' must look like ws://127.0.0.1:8787"),
        (
            ["--sample", "--save", "/no/where.wav"],
            2,
            "/no/where.wav cannot be written: there is no folder /no",
        ),
        (["/dev/null", "--repeat", "2"], 2, "/dev/null can be read only once: --repeat needs a regular file"),
        (["--sample", "--token", "x"], 2, "the token is not a JWT"),
        (["/no/such.wav"], 65, "/no/such.wav cannot be read: No such file or directory"),
        ([__file__], 65, "cannot be used: it is not a WAV file"),
        (["--sample", "--save", "/"], 74, "/ cannot be written: Is a directory"),
    ],
)
def test_what_cannot_be_called_is_told_in_one_sentence(
    capsys: pytest.CaptureFixture[str], argv: list[str], status: int, complaint: str
) -> None:
    assert run(*argv) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("preppald call: ")
    assert complaint in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "option",
    [
        ["--speed", "0"],
        ["--speed", "fast"],
        ["--wait", "-1"],
        ["--hold", "nan"],
        ["--repeat", "0"],
        ["--repeat", "x"],
    ],
)
def test_numbers_out_of_range_are_usage_errors(capsys: pytest.CaptureFixture[str], option: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run("--sample", *option)
    assert caught.value.code == 2
    assert f"argument {option[0]}: '{option[1]}' must be a" in capsys.readouterr().err


def test_the_recording_may_not_overwrite_the_file(
    capsys: pytest.CaptureFixture[str], two_seconds: Path
) -> None:
    before = two_seconds.read_bytes()
    assert run(str(two_seconds), "--save", str(two_seconds)) == 2
    assert "is the file to say" in capsys.readouterr().err
    assert two_seconds.read_bytes() == before


def test_json_is_printed_even_for_a_bad_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("/no/such.wav", "--json") == 65
    told = json.loads(capsys.readouterr().out)
    assert (told["ending"], told["status"]) == ("bad-file", 65)
    assert told["reason"] == "/no/such.wav cannot be read: No such file or directory."


def test_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as bound:  # bound but not listening: nobody else can have it
        bound.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{bound.getsockname()[1]}"
        assert run("--sample", "--url", url) == 4
        assert run("--sample", "--url", url, "--quiet") == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert "The daemon could not be reached." in err
    assert "Connection refused" in err
    assert err.splitlines()[-1].startswith("preppald call: The daemon could not be reached.")


def test_ctrl_c_before_the_call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(call, "checked_url", interrupted)
    assert run("--sample", "--quiet") == 130
    assert capsys.readouterr().err == "preppald call: The call was interrupted.\n"


def test_ctrl_c_in_the_first_moment_of_the_call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: object) -> None:
        raise BaseExceptionGroup("a nursery's", [KeyboardInterrupt()])

    monkeypatch.setattr("trio.run", interrupted)
    assert run("--sample", "--quiet") == 130
    assert capsys.readouterr().err == "preppald call: The call was interrupted.\n"


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise ExceptionGroup("a nursery's", [LookupError("bug")])

    monkeypatch.setattr("trio.run", broken)
    with pytest.RaisesGroup(LookupError):
        run("--sample")


def test_a_transcript_that_cannot_be_written_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{bound.getsockname()[1]}"
        assert run("--sample", "--url", url, "--transcript", str(tmp_path)) == 74
    assert f"{tmp_path} cannot be written: Is a directory" in capsys.readouterr().err


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    arguments = argparse.Namespace(quiet=False, json=False)
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(call.display_for(arguments), TerminalDisplay)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(call.display_for(arguments), PlainDisplay)


def test_the_help_tells_every_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("--help")
    text = capsys.readouterr().out
    for status in (0, 2, 3, 4, 5, 6, 7, 8, 9, 65, 74, 130):
        assert f"\n  {status:3}  " in text


# ------------------------------------------------------------ real processes


async def called(
    script: Script, *argv: str, interrupt_at: Sequence[str] = (), stdout: int = subprocess.PIPE
) -> tuple[int, str, str, Line]:
    """Run the command against a daemon on a real socket; a Ctrl-C once stderr says each of ``interrupt_at``.

    It comes as two signals, as to the one-file binary, and the next one a second later, as from a person who reads.
    """
    async with trio.open_nursery() as nursery:
        daemon = Daemon(nursery, [script])
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        url = f"ws://127.0.0.1:{listener.socket.getsockname()[1]}"
        nursery.start_soon(trio.serve_listeners, daemon.serve_stream, [listener])
        with trio.fail_after(PATIENCE):
            command = [sys.executable, "-c", COMMAND, *argv, "--url", url]
            process: trio.Process = await nursery.start(
                functools.partial(
                    trio.run_process, command, stdout=stdout, stderr=subprocess.PIPE, check=False
                )
            )
            awaited = list(interrupt_at)
            out, err = bytearray(), bytearray()
            async with trio.open_nursery() as readers:
                if process.stdout is not None:
                    readers.start_soon(drain, process.stdout, out)
                assert process.stderr is not None
                async for data in process.stderr:
                    err += data
                    if awaited and awaited[0].encode() in err:
                        del awaited[0]
                        if len(awaited) + 1 < len(interrupt_at):
                            await trio.sleep(SAME_STOP_SECONDS)
                        process.send_signal(signal.SIGINT)
                        process.send_signal(signal.SIGTERM)  # two of one kind would merge
            status = await process.wait()
        nursery.cancel_scope.cancel()
    assert SECRET.encode() not in out + err
    assert b"Traceback" not in err
    return status, out.decode(), err.decode(), daemon.lines[0]


async def drain(stream: trio.abc.ReceiveStream, into: bytearray) -> None:
    async for data in stream:
        into.extend(data)


async def test_a_call_from_a_script(two_seconds: Path, tmp_path: Path) -> None:
    """Lines of finished turns on stdout, progress on stderr, the reply and the transcript on disk."""
    reply, talk = tmp_path / "reply.wav", tmp_path / "talk.json"
    status, out, err, line = await called(
        interview, str(two_seconds), "--speed", "10", "--save", str(reply), "--transcript", str(talk)
    )
    assert status == 0
    assert out.splitlines() == ["AI: Hello, tell me.", "USER: I measured it.", "AI: Thank you."]
    assert err.splitlines()[:4] == [
        "-- connecting",
        "-- hearing the greeting",
        "-- speaking",
        "-- hearing the reply",
    ]
    assert "The interview was ended by the candidate." in err.splitlines()[-1]
    assert line.path.startswith("/call-")
    with wave.open(str(reply)) as file:
        assert file.getframerate() == 24_000
        heard = array("h", file.readframes(file.getnframes()))
    assert sum(1 for sample in heard if sample) == 5 * 24_000
    assert [(turn["turn"], turn["speaker"], turn["text"]) for turn in json.loads(talk.read_text())] == [
        (1, "AI", "Hello, tell me."),
        (2, "USER", "I measured it."),
        (3, "AI", "Thank you."),
    ]


async def test_json_is_all_there_is_on_stdout() -> None:
    status, out, err, line = await called(
        interview, "--sample", "--speed", "20", "--json", "--interview", "int-1"
    )
    told = json.loads(out)
    assert (status, told["status"], told["ending"], told["interview"]) == (0, 0, "user", "int-1")
    assert told["turns"] == {"user": 1, "ai": 2}
    assert told["audio_bytes_out"] == len(line.pcm)
    assert err == ""


async def test_on_a_terminal_there_is_a_status_line(
    two_seconds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = pty.openpty()
    seen = bytearray()
    async with trio.open_nursery() as nursery:

        async def watch() -> None:
            # Broken (EIO): the other end was closed.
            async with trio.lowlevel.FdStream(ours) as terminal:
                with contextlib.suppress(trio.BrokenResourceError):
                    async for data in terminal:
                        seen.extend(data)

        nursery.start_soon(watch)
        status, _, _, _ = await called(interview, str(two_seconds), "--speed", "10", stdout=theirs)
        os.close(theirs)
    assert status == 0
    assert b"\x1b[J" in seen
    assert b"s  voice " in seen
    assert b"AI: Thank you.\r\n" in seen


async def test_ctrl_c_ends_the_interview_and_finishes_the_files(two_seconds: Path, tmp_path: Path) -> None:
    """The daemon is told; the header of the recording is right; the transcript is there; exit 130."""

    async def script(line: Line) -> None:
        await line.started()
        await line.transcript("AI", "Hello.")
        await line.speak(1)
        await line.end_request()
        await line.ended(pb.SessionEnded.USER_INITIATED)
        await line.close(1000, "Interview ended by user")

    reply, talk = tmp_path / "reply.wav", tmp_path / "talk.json"
    status, out, err, line = await called(
        script,
        str(two_seconds),
        *("--save", str(reply), "--transcript", str(talk)),
        interrupt_at=["-- speaking"],
    )
    assert (status, out) == (130, "AI: Hello.\n")
    assert "ending the interview; once more to leave at once" in err
    assert "The call was interrupted." in err
    assert line.end_requested
    with wave.open(str(reply)) as file:
        assert file.getnframes() * 2 + 44 == reply.stat().st_size
        assert file.getnframes() > 24_000
    assert json.loads(talk.read_text())[0]["text"] == "Hello."


async def test_a_second_ctrl_c_does_not_wait_for_the_daemon(two_seconds: Path) -> None:
    async def script(line: Line) -> None:
        await line.started()
        await line.until(lambda: False)

    began = trio.current_time()
    status, _, _, _ = await called(
        script, str(two_seconds), interrupt_at=["-- hearing the greeting", "once more"]
    )
    assert status == 130
    assert trio.current_time() - began < 9  # the daemon would have been waited for ten seconds


async def test_the_token_of_the_environment_is_used_and_never_shown(
    two_seconds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = auth.sign("x" * 32, user_id="u", interview_id="int-9", now=1_700_000_000)
    monkeypatch.setenv("PREPPALD_TOKEN", token)
    monkeypatch.delenv("JWT_SECRET")
    status, out, err, line = await called(interview, str(two_seconds), "--speed", "20")
    assert status == 0
    assert (line.path, line.subprotocols) == ("/int-9", ["preppal.v1", f"token.{token}"])
    assert token not in out + err
