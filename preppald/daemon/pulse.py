"""Measures how late the loop wakes a task that is due: a lag that all interviews of the process share."""

import trio

from preppald.telemetry.metrics import Metrics

# Often enough that a stall of a second is seen four times; a wake costs 55 µs.
BEAT_SECONDS = 0.25


async def measure(metrics: Metrics) -> None:
    """Observe the lag of each beat, until cancelled."""
    while True:
        due = trio.current_time() + BEAT_SECONDS
        await trio.sleep_until(due)
        metrics.loop_lag.observe(trio.current_time() - due)
