"""The benchmark's three bridges carry the same interviews, encrypted or not; how fast is no affair of a test."""

from pathlib import Path
import sys

import pytest

from tests.bench import device, measure
from tests.bench.device import Bridge
from tests.bench.measure import Setting
from tests.bench.patterns import PATTERNS
from tests.bench.ways import WAYS, Way

SESSIONS = 3


# The naive bridge speaks no TLS to browsers.
PAIRS = [
    (bridge, way)
    for bridge in (device.PREPPALD, device.NODE, device.NAIVE)
    for way in WAYS.values()
    if not (bridge is device.NAIVE and way.browser)
]


@pytest.mark.parametrize(("bridge", "way"), PAIRS, ids=lambda it: it.name)
def test_every_byte_arrives_both_ways(bridge: Bridge, way: Way) -> None:
    setting = Setting(sys.executable, Path.cwd(), (0,), 1.0, way=way)
    found = measure.steady(bridge, PATTERNS["20ms"], SESSIONS, setting)
    assert found.faults == []
    assert found.lost_bytes == 0
