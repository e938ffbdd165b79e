"""The commands as an operator runs them: real processes, real sockets, the recorded answer."""

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
import json
import os
from pathlib import Path
import signal
import socket
import subprocess
import sys
import time
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen
import wave

import pytest

from preppald.errors import EX_CONFIG, EX_UNAVAILABLE
from preppald.net.stops import SAME_STOP_SECONDS

JWT_SECRET = "canary-jwt-secret-0123456789-0123456789"
WORKER_SECRET = "canary-worker-secret-0123456789-012345"
API_KEY = "canary-api-key-0123456789"
SPOKEN = "payment service"  # in the recorded answer
# A process on a busy machine.
PATIENCE_SECONDS = 30.0
LOOK_SECONDS = 0.05
PREPPALD = [sys.executable, "-m", "preppald"]
# Where tests are measured, their processes are, too.
MEASURED = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
# Everything three times as fast, the simulator's clocks like the caller's.
SPEED = "3"
SECRETS = {"JWT_SECRET": JWT_SECRET, "WORKER_SHARED_SECRET": WORKER_SECRET, "GEMINI_API_KEY": API_KEY}


@dataclass
class Running:
    """A process with its output in files."""

    process: subprocess.Popen[bytes]
    stdout: Path
    stderr: Path

    @property
    def written(self) -> str:
        return self.stdout.read_text("utf-8") + self.stderr.read_text("utf-8")

    def lines(self, event: str) -> list[dict[str, Any]]:
        text = self.stderr.read_text("utf-8")
        found = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
        return [line for line in found if line["event"] == event]

    def logged(self, event: str) -> dict[str, Any]:
        """The event's line, once it is there."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        while not (found := self.lines(event)):
            assert self.process.poll() is None, self.written
            assert time.monotonic() < give_up, self.written
            time.sleep(LOOK_SECONDS)
        return found[0]

    def wait(self) -> int:
        return self.process.wait(PATIENCE_SECONDS)


@dataclass
class Stage:
    """Starts processes, and kills those that are left at the end."""

    folder: Path
    running: list[Running] = field(default_factory=list)

    def run(self, *argv: str, **env: str) -> Running:
        name = self.folder / f"{len(self.running)}-{argv[0]}"
        with name.with_suffix(".out").open("wb") as out, name.with_suffix(".err").open("wb") as err:
            process = subprocess.Popen(
                [*PREPPALD, *argv], env={**MEASURED, **env}, stdin=subprocess.DEVNULL, stdout=out, stderr=err
            )
        self.running.append(Running(process, name.with_suffix(".out"), name.with_suffix(".err")))
        return self.running[-1]

    def simulate(self, *argv: str) -> tuple[str, str]:
        """Gemini's and the backend's addresses."""
        simulator = self.run("simulate", "--listen", "127.0.0.1:0", "--backend-listen", "127.0.0.1:0", *argv)
        ready = simulator.logged("simulator.ready")
        return ready["gemini"], ready["backend"]

    def settings(self, gemini: str, backend: str, **more: str) -> dict[str, str]:
        return {
            **SECRETS,
            "NEXT_PUBLIC_API_URL": backend,
            "PREPPALD_GEMINI_URL": gemini,
            "PREPPALD_LISTEN": "127.0.0.1:0",
            "PREPPALD_ADMIN_LISTEN": "127.0.0.1:0",
            "PREPPALD_STATE_DIR": str(self.folder / "state"),
            "PREPPALD_LOG_LEVEL": "debug",
            **more,
        }

    def serve(self, settings: Mapping[str, str]) -> tuple[Running, str, str]:
        """A daemon, and its two addresses."""
        daemon = self.run("serve", **settings)
        ready = daemon.logged("daemon.ready")
        return daemon, ready["listen"], ready["admin"]

    def call(self, listen: str, *argv: str) -> Running:
        return self.run("call", "--url", f"ws://{listen}", *argv, JWT_SECRET=JWT_SECRET)

    def close(self) -> None:
        for running in self.running:
            if running.process.poll() is None:
                running.process.kill()
                running.process.wait()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    found = Stage(tmp_path)
    yield found
    found.close()


def page(address: str, path: str) -> str:
    with urlopen(f"http://{address}{path}", timeout=PATIENCE_SECONDS) as answer:
        text: str = answer.read().decode()
        return text


def assert_silent(text: str) -> None:
    for canary in (JWT_SECRET, WORKER_SECRET, API_KEY, SPOKEN, "eyJ"):
        assert canary not in text


def short_answer(folder: Path) -> Path:
    """Half a second of voice, for calls of which only the end matters."""
    file = folder / "short.wav"
    with wave.open(str(file), "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(16_000)
        written.writeframes(array("h", ((n * 700) % 20_000 - 10_000 for n in range(8000))).tobytes())
    return file


# ------------------------------------------------------------------ the main job


def test_the_recorded_answer_goes_through_real_processes(stage: Stage, tmp_path: Path) -> None:
    """Exit 0; a reply that is not silent; both speakers; IN_PROGRESS and the transcript; and no secret anywhere."""
    gemini, backend = stage.simulate("--scenario", "interview", "--speed", SPEED)
    daemon, listen, admin = stage.serve(stage.settings(gemini, backend))
    saved, talk = tmp_path / "reply.wav", tmp_path / "talk.json"
    call = stage.call(
        listen,
        "--sample",
        "--speed",
        SPEED,
        "--save",
        str(saved),
        "--transcript",
        str(talk),
        "--interview",
        "iv-1",
    )
    assert call.wait() == 0, call.written

    with wave.open(str(saved)) as reply:
        assert (reply.getframerate(), reply.getnchannels()) == (24_000, 1)
        samples = array("h", reply.readframes(reply.getnframes()))
    assert len(samples) > 24_000
    assert max(samples) > 1000

    turns = json.loads(talk.read_text("utf-8"))
    assert {turn["speaker"] for turn in turns} == {"AI", "USER"}
    assert SPOKEN in str(turns)

    daemon.logged("session.ended")
    received = wait_for_transcript(backend, "iv-1")
    procedures = [call["procedure"] for call in received["calls"]]
    assert procedures == ["interview.getContext", "interview.updateStatus", "interview.submitTranscript"]
    assert received["calls"][1]["body"]["json"]["status"] == "IN_PROGRESS"
    lines = received["calls"][2]["body"]["json"]["transcript"]
    assert [line["speaker"] for line in lines][:3] == ["AI", "USER", "AI"]
    assert [line["content"] for line in lines] == [turn["text"].strip() for turn in turns]

    metrics = page(admin, "/metrics")
    for expected in (
        'preppald_sessions_ended_total{ending="user_ended"} 1.0',
        'preppald_upstream_connects_total{kind="fresh"} 1.0',
        "preppald_sessions_live 0.0",
        "preppald_outbox_pending 0.0",
        "preppald_reply_delay_seconds_count 1.0",
        'preppald_backend_calls_total{kind="transcript",outcome="delivered"} 1.0',
        'preppald_tokens_total{kind="prompt_audio"}',
        'preppald_audio_seconds_total{direction="in"}',
    ):
        assert expected in metrics
    assert page(admin, "/health") == page(listen, "/health") == '{"status":"ok"}'
    assert page(admin, "/ready") == '{"status":"ready"}'
    with pytest.raises(HTTPError, match="404"):
        page(admin, "/other")

    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.wait() == 0
    assert daemon.lines("daemon.stopped")[0]["undelivered"] == 0
    assert_silent(daemon.written + metrics)


def wait_for_transcript(backend: str, interview_id: str) -> dict[str, Any]:
    """What the simulated backend received, once the transcript is there."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up:
        received: dict[str, Any] = json.loads(page(backend.removeprefix("http://"), "/received"))
        if any(call["procedure"].endswith("submitTranscript") for call in received["calls"]):
            return received
        time.sleep(LOOK_SECONDS)
    raise AssertionError(f"no transcript of {interview_id} in {PATIENCE_SECONDS} s")


