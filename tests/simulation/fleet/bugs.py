"""Bugs that the verdict must find, each planted for one run: a simulation that finds nothing could be blind."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from unittest import mock

import trio

from preppald.core.interview import Interview
from preppald.journal.rows import Row
from preppald.journal.spooled import Spooled
from preppald.shared.gate import Gate
from preppald.shared.membership import Membership
from preppald.shared.model import Client
from preppald.shared.ownership import Ownership
from preppald.shared.parting import Parting
from preppald.shared.peers import Peers
from preppald.shared.protocol import Peer, Unreachable, Written
from preppald.shared.tables import NOBODY, Instance, Kept, Tables
from tests.simulation.fleet.engine import Connection, Engine

Bug = Callable[[Engine], AbstractContextManager[None]]


@contextmanager
def numbers_used_again(_engine: Engine) -> Iterator[None]:
    """A start does not begin behind all numbers that the file ever gave, but with the first one."""
    opened = Spooled.open

    def from_the_first(self: Spooled) -> list[Interview]:
        live = opened(self)
        self._number = 0
        return live

    with mock.patch.object(Spooled, "open", from_the_first):
        yield


@contextmanager
def cancel_is_success(_engine: Engine) -> Iterator[None]:
    """A commit that is given up while it waits counts as done, as PostgreSQL answers one that is cancelled."""
    with mock.patch.object(Connection, "given_up", Written()):
        yield


@contextmanager
def _no_vouching() -> Iterator[None]:
    """No host can be asked whether it lives. Otherwise the living are never declared lost, whatever else is wrong."""

    async def silent(_self: Peers, _peer: Peer) -> bool:
        await trio.lowlevel.checkpoint()
        return False

    with mock.patch.object(Peers, "vouch", silent):
        yield


@contextmanager
def no_lock(_engine: Engine) -> Iterator[None]:
    """A writer does not look whether it was declared lost, only its pulse does; and no way leads to it, to ask."""
    renewed = Client._renewed

    def mine(self: Client, me: int) -> Instance | None:
        return self._tables.instances.get(me)

    def still_renewed(self: Client, me: int) -> Instance | None:
        found = mine(self, me)
        return None if found is None or found.lost else renewed(self, me)

    renewing = mock.patch.object(Client, "_renewed", still_renewed)
    with mock.patch.object(Client, "_mine", mine), renewing, _no_vouching():
        yield


@contextmanager
def not_steady(_engine: Engine) -> Iterator[None]:
    """Whoever is back first after an outage declares all others lost; and no way leads to them, to ask."""

    async def declare_lost(self: Client, me: int, peer: int, /) -> bool | Unreachable:
        def statement() -> bool:
            other = self._tables.instances[peer]
            other.lost = other.lost or (self._mine(me) is not None and self._lapsed(other))
            return other.lost

        return await self._done(statement)

    with mock.patch.object(Client, "declare_lost", declare_lost), _no_vouching():
        yield


@contextmanager
def claimed_too_early(_engine: Engine) -> Iterator[None]:
    """The sessions of a lost instance may be claimed before its last words are settled."""

    def free(self: Tables, owner: int) -> bool:
        return owner == NOBODY or self.instances[owner].lost

    async def claims_first(self: Ownership, peer: Peer) -> bool:
        await self._claim_all()
        return await settle(self, peer)

    settle = Ownership._settle
    with mock.patch.object(Tables, "free", free), mock.patch.object(Ownership, "_settle", claims_first):
        yield


@contextmanager
def anybody_ends_it(_engine: Engine) -> Iterator[None]:
    """The row of a session is taken from one that does not own it, and nobody looks before sending one."""

    def put(self: Tables, me: int, row: Row, kin: Sequence[int]) -> bool:
        kept = self.interviews.setdefault((row[0], row[1]), Kept(row, me))
        kept.owner = me
        return put_interview(self, me, row, kin)

    put_interview = Tables.put_interview

    async def no_part(*_arguments: object) -> Written:
        await trio.lowlevel.checkpoint()
        return Written()

    with mock.patch.object(Tables, "put_interview", put), mock.patch.object(Parting, "part", no_part):
        yield


@contextmanager
def posted_at_once(_engine: Engine) -> Iterator[None]:
    """A delivery is posted as soon as the host's own disk has it."""
    with mock.patch.object(Gate, "posts", return_value=True):
        yield


@contextmanager
def silence_is_a_refusal(_engine: Engine) -> Iterator[None]:
    """An instance that hears nothing for a lease's time takes itself for lost."""
    silent = Membership.silent

    def gives_up(self: Membership, why: str) -> bool:
        silent(self, why)
        return self.refused() if self.incarnation and not self.holds else False

    with mock.patch.object(Membership, "silent", gives_up):
        yield


BUGS: Mapping[str, Bug] = {
    "a writer is not locked out by its declaration": no_lock,
    "the first one back declares all others lost": not_steady,
    "a claim before the settle": claimed_too_early,
    "a post before the database has it": posted_at_once,
    "an end without a look at the owner": anybody_ends_it,
    "a silent database is taken for a refusal": silence_is_a_refusal,
    "a number is used again after a start": numbers_used_again,
    "a cancel is taken for success": cancel_is_success,
}
