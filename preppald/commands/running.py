"""Running a command's Trio program: a planned failure leaves as the one exception that a person should read."""

from collections.abc import Awaitable, Callable
import os
from pathlib import Path
import shutil
import sys
from typing import TypeVar

import trio

from preppald.errors import PreppaldError, leaf

T = TypeVar("T")
# main() has words for an output that cannot be written; any other OSError is a bug there, too.
PLANNED = (PreppaldError, OSError)


def run_trio(
    program: Callable[..., Awaitable[T]],
    *arguments: object,
    planned: tuple[type[Exception], ...] = PLANNED,
) -> T:
    """Return what ``program`` returns. ``planned``: the failures that a person should read.

    Raises:
        Exception: the first planned failure of any task, by itself and not in a group.
        KeyboardInterrupt: Ctrl-C arrived before the program handled signals itself.
    """
    result: list[T] = []
    failure: BaseException | None = None
    # Python before 3.11.4 wraps an exception raised inside `except*` in another group, which no handler of single
    # exceptions matches. So we keep the failure and raise it below.
    try:
        result.append(trio.run(program, *arguments))
    except* planned as group:
        failure = leaf(group)
    except* KeyboardInterrupt as group:
        failure = failure or leaf(group)
    if failure is not None:
        raise failure
    return result[0]


def invoked_as() -> str:
    """Return what to type for another command of the same preppald: not everybody has it on PATH."""
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        return f"{_from_here(Path(sys.executable))} -m preppald"
    on_path = shutil.which(program.name)
    return program.name if on_path and Path(on_path).samefile(program) else _from_here(program)


def _from_here(file: Path) -> str:
    here = os.path.relpath(file)
    return str(file) if here.startswith("..") else here if os.sep in here else f"./{here}"
