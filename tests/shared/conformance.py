"""What every shared journal holds to: the same sentences for one host alone, for the model and for PostgreSQL.

``OneHost`` is what a daemon relies on that may be alone; ``ManyHosts`` is what others may do to it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol
from unittest.mock import ANY

from preppald.core.deliveries import OutboxEntry
from preppald.core.interview import Interview, Phase, Usage
from preppald.core.model_health import Counts
from preppald.core.turns import Fragment
from preppald.journal import packing, rows
from preppald.journal.parcel import Parcel, parcel
from preppald.journal.pending import Batch
from preppald.journal.rows import Row
from preppald.shared.protocol import (
    LATE_SECONDS,
    LEASE_SECONDS,
    Claimed,
    Ended,
    Fenced,
    Held,
    Joined,
    Known,
    Late,
    Mine,
    Order,
    Owned,
    Peer,
    Presence,
    Pulse,
    Said,
    Session,
    Shared,
    Standing,
    TooMany,
    Unfit,
    Unreachable,
    Written,
)
from preppald.shared.shipment import apart, shipment
from preppald.shared.signals import COUNTS_SECONDS, SHOWN_SECONDS, Learnt, Signal
from tests.durable import EPOCH_MS, begun, finished, interview, said

HERE = Presence("here", "10.0.0.1:8788", "1")
THERE = Presence("there", "10.0.0.2:8788", "1")


class World(Protocol):
    """A database of its own for each test, with any number of hosts."""

    def host(self) -> Shared: ...

    async def order(self, target: int, what: str) -> int:
        """Have an operator say a word to an instance; return its number."""

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


async def _signals(shared: Shared, me: int) -> list[Signal]:
    learnt = await shared.signals.learn(me, {})
    assert isinstance(learnt, Learnt)
    return list(learnt.signals)


class OneHost:
    """What holds for everybody."""

    async def test_signals_may_be_given(self, world: World) -> None:
        shared = world.host()
        me = await joined(shared)
        assert await shared.signals.signal(me, "quota", 20.0, "quota") == Written()
        assert await shared.signals.clear(me, "quota") == Written()
        assert await shared.signals.probe(me, "quota", 20.0) is False
        assert await shared.signals.learn(me, {"x": Counts(1, 1, 1)}) == Learnt()

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
        assert await shared.sweep(me, EPOCH_MS, EPOCH_MS) == 0
        assert await shared.release(me, [("iv", 0)]) == Written()

    async def test_nobody_owns_and_nobody_said_what_never_began(self, world: World) -> None:
        shared = world.host()
        me = await joined(shared)
        assert await shared.owner(("iv", 0)) is None
        assert await shared.said(("iv", 0), 1) == Said()
        assert await _claimed(shared, me, 10) == []
        assert list(await _sessions(shared, "iv")) == []
        assert await shared.held(me) in ([], ())

    async def test_an_interview_that_nobody_has_may_begin(self, world: World) -> None:
        shared = world.host()
        me = await joined(shared)
        assert await shared.begin(me, row(interview()), "user:u", 1) == Mine()
        # Asked again, for the answer was lost.
        assert await shared.begin(me, row(interview()), "user:u", 1) == Mine()

    async def test_a_secret_is_made_once(self, world: World) -> None:
        shared = world.host()
        made = await shared.secret("peer", b"\x00first")
        assert made == b"\x00first"

    async def test_an_instance_may_say_anew_where_it_is(self, world: World) -> None:
        shared = world.host()
        me = await joined(shared)
        assert await shared.present(me, replace(HERE, address="10.0.0.1:9999")) == Written()

    async def test_nobody_declares_itself_lost(self, world: World) -> None:
        shared = world.host()
        me = await joined(shared)
        assert await shared.declare_lost(me, me) is False
        assert await _unsettled(shared, me) == []
        assert await shared.settle_lost(me, me, []) == Written()
        assert isinstance(await shared.pulse(me, 0), Pulse)

    async def test_nobody_orders_anything(self, world: World) -> None:
        shared = world.host()
        me = await joined(shared)
        assert list(await _orders(shared, me)) == []
        assert await shared.obeyed(me, 4711, "there was none") == Written()


class ManyHosts(OneHost):
    """What holds where there are others."""

    # Signals.

    async def test_a_signal_is_everybodys_until_it_lapses(self, world: World) -> None:
        here, there = world.host(), world.host()
        a, b = await joined(here), await joined(there, THERE)
        assert await here.signals.learn(a, {}) == Learnt()
        assert await here.signals.signal(a, "quota", 20.0, "quota") == Written()
        (found,) = await _signals(there, b)
        assert (found.name, found.cause, found.by) == ("quota", "quota", a)
        assert 15.0 < found.left <= 20.0
        # A shorter one changes nothing, a longer one prolongs it.
        assert await there.signals.signal(b, "quota", 5.0, "quota") == Written()
        assert await _signals(there, b) == [replace(found, left=ANY)]
        assert await there.signals.signal(b, "quota", 40.0, "quota") == Written()
        (longer,) = await _signals(here, a)
        assert longer.by == b
        assert longer.until_ms > found.until_ms
        await world.pass_time(60)
        (lapsed,) = await _signals(here, a)
        assert lapsed.left < 0
        await world.pass_time(SHOWN_SECONDS)
        assert await _signals(here, a) == []

    async def test_a_signal_is_taken_back(self, world: World) -> None:
        here = world.host()
        me = await joined(here)
        await here.signals.signal(me, "sick:x", 60.0, "it keeps failing")
        assert await here.signals.clear(me, "sick:x") == Written()
        assert await here.signals.clear(me, "sick:x") == Written()
        assert await _signals(here, me) == []

    async def test_one_of_all_that_ask_may_probe(self, world: World) -> None:
        """Only where the signal has lapsed; then it holds again for all."""
        here, there = world.host(), world.host()
        a, b = await joined(here), await joined(there, THERE)
        assert await here.signals.probe(a, "sick:x", 60.0) is False
        await here.signals.signal(a, "sick:x", 60.0, "it keeps failing")
        assert await there.signals.probe(b, "sick:x", 60.0) is False
        await world.pass_time(61)
        assert await there.signals.probe(b, "sick:x", 60.0) is True
        assert await here.signals.probe(a, "sick:x", 60.0) is False
        (found,) = await _signals(here, a)
        assert found.by == b
        assert found.left > 30.0

    async def test_counts_are_summed_over_the_others_while_they_are_fresh(self, world: World) -> None:
        here, there, third = world.host(), world.host(), world.host()
        a, b, c = await joined(here), await joined(there, THERE), await joined(third)
        assert await here.signals.learn(a, {"x": Counts(9, 9, 9)}) == Learnt()
        await there.signals.learn(b, {"x": Counts(5, 3, 2), "y": Counts(1, 0, 0)})
        await there.signals.learn(b, {"x": Counts(6, 4, 2), "y": Counts(1, 0, 0)})
        await third.signals.learn(c, {"x": Counts(1, 1, 1)})
        learnt = await here.signals.learn(a, {"x": Counts(9, 9, 9)})
        assert learnt == Learnt((), {"x": Counts(7, 5, 3), "y": Counts(1, 0, 0)})
        await world.pass_time(COUNTS_SECONDS + 1)
        assert await here.signals.learn(a, {}) == Learnt()

    async def test_a_lost_incarnation_tells_nothing(self, world: World) -> None:
        here, there = world.host(), world.host()
        a, b = await joined(here), await joined(there, THERE)
        await here.signals.signal(a, "sick:x", 60.0, "it keeps failing")
        await _lose(world, there, b, a)
        assert await here.signals.learn(a, {"x": Counts(9, 9, 9)}) == Fenced()
        assert await here.signals.signal(a, "quota", 20.0, "quota") == Fenced()
        assert await here.signals.clear(a, "sick:x") == Fenced()
        assert await here.signals.probe(a, "sick:x", 60.0) == Fenced()
        assert [it.name for it in await _signals(there, b)] == ["sick:x"]

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

    async def test_one_that_is_over_does_not_come_back_to_life(self, world: World) -> None:
        shared = world.host()
        me = await joined(shared)
        first = shipment([commit(1, interview())])
        await shared.append(me, first)
        await shared.append(me, shipment([commit(2, ended(interview()))]))
        # Its connection was given up, and a server process does it now.
        assert await shared.append(me, first) == Written()
        (held,) = await _sessions(shared, "iv")
        assert rows.interview(held.row) == ended(interview())

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
        assert await shared.sweep(me, EPOCH_MS, EPOCH_MS) == 0
        assert await shared.sweep(me, EPOCH_MS + 1, EPOCH_MS + 1) == 1
        assert await shared.said(("over", 0), 1) == Said()
        assert await shared.sweep(me, EPOCH_MS + 1, EPOCH_MS + 1) == 0

    async def test_words_leave_before_the_row_that_says_that_it_is_over(self, world: World) -> None:
        """With the row gone another host would begin the interview again: for a token that is still good."""
        here, there = world.host(), world.host()
        a, b = await joined(here), await joined(there, THERE)
        done = OutboxEntry(finished()).acknowledged(EPOCH_MS)
        over = ended(replace(interview(), context='{"cv":"canary"}'))
        whole = [
            commit(1, interview(), fragments=said(3)),
            commit(2, over, owed=[done], due={done.key: True}),
        ]
        await here.append(a, shipment(whole))
        await here.settle(a, passages(said(3)), 1)
        await here.late(a, [Late("iv", 0, a, 7, "[]")])
        assert await here.sweep(a, EPOCH_MS + 1, EPOCH_MS) == 0, "feedback is still to be written"
        await here.append(a, shipment([commit(3, due={done.key: False})]))
        assert await here.sweep(a, EPOCH_MS, EPOCH_MS) == 0
        assert await here.sweep(a, EPOCH_MS + 1, EPOCH_MS) == 1
        assert await here.sweep(a, EPOCH_MS + 1, EPOCH_MS) == 0
        assert await here.said(("iv", 0), 1) == Said()
        (held,) = await _sessions(there, "iv")
        assert rows.interview(held.row) == replace(over, context=None)
        assert await there.begin(b, row(interview()), None, 3) == Ended(held.row)
        # Words that were still on their way there.
        await here.settle(a, passages(said(3)), 2)
        assert await here.sweep(a, EPOCH_MS + 1, EPOCH_MS) == 1
        assert await here.said(("iv", 0), 1) == Said()
        assert await here.sweep(a, EPOCH_MS + 1, EPOCH_MS + 1) == 1
        assert list(await _sessions(there, "iv")) == []

    async def test_what_a_lost_host_left_is_forgotten_by_others(self, world: World) -> None:
        """Its interview is over and owes nothing, so nobody takes it over; its words are not to stay for ever."""
        here, there = world.host(), world.host()
        a, b = await joined(here), await joined(there, THERE)
        await here.append(a, shipment([commit(1, interview(), fragments=said(2))]))
        await here.append(a, shipment([commit(2, ended(interview()))]))
        await here.late(a, [Late("iv", 0, a, 7, "[]")])
        assert await there.sweep(b, EPOCH_MS + 1, EPOCH_MS + 1) == 0
        await _lose(world, there, b, a)
        assert await there.sweep(b, EPOCH_MS + 1, EPOCH_MS + 1) == 1
        assert await there.said(("iv", 0), 1) == Said()
        assert list(await _sessions(there, "iv")) == []

    # Others.

    async def test_all_hosts_have_the_same_secret(self, world: World) -> None:
        here, there = world.host(), world.host()
        assert await here.secret("peer", b"\xffhis") == b"\xffhis"
        assert await there.secret("peer", b"hers") == b"\xffhis"
        assert await here.secret("another", b"2") == b"2"

    async def test_every_host_sees_where_the_others_are(self, world: World) -> None:
        here, there = world.host(), world.host()
        a, b = await joined(here), await joined(there, replace(THERE, certificate="c" * 64))
        await here.append(a, shipment([commit(1, interview())]))
        await there.pulse(b, 7)
        moved = replace(HERE, address="10.0.0.9:1", version="2", certificate="d" * 64)
        assert await here.present(a, moved) == Written()
        first, second = await _standings(there)
        assert first.peer == Peer(a, "here", "10.0.0.9:1", certificate="d" * 64)
        assert await there.owner(("iv", 0)) == first.peer
        assert first.version == "2"
        assert second.peer == Peer(b, "there", THERE.address, certificate="c" * 64)
        assert (first.live, second.live) == (0, 7)
        assert 0 <= second.silent_ms < LEASE_SECONDS * 1000
        assert await here.present(a, HERE) == Written()
        assert await there.owner(("iv", 0)) == Peer(a, "here", HERE.address)

    async def test_a_host_that_is_silent_is_seen_to_be(self, world: World) -> None:
        _, there, a, b = await one_lost(world)
        first, second = await _standings(there)
        assert first.peer.lost
        assert first.silent_ms >= LEASE_SECONDS * 1000
        assert not second.peer.lost
        await there.settle_lost(b, a, [])
        assert [it.peer.incarnation for it in await _standings(there)] == [b]

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
        assert await here.sweep(a, EPOCH_MS, EPOCH_MS) == Fenced()
        assert await here.claim(a, 1) == Fenced()
        assert await here.release(a, [("iv", 0)]) == Fenced()
        assert await here.settle_lost(a, b, []) == Fenced()
        assert await here.present(a, HERE) == Fenced()
        assert numbers(await there.said(("iv", 0), 1)) == [1, 2, 3]

    async def test_the_first_one_back_declares_nobody_lost(self, world: World) -> None:
        """After an outage of the database every lease has lapsed; only the one that stays away is lost."""
        here, there = world.host(), world.host()
        a, b = await joined(here), await joined(there, THERE)
        await world.pass_time(LEASE_SECONDS * 3)
        pulse = await there.pulse(b, 0)
        assert isinstance(pulse, Pulse)
        assert [peer.incarnation for peer in pulse.late] == [a]
        assert await there.declare_lost(b, a) is False
        await world.pass_time(LEASE_SECONDS * 0.6)
        await there.pulse(b, 0)
        await world.pass_time(LEASE_SECONDS * 0.6)
        assert await there.declare_lost(b, a) is True

    async def test_who_comes_out_of_a_silence_declares_nobody_lost(self, world: World) -> None:
        """One that was shorter than a lease leaves no gap between renewals, and the others may have met it, too."""
        here, there = world.host(), world.host()
        a, b = await joined(here), await joined(there, THERE)
        for _ in range(2):
            await world.pass_time(LEASE_SECONDS * 0.6)
            await there.pulse(b, 0)
        assert await there.known(b) == Known(0, 0)
        assert await there.declare_lost(b, a) is False
        for _ in range(2):
            await world.pass_time(LEASE_SECONDS * 0.6)
            await there.pulse(b, 0)
        assert await there.declare_lost(b, a) is True

    async def test_one_that_is_late_is_shown_before_its_lease_ends(self, world: World) -> None:
        here, there = world.host(), world.host()
        a, b = await joined(here), await joined(there, THERE)
        for seconds, late in ((LATE_SECONDS - 1, []), (2, [a])):
            await world.pass_time(seconds)
            pulse = await there.pulse(b, 0)
            assert isinstance(pulse, Pulse)
            assert [it.incarnation for it in pulse.late] == late
        assert await there.declare_lost(b, a) is False

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
        assert pulse.late == [Peer(a, "here", HERE.address, lost=True)]
        await there.settle_lost(b, a, [])
        assert (await there.pulse(b, 0)) == Pulse(ANY, [], orphans=True)

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

    async def test_an_order_is_there_until_it_is_answered(self, world: World) -> None:
        here, there = world.host(), world.host()
        a, b = await joined(here), await joined(there, THERE)
        number = await world.order(a, "drain")
        assert await _orders(here, a) == [Order(number, "drain")]
        assert await _orders(there, b) == []
        # Another's answer is none.
        assert await there.obeyed(b, number, "not mine") == Written()
        assert await _orders(here, a) == [Order(number, "drain")]
        assert await here.obeyed(a, number, "drains") == Written()
        assert await _orders(here, a) == []

    async def test_who_is_lost_gets_no_orders(self, world: World) -> None:
        here, _, a, _ = await one_lost(world)
        number = await world.order(a, "drain")
        assert await here.orders(a, ready=True) == Fenced()
        assert await here.obeyed(a, number, "drains") == Fenced()

    async def test_who_has_not_joined_is_fenced(self, world: World) -> None:
        """Its row is gone: the database was restored from before."""
        shared = world.host()
        await joined(shared)
        assert await shared.pulse(4711, 0) == Fenced()
        assert await shared.known(4711) == Fenced()
        assert await shared.append(4711, shipment([commit(1, interview())])) == Fenced()
        assert await shared.present(4711, HERE) == Fenced()

    # Beginning.

    async def test_of_two_who_begin_the_second_learns_of_the_first(self, world: World) -> None:
        here, there = world.host(), world.host()
        a, b = await joined(here), await joined(there, THERE)
        assert await here.begin(a, row(interview()), "user:u", 3) == Mine()
        owner = Peer(a, "here", HERE.address)
        assert await there.begin(b, row(interview()), "user:u", 3) == Owned(owner)
        assert await _sessions(there, "iv") == [Held(row(interview()), owner)]
        await here.release(a, [("iv", 0)])
        assert await there.begin(b, row(interview()), "user:u", 3) == Owned(None)
        assert await _sessions(there, "iv") == [Held(row(interview()), None)]

    async def test_one_that_is_over_begins_again_under_a_higher_epoch_alone(self, world: World) -> None:
        here, there = world.host(), world.host()
        a, b = await joined(here), await joined(there, THERE)
        over = ended(interview(epoch=2))
        await here.append(a, shipment([commit(1, over)]))
        for epoch in (1, 2):
            assert await there.begin(b, row(interview(epoch=epoch)), None, 3) == Ended(row(over))
        assert await there.begin(b, row(interview(epoch=3)), None, 3) == Mine()
        assert await _owner(here, ("iv", 0)) == "there"

    async def test_a_person_is_counted_over_all_hosts(self, world: World) -> None:
        here, there = world.host(), world.host()
        a, b = await joined(here), await joined(there, THERE)
        assert await here.begin(a, row(interview("x")), "user:u", 2) == Mine()
        assert await there.begin(b, row(interview("y")), "user:u", 2) == Mine()
        assert await here.begin(a, row(interview("z")), "user:u", 2) == TooMany()
        assert list(await _sessions(here, "z")) == []
        assert await here.begin(a, row(interview("guest")), None, 2) == Mine()
        assert await here.begin(a, row(interview("another")), "user:v", 2) == Mine()

    async def test_an_end_counts_a_person_down_once(self, world: World) -> None:
        """However often the same end is sent."""
        here = world.host()
        a = await joined(here)
        for name in ("x", "y"):
            assert await here.begin(a, row(interview(name)), "user:u", 2) == Mine()
        for number in (1, 2, 3):
            await here.append(a, shipment([commit(number, ended(interview("x")))]))
        assert await here.begin(a, row(interview("z")), "user:u", 2) == Mine()
        assert await here.begin(a, row(interview("w")), "user:u", 2) == TooMany()
        # It begins once more, and counts once more.
        await here.append(a, shipment([commit(4, ended(interview("z")))]))
        assert await here.begin(a, row(interview("x", epoch=2)), "user:u", 2) == Mine()
        assert await here.begin(a, row(interview("w")), "user:u", 2) == TooMany()

    async def test_a_person_is_counted_down_by_whoever_ends_it(self, world: World) -> None:
        here, there = world.host(), world.host()
        a, b = await joined(here), await joined(there, THERE)
        assert await here.begin(a, row(interview()), "user:u", 1) == Mine()
        await here.append(a, shipment([commit(1, interview())]))
        await here.release(a, [("iv", 0)])
        assert len(await _claimed(there, b, 10)) == 1
        assert await here.begin(a, row(interview("next")), "user:u", 1) == TooMany()
        await there.append(b, shipment([commit(1, ended(interview()))]))
        assert await here.begin(a, row(interview("next")), "user:u", 1) == Mine()

    async def test_one_that_cannot_be_stored_does_not_begin(self, world: World) -> None:
        shared = world.host()
        me = await joined(shared)
        spoilt = interview("bad", user_id="a\x00b")
        assert isinstance(await shared.begin(me, row(spoilt), None, 1), Unfit)

    # Taking over.

    async def test_a_claim_brings_what_the_session_owes(self, world: World) -> None:
        """Also of one that is over, with the deliveries that are done: work on a transcript may be due."""
        here, there = world.host(), world.host()
        a, b = await joined(here), await joined(there, THERE)
        done, owed = OutboxEntry(begun()).acknowledged(EPOCH_MS), OutboxEntry(finished())
        await here.append(
            a, shipment([commit(1, ended(interview()), owed=[done, owed], due={owed.key: True})])
        )
        await here.append(a, shipment([commit(2, ended(interview("done")), owed=[])]))
        assert await here.held(a) == [("iv", 0)]
        await _lose(world, there, b, a)
        pulse = await there.pulse(b, 0)
        assert isinstance(pulse, Pulse)
        assert pulse.orphans
        found = await _claimed(there, b, 10)
        assert found == [
            Claimed(row(ended(interview())), 1, (rows.owed_row(done), rows.owed_row(owed)), (owed.key,))
        ]
        assert await there.held(b) == [("iv", 0)]
        pulse = await there.pulse(b, 0)
        assert isinstance(pulse, Pulse)
        assert not pulse.orphans

    async def test_a_claim_whose_answer_was_lost_may_be_asked_again(self, world: World) -> None:
        here, there = world.host(), world.host()
        a, b = await joined(here), await joined(there, THERE)
        await here.append(a, shipment([commit(1, interview(), owed=[OutboxEntry(begun())])]))
        await here.release(a, [("iv", 0)])
        first = await _claimed(there, b, 10)
        assert await there.held(b) == [("iv", 0)]
        assert await _claimed(there, b, 10) == []
        assert await _claimed(there, b, 10, "iv") == first
        assert await _claimed(here, a, 10, "iv") == []

    async def test_each_change_of_hands_is_counted(self, world: World) -> None:
        here, there = world.host(), world.host()
        a, b = await joined(here), await joined(there, THERE)
        await here.append(a, shipment([commit(1, interview())]))
        for turn, (shared, me, other, its) in enumerate(((here, a, there, b), (there, b, here, a)), start=1):
            await shared.release(me, [("iv", 0)])
            (claimed,) = await _claimed(other, its, 10)
            assert claimed.claims == turn

    async def test_a_delivery_goes_with_its_session(self, world: World) -> None:
        """The one who gave it up takes no other word back than that it was posted."""
        here, there = world.host(), world.host()
        a, b = await joined(here), await joined(there, THERE)
        owed = OutboxEntry(begun())
        await here.append(a, shipment([commit(1, interview(), owed=[owed])]))
        await here.release(a, [("iv", 0)])
        await _claimed(there, b, 10)
        retried = owed.postponed(EPOCH_MS + 1, 503, "busy")
        await here.append(a, shipment([commit(2, owed=[retried])]))
        (claimed,) = await _claimed(there, b, 10, "iv")
        assert claimed.owed == (rows.owed_row(owed),)
        posted = owed.acknowledged(EPOCH_MS)
        await here.append(a, shipment([commit(3, owed=[posted])]))
        (claimed,) = await _claimed(there, b, 10, "iv")
        assert claimed.owed == (rows.owed_row(posted),)

    async def test_a_delivery_of_anothers_session_is_left_out_and_named(self, world: World) -> None:
        """It is not to be posted: the owner makes its own. One that was posted already is done."""
        here, there = world.host(), world.host()
        a, b = await joined(here), await joined(there, THERE)
        first, last = OutboxEntry(begun()), OutboxEntry(finished())
        assert await here.append(a, shipment([commit(1, interview(), owed=[first])])) == Written()
        stray = await there.append(b, shipment([commit(1, owed=[first, last])]))
        assert stray == Written(others=tuple(sorted([first.key, last.key])))
        assert await here.append(a, shipment([commit(2, owed=[last])])) == Written()
        retried = first.postponed(EPOCH_MS + 1, 503, "busy")
        assert await there.append(b, shipment([commit(2, owed=[retried])])) == Written(others=(first.key,))
        posted = last.acknowledged(EPOCH_MS)
        assert await there.append(b, shipment([commit(3, owed=[posted])])) == Written(others=(last.key,))
        (claimed,) = await _claimed(here, a, 10, "iv")
        assert claimed.owed == (rows.owed_row(first), rows.owed_row(posted))

    async def test_a_delivery_of_a_lost_incarnation_is_not_its_successors(self, world: World) -> None:
        """Before somebody claimed the session, and after."""
        here, there = world.host(), world.host()
        a, b = await joined(here), await joined(there, THERE)
        owed, unsent = OutboxEntry(begun()), OutboxEntry(finished())
        await here.append(a, shipment([commit(1, interview(), owed=[owed])]))
        await _lose(world, there, b, a)
        anew = await joined(here)
        whole = shipment([commit(1, interview(), owed=[owed, unsent])])
        others = tuple(sorted([owed.key, unsent.key]))
        assert await here.append(anew, whole) == Written((("iv", 0),), others)
        (claimed,) = await _claimed(there, b, 10)
        assert claimed.owed == (rows.owed_row(owed),)
        assert await here.append(anew, whole) == Written((("iv", 0),), others)

    async def test_words_of_another_ones_session_are_left_out(self, world: World) -> None:
        """Of one that was taken over while its owner could not be heard: they are not what the candidate saw since."""
        here, there = world.host(), world.host()
        a, b = await joined(here), await joined(there, THERE)
        await here.append(a, shipment([commit(1, interview())]))
        stray = replace(shipment([]), passages=passages(said(3)))
        assert await there.append(b, stray) == Written()
        await there.settle(b, passages(said(3)), 9)
        assert numbers(await here.said(("iv", 0), 1)) == []
        await here.append(a, stray)
        assert numbers(await here.said(("iv", 0), 1)) == [1, 2, 3]

    async def test_late_words_are_kept_once_and_are_no_part_of_the_transcript(self, world: World) -> None:
        shared = world.host()
        me = await joined(shared)
        late = [Late("iv", 0, 7, 4, "[]"), Late("iv", 0, 7, 9, "[]")]
        assert await shared.late(me, late) == Written()
        assert await shared.late(me, late) == Written()
        assert await shared.late(4711, late) == Fenced()
        assert await shared.said(("iv", 0), 1) == Said()


def row(it: Interview) -> Row:
    return rows.interview_row(it)


async def _sessions(shared: Shared, interview_id: str) -> Sequence[Held]:
    answer = await shared.sessions(interview_id)
    assert not isinstance(answer, Unreachable), answer
    return answer


async def _lose(world: World, there: Shared, b: int, a: int) -> None:
    """Let an instance be declared lost by another, and be settled."""
    for _ in range(2):
        await world.pass_time(LEASE_SECONDS * 0.6)
        await there.pulse(b, 0)
    assert await there.declare_lost(b, a) is True
    assert await there.settle_lost(b, a, []) == Written()


async def _orders(shared: Shared, me: int) -> Sequence[Order]:
    answer = await shared.orders(me, ready=True)
    assert not isinstance(answer, Fenced | Unreachable), answer
    return answer


async def _claimed(shared: Shared, me: int, limit: int, interview_id: str | None = None) -> list[Claimed]:
    answer = await shared.claim(me, limit, interview_id)
    assert not isinstance(answer, Fenced | Unreachable), answer
    return list(answer)


async def _unsettled(shared: Shared, peer: int) -> list[Row]:
    answer = await shared.unsettled(peer)
    assert not isinstance(answer, Unreachable), answer
    return list(answer)


async def _standings(shared: Shared) -> list[Standing]:
    answer = await shared.standings()
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
