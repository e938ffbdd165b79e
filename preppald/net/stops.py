"""Receives the signals that stop a process, and counts stops: one stop may come as several signals.

An init that signals the group (``dumb-init``, ``tini -g``), a terminal's Ctrl-C and ``systemctl kill`` reach both
processes of the one-file binary, and its boot loader passes its own signal on to the daemon: two signals, one stop.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
import signal
from types import FrameType

import trio

# Signals that are copies of one come within milliseconds, on a busy machine within tenths of a second. An operator
# who means a second stop has read the first one's log line.
SAME_STOP_SECONDS = 1.0


class Stops:
    """``count``: how many stops were asked for."""

    def __init__(self) -> None:
        self.count = 0
        self._at = 0.0

    def signalled(self, now: float) -> bool:
        """Note a signal, at this time of a monotonic clock; False where it belongs to the stop before it."""
        if self.count and now - self._at < SAME_STOP_SECONDS:
            return False
        self.count += 1
        self._at = now
        return True


@contextmanager
def received(stops: Stops, *numbers: signal.Signals) -> Iterator[AsyncIterator[int]]:
    """Receive these signals in the block. After a stop they are ignored from its end on.

    The process ends with the block then, and a late copy of the signal would kill it on its last steps.
    """
    found = {number: signal.getsignal(number) or signal.SIG_DFL for number in numbers}

    def late(number: int, _frame: FrameType | None) -> None:
        """Handle a signal that Trio did not pass on before the block ended."""
        if not stops.count:
            signal.signal(number, found[signal.Signals(number)])
            signal.raise_signal(number)

    for number in numbers:
        signal.signal(number, late)
    try:
        with trio.open_signal_receiver(*numbers) as signals:
            yield signals
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN if stops.count else found[number])
