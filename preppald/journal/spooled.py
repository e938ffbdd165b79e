"""The database of a host that shares its journal with others: each commit is kept as a parcel, too. See spool.py."""

from functools import partial
from typing import Any

from preppald.core.interview import Interview
from preppald.journal import parcel, spool
from preppald.journal.parcel import Parcel
from preppald.journal.pending import Batch
from preppald.journal.store import Store


class Spooled(Store):
    """A store whose commits are parcels with numbers."""

    def __init__(self, *args: Any, **keys: Any) -> None:
        super().__init__(*args, **keys)
        # Of the last parcel.
        self._number = 0

    def open(self) -> list[Interview]:
        live = super().open()
        self._number = spool.prepare(self._open_connection)
        return live

    def parcel(self, batch: Batch) -> Parcel:
        """Make the rows of a batch, under the next number."""
        self._number += 1
        return parcel.parcel(batch, self._number)

    def move_on(self) -> None:
        super().move_on()
        # Another file: the next start must not begin with numbers that this one has given.
        spool.prepare(self._open_connection, first=self._number)

    def take_over(self, source: Store, live: list[Interview]) -> int:
        # First: a process that is killed behind the step has rows that came by no commit of its own.
        source.read(partial(spool.add_kin, self._open_connection))
        spool.note_whole(self._open_connection, whole=False)
        return super().take_over(source, live)

    def carry_over(self) -> list[Interview]:
        found = super().carry_over()
        # While a start gathers earlier files, the tables may not be there: a file without them is not whole anyway.
        if spool.is_prepared(self._open_connection):
            spool.note_whole(self._open_connection, whole=False)
        return found
