"""What it costs to carry connections for another host: the delay each way, and the CPU of the host in between.

    python -m tests.bench.relay [--connections N] [--pattern NAME] [--seconds N] [--pairs N] [--tls]

Two daemons share a PostgreSQL (Debian's, on this machine). The interviews begin at one of them; their
browsers talk to it directly, and then by way of the other one. Daemons, browsers and Gemini are on this machine's two cores, so
the delay is that of the program and the loopback: between two hosts their round trip comes on top. --tls: between the
hosts, and from the browsers to both.
"""

import argparse
from array import array
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
import os
from pathlib import Path
import socket
from statistics import median
import sys
import time

from preppald.pb.interview_pb2 import ServerToClientMessage
from tests.bench import device, measure
from tests.bench.device import PREPPALD, Device
from tests.bench.load import Browser, Gemini, Load
from tests.bench.patterns import PATTERNS, Pattern
from tests.bench.ways import Encryption, Way, encryption
from tests.shared.server import running

# The journal's commit, and the shared one's: until then nobody could know where an interview is.
KNOWN_SECONDS = 3.0
# Sooner than anybody would wonder about a Gemini that says nothing.
RETURNS_PER_SECOND = 200
PLAIN = Way("ws", "ws to Gemini", gemini=False)
TLS = Way("wss-browser", "wss to the browsers and between the hosts", gemini=False, browser=True)


class Returning(Browser):
    """A candidate who may come back by another way. ``seq``: of the last fragment that it has."""

    ASKS = ""

    def __init__(self, number: int, load: Load, before: "Returning | None" = None) -> None:
        super().__init__(number, load)
        self.seq = 0
        self._back = before is not None
        if before is not None:
            self.seq, self.fragments, self.heard = before.seq, before.fragments, before.heard
            self.voice, self.message = before.voice, before.message

    def ready(self, now_ns: int) -> None:
        super().ready(now_ns)
        if self._back and self.wire.http is not None:
            self._back = False
            if self.wire.http.startswith(b"HTTP/1.1 101"):
                self.talking = True
            else:
                self.fault = self.wire.http.partition(b"\r\n")[0].decode()

    def _take(self, payload: bytes, now_ns: int) -> None:
        update = ServerToClientMessage.FromString(payload).transcript_update
        self.seq = max(self.seq, update.seq)
        super()._take(payload, now_ns)


class Listening(Gemini):
    """A Gemini that knows the daemon's own silence, which comes while no page is there."""

    def hear(self, pcm: bytes, now_ns: int) -> None:
        if pcm.strip(b"\0"):
            super().hear(pcm, now_ns)


class Moving(Load):
    """A load whose browsers change their way in the middle."""

    def browser(self, number: int) -> Browser:
        return Returning(number, self)

    def gemini(self, number: int, accepted: socket.socket) -> Gemini:
        return Listening(number, accepted, self)

    def move(self, address: tuple[str, int]) -> None:
        """Have every browser leave, and come back at another address; nothing is on its way meanwhile."""
        self.drained(measure.DRAIN_SECONDS)
        self.device = address
        leaving, self.browsers = self.browsers, []
        for before in leaving:
            assert isinstance(before, Returning)
            before.talking = False
            before.wire.close()
            Returning.ASKS = f"&since={before.seq}"
            back = Returning(before.number, self, before)
            self.browsers.append(back)
            self._ends[back.wire.sock.fileno()] = back
            self.go(1 / RETURNS_PER_SECOND, speaking=False)
        self.go(measure.SET_UP_SECONDS, until=lambda: all(it.talking for it in self.browsers), speaking=False)
        self.resume()


class Figures:
    """Of one way: samples of all its runs, and the CPU of both hosts, in cores."""

    def __init__(self) -> None:
        self.up, self.down, self.lag = array("q"), array("q"), array("q")
        self.owner: list[float] = []
        self.between: list[float] = []

    def words(self, name: str, connections: int) -> str:
        up, down, lag = (sorted(it) for it in (self.up, self.down, self.lag))
        delays = ", ".join(
            f"{way} {measure.percentile(it, 0.5):.2f} ms p50, {measure.percentile(it, 0.99):.2f} ms p99"
            for way, it in (("up", up), ("down", down))
        )
        return (
            f"{name}: {delays}; owner {median(self.owner):.1%} of a core, host between {median(self.between):.1%} "
            f"({median(self.between) / connections:.3%} a connection; harness late by "
            f"{measure.percentile(lag, 0.99):.1f} ms p99)"
        )


def run(load: Moving, owner: Device, between: Device, seconds: float, into: Figures) -> None:
    load.go(measure.WARM_UP_SECONDS)
    load.samples.clear()
    before = owner.cpu_seconds(), between.cpu_seconds()
    began = time.monotonic()
    load.go(seconds)
    took = time.monotonic() - began
    into.owner.append((owner.cpu_seconds() - before[0]) / took)
    into.between.append((between.cpu_seconds() - before[1]) / took)
    into.up.extend(load.samples.up)
    into.down.extend(load.samples.down)
    into.lag.extend(load.samples.lag)


@contextmanager
def two_hosts(
    url: str, encrypted: Encryption, gemini_port: int, nice: int
) -> Iterator[tuple[Device, Device]]:
    os.environ |= {"PREPPALD_SHARED_JOURNAL": url, "PREPPALD_PEER_LISTEN": "127.0.0.1:0"}

    def started() -> AbstractContextManager[Device]:
        return device.running(
            PREPPALD,
            python=sys.executable,
            tree=Path(__file__).parents[2],
            cores=(0,),
            share=None,
            nice=nice,
            gemini_port=gemini_port,
            encrypted=encrypted,
            log=None,
        )

    with started() as owner, started() as between:
        yield owner, between


def bench(pattern: Pattern, given: argparse.Namespace) -> list[str]:
    """Return a line for each way."""
    direct, carried = Figures(), Figures()
    faults: list[str] = []
    lost = 0
    with running("fsync=on") as database, encryption(TLS if given.tls else PLAIN) as encrypted:
        for _ in range(given.pairs):
            with (
                device.listener() as listener,
                two_hosts(database.url, encrypted, listener.getsockname()[1], given.nice) as (owner, between),
            ):
                load = Moving(pattern, owner.address, listener, browsers_tls=encrypted.browsers)
                try:
                    assert measure.connect(load, given.connections), load.faults()
                    load.go(KNOWN_SECONDS)
                    run(load, owner, between, given.seconds, direct)
                    load.move(between.address)
                    run(load, owner, between, given.seconds, carried)
                    load.drained(measure.DRAIN_SECONDS)
                    faults += load.faults()
                    lost += load.lost_bytes()
                finally:
                    load.close()
            database.sql("DROP SCHEMA preppald CASCADE")
    found = [direct.words("direct", given.connections), carried.words("carried", given.connections)]
    found.append(f"{lost} bytes lost; {len(faults)} faults {faults[:2]}")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--pattern", choices=PATTERNS, default="20ms")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--nice", type=int, default=0)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {1})
    load_before = os.getloadavg()[0]
    for line in bench(PATTERNS[arguments.pattern], arguments):
        sys.stdout.write(line + "\n")
    sys.stdout.write(
        f"{arguments.connections} connections, {arguments.pattern}, {arguments.pairs} times {arguments.seconds:.0f} s "
        f"each way; load {load_before:.1f} before, {os.getloadavg()[0]:.1f} after, {os.cpu_count()} cores\n"
    )
