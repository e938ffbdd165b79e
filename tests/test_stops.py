"""One stop is one stop, in however many signals it comes; two are two."""

import signal
import subprocess
import sys

import pytest
import trio

from preppald.net.stops import SAME_STOP_SECONDS, Stops, received


@pytest.mark.parametrize(
    ("times", "stops"),
    [
        ([5.0], 1),
        ([5.0, 5.0], 1),
        ([0.0, 0.2, 0.9], 1),
        ([0.0, SAME_STOP_SECONDS], 2),
        ([0.0, 0.01, 1.5, 1.51], 2),
        (
            [0.0, 0.6, 1.2],
            2,
        ),  # copies are measured from the stop, and not from each other: an insistent finger counts
    ],
)
def test_signals_within_a_second_are_one_stop(times: list[float], stops: int) -> None:
    counted = Stops()
    assert sum(counted.signalled(now) for now in times) == counted.count == stops


PROGRAM = """
import signal, sys, time, trio
from preppald.net.stops import Stops, received

async def main():
    stops = Stops()
    with received(stops, signal.SIGTERM, signal.SIGINT) as signals:
        print("ready", flush=True)
        async for _ in signals:
            if stops.signalled(trio.current_time()):
                break
trio.run(main)
print("last steps", flush=True)
sys.stdin.readline()
"""


def test_a_late_copy_does_not_kill_the_process_on_its_last_steps() -> None:
    """It may come while the first is still being handled, or after the loop has ended."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "last steps\n"
        process.send_signal(signal.SIGTERM)
        process.communicate("\n", timeout=30)
    assert process.returncode == 0


async def test_a_block_without_a_stop_leaves_the_handlers_as_they_were() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with received(Stops(), signal.SIGTERM, signal.SIGINT):
        await trio.lowlevel.checkpoint()
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
