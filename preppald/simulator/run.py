"""The whole simulator as one program: Gemini Live and the backend, side by side."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
import ssl

import trio

from preppald.simulator.backend import BackendSimulator, serve_backend
from preppald.simulator.clock import Clock
from preppald.simulator.gemini import GeminiSimulator, Log, no_log, serve_gemini
from preppald.simulator.listening import Address
from preppald.simulator.recording import recorder
from preppald.simulator.scenario import Scenario

# The default ports of `preppald simulate`: next to the daemon's own 8787.
GEMINI_ADDRESS: Address = ("127.0.0.1", 8790)
BACKEND_ADDRESS: Address = ("127.0.0.1", 8791)


@dataclass(frozen=True, slots=True)
class Running:
    """The report of `run_simulator` when it is ready: the ports, and the two services to look into."""

    gemini_port: int
    backend_port: int | None
    gemini: GeminiSimulator
    backend: BackendSimulator | None


async def run_simulator(
    *,
    gemini_listen: Address = GEMINI_ADDRESS,
    backend_listen: Address | None = BACKEND_ADDRESS,
    scenario: Scenario | None = None,
    speed: float = 1.0,
    tls_certificate: str | Path | None = None,
    tls_key: str | Path | None = None,
    record: str | Path | None = None,
    log: Log = no_log,
    task_status: trio.TaskStatus[Running] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Run until cancelled.

    `speed` makes simulated seconds pass that much faster. With `tls_certificate` (PEM; its key in the same file or
    in `tls_key`) the Gemini side speaks wss. `record` is a file to which all frames are appended. Raises OSError
    for a port that is taken and a file that cannot be opened, ssl.SSLError for a file that is no certificate.
    """
    scenario = scenario or Scenario()
    tls = None if tls_certificate is None else _tls(tls_certificate, tls_key)
    with recorder(record, Clock(speed)) as recording:
        gemini = GeminiSimulator(scenario, speed=speed, recorder=recording, log=log)
        backend = None if backend_listen is None else BackendSimulator(scenario.backend, log=log)
        async with trio.open_nursery() as tasks:
            gemini_port = await tasks.start(partial(serve_gemini, gemini_listen, gemini, tls=tls))
            backend_port = None
            if backend is not None and backend_listen is not None:
                backend_port = await tasks.start(serve_backend, backend_listen, backend)
            task_status.started(Running(gemini_port, backend_port, gemini, backend))


def _tls(certificate: str | Path, key: str | Path | None) -> ssl.SSLContext:
    for file in (certificate, key or certificate):
        Path(file).open("rb").close()  # ssl does not name a file that it cannot open
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context
