"""Hands a connection to the instance on this host that holds its interview; all instances share the port.

Each instance has a folder with a socket in the runtime directory. A connection that the wrong instance accepted is
passed to the right one, with the bytes that were read from it (SCM_RIGHTS, unix(7)). A TLS connection stays where it
was accepted: a socket is passed in its place, and ``relay`` copies the plain bytes.

Rule 1: a connection is handed over once at most.
Rule 2: the instance that holds the interview gets the connection; an instance that does not hold it asks all others
        before it begins the interview.
Rule 3: an instance that can begin none (draining, full) gives the connection to one that can.
Rule 4: of two instances that begin the same interview at one moment, the one whose name sorts first gets it.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
import os
from pathlib import Path
import socket
import struct

import msgspec
import trio

from preppald.server import relay
from preppald.server.accepting import Patience
from preppald.telemetry.logs import Logger

SOCKET_NAME = "handover"
# A question to another instance on this machine took half a millisecond. One that is stuck counts as "no".
ASK_SECONDS = 1.0
# A request's head and the bytes behind it: twice the bound of ``http``.
MESSAGE_BYTES = 64 * 1024
# As many as there may be connections in handshake.
BACKLOG = 512
FD = struct.Struct("i")

# Takes over a connection: its socket, and the bytes that were read from it.
Take = Callable[[trio.SocketStream, bytes], Awaitable[None]]


class Stance(StrEnum):
    """``MINE``: give the connection here. ``WILLING``: the interview could begin here. ``NO``: neither."""

    MINE = "mine"
    WILLING = "willing"
    NO = "no"


class Question(msgspec.Struct, frozen=True):
    """``ready``: whether the asker could begin the interview. An empty ``interview`` asks only for WILLING or NO."""

    interview: str
    asker: str
    ready: bool


@dataclass(slots=True)
class Opening:
    """An interview that connections here ask for.

    ``decided``: all others were asked. ``yielded``: another instance begins it too, and sorts first (rule 4).
    """

    connections: int = 0
    decided: bool = False
    yielded: bool = False


@dataclass(frozen=True, slots=True)
class Handed:
    """``near``: the stream to which the connection's plain bytes go; None where the socket itself was passed."""

    near: trio.SocketStream | None = None


