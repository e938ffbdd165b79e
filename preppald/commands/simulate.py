"""``preppald simulate``: a Gemini Live service and a backend to develop against."""

import argparse
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
import ssl
import sys
import textwrap

import trio

from preppald.commands.arguments import listen, number
from preppald.commands.running import run_trio
from preppald.config.addresses import Address
from preppald.errors import StartError
from preppald.simulator import (
    BACKEND_ADDRESS,
    FLAWS,
    GEMINI_ADDRESS,
    RecordingError,
    Running,
    ScenarioError,
    load_scenario,
    run_simulator,
    scenario_names,
)
from preppald.telemetry import logs

# A port that is taken, a file that cannot be opened, a certificate that is none; a scenario or recording with a fault.
PLANNED = (OSError, ScenarioError, RecordingError)
EPILOG = """\
Point a daemon at it:
  PREPPALD_GEMINI_URL=ws://127.0.0.1:8790 NEXT_PUBLIC_API_URL=http://127.0.0.1:8791 preppald serve
What the backend part received: curl http://127.0.0.1:8791/received

A scenario file is TOML; a reply that goes wrong is one table of it:
  [[fault]]
  kind = "reply"
  flaw = "late-text"
  turn = 2
The flaws:
{flaws}
"""


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "simulate",
        help="run a Gemini Live service and a backend to develop against",
        description="Run a simulated Gemini Live service, and the application's backend beside it.",
        epilog=EPILOG.format(flaws=_flaws()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--listen", type=listen, metavar="HOST:PORT", default=Address(*GEMINI_ADDRESS))
    parser.add_argument(
        "--backend-listen", type=listen, metavar="HOST:PORT", default=Address(*BACKEND_ADDRESS)
    )
    parser.add_argument(
        "--scenario",
        metavar="NAME|FILE",
        default="",
        help=f"the course of events; ready ones: {', '.join(scenario_names())}",
    )
    parser.add_argument(
        "--speed",
        type=number(at_least=0.1, at_most=1000),
        default=1.0,
        metavar="N",
        help="makes its clocks N times faster",
    )
    parser.add_argument("--certificate", type=Path, metavar="PEM", help="speak wss with this certificate")
    parser.add_argument(
        "--key", type=Path, metavar="PEM", help="the certificate's key, if it is not in the same file"
    )
    parser.add_argument(
        "--record", type=Path, metavar="FILE", help="append all frames to this file, as JSON lines"
    )
    parser.set_defaults(run=run)


def _flaws() -> str:
    lines = (f"{name:26}{meaning}" for name, meaning in FLAWS.items())
    return "\n".join(
        textwrap.fill(line, 100, initial_indent="  ", subsequent_indent=" " * 28) for line in lines
    )


def run(arguments: argparse.Namespace) -> int:
    log, close_log = logs.configure("console" if sys.stderr.isatty() else "json", "info")
    try:
        scenario = load_scenario(arguments.scenario) if arguments.scenario else None
        run_trio(
            _announced,
            log,
            arguments,
            partial(
                run_simulator,
                gemini_listen=(arguments.listen.host, arguments.listen.port),
                backend_listen=(arguments.backend_listen.host, arguments.backend_listen.port),
                scenario=scenario,
                speed=arguments.speed,
                tls_certificate=arguments.certificate,
                tls_key=arguments.key,
                record=arguments.record,
                log=lambda event, keys: log.info(event, **keys),
            ),
            planned=PLANNED,
        )
    except PLANNED as error:
        raise StartError(f"the simulator cannot start: {_why(error)}") from error
    except KeyboardInterrupt:
        pass
    finally:
        close_log()
    return 0


async def _announced(
    log: logs.Logger, arguments: argparse.Namespace, simulate: Callable[..., Awaitable[None]]
) -> None:
    """Runs it, and says where it listens: a port of the system's choice is known only now."""
    async with trio.open_nursery() as tasks:
        running: Running = await tasks.start(simulate)
        log.info(
            "simulator.ready",
            gemini=f"{'wss' if arguments.certificate else 'ws'}://"
            f"{Address(arguments.listen.host, running.gemini_port)}",
            backend=f"http://{Address(arguments.backend_listen.host, running.backend_port or 0)}",
        )


def _why(error: Exception) -> str:
    match error:
        case ssl.SSLError():
            return f"--certificate and --key are no certificate in PEM and its key ({error.reason})"
        case OSError(filename=str() | Path() as name, strerror=str() as words):
            return f"{name}: {words}"
        case _:
            return str(error)
