"""The audit: each action on this state directory, its time, its user and its size. It names no interview and no candidate.

    <state_dir>/audit.jsonl      one action a line, only ever added to; the older half in audit.1.jsonl
    <state_dir>/audit.key        the key of the digests, of this state directory alone

Rule 1: of an interview or a user a keyed digest is kept. It proves an action on an id that somebody knows, and tells the id
        to nobody: `preppald forget` leaves it where it is.
Rule 2: an action is carried out also where the audit cannot be written (a full disk is a reason to act); it is said then.
"""

from collections.abc import Iterator
import contextlib
import errno
import fcntl
import hashlib
import hmac
import os
from pathlib import Path
import secrets
import time
from typing import Literal

import msgspec

FILE, OLDER, KEY = "audit.jsonl", "audit.1.jsonl", "audit.key"
FILE_MODE = 0o600
KEY_BYTES = 32
# Another process adds a line in milliseconds.
LOCK_SECONDS = 2.0
LOOK_SECONDS = 0.02
# Some forty thousand actions; as many again in the older file.
MOST_BYTES = 8 * 1024 * 1024
# Of SHA-256, in hexadecimal: no two ids of one installation share it.
DIGEST_CHARS = 32

Kind = Literal["interview", "user"]


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One action. ``at_ms``: the wall clock. ``uid``: of the process that ordered it; None where it is not known.

    ``via``: the command, the operator's page, or the files themselves where no daemon ran. ``subject``: the digest of the
    interview or user that it was about. ``with_reason``: the operator gave one. ``counts``: numbers of what was done.
    """

    at_ms: int
    action: str
    via: str
    instance: str = ""
    uid: int | None = None
    subject: str | None = None
    with_reason: bool = False
    counts: dict[str, int] = {}


class Audit:
    """One state directory's. Every method blocks, and raises OSError."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir

    def digest(self, kind: Kind, name: str) -> str:
        """Return the digest of an id; the key is made with the first."""
        told = hmac.new(self._key(), f"{kind}:{name}".encode(), hashlib.sha256)
        return told.hexdigest()[:DIGEST_CHARS]

    def add(self, entry: Entry) -> None:
        """Add an action; it is on disk when this returns."""
        path = self._state_dir / FILE
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        try:
            self._lock(file)
            self._give_to_owner(file)
            # A machine that stopped in the midst of a line left a half of one.
            size = os.fstat(file).st_size
            begun = size and os.pread(file, 1, size - 1) != b"\n"
            _write(file, (b"\n" if begun else b"") + msgspec.json.encode(entry) + b"\n")
            os.fsync(file)
            if os.fstat(file).st_size > MOST_BYTES and _same(path, file):
                path.rename(self._state_dir / OLDER)
        finally:
            os.close(file)

    def entries(self) -> Iterator[Entry]:
        """Yield every action, the oldest first; a line that cannot be read is left out."""
        for name in (OLDER, FILE):
            with contextlib.suppress(FileNotFoundError), (self._state_dir / name).open("rb") as file:
                for line in file:
                    with contextlib.suppress(msgspec.MsgspecError, UnicodeError):
                        yield msgspec.json.decode(line, type=Entry)

    def _lock(self, file: int) -> None:
        """Lock the file. Raises OSError where another process keeps it: one that was stopped would hold up a drain."""
        until = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    raise
                time.sleep(LOOK_SECONDS)
            else:
                return

    def _key(self) -> bytes:
        path = self._state_dir / KEY
        with contextlib.suppress(FileExistsError):
            # Whole under its own name, or not there: another process may ask at this moment.
            part = path.with_name(f"{KEY}.{os.getpid()}.{secrets.token_hex(4)}")
            if not path.exists():
                file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
                try:
                    _write(file, secrets.token_bytes(KEY_BYTES))
                    self._give_to_owner(file)
                    os.fsync(file)
                    path.hardlink_to(part)
                finally:
                    os.close(file)
                    part.unlink()
        return path.read_bytes()

    def _give_to_owner(self, file: int) -> None:
        """Leave root's file to the daemon's user, who has to write it, too."""
        if os.geteuid() == 0:
            there = self._state_dir.stat()
            os.fchown(file, there.st_uid, there.st_gid)


def _write(file: int, data: bytes) -> None:
    """Add all of it to the file, or nothing: a disk that fills up takes a part, and calls that no error."""
    size = os.fstat(file).st_size
    if os.write(file, data) < len(data):
        os.ftruncate(file, size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _same(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except OSError:
        return False
