"""Hosts that share a journal: an interview has one owner, and the one of a host that is lost goes on at another."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
import itertools
from typing import Any

import pytest
import trio

from preppald.backend.outcomes import Retry
from preppald.core.turns import SEQ_LEAP, Fragment
from preppald.daemon import sharing
from preppald.daemon.handing_on import QUIET_SECONDS, HandingOn
from preppald.journal import Brought, rows
from preppald.journal.place import Place
from preppald.journal.rows import Row
from preppald.journal.writer import COMMIT_SECONDS
from preppald.shared import vouching
from preppald.shared.model import Client, Model
from preppald.shared.ownership import AWAY_FOR_LONG_SECONDS, AWAY_SECONDS, DOOR_SECONDS, LOOK_SECONDS
from preppald.shared.protocol import LEASE_SECONDS, PULSE_SECONDS, Peer
from preppald.shared.takeover import TABLE, Deed, Seen, Word, decided
from preppald.shared.tending import PARCELS_AT_ONCE
from preppald.shared.tenure import Tenure
from preppald.simulator import Scenario
from preppald.simulator.scenario import Reply
from tests.candidates import Candidate
from tests.durable import said
from tests.world import World

SCENARIO = Scenario(reply=(Reply(text="Where were we?", seconds=0.5),))
# A commit, and the statements after it.
SOON = COMMIT_SECONDS * 3
# The design's bound, from the death of a host to the seat at another.
TAKEOVER_SECONDS = 15.0


@dataclass
class Host:
    world: World
    client: Client
    scope: trio.CancelScope

    @property
    def incarnation(self) -> int:
        assert self.world.shipper is not None
        return self.world.shipper.membership.incarnation

    def die(self) -> None:
        """As a host does whose disk is gone with it: nothing more is heard of it."""
        self.client.reachable = False
        self.scope.cancel()

    async def knock(self, interview_id: str = "iv-1") -> int:
        """Return the answer's status to a candidate who does not stay."""
        candidate = Candidate(self.world.connection())
        status = await candidate.open(f"/{interview_id}", self.world.token(interview_id))
        await candidate.vanish()
        return status

    async def said(self, interview_id: str = "iv-1") -> list[Fragment]:
        return await self.world.journal.fragments(interview_id, 1)


@asynccontextmanager
async def host(model: Model, place: Place | None = None, /, **settings: str) -> AsyncIterator[Host]:
    client, scope = model.client(), trio.CancelScope()

    async def run(task_status: trio.TaskStatus[World]) -> None:
        with scope:
            async with trio.open_nursery() as nursery:
                task_status.started(await World(settings, SCENARIO, place, shared=client).start(nursery))

    # In a task of its own: one that dies takes nothing of the test with it.
    async with trio.open_nursery() as nursery:
        world = await nursery.start(run)
        # It has joined.
        await trio.sleep(SOON)
        yield Host(world, client, scope)
        scope.cancel()


@pytest.fixture
def model() -> Model:
    return Model(trio.current_time)


async def greeted(candidate: Candidate) -> None:
    """Return when the interviewer has said its first words, and they are in the shared journal."""
    await candidate.until("transcript_update")
    await trio.sleep(3 + SOON)


async def taken_over(it: Host, interview_id: str = "iv-1") -> float:
    """Return the seconds until a candidate gets a seat there, who tries once a second."""
    began = trio.current_time()
    while (status := await it.knock(interview_id)) != 101:
        assert status == 503
        assert trio.current_time() < began + 60
        await trio.sleep(1)
    return trio.current_time() - began


# -------------------------------------------------------------- the table


