"""A thread for blocking work: files and databases."""

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import trio

T = TypeVar("T")


class InThread(Protocol):
    """Runs a blocking function beside the loop, one at a time, in the order of the calls."""

    def __call__(self, function: Callable[[], T], /) -> Awaitable[T]: ...


def own_thread() -> InThread:
    """Return a way to Trio's threads that its holder has for itself: never more than one call at a time."""
    limiter = trio.CapacityLimiter(1)

    async def in_thread(function: Callable[[], T], /) -> T:
        return await trio.to_thread.run_sync(function, limiter=limiter)

    return in_thread
