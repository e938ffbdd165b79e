"""The database as the journal's thread sees it. Every method blocks; one at a time is called."""

from collections.abc import Callable, Iterable
from contextlib import closing, suppress
import sqlite3
from typing import TypeVar

from preppald.core.interview import Interview
from preppald.errors import PreppaldError, StartError
from preppald.journal import faults, files, reader, schema, writes
from preppald.journal.batch import Batch
from preppald.observing import Log

T = TypeVar("T")


class Store:
    def __init__(self, place: files.Place, log: Log) -> None:
        self._place = place
        self._log = log
        self._connection: sqlite3.Connection | None = None
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
            for file in self._place.earlier():
                self._carry_over(file.name, files.writable(file))
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

    def move_on(self, live: Iterable[Interview]) -> None:
        """Leaves a file whose disk failed for a new one beside it, with all unfinished business.

        What of the old file cannot be read comes from memory: ``live`` is complete, and a batch holds whole
        rows. The old file is tried again at the next start.
        """
        old, old_name = self._connection, self.name
        self._place.succeed()
        self._connection = None
        self._connection = self._prepared()
        if old is not None:
            self._carry_over(old_name.rpartition("/")[2], old)
        with writes.transaction(self._connection):
            writes.put_interviews(self._connection, live)
        self._log.error("journal.moved_on", failed=old_name, database=self.name)

    def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        return query(self._open_connection)

    def sweep(self, before_ms: int) -> int:
        return writes.sweep(self._open_connection, before_ms)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                # Closing writes the WAL back; on a failing disk the WAL simply stays for the next start.
                with suppress(sqlite3.Error):
                    connection.close()
        finally:
            self._place.release()

    @property
    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            # A successor could not be set up: the same treatment as any other failed write.
            raise sqlite3.OperationalError("no database is open")
        return self._connection

    def _checked(self) -> sqlite3.Connection:
        try:
            return self._prepared()
        except sqlite3.Error as error:
            if not faults.corrupt(error):
                raise
        damaged, aside = self.name, self._place.set_aside()
        self._log.error("journal.corrupt", database=damaged, moved_to=aside)
        return self._prepared()

    def _prepared(self) -> sqlite3.Connection:
        connection = self._place.connect()
        try:
            schema.tune(connection)
            schema.check(connection)
            schema.migrate(connection)
        except BaseException:
            connection.close()
            raise
        return connection

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
