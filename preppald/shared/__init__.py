"""A journal that several hosts share, behind the local one: for hosts that die with all they have.

protocol.py   the questions and the answers: one Protocol, and every type that goes through it
alone.py      one host alone: everything is granted
model.py      the same in memory, for simulations
tenure.py     whether this instance still holds what it runs     (pure)
shipment.py   several commits as one
examine.py    the findings of `preppald check --online` about a database
choice.py     which of them it is
membership.py this instance among the others
shipper.py    brings each commit there, beside SQLite's own
postgres.py   the same in PostgreSQL; imported only where it is set
statements.py   its statements, each one transaction
migrations.py   its tables
link.py       one connection, in a thread, under a watchdog: the only file that knows the driver
"""

from preppald.shared.alone import Alone
from preppald.shared.choice import examined, shared_for
from preppald.shared.protocol import LEASE_SECONDS, Presence, Shared

__all__ = ["LEASE_SECONDS", "Alone", "Presence", "Shared", "examined", "shared_for"]
