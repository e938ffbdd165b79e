"""What a host gives up, or has lost to another one, does not run there again, whoever asks for it meanwhile."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from preppald.core.tokens import LEEWAY_SECONDS
from preppald.core.turns import Fragment, Speaker
from preppald.shared.model import AWAY, Model
from preppald.shared.ownership import DOOR_SECONDS
from preppald.shared.protocol import LEASE_SECONDS, PULSE_SECONDS
from tests.candidates import Candidate
from tests.durable import Rig, RiggedDisk, full
from tests.test_takeover import SOON, Host, at_once, greeted, handing_on, host

# A token's, in an interview that is much longer.
TOKEN_SECONDS = 60
# A connection to the database that is silent is hung up on after that.
PATIENCE_SECONDS = 600.0


@pytest.fixture
def model() -> Model:
    return Model(trio.current_time)


async def dial(it: Host, token: str) -> int:
    """Return the answer's status to a page that comes back with its token, and stays."""
    candidate = Candidate(it.world.connection())
    status = await candidate.open("/iv-1", token)
    if status == 101:
        it.world.nursery.start_soon(candidate.run)
    return status


@pytest.mark.parametrize("seconds", [0.5, 4.0])
async def test_a_page_with_an_old_token_does_not_run_again_what_is_given_up(
    autojump_clock: object, model: Model, seconds: float
) -> None:
    """The database takes its time over the last words, and the page dials meanwhile."""
    hour = {"PREPPALD_SESSION_LIMIT": "1h"}
    async with host(model, **hour) as a, host(model, **hour) as b:
        token = a.world.token(lifetime=TOKEN_SECONDS)
        candidate = await a.world.candidate(token=token)
        other = await a.world.candidate("iv-2", token=a.world.token("iv-2", lifetime=TOKEN_SECONDS))
        await greeted(candidate)
        await trio.sleep(TOKEN_SECONDS + LEEWAY_SECONDS)
        settle = a.client.settle

        async def slowly(*what: object) -> object:
            await trio.sleep(seconds)
            return await settle(*what)  # type: ignore[arg-type]

        a.client.settle = slowly  # type: ignore[assignment,method-assign]
        statuses: list[int] = []

        async def page() -> None:
            await candidate.closed()
            for _ in range(5):
                statuses.append(await dial(a, token))
                await trio.sleep(0.5)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(page)
            a.world.registry.prepare_stop()
            await handing_on(a).give_up(a.world.registry, trio.Event())
            assert len(a.world.registry) == 0
        assert set(statuses) == {503}
        assert (await other.closed())[0] == 1012
        assert {it["ending"] for it in a.world.events("session.ended")} == {"moved"}
        await trio.sleep(2 * LEASE_SECONDS)
        # Where the database was too slow a lease has to lapse, or the next start goes on with it: never two at once.
        running = {it.interview.interview_id for it in b.world.registry.live}
        assert running == {it["interview"] for it in a.world.events("interview.given_up") if it["released"]}


@pytest.mark.parametrize("without", ["refuse", "begin"])
async def test_a_page_with_an_old_token_is_told_to_dial_again_where_the_database_is_away(
    autojump_clock: object, model: Model, without: str
) -> None:
    """Not that its token is no good: with that answer a page gives up, and its interview goes on here or elsewhere."""
    async with host(model, PREPPALD_SESSION_LIMIT="1h", PREPPALD_WITHOUT_SHARED=without) as a:
        token = a.world.token(lifetime=TOKEN_SECONDS)
        candidate = await a.world.candidate(token=token)
        await greeted(candidate)
        await trio.sleep(TOKEN_SECONDS + LEEWAY_SECONDS)
        a.client.reachable = False
        a.world.registry.prepare_stop()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(give_up_at_once(a))
            await candidate.closed()
            assert await dial(a, token) == 503
            # Another one's, as old, still learns nothing.
            assert await dial(a, a.world.token(lifetime=-TOKEN_SECONDS)) == (
                503 if without == "refuse" else 401
            )


def give_up_at_once(it: Host) -> Callable[[], Awaitable[None]]:
    async def given_up() -> None:
        await handing_on(it).give_up(it.world.registry, at_once())

    return given_up


