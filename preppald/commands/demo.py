"""``preppald demo``: a whole interview on this machine, without a key, a network or an application."""

import argparse
from functools import partial
from http import HTTPStatus
import importlib.resources
from pathlib import Path
import re
import secrets
import shlex
import tempfile

import msgspec
import trio

from preppald.commands.running import invoked_as, run_trio
from preppald.commands.serve import wall_clock_ms
from preppald.config.load import load
from preppald.config.settings import Config
from preppald.core import tokens as auth
from preppald.core.turns import fold, in_order
from preppald.daemon.run import Running, StopSwitch, run_daemon, stop_on_signals
from preppald.errors import ConfigError, StartError
from preppald.interview.services import Services
from preppald.server import http as http1
from preppald.server.http import Answer
from preppald.simulator import (
    Running as Simulated,
    Scenario,
    ScenarioError,
    load_scenario,
    run_simulator,
    scenario_names,
)
from preppald.telemetry import logs

NOTHING_LEAVES = "Nothing leaves this machine; the interviewer is simulated. Ctrl-C ends it."
EPILOG = f"""\
Open the printed URL in a browser, or call it: preppald call --sample
{NOTHING_LEAVES}
"""
# A fault is told by the name under which it was given.
OPTIONS = {
    "PREPPALD_LISTEN": "--listen",
    "PREPPALD_SESSION_LIMIT": "--limit",
    "PREPPALD_TLS_CERT": "--tls-cert",
    "PREPPALD_TLS_KEY": "--tls-key",
}
DEFAULT_LISTEN = "127.0.0.1:8787"
CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".wav": "audio/wav",
}
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; connect-src 'self' ws: wss:; script-src 'self'; style-src 'self'; "
        "worker-src 'self'; img-src 'self' data:; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
SAMPLE_ANSWER = "/demo/answer.wav"
RESULTS = "/demo/results/"


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "demo",
        help="hold an interview here, without a key or a network",
        description="Run the daemon with a simulated interviewer and a page to talk to it from.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--listen", metavar="HOST:PORT", default=DEFAULT_LISTEN, help="default: %(default)s")
    parser.add_argument(
        "--scenario",
        metavar="NAME|FILE",
        default="interview",
        help=f"one of {', '.join(scenario_names())}, or a file",
    )
    parser.add_argument(
        "--limit", metavar="DURATION", default="15m", help="the interview's length (default %(default)s)"
    )
    parser.add_argument(
        "--tls-cert", metavar="PEM", default="", help="speak https and wss, for browsers on other machines"
    )
    parser.add_argument("--tls-key", metavar="PEM", default="", help="the certificate's key")
    parser.add_argument("--verbose", action="store_true", help="show the daemon's log lines")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    try:
        scenario = load_scenario(arguments.scenario)
    except ScenarioError as error:
        raise StartError(f"--scenario: {error}") from error
    log, close_log = logs.configure("console", "info" if arguments.verbose else "warning")
    try:
        with _state_dir() as state_dir:
            run_trio(_demo, arguments, scenario, Path(state_dir), log)
    except ConfigError as error:
        raise ConfigError([_as_options(fault) for fault in error.faults]) from error
    except StartError as error:
        raise StartError(_as_options(str(error))) from error
    finally:
        close_log()
    return 0


def _state_dir() -> "tempfile.TemporaryDirectory[str]":
    try:
        return tempfile.TemporaryDirectory(prefix="preppald-demo-")
    except OSError as error:
        raise StartError(f"the demo needs a temporary directory: {error.strerror}") from error


def _as_options(fault: str) -> str:
    for setting, option in OPTIONS.items():
        fault = re.sub(rf"\b{setting}\b", option, fault)
    return fault