class Handover:
    """Asks the other instances, and answers them.

    ``folder``: this instance's own in the runtime directory; None: there are no others.
    ``holds``: whether an interview is here. ``ready``: whether another one could begin here.
    """

    def __init__(
        self, folder: Path | None, *, holds: Callable[[str], bool], ready: Callable[[], bool], log: Logger
    ) -> None:
        self._folder = folder
        self._holds = holds
        self._ready = ready
        self._log = log
        self._openings: dict[str, Opening] = {}

    @property
    def _name(self) -> str:
        return "" if self._folder is None else self._folder.name

    # ---------------------------------------------------------------- asking

    @contextmanager
    def opening(self, interview_id: str) -> Iterator[Opening]:
        """Mark an interview as being begun, from the first question until it is here or refused."""
        opening = self._openings.setdefault(interview_id, Opening())
        opening.connections += 1
        try:
            yield opening
        finally:
            opening.connections -= 1
            if not opening.connections:
                del self._openings[interview_id]

    async def hand_over(
        self, interview_id: str, opening: Opening, stream: trio.abc.Stream, received: bytes
    ) -> "Handed | None":
        """Hand the connection over where another instance should have it; None: the interview may begin here."""
        if not opening.decided and not self._holds(interview_id):
            willing = []
            for path in self.others():
                answer, handed = await self._ask(path, interview_id, stream, received, take=Stance.MINE)
                if handed:
                    return handed
                if answer is Stance.WILLING:
                    willing.append(path)
            if opening.yielded or not self._ready():
                for path in willing:
                    _, handed = await self._ask(path, interview_id, stream, received, take=Stance.WILLING)
                    if handed:
                        return handed
        opening.decided = True
        return None

    async def ready(self) -> bool:
        """Return whether another instance could begin an interview; False where none can be asked."""
        with suppress(OSError):  # no file descriptors left
            for path in self.others():
                if (await self._ask(path, "", None, b"", take=Stance.MINE))[0] is Stance.WILLING:
                    return True
        return False

    def others(self) -> list[Path]:
        """Return the sockets of the other instances on this machine, whether anybody answers there or not."""
        if self._folder is None:
            return []
        own = self._folder / SOCKET_NAME
        return sorted(path for path in self._folder.parent.glob(f"*/{SOCKET_NAME}") if path != own)

    async def _ask(
        self,
        path: Path,
        interview_id: str,
        stream: trio.abc.Stream | None,
        received: bytes,
        *,
        take: Stance,
    ) -> "tuple[Stance, Handed | None]":
        """Ask one instance, and hand the connection over if it answers ``take`` or MINE."""
        with (
            trio.move_on_after(ASK_SECONDS),
            trio.socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asking,
        ):
            try:
                await asking.connect(str(path))
                await asking.send(msgspec.json.encode(Question(interview_id, self._name, self._ready())))
                answer = Stance((await asking.recv(MESSAGE_BYTES)).decode() or Stance.NO)
                if stream is None or answer not in {Stance.MINE, take}:
                    return answer, None
                handed = await _handed(asking, stream, received)
            except (OSError, ValueError):
                return Stance.NO, None  # it has just stopped
            self._log.info("connection.handed_over", interview=interview_id, to=path.parent.name)
            return answer, handed
        return Stance.NO, None

    # -------------------------------------------------------------- answering

    async def serve(
        self,
        take: Take,
        connections: trio.Nursery,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Answer the others until cancelled; connections that they hand over are served in ``connections``."""
        if self._folder is None:
            task_status.started()
            return
        path = self._folder / SOCKET_NAME
        path.unlink(missing_ok=True)
        with trio.socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            await listener.bind(str(path))
            listener.listen(BACKLOG)
            task_status.started()
            accepting = Patience(self._log)
            async with trio.open_nursery() as answering:
                while True:
                    asking, _ = await accepting.until_room(listener.accept)
                    answering.start_soon(self._answer, asking, take, connections)

    async def _answer(self, asking: trio.socket.SocketType, take: Take, connections: trio.Nursery) -> None:
        with trio.move_on_after(ASK_SECONDS), asking:
            try:
                question = msgspec.json.decode(await asking.recv(MESSAGE_BYTES), type=Question)
                await asking.send(self._answer_to(question).value.encode())
                received, ancillary, _, _ = await asking.recvmsg(MESSAGE_BYTES, socket.CMSG_SPACE(FD.size))
            except (OSError, msgspec.DecodeError, UnicodeDecodeError):
                return  # it has just stopped
            for stream in _streams(ancillary):
                connections.start_soon(take, stream, received)

    def _answer_to(self, question: Question) -> Stance:
        if self._holds(question.interview):
            return Stance.MINE
        if not self._ready():
            return Stance.NO
        if opening := self._openings.get(question.interview):
            if opening.decided or not question.ready or self._name < question.asker:
                return Stance.MINE
            opening.yielded = True
            return Stance.NO
        return Stance.WILLING


async def _handed(asking: trio.socket.SocketType, stream: trio.abc.Stream, received: bytes) -> Handed:
    if isinstance(stream, trio.SocketStream):
        await asking.sendmsg([received], [_rights(stream.socket.fileno())])
        return Handed()
    ours, theirs = relay.pair()
    try:
        async with theirs:
            await asking.sendmsg([received], [_rights(theirs.socket.fileno())])
    except BaseException:
        ours.socket.close()
        raise
    return Handed(ours)


def _streams(ancillary: Sequence[tuple[int, int, bytes]]) -> Iterator[trio.SocketStream]:
    """Yield the connections among passed descriptors; whatever else was passed is closed, for it is ours by now."""
    for level, kind, data in ancillary:
        if (level, kind) != (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            continue
        for (fd,) in FD.iter_unpack(data[: len(data) // FD.size * FD.size]):
            try:
                handed = socket.socket(fileno=fd)
            except OSError:
                os.close(fd)
                continue
            if handed.type == socket.SOCK_STREAM:
                yield trio.SocketStream(trio.socket.from_stdlib_socket(handed))
            else:
                handed.close()


def _rights(fd: int) -> tuple[int, int, bytes]:
    return socket.SOL_SOCKET, socket.SCM_RIGHTS, FD.pack(fd)
