"""The database as the journal's thread sees it. Every method blocks; one at a time is called."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
import sqlite3
from typing import TypeVar

from preppald.core.interview import Interview, Phase
from preppald.errors import PreppaldError, StartError
from preppald.journal import adoption, faults, files, reader, schema, writes
from preppald.journal.pending import Batch
from preppald.telemetry.interfaces import Log

T = TypeVar("T")


class Store:
    def __init__(self, place: files.Place, log: Log) -> None:
        self._place = place
        self._log = log
        self._connection: sqlite3.Connection | None = None
        # A file whose disk failed, by name, until there is another one.
        self._left: tuple[str, sqlite3.Connection] | None = None
        self.short_of_space = False

    @property
    def name(self) -> str:
        return self._place.name

    def open(self) -> list[Interview]:
        """Takes the place, checks and migrates the database; the interviews that are live in it.

        Raises:
            StartError: the place is taken, cannot be written, or holds a newer schema.
        """
        self._place.hold()
        try:
            self._connection = self._checked()
            self._gather()
            self.short_of_space = not self._place.reserve()
            return reader.live(self._connection)
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise StartError(
                f"the database {self.name} cannot be opened ({error}): "
                "check the free space and the owner of the state directory"
            ) from error
        except PreppaldError:
            self.close()
            raise

    def enter(self) -> bool:
        """As ``open``, for a moment and in the name of an instance that does not run; whether it does not.

        Raises:
            StartError: a newer preppald wrote it.
            sqlite3.Error, OSError: it cannot be read or written.
        """
        if not self._place.take():
            return False
        try:
            self._connection = _prepared(self._place.connect())
            self._gather()
        except BaseException:
            self.close()
            raise
        return True

    def owing(self) -> list[files.Place]:
        """Other instances whose database has unfinished business, whether they run or not."""
        return [place for place, files in self._neighbours() if any(_asked(files[-1:], adoption.owes))]

    def take_over(self, source: "Store", live: list[Interview]) -> int:
        """One step of what another instance left: see ``adoption.step``."""
        return source.read(partial(adoption.step, target=self._open_connection, live=live))

    def elsewhere(self, interview_id: str) -> Interview | None:
        """The interview as another instance has it; the newest, where there are several."""
        ask = partial(reader.interview, interview_id=interview_id)
        return newest(found for _, files in self._neighbours() for found in _asked(files, ask))

    def was_spoken_elsewhere(self, interview_id: str, epoch: int) -> bool:
        ask = partial(reader.fragments, interview_id=interview_id, epoch=epoch)
        return any(found for _, files in self._neighbours() for found in _asked(files, ask))

    def commit(self, batch: Batch) -> None:
        """Writes the batch in one transaction. A full disk is given the reserve first."""
        try:
            writes.commit(self._open_connection, batch)
        except (sqlite3.Error, OSError) as error:
            if faults.damage(error) is not faults.Damage.FULL or not self._place.free_reserve():
                raise
            self._log.error("journal.reserve_used", database=self.name)
            self.short_of_space = True
            writes.commit(self._open_connection, batch)

    def renew_reserve(self) -> None:
        """Puts the reserve back when there is room for it again."""
        if self.short_of_space and self._place.reserve():
            self.short_of_space = False

    def move_on(self) -> None:
        """Leaves a file whose disk failed for a new one beside it, with all unfinished business.

        The old file is never written again, also when no new one can be made yet: then call this again. What
        cannot be read of it now is tried again at the next start.
        """
        if self._left is None:
            self._left = (self.name, self._open_connection)
            self._connection = None
        left, old = self._left
        if self.name == left:
            self._place.succeed()
        self._connection = _prepared(self._place.connect())
        self._left = None
        self._carry_over(Path(left).name, old)
        self._log.error("journal.moved_on", failed=left, database=self.name)

    def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        return query(self._open_connection)

    def settle(self, bucket: int) -> bool:
        return writes.settle(self._open_connection, bucket)

    def sweep(self, before_ms: int) -> int:
        return writes.sweep(self._open_connection, before_ms)

    def close(self) -> None:
        open_ones = [self._connection, self._left and self._left[1]]
        self._connection = self._left = None
        try:
            for connection in filter(None, open_ones):
                # Closing writes the WAL back; on a failing disk the WAL simply stays for the next start.
                with suppress(sqlite3.Error):
                    connection.close()
        finally:
            self._place.release()

    @property
    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            error = sqlite3.OperationalError("no database is open")
            if self._left is not None:
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error
        return self._connection

    def _checked(self) -> sqlite3.Connection:
        """A connection to the present file; or to a new one, when the present one is damaged."""
        connection = self._place.connect()
        try:
            schema.tune(connection)
            schema.check(connection)
        except sqlite3.Error as error:
            if not faults.corrupt(error):
                connection.close()
                raise
            damaged = self.name
            # Before it is closed: closing would delete the -wal, which may hold the newest rows.
            aside = self._place.set_aside()
            self._log.error("journal.corrupt", database=damaged, moved_to=aside)
            connection.close()
            connection = self._place.connect()
        return _prepared(connection)

    def _gather(self) -> None:
        """Takes in what earlier files have, and ends what was cut off when another instance took it."""
        for file in self._place.earlier():
            self._carry_over(file.name, files.writable(file))
        adoption.mend(self._open_connection, self._arrived)

    def _arrived(self, transfer: str) -> bool:
        """What cannot be read has not: the same keys told twice are better than never."""
        ask = partial(adoption.has_arrived, transfer=transfer)
        return any(any(_asked(files, ask)) for _, files in self._neighbours())

    def _neighbours(self) -> list[tuple[files.Place, list[Path]]]:
        """Other instances and their databases; none while the directory cannot be read."""
        with suppress(OSError):
            return [(place, place.databases()) for place in self._place.others()]
        return []

    def _carry_over(self, file: str, old: sqlite3.Connection) -> None:
        with closing(old):
            try:
                schema.migrate(old)
                rows = writes.carry_over(old, file, self._open_connection)
            except (sqlite3.Error, PreppaldError) as error:
                self._log.error("journal.not_carried_over", database=file, cause=str(error))
            else:
                if rows:
                    self._log.warning("journal.carried_over", database=file, rows=rows)


def _prepared(connection: sqlite3.Connection) -> sqlite3.Connection:
    """The connection, to a database with today's tables; closed if that fails."""
    try:
        schema.tune(connection)
        schema.migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def newest(found: Iterable[Interview | None]) -> Interview | None:
    """Of several rows of one interview. One that has ended does not live again under the same epoch."""
    known = [it for it in found if it is not None]
    return max(known, key=lambda it: (it.epoch, it.phase is Phase.ENDED), default=None)


def _asked(databases: Iterable[Path], query: Callable[[sqlite3.Connection], T]) -> Iterator[T]:
    """The answers of other instances' databases, as far as they can be read."""
    for file in databases:
        with suppress(sqlite3.Error), closing(files.read_only(file)) as connection:
            yield query(connection)
