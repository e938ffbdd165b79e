"""Stops a task with all that it started, as SIGSTOP stops a process: none takes a step, while the clock goes on.

A deadline that passes meanwhile cancels what it is for, and is noticed by the task when that goes on: so does a timer
that expired while a process was stopped.

Trio has no such switch. Its queue of tasks that can run is private, so that it is asserted that it is there.
"""

from collections import deque
from collections.abc import Iterable

from trio._core import _run as trio_run
from trio.lowlevel import Task


class _Queue(deque[Task]):
    """Trio's queue; tasks below a frozen one wait beside it."""

    def __init__(self, waiting: Iterable[Task]) -> None:
        super().__init__(waiting)
        self.frozen: dict[Task, list[Task]] = {}

    def append(self, task: Task, /) -> None:
        above: Task | None = task if self.frozen else None
        while above is not None:
            if above in self.frozen:
                self.frozen[above].append(task)
                return
            nursery = above.parent_nursery
            above = None if nursery is None else nursery.parent_task
        super().append(task)

    def freeze(self, root: Task) -> None:
        self.frozen[root] = []
        runnable = list(self)
        self.clear()
        for task in runnable:
            self.append(task)

    def thaw(self, root: Task) -> None:
        for task in self.frozen.pop(root, []):
            self.append(task)


def freeze(root: Task) -> None:
    """Stop a task and all below it. A step that was due in this very pass is still taken."""
    _queue().freeze(root)


def thaw(root: Task) -> None:
    """Let it go on, if it was stopped."""
    _queue().thaw(root)


def _queue() -> _Queue:
    runner = trio_run.GLOBAL_RUN_CONTEXT.runner
    if not isinstance(runner.runq, _Queue):
        assert isinstance(runner.runq, deque)
        runner.runq = _Queue(runner.runq)
    return runner.runq
