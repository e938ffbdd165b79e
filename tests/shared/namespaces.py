"""Hosts that are network namespaces, on one bridge: each with an address, and links that can be held by port.

Linux, as root, in a network namespace of the caller's own: see ``in_a_net_of_ones_own``.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
import os
from pathlib import Path
import subprocess
import sys
import time

BRIDGE = "hosts"
# Of the caller: databases, balancer, Gemini, backend and candidates.
HERE = "10.77.0.1"
_INSIDE = "PREPPALD_TEST_INSIDE"
PATIENCE_SECONDS = 10.0


def in_a_net_of_ones_own() -> None:
    """Run this program once more in a network namespace that nobody else sees, unless it is in one."""
    if _INSIDE not in os.environ:
        os.environ[_INSIDE] = "1"
        os.execvp("unshare", ["unshare", "--net", "--", *sys.orig_argv])


@dataclass
class Namespace:
    """A host's network. ``holder``: the process that keeps it."""

    address: str
    holder: subprocess.Popen[bytes]

    def inside(self, *command: str) -> list[str]:
        """Return a command as it is run on this host. It keeps the process's id."""
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", "--", *command]

    def hold(self, ports: Sequence[int]) -> None:
        """Drop every packet from or to these ports, ours or others': nobody is told, and TCP repeats them later."""
        of = ", ".join(map(str, ports))
        rules = "".join(
            f"chain {hook} {{ type filter hook {hook} priority 0; tcp sport {{ {of} }} drop; tcp dport {{ {of} }} drop; }}\n"
            for hook in ("input", "output")
        )
        self.release()
        run(*self.inside("nft", "-f", "-"), text=f"table inet held {{\n{rules}}}\n")

    def release(self) -> None:
        """Let everything through."""
        run(*self.inside("nft", "-f", "-"), text="table inet held {}\ndelete table inet held\n")


@contextmanager
def namespaces(count: int) -> Iterator[list[Namespace]]:
    """Yield so many hosts; all processes in them are to be gone before."""
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "addr", "add", f"{HERE}/24", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    made: list[Namespace] = []
    try:
        for number in range(1, count + 1):
            made += [_made(number)]
        yield made
    finally:
        for it in made:
            it.holder.kill()
            it.holder.wait()
        run("ip", "link", "del", BRIDGE)


def _made(number: int) -> Namespace:
    holder = subprocess.Popen(["unshare", "--net", "--", "sleep", "infinity"])
    its, until = Path(f"/proc/{holder.pid}/ns/net"), time.monotonic() + PATIENCE_SECONDS
    while its.readlink() == Path("/proc/self/ns/net").readlink():
        assert time.monotonic() < until, "no namespace came into being"
        time.sleep(0.01)
    host = Namespace(f"10.77.0.{10 + number}", holder)
    near = f"host{number}"
    run("ip", "link", "add", near, "type", "veth", "peer", "name", "eth0", "netns", str(holder.pid))
    run("ip", "link", "set", near, "master", BRIDGE)
    run("ip", "link", "set", near, "up")
    for words in ("link set lo up", f"addr add {host.address}/24 dev eth0", "link set eth0 up"):
        run(*host.inside("ip", *words.split()))
    return host


def run(*command: str, text: str | None = None) -> None:
    """Run a short command."""
    done = subprocess.run(command, input=text, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"