@pytest.mark.parametrize("case", list(itertools.product(Tenure, Seen, Word)))
def test_every_case_is_decided(case: tuple[Tenure, Seen, Word]) -> None:
    """And nobody is judged by one who does not hold its own lease, or although it answers."""
    tenure, seen, word = case
    deed = decided(tenure, Peer(7, "there", "", lost=seen is Seen.LOST), word)
    assert deed is TABLE[case]
    if tenure is not Tenure.HOLDS:
        assert deed is Deed.LEAVE
    if deed is Deed.DECLARE:
        assert (seen, word) == (Seen.LATE, Word.SILENT)
    if seen is Seen.LOST and tenure is Tenure.HOLDS:
        assert deed is Deed.SETTLE


# -------------------------------------------------------------- beginning


async def test_an_interview_begins_at_one_host_alone(autojump_clock: object, model: Model) -> None:
    async with host(model) as a, host(model) as b:
        candidate = await a.world.candidate()
        await greeted(candidate)
        assert await b.knock() == 503
        assert len(b.world.registry) == 0
        assert b.world.ownership is not None
        peer = await b.world.ownership.where("iv-1")
        assert isinstance(peer, Peer)
        assert peer.incarnation == a.incarnation
        assert await a.world.ownership.where("iv-1") is None  # type: ignore[union-attr]


async def test_a_damaged_row_refuses_its_own_candidate_alone(autojump_clock: object, model: Model) -> None:
    async with host(model) as a, host(model) as b:
        await greeted(await a.world.candidate())
        kept = model.tables.interviews["iv-1", 0]
        kept.row = (*kept.row[:-1], 0)
        assert await b.knock() == 503
        await greeted(await b.world.candidate("iv-2"))
        assert len(b.world.registry) == 1


async def test_of_two_hosts_that_begin_it_at_one_moment_one_does(
    autojump_clock: object, model: Model
) -> None:
    async with host(model) as a, host(model) as b:
        statuses: list[int] = []

        async def knock(it: Host) -> None:
            statuses.append(await it.knock())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(knock, a)
            nursery.start_soon(knock, b)
        assert sorted(statuses) == [101, 503]
        assert len(a.world.registry) + len(b.world.registry) == 1


async def test_one_that_is_over_at_another_host_does_not_begin_again(
    autojump_clock: object, model: Model
) -> None:
    async with host(model) as a, host(model) as b:
        candidate = await a.world.candidate()
        await greeted(candidate)
        await candidate.end()
        await candidate.closed()
        await trio.sleep(SOON)
        late = await b.world.candidate()
        assert (await late.closed())[0] == 4410
        assert len(b.world.registry) == 0


async def test_a_users_limit_holds_over_all_hosts(autojump_clock: object, model: Model) -> None:
    setting = {"PREPPALD_MAX_SESSIONS_PER_USER": "2"}
    async with host(model, **setting) as a, host(model, **setting) as b:
        assert await a.knock("x") == 101
        assert await b.knock("y") == 101
        assert await b.knock("z") == 429
        assert await a.knock("z") == 429


async def test_without_the_shared_journal_nothing_begins(autojump_clock: object, model: Model) -> None:
    """Who is here already is let in, and what runs goes on."""
    async with host(model) as a:
        candidate = await a.world.candidate()
        await greeted(candidate)
        a.client.reachable = False
        assert await a.knock("another") == 503
        assert await a.knock() == 101
        assert a.world.counted("connections_refused", why="the shared journal is away") == 1
        a.client.reachable = True
        assert await a.knock("another") == 101


async def test_an_operator_may_let_interviews_begin_without_it(autojump_clock: object, model: Model) -> None:
    """They are registered when it is back."""
    async with host(model, PREPPALD_WITHOUT_SHARED="begin") as a:
        a.client.reachable = False
        candidate = await a.world.candidate()
        await greeted(candidate)
        assert not model.tables.interviews
        a.client.reachable = True
        await trio.sleep(PULSE_SECONDS)
        assert model.tables.interviews["iv-1", 0].owner == a.incarnation
        assert candidate.close is None


# -------------------------------------------------------------- taking over