async def test_words_that_the_disk_does_not_take_go_on_with_the_interview(
    autojump_clock: object, model: Model, tmp_path: Path
) -> None:
    """They were shown to the candidate, and are in this host's memory alone, which ends with the stop."""
    rig = Rig()
    async with host(model, RiggedDisk(tmp_path, rig)) as a, host(model) as b:
        candidate = await a.world.candidate()
        await greeted(candidate)
        rig.always = full()
        await candidate.speak(2.0, pause=3.0)
        await trio.sleep(5)
        await candidate.speak(3.0, pause=3.0)
        await trio.sleep(5)
        shown = candidate.text("USER")
        assert "3.0 s" in shown
        assert a.world.journal.fault is not None
        a.world.registry.prepare_stop()
        await handing_on(a).give_up(a.world.registry, trio.Event())
        (given_up,) = a.world.events("interview.given_up")
        assert given_up["released"]
        await trio.sleep(PULSE_SECONDS + SOON)
        assert b.world.registry.holds("iv-1")
        assert "".join(it.text for it in await b.said() if it.speaker is Speaker.USER) == shown


@pytest.mark.parametrize("question", ["said", "late"])
async def test_a_host_that_lets_go_keeps_its_candidates_waiting_no_longer_than_the_database_at_the_door(
    autojump_clock: object, model: Model, question: str
) -> None:
    """A commit that waits for a standby that hangs, say: it is asked once in their way, and then as long as it takes."""
    async with host(model, PREPPALD_WITHOUT_SHARED="begin") as a, host(model) as b:
        await greeted(await a.world.candidate())
        a.client.reachable = False
        await trio.sleep(LEASE_SECONDS + 3 * PULSE_SECONDS)
        assert b.world.registry.holds("iv-1")
        (first, *_) = await a.said()
        a.world.journal.add_fragments("iv-1", 1, [Fragment(999, 9, first.speaker, "late", a.world.now_ms())])
        ask, began, cut_off = getattr(a.client, question), trio.Event(), list[float]()

        async def hanging(*what: object) -> object:
            began.set()
            since = trio.current_time()
            try:
                with trio.move_on_after(PATIENCE_SECONDS):
                    await hangs.wait()
                    return await ask(*what)
            except trio.Cancelled:
                cut_off.append(trio.current_time() - since)
                raise
            return AWAY

        hangs = trio.Event()
        setattr(a.client, question, hanging)
        a.client.reachable = True
        await began.wait()
        for name in ("iv-2", "iv-3"):
            with trio.fail_after(2 * DOOR_SECONDS + SOON):
                await a.world.candidate(name)
            await trio.sleep(10 * DOOR_SECONDS)
        assert cut_off == [pytest.approx(DOOR_SECONDS, abs=SOON)]
        assert a.world.journal.live()
        hangs.set()
        await trio.sleep(3 * PULSE_SECONDS)
        assert [it.interview_id for it in a.world.journal.live()] == ["iv-2", "iv-3"]
        assert [it.first_seq for it in model.tables.late.values()] == [999]
        assert len(a.world.events("interview.owned_elsewhere")) == 1


@pytest.mark.parametrize("who", ["a page dials", "the host looks around"])
async def test_a_host_that_was_declared_lost_does_not_run_its_interviews_again(
    autojump_clock: object, model: Model, who: str
) -> None:
    """The way to the database is gone again right after it said so: nothing could be let go of by then."""
    async with host(model) as a, host(model) as b:
        if who == "the host looks around":
            a.world.nursery.start_soon(a.world.registry.adopt)
        candidate = await a.world.candidate()
        await greeted(candidate)
        a.client.reachable = False
        await trio.sleep(LEASE_SECONDS + 3 * PULSE_SECONDS)
        assert b.world.registry.holds("iv-1")
        assert a.world.shipper is not None
        membership = a.world.shipper.membership
        fenced = membership.on_fenced

        def gone_again() -> None:
            a.client.reachable = False
            fenced()

        membership.on_fenced = gone_again
        a.client.reachable = True
        assert (await candidate.closed())[0] == 1012
        for _ in range(40):
            await trio.sleep(1)
            if who == "a page dials":
                assert await dial(a, a.world.token()) == 503
            assert not a.world.registry.holds("iv-1")
        membership.on_fenced = fenced
        a.client.reachable = True
        await trio.sleep(2 * PULSE_SECONDS)
        assert a.world.journal.live() == []
        assert b.world.registry.holds("iv-1")
        # A host again like any other.
        await a.world.candidate("iv-2")
        await trio.sleep(SOON)
        assert a.world.registry.holds("iv-2")
