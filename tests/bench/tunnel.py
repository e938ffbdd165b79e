"""A bad line between two Linux kernels: two network namespaces, a device in each, and what is between the devices.

    sudo .venv/bin/python -m tests.bench.tunnel [--rate 96kbit] [--delay 200ms] [--loss 2%] … -- COMMAND…

So both ends have a real TCP, which meets real losses: it sends again, and makes of them what its congestion control
makes of them. COMMAND runs at the near end, where ``NEAR`` is the address for its servers. ``nsenter --net=$FAR`` runs a
program at the far end. A line written to the descriptor ``$LINE``, like ``32kbit,200ms,2%``, makes the line so.

The devices are TUN's, which any kernel has, with ``tests.bench.forwarder`` between them. ``--netem``: a veth pair with tc
netem at both ends, where the kernel has sch_netem.

Rule 1: nothing of the machine's own network is touched. The namespaces have no name, and end with their last process.
"""

from abc import ABC, abstractmethod
import argparse
from collections.abc import Iterator
from contextlib import contextmanager
import ctypes
from dataclasses import replace
import fcntl
from functools import cache
import json
import os
from pathlib import Path
import socket
import struct
import subprocess
import sys
import threading

from preppald.candidate.line import line
from tests.bench import forwarder
from tests.bench.shaping import Counts, Shape

NEAR_ADDRESS, FAR_ADDRESS = "10.213.17.1", "10.213.17.2"
PREFIX_LENGTH = 30
DEVICE = "badline"
# Linux' default is cubic, which is as Reno on slow lines (RFC 9438 §4.3), and Reno may be had in any namespace.
CONGESTION = "reno"
# netem counts its queue in packets.
PACKET_BYTES = 1500
# The forwarder has nothing left to do when it is told to end.
END_SECONDS = 10.0

_CLONE_NEWNET = 0x40000000
# linux/if_tun.h: packets without a head of the device's own.
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_IFREQ = struct.Struct("16sH22x")


class Namespace:
    """A network namespace with a loopback and nothing else. ``path``: for nsenter, while this process lives."""

    def __init__(self, congestion: str = CONGESTION) -> None:
        """Make it. ``congestion``: its TCP's congestion control, one of tcp_allowed_congestion_control."""
        with Path("/proc/self/ns/net").open() as here:
            _unshare()
            try:
                self.fd = os.open("/proc/self/ns/net", os.O_RDONLY)
                run("ip link set lo up")
                settings = Path("/proc/sys/net")
                (settings / "ipv4/tcp_congestion_control").write_text(congestion)
                if (off := settings / "ipv6/conf/all/disable_ipv6").exists():
                    off.write_text("1")  # its own packets would be among those that are counted
            finally:
                _enter(here.fileno())
        self.path = f"/proc/{os.getpid()}/fd/{self.fd}"

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Have this thread, and the threads and processes that it starts, in the namespace."""
        with Path("/proc/self/ns/net").open() as here:
            _enter(self.fd)
            try:
                yield
            finally:
                _enter(here.fileno())

    def socket(self) -> socket.socket:
        """Return a TCP socket of the namespace: one stays in that in which it was made."""
        with self.entered():
            return socket.socket(socket.AF_INET, socket.SOCK_STREAM)

    def command(self, *words: str) -> list[str]:
        """Return a command line that runs this one in the namespace."""
        return ["nsenter", f"--net={self.path}", *words]


class Tunnel(ABC):
    """Two namespaces and the line between them. ``counts``: from the near end and to it, once the tunnel is gone."""

    def __init__(self, near: Namespace, far: Namespace) -> None:
        self.near, self.far = near, far
        self.counts: list[Counts] = []

    @abstractmethod
    def shape(self, shape: Shape) -> None:
        """Make the line like this from now on."""


class Forwarded(Tunnel):
    """The line of a forwarder's process."""

    def __init__(self, near: Namespace, far: Namespace, process: "subprocess.Popen[bytes]") -> None:
        super().__init__(near, far)
        self._process = process

    def shape(self, shape: Shape) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(forwarder.order(shape))
        self._process.stdin.flush()

    def end(self) -> None:
        """End the process, and take its counts."""
        said, _ = self._process.communicate(timeout=END_SECONDS)
        self.counts = [Counts(**way) for way in json.loads(said)]


class Shaped(Tunnel):
    """The line of the kernel's own netem, which keeps its counts to itself."""

    def shape(self, shape: Shape) -> None:
        parts = [f"limit {max(1, shape.queue_bytes // PACKET_BYTES)}"]
        if shape.bits:
            parts.append(f"rate {round(shape.bits)}bit")
        # netem's jitter goes both ways.
        half = shape.jitter / 2
        parts.append(f"delay {(shape.delay + half) * 1000:.3f}ms {half * 1000:.3f}ms")
        parts.append(f"loss gemodel {shape.begins:.4%} {shape.ends:.4%}")
        for end in (self.near, self.far):
            with end.entered():
                run(f"tc qdisc replace dev {DEVICE} root netem {' '.join(parts)}")


