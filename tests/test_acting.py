"""The operator's actions on a running daemon, in virtual time: an end, a drain and its undoing, and who is told what."""

from collections.abc import Awaitable, Callable
import json

import msgspec
import pytest
import trio
import trio.testing

from preppald.core.interview import Phase
from preppald.daemon.acting import Acting, Caller, Unacted
from preppald.daemon.control import CONNECTIONS, ORDER_SECONDS, Control
from preppald.daemon.orders import ORDER_BYTES, REASON_CHARS, Order
from preppald.pb.interview_pb2 import SessionEnded
from preppald.simulator import Scenario
from preppald.simulator.scenario import Reply
from tests.world import World

SCENARIO = Scenario(reply=(Reply(text="Hello there.", seconds=1.0),))
BY = Caller("command", 1000)


async def a_world(nursery: trio.Nursery, **settings: str) -> World:
    settings = {f"PREPPALD_{name.upper()}": value for name, value in settings.items()}
    return await World(settings, SCENARIO).start(nursery)


def acting_on(world: World, *, stopping: bool = False) -> Acting:
    return Acting(
        world.services,
        world.registry,
        world.outbox,
        world.server,
        instance="here",
        stopping=lambda: stopping,
    )


# ---------------------------------------------------------------- seeing


async def test_the_status_has_what_is_live_waiting_and_owed(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    world = await a_world(nursery)
    acting = acting_on(world)
    idle = acting.status()
    assert (idle.interviews, idle.unready, idle.draining, idle.well) == ([], None, False, True)
    first = await world.candidate("iv-1")
    await first.heard_out()
    other = await world.candidate("iv-2", token=world.token("iv-2", "user-2"))
    await other.heard_out()
    await other.stream.aclose()
    await trio.sleep(3)
    status = acting.status()
    one, two = status.interviews
    assert (one.interview, one.user, one.floor, one.waiting_seconds) == ("iv-1", "user-1", "candidate", None)
    assert 3590 < one.left_seconds + one.age_seconds <= 3601
    assert two.waiting_seconds is not None
    assert 2 < two.waiting_seconds < 4
    assert status.waiting == 1
    assert b"Hello" not in msgspec.json.encode(status)


async def test_a_trouble_of_the_service_is_in_the_status(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    world = await a_world(nursery, max_sessions="1")
    acting = acting_on(world)
    await (await world.candidate()).heard_out()
    status = acting.status()
    assert (status.unready, status.well) == ("at capacity", True)


# ---------------------------------------------------------------- an end


@pytest.mark.parametrize("codes", ["plain", "distinct"])
async def test_an_interview_that_is_ended_tells_both_sides(
    nursery: trio.Nursery, autojump_clock: object, codes: str
) -> None:
    """The candidate reads why, the backend gets the words, the journal keeps the reason, the log has none of it."""
    world = await a_world(nursery, close_codes=codes)
    candidate = await world.candidate()
    await candidate.heard_out()
    ended = await acting_on(world).end("iv-1", "Ada asked for it", BY)
    assert (ended.interview, ended.ending, ended.over) == ("iv-1", "operator_ended", True)
    code = 1000 if codes == "plain" else 4006
    assert await candidate.closed() == (code, "Interview ended by operator")
    last = candidate.messages[-1]
    assert last.session_ended.reason == SessionEnded.REASON_UNSPECIFIED
    await world.outbox.drained(trio.current_time() + 30)
    assert world.backend.received("iv-1") == ["IN_PROGRESS", [("AI", "Hello there.")]]
    kept = await world.journal.interview("iv-1")
    assert kept is not None
    assert (kept.phase, kept.ending) == (Phase.ENDED, "operator_ended")
    assert kept.cause == "an operator ended it: Ada asked for it"
    assert "Ada" not in str(world.log_lines.entries)
    (line,) = world.events("operator.acted")
    assert (line["action"], line["uid"], line["via"], line["with_reason"]) == ("end", 1000, "command", True)


async def test_only_a_live_interview_can_be_ended(nursery: trio.Nursery, autojump_clock: object) -> None:
    world = await a_world(nursery)
    with pytest.raises(Unacted, match="interview 'iv-9' is not live in instance here: `preppald status`"):
        await acting_on(world).end("iv-9", "", BY)
    assert world.events("operator.acted") == []


@pytest.mark.parametrize("reason", ["x" * (REASON_CHARS + 1), "two\nlines", "a\x1b[31mcolour"])
async def test_a_reason_is_one_line(nursery: trio.Nursery, autojump_clock: object, reason: str) -> None:
    world = await a_world(nursery)
    candidate = await world.candidate()
    await candidate.heard_out()
    with pytest.raises(Unacted, match="a reason is one line of at most 200 characters"):
        await acting_on(world).end("iv-1", reason, BY)
    assert not world.session().over


async def test_an_interview_that_is_just_ending_keeps_its_ending(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    world = await a_world(nursery)
    candidate = await world.candidate()
    await candidate.heard_out()
    await candidate.end()
    while not (session := world.session()).over:  # noqa: ASYNC110 - the goodbye is no event
        await trio.lowlevel.checkpoint()
    ended = await acting_on(world).end("iv-1", "", BY)
    assert (ended.ending, ended.over) == ("user_ended", True)
    assert session.done.is_set()


# ---------------------------------------------------------------- a drain


async def test_a_drain_lets_none_begin_and_those_that_run_go_on(
    nursery: trio.Nursery, autojump_clock: object
) -> None:
    world = await a_world(nursery)
    acting = acting_on(world)
    candidate = await world.candidate()
    await candidate.heard_out()
    drained = await acting.drain(BY)
    assert (drained.draining, drained.was, drained.interviews) == (True, False, 1)
    assert (await acting.drain(BY)).was
    refused = await world.candidate("iv-2", token=world.token("iv-2", "user-2"))
    assert refused.status == 503
    assert not [it for it in candidate.messages if it.WhichOneof("payload") == "notice"]
    again = await world.candidate("iv-1", since=0)
    assert again.status == 101, "a candidate of before comes back in"
    back = await acting.undrain(BY)
    assert (back.draining, back.was) == (False, True)
    later = await world.candidate("iv-2", token=world.token("iv-2", "user-2"))
    assert later.status == 101


async def test_a_stop_cannot_be_undone(nursery: trio.Nursery, autojump_clock: object) -> None:
    world = await a_world(nursery)
    world.registry.prepare_stop()
    with pytest.raises(Unacted, match="instance here is stopping, which cannot be undone"):
        await acting_on(world, stopping=True).undrain(BY)
    assert world.registry.draining


# ---------------------------------------------------------------- the wire of orders


async def answers(sent: bytes, act: Callable[[Order, Caller], Awaitable[msgspec.Struct]]) -> object:
    """What a connection gets that sends this and then listens; None: nothing."""
    ours, theirs = trio.testing.memory_stream_pair()
    world = World({}, SCENARIO)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Control(act, world.services.log).handle, theirs)
        if sent:
            await ours.send_all(sent)
        line = b"".join([part async for part in ours])
    assert line.count(b"\n") == bool(line)
    return json.loads(line) if line else None


async def never(_order: Order, _caller: Caller) -> msgspec.Struct:
    raise AssertionError("no such order can be carried out")


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"{}\n", "does not understand the order"),
        (b'{"action":"juggle"}\n', "it may be of another version"),
        (b'{"action":"status","more":1}\n', "does not understand the order"),
        (b"\xff\xfe\n", "does not understand the order"),
        (b'{"action":"end","interview":"\xff"}\n', "does not understand the order"),
        (b"x" * (2 * ORDER_BYTES), f"an order is one line of at most {ORDER_BYTES} bytes"),
    ],
)
async def test_an_order_that_cannot_be_read_is_answered_with_a_sentence(
    autojump_clock: object, sent: bytes, words: str
) -> None:
    answer = await answers(sent, never)
    assert isinstance(answer, dict)
    assert words in answer["error"]
    assert answer["exit_status"] == 69


