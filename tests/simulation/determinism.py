"""One seed, one run. Trio's own two switches for it are private, so that it is asserted that they are there."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
import os
import random
from typing import TypeVar

import trio
from trio._core import _run as trio_run
from trio.testing import MockClock

T = TypeVar("T")


@contextmanager
def determined(seed: int) -> Iterator[None]:
    """Everything that is random in this process comes from the seed, for a while."""
    assert isinstance(trio_run._ALLOW_DETERMINISTIC_SCHEDULING, bool)
    assert isinstance(trio_run._r, random.Random)
    before = trio_run._ALLOW_DETERMINISTIC_SCHEDULING, trio_run._r.getstate(), random.getstate()
    entropy = os.urandom, random._urandom  # type: ignore[attr-defined]  # it is what secrets draws from
    trio_run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]  # batches are sorted before the shuffle
    trio_run._r.seed(f"trio {seed}")
    random.seed(f"random {seed}")  # ping payloads
    # Nonces and masks of both WebSocket libraries.
    os.urandom = random._urandom = random.Random(f"entropy {seed}").randbytes  # type: ignore[attr-defined]
    try:
        yield
    finally:
        trio_run._ALLOW_DETERMINISTIC_SCHEDULING = before[0]  # type: ignore[misc]
        trio_run._r.setstate(before[1])
        random.setstate(before[2])
        os.urandom, random._urandom = entropy  # type: ignore[attr-defined]


def run(seed: int, main: Callable[[], Awaitable[T]]) -> T:
    """Runs ``main`` on a clock that jumps as soon as nobody has anything to do; it starts at 0."""
    with determined(seed):
        return trio.run(main, clock=MockClock(autojump_threshold=0))