@contextmanager
def tunnel(
    shape: Shape, *, seed: int = 1, netem: bool = False, congestion: str = CONGESTION
) -> Iterator[Tunnel]:
    """Yield a tunnel, with this thread at its near end. Needs root.

    Raises:
        OSError: this process may not, or the kernel cannot.
    """
    near, far = _ends(congestion)
    with near.entered(), (_shaped if netem else _forwarded)(near, far, seed) as made:
        made.shape(shape)
        yield made


@cache
def _ends(congestion: str) -> tuple[Namespace, Namespace]:
    """Return both ends' namespaces, which are made once a process: a thread that Trio keeps stays where it began."""
    return Namespace(congestion), Namespace(congestion)


@contextmanager
def _forwarded(near: Namespace, far: Namespace, seed: int) -> Iterator[Tunnel]:
    devices = [
        _device(near, NEAR_ADDRESS),
        _device(far, FAR_ADDRESS),
    ]
    command = [sys.executable, "-m", "tests.bench.forwarder", *map(str, devices), str(seed)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=devices, bufsize=0
    )
    for device in devices:
        os.close(device)
    made = Forwarded(near, far, process)
    try:
        yield made
        made.end()
    finally:
        process.kill()
        process.wait()


def _device(end: Namespace, address: str) -> int:
    """Return a TUN device of the namespace, with its address; it is gone with its descriptor."""
    with end.entered():
        device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(device, _TUNSETIFF, _IFREQ.pack(DEVICE.encode(), _IFF_TUN | _IFF_NO_PI))
        _address(address)
    return device


@contextmanager
def _shaped(near: Namespace, far: Namespace, _seed: int) -> Iterator[Tunnel]:
    run(f"ip link add {DEVICE} type veth peer name {DEVICE} netns {far.path}")
    for end, address in ((near, NEAR_ADDRESS), (far, FAR_ADDRESS)):
        with end.entered():
            _address(address)
            # Segments as they are on the way, not what the two ends of a veth pair hand each other.
            run(f"ip link set {DEVICE} gso_max_segs 1")
    yield Shaped(near, far)


def _address(address: str) -> None:
    run(f"ip addr add {address}/{PREFIX_LENGTH} dev {DEVICE}")
    run(f"ip link set {DEVICE} up")


def run(command: str) -> None:
    """Run a short command.

    Raises:
        OSError: it refused, and said why.
    """
    done = subprocess.run(command.split(), check=False, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"{command}: {done.stderr.strip()}")


def _unshare() -> None:
    if _libc.unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "a network namespace cannot be made: that needs root")


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "a network namespace cannot be entered")


_libc = ctypes.CDLL(None, use_errno=True)


def add_line(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments that say what the line is like."""
    parser.add_argument("--rate", default="96kbit")
    parser.add_argument("--delay", default="200ms", help="each way")
    parser.add_argument("--loss", default="2%", help="of the packets, each way")
    parser.add_argument(
        "--jitter", type=float, default=0.0, metavar="MS", help="more delay, from none to so much"
    )
    parser.add_argument(
        "--burst", type=float, default=1.0, metavar="PACKETS", help="how many are lost in a row, on average"
    )
    parser.add_argument(
        "--queue",
        type=int,
        default=0,
        metavar="BYTES",
        help="that wait for the line at most; default: a second",
    )
    parser.add_argument("--netem", action="store_true", help="the kernel's own, where it has sch_netem")
    parser.add_argument("--congestion", default=CONGESTION, help="TCP's congestion control (%(default)s)")


def shape_of(parser: argparse.ArgumentParser, given: argparse.Namespace) -> Shape:
    """Return the line that is meant; exit with a message where there is none."""
    try:
        return replace(
            _shape(f"{given.rate},{given.delay},{given.loss}"),
            jitter=given.jitter / 1000,
            burst=given.burst,
            queue=given.queue,
        )
    except ValueError as error:
        parser.error(str(error))


def _shape(text: str) -> Shape:
    parts = line(text)
    return Shape(bits=parts.bits, delay=parts.delay, loss=parts.loss)


def _obey(orders: int, made: Tunnel, rest: Shape) -> None:
    """Make the line as the command says it is, until the command is gone."""
    with os.fdopen(orders) as lines:
        for text in lines:
            parts = _shape(text.strip())
            made.shape(replace(rest, bits=parts.bits, delay=parts.delay, loss=parts.loss))


def main() -> None:
    """Run a command at the near end of a line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_line(parser)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("command", nargs="+")
    given = parser.parse_args()
    shape = shape_of(parser, given)
    orders, written = os.pipe()
    with tunnel(shape, seed=given.seed, netem=given.netem, congestion=given.congestion) as made:
        environment = {**os.environ, "NEAR": NEAR_ADDRESS, "FAR": made.far.path, "LINE": str(written)}
        with subprocess.Popen(given.command, env=environment, pass_fds=[written]) as command:
            os.close(written)
            obeying = threading.Thread(target=_obey, args=(orders, made, shape))
            obeying.start()
        obeying.join(END_SECONDS)
    for way, counts in zip(("down", "up"), made.counts, strict=False):
        sys.stderr.write(f"{way}: {counts}\n")
    sys.exit(command.returncode)


if __name__ == "__main__":
    main()