def test_a_second_sigterm_ends_interviews_and_delivers_what_was_said(stage: Stage, tmp_path: Path) -> None:
    """The first lets them finish; after the second the candidate is told, and the backend has the partial transcript."""
    gemini, backend = stage.simulate()
    daemon, listen, _ = stage.serve(stage.settings(gemini, backend))
    call = stage.call(listen, str(short_answer(tmp_path)), "--hold", "600", "--interview", "iv-1")
    daemon.logged("session.started")
    give_up = time.monotonic() + PATIENCE_SECONDS
    while "AI" not in call.written.upper() or len(call.written) < 40:
        assert time.monotonic() < give_up
        time.sleep(LOOK_SECONDS)
    time.sleep(1)
    # One stop as two signals, as from an init that signals the group (two of one kind would merge).
    daemon.process.send_signal(signal.SIGTERM)
    daemon.process.send_signal(signal.SIGINT)
    assert daemon.logged("daemon.draining")["interviews"] == 1
    time.sleep(SAME_STOP_SECONDS)
    with pytest.raises(HTTPError, match="503"):
        page(listen, "/ready")
    assert not daemon.lines("daemon.ending_interviews")
    daemon.process.send_signal(signal.SIGTERM)
    assert daemon.wait() == 0
    assert daemon.lines("daemon.ending_interviews")[0]["why"] == "a second signal came"
    assert daemon.lines("session.ended")[0]["ending"] == "daemon_stopped"
    transcript = wait_for_transcript(backend, "iv-1")["calls"][-1]["body"]["json"]["transcript"]
    assert transcript[0]["speaker"] == "AI"
    call.process.send_signal(signal.SIGINT)
    call.wait()


