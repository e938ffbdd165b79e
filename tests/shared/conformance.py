"""What every shared journal holds to: the same sentences for one host alone, for the model and for PostgreSQL.

``OneHost`` is what a daemon relies on that may be alone; ``ManyHosts`` is what others may do to it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol
from unittest.mock import ANY

from preppald.core.deliveries import OutboxEntry
from preppald.core.interview import Interview, Phase, Usage
from preppald.core.turns import Fragment
from preppald.journal import packing, rows
from preppald.journal.parcel import Parcel, parcel
from preppald.journal.pending import Batch
from preppald.journal.rows import Row
from preppald.shared.protocol import (
    LEASE_SECONDS,
    Claimed,
    Fenced,
    Joined,
    Known,
    Peer,
    Presence,
    Pulse,
    Said,
    Session,
    Shared,
    Unfit,
    Unreachable,
    Written,
)
from preppald.shared.shipment import apart, shipment
from tests.durable import EPOCH_MS, begun, finished, interview, said

HERE = Presence("here", "10.0.0.1:8788", "1")
THERE = Presence("there", "10.0.0.2:8788", "1")


class World(Protocol):
    """A database of its own for each test, with any number of hosts."""

    def host(self) -> Shared: ...

    async def pass_time(self, seconds: float) -> None:
        """Let the database's clock go on, without a pulse of anybody's."""


def commit(
    number: int,
    *interviews: Interview,
    of: str = "iv",
    fragments: Sequence[Fragment] = (),
    owed: Sequence[OutboxEntry] = (),
    due: dict[str, bool] | None = None,
) -> Parcel:
    batch = Batch(due=due or {})
    batch.interviews = {(it.interview_id, it.block): it for it in interviews}
    batch.add_fragments(of, 1, fragments)
    batch.owed = {it.key: it for it in owed}
    return parcel(batch, number)


def ended(it: Interview, *, at_ms: int = EPOCH_MS) -> Interview:
    return replace(it, phase=Phase.ENDED, ended_ms=at_ms, ending="COMPLETED")


def passages(fragments: Sequence[Fragment], of: str = "iv") -> list[Row]:
    packed = packing.rows((of, 1, it) for it in fragments)
    recent = [it for _, row in packed for it in packing.in_recent(row)]
    return [rows.sealed(row) for row in packing.passages(recent)]


def numbers(found: object, of: str = "iv") -> list[int]:
    """Return the numbers of an interview's fragments, as a reader of the rows sees them."""
    assert isinstance(found, Said)
    seqs = {it.seq for row in found.passages for it in rows.passage(row)}
    seqs |= {
        packing.unpacked(it).seq for row in found.recent for it in rows.recent(row) if it.interview_id == of
    }
    return sorted(seqs)


async def joined(shared: Shared, presence: Presence = HERE) -> int:
    answer = await shared.join(presence)
    assert isinstance(answer, Joined)
    return answer.incarnation


class OneHost:
    """What holds for everybody."""

    async def test_who_joins_holds(self, world: World) -> None:
        shared = world.host()
        me = await joined(shared)
        assert isinstance(await shared.pulse(me, 3), Pulse)
        assert await shared.known(me) == Known(0, 0)

    async def test_a_commit_is_taken_and_taken_again(self, world: World) -> None:
        shared = world.host()
        me = await joined(shared)
        whole = shipment([commit(1, interview(), fragments=said(3), owed=[OutboxEntry(begun())])])
        assert await shared.append(me, whole) == Written()
        assert await shared.append(me, whole) == Written()

    async def test_settling_and_sweeping_are_granted(self, world: World) -> None:
        shared = world.host()
        me = await joined(shared)
        assert await shared.settle(me, [], 0) == Written()
        assert await shared.sweep(me, EPOCH_MS) == 0
        assert await shared.release(me, [("iv", 0)]) == Written()

    async def test_nobody_owns_and_nobody_said_what_never_began(self, world: World) -> None:
        shared = world.host()
        me = await joined(shared)
        assert await shared.owner(("iv", 0)) is None
        assert await shared.said(("iv", 0), 1) == Said()
        assert await _claimed(shared, me, 10) == []

    async def test_nobody_declares_itself_lost(self, world: World) -> None:
        shared = world.host()
        me = await joined(shared)
        assert await shared.declare_lost(me, me) is False
        assert await _unsettled(shared, me) == []
        assert await shared.settle_lost(me, me, []) == Written()
        assert isinstance(await shared.pulse(me, 0), Pulse)


