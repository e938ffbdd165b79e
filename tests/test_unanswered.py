"""A question to the shared journal whose answer is lost: what it did there is found out, and nobody is locked out."""

from functools import partial
from typing import Any

import pytest
import trio

from preppald.core.endings import MOVED
from preppald.errors import JournalError
from preppald.journal import Journal, spool
from preppald.shared.model import Model
from preppald.shared.ownership import LOOK_SECONDS, Ownership
from preppald.shared.protocol import PULSE_SECONDS
from tests.test_takeover import SOON, Host, greeted, host


@pytest.fixture
def model() -> Model:
    return Model(trio.current_time)


def lose_answers_to_begin(it: Host) -> None:
    begin = it.client.begin

    async def unanswered(*what: Any) -> object:
        it.client.lost_answers = 1
        it.client.begin = begin  # type: ignore[method-assign]
        return await begin(*what)

    it.client.begin = unanswered  # type: ignore[assignment,method-assign]


async def test_a_candidate_whose_grant_was_lost_is_let_in_at_the_next_try(
    autojump_clock: object, model: Model
) -> None:
    """The shared journal has the interview as that host's by then, which is the only one that can begin it."""
    async with host(model) as a, host(model) as b:
        await trio.sleep(2 * LOOK_SECONDS)  # what a start looks for has been found
        lose_answers_to_begin(a)
        assert await a.knock() == 503
        await trio.sleep(PULSE_SECONDS + 2 * LOOK_SECONDS)
        assert a.world.registry.holds("iv-1")
        assert await b.knock() == 503  # it is carried there, where there are peer ports
        assert await a.knock() == 101
        assert a.world.shipper is not None
        assert a.world.shipper.membership.up


async def test_a_candidate_whose_grant_was_lost_and_who_never_comes_back_counts_no_more(
    autojump_clock: object, model: Model
) -> None:
    setting = {"PREPPALD_MAX_SESSIONS_PER_USER": "1", "PREPPALD_RECONNECT_GRACE": "20s"}
    async with host(model, **setting) as a, host(model, **setting) as b:
        await trio.sleep(2 * LOOK_SECONDS)  # what a start looks for has been found
        lose_answers_to_begin(a)
        assert await a.knock() == 503
        assert await b.knock("iv-2") == 429
        await trio.sleep(60)
        assert await b.knock("iv-2") == 101


async def test_a_claim_that_was_cut_off_is_found_again(autojump_clock: object, model: Model) -> None:
    """Whoever asked is gone before the answer came; a session's words are still to be fetched then."""
    async with host(model) as a, host(model) as b:
        await greeted(await a.world.candidate())
        assert a.world.ownership is not None
        assert b.world.ownership is not None
        await trio.sleep(2 * LOOK_SECONDS)
        said = b.client.said

        async def silent(*_question: object) -> object:
            await trio.sleep_forever()
            raise AssertionError

        b.client.said = silent  # type: ignore[assignment,method-assign]
        with trio.move_on_after(SOON):
            assert await a.world.ownership.release([("iv-1", 0)])
            await b.world.ownership.claim("iv-1")
        assert model.tables.interviews["iv-1", 0].owner == b.incarnation
        b.client.said = said  # type: ignore[method-assign]
        await trio.sleep(PULSE_SECONDS + 2 * LOOK_SECONDS)
        assert b.world.registry.holds("iv-1")


async def test_what_a_failover_made_this_hosts_again_is_found_after_the_silence(
    autojump_clock: object, model: Model
) -> None:
    """The standby that was promoted lacks that the interview was given up: nobody else can claim it while this host lives."""
    async with host(model) as a:
        await greeted(await a.world.candidate())
        behind = model.copy()
        assert a.world.ownership is not None
        assert await a.world.ownership.release([("iv-1", 0)])
        forget = partial(a.world.journal.let_go, {("iv-1", 0)})
        await a.world.registry.let_go("iv-1", forget)
        assert [it["ending"] for it in a.world.events("session.ended")] == [MOVED.name]
        a.client.reachable = False
        model.tables = behind
        await trio.sleep(2 * PULSE_SECONDS)
        assert not a.world.registry.holds("iv-1")
        a.client.reachable = True
        await trio.sleep(PULSE_SECONDS + 2 * LOOK_SECONDS)
        assert a.world.registry.holds("iv-1")


async def test_a_disk_that_does_not_answer_the_task_that_takes_over_ends_no_daemon(
    autojump_clock: object, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked again; how often a session changed hands, which each post says, is known then."""
    async with host(model) as b:
        async with host(model) as a:
            await greeted(await a.world.candidate())
            a.die()
        await trio.sleep(20)
        assert b.world.registry.holds("iv-1")
        ask, asked = Journal.ask, list[object]()

        async def failing(journal: Journal, query: Any) -> object:
            if query is spool.claims:
                asked.append(query)
                if len(asked) < 3:
                    raise JournalError("the disk has not answered for 10 seconds")
            return await ask(journal, query)

        monkeypatch.setattr(Journal, "ask", failing)
        assert b.world.shipper is not None
        member, log = b.world.shipper.membership, b.world.services.log
        again = Ownership(b.client, member, b.world.journal, log=log)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(again.run, b.world.registry.recover, lambda: True)
            await trio.sleep(4 * LOOK_SECONDS)
            nursery.cancel_scope.cancel()
        assert len(asked) == 3
        assert again.claims("iv-1", 0) == 1
