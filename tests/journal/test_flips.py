"""One flipped bit anywhere costs a row at most, and is never taken for true: fifty of them; see flips.py."""

import pytest

from tests.journal import flips

# So that no test takes long on a busy machine.
SEEDS = range(1, 6)
FLIPS = 10


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.slow
def test_flipped_bits(seed: int) -> None:
    found = flips.run(FLIPS, seed)
    assert [(it.file, it.offset, it.bit, it.faults) for it in found if it.faults] == []
    # Not only bits that are in no row.
    assert {"rows set aside", "behind a damaged frame"} & {word for it in found for word in it.outcomes}