async def test_a_connection_that_says_nothing_is_closed(autojump_clock: object) -> None:
    assert await answers(b"", never) is None
    assert trio.current_time() == pytest.approx(ORDER_SECONDS)


async def test_a_bug_in_an_action_is_told_and_ends_no_other(autojump_clock: object) -> None:
    async def crash(_order: Order, _caller: Caller) -> msgspec.Struct:
        raise ZeroDivisionError("a bug")

    answer = await answers(b'{"action":"status"}\n', crash)
    assert answer == {"error": "the daemon has a bug: see control.crashed in its log", "exit_status": 70}


async def test_more_orders_than_there_is_room_for_are_sent_away(autojump_clock: object) -> None:
    world = World({}, SCENARIO)

    async def slow(order: Order, _caller: Caller) -> msgspec.Struct:
        await trio.sleep(60)
        return order

    control = Control(slow, world.services.log)
    async with trio.open_nursery() as nursery:
        streams = []
        for _ in range(CONNECTIONS + 1):
            ours, theirs = trio.testing.memory_stream_pair()
            nursery.start_soon(control.handle, theirs)
            await ours.send_all(b'{"action":"status"}\n')
            await trio.testing.wait_all_tasks_blocked()
            streams.append(ours)
        last = json.loads(b"".join([part async for part in streams[-1]]))
        assert last["error"] == f"{CONNECTIONS} commands are at work in this daemon already: try again"
        assert trio.current_time() < 1
        for stream in streams[:-1]:
            assert json.loads(b"".join([part async for part in stream]))["done"] == {"action": "status"}
