"""Reads a database file without SQLite, for one that SQLite calls corrupt: every leaf page, every frame of the -wal.

Only the needed parts of SQLite's format (https://www.sqlite.org/fileformat2.html) are here: pages, cells, records,
overflow chains, the list of free pages, and the frames of a -wal. Nothing in a damaged file can be relied on, so
nothing is: a row counts if it has its own checksum, wherever it was found.

Rule 1: the file is only read; memory is bounded by the -wal, of which no more than ``MOST_LOG_BYTES`` are read.
Rule 2: a page that the -wal has in a newer version, and one in the list of free pages, is not read: rows that were
        deleted do not come back.
Rule 3: never call this in a process that has SQLite on the file: closing a descriptor drops SQLite's locks.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
import itertools
from pathlib import Path
import struct
from typing import Any, BinaryIO

from preppald.journal import rows
from preppald.journal.rows import Row, Unreadable

MAGIC = b"SQLite format 3\0"
PAGE_SIZES = (4096, 1024, 2048, 8192, 16384, 32768, 65536, 512)
HEADER_BYTES = 100
# In the header: a file with another version for writing is opened for reading only, without a word.
WRITE_VERSION, WRITE_VERSIONS = 18, (1, 2)
WAL_HEADER_BYTES, FRAME_HEADER_BYTES = 32, 24
WAL_MAGIC = (0x377F0682, 0x377F0683)
INDEX_INTERIOR, TABLE_INTERIOR, INDEX_LEAF, TABLE_LEAF = 2, 5, 10, 13
# A transcript of four hours, several times over. A longer chain of overflow pages is a circle.
LONGEST_BYTES = 16 * 1024 * 1024
# SQLite begins the -wal anew at 4 MB; a reader that never ends can make it longer.
MOST_LOG_BYTES = 64 * 1024 * 1024
# Pages to look at for a file whose header does not tell the size of a page.
PROBE_PAGES = 200

# The columns of each table as they are stored (those that were added later stand last), by how many they are. The
# first of a table with a rowid is the rowid's own, and empty.
_STORED = {
    18: ("interview", range(18)),
    4: ("recent", (1, 2, 3)),
    7: ("passage", (1, 5, 2, 3, 4, 6)),
    6: ("quality", range(1, 6)),
    14: ("outbox", (1, 2, 12, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13)),
}
# Rows from before there were checksums: passages only.
_OLD_PASSAGE = 5

Fetch = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Found:
    """A row with its checksum. ``number``: its rowid, None in a table without."""

    table: str
    number: int | None
    row: Row


def rows_of(
    database: Path, damaged: Callable[[Unreadable], None], stop: Callable[[], bool] = lambda: False
) -> Iterator[Found]:
    """Yield every row that can be read of a database and the -wal beside it; later versions come later.

    ``damaged`` is called with records that look like rows and lack their checksum. ``stop`` is asked at each page.

    Raises:
        OSError: the file cannot be read at all.
    """
    with database.open("rb") as file:
        size = _page_size(file)
        log = WriteAheadLog(database)
        yield from _pages(file, size, log.newest(size), damaged, stop=stop)


def writable(database: Path) -> bool:
    """Return whether SQLite would write to this file: not where the header's version for writing is unknown to it."""
    try:
        with database.open("rb") as file:
            header = file.read(HEADER_BYTES)
    except OSError:
        return True  # SQLite says why it cannot be read
    return len(header) < HEADER_BYTES or header[WRITE_VERSION] in WRITE_VERSIONS


class WriteAheadLog:
    """A database's -wal, read whole into memory before SQLite has it; empty where there is none.

    A frame is in it as long as a later one, or itself, has the salts of the newest generation: frames behind those are
    left from before the -wal was begun anew.
    """

    def __init__(self, database: Path) -> None:
        try:
            with Path(f"{database}-wal").open("rb") as file:
                self._data = file.read(MOST_LOG_BYTES)
        except OSError:
            self._data = b""

    def frames(self, size: int) -> list[tuple[int, bytes]]:
        """Yield the pages in it, with their numbers, in the order of writing. ``size``: of a page, bytes."""
        header, step = self._data[:WAL_HEADER_BYTES], FRAME_HEADER_BYTES + size
        starts = range(WAL_HEADER_BYTES, len(self._data) - step + 1, step)
        if len(header) < WAL_HEADER_BYTES or not starts:
            return []
        salts = header[16:24]
        if not _sound(header):
            salts = self._data[WAL_HEADER_BYTES + 8 : WAL_HEADER_BYTES + 16]
        own = [at for at in starts if self._data[at + 8 : at + 16] == salts]
        return [
            (
                int.from_bytes(self._data[at : at + 4], "big"),
                self._data[at + FRAME_HEADER_BYTES : at + step],
            )
            for at in starts
            if own and at <= own[-1]
        ]

    def newest(self, size: int) -> dict[int, bytes]:
        """Return the last version of each page."""
        return dict(self.frames(size))


