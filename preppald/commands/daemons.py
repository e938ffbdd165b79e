"""The daemons of a state directory, and orders to those that run."""

import argparse
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
import errno
import fcntl
from pathlib import Path
import socket
from typing import TypeVar

import msgspec

from preppald.commands.listing import printable
from preppald.daemon import orders
from preppald.daemon.acting import END_SECONDS
from preppald.daemon.orders import Answer, Order
from preppald.errors import EX_SOFTWARE, PreppaldError
from preppald.journal import files

T = TypeVar("T")

# The longest action is an end; the daemon's own bounds come before this one.
ANSWER_SECONDS = END_SECONDS + 10.0
# Of the answer's line: a thousand interviews are half a megabyte.
ANSWER_BYTES = 16 * 1024 * 1024
PIECE_BYTES = 64 * 1024


class NotRunning(PreppaldError):
    """Nobody listens for orders."""


@dataclass(frozen=True, slots=True)
class Daemon:
    """One instance of a state directory, running or not."""

    state_dir: Path
    instance: str

    @property
    def holds_lock(self) -> bool:
        """True while a process runs the instance, by the lock of its database."""
        try:
            with (self.state_dir / f"{self.instance}.lock").open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def order(self, order: Order, form: type[T], seconds: float = ANSWER_SECONDS) -> T:
        """Return the daemon's answer.

        Raises:
            NotRunning: nobody listens.
            PreppaldError: the daemon refused the order, or did not answer.
        """
        link = orders.socket_path(self.state_dir, None, self.instance)
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as asking:
            asking.settimeout(seconds)
            try:
                asking.connect(str(_target(link)))
                asking.sendall(msgspec.json.encode(order) + b"\n")
                line = _line(asking)
            except TimeoutError as error:
                raise PreppaldError(
                    f"instance {self.instance} has not answered for {seconds:.0f} s: see its log"
                ) from error
            except OSError as error:
                raise self._unreached(error, link) from error
        return self._answer(line, form)

    def _answer(self, line: bytes, form: type[T]) -> T:
        try:
            answer = msgspec.json.decode(line, type=Answer)
            if answer.error is None:
                return msgspec.json.decode(answer.done, type=form)
        except msgspec.MsgspecError as error:
            words = (
                "its answer cannot be read: it may be of another version" if line else "it has just stopped"
            )
            raise PreppaldError(f"instance {self.instance}: {words}") from error
        refused = PreppaldError(answer.error)
        refused.exit_status = answer.exit_status or EX_SOFTWARE
        raise refused

    def _unreached(self, error: OSError, link: Path) -> PreppaldError:
        if error.errno in {errno.EACCES, errno.EPERM}:
            return PreppaldError(
                f"only the user of instance {self.instance} may give it orders: try `sudo preppald …`"
            )
        if self.holds_lock:
            why = orders.too_long(link) or "see control.unavailable in its log"
            return PreppaldError(f"instance {self.instance} runs, and listens for no orders: {why}")
        return NotRunning(f"instance {self.instance} of {self.state_dir} does not run: start it")


def found(state_dir: Path) -> list[Daemon]:
    """Return every instance that has a database or a socket in the state directory, by name.

    Raises:
        PreppaldError: there is no such directory, or this user may not read it.
    """
    try:
        names = {file.name for file in state_dir.iterdir()}
    except PermissionError as error:
        raise PreppaldError(
            f"the state directory {state_dir} may not be read: try `sudo preppald …`"
        ) from error
    except OSError as error:
        raise PreppaldError(
            f"there is no state directory {state_dir}: is PREPPALD_STATE_DIR what the daemon has?"
        ) from error
    sockets = {name.removesuffix(orders.SUFFIX) for name in names if name.endswith(orders.SUFFIX)}
    return [Daemon(state_dir, name) for name in sorted(sockets.union(files.instances(state_dir)))]


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Declare which instances are meant, among a command's arguments."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--instance", metavar="NAME", help="this one, where several run (PREPPALD_INSTANCE)")
    which.add_argument("--all", action="store_true", help="every instance that runs on this host")


def chosen(arguments: argparse.Namespace, state_dir: Path) -> list[Daemon]:
    """Return the instances that are meant: the only one that runs, the one that is named, or all that run.

    Raises:
        PreppaldError: none runs, none has that name, or it is not clear which one is meant.
    """
    there = found(state_dir)
    if arguments.instance is not None:
        return [named(there, arguments.instance, state_dir)]
    running = [it for it in there if it.holds_lock]
    if not running:
        raise NotRunning(f"no daemon runs on {state_dir}: is PREPPALD_STATE_DIR what the daemon has?")
    if len(running) > 1 and not arguments.all:
        names = ", ".join(it.instance for it in running)
        raise PreppaldError(f"several instances run ({names}): name one with --instance, or all with --all")
    return running


def named(there: Sequence[Daemon], name: str, state_dir: Path) -> Daemon:
    """Return the instance of this name.

    Raises:
        PreppaldError: there is none.
    """
    for it in there:
        if it.instance == name:
            return it
    known = ", ".join(it.instance for it in there) or "none at all"
    raise PreppaldError(f"there is no instance {printable(name)!r} in {state_dir}, only: {known}")


def _target(link: Path) -> Path:
    """Return the socket's own path: the link's may be too long for one."""
    return link.readlink() if link.is_symlink() else link


def _line(asking: socket.socket) -> bytes:
    line = b""
    while b"\n" not in line and len(line) < ANSWER_BYTES:
        part = asking.recv(PIECE_BYTES)
        if not part:
            break
        line += part
    return line
