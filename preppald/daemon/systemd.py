"""Speaks with systemd: readiness, status and signs of life go out, the sockets that it opened come in.

The protocol is a datagram of ``NAME=value`` lines: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3). Without
systemd none of its variables is set, and every call does nothing. A datagram that cannot be sent raises nothing.
"""

from collections.abc import Callable, Mapping
import contextlib
import os
from pathlib import Path
import socket
import time
from typing import TextIO

import trio

from preppald.errors import StartError

# systemd hands sockets down from this file descriptor on: SD_LISTEN_FDS_START.
FIRST_FD = 3
# FileDescriptorName= of the operator's port; sockets of any other name are for browsers.
ADMIN = "admin"
# How old the status in `systemctl status` may be.
STATUS_SECONDS = 2.0
# Three signs of life in the watchdog's time: one may be late.
PINGS = 3
# A drain may take hours. So the daemon asks for this much more time again and again (sd_notify's
# EXTEND_TIMEOUT_USEC), and systemd still kills a loop that is stuck.
PATIENCE_SECONDS = 60.0

Sockets = list[socket.socket]


class Supervisor:
    """systemd, as the daemon sees it; ``Supervisor({}, 0)`` where there is none.

    The process that systemd started may be our parent: a one-file binary unpacks itself and runs the daemon as its
    child. WATCHDOG_PID is then the parent's, and is ignored; LISTEN_PID is rewritten by the parent, and is checked.
    """

    def __init__(self, env: Mapping[str, str], pid: int) -> None:
        self._address = env.get("NOTIFY_SOCKET", "")
        self._watchdog_seconds = _whole(env, "WATCHDOG_USEC") / 1_000_000
        self._listen_fds = _whole(env, "LISTEN_FDS") if _whole(env, "LISTEN_PID") == pid else 0
        self._names = env.get("LISTEN_FDNAMES", "").split(":")
        # The first of several: RuntimeDirectory= of the units in systemd/.
        runtime = env.get("RUNTIME_DIRECTORY", "").split(":")[0]
        self.runtime_directory = Path(runtime) if runtime else None
        self._stopping = False

    @property
    def is_there(self) -> bool:
        """Return whether anybody is told."""
        return bool(self._address)

    def status(self, words: str) -> None:
        """Show a line in ``systemctl status``."""
        self._send(f"STATUS={words}")

    def ready(self) -> None:
        """Say that the daemon serves, or serves again after a reload."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Say that a reload begins, and when; ``ready`` says that it is over."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Say that the daemon drains. From now on ``attend`` asks for more time, too."""
        self._stopping = True
        self._send("STOPPING=1", self._patience())

    async def attend(self, status: Callable[[], str]) -> None:
        """Send signs of life from this loop, and the status where it changed, until cancelled."""
        if not self._address:
            return
        step = min(STATUS_SECONDS, (self._watchdog_seconds or STATUS_SECONDS * PINGS) / PINGS)
        told = ""
        while True:
            lines = ["WATCHDOG=1"] if self._watchdog_seconds else []
            if self._stopping:
                lines.append(self._patience())
            if (words := status()) != told:
                told = words
                lines.append(f"STATUS={words}")
            self._send(*lines)
            await trio.sleep(step)

    def sockets(self) -> tuple[Sockets, Sockets]:
        """Return the listening sockets that systemd opened: for browsers, and for the operator. Call it once.

        Raises:
            StartError: one of them is no listening TCP socket.
        """
        public: Sockets = []
        admin: Sockets = []
        for index in range(self._listen_fds):
            name = self._names[index] if index < len(self._names) else ""
            (admin if name == ADMIN else public).append(_listening(FIRST_FD + index, name))
        return public, admin

    def _patience(self) -> str:
        return f"EXTEND_TIMEOUT_USEC={round(PATIENCE_SECONDS * 1_000_000)}"

    def _send(self, *lines: str) -> None:
        if not self._address or not lines:
            return
        # A name that begins with @ is one of Linux's abstract names, which begin with a zero byte.
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.settimeout(0)  # the loop must not wait
            notify.sendto("\n".join(lines).encode(), address)


def to_journal(env: Mapping[str, str], stream: TextIO) -> bool:
    """Return whether the stream goes to systemd's journal: JOURNAL_STREAM in systemd.exec(5)."""
    with contextlib.suppress(OSError, ValueError):
        written = os.fstat(stream.fileno())
        return env.get("JOURNAL_STREAM") == f"{written.st_dev}:{written.st_ino}"
    return False


def _whole(env: Mapping[str, str], name: str) -> int:
    """Return a number that systemd set; 0 where there is none."""
    text = env.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _listening(fd: int, name: str) -> socket.socket:
    try:
        found = socket.socket(fileno=fd)
    except OSError as error:
        raise StartError(
            f"systemd's socket {name!r} (file descriptor {fd}) is no socket: {error.strerror}"
        ) from error
    found.set_inheritable(False)
    tcp = found.family in {socket.AF_INET, socket.AF_INET6} and found.type == socket.SOCK_STREAM
    if not tcp or not found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        found.close()
        raise StartError(
            f"systemd's socket {name!r} (file descriptor {fd}) does not listen for TCP: "
            "its unit must say ListenStream=address:port and Accept=no"
        )
    return found