class ManyHosts(OneHost):
    """What holds where there are others."""

    # Written is there.

    async def test_fragments_come_back_whichever_way_they_are_stored(self, world: World) -> None:
        shared = world.host()
        me = await joined(shared)
        await shared.append(me, shipment([commit(1, interview(), fragments=said(3))]))
        await shared.append(me, shipment([commit(2, fragments=said(4, first=4))]))
        assert numbers(await shared.said(("iv", 0), 1)) == [*range(1, 8)]
        assert await shared.settle(me, passages(said(3)), 1) == Written()
        assert numbers(await shared.said(("iv", 0), 1)) == [*range(1, 8)]
        assert await shared.known(me) == Known(2, 1)
        found = await shared.said(("iv", 0), 1)
        assert isinstance(found, Said)
        assert len(found.passages) == len(found.recent) == 1

    async def test_the_numbers_of_what_is_settled_are_remembered(self, world: World) -> None:
        shared = world.host()
        me = await joined(shared)
        await shared.append(me, shipment([commit(7, interview(), fragments=said(3))]))
        await shared.settle(me, passages(said(3)), 7)
        assert await shared.known(me) == Known(7, 7)

    async def test_passages_that_overlap_are_both_kept(self, world: World) -> None:
        """One that ends with the same fragment may begin before it."""
        shared = world.host()
        me = await joined(shared)
        whole = shipment([commit(1, interview())])
        await shared.append(me, replace(whole, passages=passages(said(2, first=4))))
        await shared.append(me, replace(whole, passages=passages(said(5))))
        assert numbers(await shared.said(("iv", 0), 1)) == [1, 2, 3, 4, 5]

    async def test_a_commit_in_many_is_as_good_as_many_commits(self, world: World) -> None:
        shared = world.host()
        me = await joined(shared)
        later = replace(interview(), usage=Usage(prompt_audio=9))
        parcels = [
            commit(1, interview(), fragments=said(2)),
            commit(2, later, fragments=said(2, first=3), owed=[OutboxEntry(begun())]),
            commit(3, owed=[OutboxEntry(begun()).acknowledged(EPOCH_MS)]),
            # Made a second time, after a restart: the acknowledgement stands.
            commit(4, owed=[OutboxEntry(begun())]),
        ]
        assert await shared.append(me, shipment(parcels)) == Written()
        assert numbers(await shared.said(("iv", 0), 1)) == [1, 2, 3, 4]
        await shared.release(me, [("iv", 0)])
        (claimed,) = await _claimed(shared, me, 1)
        assert rows.interview(claimed.row) == later

    async def test_a_row_that_cannot_be_stored_is_found_among_the_others(self, world: World) -> None:
        shared = world.host()
        me = await joined(shared)
        spoilt = interview("bad", user_id="a\x00b")
        whole = shipment([commit(1, interview(), spoilt, fragments=said(2), owed=[OutboxEntry(begun())])])
        assert isinstance(await shared.append(me, whole), Unfit)
        answers = {what: await shared.append(me, it) for what, it in apart(whole)}
        assert {what for what, it in answers.items() if it != Written()} == {"the row of interview bad"}
        assert numbers(await shared.said(("iv", 0), 1)) == [1, 2]

    async def test_an_older_epoch_does_not_come_back(self, world: World) -> None:
        shared = world.host()
        me = await joined(shared)
        await shared.append(me, shipment([commit(1, interview(epoch=2))]))
        await shared.append(me, shipment([commit(2, interview(epoch=1))]))
        await shared.release(me, [("iv", 0)])
        (claimed,) = await _claimed(shared, me, 1)
        assert rows.interview(claimed.row).epoch == 2

    async def test_blocks_of_an_interview_are_sessions_of_their_own(self, world: World) -> None:
        here, there = world.host(), world.host()
        a, b = await joined(here), await joined(there, THERE)
        await here.append(a, shipment([commit(1, interview(), interview(block=2))]))
        await here.release(a, [("iv", 2)])
        (claimed,) = await _claimed(there, b, 10)
        assert rows.interview(claimed.row).block == 2
        assert await _owner(there, ("iv", 0)) == "here"
        assert await _owner(there, ("iv", 2)) == "there"

    async def test_what_is_over_is_forgotten_but_not_what_is_owed(self, world: World) -> None:
        shared = world.host()
        me = await joined(shared)
        done = OutboxEntry(finished("over")).acknowledged(EPOCH_MS)
        await shared.append(
            me,
            shipment(
                [
                    commit(1, interview(), of="over", fragments=said(2)),
                    commit(2, ended(interview("over")), owed=[done]),
                    commit(3, ended(interview("owes")), owed=[OutboxEntry(finished("owes"))]),
                    commit(4, ended(interview("half")), interview("half", block=2)),
                ]
            ),
        )
        await shared.settle(me, passages(said(2), "over"), 1)
        assert await shared.sweep(me, EPOCH_MS) == 0
        assert await shared.sweep(me, EPOCH_MS + 1) == 1
        assert await shared.said(("over", 0), 1) == Said()
        assert await shared.sweep(me, EPOCH_MS + 1) == 0

    # Others.

    async def test_a_session_has_one_owner(self, world: World) -> None:
        """The second host that begins it is told; nothing of its row is stored."""
        here, there = world.host(), world.host()
        a, b = await joined(here), await joined(there, THERE)
        assert await here.append(a, shipment([commit(1, interview())])) == Written()
        mine = replace(interview(), user_id="another")
        assert await there.append(b, shipment([commit(1, mine)])) == Written((("iv", 0),))
        assert await _owner(there, ("iv", 0)) == "here"

    async def test_kin_may_go_on(self, world: World) -> None:
        """Another instance of the same state directory took the interviews over, under the directory's own locks."""
        here, there = world.host(), world.host()
        a, b = await joined(here), await joined(there, THERE)
        await here.append(a, shipment([commit(1, interview())]))
        assert await there.append(b, shipment([commit(1, interview())], kin=[a])) == Written()
        assert await _owner(here, ("iv", 0)) == "there"

    async def test_who_renews_is_never_declared_lost(self, world: World) -> None:
        here, there = world.host(), world.host()
        a, b = await joined(here), await joined(there, THERE)
        for _ in range(4):
            await world.pass_time(LEASE_SECONDS * 0.6)
            await here.pulse(a, 0)
            await there.pulse(b, 0)
        assert await there.declare_lost(b, a) is False
        assert isinstance(await here.pulse(a, 0), Pulse)

    async def test_who_is_declared_lost_writes_nothing_more(self, world: World) -> None:
        here, there, a, b = await one_lost(world)
        assert await here.pulse(a, 0) == Fenced()
        assert await here.known(a) == Fenced()
        assert await here.append(a, shipment([commit(2, fragments=said(3, first=4))])) == Fenced()
        assert await here.settle(a, passages(said(3)), 9) == Fenced()
        assert await here.sweep(a, EPOCH_MS) == Fenced()
        assert await here.claim(a, 1) == Fenced()
        assert await here.release(a, [("iv", 0)]) == Fenced()
        assert await here.settle_lost(a, b, []) == Fenced()
        assert numbers(await there.said(("iv", 0), 1)) == [1, 2, 3]

    async def test_the_first_one_back_declares_nobody_lost(self, world: World) -> None:
        """After an outage of the database every lease has lapsed; only the one that stays away is lost."""
        here, there = world.host(), world.host()
        a, b = await joined(here), await joined(there, THERE)
        await world.pass_time(LEASE_SECONDS * 3)
        pulse = await there.pulse(b, 0)
        assert isinstance(pulse, Pulse)
        assert [peer.incarnation for peer in pulse.lapsed] == [a]
        assert await there.declare_lost(b, a) is False
        await world.pass_time(LEASE_SECONDS * 0.6)
        await there.pulse(b, 0)
        await world.pass_time(LEASE_SECONDS * 0.6)
        assert await there.declare_lost(b, a) is True

    async def test_who_has_lapsed_itself_declares_nobody_lost(self, world: World) -> None:
        """It woke from a long sleep: it knows nothing of the others before it renews."""
        here, there = world.host(), world.host()
        a, b = await joined(here), await joined(there, THERE)
        await world.pass_time(LEASE_SECONDS * 2)
        assert await there.declare_lost(b, a) is False

    async def test_a_lost_one_is_shown_until_it_is_settled(self, world: World) -> None:
        """Its declarer may die before."""
        _, there, a, b = await one_lost(world)
        pulse = await there.pulse(b, 0)
        assert isinstance(pulse, Pulse)
        assert pulse.lapsed == [Peer(a, "here", HERE.address, lost=True)]
        await there.settle_lost(b, a, [])
        assert (await there.pulse(b, 0)) == Pulse(ANY, [])

    async def test_a_lost_one_is_settled_before_anybody_claims(self, world: World) -> None:
        _, there, a, b = await one_lost(world)
        assert await _claimed(there, b, 10) == []
        recent = await _unsettled(there, a)
        assert [packing.unpacked(it).seq for row in recent for it in rows.recent(row)] == [1, 2, 3]
        assert await there.settle_lost(b, a, passages(said(3))) == Written()
        assert await there.settle_lost(b, a, passages(said(3))) == Written()
        (claimed,) = await _claimed(there, b, 10)
        assert claimed == Claimed(rows.interview_row(interview()), 1)
        assert await _owner(there, ("iv", 0)) == "there"
        assert numbers(await there.said(("iv", 0), 1)) == [1, 2, 3]
        assert await _claimed(there, b, 10) == []

    async def test_one_interview_may_be_claimed_by_its_name(self, world: World) -> None:
        here, there = world.host(), world.host()
        a, b = await joined(here), await joined(there, THERE)
        await here.append(a, shipment([commit(1, interview("x"), interview("y"), ended(interview("z")))]))
        await here.release(a, [("x", 0), ("y", 0), ("z", 0)])
        assert [it.row[0] for it in await _claimed(there, b, 10, "y")] == ["y"]
        assert [it.row[0] for it in await _claimed(here, a, 10)] == ["x"]

    async def test_who_gave_it_up_writes_no_row_of_it(self, world: World) -> None:
        here = world.host()
        a = await joined(here)
        await here.append(a, shipment([commit(1, interview())]))
        await here.release(a, [("iv", 0)])
        assert await here.append(a, shipment([commit(2, ended(interview()))])) == Written((("iv", 0),))
        assert await here.owner(("iv", 0)) is None

    async def test_who_has_not_joined_is_fenced(self, world: World) -> None:
        """Its row is gone: the database was restored from before."""
        shared = world.host()
        await joined(shared)
        assert await shared.pulse(4711, 0) == Fenced()
        assert await shared.known(4711) == Fenced()
        assert await shared.append(4711, shipment([commit(1, interview())])) == Fenced()


async def _claimed(shared: Shared, me: int, limit: int, interview_id: str | None = None) -> list[Claimed]:
    answer = await shared.claim(me, limit, interview_id)
    assert not isinstance(answer, Fenced | Unreachable), answer
    return list(answer)


async def _unsettled(shared: Shared, peer: int) -> list[Row]:
    answer = await shared.unsettled(peer)
    assert not isinstance(answer, Unreachable), answer
    return list(answer)


async def _owner(shared: Shared, session: Session) -> str:
    owner = await shared.owner(session)
    assert isinstance(owner, Peer)
    return owner.name


async def one_lost(world: World, names: Sequence[str] = ("iv",)) -> tuple[Shared, Shared, int, int]:
    """Return two hosts and their incarnations: the first with interviews of three fragments, and declared lost."""
    here, there = world.host(), world.host()
    a, b = await joined(here), await joined(there, THERE)
    parcels = [commit(n, interview(it), of=it, fragments=said(3)) for n, it in enumerate(names, start=1)]
    await here.append(a, shipment(parcels))
    for _ in range(2):
        await world.pass_time(LEASE_SECONDS * 0.6)
        await there.pulse(b, 0)
    assert await there.declare_lost(b, a) is True
    return here, there, a, b
