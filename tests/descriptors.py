"""A process without file descriptors."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
import gc
import os
import resource


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Not one more than this process has open, and none given back by the garbage collector meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    gc.collect()
    gc.disable()
    filled = [os.dup(0)]
    resource.setrlimit(resource.RLIMIT_NOFILE, (filled[0] + 1, hard))
    try:
        with suppress(OSError):
            while True:
                filled.append(os.dup(0))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        gc.enable()
        for number in filled:
            os.close(number)
