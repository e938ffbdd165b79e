"""Durability: what was recorded survives kill -9 and power loss.

journal.py   the writer task and what sessions call          (Trio, no SQL)
pending.py   what is recorded and not yet durable            (memory)
packing.py   many fragments a row
rows.py      columns, checksums, and the one error for a row that cannot be read
mending.py   damaged rows, set aside one by one
backup.py    copies of it, made and brought back              (blocking)
salvage.py   a damaged file, read without SQLite
store.py     the database as the writer's thread sees it     (blocking)
schema.py    tables and migrations
writes.py    the transactions
adoption.py  those that move what a stopped instance left    (blocking)
adopter.py   when, and on whose behalf                       (Trio)
reader.py    the questions, also for the operator's commands
files.py     the state directory, the lock, the files of one instance
faults.py    what a failed write means
"""

from preppald.journal.files import DEFAULT_INSTANCE, Given, OnDisk, Place
from preppald.journal.journal import RETENTION_MS, Journal
from preppald.journal.mending import Fallback
from preppald.journal.reader import Queue, Which

__all__ = [
    "DEFAULT_INSTANCE",
    "RETENTION_MS",
    "Fallback",
    "Given",
    "Journal",
    "OnDisk",
    "Place",
    "Queue",
    "Which",
]
