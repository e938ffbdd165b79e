"""The other instances of the state directory, running or not, as this one reads them. Every method blocks."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from functools import partial
import os
from pathlib import Path
import sqlite3
from typing import TypeVar

from preppald.core.interview import Interview, Phase
from preppald.journal import adoption, faults, files, reader, schema, writes
from preppald.journal.place import Place
from preppald.journal.rows import Unreadable
from preppald.telemetry.interfaces import Log

T = TypeVar("T")


class Neighbours:
    """``place``: this instance's, which is beside the others'."""

    def __init__(self, place: Place, log: Log) -> None:
        self._place = place
        self._log = log
        # Reported once.
        self._foreign: set[str] = set()
        self._closed: set[Path] = set()

    def owing(self) -> list[Place]:
        """Return the other instances whose database has unfinished business, running or not."""
        return [place for place, files in self._databases() if self._owes(place, files)]

    def interview(self, interview_id: str) -> Interview | None:
        """Return the interview as another instance has it; the newest, where there are several."""
        ask = partial(reader.interview, interview_id=interview_id, report=_passed_over)
        return newest(found for _, files in self._databases() for found in _asked(files, ask))

    def sessions(self, interview_id: str) -> list[Interview]:
        """Return every row of the interview, one a block, that another instance has."""
        ask = partial(reader.sessions, interview_id=interview_id, report=_passed_over)
        return [it for _, files in self._databases() for found in _asked(files, ask) for it in found]

    def was_spoken(self, interview_id: str, epoch: int) -> bool:
        """Return whether another instance has, or had, fragments of the interview."""

        def ask(connection: sqlite3.Connection) -> bool:
            said = reader.fragments(connection, interview_id, epoch, report=_passed_over)
            return bool(said) or reader.was_posted(connection, interview_id, epoch)

        return any(found for _, files in self._databases() for found in _asked(files, ask))

    def have_arrived(self, transfer: str) -> bool:
        """Return whether the transfer arrived at one of them.

        An unreadable database counts as "not arrived": delivering twice under one key is better than never.
        """
        ask = partial(adoption.has_arrived, transfer=transfer)
        return any(any(_asked(files, ask)) for _, files in self._databases())

    def _owes(self, place: Place, databases: Sequence[Path]) -> bool:
        """Return whether an instance has unfinished business, in its newest file or in one not carried over."""
        try:
            with closing(files.read_only(databases[-1])) as newest_file:
                if self._unfinished(place, databases[-1], newest_file):
                    return True
                left = [it for it in databases[:-1] if not writes.was_carried(newest_file, it.name)]
            for file in left:
                with closing(files.read_only(file)) as connection:
                    if self._unfinished(place, file, connection):
                        return True
        except sqlite3.Error as error:
            self._tell_of_closed(error, databases)
            # It is salvaged when it is taken over.
            return faults.corrupt(error) and place.was_run()
        except IndexError:
            return False  # its file was taken away meanwhile
        return False

    def _tell_of_closed(self, error: sqlite3.Error, databases: Sequence[Path]) -> None:
        """Report databases that are another user's, perhaps root's: what is owed in them would wait for ever."""
        if not faults.forbidden(error):
            return
        for file in databases:
            if (
                file not in self._closed
                and file.exists()
                and not os.access(file, os.R_OK | os.W_OK, effective_ids=True)
            ):
                self._closed.add(file)
                self._log.error(
                    "journal.not_adopted",
                    database=str(file),
                    cause=f"it may not be opened by this user ({error}): give it to the owner of {file.parent}",
                )

    def _unfinished(self, place: Place, file: Path, connection: sqlite3.Connection) -> bool:
        present = schema.version(connection)
        if present == 0:
            return False  # it is being made
        if present < len(schema.MIGRATIONS) or not schema.recognised(connection):
            return place.was_run()  # it is migrated, or salvaged, when it is taken over
        if schema.identity(connection) not in {file.name, None}:
            if file.name not in self._foreign:
                self._foreign.add(file.name)
                self._log.warning(
                    "journal.foreign_file",
                    database=str(file),
                    made_as=schema.identity(connection),
                    note="a copy of a journal is nobody's instance; it is left alone",
                )
            return False
        return adoption.owes(connection)

    def _databases(self) -> list[tuple[Place, list[Path]]]:
        """Return other instances and their databases; none while the directory cannot be read."""
        with suppress(OSError):
            return [(place, place.databases()) for place in self._place.others()]
        return []


def _passed_over(_error: Unreadable) -> None:
    """Pass over another instance's damaged row, which that instance reports."""


def newest(found: Iterable[Interview | None]) -> Interview | None:
    """Return the newest of an interview's rows. An ended interview does not live again under the same epoch."""
    known = [it for it in found if it is not None]
    return max(known, key=lambda it: (it.epoch, it.phase is Phase.ENDED), default=None)


def _asked(databases: Iterable[Path], query: Callable[[sqlite3.Connection], T]) -> Iterator[T]:
    """Yield the answers of other instances' databases, as far as they can be read."""
    for file in databases:
        with suppress(sqlite3.Error), closing(files.read_only(file)) as connection:
            yield query(connection)
