"""Lets one task wake another. All three shapes remember: a wake-up is never lost, whether anybody waits yet or not."""

from collections.abc import Callable

import trio


class Sleep:
    """One task's sleep, until ``end``: with an event it would take three times the memory, and an interview has six."""

    __slots__ = ("_task", "over")

    def __init__(self) -> None:
        self.over = False
        self._task: trio.lowlevel.Task | None = None

    def end(self) -> None:
        """Let the task go on; once is enough."""
        self.over = True
        task, self._task = self._task, None
        if task is not None:
            trio.lowlevel.reschedule(task)

    async def sleep(self) -> None:
        """Return after the end, and after each other task has had its turn."""
        if self.over:
            await trio.lowlevel.checkpoint()
            return
        assert self._task is None  # noqa: S101 - the sleep is one task's
        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._cancelled)

    def _cancelled(self, _raise_cancel: object) -> trio.lowlevel.Abort:
        self._task = None
        return trio.lowlevel.Abort.SUCCEEDED


class Wakeup(Sleep):
    """Wakes the one task that listens, and is remembered when nobody does."""

    __slots__ = ()

    def ring(self) -> None:
        """Wake the task, now or as soon as it listens."""
        self.end()

    async def heard(self, seconds: float | None = None) -> bool:
        """Wait for a ring, at most so many seconds; return whether it rang. One wait answers all rings before it."""
        if seconds is None:
            await self.sleep()
        else:
            with trio.move_on_after(max(seconds, 0.0)):
                await self.sleep()
        rang, self.over = self.over, False
        return rang


class Changes:
    """Wakes any number of tasks, each of which waits for a condition of its own. The condition is the memory."""

    def __init__(self) -> None:
        self._next = trio.Event()

    def announce(self) -> None:
        """Let every waiting task test its condition again."""
        self._next.set()
        self._next = trio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return when the condition holds; tested now, and after each announcement."""
        while not condition():
            await self._next.wait()
