"""A task that sleeps until it is woken: no ring is lost, whenever it comes."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from preppald.net.poll import Poll
from preppald.net.wakeup import Wakeup


async def test_a_ring_wakes_the_task_that_listens(autojump_clock: trio.testing.MockClock) -> None:
    bell, heard = Wakeup(), []

    async def listen() -> None:
        heard.append(await bell.heard())

    async with trio.open_nursery() as tasks:
        tasks.start_soon(listen)
        await wait_all_tasks_blocked()
        bell.ring()
        bell.ring()
    assert heard == [True]
    assert not await bell.heard(1.0)


async def test_a_ring_that_nobody_heard_is_remembered_once(autojump_clock: trio.testing.MockClock) -> None:
    bell = Wakeup()
    bell.ring()
    bell.ring()
    assert await bell.heard()
    assert not await bell.heard(1.0)
    assert not await bell.heard(-1.0)


async def test_a_ring_after_a_listener_gave_up_is_the_next_ones(
    autojump_clock: trio.testing.MockClock,
) -> None:
    bell = Wakeup()
    with trio.move_on_after(1.0) as patience:
        await bell.heard()
    assert patience.cancelled_caught
    bell.ring()
    assert await bell.heard(0.0)


async def test_a_poll_that_is_over_twice_wakes_its_task_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    poll = Poll(lambda _now: True)
    async with trio.open_nursery() as tasks:
        tasks.start_soon(poll.wait)
        await wait_all_tasks_blocked()
        assert poll.ends(0.0)
        poll.end()
    await poll.wait()


async def test_a_second_sleeper_is_refused(autojump_clock: trio.testing.MockClock) -> None:
    """It would be forgotten, and sleep for ever."""
    bell = Wakeup()
    async with trio.open_nursery() as tasks:
        tasks.start_soon(bell.heard)
        await wait_all_tasks_blocked()
        with pytest.raises(AssertionError):
            await bell.heard()
        bell.ring()
