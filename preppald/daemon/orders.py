"""The operator's orders to a daemon that runs, and its answers: one line of JSON each way over a Unix socket.

    <state_dir>/<instance>.control      the socket, or a link to it where the daemon has a runtime directory

The socket is its owner's alone (0600). Daemon and command may be of different versions: an unknown field of an answer is
skipped, and an unknown order is refused with a sentence.
"""

from enum import StrEnum
import os
from pathlib import Path

import msgspec

from preppald.interview.now import InterviewNow

SUFFIX = ".control"
NAME = "control"
# sockaddr_un's path, with the zero byte at its end: unix(7).
PATH_BYTES = 108
# A user's interviews by their ids of up to 64 characters: some hundreds in one order.
ORDER_BYTES = 64 * 1024
FORGOTTEN_AT_ONCE = 500
# A reason of more than a line belongs into a ticket.
REASON_CHARS = 200


class Action(StrEnum):
    """All that can be ordered."""

    STATUS = "status"
    END = "end"
    DRAIN = "drain"
    UNDRAIN = "undrain"
    FORGET = "forget"


class Order(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """``interview``: the one that is meant. ``reason``: the operator's own words; empty: none were given.

    ``forgotten``: the interviews to forget, at most ``FORGOTTEN_AT_ONCE``. ``also_undelivered``: also those that are owed.
    """

    action: Action
    interview: str = ""
    reason: str = ""
    forgotten: tuple[str, ...] = ()
    also_undelivered: bool = False


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """``done``: the action's own answer. ``error``: a sentence, where it was refused; then ``exit_status`` is the command's."""

    done: msgspec.Raw = msgspec.Raw(b"null")
    error: str | None = None
    exit_status: int = 0


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """The outbox. ``dead``: refused by the backend. ``paused``: the backend refuses the secret, and nothing is posted.

    ``held``: due, and waiting for the shared journal.
    """

    pending: int
    dead: int
    oldest_seconds: float
    paused: bool
    held: int = 0


class JournalNow(msgspec.Struct, frozen=True, kw_only=True):
    """``fault``: why it cannot be written, in words. ``pending_bytes``: text that is not on disk yet."""

    fault: str | None
    pending_bytes: int
    damaged_rows: int
    left_files: int


class StatusNow(msgspec.Struct, frozen=True, kw_only=True):
    """One daemon as it is now. ``unready``: why no interview begins here, in words; None where one may.

    ``degraded``: what is wrong with the service as a whole, in words. ``carried``: connections that are carried for
    another instance. ``stopping``: it will end when its interviews have.
    """

    instance: str
    version: str
    pid: int
    up_seconds: float
    stopping: bool
    draining: bool
    unready: str | None
    degraded: list[str]
    waiting: int
    connections: int
    carried: int
    owed: Owed
    journal: JournalNow
    interviews: list[InterviewNow]

    @property
    def well(self) -> bool:
        """True where nothing asks for an operator."""
        return not (self.degraded or self.journal.fault or self.owed.dead or self.owed.paused)


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """An interview that was ended. ``ending``: the one that counts, had it just ended by itself; ``over``: it is on record."""

    instance: str
    interview: str
    block: int
    ending: str
    over: bool


class Drained(msgspec.Struct, frozen=True, kw_only=True):
    """``was``: whether it drained before the order. ``interviews``: how many run still."""

    instance: str
    draining: bool
    was: bool
    interviews: int


def socket_path(state_dir: Path, runtime_directory: Path | None, instance: str) -> Path:
    """Return where a daemon listens for orders."""
    return state_dir / f"{instance}{SUFFIX}" if runtime_directory is None else runtime_directory / NAME


def too_long(path: Path) -> str | None:
    """Return in words that no socket can have this path; None where one can."""
    size = len(os.fsencode(path))
    if size < PATH_BYTES:
        return None
    return f"the path {path} has {size} bytes, and a socket's may have {PATH_BYTES - 1}: shorten PREPPALD_STATE_DIR"
