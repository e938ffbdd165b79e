"""The command socket: takes the operator's orders while the daemon runs.

Rule 1: it is its owner's alone, and the kernel says whose process is at the other end.
Rule 2: every wait and every buffer has a bound, so a command that hangs holds up nobody.
Rule 3: the daemon serves without it where it cannot be made: candidates come first.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
import os
from pathlib import Path
import socket
import struct

import msgspec
import trio

from preppald.daemon import orders
from preppald.daemon.acting import Acting, Caller, Unacted
from preppald.daemon.orders import Action, Answer, Order
from preppald.errors import EX_SOFTWARE, PreppaldError
from preppald.server.accepting import accept
from preppald.telemetry.logs import Logger

# Operators and their monitors are few.
CONNECTIONS = 8
BACKLOG = 16
# The order is one line that was written before the connection was made.
ORDER_SECONDS = 5.0
# Of the answer: a command takes it at once, or has gone.
ANSWER_SECONDS = 5.0
SOCKET_MODE = 0o600
# struct ucred of unix(7): pid, uid, gid.
_UCRED = struct.Struct("3i")

Act = Callable[[Order, Caller], Awaitable[msgspec.Struct]]


class CommandSocket:
    """The place of one daemon's socket. ``runtime_directory``: its own; None: the state directory has it."""

    def __init__(self, state_dir: Path, runtime_directory: Path | None, instance: str) -> None:
        self.socket = orders.socket_path(state_dir, runtime_directory, instance)
        # Commands know the state directory; how a supervisor calls the runtime directory only the daemon knows.
        self.link = None if runtime_directory is None else orders.socket_path(state_dir, None, instance)

    @asynccontextmanager
    async def listener(self) -> AsyncIterator[trio.SocketListener]:
        """Listen until the end of the block; then the names are gone.

        Raises:
            OSError: no socket can be made there.
        """
        if why := orders.too_long(self.socket):
            raise OSError(why)
        listening = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with listening:
            # The kernel gives the name this mode when it is bound: there is no moment at which others may connect.
            os.fchmod(listening.fileno(), SOCKET_MODE)
            # A process that was killed leaves its names; the state directory's lock says that nobody uses them.
            self._remove()
            await listening.bind(str(self.socket))
            try:
                listening.listen(BACKLOG)
                if self.link is not None:
                    self.link.symlink_to(self.socket.absolute())
                yield trio.SocketListener(listening)
            finally:
                self._remove()

    def _remove(self) -> None:
        for name in (self.socket, self.link):
            if name is not None:
                with suppress(OSError):
                    name.unlink()


async def serve(
    place: CommandSocket | None,
    acting: Acting,
    log: Logger,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Take orders until cancelled. ``place``: None where there is no disk."""
    if place is None:
        task_status.started()
        return
    try:
        async with place.listener() as listener, trio.open_nursery() as connections:
            control = Control(partial(_act, acting), log)
            await connections.start(accept, control.handle, [listener], connections, log)
            task_status.started()
            await trio.sleep_forever()
    except OSError as error:
        log.error(  # noqa: TRY400 - the machine's fault, no bug
            "control.unavailable",
            why=error.strerror or str(error),
            path=str(place.socket),
            todo="`preppald status` and the other commands cannot reach this daemon; its interviews go on",
        )
        task_status.started()


class Control:
    """Serves the connections of one socket. ``act`` carries an order out."""

    def __init__(self, act: Act, log: Logger) -> None:
        self._act = act
        self._log = log
        self._connections = 0

    async def handle(self, stream: trio.abc.Stream) -> None:
        """Serve one connection: an order, its answer. No error leaves it."""
        self._connections += 1
        try:
            async with stream:
                answer = await self._answer(stream)
                if answer is not None:
                    with trio.move_on_after(ANSWER_SECONDS):
                        await stream.send_all(msgspec.json.encode(answer) + b"\n")
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the command has gone
        finally:
            self._connections -= 1

    async def _answer(self, stream: trio.abc.Stream) -> Answer | None:
        if self._connections > CONNECTIONS:
            return _refused(f"{CONNECTIONS} commands are at work in this daemon already: try again")
        try:
            line = await _line(stream)
            if line is None:
                return None
            done = await self._act(msgspec.json.decode(line, type=Order), Caller("command", _uid(stream)))
        # msgspec leaves what is no UTF-8 to Python.
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return _refused(
                f"the daemon does not understand the order ({error}): it may be of another version than the command"
            )
        except PreppaldError as error:
            return _refused(str(error), error.exit_status)
        except Exception:  # noqa: BLE001 - the end of the line for a bug: no interview has a part in it
            self._log.exception("control.crashed")
            return _refused("the daemon has a bug: see control.crashed in its log", EX_SOFTWARE)
        return Answer(done=msgspec.Raw(msgspec.json.encode(done)))


async def _act(acting: Acting, order: Order, caller: Caller) -> msgspec.Struct:
    match order.action:
        case Action.STATUS:
            return acting.status()
        case Action.END:
            return await acting.end(order.interview, order.reason, caller)
        case Action.DRAIN:
            return await acting.drain(caller)
        case Action.UNDRAIN:
            return await acting.undrain(caller)
        case Action.FORGET:
            return await acting.forget(order.forgotten, caller, also_undelivered=order.also_undelivered)


async def _line(stream: trio.abc.Stream) -> bytes | None:
    """Return the order's line; None where the other end has gone, or says nothing."""
    line = b""
    with trio.move_on_after(ORDER_SECONDS):
        while b"\n" not in line:
            if len(line) > orders.ORDER_BYTES:
                raise Unacted(f"an order is one line of at most {orders.ORDER_BYTES} bytes")
            part = await stream.receive_some(orders.ORDER_BYTES)
            if not part:
                return None
            line += part
        return line
    return None


def _refused(why: str, exit_status: int = PreppaldError.exit_status) -> Answer:
    return Answer(error=why, exit_status=exit_status)


def _uid(stream: trio.abc.Stream) -> int | None:
    """Return the uid of the process at the other end, as it was when it connected."""
    if not isinstance(stream, trio.SocketStream):
        return None
    found = stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return int(_UCRED.unpack(found)[1])