def hidden_rows(
    frames: Sequence[tuple[int, bytes]], damaged: Callable[[Unreadable], None]
) -> Iterator[Found]:
    """Yield rows in frames of the -wal that SQLite passed over, since they stand behind a damaged one."""
    newest = dict(frames)
    # Each frame repeats its page: only records that are new in it are looked at.
    seen: set[bytes] = set()
    for _, page in frames:
        yield from _cells(page, 0, lambda number: newest.get(number, b""), damaged, seen)


def _sound(header: bytes) -> bool:
    """Return whether a -wal's header has its checksum, in this host's order of bytes."""
    (magic,) = struct.unpack(">I", header[:4])
    words = struct.unpack(f"{'>' if magic & 1 else '<'}6I", header[:24])
    one = two = 0
    for first, second in zip(words[::2], words[1::2], strict=True):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return magic in WAL_MAGIC and struct.pack(">II", one, two) == header[24:32]


def _page_size(file: BinaryIO) -> int:
    """Return the header's size of a page; where that is damaged, the size with which most rows are found."""
    file.seek(0)
    header = file.read(HEADER_BYTES)
    if header[:16] == MAGIC:
        (size,) = struct.unpack(">H", header[16:18])
        size = 65536 if size == 1 else size
        if size in PAGE_SIZES:
            return int(size)
    best, most = PAGE_SIZES[0], 0
    for size in PAGE_SIZES:
        count = sum(1 for _ in itertools.islice(_pages(file, size, {}, _ignore, most=PROBE_PAGES), 1000))
        if count > most:
            best, most = size, count
    return best


def _ignore(_error: Unreadable) -> None:
    pass


def _pages(
    file: BinaryIO,
    size: int,
    newest: dict[int, bytes],
    damaged: Callable[[Unreadable], None],
    *,
    most: int | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Found]:
    """Yield the rows of all pages: of the file, and in place of some of them newer ones of the -wal."""
    fetch = _fetch(file, size, newest)
    count = file.seek(0, 2) // size
    free = _free_pages(fetch, max(count, max(newest, default=0)))
    # The -wal may have pages that the file has not got yet.
    for number in itertools.chain(
        range(1, min(count, most or count) + 1), sorted(it for it in newest if it > count)
    ):
        if stop():
            return
        if number not in free:
            page = fetch(number)
            if len(page) == size:
                yield from _cells(page, HEADER_BYTES if number == 1 else 0, fetch, damaged)


