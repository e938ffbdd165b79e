"""Finds the meaning of a failed write, and the words for people."""

import enum
import errno
import sqlite3

# The low byte of an extended result code is its family.
FAMILY = 0xFF
# SQLite's words for a damaged byte of the header, which it does not call damage.
FORMAT = "unsupported file format"


class Damage(enum.Enum):
    """The remedies for an error of the database or of its disk."""

    FULL = "full"  # the same file goes on when there is space again
    BROKEN = "broken"  # this file can no longer be trusted: the page cache lies after a failed fsync
    PASSING = "passing"  # try again


def damage(error: sqlite3.Error | OSError) -> Damage:
    """Return the kind of damage behind this error."""
    if isinstance(error, OSError):
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return Damage.FULL
        return Damage.BROKEN if error.errno == errno.EIO else Damage.PASSING
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    # The shared-memory index could not grow: a full disk by another name.
    if code == sqlite3.SQLITE_IOERR_SHMSIZE or code & FAMILY == sqlite3.SQLITE_FULL:
        return Damage.FULL
    if code & FAMILY in {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return Damage.BROKEN
    return Damage.PASSING


def corrupt(error: sqlite3.Error) -> bool:
    """Return whether the file itself is damaged, rather than the disk or the permissions."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    return code & FAMILY in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB} or str(error) == FORMAT


def forbidden(error: sqlite3.Error) -> bool:
    """Return whether the file cannot be opened at all."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & FAMILY == sqlite3.SQLITE_CANTOPEN


def sentence(error: sqlite3.Error | OSError, name: str) -> str:
    """Return a sentence for /ready and the log."""
    match damage(error):
        case Damage.FULL:
            return f"the disk of {name} is full: free some space; until then transcripts are kept in memory"
        case Damage.BROKEN:
            return f"the disk of {name} fails ({error}): transcripts are kept in memory; replace the disk"
        case Damage.PASSING:
            return f"{name} cannot be written ({error}): transcripts are kept in memory"
