"""``preppald serve``: the daemon."""

import argparse
from collections.abc import Mapping
from functools import partial
import gc
import os
import sys
import time

import trio

from preppald.commands.running import run_trio
from preppald.config.load import load
from preppald.config.settings import Config
from preppald.daemon.run import Running, StopSwitch, run_daemon, stop_on_signals
from preppald.daemon.systemd import Supervisor, to_journal
from preppald.errors import CertificateError, ConfigError
from preppald.telemetry import logs
from preppald.telemetry.health import Trouble
from preppald.telemetry.logs import Logger
from preppald.telemetry.memory import give_back, share_one_heap

# A certificate that is not fit is renewed by a program of its own, and nobody types a command then. Systemd starts a
# daemon again that failed; looking a few times before that keeps its lines and the unpacking rare.
LOOK_SECONDS = 1.0
CERTIFICATE_LOOKS = 10

EPILOG = """\
The configuration comes from the environment; `preppald check` validates it and prints it.

Where only the certificate is unfit, the exit status is 75 and not 78, so that systemd tries it again.

SIGHUP reads PREPPALD_ENV_FILE and the secrets' files again; docs/configuration.md says which settings that changes.
A configuration with a fault is refused, and the daemon goes on with the one it has.

SIGTERM drains: no new interviews, those that run may finish (PREPPALD_DRAIN). A second SIGTERM ends them now, with
their partial transcripts delivered; within a second of the first it counts as the same one.

Under systemd it says when it is ready and how many interviews it holds, feeds the watchdog from its loop, and takes
the sockets that systemd opened (FileDescriptorName=admin: the operator's; any other: browsers') in place of
PREPPALD_LISTEN and PREPPALD_ADMIN_LISTEN.
"""


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "serve",
        help="run the daemon",
        description="Run the daemon in the foreground, with log lines on stderr.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)


def wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


def run(_arguments: argparse.Namespace) -> int:
    config = _loaded(os.environ, Supervisor(os.environ, os.getpid()))
    log, close_log = logs.configure(
        config.log_format, config.log_level, priorities=to_journal(os.environ, sys.stderr)
    )
    # Imported modules stay for good, and the collector can skip them: with a hundred interviews a full collection takes
    # 16 ms like this and 28 ms otherwise, in which nobody hears a thing.
    gc.freeze()
    share_one_heap()
    try:
        run_trio(_serve, config, log, Supervisor(os.environ, os.getpid()))
    finally:
        close_log()
    return 0


def _loaded(env: Mapping[str, str], supervisor: Supervisor) -> Config:
    """Return the configuration; under a supervisor, wait a little for a certificate that is fit.

    Raises:
        ConfigError: there is none.
    """
    for _ in range(CERTIFICATE_LOOKS if supervisor.is_there else 0):
        try:
            return load(env)
        except CertificateError as error:
            supervisor.status(f"Waits for another certificate: {error.faults[0]}")
            time.sleep(LOOK_SECONDS)
    return load(env)


async def _serve(config: Config, log: Logger, supervisor: Supervisor) -> None:
    running: Running | None = None

    def reload() -> None:
        if running is None:
            return  # it has only just read everything
        supervisor.reloading()
        try:
            running.reload(load(os.environ))
        except ConfigError as error:
            log.error("reload.refused", faults=error.faults)  # noqa: TRY400 - a fault of the operator, no bug
            running.health.begin(Trouble.RELOAD, "the last reload was refused")
        supervisor.ready()

    switch = StopSwitch()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(stop_on_signals, switch, reload=reload))
        async with trio.open_nursery() as serving:
            serve = partial(
                run_daemon, config, log=log, now_ms=wall_clock_ms, switch=switch, supervisor=supervisor
            )
            running = await serving.start(serve)
            give_back()
        nursery.cancel_scope.cancel()
