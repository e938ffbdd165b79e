"""``preppald check``: validates the configuration; with ``--online``, tries it at Gemini and the backend."""

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
import json
import os
from pathlib import Path
import sys

import trio

from preppald.backend import backend_for
from preppald.browser import coders
from preppald.commands.serve import wall_clock_ms
from preppald.commands.surroundings import nearest, ports_in_use, state_dir_fault, state_dir_warning
from preppald.config.gemini_setup import gemini_setup
from preppald.config.load import load, secret_text, shown, with_file
from preppald.config.secret_files import repeated
from preppald.config.settings import ENV_FILE, Config, settings
from preppald.config.values import Invalid
from preppald.config.warnings import warnings
from preppald.core import gemini
from preppald.errors import EX_UNAVAILABLE, ConfigError
from preppald.gemini.connection import UpstreamError, connected, dialler
from preppald.net import tls
from preppald.recording.files import encoder
from preppald.recording.shelf import DIRECTORY
from preppald.shared import examined
from preppald.traces import Sent, collector_for

EPILOG = """\
Exit status: 0 all is well; 78 the configuration is wrong (every fault is printed); 75 only the certificate is;
69 --online found a fault.

Examples:
  preppald check                       the daemon's configuration, secrets hidden
  preppald check --online              also tries Gemini, the backend, a collector of traces and a shared journal
  preppald check --list                every setting with its meaning and default
"""

# EnvironmentFile= of the units in systemd/.
SERVICE_ENV_FILE = Path("/etc/preppald/preppald.env")
# Of LoadCredential=, as systemd.exec(5) has it.
CREDENTIALS = "CREDENTIALS_DIRECTORY"
# systemd.service(5) gives it to ExecReload=: then the ports in use are those of the daemon that asks.
MAIN_PROCESS = "MAINPID"
NO_OPUS = "none: PREPPALD_OPUS is off, or there is no libopus (Debian: libopus0); pages on bad lines get PCM"
# systemd skips a unit whose ExecCondition= exits with 1 to 254: neither failed nor restarted.
NOT_CONFIGURED = 1


