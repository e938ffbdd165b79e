"""Accepts connections, and waits where the process or the machine has no room for another socket.

Trio's own loop does that, too, but writes a traceback ten times a second where no structured log sees it.
"""

from collections.abc import Awaitable, Callable, Sequence
import errno
from functools import partial
import os
from typing import TypeVar

import trio

from preppald.telemetry.logs import Logger

T = TypeVar("T")

# The connection stays in the kernel's queue meanwhile; room comes as soon as another connection ends.
RETRY_SECONDS = 0.1
# One line in this time.
QUIET_SECONDS = 10.0
CAPACITY = {
    errno.EMFILE: "this process has no file descriptors left: raise LimitNOFILE= (ulimit -n)",
    errno.ENFILE: "this machine has no file descriptors left: raise fs.file-max",
    errno.ENOMEM: "this machine has no memory for another socket",
    errno.ENOBUFS: "this machine has no memory for another socket",
}


async def accept(
    handler: Callable[[trio.abc.Stream], Awaitable[None]],
    listeners: Sequence[trio.abc.Listener[trio.abc.Stream]],
    connections: trio.Nursery,
    log: Logger,
    *,
    task_status: trio.TaskStatus[trio.CancelScope],
) -> None:
    """Accept connections until the scope that is started with is cancelled; they go on in ``connections``."""
    patient = [Accepting(listener, log) for listener in listeners]
    async with trio.open_nursery() as accepting:
        serve = partial(trio.serve_listeners, handler, patient, handler_nursery=connections)
        await accepting.start(serve)
        task_status.started(accepting.cancel_scope)


class Patience:
    """One listener's: waits where there is no room for another socket, and says so in the log."""

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._quiet_until = float("-inf")

    async def until_room(self, accept: Callable[[], Awaitable[T]]) -> T:
        """Return what ``accept`` does, however long there is no room for it.

        Raises:
            OSError: the listener itself is of no use.
        """
        while True:
            try:
                return await accept()
            except OSError as error:
                if error.errno not in CAPACITY:
                    raise
                self._note(error.errno)
                await trio.sleep(RETRY_SECONDS)

    def _note(self, number: int) -> None:
        now = trio.current_time()
        if now >= self._quiet_until:
            self._quiet_until = now + QUIET_SECONDS
            self._log.error(
                "connections.not_accepted", cause=os.strerror(number), what_to_do=CAPACITY[number]
            )


class Accepting(trio.abc.Listener[trio.abc.Stream]):
    """A listener whose connections wait while there is no room for them."""

    def __init__(self, listener: trio.abc.Listener[trio.abc.Stream], log: Logger) -> None:
        self._listener = listener
        self._patience = Patience(log)

    async def accept(self) -> trio.abc.Stream:
        """Return the next connection, however long there is no room for it."""
        return await self._patience.until_room(self._listener.accept)

    async def aclose(self) -> None:
        """Close the listener."""
        await self._listener.aclose()
