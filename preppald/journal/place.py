"""A place for the journal's database, as the store needs it; and one that the caller supplies."""

from collections.abc import Callable, Sequence
from pathlib import Path
import sqlite3
from typing import Protocol


class Place(Protocol):
    """A place for a database, as the store needs it. Every method may block: call them in the thread."""

    @property
    def name(self) -> str:
        """Return the present file's name, for people."""

    def hold(self) -> None:
        """Take the place for this process. Raise StartError when another one has it."""

    def take(self) -> bool:
        """Take the place of an instance for a moment, unless that runs; return whether it was taken."""

    def release(self) -> None:
        """Give the place back."""

    def was_run(self) -> bool:
        """Return whether a daemon ever had this place: a file that was only copied here has no lock beside it."""

    def others(self) -> "Sequence[Place]":
        """Return the places of other instances beside this one."""

    def databases(self) -> list[Path]:
        """Return the files of this place, the present one last."""

    def connect(self) -> sqlite3.Connection:
        """Return a connection to the present file, which is made if there is none."""

    def losses(self) -> list[str]:
        """Return a sentence for each part of the present file that is missing since its last commit. Before ``connect``."""

    @property
    def watched(self) -> bool:
        """Return whether anything can happen to its file: not to one in memory."""

    def trouble(self) -> str | None:
        """Return what happened to the file under the open connection: removed, replaced or cut. None: nothing."""

    def written(self) -> None:
        """Note the present file's sizes, for ``losses`` after a kill. Call it after each commit."""

    def shrunk(self) -> None:
        """Take the files' sizes as they are now: they were made smaller on purpose."""

    def set_aside(self) -> str:
        """Move the present file out of the way; return its new path."""

    def succeed(self) -> None:
        """Make a new file beside the present one the present one. Raise OSError when that fails."""

    def earlier(self) -> list[Path]:
        """Return the files that the present one succeeded, oldest first."""

    def reserve(self) -> bool:
        """Make the reserve if there is room; return whether it is there."""

    def free_reserve(self) -> bool:
        """Give up the reserve; return whether there was one."""


class Given:
    """A database that the caller supplies: the deterministic simulation's, in memory."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], name: str = "the given database") -> None:
        self._connect = connect
        self.name = name

    def hold(self) -> None:
        pass

    def take(self) -> bool:
        return True

    def release(self) -> None:
        pass

    def others(self) -> Sequence[Place]:
        return ()

    def was_run(self) -> bool:
        return True

    def databases(self) -> list[Path]:
        return []

    def connect(self) -> sqlite3.Connection:
        connection = self._connect()
        connection.isolation_level = None
        return connection

    def losses(self) -> list[str]:
        return []

    @property
    def watched(self) -> bool:
        return False

    def trouble(self) -> str | None:
        return None

    def written(self) -> None:
        pass

    def shrunk(self) -> None:
        pass

    def set_aside(self) -> str:
        return self.name

    def succeed(self) -> None:
        pass

    def earlier(self) -> list[Path]:
        return []

    def reserve(self) -> bool:
        return True

    def free_reserve(self) -> bool:
        return False
