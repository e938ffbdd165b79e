"""Interviews under faults and kills, from seeds: see tests/simulation for the world, and run more of it with

python -m tests.simulation --seeds 1000 --jobs 2
"""

from pathlib import Path

import pytest

from tests import simulation
from tests.simulation.run import simulate

LINES = Path(simulation.__file__).with_name("seeds.txt").read_text("utf-8").splitlines()
FOUND = [int(line.split()[0]) for line in LINES if line and not line.startswith("#")]
SEEDS = sorted({*range(1, 51), *FOUND})


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_no_transcript_is_lost(seed: int) -> None:
    """What was durable is delivered once, no line twice, in time, and nothing stays behind."""
    assert simulate(seed).violations == ()


def test_the_same_seed_is_the_same_run() -> None:
    """A failure can be run again: the digests of two runs are equal, and another seed's is not."""
    assert simulate(3).digest == simulate(3).digest
    assert simulate(4).digest != simulate(3).digest