def add_to(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    parser = subparsers.add_parser(
        "check",
        help="validate the configuration",
        description="Validate the configuration in the environment and print it, with secrets hidden.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--online", action="store_true", help="also try Gemini, the backend and the shared journal"
    )
    parser.add_argument("--list", action="store_true", help="print every setting with its meaning")
    parser.add_argument("--json", action="store_true", help="print for machines")
    parser.add_argument("--quiet", action="store_true", help="print faults only")
    parser.add_argument(
        "--certificate",
        nargs=2,
        metavar=("CERT", "KEY"),
        type=Path,
        help="only whether these two files could be PREPPALD_TLS_CERT and PREPPALD_TLS_KEY",
    )
    parser.add_argument(
        "--begun",
        action="store_true",
        help="only whether anybody has begun to configure it; 1 where no secret is set (for ExecCondition=)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    if (answer := _narrower(arguments)) is not None:
        return answer
    config = _load(os.environ)
    if config is None:
        return 0
    cautions = _warnings(config)
    found = trio.run(_online, config) if arguments.online else []
    codec = _opus(config)
    if arguments.json:
        answers = [{"what": what, "good": good, "answer": words} for what, good, words in found]
        report = {"settings": shown(config), "warnings": cautions, "opus": codec, "online": answers}
        print(json.dumps(report, indent=2))
    else:
        if not arguments.quiet:
            _show(config)
            print(f"Opus: {codec or NO_OPUS}")
        for warning in cautions:
            print(f"warning: {warning}", file=sys.stderr)
        for what, good, words in found:
            if not (good and arguments.quiet):
                print(
                    f"{what}: {'ok' if good else 'FAULT'}: {words}", file=sys.stdout if good else sys.stderr
                )
        if not found and not arguments.quiet:
            print("The configuration is complete.")
    return 0 if all(good for _, good, _ in found) else EX_UNAVAILABLE


def _narrower(arguments: argparse.Namespace) -> int | None:
    """Answer a question that needs no whole configuration; return None where there was none."""
    if arguments.list:
        return _list()
    if arguments.certificate:
        tls.identity(*arguments.certificate)
        return 0
    return _begun(os.environ) if arguments.begun else None


def _list() -> int:
    for item in settings().values():
        default = f" (default {item.default})" if item.default else " (needed)" if item.needed else ""
        print(f"{item.env}{default}\n    {item.doc}")
    return 0


def _opus(config: Config) -> str | None:
    """Return the library that pages on bad lines are served with; None: they get PCM."""
    library = coders.found(wanted=config.opus == "on")
    return library.version if library is not None else None


def _show(config: Config) -> None:
    width = max(map(len, shown(config)))
    for name, value in shown(config).items():
        print(f"{name:<{width}}  {value}")


def _warnings(config: Config) -> list[str]:
    """Return warnings: of things that will not be right for long, and of things that interviews go on without."""
    identity = tls.identity(config.tls_cert, config.tls_key)
    warning = identity and identity.warning(wall_clock_ms())
    today = datetime.now(UTC).date()
    named = os.environ.get(ENV_FILE)
    found = [
        *([f"{ENV_FILE}: {words}" for words in repeated(Path(named))] if named else []),
        *warnings(config, today),
        *([warning] if warning else []),
        *(() if os.environ.get(MAIN_PROCESS) else ports_in_use(config)),
    ]
    if config.record == "on":
        return found + _recording_warnings(config)
    state = state_dir_warning(config.state_dir)
    return [*found, state] if state else found


def _load(env: Mapping[str, str]) -> Config | None:
    """Return the configuration; None where only credentials are missing that this process is not shown."""
    try:
        return _usable(load(env))
    except ConfigError as error:
        seen = [fault for fault in error.faults if not _is_hidden(fault, env)]
        if not seen:
            where = env.get(CREDENTIALS, "the daemon's credentials")
            print(f"warning: {where}: not shown to this command, and not checked", file=sys.stderr)
            return None
        if len(seen) < len(error.faults):
            raise ConfigError(seen) from error
        if hint := _elsewhere(env):
            print(hint, file=sys.stderr)
        raise


def _is_hidden(fault: str, env: Mapping[str, str]) -> bool:
    """Return whether a fault is only that systemd does not show credentials to this command.

    Systemd 252 does so for ExecReload= and ExecCondition=; the daemon itself has them. 257 does not even name them: then a
    secret that is not set may be a credential, which the daemon started with.
    """
    directory = env.get(CREDENTIALS)
    if env.get(MAIN_PROCESS) and not directory:
        return any(fault.startswith(f"{item.env}: is not set") for item in settings().values() if item.secret)
    return bool(directory) and f": {directory}/" in fault and not os.access(str(directory), os.X_OK)


def _usable(config: Config) -> Config:
    if fault := state_dir_fault(config.state_dir):
        raise ConfigError([fault])
    return config


def _elsewhere(env: Mapping[str, str]) -> str:
    """Return a hint at the service's configuration, for a shell that has none."""
    here = any(env.get(name) for item in settings().values() for name in (item.env, f"{item.env}_FILE"))
    if here or not SERVICE_ENV_FILE.exists():
        return ""
    return (
        "preppald: nothing is configured in this shell. The service's configuration: "
        f"{ENV_FILE}={SERVICE_ENV_FILE} preppald check"
    )


def _begun(env: Mapping[str, str]) -> int:
    """Return whether anything is configured: the service of a package just installed is skipped, and is no failure."""
    # Credentials are somebody's doing. For ExecCondition= they may be named and not be there: systemd 252 does not
    # mount them for it.
    if env.get(CREDENTIALS):
        return 0
    try:
        env = with_file(env)
        begun = any(secret_text(item, env) for item in settings().values() if item.secret)
    except Invalid:
        begun = True  # somebody has tried: `check` reports the faults
    if begun:
        return 0
    needed = [item.env for item in settings().values() if item.needed]
    print(
        f"preppald is not configured yet, and is not started: set {', '.join(needed)} and what else the file "
        f"asks for in {SERVICE_ENV_FILE}, then `systemctl start` it again",
        file=sys.stderr,
    )
    return NOT_CONFIGURED


def _recording_warnings(config: Config) -> list[str]:
    found = []
    existing = nearest(config.state_dir / DIRECTORY)
    if not os.access(existing, os.W_OK | os.X_OK):
        found.append(f"recordings cannot be written: this user may not write to {existing}")
    if encoder("flac") is None:
        found.append("neither flac nor ffmpeg is on PATH: recordings are kept as WAV, 230 MB an hour")
    return found


async def _online(config: Config) -> list[tuple[str, bool, str]]:
    return [
        *[await _try_gemini(config, name) for name in config.gemini_models],
        await _try_backend(config),
        *await examined(config.shared_journal, wall_clock_ms),
        *([] if config.traces_url is None else [await _try_collector(config)]),
    ]


async def _try_gemini(config: Config, model: str) -> tuple[str, bool, str]:
    where = str(config.gemini_url)
    setup = gemini.setup(gemini_setup(config, "Say nothing.", name=model))
    dial = dialler(config.gemini_url, proxy=config.proxy_for(where))
    open_connection = partial(connected, dial, config.gemini_url, config.gemini_key)
    try:
        async with open_connection(setup, generation=1):
            return f"Gemini at {where}", True, f"accepted the key, {model} and the setup"
    except UpstreamError as error:
        return f"Gemini at {where}", False, str(error)


async def _try_backend(config: Config) -> tuple[str, bool, str]:
    if config.backend == "none":
        return "backend", True, "none is configured: transcripts stay in the journal"
    async with backend_for(config) as backend:
        probe = await backend.probe()
    return f"backend at {config.api_url}", probe.good, probe.sentence


async def _try_collector(config: Config) -> tuple[str, bool, str]:
    """Post a request without a span, which a collector takes and forgets."""
    async with collector_for(config) as collector:
        answer = await collector.post(b"")
    good = isinstance(answer, Sent)
    words = "takes traces" if isinstance(answer, Sent) else answer.cause
    return f"collector at {collector.where}", good, words
