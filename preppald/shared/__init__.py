"""A journal that several hosts share, behind the local one: for hosts that die with all they have.

protocol.py   the questions and the answers: one Protocol, and every type that goes through it
alone.py      one host alone: everything is granted
model.py      the same in memory, for simulations
tables.py     its tables, and the rules by which they change
hello.py      the hello between two hosts                      (pure)
peers.py      asks the other hosts themselves
tenure.py     whether this instance still holds what it runs     (pure)
shipment.py   several commits as one
archive.py    what all hosts have, for the operator's commands
forgetting.py removes interviews, for `preppald forget`
signals.py    what hosts tell each other of Gemini; signal_statements.py in PostgreSQL, signal_tables.py in memory
hosts.py      the instances, and an operator's words to them
asking.py     one question of a command
examine.py    the findings of `preppald check --online` about a database
choice.py     which of them it is
membership.py this instance among the others
shipper.py    brings each commit there, beside SQLite's own
tending.py    settles what is there, and forgets what is over
ownership.py  who has which interview, and the takeover of what a lost host left
takeover.py   what a survivor does about one that does not renew (pure)
parting.py    lets go of what others have
words.py      the words of a session in the rows               (pure)
postgres.py   the same in PostgreSQL; imported only where it is set
statements.py   its statements, each one transaction
migrations.py   its tables
link.py       one connection, in a thread, under a watchdog: the only file that knows the driver
"""

from preppald.shared.alone import Alone
from preppald.shared.choice import archive_at, examined, forgetter_at, hosts_at, shared_for
from preppald.shared.protocol import LEASE_SECONDS, Presence, Shared

__all__ = [
    "LEASE_SECONDS",
    "Alone",
    "Presence",
    "Shared",
    "archive_at",
    "examined",
    "forgetter_at",
    "hosts_at",
    "shared_for",
]
