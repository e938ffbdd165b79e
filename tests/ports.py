"""Ports for programs that are started, killed and started again, and must be found where they were."""

import errno
from pathlib import Path
import random
import socket

# Above what a machine's own services listen on.
FIRST = 20_000
TRIES = 1000
RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_ports(count: int) -> list[int]:
    """Return ports that nobody has just now, and that the kernel gives to nobody who does not name them.

    A port that the kernel gave is given again, to anybody's connection, while the program that listened there is down.
    """
    last = int(RANGE.read_text("ascii").split()[0]) - 1
    chance = random.SystemRandom()
    ports: list[int] = []
    for _ in range(TRIES):
        if len(ports) == count:
            return ports
        port = chance.randint(FIRST, last)
        if port not in ports and _is_free(port):
            ports.append(port)
    raise AssertionError(f"no {count} ports are free from {FIRST} to {last}")


def free_port() -> int:
    """Return one of these."""
    return free_ports(1)[0]


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return False
    return True
