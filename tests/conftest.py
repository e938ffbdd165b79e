"""What holds for every test: Hypothesis measures no time, because a busy machine has no bearing on what is right.

A shell that starts the suite in the background has Ctrl-C ignored, and programs inherit that; here none does.
"""

from collections.abc import Iterator
import signal

import coverage
import hypothesis
import pytest

hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def unmeasured() -> Iterator[None]:
    """Run the test without a look at what it covers, for a hundred seeds cover what three do, and take twice the time."""
    measuring = coverage.Coverage.current()
    if measuring is not None:
        measuring.stop()
    yield
    if measuring is not None:
        measuring.start()