async def test_the_candidate_of_a_lost_host_goes_on_at_another(autojump_clock: object, model: Model) -> None:
    """With every word that the page has shown, in the same interview, which is posted once."""
    async with host(model) as a, host(model) as b:
        candidate = await a.world.candidate()
        await greeted(candidate)
        await trio.sleep(SOON)
        deadline_ms = a.world.journal.live()[0].deadline_ms
        shown = candidate.text("AI")
        a.die()
        assert await taken_over(b) <= TAKEOVER_SECONDS
        again = await b.world.candidate(since=0)
        started = (await again.until("session_started")).session_started
        assert started.resumed
        await again.until("transcript_update")
        assert again.text("AI").startswith(shown)
        assert b.world.journal.live()[0].deadline_ms == deadline_ms
        assert b.world.events("instance.lost")[0]["incarnation"] == a.incarnation
        assert b.world.events("interview.claimed")[0]["claims"] == 1
        await trio.sleep(3)
        await again.end()
        await again.closed()
        await b.world.outbox.drained(trio.current_time() + 10)
        posted = [it for it in b.world.backend.received("iv-1") if not isinstance(it, str)]
        assert len(posted) == 1
        assert posted[0][0][1].startswith(shown[:10])
        assert not [it for it in a.world.backend.received("iv-1") if not isinstance(it, str)]


