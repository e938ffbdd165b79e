"""Running a command's Trio program: a planned failure leaves as the one exception that a person should read."""

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from preppald.errors import PreppaldError, leaf


def run_trio(
    program: Callable[..., Awaitable[Any]],
    *arguments: object,
    planned: tuple[type[Exception], ...] = (PreppaldError,),
) -> None:
    """Run ``program`` until it returns. ``planned``: the failures that a person should read.

    Raises:
        Exception: the first planned failure of any task, by itself and not in a group.
        KeyboardInterrupt: Ctrl-C arrived before the program handled signals itself.
    """
    failure: BaseException | None = None
    # Python before 3.11.4 wraps an exception raised inside `except*` in another group, which no handler of single
    # exceptions matches. So we keep the failure and raise it below.
    try:
        trio.run(program, *arguments)
    except* planned as group:
        failure = leaf(group)
    except* KeyboardInterrupt as group:
        failure = failure or leaf(group)
    if failure is not None:
        raise failure
