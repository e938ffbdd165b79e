"""Durability: records survive kill -9 and power loss.

journal.py   the sessions' interface, and the writer task      (Trio, no SQL)
pending.py   the records that are not yet durable             (memory)
packing.py   many fragments a row
parcel.py    one commit as rows, for this journal and for one that hosts share
rows.py      columns, checksums, and the one error for a row that cannot be read
mending.py   damaged rows, set aside one by one
backup.py    copies of it, made and brought back              (blocking)
salvage.py   a damaged file, read without SQLite
store.py     the database as the writer's thread sees it     (blocking)
schema.py    tables and migrations
writes.py    the transactions
adoption.py  the transactions of taking over an instance      (blocking)
adopter.py   takes over instances that do not run              (Trio)
reader.py    the questions, also for the operator's commands
neighbours.py  the other instances, as this one reads them    (blocking)
exchange.py  sessions from and to the journal that hosts share (blocking)
removing.py  rows that were delivered, removed by their age
forgetting.py  all of an interview, removed for good             (blocking)
set_aside.py damaged files, written anew without an interview    (blocking)
place.py     a place for a database, as the store needs it; one in memory
on_disk.py   one instance's place: the lock, the files         (blocking)
files.py     the names of database files, and connections to them
faults.py    the meaning of a failed write
"""

from preppald.journal.exchange import Brought
from preppald.journal.forgetting import Removed
from preppald.journal.journal import RETENTION_MS, Journal
from preppald.journal.mending import Fallback
from preppald.journal.on_disk import DEFAULT_INSTANCE, OnDisk
from preppald.journal.place import Given, Place
from preppald.journal.reader import Queue, Which

__all__ = [
    "DEFAULT_INSTANCE",
    "RETENTION_MS",
    "Brought",
    "Fallback",
    "Given",
    "Journal",
    "OnDisk",
    "Place",
    "Queue",
    "Removed",
    "Which",
]
