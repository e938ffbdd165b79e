"""The database files of a state directory: their names, their modes, and connections to them."""

import contextlib
import os
from pathlib import Path
import re
import sqlite3
from typing import Any

from preppald.errors import JournalError
from preppald.journal import rows

# A part of file names; without a dot, which sets off the number of a successor.
INSTANCE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
FILE_MODE = 0o600
DIRECTORY_MODE = 0o700
# An operator's command holds the write lock for milliseconds; more than this is a hung program.
BUSY_SECONDS = 5.0


class Connection(sqlite3.Connection):
    """A connection on which a damaged schema is an error of the database.

    SQLite quotes the damaged text in its message; where that is not UTF-8 any more, Python cannot even raise the error.
    """

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        try:
            return super().execute(sql, *parameters)
        except UnicodeDecodeError as error:
            raise _unspeakable(error) from error

    def executescript(self, script: str, /) -> sqlite3.Cursor:
        try:
            return super().executescript(script)
        except UnicodeDecodeError as error:
            raise _unspeakable(error) from error


def _unspeakable(why: UnicodeDecodeError) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(
        f"the schema is damaged, and so is SQLite's message about it ({why.reason})"
    )
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def generation_file(state_dir: Path, instance: str, generation: int) -> Path:
    return state_dir / (f"{instance}.db" if generation == 1 else f"{instance}.{generation}.db")


def generations(state_dir: Path, instance: str) -> list[tuple[int, Path]]:
    """Return the existing databases of an instance, by their number."""
    named = re.compile(re.escape(instance) + r"(?:\.([1-9][0-9]{0,5}))?\.db")
    if not state_dir.is_dir():
        return []
    matches = [(named.fullmatch(file.name), file) for file in state_dir.iterdir()]
    return sorted((int(match[1] or 1), file) for match, file in matches if match)


def instances(state_dir: Path) -> list[str]:
    """Return the names of all instances that ever had a database in this state directory."""
    return sorted({file.name.split(".")[0] for file in state_dir.glob("*.db")})


def listable(state_dir: Path) -> None:
    """Look whether this user may list a state directory: one that may not be listed looks empty to a glob.

    Raises:
        JournalError: it may not be listed; the text says who may.
    """
    try:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            next(state_dir.iterdir(), None)
    except PermissionError as error:
        raise JournalError(_forbidden(state_dir)) from error


def _forbidden(state_dir: Path) -> str:
    try:
        uid = state_dir.stat().st_uid
    except OSError:
        return f"the state directory {state_dir} may not be read by this user: try `sudo preppald …`"
    try:
        owner = named = state_dir.owner()
    except (OSError, KeyError):
        # As sudo takes a number.
        owner, named = f"user {uid}", f"'#{uid}'"
    return f"the state directory {state_dir} may only be read by {owner}: try `sudo -u {named} preppald …`"


def read_only(file: Path) -> sqlite3.Connection:
    """Return a connection that cannot write, and that does not hinder the daemon."""
    return _existing(file, "ro")


def writable(file: Path) -> sqlite3.Connection:
    """Return a connection to a database that must be there."""
    return _existing(file, "rw")


def new(file: Path) -> sqlite3.Connection:
    """Return a connection to a database that is made with it.

    Raises:
        FileExistsError: the file is there already.
    """
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE))
    return _existing(file, "rw")


def give_to_owner(file: Path) -> None:
    """Leave root's file to the owner of its directory, the daemon's user, who has to open it, too. Raises OSError."""
    if os.geteuid() == 0:
        there = file.parent.stat()
        # That user may put a link in its place at this moment, to a file that is not theirs.
        os.chown(file, there.st_uid, there.st_gid, follow_symlinks=False)


def _existing(file: Path, mode: str) -> sqlite3.Connection:
    uri = f"{file.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(
        uri,
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        factory=Connection,
    )
    rows.equip(connection)
    return connection
