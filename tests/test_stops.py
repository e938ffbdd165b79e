"""One stop is one stop, in however many signals it comes; two are two."""

import pytest

from preppald.net.stops import SAME_STOP_SECONDS, Stops


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