# ------------------------------------------------------------------ what goes wrong at the start


def test_a_wrong_configuration_is_told_whole_and_exits_78(stage: Stage) -> None:
    """Every fault on a line of its own, no secret among them; serve and check say the same."""
    env = {
        "JWT_SECRET": "canary",
        "PREPPALD_LISTEN": "8787",
        "PREPPALD_SESION_LIMIT": "1h",
        "NEXT_PUBLIC_API_URL": "app.example.com",
    }
    for command in ("serve", "check"):
        running = stage.run(command, **env)
        assert running.wait() == EX_CONFIG
        assert "canary" not in running.written
        for name in (*env, "GEMINI_API_KEY", "WORKER_SHARED_SECRET"):
            assert f"\n  {name}: " in running.written


@pytest.mark.parametrize("setting", ["PREPPALD_LISTEN", "PREPPALD_ADMIN_LISTEN"])
def test_a_port_that_is_taken_is_a_sentence(stage: Stage, setting: str) -> None:
    """Which setting, which address, and what to do; no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = stage.settings("ws://127.0.0.1:1", "http://127.0.0.1:1", **{setting: address})
        daemon = stage.run("serve", **settings)
        assert daemon.wait() == EX_UNAVAILABLE
    assert f"{setting}={address}" in daemon.written
    assert "choose another address" in daemon.written
    assert "Traceback" not in daemon.written


def test_a_key_that_gemini_refuses_is_a_sentence(stage: Stage, tmp_path: Path) -> None:
    """In the log and from `check --online`; the candidate's call fails, and the backend hears ERROR."""
    gemini, backend = stage.simulate("--scenario", "bad-key")
    settings = stage.settings(gemini, backend)
    daemon, listen, _ = stage.serve(settings)
    call = stage.call(listen, str(short_answer(tmp_path)))
    assert call.wait() != 0
    failed = daemon.logged("upstream.failed")
    assert failed["cause"] == "bad_key"
    assert "GEMINI_API_KEY" in failed["words"]
    assert daemon.logged("session.ended")["ending"] == "ai_unreachable"

    check = stage.run("check", "--online", **settings)
    assert check.wait() == EX_UNAVAILABLE
    assert "FAULT: Gemini refused the API key: check GEMINI_API_KEY" in check.written
    assert "backend" in check.written
    assert_silent(daemon.written + call.written + check.written)


def test_a_backend_that_is_down_stops_nothing(stage: Stage, tmp_path: Path) -> None:
    """The daemon starts, interviews are held, and what is owed waits for it; `check --online` says what is wrong."""
    gemini, _ = stage.simulate()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        backend = f"http://127.0.0.1:{closed.getsockname()[1]}"
    settings = stage.settings(gemini, backend)
    daemon, listen, admin = stage.serve(settings)
    call = stage.call(listen, str(short_answer(tmp_path)))
    retried = daemon.logged("delivery.retried")
    assert "cannot be reached" in retried["cause"]
    check = stage.run("check", "--online", **settings)
    assert check.wait() == EX_UNAVAILABLE
    assert "accepted the key" in check.written
    assert "cannot be reached" in check.written
    assert "preppald_outbox_pending 1.0" in page(admin, "/metrics")
    assert call.process.poll() is None
    assert_silent(daemon.written + check.written)


