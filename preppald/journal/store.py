"""The database as the journal's thread sees it. Every method blocks; one at a time is called."""

from collections.abc import Callable, Collection, Iterable
from contextlib import closing, suppress
import errno
from functools import partial
import itertools
from pathlib import Path
import sqlite3
import time
from typing import TypeVar

from preppald.core.interview import Interview
from preppald.core.turns import with_holes
from preppald.errors import PreppaldError, StartError
from preppald.journal import (
    adoption,
    faults,
    files,
    forgetting,
    mending,
    reader,
    rows,
    salvage,
    schema,
    writes,
)
from preppald.journal.forgetting import Removed
from preppald.journal.mending import Fallback
from preppald.journal.neighbours import Neighbours
from preppald.journal.parcel import Parcel
from preppald.journal.pending import Batch
from preppald.journal.place import Place
from preppald.journal.rows import Unreadable
from preppald.telemetry.interfaces import Log

T = TypeVar("T")

RESTORE = "a backup may have it: see `preppald journal restore`"
TODO = f"see `preppald journal check`; {RESTORE}"

# Rows that a salvage puts into the new file in one transaction: some milliseconds.
SALVAGE_ROWS = 200
# A start waits so long for what can be had of a damaged file: less than TimeoutStartSec=. `preppald journal salvage`
# looks at the rest.
SALVAGE_SECONDS = 30.0