def _fetch(file: BinaryIO, size: int, newest: dict[int, bytes]) -> Fetch:
    count = -(-file.seek(0, 2) // size)

    def fetch(number: int) -> bytes:
        if number in newest:
            return newest[number]
        # A number read from a damaged page may be past what a file system can address, where seek() fails.
        if not 1 <= number <= count:
            return b""
        file.seek((number - 1) * size)
        return file.read(size)

    return fetch


def _free_pages(fetch: Fetch, count: int) -> set[int]:
    """Return the pages in the list of free ones, as far as the list can be followed."""
    free: set[int] = set()
    first = fetch(1)
    if first[:16] != MAGIC:
        return free
    (trunk,) = struct.unpack(">I", first[32:36])
    while 0 < trunk <= count and trunk not in free:
        free.add(trunk)
        page = fetch(trunk)
        trunk, leaves = struct.unpack(">II", page[:8]) if len(page) > 8 else (0, 0)
        leaves = min(leaves, len(page) // 4 - 2)
        free.update(struct.unpack(f">{leaves}I", page[8 : 8 + 4 * leaves]))
    return free


# -------------------------------------------------------------- one page


def _cells(
    page: bytes,
    start: int,
    fetch: Fetch,
    damaged: Callable[[Unreadable], None],
    seen: set[bytes] | None = None,
) -> Iterator[Found]:
    """Yield the rows on one page. A page of an unknown kind may be of any kind that holds rows."""
    for kind in _KINDS.get(page[start], (TABLE_LEAF, INDEX_LEAF)):
        begin = start + (12 if kind == INDEX_INTERIOR else 8)
        (count,) = struct.unpack(">H", page[start + 3 : start + 5])
        count = min(count, (len(page) - begin) // 2)
        for offset in struct.unpack(f">{count}H", page[begin : begin + 2 * count]):
            try:
                at = offset + (4 if kind == INDEX_INTERIOR else 0)
                number, record = _cell(page, at, kind, fetch)
                if seen is not None:
                    if record in seen:
                        continue
                    seen.add(record)
                found = _row(number, record, kind, damaged)
            except (IndexError, struct.error, ValueError, OverflowError):
                continue  # no cell is there
            if found is not None:
                yield found


# By the kind that a page claims: its possible kinds, if one bit of that is wrong. The first byte of an
# overflow page is 0.
_KINDS = {
    0: (),
    INDEX_INTERIOR: (INDEX_INTERIOR, INDEX_LEAF),
    TABLE_INTERIOR: (TABLE_LEAF,),
    INDEX_LEAF: (INDEX_LEAF,),
    TABLE_LEAF: (TABLE_LEAF,),
}


def _cell(page: bytes, at: int, kind: int, fetch: Fetch) -> tuple[int | None, bytes]:
    """Return a cell's rowid, None in an index, and its record."""
    length, at = _varint(page, at)
    number: int | None = None
    if kind == TABLE_LEAF:
        number, at = _varint(page, at)
    if not 0 < length <= LONGEST_BYTES:
        raise ValueError("no cell")
    return number, _payload(page, at, length, kind, fetch)


def _row(number: int | None, record: bytes, kind: int, damaged: Callable[[Unreadable], None]) -> Found | None:
    """Return a record as a row of one of our tables; None for any other record."""
    values = _record(record)
    if kind == TABLE_LEAF and values and isinstance(values[0], str):
        return None  # of sqlite_schema, which has as many columns as an old passage: a row of ours begins with its rowid
    if kind == TABLE_LEAF and len(values) == _OLD_PASSAGE:
        values += (0, None)
    if len(values) not in _STORED:
        return None
    table, places = _STORED[len(values)]
    if (table == "interview") == (kind == TABLE_LEAF):
        return None
    row = tuple(values[place] for place in places)
    if not _plausible(table, row):
        return None
    try:
        rows.DECODERS[table](row)
    except Unreadable as error:
        damaged(error)
        return None
    return Found(table, number, row)


def _plausible(table: str, row: Row) -> bool:
    """Return whether it may be a row of this table at all, damaged or not."""
    match table:
        case "recent":
            return isinstance(row[0], int) and isinstance(row[1], str) and row[1].startswith("[")
        case "passage":
            return isinstance(row[4], str)
        case "outbox":
            return isinstance(row[4], bytes)
        case "quality":
            return isinstance(row[3], str) and row[3].startswith("{")
        case _:
            return isinstance(row[10], str)


def _payload(page: bytes, at: int, length: int, kind: int, fetch: Fetch) -> bytes:
    """Return the record of a cell, put together from its overflow pages."""
    size = len(page)  # no page has reserved space in a file of ours
    most = size - 35 if kind == TABLE_LEAF else (size - 12) * 64 // 255 - 23
    if length <= most:
        return page[at : at + length]
    least = (size - 12) * 32 // 255 - 23
    local = least + (length - least) % (size - 4)
    local = local if local <= most else least
    parts = [page[at : at + local]]
    left = length - local
    (number,) = struct.unpack(">I", page[at + local : at + local + 4])
    seen: set[int] = set()
    while left > 0 and number:
        if number in seen:
            raise ValueError("a chain of overflow pages that is a circle")
        seen.add(number)
        overflow = fetch(number)
        (number,) = struct.unpack(">I", overflow[:4])
        parts.append(overflow[4 : 4 + min(left, size - 4)])
        left -= size - 4
    return b"".join(parts)


def _record(data: bytes) -> Row:
    """Return the values of a record."""
    header, at = _varint(data, 0)
    if header > len(data):
        raise ValueError("no record")
    values: list[Any] = []
    body = header
    while at < header:
        kind, at = _varint(data, at)
        value, body = _value(data, body, kind)
        values.append(value)
    return tuple(values)


_INTEGER_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}


def _value(data: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind in {0, 8, 9}:
        return {0: None, 8: 0, 9: 1}[kind], at
    if kind in _INTEGER_BYTES:
        end = at + _INTEGER_BYTES[kind]
        return int.from_bytes(data[at:end], "big", signed=True), end
    if kind < 12:
        raise ValueError("no value of ours")
    end = at + (kind - 12) // 2
    if end > len(data):
        raise ValueError("no record")
    return (data[at:end] if kind % 2 == 0 else data[at:end].decode("utf-8", "surrogateescape")), end


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(8):
        byte = data[at + place]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + place + 1
    return value << 8 | data[at + 8], at + 9
