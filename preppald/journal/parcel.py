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


class Parcel(msgspec.Struct, array_like=True, kw_only=True):
    """Hold one commit. ``number``: 0 where no other journal gets it.

    ``interviews``, ``recent``, ``owed``: rows of rows.py's columns. ``due``: by key of a transcript, as in ``Batch``.
    """

    number: int = 0
    interviews: list[Row] = []
    recent: list[Row] = []
    owed: list[Row] = []
    due: dict[str, bool] = {}

    def __len__(self) -> int:
        return len(self.interviews) + len(self.recent) + len(self.owed) + len(self.due)


class Follower(Protocol):
    """The one that takes each commit elsewhere, too. Called from the journal's writer."""

    def next_number(self) -> int:
        """Return the number of the next parcel."""

    def take(self, parcel: Parcel) -> None:
        """Take a parcel at once, while SQLite writes it. Touches memory only, and cannot fail."""

    def written(self, parcel: Parcel) -> None:
        """Note that the parcel is in SQLite, from where it can be read again."""


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


def decoded(data: bytes) -> Parcel:
    """Return the parcel that ``encoded`` made these bytes of.

    Raises:
        msgspec.MsgspecError: they are something else.
    """
    return _decoder.decode(data)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Parcel)