async def _demo(arguments: argparse.Namespace, scenario: Scenario, state_dir: Path, log: logs.Logger) -> None:
    secret = secrets.token_hex(32)
    switch = StopSwitch()
    async with trio.open_nursery() as nursery:
        await nursery.start(stop_on_signals, switch)
        simulated: Simulated = await nursery.start(
            partial(
                run_simulator,
                gemini_listen=("127.0.0.1", 0),
                backend_listen=None,
                scenario=scenario,
            )
        )
        config = load(
            {
                "JWT_SECRET": secret,
                "GEMINI_API_KEY": "simulated",
                "PREPPALD_BACKEND": "none",
                "PREPPALD_GEMINI_URL": f"ws://127.0.0.1:{simulated.gemini_port}",
                "PREPPALD_LISTEN": arguments.listen,
                "PREPPALD_TLS_CERT": arguments.tls_cert,
                "PREPPALD_TLS_KEY": arguments.tls_key,
                "PREPPALD_ADMIN_LISTEN": "127.0.0.1:0",
                "PREPPALD_SESSION_LIMIT": arguments.limit,
                "PREPPALD_STATE_DIR": str(state_dir),
                "PREPPALD_DRAIN": "0",
            }
        )
        async with trio.open_nursery() as serving:
            running: Running = await serving.start(
                partial(
                    run_daemon,
                    config,
                    log=log,
                    now_ms=wall_clock_ms,
                    switch=switch,
                    pages=partial(DemoPages, config),
                )
            )
            scheme = "https" if arguments.tls_cert else "http"
            call = f"{invoked_as()} call --sample{_reached_by(arguments, running)}"
            print(
                f"The demo is at {scheme}://{running.listen}/",
                f"Open it in a browser, or call it from another terminal: {call}",
                NOTHING_LEAVES,
                sep="\n",
                flush=True,
            )
        nursery.cancel_scope.cancel()


def _reached_by(arguments: argparse.Namespace, running: Running) -> str:
    """Return the options that a call to this demo needs."""
    if arguments.tls_cert:
        return f" --url wss://{running.listen} --ca {shlex.quote(arguments.tls_cert)}"
    return "" if str(running.listen) == DEFAULT_LISTEN else f" --url ws://{running.listen}"


class DemoPages:
    """The page, its interviews and their results: everything that the application would do."""

    def __init__(self, config: Config, services: Services) -> None:
        self._secret = config.jwt_secret
        self._services = services
        web = importlib.resources.files("preppald") / "web"
        self._files = {
            f"{under}{file.name}": (CONTENT_TYPES[Path(file.name).suffix], file.read_bytes())
            for under, folder in (("/", web), ("/client/", web / "client"))
            for file in folder.iterdir()
            if Path(file.name).suffix in CONTENT_TYPES
        }
        self._files["/"] = self._files["/index.html"]
        answer = importlib.resources.files("preppald") / "candidate" / "answer.wav"
        self._files[SAMPLE_ANSWER] = (CONTENT_TYPES[".wav"], answer.read_bytes())

    async def __call__(self, method: str, path: str) -> Answer | None:
        if method == "POST":
            return self._interview() if path == "/demo/interview" else None
        if path.startswith(RESULTS):
            return await self._results(path.removeprefix(RESULTS))
        if path in self._files:
            content_type, body = self._files[path]
            return Answer(HTTPStatus.OK, body, content_type, SECURITY_HEADERS)
        return None

    def _interview(self) -> Answer:
        """Return a new interview and its token, as the application would hand them to its page."""
        interview_id = f"demo-{secrets.token_hex(4)}"
        token = auth.sign(
            self._secret, user_id=interview_id, interview_id=interview_id, now=self._services.now_ms() // 1000
        )
        return _json({"interviewId": interview_id, "token": token, "wsUrl": f"/ws/{interview_id}"})

    async def _results(self, interview_id: str) -> Answer:
        interview = await self._services.journal.interview(interview_id)
        if interview is None:
            return http1.text(HTTPStatus.NOT_FOUND, "No such interview")
        fragments = await self._services.journal.fragments(interview_id, interview.epoch)
        turns = [
            {"speaker": turn.speaker, "text": turn.spoken, "timestampMs": turn.started_ms, "cut": turn.cut}
            for turn in in_order(fold(fragments).values())
        ]
        return _json(
            {
                "interviewId": interview_id,
                "state": interview.phase,
                "ending": interview.ending,
                "startedMs": interview.started_ms,
                "endedMs": interview.ended_ms,
                "turns": turns,
            }
        )


def _json(content: object) -> Answer:
    return Answer(HTTPStatus.OK, msgspec.json.encode(content), http1.JSON, {"Cache-Control": "no-store"})
