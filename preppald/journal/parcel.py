"""One commit as rows: SQLite gets them, and a journal that several hosts share gets the very same ones.

Rule 1: rows are made once: both journals store the same strings, with the same checksums.
Rule 2: a parcel's number is never given to another one, whatever becomes of either: who has seen a number takes
        nothing more under it.
"""

from typing import Protocol

import msgspec

from preppald.journal import packing, rows
from preppald.journal.pending import Batch
from preppald.journal.rows import Row

# A process's numbers begin at its start's number, times this: a year of commits at 80 ms are 400 million.
NUMBERS_A_START = 1 << 32
# Of a row besides its text, about.
ROW_BYTES = 200


class Parcel(msgspec.Struct, array_like=True, kw_only=True):
    """Hold one commit. ``number``: 0 where no other journal gets it.

    ``interviews``, ``recent``, ``owed``: rows of rows.py's columns. ``due``: by key of a transcript, as in ``Batch``.
    The rest of a batch is for this host alone.
    """

    number: int = 0
    interviews: list[Row] = []
    recent: list[Row] = []
    owed: list[Row] = []
    due: dict[str, bool] = {}

    @property
    def weight(self) -> int:
        """Bytes of memory, about."""
        others = len(self.interviews) + len(self.owed) + len(self.due)
        texts = sum(len(row[1]) for row in self.recent) + sum(len(row[4]) for row in self.owed)
        return texts + ROW_BYTES * (others + len(self.recent))


class Follower(Protocol):
    """The one that takes each commit elsewhere, too. Called on the loop, by the journal's writer."""

    def take(self, parcel: Parcel) -> None:
        """Take a parcel at once, while SQLite writes it. Touches memory only, and cannot fail.

        Where SQLite fails, the same records come again in a later parcel.
        """

    def changed(self) -> None:
        """Note that rows came into SQLite otherwise: from an earlier file, or from another instance's."""


def parcel(batch: Batch, number: int = 0) -> Parcel:
    """Make the rows of a batch."""
    return Parcel(
        number=number,
        interviews=[rows.interview_row(it) for it in batch.interviews.values()],
        recent=[rows.sealed(row) for row in packing.rows(batch.fragments)],
        owed=[rows.owed_row(it) for it in batch.owed.values()],
        due=dict(batch.due),
    )


def encoded(it: Parcel) -> bytes:
    """Return the parcel as MessagePack."""
    return _encoder.encode(it)


def row(it: Parcel) -> Row:
    """Return the row of a parcel in the table shared_parcel."""
    data = encoded(it)
    return it.number, data, rows.checksum(it.number, data)


def decoded(data: bytes) -> Parcel:
    """Return the parcel that ``encoded`` made these bytes of.

    Raises:
        msgspec.MsgspecError: they are something else.
    """
    return _decoder.decode(data)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Parcel)
