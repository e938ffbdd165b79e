"""The machine around a configuration: can the state directory be used, and are the ports free."""

from collections.abc import Iterator
import contextlib
import errno
import os
from pathlib import Path
import re
import socket
import tempfile

from preppald.config.addresses import Address
from preppald.config.settings import Config

# A socket that listens, in /proc/net/tcp.
_LISTENING = "0A"
_SOCKET = re.compile(r"socket:\[([0-9]+)\]")


def state_dir_fault(directory: Path) -> str | None:
    """Return the reason why no daemon can ever keep its journal there; None where it can, or another user may.

    It is tried with a directory that is removed at once: nothing else knows of a file system that takes no files.
    """
    existing = nearest(directory)
    try:
        if not existing.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        Path(tempfile.mkdtemp(prefix=".preppald-check-", dir=existing)).rmdir()
    except PermissionError:
        return None
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return None  # it is full today
        return f"PREPPALD_STATE_DIR: the state directory {directory} cannot be used ({error.strerror} at {existing})"
    return None


def state_dir_warning(directory: Path) -> str | None:
    """Return a sentence where this user could not run the daemon, though its own user may."""
    existing = nearest(directory)
    if os.access(existing, os.W_OK | os.X_OK):
        return None
    return f"PREPPALD_STATE_DIR: this user may not write to {existing}; the user that runs the daemon must"


def nearest(directory: Path) -> Path:
    """Return the file or directory itself, or the nearest one above it that exists."""
    # No absolute(): the folder that we stand in may be gone.
    place = directory
    while not place.exists() and place != place.parent:
        place = place.parent
    return place


def ports_in_use(config: Config) -> list[str]:
    """Return a sentence for each address that something listens at already, with the process where it can be seen."""
    asked = [("PREPPALD_LISTEN", where) for where in config.listen]
    asked.append(("PREPPALD_ADMIN_LISTEN", config.admin_listen))
    return [
        f"{setting}: {where} {trouble}"
        for setting, where in asked
        if (trouble := _trouble(where)) is not None
    ]


def _trouble(where: Address) -> str | None:
    if where.port == 0:
        return None
    with contextlib.ExitStack() as opened:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                where.host, where.port, type=socket.SOCK_STREAM
            )[0]
            tried = opened.enter_context(socket.socket(family, kind, protocol))
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
            tried.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"is in use{_by(where.port)}"
            return f"cannot be listened on now ({error.strerror})"
    return None


def _by(port: int) -> str:
    """Return " by preppald, pid 123", as far as /proc shows it to this user."""
    held = set(_inodes(port))
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for descriptor in (process / "fd").iterdir():
                match = _SOCKET.fullmatch(str(descriptor.readlink()))
                if match and match[1] in held:
                    return f" by {name_of(process)}, pid {process.name}"
    return ""


def _inodes(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text("ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]


def name_of(process: Path) -> str:
    """Return the name of a process, by its folder in /proc: preppald for one of ours, whatever runs it."""
    words = (process / "cmdline").read_bytes().split(b"\0")
    if any(Path(os.fsdecode(word)).name == "preppald" for word in words):
        return "preppald"
    return (process / "comm").read_text("utf-8", "replace").strip()