# ------------------------------------------------------------------ the small commands


def test_check_prints_what_would_run_with_secrets_hidden(stage: Stage) -> None:
    gemini, backend = stage.simulate()
    settings = stage.settings(gemini, backend)
    check = stage.run("check", "--json", "--online", **settings)
    assert check.wait() == 0, check.written
    found = json.loads(check.stdout.read_text("utf-8"))
    assert found["settings"]["JWT_SECRET"].startswith("(set, ")
    assert found["settings"]["PREPPALD_GEMINI_URL"] == gemini
    assert [answer["good"] for answer in found["online"]] == [True, True]
    assert_silent(check.written)


def test_check_asks_a_collector_of_traces(stage: Stage) -> None:
    """One that is not there is a fault that is told, and costs no interview anything."""
    gemini, _ = stage.simulate()
    collector = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    settings = stage.settings(gemini, "", PREPPALD_BACKEND="none", **collector)
    check = stage.run("check", "--json", "--online", **settings)
    assert check.wait() == 69, check.written
    *_, told = json.loads(check.stdout.read_text("utf-8"))["online"]
    assert not told["good"]
    assert "collector at http://127.0.0.1:9/v1/traces" in str(told)
    assert "cannot be reached (Connection refused)" in str(told)


def test_a_token_from_the_command_line_opens_its_interview(stage: Stage, tmp_path: Path) -> None:
    gemini, _ = stage.simulate()
    secret = tmp_path / "jwt"
    secret.write_text(f"{JWT_SECRET}\n", "utf-8")
    secret.chmod(0o600)
    signed = stage.run("token", "--interview", "first-try", "--user", "me", JWT_SECRET_FILE=str(secret))
    assert signed.wait() == 0
    token = signed.stdout.read_text("utf-8").strip()
    settings = stage.settings(gemini, "", PREPPALD_BACKEND="none")
    daemon, listen, _ = stage.serve(settings)
    stage.run("call", "--url", f"ws://{listen}", str(short_answer(tmp_path)), PREPPALD_TOKEN=token)
    started = daemon.logged("session.started")
    assert (started["interview"], started["user"]) == ("first-try", "me")
    call = ("call", "--url", f"ws://{listen}", str(short_answer(tmp_path)))
    assert stage.run(*call, JWT_SECRET_FILE=str(secret)).wait() == 0
    assert token not in daemon.written
    secret.chmod(0o644)
    assert stage.run(*call, JWT_SECRET_FILE=str(secret)).wait() == EX_CONFIG
    unset = stage.run("token")
    assert unset.wait() == EX_CONFIG
    assert "JWT_SECRET" in unset.written


def test_the_demo_serves_its_page_and_ends_at_ctrl_c(stage: Stage) -> None:
    """No key, no network, no application: one command, one URL."""
    demo = stage.run("demo", "--listen", "127.0.0.1:0")
    give_up = time.monotonic() + PATIENCE_SECONDS
    while "http://" not in (said := demo.stdout.read_text("utf-8")):
        assert time.monotonic() < give_up, demo.written
        time.sleep(LOOK_SECONDS)
    address = said.partition("http://")[2].partition("/")[0]
    assert "<script" in page(address, "/")
    with urlopen(f"http://{address}/demo/answer.wav", timeout=PATIENCE_SECONDS) as answer:
        assert answer.headers["Content-Type"] == "audio/wav"
        assert answer.read(4) == b"RIFF"
    with urlopen(f"http://{address}/demo/interview", data=b"", timeout=PATIENCE_SECONDS) as answer:
        interview = json.loads(answer.read())
    assert interview["wsUrl"] == f"/ws/{interview['interviewId']}"
    assert interview["token"].count(".") == 2
    with pytest.raises(HTTPError, match="404"):
        page(address, "/demo/results/no-such-interview")
    demo.process.send_signal(signal.SIGINT)
    assert demo.wait() == 0
    assert "Traceback" not in demo.written
