"""A sleep for a task that sleeps all day: the kernel's timer, for which Trio waits as for a socket.

``trio.sleep_until`` makes a cancel scope and ends it by an exception that travels through the task. A sleep of a
millisecond costs 57 µs of CPU that way on the reference machine, and 37 this way (22 are the kernel's). Under a virtual
clock, or where there is no such timer, this is ``trio.sleep_until``.
"""

import ctypes
import os
import time

import trio

# The kernel's clock stops for nothing, and Trio's own moves with it.
_CLOCK = time.CLOCK_MONOTONIC
# A timer that is set to zero is off.
_LEAST_SECONDS = 1e-6

# Python has it from 3.13 on, as os.timerfd_create.
_libc = ctypes.CDLL(None, use_errno=True)
# C's itimerspec: the interval, and the time to the first expiry, each in seconds and nanoseconds.
_Spec = ctypes.c_long * 4


class Timer:
    """One task's. ``close`` it in the end."""

    def __init__(self) -> None:
        create = getattr(_libc, "timerfd_create", None)
        self._timer: int = -1 if create is None else create(_CLOCK, os.O_NONBLOCK | os.O_CLOEXEC)
        self._spec = _Spec()
        self._address = ctypes.byref(self._spec)
        self._real: bool | None = None

    async def until(self, due: float) -> None:
        """Sleep until this time of Trio's; where it has come, give each other task its turn."""
        if self._real is None:
            self._real = self._timer >= 0 and _is_real(trio.lowlevel.current_clock())
        seconds = due - trio.current_time()
        if seconds < _LEAST_SECONDS or not self._real:
            await trio.sleep_until(due)
            return
        self._spec[2], self._spec[3] = int(seconds), int(seconds % 1 * 1e9)
        if _libc.timerfd_settime(self._timer, 0, self._address, None):
            raise OSError(ctypes.get_errno(), "a timer cannot be set")
        await trio.lowlevel.wait_readable(self._timer)

    def close(self) -> None:
        """Give the timer back."""
        if self._timer >= 0:
            os.close(self._timer)
            self._timer = -1
            self._real = False


def _is_real(clock: trio.abc.Clock) -> bool:
    """Return whether this clock's second lasts a second."""
    return abs(clock.deadline_to_sleep_time(clock.current_time() + 1.0) - 1.0) < 0.1
