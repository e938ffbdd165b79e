"""``python -m tests.bench.flood``: what one client that floods costs the fifty beside it.

The daemon has a core of its own; the load is that of ``tests.bench.measure``. Each kind of flood is measured three
times against the quiet before it, and the medians are compared: the candidates' p99 of what the daemon adds, up and
down, may rise by less than ten milliseconds. Exit status 1 where it rises by more.
"""

import argparse
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import socket
from statistics import median
import subprocess
import sys
import time

from preppald.core import tokens as auth
from tests.bench.device import PREPPALD, prioritise
from tests.bench.load import SECRET, Load
from tests.bench.measure import Setting, connect, under_load
from tests.bench.patterns import PATTERNS
from tests.hostile_inputs import BINARY, CRUMB, MORE, PING, SECOND, frame

# The promise.
RISE_MS = 10.0
WARM_UP_SECONDS = 2.0
# One send of a flood; it blocks as soon as the daemon reads no more.
BLOCK_BYTES = 256 * 1024
CONNECT_SECONDS = 5.0

FLOODS: dict[str, bytes] = {
    "audio": SECOND,
    "crumbs": CRUMB,
    "pings": frame(PING),
    "fragments": frame(BINARY, b"a", fin=False) + frame(MORE, b"a", fin=False) * 1000,
    "texts": frame(1, b"hello"),
    "bad tokens": b"",
}


def flood(kind: str, port: int) -> None:
    """For ever; whoever cuts us sees us again at once."""
    block = FLOODS[kind] * max(1, BLOCK_BYTES // max(1, len(FLOODS[kind])))
    for attempt in range(sys.maxsize):
        # Cut, it comes back to the same interview; ended, it begins another.
        name = f"flood-{os.getpid()}-{attempt // 4}"
        good = auth.sign(
            SECRET, user_id="flood", interview_id=name, now=time.time_ns() // 10**9, lifetime=600
        )
        token = good if block else f"{good[:-4]}AAAA"
        head = (
            f"GET /{name}?token={token} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            "X-Forwarded-For: 192.0.2.1\r\n\r\n"
        )
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=CONNECT_SECONDS) as connection:
                connection.sendall(head.encode())
                if connection.recv(4096).startswith(b"HTTP/1.1 101"):
                    connection.settimeout(None)
                    while True:
                        connection.sendall(block)
        except OSError:
            continue


@contextmanager
def flooding(kind: str, port: int) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", __spec__.name, "--kind", kind, "--port", str(port)])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def p99_ms(load: Load, seconds: float) -> tuple[float, float, float]:
    """Up, down, and how late the harness was itself."""
    load.samples.clear()
    load.go(seconds)
    return (
        _p99(load.samples.up),
        _p99(load.samples.down),
        _p99(load.samples.lag),
    )


def _p99(nanoseconds: "array[int]") -> float:
    found = sorted(nanoseconds)
    return found[(len(found) - 1) * 99 // 100] / 1e6


def measure(kind: str, sessions: int, setting: Setting, tell: Callable[[str], None]) -> tuple[float, float]:
    """By how much p99 rises, up and down: the median of three, each in a daemon of its own."""
    rises: list[tuple[float, float]] = []
    for _ in range(3):
        with under_load(PREPPALD, PATTERNS["20ms"], setting) as (tested, load):
            if not connect(load, sessions):
                sys.exit("the healthy sessions were not set up")
            load.go(WARM_UP_SECONDS)
            quiet = p99_ms(load, setting.seconds)
            with flooding(kind, tested.address[1]):
                load.go(1.0)
                loud = p99_ms(load, setting.seconds)
            faults = [browser.fault for browser in load.browsers[:sessions] if browser.fault]
            if faults:
                sys.exit(f"a healthy session was disturbed: {faults[0]}")
        rises.append((loud[0] - quiet[0], loud[1] - quiet[1]))
        tell(
            f"{kind:>11}: up {quiet[0]:5.1f} -> {loud[0]:5.1f} ms, down {quiet[1]:5.1f} -> {loud[1]:5.1f} ms, "
            f"harness {quiet[2]:.1f} -> {loud[2]:.1f} ms late"
        )
    return median(up for up, _ in rises), median(down for _, down in rises)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each measurement")
    parser.add_argument("--kind", choices=FLOODS, help="this flood only")
    parser.add_argument("--core", type=int, default=0, help="the daemon's; the load takes the others")
    parser.add_argument(
        "--nice", type=int, default=0, help="priority of all of it, below 0 on a machine that has other work"
    )
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)  # be the flood
    arguments = parser.parse_args()
    if arguments.port is not None:
        flood(arguments.kind, arguments.port)
    others = os.sched_getaffinity(0) - {arguments.core}
    os.sched_setaffinity(0, others or {arguments.core})
    if arguments.nice:
        prioritise(os.getpid(), arguments.nice)
    setting = Setting(
        python=sys.executable,
        tree=Path.cwd(),
        cores=(arguments.core,),
        nice=arguments.nice,
        seconds=arguments.seconds,
        log=None,
    )
    worst = 0.0
    for kind in [arguments.kind] if arguments.kind else FLOODS:
        up, down = measure(kind, arguments.sessions, setting, _tell)
        _tell(f"{kind:>11}: p99 rises by {up:.1f} ms up, {down:.1f} ms down (median of three)")
        worst = max(worst, up, down)
    return 0 if worst < RISE_MS else 1


def _tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
