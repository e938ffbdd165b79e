"""One seed in a process of its own: a module that the process can import, which ``__main__`` is not."""

import faulthandler

from tests.simulation import fleet
from tests.simulation.run import Report, simulate

# The longest take a few seconds. One that hangs says where, and ends the run.
HUNG_SECONDS = 300.0


def simulate_watched(seed: int, *, damage: bool = False, several: bool = False) -> Report:
    faulthandler.dump_traceback_later(HUNG_SECONDS, exit=True)
    try:
        return fleet.simulate(seed) if several else simulate(seed, damage=damage)
    finally:
        faulthandler.cancel_dump_traceback_later()