class Store:
    """``now_ms``: the wall clock in milliseconds. ``fallback``: what a live interview has whose row is damaged.

    ``damaged_rows`` counts the rows that could not be read since the start, ``left_files`` the earlier files whose
    unfinished business is not in this one yet.
    """

    def __init__(
        self,
        place: Place,
        log: Log,
        *,
        now_ms: Callable[[], int] = lambda: 0,
        fallback: Fallback = Fallback(),  # noqa: B008 - frozen
    ) -> None:
        self._place = place
        self._log = log
        self.neighbours = Neighbours(place, log)
        self._now_ms = now_ms
        self._fallback = fallback
        self.damaged_rows = 0
        self._left_behind: set[str] = set()
        # Met while a question was answered, and set aside after it.
        self._met: list[Unreadable] = []
        # Those that even a DELETE does not find: reported once.
        self._reported: set[bytes] = set()
        self._connection: sqlite3.Connection | None = None
        # A file whose disk failed, by name, until there is another one.
        self._left: tuple[str, sqlite3.Connection] | None = None
        self.short_of_space = False

    @property
    def name(self) -> str:
        return self._place.name

    @property
    def left_files(self) -> int:
        """Earlier files whose unfinished business could not be taken into this one yet."""
        return len(self._left_behind)

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
        """Open the place of an instance for a moment, unless that runs; return whether it was opened.

        Raises:
            StartError: a newer preppald wrote it.
            sqlite3.Error, OSError: it cannot be read or written.
        """
        if not self._place.take():
            return False
        try:
            self._connection = self._checked()
            self._gather()
        except BaseException:
            self.close()
            raise
        return True

    def take_over(self, source: "Store", live: list[Interview]) -> int:
        """Take one step of another instance's leavings: see ``adoption.step``."""
        before = len(live)
        moved = source.read(
            partial(adoption.step, target=self._open_connection, live=live, report=source.met)
        )
        self._drop_overtaken()
        for interview in live[before:]:
            self._note_hole(interview)
        return moved

    def met(self, error: Unreadable) -> None:
        """Note a row that cannot be read: logged now, set aside after the question that met it."""
        image = rows.image(error.row)
        if image not in self._reported:
            self._reported.add(image)
            self._met.append(error)

    def commit(self, batch: Batch, ready: Parcel | None = None) -> None:
        """Write the batch in one transaction. A full disk is given the reserve first.

        Raises:
            sqlite3.Error, OSError: it is not durable; EIO when the file is not the one that was opened any more.
        """
        if trouble := self._place.trouble():
            raise OSError(errno.EIO, trouble)
        try:
            writes.commit(self._open_connection, batch, ready)
        except (sqlite3.Error, OSError) as error:
            if faults.damage(error) is not faults.Damage.FULL or not self._place.free_reserve():
                raise
            self._log.error("journal.reserve_used", database=self.name)
            self.short_of_space = True
            writes.commit(self._open_connection, batch, ready)
        self._place.written()

    @property
    def watched(self) -> bool:
        """Return whether anything can happen to the file under us."""
        return self._place.watched

    def trouble(self) -> str | None:
        """Return what happened to the file under us; None when nothing did, or it is left already."""
        return None if self._connection is None else self._place.trouble()

    def renew_reserve(self) -> None:
        """Put the reserve back when there is room for it again."""
        if self.short_of_space and self._place.reserve():
            self.short_of_space = False

    def move_on(self) -> None:
        """Leave a file whose disk failed for a new one beside it, with all unfinished business.

        The old file is never written again, also when no new one can be made yet: then call this again. Rows that
        cannot be read now are tried again at the next start.
        """
        if self._left is None:
            self._left = (self.name, self._open_connection)
            self._connection = None
        left, old = self._left
        if self.name == left:
            self._place.succeed()
        self._connection = _prepared(self._place.connect(), self._place)
        self._left = None
        self._carry_over(Path(left).name, old)
        self._drop_overtaken()
        self._log.error("journal.moved_on", failed=left, database=self.name)

    def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Return the database's answer; damaged rows met on the way are set aside then."""
        connection = self._open_connection
        answer = query(connection)
        met, self._met = self._met, []
        for error in met:
            try:
                self._note(mending.set_aside(connection, error, self._now_ms))
            except sqlite3.Error as why:
                self._note(mending.Finding(error.table, error.interview_id, error.key, error.why, str(why)))
        return answer

    def forget(self, names: Collection[str], *, also_undelivered: bool) -> Removed:
        """Remove all of these interviews, in this file and in earlier ones; see ``forgetting.forget``."""
        forget = partial(forgetting.forget, also_undelivered=also_undelivered, now_ms=self._now_ms)
        try:
            return forget(self._open_connection, names, earlier=self._place.earlier())
        finally:
            self._place.shrunk()

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
        """Return a connection to the present file; or, where that is damaged, to a new one with its readable rows."""
        for loss in self._place.losses():
            self._log.error("journal.shortened", database=self.name, what=loss, todo=RESTORE)
        # Before SQLite has the file: see salvage.py, rule 3.
        log = salvage.WriteAheadLog(Path(self.name))
        writable = salvage.writable(Path(self.name))
        connection = self._place.connect()
        try:
            if not writable:
                raise schema.corrupt("its header has a version that SQLite would only read")
            schema.tune(connection)
            if schema.check(connection):
                self._log.error("journal.reindexed", database=self.name)
            hidden = self._hidden(connection, log)
            if schema.misnumbered(connection):
                self._log.error("journal.misnumbered", database=self.name, schema=schema.version(connection))
            connection = _prepared(connection, self._place)
        except sqlite3.Error as error:
            if not faults.corrupt(error):
                connection.close()
                raise
            return self._salvaged(connection, error)
        if hidden:
            damaged: list[Unreadable] = []
            counts = _put(connection, salvage.hidden_rows(hidden, damaged.append))
            self._log.error(
                "journal.wal_damaged", database=self.name, frames=len(hidden), rows=sum(counts.values())
            )
            for finding in mending.take_in(connection, damaged, self._now_ms, self._fallback):
                self._note(finding)
        return connection

    def _hidden(self, connection: sqlite3.Connection, log: salvage.WriteAheadLog) -> list[tuple[int, bytes]]:
        """Return the frames of the -wal that SQLite does not take, since one before them is damaged."""
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        frames = log.frames(size)
        if not frames:
            return []
        _, taken, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        return frames[max(taken, 0) :]

    def _salvaged(self, old: sqlite3.Connection, why: sqlite3.Error) -> sqlite3.Connection:
        """Move the damaged file aside, and put its readable rows into a new one."""
        damaged_file = self.name
        # Before it is closed: closing would delete the -wal, which may hold the newest rows.
        aside = self._place.set_aside()
        self._log.error(
            "journal.corrupt",
            database=damaged_file,
            cause=str(why),
            moved_to=aside,
            todo=f"see what is in it with `preppald journal salvage {aside}`; {RESTORE}",
        )
        old.close()
        connection = _prepared(self._place.connect(), self._place)
        damaged: list[Unreadable] = []
        try:
            until = time.monotonic() + SALVAGE_SECONDS
            found = salvage.rows_of(Path(aside), damaged.append, lambda: time.monotonic() > until)
            counts = _put(connection, found)
        except OSError as error:
            self._log.error("journal.not_salvaged", database=aside, cause=str(error))
            return connection
        self._log.error("journal.salvaged", database=damaged_file, **counts, damaged=len(damaged))
        for finding in mending.take_in(connection, damaged, self._now_ms, self._fallback):
            self._note(finding)
        return connection

    def _gather(self) -> None:
        """Take in the rows of earlier files, set damaged ones aside, end transfers that another instance began."""
        for finding in mending.mend(self._open_connection, now_ms=self._now_ms, fallback=self._fallback):
            self._note(finding)
        self.carry_over()
        adoption.mend(self._open_connection, self.neighbours.have_arrived)
        self._drop_overtaken()
        for interview in reader.live(self._open_connection, self.met):
            self._note_hole(interview)

    def carry_over(self) -> list[Interview]:
        """Take in rows of earlier files that could not be read before; return the live interviews among them."""
        before = {it.interview_id for it in reader.live(self._open_connection, self.met)}
        left = [it for it in self._place.earlier() if not writes.was_carried(self._open_connection, it.name)]
        for file in left:
            with suppress(sqlite3.Error):  # it is gone; said already
                self._carry_over(file.name, files.writable(file))
        after = reader.live(self._open_connection, self.met)
        self._drop_overtaken()
        return [it for it in after if it.interview_id not in before]

    def _drop_overtaken(self) -> None:
        for key in writes.drop_overtaken(self._open_connection, self._now_ms):
            self._log.warning("delivery.overtaken", key=key)

    def _note(self, finding: mending.Finding) -> None:
        self.damaged_rows += 1
        self._log.error(
            "journal.row_damaged",
            database=self.name,
            table=finding.table,
            interview=finding.interview_id,
            key=finding.key,
            cause=finding.why,
            done=finding.done,
            todo=TODO,
        )

    def _note_hole(self, interview: Interview) -> None:
        """Report the place of missing speech."""
        ask = (self._open_connection, interview.interview_id, interview.epoch)
        said = reader.fragments(*ask, report=self.met)
        lost_to = reader.lost_to(*ask)
        holes = len(with_holes(said, lost_to)) - len(said)
        if holes:
            self._log.error(
                "transcript.unreadable", interview=interview.interview_id, parts=holes, todo=RESTORE
            )

    def _carry_over(self, file: str, old: sqlite3.Connection) -> None:
        with closing(old):
            try:
                schema.migrate(old)
                count = writes.carry_over(old, file, self._open_connection, self._passed_over)
            except (sqlite3.Error, PreppaldError) as error:
                if file not in self._left_behind:
                    self._log.error(
                        "journal.not_carried_over",
                        database=file,
                        cause=str(error),
                        todo="it is tried again every few seconds",
                    )
                self._left_behind.add(file)
            else:
                self._left_behind.discard(file)
                if count:
                    self._log.warning("journal.carried_over", database=file, rows=count)

    def _passed_over(self, error: Unreadable) -> None:
        """Pass over a damaged row of a file that is left: the row stays there."""
        self._note(
            mending.Finding(error.table, error.interview_id, error.key, error.why, "left in the earlier file")
        )


def _prepared(connection: sqlite3.Connection, place: Place) -> sqlite3.Connection:
    """Give the database today's tables and its name, and return the connection; close it if that fails."""
    try:
        schema.tune(connection)
        schema.migrate(connection)
        schema.name(connection, Path(place.name).name)
    except BaseException:
        connection.close()
        raise
    return connection


def _put(connection: sqlite3.Connection, found: Iterable[salvage.Found]) -> dict[str, int]:
    """Put salvaged rows into a database, where the newer of two stays; return how many of each table."""
    counts = dict.fromkeys(rows.COLUMNS, 0)
    each = iter(found)
    while some := list(itertools.islice(each, SALVAGE_ROWS)):
        with writes.transaction(connection):
            for it in some:
                counts[it.table] += writes.put_salvaged(connection, it.table, it.number, it.row)
    return counts
