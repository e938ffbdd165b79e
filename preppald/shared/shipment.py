"""Makes one shipment of several commits, and takes one apart whose rows cannot all be stored."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from preppald.journal import rows, writes
from preppald.journal.parcel import Parcel
from preppald.journal.rows import Row
from preppald.shared.protocol import Session, Shipment

# Of one statement: while it runs, the lease's row is held and a failover has more to undo.
MOST_ROWS = 512
MOST_BYTES = 1024 * 1024


def shipment(parcels: Iterable[Parcel], kin: Sequence[int] = ()) -> Shipment:
    """Return the rows of commits in their order; of rows with one key the one that counts in the end."""
    interviews: dict[Session, Row] = {}
    recent: list[Row] = []
    owed: dict[str, Row] = {}
    due: dict[str, bool] = {}
    for it in parcels:
        interviews |= {(row[0], row[1]): row for row in it.interviews}
        recent += [(it.number, place, *row) for place, row in enumerate(it.recent)]
        for row in it.owed:
            key = row[0]
            # The rule by which SQLite took them, one after the other.
            if key not in owed or writes.outranks(rows.owed(row), rows.owed(owed[key])):
                owed[key] = row
        due |= it.due
    return Shipment(
        interviews=list(interviews.values()), recent=recent, owed=list(owed.values()), due=due, kin=kin
    )


def fits(whole: Shipment) -> bool:
    """Return whether a shipment is one statement."""
    return sum(1 for _ in islice(pieces(whole), 2)) == 1


def pieces(whole: Shipment) -> Iterator[Shipment]:
    """Yield a shipment in parts of a bounded size: first the words, then the rows that may say that they are all."""
    words = [
        *(Shipment(passages=own) for own in _chunks(whole.passages, text=4)),
        *(Shipment(recent=own) for own in _chunks(whole.recent, text=3)),
    ]
    if len(words) <= 1:
        yield whole
        return
    yield from words
    yield replace(whole, passages=(), recent=())


def _chunks(rows_: Sequence[Row], text: int) -> Iterator[list[Row]]:
    """Yield rows in lists of a bounded size. ``text``: the place of their fragments."""
    own: list[Row] = []
    size = 0
    for row in rows_:
        if own and (len(own) >= MOST_ROWS or size + len(row[text]) > MOST_BYTES):
            yield own
            own, size = [], 0
        own.append(row)
        size += len(row[text])
    if own:
        yield own


def apart(whole: Shipment) -> Iterator[tuple[str, Shipment]]:
    """Yield each row as a shipment of its own, with words for it."""
    kin = whole.kin
    for row in whole.interviews:
        yield f"the row of interview {row[0]}", Shipment(interviews=[row], kin=kin)
    for row in whole.recent:
        yield f"a row of fragments, number {row[0]}", Shipment(recent=[row])
    for row in whole.passages:
        yield f"a passage of interview {row[0]}", Shipment(passages=[row])
    for row in whole.owed:
        yield f"delivery {row[0]}", Shipment(owed=[row])
    for key, due in whole.due.items():
        yield f"the note of feedback on {key}", Shipment(due={key: due})