async def test_a_candidate_who_is_asked_for_while_his_interview_is_claimed_goes_on_with_it(
    autojump_clock: object, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database answers late: between the look at the local journal and the answer the survivor's own task claims it."""
    async with host(model) as a, host(model) as b:
        candidate = await a.world.candidate()
        await greeted(candidate)
        await trio.sleep(SOON)
        deadline_ms = a.world.journal.live()[0].deadline_ms
        shown = candidate.text("AI")
        sessions = b.client.sessions

        async def late(interview_id: str) -> object:
            while not b.world.events("interview.claimed"):  # noqa: ASYNC110 - a log has no event
                await trio.sleep(0.01)
            return await sessions(interview_id)

        monkeypatch.setattr(b.client, "sessions", late)
        a.die()
        assert await taken_over(b) <= TAKEOVER_SECONDS
        again = await b.world.candidate(since=0)
        started = (await again.until("session_started")).session_started
        assert started.resumed
        await again.until("transcript_update")
        assert again.text("AI").startswith(shown)
        assert b.world.journal.live()[0].deadline_ms == deadline_ms


async def test_what_nobody_comes_back_to_is_taken_over_and_ended_by_a_survivor(
    autojump_clock: object, model: Model
) -> None:
    async with host(model) as a, host(model, PREPPALD_RECONNECT_GRACE="20s") as b:
        for name in ("x", "y"):
            await greeted(await a.world.candidate(name))
        a.die()
        await trio.sleep(LEASE_SECONDS + 3 * PULSE_SECONDS)
        assert {it.interview.interview_id for it in b.world.registry.live} == {"x", "y"}
        assert b.world.ownership is not None
        assert b.world.ownership.taken_over == 2
        await trio.sleep(60)
        for name in ("x", "y"):
            assert len([it for it in b.world.backend.received(name) if not isinstance(it, str)]) == 1


async def test_what_a_lost_host_owed_is_posted_by_another(autojump_clock: object, model: Model) -> None:
    """Its interview was over: nothing of it runs again."""
    async with host(model) as a, host(model) as b:
        a.world.backend.answer = lambda _delivery: Retry(None, "away")
        candidate = await a.world.candidate()
        await greeted(candidate)
        await candidate.end()
        await candidate.closed()
        await trio.sleep(SOON)
        a.die()
        await trio.sleep(LEASE_SECONDS + 4 * PULSE_SECONDS)
        posted = b.world.backend.received("iv-1")
        assert posted[0] == "IN_PROGRESS"
        assert len(posted) == 2
        assert len(b.world.registry) == 0
        await trio.sleep(SOON)
        assert all(rows.owed(it.row).state.value == "done" for it in model.tables.owed.values())


async def test_a_claim_whose_answer_is_lost_is_found_again(
    autojump_clock: object, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with host(model) as a, host(model) as b:
        await greeted(await a.world.candidate())
        a.die()
        claim = b.client.claim
        claims: list[tuple[Any, ...]] = []

        async def unanswered(*what: Any) -> object:
            if not claims:  # from this deed on each answer of the next seconds is lost
                b.client.lost_answers = 9
            claims.append(what)
            return await claim(*what)

        monkeypatch.setattr(b.client, "claim", unanswered)
        await trio.sleep(LEASE_SECONDS + 8 * PULSE_SECONDS)
        assert b.client.lost_answers == 0 < len(claims)
        assert [it.interview.interview_id for it in b.world.registry.live] == ["iv-1"]
        assert model.tables.interviews["iv-1", 0].claims == 1


async def test_a_claim_that_could_not_be_brought_here_is_found_again(
    autojump_clock: object, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whatever error: the sessions are this host's there by then, and nobody else's to find."""
    async with host(model) as b:
        async with host(model) as a:
            await greeted(await a.world.candidate())
            a.die()
        bring, failures = b.world.journal.bring, [RuntimeError("a bug")]

        async def brought(found: Sequence[Brought]) -> None:
            if failures:
                raise failures.pop()
            await bring(found)

        monkeypatch.setattr(b.world.journal, "bring", brought)
        await trio.sleep(LEASE_SECONDS + 4 * LOOK_SECONDS)
        assert not failures
        assert b.world.registry.holds("iv-1")


async def test_one_that_can_never_be_brought_holds_up_no_other(
    autojump_clock: object, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again and again, for it is this host's; those behind it go on."""
    async with host(model) as b:
        async with host(model) as a:
            for name in ("iv-1", "iv-2"):
                await greeted(await a.world.candidate(name))
            a.die()
        bring = b.world.journal.bring

        async def brought(found: Sequence[Brought]) -> None:
            if any(it.session[0] == "iv-1" for it in found):
                raise RuntimeError("a bug")
            await bring(found)

        monkeypatch.setattr(b.world.journal, "bring", brought)
        await trio.sleep(LEASE_SECONDS + 4 * LOOK_SECONDS)
        assert b.world.registry.holds("iv-2")
        monkeypatch.setattr(b.world.journal, "bring", bring)
        await trio.sleep(2 * LOOK_SECONDS)
        assert b.world.registry.holds("iv-1")


async def test_words_that_do_not_come_hold_up_no_other_candidate(
    autojump_clock: object, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that is silent is hung up on after many seconds only; the door has a clock of its own."""
    async with host(model) as a, host(model) as b, trio.open_nursery() as nursery:
        await greeted(await a.world.candidate())
        assert b.world.ownership is not None
        await a.world.ownership.release([("iv-1", 0)])  # type: ignore[union-attr]

        async def silent(*_question: object) -> object:
            await trio.sleep_forever()

        monkeypatch.setattr(b.client, "said", silent)
        statuses: list[int] = []

        async def knocks() -> None:
            statuses.append(await b.knock())

        nursery.start_soon(knocks)
        await trio.sleep(SOON)
        with trio.fail_after(2 * DOOR_SECONDS):
            await b.world.candidate("iv-2")
        assert statuses == [503]
        nursery.cancel_scope.cancel()


async def test_one_that_answers_its_peers_is_left_alone(autojump_clock: object, model: Model) -> None:
    """It is cut off from the database only: it goes on, and has its interviews when it is back."""
    async with host(model) as a, host(model) as b:

        async def vouch(peer: Peer) -> bool:
            return peer.incarnation == a.incarnation

        assert b.world.ownership is not None
        b.world.ownership.vouching.vouch = vouch
        candidate = await a.world.candidate()
        await greeted(candidate)
        first, a.client.reachable = a.incarnation, False
        await trio.sleep(LEASE_SECONDS * 3)
        assert len(b.world.events("instance.cut_off")) == 1
        assert not model.tables.instances[first].lost
        a.client.reachable = True
        await trio.sleep(PULSE_SECONDS)
        assert a.incarnation == first
        assert candidate.close is None


async def test_one_that_hangs_is_asked_before_its_lease_ends(autojump_clock: object, model: Model) -> None:
    """Its address takes connections and says nothing: that costs the candidate no time."""
    async with host(model) as a, host(model) as b:

        async def hang(_peer: Peer) -> bool:
            await trio.sleep_forever()
            raise AssertionError

        assert b.world.ownership is not None
        b.world.ownership.vouching.vouch = hang
        await greeted(await a.world.candidate())
        a.die()
        assert await taken_over(b) <= LEASE_SECONDS + 2 * LOOK_SECONDS


async def test_several_that_hang_are_asked_side_by_side(
    autojump_clock: object, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fifth is as soon lost as the first, and no more than the bound are asked at one time."""
    monkeypatch.setattr(vouching, "VOUCHED_AT_ONCE", 3)
    asked: list[int] = []

    async def hang(peer: Peer) -> bool:
        asked.append(peer.incarnation)
        most.append(len(asked))
        try:
            await trio.sleep_forever()
        finally:
            asked.remove(peer.incarnation)
        raise AssertionError

    most: list[int] = []
    setting = {"PREPPALD_MAX_SESSIONS_PER_USER": "9"}
    async with AsyncExitStack() as stack:
        survivor, *others = [await stack.enter_async_context(host(model, **setting)) for _ in range(6)]
        assert survivor.world.ownership is not None
        survivor.world.ownership.vouching.vouch = hang
        for number, it in enumerate(others):
            await greeted(await it.world.candidate(f"iv-{number}"))
        for it in others:
            it.die()
        await trio.sleep(LEASE_SECONDS + 2 * LOOK_SECONDS)
        assert len(survivor.world.registry) == len(others)
        assert max(most) == 3


# -------------------------------------------------------------- fenced


async def test_a_host_that_was_taken_for_lost_lets_go_and_joins_anew(
    autojump_clock: object, model: Model
) -> None:
    """Close 1012 without SessionEnded, so that the page dials again; nothing is posted; late words are kept for people."""
    async with host(model) as a, host(model) as b:
        candidate = await a.world.candidate()
        await greeted(candidate)
        await trio.sleep(SOON)
        first, a.client.reachable = a.incarnation, False
        said = len(await a.said())
        await trio.sleep(LEASE_SECONDS + 3 * PULSE_SECONDS)
        assert [it.interview.interview_id for it in b.world.registry.live] == ["iv-1"]
        assert candidate.close is None  # it is not known yet
        lacking = Fragment(said + 1, 9, (await a.said())[0].speaker, "late", a.world.now_ms())
        a.world.journal.add_fragments("iv-1", 1, [lacking])
        before = list(a.world.backend.posts)
        a.client.reachable = True
        assert await candidate.closed() == (1012, "Service restart")
        assert not [it for it in candidate.kinds() if it == "session_ended"]
        await trio.sleep(PULSE_SECONDS)
        assert a.incarnation not in {0, first}
        assert len(a.world.registry) == 0
        assert a.world.journal.live() == []
        assert await a.world.journal.interview("iv-1") is None
        (late,) = model.tables.late.values()
        assert (late.interview_id, late.first_seq) == ("iv-1", lacking.seq)
        assert "late" in late.fragments
        assert a.world.backend.posts == before
        assert model.tables.interviews["iv-1", 0].owner == b.incarnation
        # The page dials again, at whichever host: at this one it is told to come again, at the other it is in.
        assert await a.knock() == 503
        assert await b.knock() == 101
        await trio.sleep(SOON)
        assert len(await b.said()) >= said


async def test_a_host_that_was_lost_may_claim_it_back(autojump_clock: object, model: Model) -> None:
    """Where the other one is lost in turn, with the words of both."""
    async with host(model) as a, host(model) as b:
        candidate = await a.world.candidate()
        await greeted(candidate)
        await trio.sleep(SOON)
        shown = candidate.text("AI")
        a.client.reachable = False
        await trio.sleep(LEASE_SECONDS + 3 * PULSE_SECONDS)
        a.client.reachable = True
        await trio.sleep(LEASE_SECONDS + PULSE_SECONDS)
        again = await b.world.candidate(since=0)
        await greeted(again)
        await trio.sleep(SOON)
        both = again.text("AI")
        assert both.startswith(shown)
        b.die()
        assert await taken_over(a) <= TAKEOVER_SECONDS
        last = await a.world.candidate(since=0)
        await greeted(last)
        assert last.text("AI").startswith(both)
        assert model.tables.interviews["iv-1", 0].claims == 2


async def test_of_two_that_began_one_without_the_journal_one_goes_on(
    autojump_clock: object, model: Model
) -> None:
    """PREPPALD_WITHOUT_SHARED=begin: the one that is registered first has it, the other's words are kept for people."""
    setting = {"PREPPALD_WITHOUT_SHARED": "begin"}
    async with host(model, **setting) as a, host(model, **setting) as b:
        a.client.reachable = b.client.reachable = False
        first, second = await a.world.candidate(), await b.world.candidate()
        await greeted(first)
        await greeted(second)
        a.client.reachable = True
        await trio.sleep(PULSE_SECONDS)
        b.client.reachable = True
        assert await second.closed() == (1012, "Service restart")
        await trio.sleep(SOON)
        assert first.close is None
        assert {it.interview_id for it in model.tables.late.values()} == {"iv-1"}
        assert len(b.world.registry) == 0
        assert [it["interview"] for it in b.world.events("interview.owned_elsewhere")] == ["iv-1"]


async def test_many_who_come_while_the_journal_hangs_do_not_wait_in_turn(
    autojump_clock: object, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked whether it is back by one task alone, and by none of these."""
    async with host(model, PREPPALD_WITHOUT_SHARED="begin") as a, trio.open_nursery() as nursery:
        a.client.reachable = False
        await trio.sleep(AWAY_FOR_LONG_SECONDS + 2 * PULSE_SECONDS)

        async def silent(*_question: object) -> object:
            await trio.sleep_forever()

        for question in ("sessions", "begin", "held", "claim", "said"):
            monkeypatch.setattr(a.client, question, silent)

        with trio.fail_after(AWAY_SECONDS):
            async with trio.open_nursery() as candidates:
                for number in range(3):  # as many as one user may have
                    candidates.start_soon(a.world.candidate, f"iv-{number}")
        assert len(a.world.registry) == 3
        nursery.cancel_scope.cancel()


# -------------------------------------------------------------- given up


def handing_on(it: Host) -> HandingOn:
    log = it.world.services.log
    found = sharing.handing_on(it.world.shipper, it.world.ownership, it.world.journal, log=log)
    assert found is not None
    return found


def at_once() -> trio.Event:
    """As after a second signal."""
    now = trio.Event()
    now.set()
    return now


async def test_a_host_that_stops_gives_its_interviews_up(autojump_clock: object, model: Model) -> None:
    """When nobody speaks; another one goes on with every word, and nobody waits for a lease to lapse."""
    async with host(model) as a, host(model) as b:
        candidate = await a.world.candidate()
        await greeted(candidate)
        shown = candidate.text("AI")
        a.world.registry.prepare_stop()
        began = trio.current_time()
        await handing_on(a).give_up(a.world.registry, trio.Event())
        assert await candidate.closed() == (1012, "Service restart")
        assert "session_ended" not in candidate.kinds()
        assert await taken_over(b) <= 2 * PULSE_SECONDS
        assert trio.current_time() < began + LEASE_SECONDS
        again = await b.world.candidate(since=0)
        await greeted(again)
        assert again.text("AI").startswith(shown)
        assert a.world.journal.live() == []
        assert not model.tables.late
        assert [it["released"] for it in a.world.events("interview.given_up")] == [True]
        assert a.world.backend.received("iv-1") == ["IN_PROGRESS"]
        assert not model.tables.instances[a.incarnation].lost


async def test_many_that_are_given_up_at_once_share_the_work(autojump_clock: object, model: Model) -> None:
    """The words of the last minutes become passages once, and not once for each interview."""
    async with host(model, PREPPALD_SESSION_LIMIT="1h", PREPPALD_MAX_SESSIONS_PER_USER="8") as a:
        names = [f"iv-{n}" for n in range(8)]
        for name in names:
            await a.world.candidate(name)
        for one in said(2 * PARCELS_AT_ONCE, first=SEQ_LEAP):
            a.world.journal.add_fragments("iv-1", 1, [one])
            await trio.sleep(SOON)
        parcels = len({number for _, number, _ in model.tables.recent})
        assert parcels > PARCELS_AT_ONCE
        counted, settle = [], a.client.settle

        async def counting(me: int, passages: Sequence[Row], upto: int, /) -> object:
            counted.append(upto)
            return await settle(me, passages, upto)

        a.client.settle = counting  # type: ignore[assignment,method-assign]
        await handing_on(a).give_up(a.world.registry, at_once())
        assert [it["released"] for it in a.world.events("interview.given_up")] == [True] * len(names)
        assert not model.tables.recent
        rounds = parcels // PARCELS_AT_ONCE + 1
        assert len(counted) <= rounds + len(names)


async def test_one_is_given_up_when_nobody_speaks(autojump_clock: object, model: Model) -> None:
    async with host(model) as a:
        candidate = await a.world.candidate()
        await candidate.until("audio_response")
        assert not a.world.session().quiet
        began = trio.current_time()
        await handing_on(a).give_up(a.world.registry, trio.Event())
        quiet = trio.current_time() - began
        assert 0.2 < quiet < QUIET_SECONDS
    async with host(model) as a:
        candidate = await a.world.candidate("iv-2")
        await candidate.until("audio_response")
        began = trio.current_time()
        await handing_on(a).give_up(a.world.registry, at_once())
        assert trio.current_time() - began < quiet


async def test_a_second_signal_does_not_wait_for_a_quiet_moment(autojump_clock: object, model: Model) -> None:
    """Also one that comes while it is waited for."""
    async with host(model) as a, trio.open_nursery() as nursery:
        candidate = await a.world.candidate()
        await candidate.until("audio_response")
        session, now = a.world.session(), trio.Event()
        nursery.start_soon(handing_on(a).give_up, a.world.registry, now)
        await trio.sleep(LOOK_SECONDS / 10)
        assert not session.quiet
        assert not session.over
        now.set()
        await trio.sleep(LOOK_SECONDS / 5)
        assert session.over


async def test_without_the_shared_journal_a_stop_leaves_them_for_the_next_start(
    autojump_clock: object, model: Model
) -> None:
    """As after a kill: the row is live, and nothing was posted."""
    async with host(model) as a:
        candidate = await a.world.candidate()
        await greeted(candidate)
        a.client.reachable = False
        await handing_on(a).give_up(a.world.registry, trio.Event())
        assert (await candidate.closed())[0] == 1012
        assert [it["released"] for it in a.world.events("interview.given_up")] == [False]
        assert [it.interview_id for it in a.world.journal.live()] == ["iv-1"]
        assert a.world.backend.received("iv-1") == ["IN_PROGRESS"]
