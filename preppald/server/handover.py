"""The other instances on this host that share the port: a connection goes to the one that holds its interview.

They find each other in the runtime directory, where each has a folder with a socket in it; a connection that was
accepted by the wrong one is handed over with the bytes that were read of it (SCM_RIGHTS, unix(7)). One that has TLS
on it stays: what is handed over is a socket to which its plain bytes are carried (``relay``).

Rule 1: a connection is handed over once at most.
Rule 2: who has the interview gets it; who has it not asks everybody before beginning it.
Rule 3: who can begin none (draining, full) gives it to one who can.
Rule 4: of two who open the same interview at one moment, the one whose name comes first gets it.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
import socket
import struct

import msgspec
import trio

from preppald.server import relay
from preppald.telemetry.logs import Logger

SOCKET_NAME = "handover"
# One instance asks another on the same machine: seen, half a millisecond. One that is stuck has no say.
ASK_SECONDS = 1.0
# A request's head and what came behind it, http1's bound, with room.
MESSAGE_BYTES = 64 * 1024
# As many as there may be connections in handshake.
BACKLOG = 512
FD = struct.Struct("i")

# Takes over a connection: its socket, and the bytes that were read of it.
Take = Callable[[trio.SocketStream, bytes], Awaitable[None]]


class Answer(StrEnum):
    MINE = "mine"
    WILLING = "willing"
    NO = "no"


class Question(msgspec.Struct, frozen=True):
    """``ready``: whether the asker could begin it. Empty ``interview``: only whether another one could be begun."""

    interview: str
    asker: str
    ready: bool


@dataclass(slots=True)
class Opening:
    """An interview that connections here ask for. ``yielded``: another opens it too, and comes first (rule 4)."""

    connections: int = 0
    decided: bool = False
    yielded: bool = False


@dataclass(frozen=True, slots=True)
class Handed:
    """``near``: where the connection's plain bytes are to be carried; None where the socket itself went over."""

    near: trio.SocketStream | None = None


class Handover:
    """``folder``: this instance's own in the runtime directory; None where there is none, and no others.

    ``holds``: whether an interview is here. ``ready``: whether another could begin here.
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
        """Around everything from the first question until the interview is here, or is not."""
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
        """What remains to be done for a connection that another instance has now; None: it may begin here."""
        if not opening.decided and not self._holds(interview_id):
            willing = []
            for path in self._others():
                answer, handed = await self._ask(path, interview_id, stream, received, take=Answer.MINE)
                if handed:
                    return handed
                if answer is Answer.WILLING:
                    willing.append(path)
            if opening.yielded or not self._ready():
                for path in willing:
                    _, handed = await self._ask(path, interview_id, stream, received, take=Answer.WILLING)
                    if handed:
                        return handed
        opening.decided = True
        return None

    async def ready(self) -> bool:
        """Whether another instance could begin an interview."""
        for path in self._others():
            if (await self._ask(path, "", None, b"", take=Answer.MINE))[0] is Answer.WILLING:
                return True
        return False

    def _others(self) -> list[Path]:
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
        take: Answer,
    ) -> "tuple[Answer, Handed | None]":
        """Asks one, and hands over when it answers ``take`` or better."""
        with (
            trio.move_on_after(ASK_SECONDS),
            trio.socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asking,
        ):
            try:
                await asking.connect(str(path))
                await asking.send(msgspec.json.encode(Question(interview_id, self._name, self._ready())))
                answer = Answer((await asking.recv(MESSAGE_BYTES)).decode() or Answer.NO)
                if stream is None or answer not in {Answer.MINE, take}:
                    return answer, None
                handed = await _handed(asking, stream, received)
            except (OSError, ValueError):
                return Answer.NO, None  # it has just stopped
            self._log.info("connection.handed_over", interview=interview_id, to=path.parent.name)
            return answer, handed
        return Answer.NO, None

    # -------------------------------------------------------------- answering

    async def serve(
        self,
        take: Take,
        connections: trio.Nursery,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Answers the others, until cancelled; what they hand over is taken in ``connections``."""
        if self._folder is None:
            task_status.started()
            return
        path = self._folder / SOCKET_NAME
        path.unlink(missing_ok=True)
        with trio.socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            await listener.bind(str(path))
            listener.listen(BACKLOG)
            task_status.started()
            async with trio.open_nursery() as answering:
                while True:
                    asking, _ = await listener.accept()
                    answering.start_soon(self._answer, asking, take, connections)

    async def _answer(self, asking: trio.socket.SocketType, take: Take, connections: trio.Nursery) -> None:
        with trio.move_on_after(ASK_SECONDS), asking:
            try:
                question = msgspec.json.decode(await asking.recv(MESSAGE_BYTES), type=Question)
                await asking.send(self._answer_to(question).value.encode())
                received, ancillary, _, _ = await asking.recvmsg(MESSAGE_BYTES, socket.CMSG_SPACE(FD.size))
            except (OSError, msgspec.DecodeError):
                return  # it has just stopped
            for level, kind, data in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    handed = socket.socket(fileno=FD.unpack(data)[0])
                    stream = trio.SocketStream(trio.socket.from_stdlib_socket(handed))
                    connections.start_soon(take, stream, received)

    def _answer_to(self, question: Question) -> Answer:
        if self._holds(question.interview):
            return Answer.MINE
        if not self._ready():
            return Answer.NO
        if opening := self._openings.get(question.interview):
            if opening.decided or not question.ready or self._name < question.asker:
                return Answer.MINE
            opening.yielded = True
            return Answer.NO
        return Answer.WILLING


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


def _rights(fd: int) -> tuple[int, int, bytes]:
    return socket.SOL_SOCKET, socket.SCM_RIGHTS, FD.pack(fd)
